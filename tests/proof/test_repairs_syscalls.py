"""T1 and T2 on every repair of the doctor: killed or refused at a system call, the damage can be repaired again.

Each damage is made once; a child process examines a copy of it, is attached to by strace, and then repairs. Whatever
became of it, the original bytes are still there, the next ``doctor --fix`` ends healthy, and no record is lost.
Not here: power cuts within repairs (tests/maintenance/test_repairs_power.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import sessionstore
from tests.maintenance.test_repairs import CASES, Damage, damage_stream, records_of
from tests.maintenance.test_repairs_power import judge
from tests.proof import oracle
from tests.proof.operations import World
from tests.proof.syscalls import ALSO_FAILING, ERRORS, HARNESS_CALLS, MUTATING, Server, Trial, calls_of
from tests.proof.tally import CONTROLS, Tally, tally
from tests.proof.volumes import chosen, need, need_root

pytestmark = [pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(36000)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_root()
    need("strace")
    started = Server(tmp_path_factory.mktemp("repairs") / "server")
    yield started
    started.close()


@dataclass
class Ward:
    """One damaged store to repair copies of, again and again, with something going wrong."""

    server: Server
    scratch: Path
    damage: Damage
    count: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        with sessionstore.open(self.scratch / "damaged") as store:
            self.needle = self.damage(store)
        self.kept = records_of(self.scratch / "damaged")

    def repair(self, options: list[str]) -> Trial:
        folder = oracle.copy_tree(self.scratch / "damaged", self.scratch / "store")
        return self.server.run((), folder, World(), options, repair=True)

    def calls(self, which: str) -> list[tuple[str, int]]:
        trial = self.repair(["-e", f"trace={which}"])
        assert trial.said[-1][0] == "done", trial.said
        return [call for call in calls_of(trial, which) if call[0] not in HARNESS_CALLS]

    def judge(self, fault: str) -> None:
        reason = judge(self.scratch / "store", "", self.needle, self.kept, done=False)
        self.count.wrong += [f"{self.damage.__name__}: {fault}: {reason}"] if reason else []

    def kill(self, call: str, nth: int) -> None:
        trial = self.repair(["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"])
        if trial.killed:
            self.count(kills=1)
            self.judge(f"killed before {call} {nth}")

    def refuse(self, call: str, nth: int) -> None:
        error = ERRORS.get(call, "EIO")
        trial = self.repair(["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={nth}"])
        if any("INJECTED" in line for line in trial.calls):
            self.count(errors=1)
            fault = f"{call} {nth} failed with {error}"
            self.count.wrong += [f"{fault}: {' '.join(words)}" for words in trial.said if words[0] == "untyped"]
            self.judge(fault)


@pytest.mark.parametrize(("code", "damage"), CASES)
def test_a_repair_that_is_killed_at_a_syscall_can_be_done_again(
    server: Server, scratch: Path, code: str, damage: Damage
) -> None:
    with tally("T1 SIGKILL before each syscall of each repair of doctor --fix") as count:
        ward = Ward(server, scratch, damage, count)
        for call, nth in chosen(ward.calls("all"), len(code)):
            ward.kill(call, nth)
    assert count.counts["kills"] >= 1


@pytest.mark.parametrize(("code", "damage"), CASES)
def test_a_repair_that_is_refused_at_a_syscall_says_so_and_can_be_done_again(
    server: Server, scratch: Path, code: str, damage: Damage
) -> None:
    with tally("T2 an error at each syscall of each repair of doctor --fix, once") as count:
        ward = Ward(server, scratch, damage, count)
        for call, nth in chosen(ward.calls(f"{MUTATING},{ALSO_FAILING}"), len(code)):
            ward.refuse(call, nth)
    assert count.counts["errors"] >= 1


def test_repairs_that_write_in_place_are_found_out(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    need("strace")
    monkeypatch.setenv("PROOF_BREAK", "in_place")
    server = Server(scratch / "broken")
    monkeypatch.delenv("PROOF_BREAK")
    try:
        ward = Ward(server, scratch, damage_stream)
        for call, nth in ward.calls(MUTATING):
            ward.kill(call, nth)
    finally:
        server.close()
    with tally(CONTROLS) as count:
        count(controls=1)
        count.wrong += [] if ward.count.wrong else ["nobody noticed repairs that write in place"]
