"""What the page knows of kinds, streams and weather is served out of the tables of the package."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sessionstore.cli import columns
from sessionstore.server.http.page_constants import ADDRESS, module_text
from sessionstore.server.http.page_files import WEB_FOLDER, web_files
from sessionstore.session import stream_names
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.mission.commands import COMMAND_TYPES
from sessionstore.simulation.world.weather import CONDITIONS


def exported() -> dict[str, object]:
    """Return what the module exports, as a browser would read it."""
    return {name: json.loads(value) for name, value in re.findall(r"^export const (\w+) = (.*);$", module_text(), re.M)}


def test_the_page_is_served_the_tables_of_the_package() -> None:
    found = exported()
    assert found["KINDS"] == list(KINDS) and found["WEATHERS"] == list(CONDITIONS)
    assert {*found["COMMANDS"], "spawn"} == set(COMMAND_TYPES)  # type: ignore[misc]  # a list, out of JSON
    assert set(found["STREAM"].values()) == set(stream_names.KINDS)  # type: ignore[attr-defined]  # a dict, out of JSON
    reply = web_files().find(ADDRESS)
    assert reply is not None and reply.body == module_text().encode()


def test_every_name_that_a_script_takes_from_the_constants_is_exported() -> None:
    names = exported()
    taken = {
        name.strip()
        for path in WEB_FOLDER.rglob("*.js")
        for group in re.findall(r"import \{([^}]*)\} from '[^']*/constants\.js'", path.read_text("utf-8"))
        for name in group.split(",")
    }
    assert taken == set(names), "a constant that no script uses, or one that is missing"
    streams = {use for path in WEB_FOLDER.rglob("*.js") for use in re.findall(r"\bSTREAM\.(\w+)", path.read_text())}
    assert streams and streams <= set(names["STREAM"])  # type: ignore[call-overload]  # a dict, out of JSON


def test_each_kind_is_drawn_with_a_shape_of_the_page_and_each_shape_is_used() -> None:
    text = (WEB_FOLDER / "player" / "shapes.js").read_text("utf-8")
    block = re.search(r"const OUTLINES = \{(.*?)\n\};", text, re.S)
    assert block is not None
    shapes = {quoted or plain for quoted, plain in re.findall(r"^  (?:'([\w-]+)'|(\w+)):", block[1], re.M)}
    drawn = [kind.shape for kind in KINDS.values()]
    assert shapes == {*drawn, "round", "multirotor"} and len(set(drawn)) == len(drawn)  # a multirotor is imported


def test_the_columns_of_the_page_are_those_of_the_command_line() -> None:
    text = (WEB_FOLDER / "app" / "columns.js").read_text("utf-8")
    names = re.findall(r"^  (\w+): \[", text, re.M)
    assert len(names) > 15
    for name in set(names) - {"run", "notes"}:  # a bar, of two columns there; notes are not in the index
        assert columns.column(name).path


def modules_of(entry: Path) -> set[Path]:
    """Return a module and all that it imports, at once or later; the places that main.js opens are left to each."""
    found, waiting = set(), [entry]
    while waiting:
        module = waiting.pop()
        if module in found or not module.is_file():  # the constants are made, and count in none
            continue
        found.add(module)
        text = module.read_text("utf-8")
        names = re.findall(r"(?:from|import) '(\.[^']+)'", text)
        names += [] if module.name == "main.js" else re.findall(r"import\('(\.[^']+)'\)", text)
        waiting += [(module.parent / name).resolve() for name in names]
    return found


def test_every_place_of_the_page_weighs_at_most_400_kilobytes() -> None:
    folder = WEB_FOLDER.resolve()
    main = (folder / "app" / "main.js").read_text("utf-8")
    places = re.findall(r"import\('\./(\w+\.js)'\)", main)
    assert {"list.js", "session.js", "compare.js", "query.js"} <= set(places)
    shell = {*folder.glob("*.*"), *modules_of(folder / "app" / "main.js")}
    weights = {
        place: sum(file.stat().st_size for file in shell | modules_of(folder / "app" / place)) for place in places
    }
    assert min(weights.values()) > 50_000, "modules were not found"
    assert max(weights.values()) <= 400_000, weights
    scripts = {path.resolve() for path in folder.rglob("*.js")}
    reached = set().union(*(modules_of(folder / "app" / place) for place in places), shell)
    assert scripts - reached <= {folder / "app" / "exported.js"} | modules_of(folder / "app" / "exported.js")


def test_a_page_names_all_modules_of_its_place_so_that_they_are_asked_for_at_once() -> None:
    folder = WEB_FOLDER.resolve()
    for place, module in (
        ("session", "session.js"),
        ("sessions", "list.js"),
        ("", "list.js"),
        ("compare", "compare.js"),
    ):
        page = web_files().find(f"/{place}/x" if place in ("session",) else f"/{place}")
        assert page is not None
        named = re.findall(r'<link rel="modulepreload" href="([^"]+)">', page.body.decode())
        at_once, waiting = {ADDRESS}, [folder / "app" / "main.js", folder / "app" / module]
        while waiting:
            path = waiting.pop()
            address = "/" + path.relative_to(folder).as_posix()
            if address not in at_once:
                at_once.add(address)
                imported = re.findall(r"^import (?:[^;]*? from )?'(\.[^']+)';", path.read_text("utf-8"), re.M)
                waiting += [(path.parent / name).resolve() for name in imported]
        assert set(named) == at_once and len(named) == len(set(named)), place
        assert "<!-- preloads" not in page.body.decode()
