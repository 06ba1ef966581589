"""T1, T2, T5: a process killed, or refused, at any system call: nothing acknowledged is lost, nothing is half done."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.proof import operations, oracle
from tests.proof.operations import OPERATIONS, World
from tests.proof.syscalls import (
    ALSO_FAILING,
    ERRORS,
    HARNESS_CALLS,
    MUTATING,
    Server,
    Trial,
    allowed_after,
    calls_of,
    in_flight,
)
from tests.proof.tally import CONTROLS, Tally, tally
from tests.proof.volumes import chosen, need, need_root, volume

pytestmark = [pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(36000)]

#: A transient failure of these may leave a session behind that a second attempt would make again, under the same name.
NOT_TRIED_AGAIN = ("record", "batch", "burst")
#: These answer from the folders when the index cannot be mended: nothing was to be stored.
READING = ("lose_index", "damage_index", "page")


@pytest.fixture
def server(scratch: Path) -> Iterator[Server]:
    need_root()
    need("strace")
    started = Server(scratch)
    yield started
    started.close()


@dataclass
class Bench:
    """One store to try faults on, again and again."""

    server: Server
    base: Path
    begin: World
    scratch: Path
    count: Tally = field(default_factory=Tally)

    def run(self, names: tuple[str, ...], options: list[str], attempts: int = 1) -> Trial:
        store = oracle.copy_tree(self.base, self.scratch / "store")
        return self.server.run(names, store, self.begin, options, attempts)

    def calls(self, names: tuple[str, ...], which: str) -> list[tuple[str, int]]:
        """Return the calls that a sequence makes when nothing goes wrong."""
        trial = self.run(names, ["-e", f"trace={which}"])
        assert [words[0] for words in trial.said] == ["begin", "done"] * len(names), trial.said
        return calls_of(trial, which)

    def kill(self, names: tuple[str, ...], call: str, nth: int) -> None:
        """Kill a process just before its n-th call of a name, and judge what is left."""
        trial = self.run(names, ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"])
        if trial.killed:
            self.count(kills=1)
            self.count.within(in_flight(trial, names), kills=1)
            self.judge(names, trial, f"killed before {call} {nth}")

    def refuse(self, names: tuple[str, ...], call: str, nth: int, *, for_ever: bool) -> None:
        """Let the n-th call of a name fail, once or from then on, and judge what was said and what is left."""
        error = ERRORS.get(call, "EIO")
        attempts = 1 if for_ever or names[-1] in NOT_TRIED_AGAIN else 2
        when = f"{nth}+" if for_ever else str(nth)
        trial = self.run(names, ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"], attempts)
        hit = next((line for line in trial.calls if "INJECTED" in line), "")
        self.count(errors=bool(hit))
        self.count.within(in_flight(trial, names), errors=bool(hit))
        fault = f"{call} {when} failed with {error}"
        said = {words[0] for words in trial.said}
        if attempts == 2 and trial.said and trial.said[-1][0] == "refused":
            self.count.wrong.append(f"{names}: {fault}: a second attempt was refused too ({trial.said})")
        syncing = (
            call in ("fsync", "fdatasync", "syncfs") and hit and "index.jsonl" not in hit and names[-1] not in READING
        )
        if syncing and not said & {"refused", "unknown"}:
            self.count.wrong.append(f"{names}: {fault}: acknowledged all the same: {hit}")
        self.judge(names, trial, fault)

    def judge(self, names: tuple[str, ...], trial: Trial, fault: str) -> None:
        allowed, wrong = allowed_after(trial, names, self.begin)
        wrong += oracle.judge(self.scratch / "store", allowed, power=False)
        self.count.wrong += [f"{', '.join(names)}: {fault}: {each}" for each in wrong]


@pytest.fixture
def bench(server: Server, beginning: tuple[Path, World], scratch: Path) -> Bench:
    return Bench(server, *beginning, scratch)


def with_what_it_needs(name: str) -> tuple[str, ...]:
    needed = {"restore": ("delete",), "empty_trash": ("delete",), "unseal": ("seal",)}
    return (*needed.get(name, ()), name)


def test_a_process_killed_before_any_syscall_of_any_operation_loses_nothing(bench: Bench) -> None:
    """Killed before each system call of any name, so also between any two; after the last it has been acknowledged."""
    with tally("T1 SIGKILL before each syscall of each operation") as bench.count:
        for turn, name in enumerate(OPERATIONS):
            names = with_what_it_needs(name)
            for call, nth in chosen([each for each in bench.calls(names, "all") if each[0] not in HARNESS_CALLS], turn):
                bench.kill(names, call, nth)
    assert bench.count.counts["kills"] >= 300


def test_a_process_interrupted_by_ctrl_c_at_any_syscall_keeps_no_lock_and_works_on(bench: Bench) -> None:
    with tally("T1 Ctrl-C before each changing syscall of each operation; the same process works on") as count:
        for turn, name in enumerate(OPERATIONS):
            names = with_what_it_needs(name)
            for call, nth in chosen(bench.calls(names, MUTATING), turn):
                trial = bench.run(names, ["-e", f"trace={call}", "-e", f"inject={call}:signal=INT:when={nth}"])
                count(interrupts=["interrupted"] in trial.said)
                count.within(in_flight(trial, names), interrupts=["interrupted"] in trial.said)
                wrong = [" ".join(words) for words in trial.said if words[0] == "untyped"]
                count.wrong += [f"{', '.join(names)}: {call} {nth}: {each}" for each in wrong]
    assert count.counts["interrupts"] >= 50


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_an_error_at_any_syscall_of_any_operation_is_told_and_leaves_before_or_after(
    bench: Bench, for_ever: bool
) -> None:
    how = "from then on" if for_ever else "once"
    with tally(f"T2, T5 an error at each syscall of each operation, {how}") as bench.count:
        for turn, name in enumerate(OPERATIONS):
            names = with_what_it_needs(name)
            for call, nth in chosen(bench.calls(names, f"{MUTATING},{ALSO_FAILING}"), turn):
                bench.refuse(names, call, nth, for_ever=for_ever)
    assert bench.count.counts["errors"] >= 300


def test_a_syncfs_that_fails_is_told_and_leaves_no_session_of_its_batch(bench: Bench) -> None:
    with tally("T2, T5 an error at each syscall of each operation, once") as bench.count:
        bench.refuse(("batch",), "syncfs", 1, for_ever=False)
        names = {path.name.partition("-")[2] for path in (bench.scratch / "store").glob("2*")}
        bench.count.wrong += [f"{name} was made" for name in names if name.startswith("n2")]
    assert bench.count.counts["errors"] == 1


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_an_error_at_any_flock_of_deleting_restoring_rebuilding_leaves_a_store_that_works_on(
    bench: Bench, for_ever: bool
) -> None:
    """Fails each flock, not one in three: filelock counts a lock as held after a failed unlock and refuses it then."""
    how = "from then on" if for_ever else "once"
    with tally(f"T2, T5 an error at each syscall of each operation, {how}") as bench.count:
        for names in (("delete", "restore"), ("delete", "empty_trash"), ("rebuild", "delete")):
            for call, nth in bench.calls(names, "flock"):
                bench.refuse(names, call, nth, for_ever=for_ever)
    assert bench.count.counts["errors"] >= 12


def test_a_process_killed_in_sequences_of_three_loses_nothing(bench: Bench) -> None:
    names = [name for name in OPERATIONS if name != "record"]
    sequences = [
        each for each in itertools.product(names, repeat=3) if len(list(operations.possible(each, bench.begin))) == 3
    ]
    random.Random(1).shuffle(sequences)
    with tally("T1 SIGKILL before each changing syscall of sequences of three") as bench.count:
        for sequence in sequences:
            for call, nth in bench.calls(sequence, MUTATING):
                bench.kill(sequence, call, nth)
            if bench.count.counts["kills"] >= volume(300, 5_000):
                break


# ---------------------------------------------------------------- a checker that cannot fail proves nothing


@pytest.fixture
def broken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Bench]]:
    """Gives a bench whose children break the protocol in one way; the judge does not."""
    servers: list[Server] = []

    def start(way: str) -> Bench:
        monkeypatch.setenv("PROOF_BREAK", way)
        servers.append(Server(bench.scratch / "broken"))
        monkeypatch.delenv("PROOF_BREAK")
        return Bench(servers[-1], bench.base, bench.begin, bench.scratch)

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("way", ["in_place", "unlink_first"])
def test_killing_goes_red_when_files_are_not_replaced_whole(broken: Callable[[str], Bench], way: str) -> None:
    control = broken(way)
    for call, nth in control.calls(("update",), MUTATING):
        control.kill(("update",), call, nth)
    with tally(CONTROLS) as count:
        count(controls=1)
        count.wrong += [] if control.count.wrong else [f"nobody noticed {way} under kills"]


@pytest.mark.parametrize("way", ["in_place", "unlink_first", "deaf"])
def test_refusing_goes_red_when_errors_leave_half_or_are_not_told(broken: Callable[[str], Bench], way: str) -> None:
    control = broken(way)
    for call, nth in control.calls(("update",), MUTATING):
        control.refuse(("update",), call, nth, for_ever=False)
    with tally(CONTROLS) as count:
        count(controls=1)
        count.wrong += [] if control.count.wrong else [f"nobody noticed {way} under errors"]
