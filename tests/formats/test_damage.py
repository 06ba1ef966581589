"""Cut and damaged files of every format: a partial import that says so, or an error with a reason; no crash, no hang.

SESSIONSTORE_DAMAGED_FILES sets the number of mutated files (the whole proof: 10000, and files are then cut at every
hundredth); here a sample runs, always the same.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from sessionstore.formats import ImportReport
from sessionstore.formats.registry import BUILT_IN, formats
from sessionstore.store import SessionStore
from tests.formats.samples import MAKERS, Sample, cut, mutated, sample

FILES = int(os.environ.get("SESSIONSTORE_DAMAGED_FILES", "65"))
PARTS = 100 if FILES >= 10_000 else 5
#: Every one of so many is imported, the others only tried.
_STORED = 4
_MOST_S = 60
#: A cut is always seen (in a log of an autopilot one between two messages is not; its own tests look at the others).
_SAYS_WHERE = ("csv", "jsonl", "mcap")
_ENDS = {"imported", "would import", "updated", "would update", "already there", "skipped", "failed"}


class Hung(BaseException):
    """An import that takes longer than a minute; not an Exception, which an import may catch."""


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(store: SessionStore, found: Sample, number: int) -> ImportReport:
    """Import a damaged sample, or only try to; each session of the report is whole or has a reason."""
    with within(_MOST_S):
        report = store.import_file(found.path, found.format, dry_run=number % _STORED != 0)
    for each in [report, *report.sessions]:
        assert each.state in _ENDS and (each.state not in ("skipped", "failed") or each.reason), each
    return report


def whole(store: SessionStore) -> None:
    """Every session that is visible is whole, and nothing else is left."""
    staging = store.root.staging
    assert not staging.is_dir() or list(staging.iterdir()) == []
    findings = [each for each in store.doctor().findings if each.level != "info"]
    assert findings == [], findings[:3]


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_file_cut_anywhere_is_imported_in_part_or_refused_with_a_reason(
    store: SessionStore, tmp_path: Path, name: str
) -> None:
    found = sample(name, tmp_path / "sample")
    states: Counter[str] = Counter()
    for file in found.files[:6]:
        data = file.read_bytes()
        for number, part in enumerate(cut(data, PARTS)):
            file.write_bytes(part)
            report = tried(store, found, number)
            states[report.state] += 1
            if name in _SAYS_WHERE and "import" in report.state and not part.endswith(b"\n"):
                assert any("it ends" in each or "partial" in each for each in (*report.problems, *report.notes)), report
        file.write_bytes(data)
    whole(store)
    print(f"{name}: cut, {sum(states.values())} imports: {dict(states)}")


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_damaged_file_is_imported_in_part_or_refused_with_a_reason(
    store: SessionStore, tmp_path: Path, name: str
) -> None:
    found = sample(name, tmp_path / "sample")
    chance = random.Random(f"{name} 18")
    states: Counter[str] = Counter()
    for number in range(FILES // len(MAKERS) + 1):
        file = chance.choice(found.files)
        data = file.read_bytes()
        file.write_bytes(mutated(data, chance))
        states[tried(store, found, number).state] += 1
        file.write_bytes(data)
    whole(store)
    print(f"{name}: damaged, {sum(states.values())} imports: {dict(states)}")


def test_every_format_that_can_be_imported_has_a_sample() -> None:
    reads = {each.name for each in formats() if each.reads and each.name in BUILT_IN}
    assert {name.partition(" ")[0] for name in MAKERS} == reads


@pytest.mark.parametrize("name", MAKERS)
def test_the_samples_are_imported_whole(store: SessionStore, tmp_path: Path, name: str) -> None:
    report = store.import_file(sample(name, tmp_path / "sample").path)
    assert report.state == "imported" and report.format == name.partition(" ")[0], report.reason
    assert [problem for problem in report.problems if "partial" in problem] == [] or name == "ulog"
