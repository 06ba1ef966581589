"""The floor plan: imports point down only, a module is small, and every module says what is not here."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sessionstore"
#: From the ground up; a name covers the module or the whole folder, and modules of one floor do not know each other.
FLOORS = [
    {"errors"},
    {"names", "noreplace", "reading", "jsontext", "collector"},
    {"files", "filesystem"},
    {"locks", "query"},
    {"appending", "root", "owner", "tape", "provenance", "records"},
    {"schemas", "rules", "documents", "streams", "selection"},
    {"motion", "shortcut"},
    {"session"},
    {"recorder", "replay", "bundle"},
    {"summary"},
    {"stretch"},
    {"figures", "comparison"},
    {"index"},
    {"claims", "trash"},
    {"catalog"},
    {"store"},
    {"care"},
    {"legacy"},
    {"boxes"},
    {"simulation"},
    {"bench"},
    {"server"},
    {"cli"},
    {"__main__"},
]
#: Imported late, each for a reason: the rules, since marshmallow costs 50 ms; the doctor, since a store sends for him;
#: the figures, since a session in a notebook plots itself.
ALLOWED_UPWARD = {
    ("records", "schemas"), ("records", "rules"), ("store", "care"), ("session", "figures"), ("__init__", "documents"),
}  # fmt: skip
LONG_FOR_A_REASON: set[str] = set()


def floor_of(name: str) -> int:
    for number, floor in enumerate(FLOORS):
        if name in floor:
            return number
    raise AssertionError(f"sessionstore.{name} stands on no floor: add it to the plan in test_architecture and README")


def imports_of(source: str) -> set[str]:
    """Return the modules of this package that a source imports, by their name on the plan."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("sessionstore.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "sessionstore":
            found |= {alias.name for alias in node.names if not alias.name.startswith("_")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sessionstore."):
            found.add(str(node.module).split(".")[1])
    return found


def upward_imports(name: str, source: str) -> list[str]:
    """Return what a module imports from its own floor or above."""
    return [
        f"{name} imports {other}"
        for other in sorted(imports_of(source) - {name})
        if floor_of(other) >= floor_of(name) and (name, other) not in ALLOWED_UPWARD
    ]


def modules() -> dict[str, Path]:
    return {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


def plan_name(relative: str) -> str:
    return Path(relative).parts[0].removesuffix(".py")


def test_imports_point_down_only() -> None:
    wrong = [
        sentence
        for relative, path in modules().items()
        if plan_name(relative) != "__init__"
        for sentence in upward_imports(plan_name(relative), path.read_text())
    ]
    assert wrong == []


def test_an_upward_import_is_noticed() -> None:
    assert upward_imports("files", "from sessionstore.store import SessionStore") == ["files imports store"]
    assert upward_imports("names", "from sessionstore import files") == ["names imports files"]
    assert upward_imports("locks", "def late():\n    import sessionstore.boxes") == ["locks imports boxes"]
    assert upward_imports("store", "from sessionstore import files") == []


def test_no_module_grows_past_400_lines_without_a_reason() -> None:
    long = {name for name, path in modules().items() if len(path.read_text().splitlines()) > 400}
    assert long == LONG_FOR_A_REASON


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []
