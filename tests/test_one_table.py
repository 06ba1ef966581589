"""Drone kinds, faults and streams each stand in one table: no other module, script or page repeats a name of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from sessionstore.cli.run import run
from sessionstore.session import stream_names
from sessionstore.simulation.drones import kinds
from sessionstore.simulation.drones.separation import SENIORITY
from sessionstore.simulation.mission import roles as behaviours
from sessionstore.simulation.mission.faults import FAULTS, FaultKind

PACKAGE = Path(__file__).parents[1] / "sessionstore"
WEB = PACKAGE / "server" / "web"
ROLES = {kind.role for kind in kinds.KINDS.values()}
TABLES = {
    "simulation/drones/kinds.py": {*kinds.KINDS, *ROLES},
    "simulation/mission/faults.py": set(FAULTS),
    "session/stream_names.py": set(stream_names.KINDS),
}
#: Words that also mean something else (a column, a chart, a field): of these only a use as a stream counts.
COMMON = {"windows", "weather", "metrics", "events", "commands", "log", "clock", "tether"}
#: Calls that take the name of a stream first, and keywords that do.
STREAM_CALLS = {"tape", "stream", "record", "extend", "_say", "has_stream", "count_stream"}
STREAM_KEYWORDS = {"stream", "streams", "default"}
#: The same word, and another meaning.
OTHER_MEANING = {
    ("simulation/mission/supply.py", "lifeline"): "a key of a line of the tether stream",
    ("simulation/mission/supply.py", "climber"): "a key of a line of the tether stream",
    ("simulation/mission/supply.py", "snag"): "a change of a tether, and the kind of an event",
    ("simulation/drones/tether.py", "snag"): "a change of a tether",
    ("simulation/mission/fleet.py", "drone_lost"): "the kind of an event",
    ("simulation/create_replayable_session.py", "motion_history"): "a key of the file that it reads",
    ("legacy/motion_history.py", "motion_history"): "a key in files of the old system",
    ("server/web/app/charts.js", "windows"): "a chart",
    ("server/web/app/columns.js", "windows"): "a column of the list",
    ("server/web/app/control.js", "weather"): "a field of the form",
    ("server/web/app/records.js", "log"): "a role of ARIA",
}


def literals(source: str) -> Iterator[str]:
    """Yield the names of the tables that a Python source repeats as literals."""
    tree = ast.parse(source)
    as_stream = {id(node) for node in ast.walk(tree) for node in stream_positions(node)}
    every = set().union(*TABLES.values())
    for node in ast.walk(tree):
        word = node.value if isinstance(node, ast.Constant) else None
        if isinstance(word, str) and word in every and (word not in COMMON or id(node) in as_stream):
            yield word


def stream_positions(node: ast.AST) -> list[ast.expr]:
    """Return the parts of a node that are names of streams by their place."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[:1] if name in STREAM_CALLS else []
        return first + [each.value for each in node.keywords if each.arg in STREAM_KEYWORDS]
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        named = [each for each in node.elts if isinstance(each, ast.Constant) and each.value in stream_names.KINDS]
        return list(named) if len(named) > 1 and len(named) == len(node.elts) else []
    return []


def script_literals(text: str) -> Iterator[str]:
    """Yield the names of the tables that a script repeats: quoted, in a list, or as the key of an object."""
    code = re.sub(r"/\*.*?\*/|(?<![:'\"])//[^\n]*", "", text, flags=re.S)
    every = set().union(*TABLES.values())
    quoted = [part for each in re.findall(r"['\"`]([^'\"`\n]*)['\"`]", code) for part in re.split(r"[,?=&]", each)]
    keys = re.findall(r"[{,]\s*(\w+):", code)
    yield from (each for each in quoted if each in every)
    yield from (each for each in keys if each in every - COMMON)


def repeated(paths: Iterator[Path], look: object) -> list[str]:
    found = []
    for path in sorted(paths):
        name = path.relative_to(PACKAGE).as_posix()
        for literal in look(path.read_text("utf-8")):  # type: ignore[operator]  # one of the two above
            if literal not in TABLES.get(name, ()) and (name, literal) not in OTHER_MEANING:
                found.append(f"{name}: {literal!r}")
    return found


def test_no_module_repeats_a_kind_a_fault_or_a_stream() -> None:
    assert repeated(PACKAGE.rglob("*.py"), literals) == []


def test_no_script_or_style_of_the_page_repeats_a_kind_a_fault_or_a_stream() -> None:
    assert repeated(WEB.rglob("*.js"), script_literals) == []
    styles = "\n".join(path.read_text("utf-8") for path in [*WEB.rglob("*.css"), *WEB.rglob("*.html")])
    assert [name for name in {*kinds.KINDS, *FAULTS} if name in styles] == []


def test_a_repeated_name_is_noticed() -> None:
    module = 'tape("events")\nkind = "scout"\nfault = "gps_loss"\nrow = {"windows": 1}\ndef f(): "scout flies"'
    assert sorted(literals(module)) == ["events", "gps_loss", "scout"]
    assert list(literals('for name in ("events", "commands"): pass')) == ["events", "commands"]
    script = "a = ['scout']; // 'climber'\nb = `live?streams=motion_history,events`;\nconst LOOK = { overseer: 1 };"
    assert sorted(script_literals(script)) == ["events", "motion_history", "overseer", "scout"]


def test_every_role_of_the_table_has_a_behaviour_and_a_place_in_the_order_of_right_of_way() -> None:
    assert set(behaviours.ROLES) == set(SENIORITY) == ROLES


def test_the_example_of_a_fault_in_the_help_is_a_fault() -> None:
    example = re.search(r"As ([a-z_]+)@[0-9+]+:([a-z]+)-1\.", CliRunner().invoke(run, ["--help"]).output)
    assert example is not None and example[1] in FAULTS and example[2] in kinds.KINDS


def test_every_exemption_is_needed() -> None:
    for (name, literal), reason in OTHER_MEANING.items():
        look = script_literals if name.endswith(".js") else literals
        assert literal in look((PACKAGE / name).read_text("utf-8")), (
            f"{name}: {literal} ({reason}) is not there any more"
        )


def kind_row(kind: kinds.Kind) -> str:
    """Return the row of a kind in the documents."""
    figures = (
        f"{kind.mass_kg:g} kg",
        f"{kind.cruise_mps:g} m/s",
        f"{kind.battery_wh:g} Wh",
        f"{kind.endurance_min:g} min",
    )
    return f"| `{kind.name}` | {kind.role} | {' | '.join(figures)} | {kind.wind_limit_mps:.1f} m/s |"


def fault_row(fault: FaultKind) -> str:
    return f"| `{fault.name}` | {fault.about} |"


def stream_row(stream: stream_names.StreamKind) -> str:
    return f"| `{stream.name}` | {stream.title} | {stream.unit} |"


def test_the_command_line_and_the_documents_show_the_tables() -> None:
    shown = CliRunner().invoke(run, ["--help"]).output
    assert [name for name in kinds.KINDS if f"--{name} " not in shown] == []
    text = (PACKAGE / "docs" / "simulation.md").read_text("utf-8")
    rows = [*map(kind_row, kinds.KINDS.values()), *map(fault_row, FAULTS.values())]
    rows += map(stream_row, stream_names.KINDS.values())
    assert [row for row in rows if row not in text] == []
