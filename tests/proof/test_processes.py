"""T7, T8, T9: many processes at once, some of them killed or stopped: everything they saw has an explanation."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import SessionStoreError
from tests.proof import breaking, history, workers
from tests.proof.history import NEVER, Done
from tests.proof.tally import CONTROLS, Tally, tally
from tests.proof.volumes import volume

pytestmark = [pytest.mark.slow, pytest.mark.timeout(36000)]


def test_eight_processes_see_one_order_of_everything(scratch: Path) -> None:
    with tally("T7 many processes at once, one order that explains all answers") as count:
        outcome = workers.hammer(scratch, volume(8, 16), volume(10, 600))
        count(processes=outcome.processes, operations=outcome.operations)
        count.wrong += outcome.anomalies
    assert outcome.operations > 100


@pytest.mark.parametrize("engine", ["journal:", "sqlite:", "postgresql:"])
def test_what_is_deleted_and_restored_at_once_is_listed_in_one_order(
    scratch: Path, engine: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql:" else engine
    monkeypatch.setenv("SESSIONSTORE_INDEX", url)
    with tally("T7 many processes that delete, restore and list") as count:
        outcome = workers.hammer(scratch, volume(8, 16), volume(4, 300), deeds="existence")
        count(processes=outcome.processes, operations=outcome.operations)
        count.wrong += outcome.anomalies
    assert outcome.operations > 100


def test_processes_that_are_killed_and_stopped_leave_nothing_unexplained(scratch: Path) -> None:
    with tally("T8 the same, killed and stopped as they go") as count:
        outcome = workers.hammer(scratch, volume(8, 16), volume(10, 600), kill=True)
        count(processes=outcome.processes, kills=outcome.killed, stops=outcome.stopped, operations=outcome.operations)
        count.wrong += outcome.anomalies
    assert outcome.killed > 3


@pytest.mark.parametrize("way", ["early_unlock", "in_place", "reused_handle"])
def test_the_search_goes_red_when_the_protocol_is_broken(scratch: Path, way: str) -> None:
    with tally(CONTROLS) as count:
        count(controls=1)
        # Chance brings the processes together, and a busy machine rarely: up to 39 more rounds.
        rounds = (workers.hammer(scratch / str(round_), 8, 3, way=way).anomalies for round_ in range(40))
        crash = "a process ended with"  # TinyDB itself notices a reused handle, and raises
        seen = any(crash not in each or way == "reused_handle" for anomalies in rounds for each in anomalies)
        count.wrong += [] if seen else [f"nobody noticed {way}"]


# ---------------------------------------------------------------- the search itself


def by_brute_force(done: list[Done], model: history.Model, state: object) -> bool:
    """Try every order: slow, and plainly right."""
    must = [each for each in done if each.returned != NEVER]
    optional = [each for each in done if each.returned == NEVER]
    for count in range(len(optional) + 1):
        for chosen in itertools.combinations(optional, count):
            for order in itertools.permutations([*must, *chosen]):
                value = state
                for place, each in enumerate(order):
                    if any(later.returned < each.called for later in order[place + 1 :]):
                        break
                    value = model(value, each)
                    if value is None:
                        break
                else:
                    return True
    return False


def test_the_search_says_what_trying_every_order_says() -> None:
    import random

    rng, verdicts = random.Random(7), set()
    for _ in range(400):
        done = []
        for _ in range(rng.randrange(1, 6)):
            called = rng.randrange(8)
            name, pending = rng.choice(("add", "read")), rng.random() < 0.2
            answer = None if pending else rng.randrange(4)
            if pending and name == "read":
                continue
            done.append(Done(name, None, answer, called, NEVER if pending else called + rng.randrange(1, 5)))
        verdict = history.explains(done, history.counter, 0)
        assert verdict == by_brute_force(done, history.counter, 0), done
        verdicts.add(verdict)
    assert verdicts == {True, False}


# ---------------------------------------------------------------- readers during writes

READER = """
    import sys, time
    import sessionstore
    from tests.proof import breaking
    from sessionstore.errors import SessionStoreError
    breaking.break_by_environment()
    store = sessionstore.open(sys.argv[1])
    last, reads, end = 0, 0, time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end or (reads <= 5 and time.monotonic() < end + 60):  # a slow machine has longer
        record = store.get("A").record
        assert record.metadata["a"] == record.metadata["b"], "half an update"
        assert record.rev >= last, f"revision {record.rev} after {last}"
        last = record.rev
        row = store.find()[0]
        assert row.rev >= last, f"the list shows revision {row.rev} after {last}"
        assert row.decoded_metadata()["a"] == row.decoded_metadata()["b"]
        last = row.rev
        count = 0
        for line in store.get("A").tape("events").read():
            assert line.n == count and line.data["a"] == line.data["b"], "a torn or missing line"
            count += 1
            if count >= 200:
                break
        reads += 1
    print(reads)
    assert reads > 5, reads
"""


def read_while_writing(folder: Path, seconds: float, way: str, count: Tally) -> list[str]:
    """Let two processes read while this one updates, appends and compacts; return what the readers complained of."""
    with sessionstore.open(folder / "store") as store:
        session = store.create("A", metadata={"a": 0, "b": 0})
        environment = {**os.environ, "PROOF_BREAK": way}
        arguments = [sys.executable, "-c", textwrap.dedent(READER), str(folder / "store"), str(seconds)]
        readers = [
            subprocess.Popen(
                arguments, cwd=workers.HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(2)
        ]
        writer, number, said = session.writer("events", "os"), 0, []
        while any(reader.poll() is None for reader in readers):
            number += 1
            try:
                session.update(metadata={"a": number, "b": number, "long": "x" * (number * 7919 % 60_000)})
                writer.append({"a": number, "long": "x" * 50, "b": number})
                if number % 10 == 0:
                    store.index.compact()  # type: ignore[attr-defined]
            except SessionStoreError as error:
                said.append(f"the writer: {error}")
        writer.close()
        for reader in readers:
            reads, errors = (text.decode() for text in reader.communicate())
            count(processes=1, reads=sum(map(int, reads.split())))
            if reader.returncode:
                said.append(errors.strip().splitlines()[-1])
        count(writes=number)
        return said


def test_readers_never_see_half_or_older_data_while_others_write(scratch: Path) -> None:
    with tally("T9 two readers during updates, appends, compactions") as count:
        count.wrong += read_while_writing(scratch, volume(3, 600), "", count)


@pytest.mark.parametrize("way", ["in_place", "unlink_first"])
def test_readers_notice_files_that_are_not_replaced_whole(
    way: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking.WAYS[way](monkeypatch.setattr)
    said = any(read_while_writing(scratch / str(round_), 2, way, Tally()) for round_ in range(12))
    with tally(CONTROLS) as count:
        count(controls=1)
        count.wrong += [] if said else [f"no reader noticed {way}"]
