"""T7 for ids: sixteen processes claim ids of a few names at once, some of them killed: each id once, none left out.

``2026...-run``, ``-run-2``, ``-run-3`` ...: a number is left out only where a process was killed between
the claim and its session.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

import sessionstore
from sessionstore.store import SessionStore, id_reservations
from tests.proof.tally import CONTROLS, tally
from tests.proof.volumes import volume

ROW = "T7 a storm of ids: 16 processes claim the same names at once, 4 of them killed"
PROCESSES, KILLED = 16, 4
NAMES = ("run", "Run", "scan 2", None)
ROUNDS = volume(3, 200)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def _claim(path: Path, number: int, start: Path) -> None:
    """Create sessions one by one and in batches, and write down each id once its call has returned."""
    with sessionstore.open(path, sync="os") as store, path.with_name(f"told-{number}").open("a", buffering=1) as told:
        while not start.exists():
            time.sleep(0.001)
        for turn in range(ROUNDS if number >= KILLED else 10**9):
            for name in NAMES:
                told.write(f"{store.create(name).session_id}\n")
            if turn % 3 == number % 3:
                made = store.create_many({"name": "run"} for _ in range(3))
                told.write("".join(f"{session.session_id}\n" for session in made))
    os._exit(0)


def storm(scratch: Path) -> list[str]:
    """Let the processes create at once, kill some; return what is wrong with the ids."""
    path, start = scratch / "store", scratch / "start"
    sessionstore.open(path).close()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_claim, args=(path, number, start)) for number in range(PROCESSES)]
    for child in children:
        child.start()
    start.touch()
    for number, child in enumerate(children[:KILLED]):
        told = scratch / f"told-{number}"
        until = time.monotonic() + 60
        while not (told.exists() and told.stat().st_size) and time.monotonic() < until:
            time.sleep(0.002)
        os.kill(child.pid or 0, signal.SIGKILL)
    for child in children:
        child.join(120)
    wrong = [
        f"process {each} ended with {child.exitcode}" for each, child in enumerate(children) if _is_odd(each, child)
    ]
    told_ids = [line for file in scratch.glob("told-*") for line in file.read_text().splitlines(keepends=True)]
    whole = [line.strip() for line in told_ids if line.endswith("\n")]
    with sessionstore.open(path) as store:
        return wrong + differences(store, whole)


def _is_odd(number: int, child: multiprocessing.process.BaseProcess) -> bool:
    return child.exitcode != (-signal.SIGKILL if number < KILLED else 0)


def differences(store: SessionStore, told: list[str]) -> list[str]:
    """Return what is wrong: an id given twice, one without its folder, folders that macOS takes for one, gaps."""
    wrong = [f"{each} was given {times} times" for each, times in Counter(told).items() if times > 1]
    found = store.root.session_ids()
    wrong += [f"{each} has no folder" for each in set(told) - set(found)]
    wrong += [
        f"{each} differs from another by case only"
        for each, times in Counter(map(str.casefold, found)).items()
        if times > 1
    ]
    wrong += [f"{each} is listed otherwise" for each in set(found) ^ {row.session_id for row in store.find()}]
    gaps = sum(len(missing) for missing in missing_numbers(found).values())
    # A killed process had one claim at most, or the three of a batch, that became no session.
    return wrong + ([f"{gaps} numbers are left out"] if gaps > KILLED * 3 else [])


def missing_numbers(ids: list[str]) -> dict[str, set[int]]:
    """Return by minute and name which numbers below the highest no session has."""
    numbers: dict[str, set[int]] = {}
    for each in ids:
        match = re.fullmatch(r"(\d{12}(?:-run|-scan-2|))(?:-(\d+))?", each.casefold())
        assert match is not None, each
        numbers.setdefault(match[1], set()).add(int(match[2] or 1))
    return {name: set(range(1, max(found) + 1)) - found for name, found in numbers.items()}


def test_ids_claimed_by_sixteen_processes_at_once_are_each_given_once_and_leave_no_gaps(scratch: Path) -> None:
    with tally(ROW) as count:
        count.wrong += storm(scratch)
        count(processes=PROCESSES, kills=KILLED, operations=len(list((scratch / "store").glob("2*"))))


def test_a_storm_of_ids_goes_red_when_numbers_are_skipped(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = id_reservations.IdReservations._free
    monkeypatch.setattr(
        id_reservations.IdReservations, "_free", lambda self, first, number: free(self, first, number + 1)
    )
    with tally(CONTROLS) as count:
        count(controls=1)
        count.wrong += [] if any("left out" in each for each in storm(scratch)) else ["nobody noticed skipped numbers"]


def test_an_id_given_twice_or_without_a_folder_is_noticed(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        ids = [store.create("run").session_id for _ in range(2)]
        assert differences(store, ids) == []
        assert differences(store, [*ids, ids[0]]) == [f"{ids[0]} was given 2 times"]
        assert differences(store, [*ids, "202611231430-run"]) == ["202611231430-run has no folder"]
