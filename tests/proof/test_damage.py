"""T10, T11, T16: whatever lies in the folder, opening and listing give an answer, touch nothing, and stop nobody."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import Corrupt, NewerFormat, SessionGone, SessionStoreError, UnsafeFile
from sessionstore.model.row import INTERRUPTED
from sessionstore.session.stream_reader import Tape
from sessionstore.store import SessionStore
from tests.proof import operations, oracle
from tests.proof.tally import tally
from tests.proof.volumes import need, need_root


@pytest.fixture
def two(scratch: Path) -> SessionStore:
    """A store with the sessions A and B."""
    operations.begin(scratch / "store")
    return sessionstore.open(scratch / "store")


def snapshot(store: SessionStore) -> dict[str, bytes]:
    """Return the bytes of every file but the index, the locks and the quarantine, which may change."""
    own = ("index", ".sessionstore")
    return {
        str(path.relative_to(store.root.path)): path.read_bytes()
        for path in store.root.path.rglob("*")
        if path.is_file() and not str(path.relative_to(store.root.path)).startswith(own)
    }


def look_at_everything(store: SessionStore) -> dict[str, str]:
    """List, get and read; return the status of each session by its folder. Any error must be one of ours."""
    found = {}
    for row in sessionstore.open(store.root.path).find():
        found[row.session_id] = row.status
        session = store.get(row.session_id)
        with contextlib.suppress(SessionStoreError):
            _ = session.record
        with contextlib.suppress(SessionStoreError):
            list(session.tape(operations.STREAM).read())
        session.tape(operations.STREAM).check()
    return found


def document_of(store: SessionStore, name: str) -> Path:
    return store.get(name).folder / "session.json"


T10 = "T10 damaged documents, streams, indexes: cut at each byte, zeros, bits turned, foreign bytes"


def damages(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what disks, editors and copies make of a file."""
    for size in range(len(data)):
        yield f"cut at {size}", data[:size]
    for size in (1, 16, 512):
        yield f"{size} zeros behind", data + bytes(size)
        yield f"{size} zeros at the end", data[:-size] + bytes(size)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} turned", bytes(flipped)
    yield "a byte order mark", b"\xef\xbb\xbf" + data
    yield "CRLF", data.replace(b"\n", b"\r\n")
    yield "a NUL within", data[:20] + b"\0" + data[20:]
    yield "a key twice", data.replace(b'"session":', b'"session": {}, "session":', 1)
    yield "not UTF-8", data.replace(b"A", b"\xff", 1)
    yield "UTF-16", data.decode().encode("utf-16")
    yield "nested deeply", b"[" * 100_000
    yield "a huge number", b'{"session": {"1": {"rev": ' + b"9" * 10_000 + b"}}}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_damage_of_a_document_is_told_and_the_file_left_alone(
    two: SessionStore,
) -> None:
    path, other = document_of(two, "A"), two.get("B").session_id
    # Each byte costs nine cases: the list of the installed packages, 200 lines of one kind, would be most of them.
    two.get("A").update(lambda record: record["provenance"].update(packages={"tinydb": "4.9.0"}))
    whole = path.read_bytes()
    assert 1000 < len(whole) < 3000
    with tally(T10) as count:
        for what, data in damages(whole):
            path.write_bytes(data)
            found = look_at_everything(two)
            count(inputs=1)
            assert found[other] == "created", what
            assert path.read_bytes() == data, what
            if data != whole and found[path.parent.name] == "unreadable":
                with pytest.raises(SessionStoreError):
                    two.get(path.parent.name).update(notes="x")
                assert path.read_bytes() == data, what
        path.write_bytes(whole)
        assert look_at_everything(two)[path.parent.name] == "created"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_damage_of_a_stream_is_told_and_what_is_shown_was_written(
    two: SessionStore,
) -> None:
    session = two.get("A")
    writer = session.writer(operations.STREAM, "os")
    writer.extend({"v": number} for number in range(10))
    writer.close()
    path = session.stream_path(operations.STREAM)
    whole = path.read_bytes()
    written = [line.data for line in Tape(path).read()]
    with tally(T10) as count:
        for what, data in damages(whole):
            path.write_bytes(data)
            shown = [line for line in Tape(path).read(damaged="skip") if line.verified]
            count(inputs=1)
            assert [line.data for line in shown] == [written[line.n] for line in shown], what
            before = [line.n for line in shown]
            assert before == sorted(set(before)), what
            if data != whole and data.replace(b"\r\n", b"\n") != whole:
                assert not Tape(path).check().whole or len(shown) < len(written), what
            session.writer(operations.STREAM, "os").append({"v": "after"})
            shown_after = [line.data["v"] for line in Tape(path).read(damaged="skip") if line.verified]
            assert shown_after == [line.data["v"] for line in shown] + ["after"], what


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_damage_of_the_index_is_mended_from_the_folders_and_kept(
    two: SessionStore,
) -> None:
    path = two.root.path / "index.jsonl"
    whole = path.read_bytes()
    with tally(T10) as count:
        for what, data in damages(whole):
            path.write_bytes(data)
            with sessionstore.open(two.root.path) as store:
                rows = {row.session_name: row.status for row in store.find()}
                count(inputs=1)
                assert rows == {"A": "created", "B": "created"}, what
                store.get("A").update(notes="x")
                assert len(store.find()) == 2, what
    assert len(list(two.root.quarantined())) > 100


