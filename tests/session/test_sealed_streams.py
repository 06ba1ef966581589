"""A sealed stream gives every answer of the plain one, before and after appending, and bytes that are the same."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstore.disk import files
from sessionstore.errors import Conflict, Corrupt, SessionStoreError, UnsafeFile
from sessionstore.session import sealed_file, sealed_form, sealed_member, sealing, stream_source
from sessionstore.session.stream_reader import Damage, Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore
from tests.small_stream import filled, values


@pytest.fixture(autouse=True)
def _small_members(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Members of 300 bytes, inflated in pieces of 16, so that a few lines have many of them."""
    for module in (sealed_form, sealing):
        monkeypatch.setattr(module, "MEMBER_BYTES", 300)
    monkeypatch.setattr(sealed_member, "_STEP", 16)
    monkeypatch.setattr(sealing, "SMALLEST_BYTES", 1)
    yield
    sealed_file.kept.forget()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def sealed_of(path: Path) -> Path:
    return stream_source.sealed_path(path)


def members_of(path: Path) -> tuple[sealed_form.Member, ...]:
    with stream_source.opened_sealed(sealed_of(path)) as found:
        return found.index.members


# ---------------------------------------------------------------- every answer

TIMES = st.one_of(st.none(), st.integers(-3, 40).map(lambda number: number / 4))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), TIMES, st.text(max_size=60)),
        st.tuples(st.just("many"), TIMES, st.integers(1, 12)),
        st.tuples(st.just("attempt"), st.integers(0, 30).map(lambda number: number / 4), st.none()),
        st.tuples(st.just("mark"), st.none(), st.text(max_size=5)),
        st.tuples(
            st.just("bytes"),
            st.none(),
            st.sampled_from(
                [b"\n", b"{}\n", b'{"i":7}\n', b"not json\n", b'{"n":3,"t":\n', b"\xff\n", b'{"i":1}\r\n', b"x" * 700]
            ),
        ),
    ),
    max_size=25,
)
ENDS = st.sampled_from([b"", b"", b'{"n":99,"t":1', b'{"i":5}', b"\0\0\0"])


def written(path: Path, steps: list[Any], end: bytes) -> None:
    for kind, first, second in steps:
        if kind == "bytes":
            with path.open("ab") as file:
                file.write(second)
            continue
        writer = StreamWriter(path, sync="os", quarantine=lambda *_: None)
        if kind == "append":
            writer.append({"text": second, "x": [1.5, len(second)]}, t_s=first)
        elif kind == "many":
            writer.extend([{"i": number, "drone": f"d{number % 3}"} for number in range(second)], t_s=first)
        elif kind == "attempt":
            writer.begin_attempt(first)
        else:
            writer.mark({"said": second})
        writer.close()
    with path.open("ab") as file:
        file.write(end)


def answers(path: Path) -> list[Any]:
    """Return what each public reading of a stream says."""
    tape = Tape(path)
    ask: list[Any] = [
        tape.exists, tape.size, tape.bounds, tape.order, tape.marks, tape.encoding, tape.attempts, tape.last,
        tape.count, tape.check, lambda: [(each.kind, each.count, each.offset) for each in tape.remarks()],
        lambda: tape.has_a_value_twice("drone"), lambda: repr(tape), tape._repr_html_,
        lambda: list(tape.follow(0, stop=lambda: True)),
    ]  # fmt: skip
    ask += [lambda t=t: tape.seek(t) for t in (-5.0, 0.0, 0.25, 1.0, 2.5, 9.75, 50.0)]
    ask += [lambda n=n: tape.last_lines(n) for n in (0, 1, 2, 7, 100)]
    ask += [lambda at=at: tape.line_at(at) for at in (0, 1, 299, 300, 301, 900)]
    windows = [(None, None), (0.5, None), (None, 2.0), (1.0, 5.0), (50.0, None)]
    for low, high in windows:
        ask += [
            lambda a=low, b=high: list(tape.read(from_s=a, to_s=b, damaged="skip")),
            lambda a=low, b=high: list(tape.in_time(a, b)),
            lambda a=low, b=high: tape.span(a, b),
            lambda a=low, b=high: plain(tape.columns("t", "n", "i", "text", from_s=a, to_s=b)),
        ]
    found: list[Damage] = []
    ask += [lambda: list(tape.read()), lambda: list(tape.read(damaged="skip", on_damage=found.append)), lambda: found]
    return [said(each) for each in ask]


