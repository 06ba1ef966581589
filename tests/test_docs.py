"""The README and the reference pages are true: their blocks run in order, their links and names exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sessionstore import cli
from tests.pages import DOCS, PAGES, README, ROOT, blocks

#: Blocks that a test of their own runs: installing (.ci/run), serving and curl (tests/server/test_clients.py).
RUN_ELSEWHERE = ("pip install", "sessionstore serve", "curl ")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order_in_a_fresh_folder(page: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    python = [block.text for block in blocks(page, "python")]
    for block in blocks(page, "python", "sh"):
        if any(word in block.text for word in RUN_ELSEWHERE):
            continue
        if block.language == "python":
            before = python[: python.index(block.text)]
            program = "\n".join([_quietly(before), block.text])
            command = [sys.executable, "-c", program]
        else:
            command = ["bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"


def _quietly(earlier: list[str]) -> str:
    """Return the imports of the earlier Python blocks of a page: a reader has them in his session."""
    lines = [line for text in earlier for line in text.splitlines()]
    return "\n".join(line for line in lines if re.match(r"(import|from) ", line) and "__future__" not in line)


@pytest.mark.slow
def test_the_lines_for_pandas_run_behind_the_block_above_them(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    (lines,) = [block.text for block in blocks(README, "text") if "import pandas" in block.text]
    program = "\n".join([*(block.text for block in blocks(README, "python")), lines])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0 and "scout-1    0.9005" in done.stdout, done.stdout + done.stderr


def test_the_pages_have_blocks_that_run() -> None:
    runnable = {page.stem: len(blocks(page, "python", "sh")) for page in PAGES}
    assert runnable["README"] >= 5 and sum(runnable.values()) >= 12


def test_every_command_is_in_the_reference() -> None:
    text = (DOCS / "cli.md").read_text()
    assert [name for name in cli.COMMANDS if f"`{name}`" not in text and f"`{name} " not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!http)([^)#\s]+)\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:tests|fixtures|sessionstore)/[\w/.-]+\.\w+)`", page.read_text()))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_readme_is_short_and_links_every_page() -> None:
    text = README.read_text()
    assert len(text.splitlines()) < 300
    assert [page.name for page in sorted(DOCS.glob("*.md")) if f"sessionstore/docs/{page.name}" not in text] == []


def test_a_program_of_another_library_has_fewer_lines_here() -> None:
    text = (DOCS / "coming_from.md").read_text("utf-8")
    pairs = re.findall(r"```text\n(.*?)```.*?```python\n(.*?)```", text, re.S)
    lines = [tuple(len([line for line in block.splitlines() if line.strip()]) for block in pair) for pair in pairs]
    assert len(lines) == 4 and all(ours < theirs for theirs, ours in lines), lines
