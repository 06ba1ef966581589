"""The floor plan: imports point down only, a module is small, and every module says what is not here."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sessionstore"
#: From the ground up; a name is a module or a folder, and the members of one floor do not import each other.
FLOORS = [
    {"errors", "late_imports"},
    {"disk", "query"},
    {"model"},
    {"layout"},
    {"session"},
    {"index", "playback"},
    {"store"},
    {"maintenance", "boxes", "formats"},
    {"legacy", "exchange", "simulation", "analysis", "sweeps"},
    {"server", "bench", "reruns"},
    {"cli"},
    {"__main__"},
]
#: The one module that imports upwards, inside functions: methods of a store and a session whose work is done above.
ALLOWED_UPWARD = {
    ("late_imports", "maintenance"),
    ("late_imports", "exchange"),
    ("late_imports", "analysis"),
    ("late_imports", "formats"),
    ("late_imports", "sweeps"),
}
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
    assert upward_imports("disk", "from sessionstore.store import SessionStore") == ["disk imports store"]
    assert upward_imports("errors", "from sessionstore import disk") == ["errors imports disk"]
    assert upward_imports("disk", "def late():\n    import sessionstore.boxes") == ["disk imports boxes"]
    assert upward_imports("store", "from sessionstore.disk import files") == []


def edges(include_late: bool, include_types: bool = False) -> dict[str, set[str]]:
    """Return which module imports which, by dotted name; imports for types only are left out unless asked for."""
    known = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules()}
    found: dict[str, set[str]] = {}

    def visit(node: ast.AST, module: str, late: bool) -> None:
        for child in ast.iter_child_nodes(node):
            for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and child in node.body
            if for_types and not include_types:
                continue
            if isinstance(child, ast.ImportFrom) and (child.module or "").startswith("sessionstore"):
                base = str(child.module).removeprefix("sessionstore").lstrip(".")
                if include_late or not late:
                    for alias in child.names:
                        full = f"{base}.{alias.name}".lstrip(".")
                        found[module].add(full if full in known else base)
            visit(child, module, late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    for relative, path in modules().items():
        module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found[module] = set()
        visit(ast.parse(path.read_text()), module, late=False)
        found[module].discard(module)
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of a graph, or nothing."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := follow(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := follow(name, []))), [])


def test_the_plan_has_at_most_twelve_floors_and_five_arrows_up() -> None:
    assert len(FLOORS) <= 12 and len(ALLOWED_UPWARD) <= 5


def test_no_module_imports_itself_through_others() -> None:
    assert circle(edges(include_late=False)) == []


def test_the_simulation_has_no_circle_not_even_by_type() -> None:
    graph = edges(include_late=True, include_types=True)
    assert circle({name: others for name, others in graph.items() if name.startswith("simulation")}) == []


def test_a_circle_is_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_no_module_grows_past_400_lines_without_a_reason() -> None:
    long = {name for name, path in modules().items() if len(path.read_text().splitlines()) > 400}
    assert long == LONG_FOR_A_REASON


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_the_readme_draws_every_room_in_the_order_of_the_floors() -> None:
    plan = (PACKAGE.parent / "README.md").read_text().partition("## Reading the source")[2].partition("Five doors")[0]
    places = []
    for floor in FLOORS[:-1]:
        shown = [plan.find(name + ("/" if (PACKAGE / name).is_dir() else ".py")) for name in floor]
        assert min(shown) >= 0, floor
        places.append(min(shown))
    assert places == sorted(places, reverse=True)


#: Names that a module hands on under its own address, because it is the face of the other; everything else has one.
HANDED_ON = {
    "maintenance/repairs/recount.py": {"take_point"},
    "model/json_text.py": {"MAX_DEPTH", "plain", "utc_text"},
    "model/values.py": {"utc_text"},
    "server/routes/api_schemas.py": {"Number"},
}


def handed_on(text: str) -> set[str]:
    """Return the names that a module imports in order to hand them on (``import x as x``)."""
    imports = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom))
    return {each.name for node in imports for each in node.names if each.asname == each.name}


def test_a_name_has_one_address() -> None:
    found = {name: handed_on(path.read_text(encoding="utf-8")) for name, path in modules().items()}
    del found["late_imports.py"]  # types only, of what is imported late
    assert {name: names for name, names in found.items() if names} == HANDED_ON
    assert handed_on("from a import b as b, c as d") == {"b"}