def plain(columns: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [repr(value) for value in values] for name, values in columns.items()}


def said(ask: Any) -> Any:
    """Return an answer, or the error in its place (its text names the file)."""
    try:
        found = ask()
    except SessionStoreError as error:
        return type(error), getattr(error, "offset", None)
    return repr(found) if isinstance(found, float) or type(found).__name__ == "StreamCheck" else found


@pytest.mark.filterwarnings("ignore:.*left out")
@settings(max_examples=60)
@given(steps=STEPS, end=ENDS, times=st.lists(st.floats(-5, 20), max_size=5))
def test_a_sealed_stream_gives_every_answer_of_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], end: bytes, times: list[float]
) -> None:
    path = tmp_path_factory.mktemp("s") / "events.jsonl"
    written(path, steps, end)
    content, before, places = path.read_bytes(), answers(path), [Tape(path).seek(t) for t in times]
    before = [remarkless(each) for each in before]
    assert sealing.seal_stream(path) and not path.exists()
    assert gzip.decompress(sealed_of(path).read_bytes()) == content
    assert [remarkless(each) for each in answers(path)] == before
    assert [Tape(path).seek(t) for t in times] == places
    assert sealing.unseal_stream(path)
    assert path.read_bytes() == content and os.listdir(path.parent) == [path.name]


def remarkless(answer: Any) -> Any:
    """Leave out where in memory the parts of an answer are."""
    return answer.partition("remarks=<")[0] if isinstance(answer, str) else answer


def test_a_seek_in_a_sealed_stream_inflates_no_more_than_two_members_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sealed_form, sealing):
        monkeypatch.setattr(module, "MEMBER_BYTES", 1 << 15)
    monkeypatch.setattr(sealed_member, "_STEP", 1 << 10)
    tape, moments = Tape(filled(path, 10_000)), range(0, 5_000, 371)
    wanted = [tape.seek(t) for t in moments]
    sealing.seal_stream(path)
    count, whole = len(members_of(path)), list[int]()
    monkeypatch.setattr(sealed_file.SealedFile, "_note", lambda _, number, found: whole.append(number))
    for t, place in zip(moments, wanted, strict=True):
        whole.clear()
        assert tape.seek(t) == place and len(set(whole)) <= 2
    assert count > 10


def test_other_encodings_are_sealed_as_they_are(path: Path) -> None:
    filled(path, 40)
    path.write_bytes(path.read_text().encode("utf-16"))
    before, content = [line.data for line in Tape(path).read()], path.read_bytes()
    assert len(before) == 40 and sealing.seal_stream(path)
    assert [line.data for line in Tape(path).read()] == before
    assert gzip.decompress(sealed_of(path).read_bytes()) == content


# ---------------------------------------------------------------- the file


def test_the_commands_of_gzip_read_a_sealed_stream(path: Path) -> None:
    content = filled(path, 50).read_bytes()
    sealing.seal_stream(path)
    assert subprocess.run(["zcat", str(sealed_of(path))], capture_output=True, check=True).stdout == content
    subprocess.run(["gzip", "-t", str(sealed_of(path))], check=True)


def test_each_member_holds_whole_lines_and_stands_alone(path: Path) -> None:
    filled(path, 50)
    sealing.seal_stream(path)
    data = sealed_of(path).read_bytes()
    for member in members_of(path):
        lines = gzip.decompress(data[member.start : member.start + member.size])
        assert len(lines) == member.length <= 300 and lines.endswith(b"\n") and lines.startswith(b"{")


def test_more_members_than_one_index_holds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_form, "_ENTRIES", 3)
    filled(path, 100)
    sealing.seal_stream(path)
    with stream_source.opened_sealed(sealed_of(path)) as found:
        assert len(found.index.members) > 9 and found.index.found_again is None
    assert values(path) == list(range(100))


def test_the_same_stream_gives_the_same_sealed_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sealing.seal_stream(filled(tmp_path / f"{name}.jsonl", 60))
    assert sealed_of(tmp_path / "a.jsonl").read_bytes() == sealed_of(tmp_path / "b.jsonl").read_bytes()


