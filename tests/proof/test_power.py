"""T4: the power is cut under real file systems: what was acknowledged is there when they are mounted again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proof import power
from tests.proof.tally import CONTROLS, tally
from tests.proof.volumes import need, need_root, volume

pytestmark = [pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(36000)]


def need_file_system(kind: str) -> None:
    need_root()
    need(f"mkfs.{kind}")
    if f"\t{kind}\n" not in Path("/proc/filesystems").read_text():
        pytest.skip(f"the kernel's file system {kind} is missing")
    if not Path("/dev/loop-control").exists():
        pytest.skip("loop devices are missing")


@pytest.mark.parametrize("kind", power.KINDS)
def test_a_power_cut_loses_nothing_that_was_acknowledged(kind: str, scratch: Path) -> None:
    need_file_system(kind)
    with tally(f"T4 power cut, {kind} on a loop device") as count:
        cuts = power.cut(kind, volume(60, 1_000), scratch)
        count(cuts=cuts.count, within_an_operation=cuts.within, acknowledged_changes_looked_for=cuts.acknowledged)
        for name, number in cuts.operations.items():
            count.within(name, cuts=number)
        count.wrong += cuts.wrong
    assert cuts.within >= 8
    assert cuts.acknowledged >= 40


@pytest.mark.parametrize("way", ["no_fsync", "no_directory_fsync"])
def test_a_power_cut_goes_red_without_fsync(way: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_file_system("ext4")
    monkeypatch.setenv("PROOF_BREAK", way)
    with tally(CONTROLS) as count:
        count(controls=1)
        names = ["create", "append", "update", "insert"]
        seen = any(power.cut("ext4", 12, scratch / str(round_), names).wrong for round_ in range(4))
        count.wrong += [] if seen else [f"nobody noticed {way} under power cuts"]
