"""The command line as its user types it: what it prints, where, and with which exit code."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

import sessionstore
from sessionstore import cli, errors
from sessionstore.cli import text
from sessionstore.simulation import errors as flights
from sessionstore.store import SessionStore


def flown(store: SessionStore, name: str, **fields: object) -> str:
    with store.record(name, **fields) as session:
        for tick in range(40):
            session.motion.append("scout-1", t_s=tick / 20, position_m=(tick * 50, 0, 5))
        session.log("hello", colour="blue")
        session.workflow("SCAN", "go")
    return session.session_id


def test_list_prints_a_table_and_json(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    session_id = flown(store, "Butterfly", metadata={"n": 5}, duration_planned_s=252.0)
    store.create("Storm")
    table = run("list").out.splitlines()
    assert table[0].split()[:2] == ["status", "session"] and len(table) == 3
    assert ("4 min 12 s" in table[2] and "1.9 km" in table[2]) or "2.0 km" in table[2]
    rows = json.loads(run("list", "--json", "metadata.n>4").out)
    assert [row["session_id"] for row in rows] == [session_id] and rows[0]["metadata"] == {"n": 5}
    assert run("list", "--columns", "session,metadata.n", "status=completed").out.split()[-1] == "5"
    named = run("list", "--columns", "session,planned,metadata.n,metadata.none", "--json", "status=completed").out
    assert json.loads(named) == [{"session": session_id, "planned": 252.0, "metadata.n": 5, "metadata.none": None}]
    assert len(run("list", "--limit", "1", "--sort", "created_at").out.splitlines()) == 2


def test_an_empty_store_says_how_to_begin_on_stderr(run) -> None:  # type: ignore[no-untyped-def]
    result = run("list")
    assert result.out == "" and "sessionstore run" in result.err and result.code == 0
    assert json.loads(run("list", "--json").out) == []


def test_show_tells_record_drones_phases_and_streams(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    session_id = flown(store, "Butterfly")
    out = run("show", "Butterfly").out
    for part in (session_id, "completed", "scout-1", "- -> SCAN", "motion_history  40"):
        assert part in out
    shown = json.loads(run("show", "--json").out)
    assert shown["streams"]["motion_history"]["records"] == 40 and shown["replay_available"] is True


def test_tail_prints_the_end_and_follows_until_the_session_ends(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    flown(store, "Butterfly")
    assert "hello  colour=blue" in run("tail", "Butterfly", "log").out
    lines = [
        json.loads(line) for line in run("tail", "Butterfly", "motion_history", "-n", "3", "--json").out.splitlines()
    ]
    assert [line["n"] for line in lines] == [37, 38, 39]
    with store.record("Storm") as session:
        session.log("first")
        rest = threading.Timer(0.1, lambda: (session.log("second"), session.finish()))
        rest.start()
        out = run("tail", "-f", "Storm", "log").out
        rest.join()
    assert out.index("first") < out.index("second")
    assert "does not exist" in run("tail", "Storm", "weather").err


def test_set_changes_what_people_write_by_compare_and_set(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    store.create("x", metadata={"old": 1})
    assert (
        run("set", "x", "--tag", "night", "--notes", "good", "--meta", "n=5", "--meta", "s=five", "--unset", "old").code
        == 0
    )
    record = store.get("x").record
    assert (record.tags, record.notes, record.metadata, record.rev) == (["night"], "good", {"n": 5, "s": "five"}, 2)
    stale = run("set", "x", "--name", "y", "--if-rev", "1")
    assert stale.code == cli.EXIT_CODES[errors.Conflict] and "revision 2, not 1" in stale.err
    assert json.loads(run("set", "x", "--name", "y", "--untag", "night", "--if-rev", "2", "--json").out)["tags"] == []
    assert run("set", "y").code == 2 and run("set", "y", "--meta", "novalue").code == 6


def test_delete_trash_and_restore(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    session_id = store.create("x").session_id
    assert "undo" in run("delete", "x").err and store.find() == []
    (entry,) = json.loads(run("trash", "--json").out)
    assert entry["session_id"] == session_id and entry["bytes"] > 500
    assert session_id in run("trash").out
    assert run("restore", session_id).code == 0 and len(store.find()) == 1
    run("delete", session_id)
    assert "nothing" in run("trash", "empty", "--older-than", "1d", "--yes").err
    assert "removed 1" in run("trash", "empty", "--yes").err and store.trash() == []
    assert run("trash", "empty", "--older-than", "soon").code == 2


def test_rebuild_and_completion(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    store.create("x")
    (store.root.path / "index.jsonl").unlink()
    assert "1 sessions indexed" in run("rebuild").err
    for shell in ("bash", "zsh", "fish"):
        assert "_SESSIONSTORE_COMPLETE" in run("completion", shell).out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(("show", "nothing"), errors.SessionNotFound), (("show", "2"), errors.AmbiguousSession),
     (("list", "foo=1"), errors.InvalidQuery), (("list", "--sort", "foo"), errors.InvalidQuery),
     (("list", "--columns", "foo"), errors.InvalidQuery)],
)  # fmt: skip
def test_a_failure_is_one_sentence_and_an_exit_code(run, store: SessionStore, arguments, error) -> None:  # type: ignore[no-untyped-def]
    store.create("x"), store.create("y")
    result = run(*arguments)
    assert result.code == cli.EXIT_CODES[error] and result.err.startswith(error.__name__) and result.out == ""
    assert len(result.err.splitlines()) == 1


def _tree(base: type[BaseException]) -> list[type[BaseException]]:
    return [base, *(leaf for child in base.__subclasses__() for leaf in _tree(child))]


def test_every_error_of_the_tree_has_an_exit_code() -> None:
    ours = [each for each in _tree(errors.SessionStoreError) if each.__module__ == "sessionstore.errors"]
    assert [each.__name__ for each in ours if each not in cli.EXIT_CODES] == []
    assert cli.exit_code(errors.Corrupt("x")) == 9 and cli.exit_code(ValueError()) == 1


def test_errors_of_the_simulation_have_the_exit_codes_of_the_store(run) -> None:  # type: ignore[no-untyped-def]
    leaves = {each.__name__: each for each in _tree(flights.SimulationError)[1:] if each.__module__ == flights.__name__}
    codes = {
        name: next(code for base in each.__mro__ if (code := cli.EXIT_CODES.get(base))) for name, each in leaves.items()
    }
    assert codes.pop("NotRunning") == 1 and len(codes) == 5 and set(codes.values()) == {6}
    result = run("run", "--scenario", "no-such-one")
    assert result.code == 6 and result.err.startswith("ScenarioError: no-such-one: file:")


def test_every_command_is_there_and_documented() -> None:
    with click.Context(cli.group) as context:
        for name in cli.COMMANDS:
            command = cli.group.get_command(context, name)
            assert command is not None and command.help, name


def test_names_cannot_forge_lines_or_colours(run, store: SessionStore) -> None:  # type: ignore[no-untyped-def]
    store.create("a\nb\x1b[31m\u202eevil")
    out = run("list", "--columns", "name,session").out
    assert "a\\x0ab\\x1b[31m\\u202eevil" in out and len(out.splitlines()) == 2


def test_units_are_always_written() -> None:
    assert [text.duration(value) for value in (None, 4.95, 45.0, 252, 7260)] == [
        "-",
        "4.95 s",
        "45.0 s",
        "4 min 12 s",
        "2 h 1 min",
    ]
    assert [text.distance(value) for value in (None, 312.4, 3210)] == ["-", "312 m", "3.2 km"]
    assert [text.size(value) for value in (12, 4_745_686)] == ["12 B", "4.7 MB"]


def _cpu_seconds(code: str, compiled: Path, *arguments: str) -> float:
    script = f"import time, sys; sys.argv[1:] = {list(arguments)!r}\n{code}\nprint(time.process_time())"
    # Compiled modules are kept, as an installation has them: the first of the five makes them.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_starting_stays_cheap(tmp_path: Path) -> None:
    """CPU time, best of five, against an interpreter that does nothing: the bounds hold on a loaded machine."""
    made = tmp_path / "compiled"
    empty = min(_cpu_seconds("pass", made) for _ in range(5))
    imported = min(_cpu_seconds("import sessionstore", made) for _ in range(5)) - empty
    assert imported < 0.150
    assert min(_cpu_seconds("import sessionstore.cli", made) for _ in range(5)) - empty < 0.200
    with sessionstore.open(tmp_path / "store") as store:
        store.create("x")
    listing = "from sessionstore.cli import main\nmain(['list', '--dir', sys.argv[1]])"
    assert min(_cpu_seconds(listing, made, str(tmp_path / "store")) for _ in range(5)) - empty < 0.300


@pytest.mark.parametrize(
    ("code", "most"),
    [("import sessionstore", 60), ("from sessionstore.cli import main\nmain(['--help'])", 130),
     ("from sessionstore.cli import main\nmain(['list', '--help'])", 150)],
)  # fmt: skip
def test_starting_imports_little(code: str, most: int) -> None:
    """The count of modules does not depend on how busy the machine is; 35 and 90 more than Python were measured."""
    script = f"import sys\nbefore = set(sys.modules)\ntry:\n    exec({code!r})\nexcept SystemExit:\n    pass\n"
    script += "print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found = ast.literal_eval(done.stdout.splitlines()[-1])
    assert len(found) <= most, found
    assert {"tinydb", "marshmallow", "rich", "sqlite3", "numpy", "filelock"}.isdisjoint(found)


def test_a_list_imports_neither_marshmallow_nor_rich_nor_the_simulation(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom sessionstore.cli import main\nmain(['list', '--dir', sys.argv[1]])\n"
        "print([name for name in ('marshmallow', 'rich', 'sessionstore.simulation', 'ctypes') if name in sys.modules])"
    )
    with sessionstore.open(tmp_path) as store:
        store.create("x")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_output_that_takes_no_more_is_one_sentence(store: SessionStore) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is missing")
    store.create("x")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sessionstore", "list", "--json", "--dir", str(store.root.path)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 8 and "Traceback" not in done.stderr and "No space left" in done.stderr
