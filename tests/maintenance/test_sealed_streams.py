"""Sealed streams under the doctor, in merges, bundles and undo: compared, sent and repaired by their lines."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.exchange.bundle import write_bundle
from sessionstore.exchange.merge import merge
from sessionstore.exchange.trees import FolderTree
from sessionstore.exchange.verify import verify_bundle
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs.plan import repair
from sessionstore.session import Session, sealed_file, sealed_form, sealing, stream_source
from sessionstore.store import SessionStore
from sessionstore.store.history import History


@pytest.fixture(autouse=True)
def _small_members(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (sealed_form, sealing):
        monkeypatch.setattr(module, "MEMBER_BYTES", 600)
    monkeypatch.setattr(sealing, "SMALLEST_BYTES", 1)
    yield
    sealed_file.kept.forget()


def flown(store: SessionStore, points: int = 60) -> Session:
    with store.record("Butterfly") as session:
        for number in range(points):
            session.motion.append("scout-1", t_s=number / 20, position_m=(number, 0.0, 5.0))
    return store.get(session.session_id)


def motion(session: Session) -> Path:
    return session.folder / "motion_history.jsonl"


def sealed(session: Session) -> Path:
    return stream_source.sealed_path(motion(session))


def codes(store: SessionStore) -> set[str]:
    return {finding.code for finding in examine(store.root.path).findings}


def fixed(store: SessionStore) -> dict[str, bool]:
    outcomes = repair(examine(store.root.path).findings, store.root.path)
    return {outcome.finding.code: outcome.repaired for outcome in outcomes}


# ---------------------------------------------------------------- the doctor


def test_a_sealed_session_is_healthy(store: SessionStore) -> None:
    session = flown(store)
    before = examine(store.root.path)
    session.seal()
    report = examine(store.root.path)
    assert (report.streams, report.lines, codes(store)) == (before.streams, before.lines, set())


def test_what_an_interrupted_seal_left_is_removed_and_other_lines_are_kept(store: SessionStore) -> None:
    session = flown(store)
    content = motion(session).read_bytes()
    session.seal()
    motion(session).write_bytes(content)
    assert "seal-interrupted" in codes(store)
    assert fixed(store)["seal-interrupted"] and not sealed(session).exists() and motion(session).read_bytes() == content
    session.seal()
    motion(session).write_bytes(content[: content.index(b"\n") + 1])
    assert fixed(store)["seal-interrupted"] and not sealed(session).exists()
    (kept,) = store.root.quarantine_folder.iterdir()
    assert gzip.decompress(kept.read_bytes()) == content


def test_a_damaged_member_is_named_and_the_rest_becomes_a_plain_stream(store: SessionStore) -> None:
    session = flown(store)
    session.seal()
    with stream_source.opened_sealed(sealed(session)) as found:
        member = found.index.members[2]
    data = bytearray(sealed(session).read_bytes())
    for at in range(member.start + 40, member.start + member.size - 8, 5):
        data[at] ^= 0xFF
    sealed(session).write_bytes(data)
    named = {finding.code: finding for finding in examine(store.root.path).findings}
    assert "member 2" in named["seal-damaged"].what
    assert fixed(store)["seal-damaged"] and not sealed(session).exists()
    lost = [line.n for line in session.tape("motion_history").read(damaged="skip")]
    assert 40 < len(lost) < 60 and lost[0] == 0 and lost[-1] == 59
    fixed(store)
    assert not {"seal-damaged", "stream-damaged"} & codes(store)
    assert any(each.read_bytes() == bytes(data) for each in store.root.quarantine_folder.iterdir())


def test_a_damaged_index_is_written_anew(store: SessionStore) -> None:
    session = flown(store)
    content = motion(session).read_bytes()
    session.seal()
    whole = sealed(session).read_bytes()
    sealed(session).write_bytes(whole[:-30])
    assert "seal-index" in codes(store) and fixed(store)["seal-index"]
    assert sealed(session).read_bytes() == whole and gzip.decompress(whole) == content and codes(store) == set()


def test_a_file_of_gzip_is_reported_where_it_stands_for_a_stream(store: SessionStore) -> None:
    session = flown(store)
    sealed(session).write_bytes(gzip.compress(motion(session).read_bytes()))
    assert not {"seal-foreign", "seal-interrupted"} & codes(store)
    motion(session).unlink()
    assert "seal-foreign" in codes(store)


def test_a_torn_end_and_foreign_line_ends_of_a_sealed_stream_are_repaired_on_a_plain_one(store: SessionStore) -> None:
    session = flown(store)
    content = motion(session).read_bytes()
    motion(session).write_bytes(content.replace(b"\n", b"\r\n", 3) + b'{"n":60,"t":3')
    session.seal()
    assert {"stream-torn", "stream-line-ends"} <= codes(store)
    assert (
        all(fixed(store).values()) and motion(session).read_bytes() == content and codes(store) <= {"quarantine-size"}
    )


# ---------------------------------------------------------------- merges and bundles


@pytest.fixture
def other(tmp_path: Path, store: SessionStore) -> SessionStore:
    """A store with a copy of all that is in the first one when it is asked for."""
    return sessionstore.open(tmp_path / "other")


def actions(here: SessionStore, there: SessionStore) -> list[str]:
    return [outcome.action for outcome in merge(here, there.root.path).outcomes]


def test_a_sealed_and_a_plain_copy_of_a_session_are_the_same(store: SessionStore, other: SessionStore) -> None:
    session = flown(store)
    content = motion(session).read_bytes()
    session.seal()
    assert actions(other, store) == ["copied"]
    copy = other.get(session.session_id)
    assert motion(copy).read_bytes() == content
    assert actions(other, store) == ["same"] and actions(store, other) == ["same"]
    copy.seal()
    session.unseal()
    assert actions(other, store) == ["same"] and actions(store, other) == ["same"]


def test_a_merge_goes_on_behind_a_sealed_stream_and_one_undo_takes_it_back(
    store: SessionStore, other: SessionStore
) -> None:
    session = flown(store)
    actions(other, store)
    copy = other.get(session.session_id)
    copy.seal()
    before = copy.tape("motion_history").count()
    writer = session.writer("motion_history")
    writer.append({"drone": "scout-1", "position": [1.0, 2.0, 3.0]}, t_s=9.0)
    writer.close()
    session.seal()
    assert actions(other, store) == ["updated"]
    assert copy.tape("motion_history").count() == before + 1
    assert motion(copy).exists() and not sealed(copy).exists()
    copy.seal()
    History(other).undo()
    assert copy.tape("motion_history").count() == before and actions(other, store) == ["updated"]


def test_a_bundle_of_a_sealed_session_holds_its_lines(store: SessionStore, other: SessionStore, tmp_path: Path) -> None:
    session = flown(store)
    content = motion(session).read_bytes()
    write_bundle([FolderTree(session.folder)], tmp_path / "plain.zip")
    session.seal()
    write_bundle([FolderTree(session.folder)], tmp_path / "sealed.zip")
    assert (tmp_path / "plain.zip").read_bytes() == (tmp_path / "sealed.zip").read_bytes()
    assert verify_bundle(tmp_path / "sealed.zip") > 1
    merge(other, tmp_path / "sealed.zip")
    assert motion(other.get(session.session_id)).read_bytes() == content


def test_a_damaged_sealed_stream_is_not_copied(store: SessionStore, other: SessionStore) -> None:
    session = flown(store)
    session.seal()
    data = bytearray(sealed(session).read_bytes())
    data[100] ^= 0xFF
    sealed(session).write_bytes(data)
    (outcome,) = merge(other, store.root.path).outcomes
    assert outcome.action == "skipped" and "member 0" in outcome.reason


def test_a_copied_folder_opens_with_its_sealed_streams(store: SessionStore, other: SessionStore) -> None:
    session = flown(store)
    session.seal()
    other.root.path.mkdir()
    shutil.copytree(session.folder, other.root.path / session.session_id)
    copy = other.get(session.session_id)
    assert copy.tape("motion_history").count() == 60
    assert sorted(os.listdir(copy.folder)) == sorted(os.listdir(session.folder))
