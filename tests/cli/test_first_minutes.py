"""What a newcomer types: wrong places, near names, ids in a pipe, terminals of all kinds."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstore import cli, errors
from sessionstore.store import SessionStore

Run = Callable[..., Any]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sessionstore", *arguments]


def in_terminal(*arguments: str, columns: int = 80, program: Path | None = None, **environment: str) -> tuple[str, int]:
    """Return what a command prints in a terminal of this width, and its exit code."""
    leader, follower = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    child = subprocess.Popen(
        command(*arguments) if program is None else [sys.executable, str(program), *arguments],
        stdout=follower, stderr=follower, stdin=follower,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(follower)
    found = b""
    try:
        while piece := os.read(leader, 65536):
            found += piece
    except OSError:  # the child has closed its end
        pass
    os.close(leader)
    return found.decode(errors="replace"), child.wait(20)


@pytest.mark.parametrize("arguments", [("list",), ("show",), ("tail",), ("trash",), ("export", "x", "--zip")])
def test_a_mistyped_place_is_an_error_that_names_the_nearest_store(run: Run, store: SessionStore, arguments) -> None:  # type: ignore[no-untyped-def]
    store.create("x")
    file = store.root.path.parent / "notes.txt"
    file.write_text("")
    for place in (f"{store.root.path}s", str(file)):
        result = run(*arguments, "--dir", place)
        assert (result.code, result.out) == (3, "") and result.err.startswith("StoreNotFound")
        assert result.err.rstrip().endswith(f"the nearest store is {store.root.path}")


def test_recording_into_a_new_place_makes_it(run: Run, tmp_path: Path) -> None:
    new = str(tmp_path / "new")
    result = run("run", "--scout", "1", "--buildings", "1", "--duration", "1", "--seed", "random", "-q", "--dir", new)
    assert (result.code, result.out) == (0, "")
    assert len(json.loads(run("list", "--json", "--dir", new).out)) == 1


def test_a_fault_of_an_unknown_drone_is_refused_before_anything_is_made(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "nothing-yet"
    result = run("run", "--scout", "1", "--duration", "5", "--fault", "gps_loss@2:scout-9", "--dir", str(place))
    assert result.code == 6 and "there will be no drone 'scout-9', only scout-1" in result.err and not place.exists()


def test_a_run_prints_the_seed_that_repeats_it(run: Run) -> None:
    assert "(seed 7)" in run("run", "--scout", "1", "--buildings", "1", "--duration", "1", "--seed", "7").err
    assert run("run", "--seed", "many").code == 2


def test_a_session_is_found_by_path_slash_and_case_and_near_names_are_suggested(run: Run, store: SessionStore) -> None:
    session_id = store.create("Butterfly").session_id
    for key in (str(store.root.folder(session_id)), f"{store.root.folder(session_id)}/", f"{session_id}/", "butterFLY"):
        assert session_id in run("show", key).out, key
    assert session_id in run("info", str(store.root.folder(session_id)), "--json").out
    wrong = run("show", "Buterfly")
    assert wrong.code == 3 and "did you mean Butterfly?" in wrong.err
    run("delete", "butterfly")
    for name in (session_id, "Butterfly"):
        assert f"is in the trash: sessionstore restore {session_id} --dir" in run("show", name).err


@pytest.mark.parametrize(
    "arguments",
    [("show",), ("tail",), ("history",), ("verify",), ("delete",), ("set", "--notes", "x"), ("export", "--zip"),
     ("pack", "--output", "x.zip")],
)  # fmt: skip
def test_every_command_suggests_a_name_that_nearly_fits(run: Run, store: SessionStore, arguments) -> None:  # type: ignore[no-untyped-def]
    store.create("Butterfly")
    result = run(*arguments, "Buterfly")
    assert result.code == 3 and "did you mean Butterfly?" in result.err, result.err


def test_a_change_that_does_not_exist_says_where_changes_are_listed(run: Run, store: SessionStore) -> None:
    result = run("undo", "nothing", "--dir", str(store.root.path))
    assert result.code == 3 and f"sessionstore history --dir {store.root.path}" in result.err


def test_a_folder_outside_any_store_is_shown(run: Run, store: SessionStore, tmp_path: Path) -> None:
    session_id = store.create("Far").session_id
    store.root.folder(session_id).rename(tmp_path / session_id)
    assert session_id in run("info", str(tmp_path / session_id)).out
    assert session_id in run("show", str(tmp_path / session_id)).out
    assert run("set", str(tmp_path / session_id), "--notes", "x").code == 3
    assert run("info", str(tmp_path)).code == 3


def test_a_stream_that_does_not_exist_is_an_error(run: Run, store: SessionStore) -> None:
    with store.record("x") as session:
        for number in range(20):
            session.log(f"line {number}")
    wrong = run("tail", "x", "lgo")
    assert (wrong.code, wrong.out) == (3, "") and "did you mean log?" in wrong.err
    assert len(run("tail", "x", "log", "-n", "0").out.splitlines()) == 20  # 0 = all, as in list and history
    assert len(run("tail", "x", "log", "-n", "3").out.splitlines()) == 3


def test_ids_come_from_stdin_and_restore_takes_a_filter(
    run: Run, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        store.create(f"s{number}", metadata={"n": number})
    chosen = run("list", "metadata.n>=2", "--ndjson", "--columns", "session,metadata.n").out
    assert [json.loads(line)["metadata.n"] for line in chosen.splitlines()] == [3, 2]
    monkeypatch.setattr("sys.stdin", io.StringIO(chosen))
    assert run("delete", "-").code == 0 and len(store.find()) == 2
    assert run("restore", "--where", "metadata.n=3").code == 0
    assert [row.session_name for row in store.find(sort="name")] == ["s0", "s1", "s3"]
    assert run("restore", "--where", "metadata.n=9").code == 3 and run("restore").code == 2
    assert run("restore", "s2").code == 0 and len(store.find()) == 4


def test_columns_are_chosen_once_and_hold_for_text_and_json(
    run: Run, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("x", metadata={"a.b": 5})
    monkeypatch.setenv("SESSIONSTORE_COLUMNS", 'name,metadata."a.b"')
    assert run("list").out.split() == ["name", 'metadata."a.b"', "x", "5"]
    assert json.loads(run("list", "--json").out) == [{"name": "x", 'metadata."a.b"': 5}]


def test_the_reading_of_a_filter_is_shown(run: Run, store: SessionStore) -> None:
    store.create("x")
    found = run("list", "--explain", "status in (created,failed)")
    assert "understood: status is one of created, failed" in found.err and len(found.out.splitlines()) == 2
    assert "no session matches: status is failed" in run("list", "status=failed").err
    wrong = run("list", "status=failde")
    assert wrong.code == cli.EXIT_CODES[errors.InvalidQuery] and "did you mean failed?" in wrong.err


def test_a_list_fits_its_terminal_and_cuts_long_names_in_the_middle(store: SessionStore) -> None:
    store.create("begin-" + "very-" * 30 + "end")
    for columns in (80, 50):
        out, code = in_terminal("list", "--dir", str(store.root.path), columns=columns)
        lines = out.replace("\x1b[36m", "").replace("\x1b[0m", "").splitlines()
        assert code == 0 and len(lines) == 2 and max(map(len, lines)) <= columns, lines
        assert "..." in lines[1] and "end" in lines[1]


def test_no_color_means_no_escape_at_all(store: SessionStore) -> None:
    store.create("x")
    coloured, _ = in_terminal("show", "--dir", str(store.root.path))
    assert "\x1b[" in coloured
    for arguments in (("show",), ("list",), ("docs", "filter"),
                      ("run", "--scout", "1", "--buildings", "1", "--duration", "1")):  # fmt: skip
        out, code = in_terminal(
            *arguments, *([] if "docs" in arguments else ["--dir", str(store.root.path)]), NO_COLOR="1"
        )
        assert code == 0 and "\x1b" not in out, arguments


def test_a_terminal_without_utf_8_gets_escapes_and_no_traceback(store: SessionStore) -> None:
    store.create("東京")
    arguments = ("list", "--columns", "name", "--dir", str(store.root.path))
    out, code = in_terminal(*arguments, PYTHONIOENCODING="latin-1")
    assert code == 0 and "\\u6771\\u4eac" in out, out
    # In this locale Python cannot read the names of the folders either.
    out, code = in_terminal(*arguments, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="")
    assert code == 0 and "Traceback" not in out, out


def test_a_closed_pipe_ends_a_command_quietly(store: SessionStore) -> None:
    with store.record("x") as session:
        for number in range(5000):
            session.log("a long line " * 20, number=number)
    for arguments in (("tail", "x", "log", "-n", "0"), ("list", "--json")):
        with subprocess.Popen(
            command(*arguments, "--dir", str(store.root.path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout is not None and child.stderr is not None
            child.stdout.close()
            assert (child.wait(30), child.stderr.read()) == (0, b"")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_closed_terminal_stops_a_run_as_sigterm_does(store: SessionStore) -> None:
    child = subprocess.Popen(
        command("run", "--scout", "1", "--buildings", "1", "--duration", "3000", "--realtime", "1", "-q",
                "--dir", str(store.root.path)),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # tests below nohup ignore it
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not (store.find() and store.find()[0].status == "running"):
            assert time.monotonic() < end and child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGHUP)
        assert child.wait(30) == 143
    finally:
        child.kill()
        child.wait()
    assert store.find()[0].status == "stopped"


def test_a_taken_port_names_the_option(store: SessionStore) -> None:
    pytest.importorskip("uvicorn")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            command("serve", "--port", str(taken.getsockname()[1]), "--dir", str(store.root.path)),
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 8 and "--port" in done.stderr and "Traceback" not in done.stderr


def test_the_pages_are_shown_and_a_near_topic_is_suggested(run: Run) -> None:
    assert "filter" in run("docs").out and run("docs", "filter").out.startswith("# The filter language")
    wrong = run("docs", "filtr")
    assert wrong.code == 3 and "did you mean filter?" in wrong.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("show", "Butt"), "Butterfly"), (("tail", "Butterfly", "lo"), "log"), (("list", "stat"), "status"),
        (("list", "status=com"), "status=completed"), (("list", "--columns", "session,stat"), "session,status"),
        (("docs", "fil"), "filter"), (("run", "--scenario", ""), "storm"), (("hist",), "history"),
    ],
)  # fmt: skip
def test_values_are_completed(store: SessionStore, words: tuple[str, ...], expected: str) -> None:
    with store.record("Butterfly") as session:
        session.log("hello")
    environment = {
        **os.environ, "_SESSIONSTORE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["sessionstore", *words]),
        "COMP_CWORD": str(len(words)), "SESSIONSTORE_DIR": str(store.root.path),
    }  # fmt: skip
    code = "import sys; sys.argv[0] = 'sessionstore'; from sessionstore.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert any(line.endswith(f",{expected}") or expected in line.split(",", 1)[-1] for line in done.stdout.splitlines())


def test_the_history_shows_deletions_and_restores(run: Run, store: SessionStore) -> None:
    store.create("x")
    run("delete", "x")
    run("restore", "x")
    kinds = [(change["kind"], change["undone"]) for change in json.loads(run("history", "--json").out)]
    assert kinds == [("restore", False), ("delete", True)]
    run("delete", "x")
    assert run("undo").code == 0 and store.get("x")
    kinds = [(change["kind"], change["undone"]) for change in json.loads(run("history", "x", "--json").out)]
    assert kinds == [("undo", False), ("delete", True), ("restore", False), ("delete", True)]
    assert run("history", "nothing").code == 3 and run("undo", "nothing").code != 0


def test_a_reader_that_leaves_out_or_shows_edited_records_says_so(
    run: Run, store: SessionStore, tmp_path: Path
) -> None:
    with store.record("x") as session:
        for number in range(6):
            session.log(f"line {number}")
    for arguments in (("tail", "x", "log"), ("show", "x"), ("export", "x", "--zip", "--to", str(tmp_path / "whole"))):
        assert run(*arguments).code == 0
    path = next(each for each in store.root.folder(session.session_id).glob("*.jsonl") if "line 3" in each.read_text())
    lines = path.read_text().splitlines(keepends=True)
    edited = next(number for number, line in enumerate(lines) if "line 3" in line)
    lines[edited] = lines[edited].replace("line 3", "line three")
    lines[edited + 1] = lines[edited + 1][:-20] + "\n"
    path.write_text("".join(lines))
    shown = run("tail", "x", path.stem)
    assert shown.code == 12 and "line three" in shown.out and "(edited)" in shown.out and "line 4" not in shown.out
    assert "shown as edited" in shown.err and "left out" in shown.err
    for arguments in (
        ("show", "x"),
        ("show", "x", "--json"),
        ("export", "x", "--zip", "--to", str(tmp_path / "broken")),
    ):
        result = run(*arguments)
        assert result.code == 12 and "left out" in result.err and "sessionstore verify" in result.err and result.out
    assert len(list((tmp_path / "broken").iterdir())) == 1


def test_work_of_more_than_a_second_shows_a_bar_with_rate_and_time_left(tmp_path: Path) -> None:
    program = tmp_path / "work.py"
    program.write_text(
        "import sys, time\nfrom sessionstore.cli import progress\nprogress.SHOWN_AFTER_S = float(sys.argv[1])\n"
        "with progress.progress('merging', 'sessions') as report:\n"
        "    for number in range(8):\n        time.sleep(0.03)\n        report(number + 1, 1000)\n"
    )
    shown, _ = in_terminal("0", program=program, columns=120)
    assert "merging" in shown and "of 1,000 sessions" in shown and "/s" in shown
    assert in_terminal("600", program=program) == ("", 0)
    assert in_terminal("0", program=program, NO_COLOR="1") == ("", 0)
