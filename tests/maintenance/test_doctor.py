"""The doctor finds each thing that can be wrong, names the place, and writes nothing while it looks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sessionstore.disk import files
from sessionstore.maintenance.checks.index_rows import RANGES
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.findings import CATALOGUE, Finding, Report
from sessionstore.store import SessionStore


def found(store: SessionStore, deep: bool = True) -> dict[str, Finding]:
    """Return the findings of an examination by code."""
    return {finding.code: finding for finding in examine(store.root.path, deep=deep).findings}


def recorded(store: SessionStore, name: str = "flight", points: int = 20) -> str:
    """Return the id of a session that was recorded and has ended."""
    with store.record(name, metadata={"pilot": "Ada"}) as session:
        for step in range(points):
            session.motion.append("scout-1", t_s=step * 0.1, position_m=(step * 0.5, 0, 5))
        session.event("landed", "at the base", t_s=points * 0.1)
    return session.session_id


def crashed(store: SessionStore, name: str = "crash") -> str:
    """Return the id of a session whose recording process was killed by itself, half-way through."""
    program = (
        "import os, signal, sys, sessionstore\n"
        f"session = sessionstore.open(sys.argv[1]).record({name!r})\n"
        "for step in range(50):\n"
        "    session.motion.append('scout-1', t_s=step * 0.1, position_m=(step, 0, 5))\n"
        "session.event('takeoff', 'from the base', t_s=1.5)\n"
        "print(session.session_id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(store.root.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    return done.stdout.strip()


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the content and the time of every file."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_a_store_in_use_is_healthy(store: SessionStore) -> None:
    recorded(store)
    report = examine(store.root.path)
    assert report.healthy, report.findings
    assert (report.sessions, report.lines >= 21) == (1, True)


def test_a_store_sends_for_its_doctor(store: SessionStore) -> None:
    session_id = crashed(store)
    assert [finding.session_id for finding in store.doctor(deep=False).findings] == [session_id]


def test_a_folder_that_is_no_store_yet_is_healthy_and_stays_untouched(tmp_path: Path) -> None:
    assert examine(tmp_path / "nothing").healthy
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_killed_is_found_with_its_reason_and_last_words(store: SessionStore) -> None:
    session_id = crashed(store)
    finding = found(store, deep=False)["interrupted"]
    assert finding.session_id == session_id
    assert "is gone" in finding.what and "takeoff from the base" in finding.what
    assert finding.data["last_events"][-1]["kind"] == "takeoff"


def test_a_run_in_progress_is_no_finding_even_with_half_a_line(store: SessionStore) -> None:
    with store.record("now") as session:
        session.motion.append("scout-1", t_s=0.1, position_m=(0, 0, 0))
        with open(session.folder / "motion_history.jsonl", "ab") as stream:
            stream.write(b'{"n":1,"t":0.2')
        assert set(found(store)) == set()


@pytest.mark.parametrize("deep", [True, False])
def test_a_document_that_does_not_parse_is_told_with_line_and_column(store: SessionStore, deep: bool) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    path.write_text(path.read_text().replace('"status": ', '"status" '))
    finding = found(store, deep)["document-unreadable"]
    assert finding.what.startswith(f"line {finding.data['line']}, column") and finding.data["line"] > 1


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b" \n"])
def test_a_document_that_is_empty_or_zeros_counts_as_missing(store: SessionStore, content: bytes) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    path.write_bytes(content)
    assert "document-missing" in found(store)
    path.unlink()
    assert "document-missing" in found(store, deep=False)


def test_a_newer_document_and_a_newer_store_are_left_alone(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    assert "document-newer" in found(store)
    (store.root.private / "format.json").write_text('{"format": 99}')
    assert [finding.code for finding in examine(store.root.path).findings] == ["format-newer"]
    (store.root.private / "format.json").write_text("{")
    assert "format-unreadable" in found(store)


def test_all_that_is_wrong_with_a_record_is_said_at_once_each_with_its_place(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    lines = path.read_text().splitlines(keepends=True)
    wrong, places = {"status": '"landed"', "rev": '"two"', "duration_sim_s": "[1]"}, {}
    for at, line in enumerate(lines):
        key, _, _ = line.partition(":")
        if (name := key.strip().strip('"')) in wrong and name not in places:
            lines[at] = f"{key}: {wrong[name]},\n"
            places[name] = at + 1
    path.write_text("".join(lines))
    what = found(store)["document-unreadable"].what
    assert len(places) == 3 and what.startswith("line ")
    for name, line in places.items():
        assert f"line {line}, column " in what and f"{name}: " in what, what


def test_damage_inside_a_stream_is_told_with_its_byte(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "motion_history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    at = sum(map(len, lines[:7]))
    path.write_bytes(b"".join(lines[:7]) + lines[7].replace(b"scout-1", b"scout-9") + b"".join(lines[8:]))
    assert f"at line 8, byte {at})" in found(store)["stream-edited"].what
    path.write_bytes(b"".join(lines[:7]) + lines[7].replace(b'scout-1"', b"scout-1 ") + b"".join(lines[8:]))
    finding = found(store)["stream-damaged"]
    assert f"1 damaged line, at line 8, byte {at}: does not parse" in finding.what
    assert finding.data["ranges"] == [[at, at + len(lines[7])]]
    assert "stream-damaged" not in found(store, deep=False)  # the quick check trusts sessions that have ended


def test_a_line_cut_out_and_lines_swapped_are_gaps(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "motion_history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7] + lines[8:]))
    assert "number 8 where 7 was expected" in found(store)["stream-gap"].what
    path.write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert found(store)["stream-changed"].data["kind"] == "reordered"


@pytest.mark.parametrize("tail", [b'{"n":20,"t"', b"\0\0\0", b'{"n":20,"t":3.0,\0\0\n'])
def test_a_torn_end_is_told_with_its_bytes(store: SessionStore, tail: bytes) -> None:
    path = store.root.folder(recorded(store)) / "motion_history.jsonl"
    size = path.stat().st_size
    with open(path, "ab") as stream:
        stream.write(tail)
    finding = found(store)["stream-torn"]
    assert finding.data == {"offset": size, "bytes": len(tail)}
    assert "stream-damaged" not in found(store)


def test_lines_written_by_hand_are_told_as_unverified(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "events.jsonl"
    with open(path, "a") as stream:
        stream.write('{"kind": "note", "message": "written by hand"}\n')
    assert examine(store.root.path).healthy
    assert "1 of " in found(store)["stream-unverified"].what


def test_two_copies_in_one_store_are_reported_and_the_original_is_known(store: SessionStore) -> None:
    session_id = recorded(store)
    shutil.copytree(store.root.folder(session_id), store.root.folder("000-a-copy-that-sorts-first"))
    for deep in (True, False):
        finding = found(store, deep)["uuid-twice"]
        assert finding.session_id == "000-a-copy-that-sorts-first"
        assert finding.data["original"] == session_id


def test_rows_and_folders_are_compared(store: SessionStore) -> None:
    gone, kept, edited = (recorded(store, name) for name in ("gone", "kept", "edited"))
    store.find()
    shutil.rmtree(store.root.folder(gone))
    shutil.copytree(store.root.folder(kept), store.root.folder("copied-in"))
    path = store.root.folder(edited) / "session.json"
    path.write_text(path.read_text().replace("Ada", "Grace"))
    seen = found(store, deep=False)
    assert seen["folder-missing"].session_id == gone and "20 points" in seen["folder-missing"].what
    assert seen["row-absent"].data["sessions"] == ["copied-in"]
    assert seen["index-behind"].data["sessions"] == [edited]


def test_the_next_engine_is_recommended_before_the_range_of_this_one_ends(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        store.create("small")
    assert "journal-outgrown" not in found(store)
    monkeypatch.setitem(RANGES, "journal", 6)
    told = found(store)["journal-outgrown"]
    assert told.what == "5 sessions of 6 that it is for"
    assert told.repair(str(store.root.path), " --dir here") == "sessionstore migrate --to sqlite: --dir here"


def test_a_damaged_index_is_told_and_the_sessions_are_checked_all_the_same(store: SessionStore) -> None:
    recorded(store)
    path = store.root.path / "index.jsonl"
    path.write_bytes(path.read_bytes().replace(b"flight", b"FLIGHT", 1))
    report = examine(store.root.path)
    assert [finding.code for finding in report.findings] == ["index-damaged"]
    assert report.sessions == 1 and report.lines > 20


def test_links_pipes_and_folders_in_place_of_files_are_refused(store: SessionStore, tmp_path: Path) -> None:
    folder = store.root.folder(recorded(store))
    os.mkfifo(folder / "log.jsonl")
    (folder / "metrics.jsonl").symlink_to("/etc/passwd")
    (folder / "commands.jsonl").mkdir()
    unsafe = {each.where for each in examine(store.root.path).findings if each.code == "unsafe-file"}
    assert unsafe == {f"{folder.name}/{name}.jsonl" for name in ("log", "metrics", "commands")}


def test_folders_that_are_no_sessions_are_told_apart(store: SessionStore) -> None:
    recorded(store)
    for name in ("202601011200-empty", "foreign", "legacy"):
        store.root.folder(name).mkdir()
    (store.root.folder("foreign") / "notes.txt").write_text("mine")
    (store.root.folder("legacy") / "motion_history.json").write_text("{}")
    seen = found(store)
    assert seen["folder-empty"].session_id == "202601011200-empty"
    assert seen["folder-foreign"].session_id == "foreign"
    assert seen["folder-legacy"].repair("/s").startswith("sessionstore import-legacy /s/legacy")


def test_leftovers_of_crashes_are_told_once_they_are_old(store: SessionStore) -> None:
    folder = store.root.folder(recorded(store))
    staged, hollow = store.root.staging / "half", store.root.trash / "0190b1a0-0000-7000-8000-000000000000"
    staged.mkdir()
    hollow.mkdir()
    (folder / ".tmp-1-0123abcd").write_text("half a document")
    assert found(store) == {}
    long_ago = time.time() - 3600
    for path in (staged, hollow, folder / ".tmp-1-0123abcd"):
        os.utime(path, (long_ago, long_ago))
    assert set(found(store)) == {"staging-left", "trash-hollow", "temp-left"}


def test_trash_and_quarantine_are_told_with_their_size(store: SessionStore) -> None:
    store.delete(recorded(store))
    store.root.quarantine(store.root.path / "x" / "log.jsonl", 5, b"bytes")
    seen = found(store)
    assert seen["trash-size"].what.startswith("1 deleted session,")
    assert seen["quarantine-size"].what.startswith("1 piece,")


def test_artifacts_are_compared_with_the_record(store: SessionStore) -> None:
    session = store.get(recorded(store))
    (session.folder / "artifacts").mkdir()
    (session.folder / "artifacts" / "a.bin").write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    names = ("a.bin", "gone.bin", "../../outside.bin")
    session.update(artifacts=[{"name": name, "size": 3, "sha256": digest} for name in names])
    assert set(found(store)) == {"artifact-missing", "unsafe-file"}
    (session.folder / "artifacts" / "a.bin").write_bytes(b"abd")
    assert "artifact-changed" in found(store)


def test_a_clock_that_lags_and_times_from_the_future_are_told(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    monkeypatch.setattr(time, "time", lambda real=time.time: real() - 7200)
    seen = found(store)
    assert "time-ahead" in seen and "clock-behind" in seen
    assert seen["time-ahead"].where == f"{path.parent.name}/session.json"


def test_a_full_disk_is_told(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(store)
    real = os.statvfs(store.root.path)

    class Nearly:
        f_frsize, f_files, f_bavail, f_favail = real.f_frsize, 1000, 1, 3

    monkeypatch.setattr(os, "statvfs", lambda path: Nearly)
    assert {"space-out", "inodes-low"} <= set(found(store))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become nobody")
def test_a_folder_that_may_not_be_written_is_told(store: SessionStore) -> None:
    recorded(store)
    program = (
        "import sys\nfrom sessionstore.maintenance.doctor import examine\n"
        "print(*sorted({f.code for f in examine(sys.argv[1]).findings}))"
    )
    outer = [path for path in store.root.path.parents if path.stat().st_mode & 0o005 != 0o005]
    for path in outer:
        path.chmod(0o755)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", program, str(store.root.path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["not-writable"], done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become nobody")
def test_files_that_may_not_be_read_are_told_and_stop_nobody(store: SessionStore) -> None:
    folder, other = store.root.folder(recorded(store, "one")), store.root.folder(recorded(store, "two"))
    (folder / "session.json").chmod(0)
    (other / "events.jsonl").chmod(0)
    hidden = store.root.folder(recorded(store, "three"))
    hidden.chmod(0)
    for path in [path for path in store.root.path.parents if path.stat().st_mode & 0o005 != 0o005]:
        path.chmod(0o755)
    program = (
        "import sys\nfrom sessionstore.maintenance.doctor import examine\n"
        "print(*sorted(f.where for f in examine(sys.argv[1]).findings if f.code == 'unreadable-file'), sep='\\n')"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", program, str(store.root.path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    hidden.chmod(0o755)
    wanted = sorted([f"{folder.name}/session.json", f"{other.name}/events.jsonl", hidden.name])
    assert done.stdout.split() == wanted, done.stderr


@pytest.mark.parametrize("deep", [True, False])
def test_looking_writes_nothing_whatever_it_finds(store: SessionStore, deep: bool) -> None:
    whole, broken = recorded(store, "whole"), recorded(store, "broken")
    crashed(store)
    shutil.copytree(store.root.folder(whole), store.root.folder("copy"))
    (store.root.folder(broken) / "session.json").write_text("{")
    with open(store.root.folder(whole) / "motion_history.jsonl", "ab") as stream:
        stream.write(b"torn")
    with open(store.root.path / "index.jsonl", "ab") as stream:
        stream.write(b"torn")
    before, operations = snapshot(store.root.path), []
    files.observer = lambda *operation: operations.append(operation)
    assert not examine(store.root.path, deep=deep).healthy
    assert snapshot(store.root.path) == before
    assert operations == []


def test_every_kind_says_why_it_matters_and_what_repairs_it_and_reports_as_json() -> None:
    for code, kind in CATALOGUE.items():
        finding = Finding(code, "somewhere", "something", "an-id")
        assert kind.why and finding.repair("/s") and finding.severity == kind.severity
        assert json.loads(json.dumps(Report("here", True, findings=[finding]).to_dict()))["findings"][0]["code"] == code


@pytest.mark.slow
def test_the_quick_check_of_2000_sessions_reads_no_document_twice(store: SessionStore) -> None:
    """The full figure (10,000 in under 2 s) is measured by hand; here the work done is held, not the clock."""
    session_id = store.create("many").session_id
    for number in range(2000):
        shutil.copytree(store.root.folder(session_id), store.root.folder(f"202601010000-{number}"))
    store.rebuild()
    opened: list[str] = []
    real = files.open_to_read
    try:
        files.open_to_read = lambda path: (opened.append(str(path)), real(path))[1]  # type: ignore[assignment]
        report = examine(store.root.path, deep=False)
    finally:
        files.open_to_read = real
    assert report.sessions == 2001
    documents = [path for path in opened if path.endswith("session.json")]
    assert len(documents) <= 2001  # only to tell the original among the copies


def test_records_cut_off_or_removed_after_the_run_are_noticed(store: SessionStore) -> None:
    with store.record("flight") as session:
        for number in range(5):
            session.log(str(number))
            session.event("tick", str(number))
    log = session.folder / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:3]))
    (session.folder / "events.jsonl").unlink()
    short = [finding for finding in store.doctor().findings if finding.code == "stream-short"]
    assert [finding.what for finding in short] == [
        "0 of the 5 records that the run ended with", "3 of the 5 records that the run ended with",
    ]  # fmt: skip


def test_a_stream_that_another_folder_shares_by_a_hard_link_is_told_with_what_parts_them(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "events.jsonl"
    os.link(path, store.root.path.parent / "copy.jsonl")
    finding = found(store)["file-shared"]
    subprocess.run(["sh", "-c", finding.repair(str(store.root.path))], check=True)
    assert path.stat().st_nlink == 1 and found(store) == {}


def test_a_stream_of_another_session_is_an_error(store: SessionStore) -> None:
    one, other = store.root.folder(recorded(store, "one")), store.root.folder(recorded(store, "other"))
    assert "stream-foreign" not in found(store)
    (one / "clock.jsonl").write_bytes((other / "clock.jsonl").read_bytes())
    assert "stream-foreign" in found(store)
