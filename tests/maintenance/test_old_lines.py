"""A stream that a person changed: the change is accepted, or old lines are taken back from a copy that proves them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import sessionstore
from sessionstore.cli import group
from sessionstore.disk import files
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs import quarantine
from sessionstore.maintenance.repairs.old_lines import StreamCopy, take_back
from sessionstore.session.stream_line import line_bytes
from sessionstore.store import SessionStore

COUNT = 30


@pytest.fixture
def flight(store: SessionStore) -> Path:
    with store.record("flight", seed=1) as session:
        for step in range(COUNT):
            session.stream("metrics").append({"load": step / 8, "who": "Zoë"}, t_s=step / 2)
    store.find()
    return session.folder / "metrics.jsonl"


def doctor(store: SessionStore, *options: str) -> Result:
    return CliRunner().invoke(group, ["doctor", "--dir", str(store.root.path), *options])


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def change(path: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(edit(lines_of(path))))


def edited(lines: list[bytes], *numbers: int) -> list[bytes]:
    new = list(lines)
    for number in numbers:
        new[number] = lines[number].replace(b'"load":', b'"load":9', 1)
    return new


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": lambda lines: edited(lines, 3, 7, COUNT - 1),
    "deleted": lambda lines: [*lines[:4], *lines[6:9], *lines[12:]],
    "deleted at both ends": lambda lines: lines[2:-3],
    "inserted": lambda lines: [*lines[:5], b'{"load": 77}\n', *lines[5:]],
    "blank": lambda lines: [*lines[:5], b"\n", b"  \n", *lines[5:]],
    "reordered": lambda lines: [*lines[:5], lines[9], *lines[5:9], *lines[10:]],
    "repeated": lambda lines: [*lines[:5], lines[4], *lines[5:]],
    "does not parse": lambda lines: [*lines[:5], lines[5].replace(b'"load":', b'"load"', 1), *lines[6:]],
    "damaged beyond its checksum": lambda lines: [*lines[:5], b"!!\n", *lines[6:]],
    "number edited": lambda lines: [*lines[:5], lines[5].replace(b'"n":5', b'"n":50'), *lines[6:]],
    "moved and edited": lambda lines: [*lines[:5], *edited(lines, 9)[9:10], *lines[5:9], *lines[10:]],
    "laid out anew": lambda lines: [json.dumps(json.loads(line)).encode() + b"\n" for line in lines],
    "all of it": lambda lines: [*edited(lines, 2)[1:6], b"\r\n", lines[8], lines[7], b'{"x": 1}\n', *lines[9:20]],
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_old_lines_are_taken_back_byte_for_byte_from_a_copy(
    store: SessionStore, flight: Path, tmp_path: Path, name: str
) -> None:
    recorded = flight.read_bytes()
    shutil.copytree(store.root.path, tmp_path / "copy")
    change(flight, CHANGES[name])
    changed = flight.read_bytes()
    assert changed != recorded
    result = doctor(store, "--take", "old", "--from", str(tmp_path / "copy"))
    assert result.exit_code == 0, result.output
    assert flight.read_bytes() == recorded and "taken back" in result.output
    (piece,) = quarantine.pieces(store.root)
    assert piece.path.read_bytes() == changed
    assert doctor(store, "--take", "old").exit_code == 0 and len(list(quarantine.pieces(store.root))) == 1


@pytest.mark.parametrize("name", CHANGES)
def test_an_accepted_change_is_healthy_and_one_more_is_a_fault_again(
    store: SessionStore, flight: Path, name: str
) -> None:
    change(flight, CHANGES[name])
    shown = [line.data for line in store.get("flight").tape("metrics").read(damaged="skip")]
    if name in ("does not parse", "damaged beyond its checksum"):
        assert doctor(store, "--accept-edits").exit_code == 12  # there is nothing to accept before it parses
        return
    result = doctor(store, "--accept-edits", "--fix")
    assert result.exit_code == 0, result.output
    assert [line.data for line in store.get("flight").tape("metrics").read()] == shown
    accepted = flight.read_bytes()
    assert doctor(store, "--accept-edits", "--fix").exit_code == 0 and flight.read_bytes() == accepted
    if name in ("deleted", "deleted at both ends", "reordered", "repeated"):
        change(flight, lambda lines: [*lines[:14], lines[15], lines[14], *lines[17:-1]])
        assert doctor(store).exit_code == 12


def test_each_kind_of_change_is_one_finding_that_offers_both_ways(store: SessionStore, flight: Path) -> None:
    change(flight, lambda lines: [line for place, line in enumerate(edited(lines, 4, 8, 16)) if place % 4 != 2])
    change(flight, lambda lines: [lines[0], lines[2], lines[1], *lines[3:10], lines[11], lines[10], *lines[12:]])
    findings = [each for each in examine(store.root.path).findings if each.where.endswith("metrics.jsonl")]
    assert sorted(each.code for each in findings) == ["stream-changed", "stream-edited", "stream-gap"]
    for finding in findings:
        offer = finding.repair(str(store.root.path))
        assert "doctor --accept-edits" in offer and "doctor --take old" in offer


def _bundle(store: SessionStore, place: Path) -> Path:
    result = CliRunner().invoke(group, ["pack", "flight", "-o", str(place / "b.zip"), "--dir", str(store.root.path)])
    assert result.exit_code == 0, result.output
    return place / "b.zip"


def _packed_small(store: SessionStore, place: Path) -> Path:
    pytest.importorskip("zstandard", reason="zstandard is missing")
    result = CliRunner().invoke(
        group, ["pack", "flight", "-o", str(place / "b.tar.zst"), "--dir", str(store.root.path)]
    )
    assert result.exit_code == 0, result.output
    return place / "b.tar.zst"


def _session_folder(store: SessionStore, place: Path) -> Path:
    return Path(shutil.copytree(store.get("flight").folder, place / "elsewhere"))


def _stream_file(store: SessionStore, place: Path) -> Path:
    return Path(shutil.copy(store.get("flight").folder / "metrics.jsonl", place / "metrics.jsonl.monday"))


def _other_store(store: SessionStore, place: Path) -> Path:
    with sessionstore.open(place / "other") as other:
        other.merge(store.root.path)
    return place / "other"


@pytest.mark.parametrize("backup", [_bundle, _packed_small, _session_folder, _stream_file, _other_store])
def test_a_copy_may_be_a_bundle_a_folder_a_file_or_another_store(
    store: SessionStore, flight: Path, tmp_path: Path, backup: Callable[[SessionStore, Path], Path]
) -> None:
    recorded, place = flight.read_bytes(), backup(store, tmp_path)
    change(flight, lambda lines: edited([*lines[:5], *lines[7:]], 2))
    result = doctor(store, "--take", "old", "--from", str(place), "--from", str(place))
    assert result.exit_code == 0 and flight.read_bytes() == recorded, result.output
    assert f"1 edited, 2 deleted (from {place})" in result.output
    assert list(store.root.staging.iterdir()) == []


def _git_history(store: SessionStore, flight: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, *words], cwd=store.root.path, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "flown")
    change(flight, lambda lines: edited(lines, 20))
    git("commit", "-q", "-a", "-m", "edited, and committed")


def _in_trash(store: SessionStore, flight: Path) -> None:
    shutil.copytree(flight.parent, store.root.path / "202601011200-copy")
    store.delete("202601011200-copy")


def _beside(store: SessionStore, flight: Path) -> None:
    shutil.copy(flight, f"{flight}~")


def _conflict_copy(store: SessionStore, flight: Path) -> None:
    shutil.copy(flight, flight.with_name("metrics.sync-conflict-20261123-143000-ABCDEFG.jsonl"))


def _second_session(store: SessionStore, flight: Path) -> None:
    shutil.copytree(flight.parent, store.root.path / "202601011200-copy")
    assert doctor(store, "--fix").exit_code == 0  # it gets a uuid of its own, and names its original


HERE = {
    "git": _git_history, "trash": _in_trash, "metrics.jsonl~": _beside, "metrics.sync-conflict": _conflict_copy,
    "session 202601011200-copy": _second_session,
}  # fmt: skip


@pytest.mark.parametrize("label", HERE)
def test_copies_in_the_store_are_found_without_being_named(store: SessionStore, flight: Path, label: str) -> None:
    recorded = flight.read_bytes()
    HERE[label](store, flight)
    change(flight, lambda lines: edited(lines, 11))
    result = doctor(store, "--take", "old")
    assert flight.read_bytes() == recorded, result.output
    assert "edited (from" in result.output and label in result.output


def test_what_no_copy_holds_is_said_plainly_and_the_rest_is_taken_back(
    store: SessionStore, flight: Path, tmp_path: Path
) -> None:
    whole = lines_of(flight)
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(edited(whole, 7)))
    change(flight, lambda lines: edited(lines, 3, 7))
    result = doctor(store, "--take", "old", "--from", str(tmp_path / "metrics.jsonl"))
    assert result.exit_code == 12
    assert "taken back: 1 edited" in result.output and "no copy holds: 1 edited" in result.output
    assert flight.read_bytes() == b"".join(edited(whole, 7))
    result = doctor(store, "--take", "old")
    assert result.exit_code == 12 and "--from PATH, or --accept-edits" in result.output


def test_a_copy_that_holds_another_value_is_not_believed(store: SessionStore, flight: Path, tmp_path: Path) -> None:
    """The copy was edited and the edit accepted there: its checksums fit, and are not those of our lines."""
    shutil.copytree(store.root.path, tmp_path / "copy")
    copy = tmp_path / "copy" / flight.parent.name / "metrics.jsonl"
    change(copy, lambda lines: edited(lines, 3))
    with sessionstore.open(tmp_path / "copy") as other:
        assert doctor(other, "--accept-edits").exit_code == 0
    change(flight, lambda lines: [*lines[:3], lines[3].replace(b'"load":', b'"load":5', 1), *lines[4:]])
    before = flight.read_bytes()
    assert doctor(store, "--take", "old", "--from", str(tmp_path / "copy")).exit_code == 12
    assert flight.read_bytes() == before


@pytest.mark.parametrize("place", [4, 8, COUNT - 4])
def test_deleted_lines_come_only_from_a_copy_with_the_same_lines_around_them(flight: Path, place: int) -> None:
    """The line before, or the one behind, was edited in the copy, and the edit accepted there."""
    whole = flight.read_bytes().splitlines()
    lines = [*whole[:5], *whole[8:]] if place < 10 else whole[: COUNT - 3]
    other = line_bytes(b'{"load":77.0,"who":"Zo"}', place, b"%.1f" % (place / 2), b"")
    copy = b"\n".join([*whole[:place], other.rstrip(), *whole[place + 1 :]])
    restored = take_back(lines, [StreamCopy("copy", lambda: copy, same_session=True)], COUNT)
    assert restored.lines == lines and sum(restored.left.values()) == 3
    restored = take_back(lines, [StreamCopy("copy", lambda: b"\n".join(whole), same_session=True)], COUNT)
    assert restored.lines == whole and not restored.left


def test_two_lines_with_one_checksum_are_told_apart_by_their_numbers() -> None:
    def lines(number: int) -> dict[bytes, bytes]:
        words = (chance.getrandbits(64) for _ in range(150_000))
        made = (line_bytes(b'{"x":"%016x"}' % word, number, b"1.0", b"").rstrip() for word in words)
        return {line[-10:-2]: line for line in made}

    chance = random.Random(1)
    ours, theirs = lines(3), lines(20)
    checksum = next(iter(ours.keys() & theirs.keys()))
    around = [line_bytes(b'{"x":0}', number, b"1.0", b"").rstrip() for number in (2, 4)]
    edited_line = ours[checksum].replace(b'"x":"', b'"x":"7', 1)
    copy = StreamCopy("copy", lambda: theirs[checksum])
    restored = take_back([around[0], edited_line, around[1]], [copy], None)
    assert restored.lines == [around[0], edited_line, around[1]]
    copy = StreamCopy("copy", lambda: ours[checksum])
    assert take_back([around[0], edited_line, around[1]], [copy], None).lines[1] == ours[checksum]


def test_a_stream_of_another_session_gives_no_lines(store: SessionStore, flight: Path, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "other") as other, other.record("other") as session:
        for step in range(COUNT):
            session.stream("metrics").append({"load": -step}, t_s=step / 2)
    change(flight, lambda lines: [*lines[:5], *lines[8:]])
    before = flight.read_bytes()
    for place in (tmp_path / "other", session.folder / "metrics.jsonl"):
        assert doctor(store, "--take", "old", "--from", str(place)).exit_code == 12
    assert flight.read_bytes() == before


def test_a_place_without_a_copy_and_a_needless_option_are_refused(store: SessionStore, flight: Path) -> None:
    assert doctor(store, "--from", str(store.root.path)).exit_code == 2
    change(flight, lambda lines: edited(lines, 1))
    result = doctor(store, "--take", "old", "--from", str(store.root.private / "locks"))
    assert isinstance(result.exception, sessionstore.errors.SessionNotFound)


def test_a_record_that_is_being_written_stays_whatever_is_taken_back(
    store: SessionStore, flight: Path, tmp_path: Path
) -> None:
    recorded = flight.read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(recorded)
    change(flight, lambda lines: [*edited(lines, 2), b'{"n":30,"t":15.0,"lo'])
    doctor(store, "--take", "old", "--from", str(tmp_path / "metrics.jsonl"))
    assert flight.read_bytes() == recorded + b'{"n":30,"t":15.0,"lo'


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_recorder_goes_on_while_old_lines_are_taken_back(store: SessionStore, tmp_path: Path) -> None:
    with store.record("live") as session:
        metrics = session.stream("metrics")
        for step in range(10):
            metrics.append({"load": step}, t_s=step)
        path = session.folder / "metrics.jsonl"
        (tmp_path / "metrics.jsonl").write_bytes(path.read_bytes())
        change(path, lambda lines: edited(lines, 4))
        assert (
            "taken back: 1 edited" in doctor(store, "--take", "old", "--from", str(tmp_path / "metrics.jsonl")).output
        )
        metrics.append({"load": 10}, t_s=10)
    assert [line.data["load"] for line in store.get("live").tape("metrics").read()] == list(range(11))


def test_whatever_a_person_did_only_recorded_lines_come_back(store: SessionStore, flight: Path) -> None:
    """Random edits, deletions, copies and moves: each line afterwards was recorded, or is one that the person wrote."""
    recorded = flight.read_bytes()
    whole = recorded.splitlines()
    copy = StreamCopy("copy", lambda: recorded, same_session=True)
    for seed in range(300):
        chance = random.Random(seed)
        lines = list(whole)
        for _ in range(chance.randrange(1, 8)):
            place = chance.randrange(len(lines))
            match chance.randrange(6):
                case 0:
                    lines[place] = lines[place].replace(b"load", b"Load")
                case 1:
                    del lines[place]
                case 2:
                    lines.insert(chance.randrange(len(lines)), lines.pop(place))
                case 3:
                    lines.insert(place, lines[place])
                case 4:
                    lines.insert(place, chance.choice([b"", b'{"a": 1}', b"note"]))
                case 5:
                    lines[place] = lines[place][: chance.randrange(len(lines[place]) + 1)]
        restored = take_back(lines, [copy], COUNT)
        assert not restored.left, (seed, restored)
        assert [line for line in restored.lines if line in whole] == whole, seed
        assert set(restored.lines) <= {*whole, b'{"a": 1}', b"note"}, seed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill a decision half-way")
@pytest.mark.parametrize("option", ["--take", "--accept-edits"])
def test_a_decision_that_is_killed_before_any_step_can_be_made_again(
    store: SessionStore, flight: Path, tmp_path: Path, option: str
) -> None:
    words = [option, "old", "--from", str(tmp_path / "metrics.jsonl")] if option == "--take" else [option]
    (tmp_path / "metrics.jsonl").write_bytes(flight.read_bytes())
    change(flight, lambda lines: edited([*lines[:9], *lines[11:]], 4, COUNT - 3))
    for step in range(1, 80):
        copy = tmp_path / str(step)
        shutil.copytree(store.root.path, copy)
        child = os.fork()
        if child == 0:
            _decide_and_die(copy, words, step)
        killed = os.waitpid(child, 0)[1] == signal.SIGKILL
        with sessionstore.open(copy) as again:
            assert doctor(again, *words, "--fix").exit_code == 0, step
            assert len(list(again.get("flight").tape("metrics").read())) == COUNT - 2 * (option != "--take")
        if not killed:
            assert step > 5
            return
    raise AssertionError("no end of steps")


def _decide_and_die(folder: Path, words: list[str], step: int) -> None:
    left = [step]

    def count(*operation: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        files.observer = count
        with sessionstore.open(folder) as store:
            doctor(store, *words)
    finally:
        os._exit(0)
