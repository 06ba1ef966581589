"""A power cut at any moment of a repair: the damage is still there to be repaired, or repaired; the bytes are kept.

Every disk that the write module's operation log allows is laid out as files (see tests/proof/crash_states.py): what was
not synced may be missing, half there or zeros. Not here: kills (test_repairs), the cuts of the store itself (proof).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.formats.staged_stream import StagedStream
from sessionstore.layout import StoreRoot
from sessionstore.legacy.importer import import_legacy
from sessionstore.maintenance.checks.portability import describe
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs.plan import REPAIRABLE, repair
from sessionstore.session import Session
from tests.maintenance.test_repairs import CASES, Damage, holds, records_of, tear_stream
from tests.old_folders import FIXTURES
from tests.proof.crash_states import Disk, lay_out, tree_of
from tests.proof.tally import CONTROLS, tally
from tests.proof.volumes import fast_folder, volume


@pytest.fixture
def place() -> Iterator[Path]:
    folder = fast_folder()
    yield folder
    shutil.rmtree(folder)


def wrong_states(code: str, damage: Damage, place: Path, limit: int) -> tuple[int, list[str]]:
    """Mend a damaged store, cut the power at every moment of it, and return (states judged, what was wrong)."""
    top = place / "disk"
    top.mkdir()
    with sessionstore.open(top / "store") as store:
        needle = damage(store)
    kept, disk = records_of(top / "store"), Disk(top)
    findings = examine(top / "store").findings
    files.observer = disk.hear
    try:
        assert all(outcome.repaired for outcome in repair(findings, top / "store"))
    finally:
        files.observer = None
    wrong, known = [], set()
    moments = list(range(disk.events + 1))
    for upto in [moments[-1], *moments[:-1]]:
        for nodes in disk.states(upto, random.Random(upto)):
            tree = tree_of(nodes)
            key = hash((tree, upto == disk.events))
            if key in known or len(known) >= limit:
                continue
            known.add(key)
            lay_out(tree, place / "state")
            reason = judge(place / "state" / "store", code, needle, kept, done=upto == disk.events)
            if reason:
                wrong.append(f"before event {upto} of {disk.events}: {reason}")
    return len(known), wrong


def judge(folder: Path, code: str, needle: bytes | None, kept: list[bytes], done: bool) -> str | None:
    """Return what is wrong with the store that a power cut left."""
    codes = {finding.code for finding in examine(folder).findings}
    if done and code in codes:
        return "the repair was acknowledged, and is gone"
    if needle is not None and not holds(folder, needle):
        return "the original bytes are gone"
    unrepaired = [outcome.what for outcome in repair(examine(folder).findings, folder) if not outcome.repaired]
    if unrepaired:
        return f"it cannot be repaired again: {unrepaired}"
    left = {finding.code for finding in examine(folder).findings} - {*_OF_THE_INDEX}  # a copied folder is read anew
    if left & REPAIRABLE or not examine(folder).healthy:
        return f"repaired again, and still not healthy: {left}"
    return None if records_of(folder) == kept else "records are missing"


#: What stands in the index alone is made anew from the folders, and is not waited for; nor is the removal of a cache.
_OF_THE_INDEX = ("index-behind", "row-absent", "index-damaged")
_OF_CACHES = ("columns-stale", "columns-damaged", "columns-orphan")


@pytest.mark.parametrize(("code", "damage"), CASES)
def test_a_power_cut_within_a_repair_leaves_something_that_can_be_mended(
    place: Path, code: str, damage: Damage
) -> None:
    acknowledged = "" if code in (*_OF_THE_INDEX, *_OF_CACHES) or damage.__name__.startswith("leave_") else code
    with tally("T3 the same: each repair of doctor --fix, and an import of an old folder") as count:
        judged, wrong = wrong_states(acknowledged, damage, place, volume(400, 20000))
        count(states=judged)
        count.wrong += wrong
    assert judged >= 2


def test_a_repair_that_cuts_before_the_bytes_are_kept_is_found_out(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_synced(self: StoreRoot, path: Path, offset: int, data: bytes) -> None:
        files.create(self.quarantine_folder / f"{path.name}~{offset}", data, sync=False)

    monkeypatch.setattr(StoreRoot, "quarantine", not_synced)
    with tally(CONTROLS) as count:
        count(controls=1)
        _, wrong = wrong_states("stream-torn", tear_stream, place, 100)
        gone = any("the original bytes are gone" in reason for reason in wrong)
        count.wrong += [] if gone else ["nobody noticed a quarantine that is not synced"]


def imported_states(place: Path) -> tuple[int, list[str]]:
    """Import the good old folder, cut the power at every moment, and return (states judged, what was wrong)."""
    top = place / "disk"
    top.mkdir()
    with sessionstore.open(top / "store") as store:
        store.create("there already")
        store.find()
        disk = Disk(top)
        files.observer = disk.hear
        try:
            (report,) = import_legacy(store, FIXTURES / "good")
        finally:
            files.observer = None
    whole = describe(Session(StoreRoot(top / "store"), str(report.session_id)))
    wrong, known = [], set()
    for upto in range(disk.events, -1, -1):  # the end first: that is where the name is given
        for nodes in disk.states(upto, random.Random(upto)):
            tree = tree_of(nodes)
            if (key := hash((tree, upto == disk.events))) in known or len(known) >= volume(300, 20000):
                continue
            known.add(key)
            lay_out(tree, place / "state")
            with sessionstore.open(place / "state" / "store") as store:
                found = [row.session_id for row in store.find() if row.session_name == "Quadcopter"]
                if upto == disk.events and not found:
                    wrong.append("the import was acknowledged, and is gone")
                if found and without_updates(describe(store.get(found[0]))) != without_updates(whole):
                    wrong.append(f"before event {upto} of {disk.events}: half an import is listed")
                (again,) = import_legacy(store, FIXTURES / "good")
                if again.state != ("already there" if found else "imported") or len(store.find()) != 2:
                    wrong.append(f"before event {upto} of {disk.events}: importing again gave {again.state}")
    return len(known), wrong


def without_updates(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key.startswith("stream") or key == "replay_available"}


def test_a_power_cut_within_an_import_leaves_the_whole_session_or_none(place: Path) -> None:
    with tally("T3 the same: each repair of doctor --fix, and an import of an old folder") as count:
        judged, wrong = imported_states(place)
        count(states=judged)
        count.wrong += wrong
    assert judged > 50


def test_an_import_that_does_not_sync_its_streams_is_found_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StagedStream, "flush", lambda stream: stream._write())
    _, wrong = imported_states(place)
    assert any("half an import is listed" in reason for reason in wrong)