def test_swapped_files_are_told_or_read_as_what_they_are(two: SessionStore) -> None:
    document, index = document_of(two, "A"), two.root.path / "index.jsonl"
    stream = two.get("A").stream_path(operations.STREAM)
    kept = {path: path.read_bytes() for path in (document, index, stream)}
    for target in kept:
        for source in kept.values():
            target.write_bytes(source)
            found = look_at_everything(two)
            assert found[two.get("B").session_id] == "created"
        target.write_bytes(kept[target])


# ---------------------------------------------------------------- hands and copies


HANDS = pytest.mark.row("T11 copies, renames, links, times, permissions, locks removed by hand")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@HANDS
@pytest.mark.parametrize(
    "put_there",
    [
        _fifo,
        Path.mkdir,
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("/nowhere"),
        _socket,
    ],
    ids=["FIFO", "directory", "symlink", "symlink to itself", "dangling symlink", "socket"],
)
@pytest.mark.parametrize("name", ["session.json", "samples.jsonl"])
def test_what_is_no_plain_file_is_refused_and_waits_for_nobody(
    two: SessionStore, name: str, put_there: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, other = two.get("A"), two.get("B").session_id
    monkeypatch.chdir(session.folder)  # a socket's path is short
    (session.folder / name).unlink()
    put_there(Path(name) if put_there is _socket else session.folder / name)
    rows = {row.session_id: row.status for row in two.find()}
    assert rows[other] == "created"
    if name == "session.json":
        assert rows[session.session_id] == "unreadable"
        with pytest.raises(UnsafeFile):
            session.update(notes="x")
    else:
        with pytest.raises(UnsafeFile):
            list(session.tape("samples").read())
        with pytest.raises(UnsafeFile):
            session.writer("samples").append({"v": 1})


@HANDS
def test_a_copy_made_while_the_run_writes_opens_and_is_a_prefix(two: SessionStore, scratch: Path) -> None:
    need("cp")
    stop = threading.Event()
    with two.record("live", sync="os") as run:

        def write() -> None:
            number = 0
            while not stop.is_set():
                run.stream("samples").append({"v": number}, t_s=number / 10)
                run.update(metadata={"v": number})
                number += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(5):
                copy = scratch / f"copy-{number}" / run.session_id
                copy.parent.mkdir()
                while subprocess.run(["cp", "-r", str(run.folder), str(copy)], capture_output=True).returncode:
                    shutil.rmtree(copy, ignore_errors=True)  # cp stumbles over a temporary file that went
                with sessionstore.open(copy.parent) as other:
                    (row,) = other.find()
                    assert row.status in ("running", INTERRUPTED)
                    values = [line.data["v"] for line in other.get(row.session_id).tape("samples").read()]
                    assert values == list(range(len(values)))
                    other.get(row.session_id).writer("samples", "os").append({"v": "copy"})
                    assert other.get(row.session_id).tape("samples").last().data == {"v": "copy"}
        finally:
            stop.set()
            thread.join()


@HANDS
def test_a_renamed_folder_is_the_same_session_under_its_new_name(two: SessionStore) -> None:
    session, uuid = two.get("A"), two.get("A").record.uuid
    os.rename(session.folder, session.folder.with_name("renamed"))
    assert two.get("renamed").record.uuid == uuid
    assert two.get("renamed").update(notes="x").session_id == "renamed"
    with pytest.raises(SessionGone):
        session.update(notes="x")
    statuses = {row.session_id: row.status for row in two.find()}
    assert statuses["renamed"] == "created"
    assert statuses.get(session.session_id) in (None, "missing")


@HANDS
def test_a_duplicate_is_listed_beside_the_original_and_never_merged(two: SessionStore) -> None:
    session = two.get("A")
    shutil.copytree(session.folder, session.folder.with_name("copy-of-a"))
    two.get("copy-of-a").update(notes="the copy")
    rows = [row for row in two.find() if row.uuid == session.record.uuid]
    assert sorted(row.session_id for row in rows) == sorted([session.session_id, "copy-of-a"])
    assert session.record.notes == ""


@HANDS
def test_a_lock_file_that_was_deleted_costs_nothing(two: SessionStore) -> None:
    session = two.get("A")
    session.update(metadata={"v": 1})
    shutil.rmtree(two.root.private / "locks")
    session.update(lambda record: record["metadata"].update(v=record["metadata"]["v"] + 1))
    with sessionstore.open(two.root.path) as other:
        other.get("A").update(lambda record: record["metadata"].update(v=record["metadata"]["v"] + 1))
    assert session.record.metadata == {"v": 3}


@HANDS
@pytest.mark.parametrize("moment", [0, 1, 2**31, 2**33, 253402300799], ids=str)
def test_odd_times_of_files_disturb_nobody(two: SessionStore, moment: int) -> None:
    for path in two.root.path.rglob("*"):
        os.utime(path, (moment, moment))
    assert oracle.judge(two.root.path, [oracle.seen(two)[0]], power=False) == []


@HANDS
def test_a_document_that_may_not_be_read_stops_nobody_and_comes_back(scratch: Path) -> None:
    need_root()
    setpriv = need("setpriv")
    operations.begin(scratch / "store")
    python = os.path.realpath(sys.executable)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/tmp"}
    as_nobody = [setpriv, "--reuid=65534", "--clear-groups", python, "-c"]
    if subprocess.run([*as_nobody, "import sessionstore.store.store"], env=environment, cwd="/").returncode:
        pytest.skip("an interpreter that another user may run is missing")
    subprocess.run(["chmod", "-R", "a+rwX", str(scratch)], check=True)
    (document,) = (scratch / "store").glob("*-A/session.json")
    document.chmod(0)
    (scratch / "store" / "index.jsonl").unlink()  # or the list need not read it
    program = "import sys, sessionstore\nprint(sorted(row.status for row in sessionstore.open(sys.argv[1]).find()))\n"
    listing = [*as_nobody, program, str(scratch / "store")]
    assert b"['created', 'unreadable']" in subprocess.run(listing, env=environment, capture_output=True, cwd="/").stdout
    document.chmod(0o666)
    assert b"['created', 'created']" in subprocess.run(listing, env=environment, capture_output=True, cwd="/").stdout


@HANDS
def test_missing_empty_unparsable_and_newer_are_four_answers(two: SessionStore) -> None:
    path = document_of(two, "A")
    whole = path.read_bytes()
    answers = []
    for change in (
        lambda: path.write_bytes(whole.replace(b'"format": 1', b'"format": 99')),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"{"),
        path.unlink,
    ):
        change()
        with pytest.raises((Corrupt, NewerFormat)) as caught:
            two.get(path.parent.name).read()
        answers.append((type(caught.value).__name__, caught.value.reason))
    assert len(set(answers)) == 4
    assert answers[0][0] == "NewerFormat"


