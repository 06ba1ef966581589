"""Every repair repairs its finding, keeps the original bytes, does nothing twice, and survives a kill at any step."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.layout import StoreRoot
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs.plan import REPAIRABLE, Outcome, repair
from sessionstore.model import liveness
from sessionstore.session import Session, sealed_form, sealing, stream_source
from sessionstore.store import SessionStore
from tests.maintenance.test_doctor import crashed, recorded

LONG_AGO = time.time() - 7200


def motion_of(folder: Path) -> Path:
    return folder / "motion_history.jsonl"


def break_format(store: SessionStore) -> bytes:
    recorded(store)
    (store.root.private / "format.json").write_bytes(b'{"format": broken')
    return b'{"format": broken'


def break_index(store: SessionStore) -> bytes:
    recorded(store)
    path = store.root.path / "index.jsonl"
    path.write_bytes(path.read_bytes().replace(b"flight", b"FLIGHT", 1))
    return b"FLIGHT"


def leave_staging(store: SessionStore) -> None:
    recorded(store)
    (store.root.staging / "half").mkdir()
    os.utime(store.root.staging / "half", (LONG_AGO, LONG_AGO))


def leave_hollow_trash(store: SessionStore) -> None:
    recorded(store)
    hollow = store.root.trash / "0190b1a0-0000-7000-8000-000000000000"
    hollow.mkdir()
    os.utime(hollow, (LONG_AGO, LONG_AGO))


def leave_temporary_file(store: SessionStore) -> bytes:
    path = store.root.folder(recorded(store)) / ".tmp-1-0123abcd"
    path.write_bytes(b"half a document")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return b"half a document"


def leave_empty_folder(store: SessionStore) -> None:
    recorded(store)
    (store.root.path / "202601011200-empty").mkdir()
    (store.root.path / "202601011200-empty-2").mkdir()


def tear_stream(store: SessionStore) -> bytes:
    with open(motion_of(store.root.folder(recorded(store))), "ab") as stream:
        stream.write(b'{"n":20,"t":2.0,"drone":"torn-half')
    return b"torn-half"


def lose_document(store: SessionStore) -> None:
    (store.root.folder(recorded(store)) / "session.json").unlink()


def zero_document(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    path.write_bytes(b"\0" * path.stat().st_size)


def damage_stream(store: SessionStore) -> bytes:
    path = motion_of(store.root.folder(recorded(store)))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b'scout-1"', b"damaged ")
    lines[12:14] = [b"not json at all\n", b"\x00\xff\n"]
    path.write_bytes(b"".join(lines))
    return b"not json at all"


def copy_folder(store: SessionStore) -> None:
    shutil.copytree(store.root.folder(recorded(store)), store.root.folder("000-copy"))


def kill_recorder(store: SessionStore) -> None:
    crashed(store)


def edit_by_hand(store: SessionStore) -> None:
    path = store.root.folder(recorded(store)) / "session.json"
    path.write_text(path.read_text().replace("Ada", "Grace"))


def rename_folder(store: SessionStore) -> None:
    folder = store.root.folder(recorded(store))
    store.find()
    folder.rename(store.root.folder("renamed"))


def turn_line_ends(store: SessionStore) -> bytes:
    path = motion_of(store.root.folder(recorded(store)))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return b"}\r\n"


def sealed(store: SessionStore) -> Path:
    """Return the file of a sealed stream of several members."""
    session = store.get(recorded(store))
    with pytest.MonkeyPatch.context() as patch:
        for module in (sealed_form, sealing):
            patch.setattr(module, "MEMBER_BYTES", 400)
        patch.setattr(sealing, "SMALLEST_BYTES", 1)
        session.seal()
    return stream_source.sealed_path(motion_of(session.folder))


def interrupt_seal(store: SessionStore) -> None:
    path = sealed(store)
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))


def damage_member(store: SessionStore) -> bytes:
    path = sealed(store)
    with stream_source.opened_sealed(path) as found:
        member = found.index.members[1]
    data = bytearray(path.read_bytes())
    for at in range(member.start + 30, member.start + member.size - 8, 3):
        data[at] ^= 0xFF
    path.write_bytes(data)
    return bytes(data)


def cut_index(store: SessionStore) -> None:
    path = sealed(store)
    path.write_bytes(path.read_bytes()[:-20])


def columned(store: SessionStore) -> tuple[str, Path]:
    """Return a session with columns, and their file."""
    pytest.importorskip("pyarrow")
    from sessionstore.analysis import columns

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "WORTH_BYTES", 1)
        session_id = recorded(store)
        assert columns.make_all(store.get(session_id))
    return session_id, store.root.columns / session_id / "motion_history.parquet"


def outdate_columns(store: SessionStore) -> None:
    with motion_of(store.root.folder(columned(store)[0])).open("ab") as stream:
        stream.write(b"\n")


def damage_columns(store: SessionStore) -> None:
    _, path = columned(store)
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)


def widow_columns(store: SessionStore) -> None:
    session_id, path = columned(store)
    path.parent.rename(path.parent.with_name(f"{session_id}-gone"))


Damage = Callable[[SessionStore], "bytes | None"]
DAMAGES: dict[str, tuple[Damage, ...]] = {
    "format-unreadable": (break_format,),
    "index-damaged": (break_index,),
    "staging-left": (leave_staging,),
    "trash-hollow": (leave_hollow_trash,),
    "temp-left": (leave_temporary_file,),
    "folder-empty": (leave_empty_folder,),
    "stream-line-ends": (turn_line_ends,),
    "stream-torn": (tear_stream,),
    "document-missing": (lose_document, zero_document),
    "stream-damaged": (damage_stream,),
    "uuid-twice": (copy_folder,),
    "interrupted": (kill_recorder,),
    "index-behind": (edit_by_hand,),
    "row-absent": (rename_folder,),
    "seal-interrupted": (interrupt_seal,),
    "seal-damaged": (damage_member,),
    "seal-index": (cut_index,),
    "columns-stale": (outdate_columns,),
    "columns-damaged": (damage_columns,),
    "columns-orphan": (widow_columns,),
}
CASES = [pytest.param(code, damage, id=damage.__name__) for code, damages in DAMAGES.items() for damage in damages]


def codes(store: SessionStore) -> set[str]:
    return {finding.code for finding in examine(store.root.path).findings}


def holds(folder: Path, needle: bytes) -> bool:
    """Whether any file below a folder holds these bytes."""
    return any(needle in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def repaired(store: SessionStore, **options: bool) -> list[Outcome]:
    return repair(examine(store.root.path).findings, store.root.path, **options)


def test_every_repair_has_its_case() -> None:
    assert set(DAMAGES) == REPAIRABLE


@pytest.mark.parametrize(("code", "damage"), CASES)
def test_a_repair_removes_its_finding_keeps_the_bytes_and_does_nothing_twice(
    store: SessionStore, code: str, damage: Damage
) -> None:
    needle = damage(store)
    findings = examine(store.root.path).findings
    assert code in {finding.code for finding in findings}
    outcomes = repair(findings, store.root.path)
    assert [outcome for outcome in outcomes if not outcome.repaired] == []
    assert not codes(store) & REPAIRABLE
    assert examine(store.root.path).healthy
    assert needle is None or holds(store.root.path, needle)
    again = repair(findings, store.root.path)  # of the findings as they were
    assert [outcome for outcome in again if not outcome.repaired] == []
    assert not codes(store) & REPAIRABLE
    with sessionstore.open(store.root.path) as fresh:
        assert all(row.status in ("completed", "failed") for row in fresh.find())


def repair_and_die(folder: Path, step: int) -> bool:
    """Repair a store in a child that is killed before its n-th change of the disk; return whether it got so far."""
    child = os.fork()
    if child == 0:
        try:
            left = [step]

            def count(*operation: object) -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            findings = examine(folder).findings
            files.observer = count
            repair(findings, folder)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill a repair half-way")
@pytest.mark.parametrize(("code", "damage"), CASES)
def test_a_repair_that_is_killed_before_any_step_can_be_done_again(tmp_path: Path, code: str, damage: Damage) -> None:
    with sessionstore.open(tmp_path / "damaged") as store:
        needle = damage(store)
    before = {finding.code for finding in examine(tmp_path / "damaged").findings}
    kept = records_of(tmp_path / "damaged")
    for step in range(1, 100):
        folder = tmp_path / f"step-{step}"
        shutil.copytree(tmp_path / "damaged", folder, symlinks=True)
        killed = repair_and_die(folder, step)
        seen = {finding.code for finding in examine(folder).findings}
        expected = before | {"quarantine-size", "trash-size", "stream-repaired", "index-behind", "row-absent"}
        expected |= {"columns-stale"} if code == "columns-damaged" else set()  # a copied stream has other times
        expected |= {"seal-interrupted"} if code.startswith("seal-") else set()  # two forms, until one is removed
        assert seen <= expected, f"killed before step {step}"
        assert needle is None or holds(folder, needle), f"killed before step {step}"
        outcomes = repair(examine(folder).findings, folder)
        assert all(outcome.repaired for outcome in outcomes), f"killed before step {step}"
        assert examine(folder).healthy, f"killed before step {step}"
        assert records_of(folder) == kept, f"killed before step {step}"
        shutil.rmtree(folder)
        if not killed:
            assert step > 1
            return
    raise AssertionError("no end of steps")


def records_of(folder: Path) -> list[bytes]:
    """Return every whole record of every stream: what no repair may lose."""
    root = StoreRoot(folder)
    return sorted(
        json.dumps([stream, line.n, line.t_s, line.data]).encode()
        for name in sorted(root.session_ids())
        for stream, tape in Session(root, name).tapes().items()
        for line in tape.read(damaged="skip")
    )


def test_an_interrupted_run_is_closed_with_what_its_streams_tell(store: SessionStore) -> None:
    session_id = crashed(store)
    (outcome,) = [each for each in repaired(store) if each.finding.code == "interrupted"]
    assert "50 motion points" in outcome.what
    record = store.get(session_id).record
    assert (record.status, record.duration_sim_s) == ("failed", 4.9)
    assert record.end_reason is not None and "is gone" in record.end_reason
    assert record.performance_metrics["totals"]["points"] == 50
    assert record.performance_metrics["drones"]["scout-1"]["distance_m"] == 49.0
    assert record.drones == [{"id": "scout-1"}]
    assert record.started_at is not None and record.ended_at is not None
    assert record.started_at <= record.ended_at <= record.updated_at
    assert store.get(session_id).transitions()[-1]["new"] == "failed"
    assert store.find("status=failed")[0].points == 50


def test_a_run_that_may_only_be_silent_is_not_closed(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = crashed(store)
    clock = store.root.folder(session_id) / "clock.jsonl"
    monkeypatch.setattr(liveness, "_same_machine", lambda facts: False)  # it runs in another container
    a_minute_ago = time.time() - 60
    os.utime(clock, (a_minute_ago, a_minute_ago))
    assert "silent" in codes(store)
    assert repaired(store) == []
    assert store.get(session_id).record.status == "running"
    os.utime(clock, (LONG_AGO, LONG_AGO))
    assert [outcome.repaired for outcome in repaired(store)] == [True]
    assert store.get(session_id).record.status == "failed"


def test_a_copy_gets_an_identity_of_its_own_and_names_its_original(store: SessionStore) -> None:
    session_id = recorded(store)
    shutil.copytree(store.root.folder(session_id), store.root.folder("000-copy"))
    original = store.get(session_id).record
    repaired(store)
    copy = store.get("000-copy").record
    assert copy.uuid != original.uuid and store.get(session_id).record == original
    assert copy.provenance["copied_from"] == {"uuid": original.uuid, "session_id": session_id}
    assert copy.metadata == original.metadata


def test_damaged_lines_leave_a_stream_that_reads_and_a_gap_that_is_known(store: SessionStore) -> None:
    damage_stream(store)
    session = store.get("latest")
    before = [line.n for line in session.tape("motion_history").read(damaged="skip")]
    repaired(store)
    assert [line.n for line in session.tape("motion_history").read()] == before
    assert [(row["expected"], row["found"]) for row in session.tables()["repairs"].values()] == [(7, 8), (12, 14)]
    findings = [finding for finding in examine(store.root.path).findings if finding.code == "stream-repaired"]
    assert [finding.data["places"] for finding in findings] == [[[521, 7], [803, 12]]]
    writer = store.catalog.session(session.session_id).writer("motion_history")
    writer.append({"drone": "scout-1", "position": [0, 0, 0]}, 9.0)
    writer.close()
    assert [line.n for line in session.tape("motion_history").read()][-1] == before[-1] + 1


def test_a_record_is_made_anew_from_the_index_row_and_the_streams(store: SessionStore) -> None:
    session_id = recorded(store)
    old = store.get(session_id).record
    (store.root.folder(session_id) / "session.json").unlink()
    repaired(store)
    new = store.get(session_id).record
    same = ("uuid", "session_name", "metadata", "created_at", "status", "started_at", "ended_at", "duration_sim_s")
    assert {name: getattr(new, name) for name in same} == {name: getattr(old, name) for name in same}
    assert new.performance_metrics == old.performance_metrics
    assert new.provenance["salvaged"]["from"] == ["streams", "index row"]


def test_a_record_without_an_index_row_is_honest_about_what_nobody_knows(store: SessionStore) -> None:
    session_id = recorded(store)
    (store.root.folder(session_id) / "session.json").unlink()
    (store.root.path / "index.jsonl").unlink()
    store.find()  # what a listing knows now: it is unreadable
    repaired(store)
    new = store.get(session_id).record
    assert (new.status, new.num_buildings, new.base_position) == ("failed", None, None)
    assert (new.duration_sim_s, new.performance_metrics["totals"]["points"]) == (2.0, 20)
    assert new.created_at.startswith(f"{session_id[:4]}-{session_id[4:6]}-{session_id[6:8]}T")


def test_a_document_that_a_person_could_mend_is_left_alone_unless_asked(store: SessionStore) -> None:
    session_id = recorded(store)
    path = store.root.folder(session_id) / "session.json"
    edited = path.read_bytes().replace(b'"status": ', b'"status" ')
    path.write_bytes(edited)
    assert {outcome.finding.code for outcome in repaired(store)} == {"index-behind"}
    assert path.read_bytes() == edited
    (outcome,) = repaired(store, salvage_records=True)
    assert outcome.repaired and store.get(session_id).record.status == "completed"
    assert any(kept.read_bytes() == edited for kept in store.root.quarantined())


def test_one_repair_that_fails_stops_nobody_else(store: SessionStore) -> None:
    tear_stream(store)
    kill_recorder(store)
    torn, killed = (
        next(finding for finding in examine(store.root.path).findings if finding.code == code)
        for code in ("stream-torn", "interrupted")
    )
    path = store.root.path / torn.where
    path.unlink()
    path.mkdir()
    outcomes = {outcome.finding.code: outcome for outcome in repair([torn, killed], store.root.path)}
    assert not outcomes["stream-torn"].repaired and "UnsafeFile" in outcomes["stream-torn"].what
    assert outcomes["interrupted"].repaired
