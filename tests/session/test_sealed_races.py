"""A stream that one process seals or unseals while another appends or reads: each line is there, once."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessionstore.disk import files
from sessionstore.errors import Conflict
from sessionstore.exchange.trees import FolderTree
from sessionstore.maintenance.repairs import sealed_repair
from sessionstore.session import sealing, stream_source
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore
from tests.small_stream import filled, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def left_over(path: Path) -> Path:
    """A sealed stream of 30 lines beside the empty plain file that a killed writer made."""
    sealing.seal_stream(filled(path, 30))
    path.touch()
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_processes_that_append_while_it_is_sealed_lose_nothing(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sessionstore.session.stream_writer import StreamWriter\n"
        "for number in range(40):\n"
        "    writer = StreamWriter(Path(sys.argv[1]), sync='os')\n"
        "    writer.append({'i': number}, t_s=1.0); writer.close()\n"
    )
    StreamWriter(path, sync="os").append({"i": -1}, t_s=1.0)
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(2)]
    sealed = 0
    while any(each.poll() is None for each in writers):
        try:
            sealed += sealing.seal_stream(path, durable=False)
        except Conflict:
            continue
    assert [each.returncode for each in writers] == [0, 0]
    lines = list(Tape(path).read())
    assert [line.n for line in lines] == list(range(81)) and sealed > 0
    assert sorted(line.data["i"] for line in lines) == sorted([-1, *range(40), *range(40)])


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_stream_that_is_sealed_again_before_the_writer_makes_its_file_is_appended_to(
    path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    sealing.seal_stream(filled(path, 30))
    create, left = files.note, [rounds]

    def sealed_meanwhile(action: str, place: object, *details: object) -> None:
        create(action, place, *details)  # type: ignore[arg-type]
        if action == "open" and str(place) == str(path) and left[0]:  # between the look and the making
            left[0] -= 1
            sealing.seal_stream(path)

    monkeypatch.setattr(files, "note", sealed_meanwhile)
    writer = StreamWriter(path)
    writer.append({"i": 30}, t_s=15.0)
    writer.close()
    assert left == [0] and [line.n for line in Tape(path).read()] == list(range(31)) == values(path)
    assert os.listdir(path.parent) == [path.name]


def test_an_empty_file_beside_a_sealed_stream_hides_no_line(left_over: Path) -> None:
    tape = Tape(left_over)
    plain = filled(left_over.with_name("other.jsonl"), 30)
    assert values(left_over) == list(range(30))
    assert tape.size() == plain.stat().st_size and tape.count() == 30 and stream_source.is_sealed(left_over)
    assert (last := tape.last()) is not None and last.n == 29
    tree = FolderTree(left_over.parent)
    assert tree.sizes[left_over.name] == plain.stat().st_size


@pytest.mark.parametrize("end", ["append", "seal", "unseal"])
def test_the_next_writer_or_seal_removes_an_empty_file_that_was_left_over(left_over: Path, end: str) -> None:
    if end == "append":
        StreamWriter(left_over).append({"i": 30}, t_s=15.0)
    elif end == "seal":
        assert not sealing.seal_stream(left_over)
    else:
        assert sealing.unseal_stream(left_over)
    assert values(left_over) == list(range(31 if end == "append" else 30))
    assert os.listdir(left_over.parent) == [left_over.name + (".gz" if end == "seal" else "")]


def test_an_empty_sealed_stream_is_unsealed_and_appended_to(path: Path) -> None:
    path.touch()
    sealing.seal_stream(path)
    assert sealing.unseal_stream(path) and os.listdir(path.parent) == [path.name]
    sealing.seal_stream(path)
    StreamWriter(path).append({"i": 0}, t_s=1.0)
    assert values(path) == [0]


def test_the_doctor_names_an_empty_file_beside_a_sealed_stream_and_ends_it(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "store")
    with store.record("flight") as run:
        for number in range(200):
            run.stream("mine").append({"i": number}, t_s=number / 2)
    session = store.get(run.session_id)
    sealing.seal(session)
    path = session.tape("mine").path
    assert stream_source.is_sealed(path)
    path.touch()
    found = [each for each in store.doctor().findings if each.code == "seal-interrupted"]
    assert len(found) == 1 and "is empty" in found[0].what and values(path) == list(range(200))
    assert sealed_repair.end_interrupted(store.root, stream_source.sealed_path(path)).startswith("removed")
    assert values(path) == list(range(200)) and not store.doctor().findings


@pytest.mark.parametrize("other", ["lines", "foreign"])
def test_sealing_removes_no_other_file_of_its_name(path: Path, other: str) -> None:
    beside = stream_source.sealed_path(path)
    if other == "lines":  # a sealed stream that the plain one does not hold
        sealing.seal_stream(filled(path, 40))
    else:
        beside.write_bytes(gzip.compress(b"notes of a person"))
    kept = beside.read_bytes()
    path.write_bytes(filled(path.with_name("other.jsonl"), 30).read_bytes())
    with pytest.raises(Conflict, match=r"decides" if other == "lines" else r"move it away"):
        sealing.seal_stream(path)
    assert beside.read_bytes() == kept and values(path) == list(range(30))
    assert sorted(each.name for each in path.parent.iterdir()) == sorted([path.name, beside.name, "other.jsonl"])