@HANDS
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": "1"}', b'{"format": true}'])
def test_a_broken_format_file_is_told_and_left_alone(two: SessionStore, text: bytes) -> None:
    path = two.root.private / "format.json"
    path.write_bytes(text)
    with pytest.raises(Corrupt):
        sessionstore.open(two.root.path)
    assert path.read_bytes() == text


@HANDS
def test_a_store_of_a_newer_format_is_refused_and_left_alone(two: SessionStore) -> None:
    before = snapshot(two)
    (two.root.private / "format.json").write_bytes(b'{"format": 2}')
    with pytest.raises(NewerFormat):
        sessionstore.open(two.root.path)
    assert snapshot(two) == before


@HANDS
def test_a_lost_format_file_is_written_again_and_nothing_else_changes(two: SessionStore) -> None:
    (two.root.private / "format.json").unlink()
    assert oracle.judge(two.root.path, [oracle.seen(two)[0]], power=False) == []
    assert json.loads((two.root.private / "format.json").read_text())["format"] == 1


# ---------------------------------------------------------------- clocks


@pytest.mark.row("T12 clocks that jump, by faketime")
@pytest.mark.parametrize("jump", ["-400d", "+400d", "-1h"])
def test_a_clock_that_jumps_changes_no_answer(two: SessionStore, jump: str) -> None:
    """T12: another process whose clock is wrong creates, updates, appends, deletes and sweeps."""
    faketime = need("faketime")
    program = (
        "import sys, sessionstore\n"
        "store = sessionstore.open(sys.argv[1])\n"
        "made = store.create('C', metadata={'v': 5})\n"
        "store.get('A').update(metadata={'v': 6})\n"
        "store.get('A').update(metadata={'v': 7})\n"
        "writer = store.get('A').writer('samples', 'full')\n"
        "writer.append({'v': 2})\n"
        "writer.close()\n"
        "store.delete('B')\n"
        "assert sorted(row.session_name for row in store.find()) == ['A', 'C', 'R']\n"
        "store.restore(store.trash()[0].entry_id)\n"
    )
    with two.record("R") as run:
        environment = {**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [faketime, "-f", jump, sys.executable, "-c", program, str(two.root.path)],
            env=environment, capture_output=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        run.event("still recording")
    found, wrong = oracle.seen(two)
    assert wrong == []
    assert found.live["A"].value == 7
    assert found.live["A"].lines == (1, 2)
    assert sorted(found.live) == ["A", "B", "C", "R"]
