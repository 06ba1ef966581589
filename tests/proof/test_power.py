"""T4: the power is cut under real file systems: what was acknowledged is there when they are mounted again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proof import power
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
def test_a_power_cut_loses_nothing_that_was_acknowledged(kind: str, scratch: Path, figure: Callable[..., None]) -> None:
    need_file_system(kind)
    cuts = power.cut(kind, volume(40, 1_000), scratch)
    tried = f"{cuts.count} cuts, {cuts.within} of them within an operation, {cuts.acknowledged} acknowledged changes"
    figure(f"T4 power cut, {kind} on a loop device", tried, len(cuts.wrong))
    assert cuts.wrong == [], "\n".join(cuts.wrong)
    assert cuts.within >= 8
    assert cuts.acknowledged >= 40


@pytest.mark.parametrize("way", ["no_fsync", "no_directory_fsync"])
def test_a_power_cut_goes_red_without_fsync(way: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_file_system("ext4")
    monkeypatch.setenv("PROOF_BREAK", way)
    assert power.cut("ext4", 12, scratch, ["create", "append", "update", "insert"]).wrong != []