def test_rights_and_time_of_the_file_stay(path: Path) -> None:
    filled(path, 20)
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    sealing.seal_stream(path)
    found = sealed_of(path).stat()
    assert (found.st_mode & 0o777, found.st_mtime) == (0o640, 1_000_000_000)
    sealing.unseal_stream(path)
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime) == (0o640, 1_000_000_000)


# ---------------------------------------------------------------- damage


def damaged(path: Path, number: int, place: int = 40) -> tuple[int, int]:
    """Turn bytes within one member, and return where its lines are."""
    member = members_of(path)[number]
    data = bytearray(sealed_of(path).read_bytes())
    for at in range(member.start + place, member.start + member.size - 8, 7):
        data[at] ^= 0xFF
    sealed_of(path).write_bytes(data)
    return member.begin, member.end


def test_a_damaged_member_loses_only_its_own_lines(path: Path) -> None:
    before = list(Tape(filled(path, 100)).read())
    sealing.seal_stream(path)
    begin, end = damaged(path, 5)
    found: list[Damage] = []
    lines = list(Tape(path).read(damaged="skip", on_damage=found.append))
    kept = [line for line in before if not begin <= line.offset < end]
    assert [line for line in lines if not begin <= line.offset < end] == kept
    assert any("sealed stream" in each.reason for each in found)
    assert all(begin <= each.offset < end for each in found if not each.whole)
    with pytest.raises(Corrupt):
        list(Tape(path).read())
    with pytest.raises(Corrupt, match="member 5"):
        sealing.unseal_stream(path)
    assert not path.exists() and Tape(path).size() == before[-1].end


def test_what_a_damaged_member_inflates_to_is_read_only_where_a_checksum_proves_it(path: Path) -> None:
    filled(path, 100)
    edited = path.read_bytes().splitlines(keepends=True)
    edited[10] = edited[10].replace(b'"i":10', b'"i":-1')  # by hand: read as it is, as long as its member is whole
    path.write_bytes(b"".join(edited))
    sealing.seal_stream(path)
    assert -1 in values(path)
    member = next(each for each in members_of(path) if each.begin <= len(b"".join(edited[:10])) < each.end)
    data = bytearray(sealed_of(path).read_bytes())
    data[member.start + member.size - 8] ^= (
        1  # its checksum: all its lines are there, but nothing proves the edited one
    )
    sealed_of(path).write_bytes(data)
    read = [line.data["i"] for line in Tape(path).read(damaged="skip")]
    assert read == [each for each in range(100) if each != 10]
    assert not (check := Tape(path).check()).whole and "checksum" in str(check.sealed_form)


def test_a_stream_that_lost_its_index_is_not_called_whole(path: Path) -> None:
    filled(path, 100)
    sealing.seal_stream(path)
    last = members_of(path)[-1]
    sealed_of(path).write_bytes(sealed_of(path).read_bytes()[: last.start])
    assert values(path) == list(range(len(values(path)))) and not Tape(path).check().whole


def test_a_damaged_header_of_a_member_loses_nothing(path: Path) -> None:
    filled(path, 100)
    sealing.seal_stream(path)
    member = members_of(path)[3]
    data = bytearray(sealed_of(path).read_bytes())
    data[member.start : member.start + 24] = bytes(24)
    sealed_of(path).write_bytes(data)
    assert values(path) == list(range(100))


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.1])
def test_a_sealed_stream_whose_end_was_cut_reads_up_to_there(path: Path, kept: float) -> None:
    filled(path, 200)
    sealing.seal_stream(path)
    data = sealed_of(path).read_bytes()
    cut = int(len(data) * kept)
    whole = sum(member.length for member in members_of(path) if member.start + member.size <= cut)
    sealed_of(path).write_bytes(data[:cut])
    lines = list(Tape(path).read(damaged="skip"))
    assert [line.data["i"] for line in lines] == list(range(len(lines)))
    assert lines[-1].end >= whole


@pytest.mark.parametrize("place", range(-70, 0, 5))
def test_a_damaged_index_is_found_again(path: Path, place: int) -> None:
    filled(path, 100)
    sealing.seal_stream(path)
    data = bytearray(sealed_of(path).read_bytes())
    data[place] ^= 0x55
    sealed_of(path).write_bytes(data)
    assert values(path) == list(range(100))
    assert sealing.unseal_stream(path) and values(path) == list(range(100))


def test_a_file_that_gzip_made_is_refused_and_named(path: Path) -> None:
    filled(path, 10)
    sealed_of(path).write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    with pytest.raises(Corrupt, match="gunzip"):
        values(path)


