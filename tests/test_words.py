"""Plain technical English: words that stand for riddles do not occur, and every "Not here" pointer leads somewhere."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

PACKAGE = ROOT / "sessionstore"
MODULES = sorted(PACKAGE.rglob("*.py"))
#: A word, and what to write instead.
AVOIDED = {
    r"whoever|whatever": "name the subject",
    r"so many": "N, or the number of",
    r"nobody|somebody": "no process, another process, a user",
    r"\btold\b|\btells\b|\btell\b": "report, say, show",
    r"\blies\b|\blie in\b": "is in, is stored",
    r"let go": "close, release",
    r"mend(?:s|ed|ing)?\b": "repair",
    r"held against": "compared with",
    r"\bhand's\b|by its hand": "edited by hand",
}


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Return docstrings and comments of a source with their lines."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.lineno, str(first.value.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def avoided_in(text: str) -> list[str]:
    """Return the avoided words of a text."""
    return [found.group() for word in AVOIDED for found in re.finditer(rf"\b(?:{word})", text, re.IGNORECASE)]


def pointers(docstring: str) -> list[str]:
    """Return the names in the "Not here" sentence of a module: what stands in its brackets."""
    found = re.search(r"Not here:(.*)", docstring, re.DOTALL)
    inside = re.findall(r"\(([^()]*)\)", found[1]) if found else []
    return [name for text in inside for name in re.split(r",\s*|\s+and\s+|\s+or\s+|;\s*|\s+by\s+", text.strip())]


def resolves(name: str, module: Path) -> bool:
    """Return whether a pointer names a module or folder: from the package, from a folder above, or of the folder."""
    name = name.strip().strip("`").removeprefix("the folder ").strip("`")
    if not re.fullmatch(r"[a-z_][\w.]*(\.[A-Z]\w*)?", name):
        return True  # words, not a name
    parts = name.split(".")
    for folder in (module.parent, *module.parents):
        if not folder.is_relative_to(PACKAGE):
            break
        for depth in range(len(parts), 0, -1):
            place = folder.joinpath(*parts[:depth])
            if place.is_dir() or place.with_suffix(".py").is_file():
                return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pages_use_plain_words(page: Path) -> None:
    text = re.sub(r"<!-- (proof|bench) -->.*?<!-- /\1 -->", "", page.read_text(), flags=re.DOTALL)
    assert avoided_in(re.sub(r"```.*?```", "", text, flags=re.DOTALL)) == []


def test_docstrings_and_comments_use_plain_words() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line} {words}"
        for path in MODULES
        for line, text in prose(path.read_text())
        if (words := avoided_in(text))
    ]
    assert found == [], "\n".join(found)


def test_every_not_here_pointer_names_a_module_that_exists() -> None:
    lost = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in MODULES
        for name in pointers(ast.get_docstring(ast.parse(path.read_text())) or "")
        if not resolves(name, path)
    ]
    assert lost == [], "\n".join(lost)


def test_an_avoided_word_and_a_lost_pointer_are_noticed() -> None:
    assert avoided_in("Whoever lists is told so many rows") == ["Whoever", "so many", "told"]
    assert pointers("A module.\n\nNot here: rows (index.journal), nothing (nowhere).") == ["index.journal", "nowhere"]
    module = PACKAGE / "store" / "store.py"
    assert resolves("catalog", module) and resolves("index.journal", module) and not resolves("nowhere", module)