# ---------------------------------------------------------------- order of steps


def test_a_stop_at_any_step_leaves_one_whole_stream(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The observer raises before each change of the disk, once for each of them."""
    filled(path, 60)

    class Stopped(BaseException):
        pass

    for step in (sealing.seal_stream, sealing.unseal_stream):
        for stop in range(1, 100):
            seen: list[str] = []

            def watch(operation: str, *_: object, seen: list[str] = seen, stop: int = stop) -> None:
                seen.append(operation)
                if len(seen) >= stop:
                    raise Stopped

            monkeypatch.setattr(files, "observer", watch)
            try:
                step(path)
                break
            except Stopped:
                pass
            finally:
                monkeypatch.setattr(files, "observer", None)
            assert values(path) == list(range(60)), (step, seen)
            for left in path.parent.glob(".tmp-*"):
                left.unlink()
        assert stop > 5, "each step was stopped"
        assert values(path) == list(range(60))
        assert len(os.listdir(path.parent)) == 1


def test_where_both_are_there_the_plain_one_counts_and_the_other_goes(path: Path) -> None:
    filled(path, 30)
    sealing.seal_stream(path)
    old = sealed_of(path).read_bytes()
    sealing.unseal_stream(path)
    StreamWriter(path).append({"i": 30}, t_s=15.0)
    sealed_of(path).write_bytes(old)
    assert values(path) == list(range(31))
    assert sealing.unseal_stream(path) and os.listdir(path.parent) == [path.name]
    sealed_of(path).write_bytes(old)
    assert sealing.seal_stream(path) and values(path) == list(range(31)) and not path.exists()
    path.write_bytes(b'{"i":-1}\n')
    with pytest.raises(Conflict, match="doctor"):
        sealing.unseal_stream(path)
    assert values(path) == [-1] and sealed_of(path).exists()


def test_a_stream_that_grows_while_it_is_sealed_stays_plain(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 30)
    prove = sealing._prove

    def late(*given: Any) -> None:
        prove(*given)
        StreamWriter(path).append({"i": 30}, t_s=15.0)

    monkeypatch.setattr(sealing, "_prove", late)
    with pytest.raises(Conflict, match="being written"):
        sealing.seal_stream(path)
    assert values(path) == list(range(31)) and os.listdir(path.parent) == [path.name]


def test_a_stream_with_a_second_name_is_not_sealed(path: Path) -> None:
    os.link(filled(path, 30), path.with_name("other"))
    with pytest.raises(UnsafeFile):
        sealing.seal_stream(path)
    assert values(path) == list(range(30))


# ---------------------------------------------------------------- writers


def test_appending_unseals_and_goes_on_with_the_numbers(path: Path) -> None:
    filled(path, 30)
    open_writer = StreamWriter(path)
    open_writer.append({"i": 30}, t_s=15.0)  # keeps its file open
    sealing.seal_stream(path)
    open_writer.append({"i": 31}, t_s=15.5)
    assert [line.n for line in Tape(path).read()] == list(range(32)) and not sealed_of(path).exists()
    sealing.seal_stream(path)
    StreamWriter(path).append({"i": 32}, t_s=16.0)
    assert values(path) == list(range(33)) and os.listdir(path.parent) == [path.name]


# ---------------------------------------------------------------- sessions


def test_a_session_is_sealed_once_it_has_ended_and_goes_on_when_it_is_started_again(store: SessionStore) -> None:
    with store.record("flight") as run:
        for number in range(50):
            run.stream("loss").append({"i": number}, t_s=number * 0.1)
        with pytest.raises(Conflict, match="ended"):
            store.get(run.session_id).seal()
        assert not list(run.folder.glob("*.gz"))
    session = store.get(run.session_id)
    streams = {each.stream: each for each in session.seal()}
    assert streams["loss"].sealed and streams["loss"].changed
    assert not list(session.folder.glob("*.jsonl")) and set(session.tapes()) == set(streams)
    assert [line.data["i"] for line in session.tape("loss").read()] == list(range(50))
    assert not any(each.changed for each in session.seal())
    session.writer("loss").append({"i": 50}, t_s=9.0)
    assert session.tape("loss").count() == 51
    session.unseal()
    assert not list(session.folder.glob("*.gz")) and set(session.tapes()) == set(streams)
