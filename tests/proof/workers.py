"""Processes that hammer one store and write down what they saw: counters, streams, creations, deletions, listings.

Each process appends what it did to a file of its own, one line when it calls and one when it has an answer, so that
what it was doing when it was killed is known too. Times are of the monotonic clock, which all processes share.
Not here: whether the histories can be explained (history).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sessionstore
from sessionstore.errors import Conflict, LockTimeout, SessionNotFound, SessionStoreError
from sessionstore.index.journal.tinydb_storage import JournalDatabase
from sessionstore.store import SessionStore
from tests.proof import breaking, history
from tests.proof.history import NEVER, Done

HERE = Path(__file__).parents[2]


class Worker:
    """One process: does one thing after the other until its time is up."""

    def __init__(self, folder: Path, number: int, seconds: float) -> None:
        self.store = sessionstore.open(folder / "store")
        self.log = os.open(folder / f"history-{number}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.rng = random.Random(number)
        self.tables = {
            "t0": self.store.get("c0").table("notes"),
            "j0": JournalDatabase(folder / "journal.jsonl", sync=False),
        }
        self.number, self.end, self.count = number, time.monotonic() + seconds, 0

    def run(self, coming_and_going: bool = False) -> None:
        """Do this and that; or only what makes sessions come and go, twenty times as often as among all else."""
        deeds = [
            *(self.add, self.add, self.read, self.append, self.append, self.count_lines),
            *(self.listed, self.existence, self.insert, self.create),
        ]
        if coming_and_going:
            deeds = [self.listed, self.listed, self.existence]
        while time.monotonic() < self.end:
            self.rng.choice(deeds)()

    @contextmanager
    def told(self, key: str, name: str, argument: Any = None) -> Iterator[list[Any]]:
        """Write down a call, and its answer when there is one."""
        self.count += 1
        mark = f"{self.number}.{self.count}"
        self._write("call", mark, key, name, argument, time.monotonic())
        answer: list[Any] = []
        try:
            yield answer
        except LockTimeout:
            self._write("refused", mark)
        except SessionStoreError as error:
            self._write("error", mark, f"{type(error).__name__}: {error}")
        else:
            self._write("return", mark, answer[0] if answer else None, time.monotonic())

    def _write(self, *words: Any) -> None:
        os.write(self.log, json.dumps(words).encode() + b"\n")

    def add(self) -> None:
        key = f"c{self.rng.randrange(2)}"
        session = self.store.get(key)
        with self.told(key, "add") as answer:
            record = session.update(lambda record: record["metadata"].update(v=record["metadata"]["v"] + 1))
            answer.append(record.metadata["v"])

    def read(self) -> None:
        key = f"c{self.rng.randrange(2)}"
        with self.told(key, "read") as answer:
            if self.rng.random() < 0.5:
                answer.append(self.store.get(key).record.metadata["v"])
            else:
                answer.append(next(row for row in self.store.find() if row.session_name == key).decoded_metadata()["v"])

    def append(self) -> None:
        key = f"s{self.rng.randrange(2)}"
        session = self.store.get(key)
        argument = f"{self.number}.{self.count}"
        with self.told(key, "append", argument):
            writer = session.writer("events", self.rng.choice(("os", "full")))
            writer.append({"v": argument})
            writer.close()

    def count_lines(self) -> None:
        key = f"s{self.rng.randrange(2)}"
        tape = self.store.get(key).tape("events")
        with self.told(key, "read") as answer:
            lines = list(tape.read()) if self.rng.random() < 0.3 else [line] if (line := tape.last()) else []
            answer.append([lines[-1].n + 1, lines[-1].data["v"]] if lines else [0, None])
            if [line.n for line in lines] != list(range(lines[0].n, lines[-1].n + 1)) if lines else False:
                answer[0] = "a gap"

    def insert(self) -> None:
        """Insert into a TinyDB table by a handle that was made once: its numbers count up over all processes."""
        key = self.rng.choice(list(self.tables))
        with self.told(key, "add") as answer:
            answer.append(self.tables[key].insert({"v": self.number}))

    def create(self) -> None:
        """Make a session of a name that all want; it must be listed from then on."""
        with self.told("n", "create") as answer:
            made = self.store.create("wanted by all").session_id
            listed = {row.session_id for row in self.store.find() if row.status == "created"}
            answer.append(made if made in listed else f"{made}, which is not listed")

    def listed(self) -> None:
        key = f"x{self.rng.randrange(3)}"
        with self.told(key, "listed") as answer:
            found = [row.status for row in self.store.find() if row.session_id == key]
            answer.append(found == ["created"] if len(found) < 2 and "missing" not in found else "twice or missing")

    def existence(self) -> None:
        key = f"x{self.rng.randrange(3)}"
        if self.rng.random() < 0.5:
            with self.told(key, "delete") as answer:
                try:
                    self.store.delete(key)
                    answer.append(True)
                except SessionNotFound:
                    answer.append(False)
        else:
            with self.told(key, "restore") as answer:
                try:
                    self.store.restore(key)
                    answer.append(True)
                except (SessionNotFound, Conflict):
                    answer.append(False)


def begin(folder: Path) -> None:
    """Make the objects: counters, streams, and sessions that come and go."""
    with sessionstore.open(folder / "store") as store:
        for kind in ("c", "s", "x"):
            for number in range(3):
                session = store.create(f"{kind}{number}", metadata={"v": 0})
                if kind == "x":  # under a short id, so that delete and restore name it
                    os.rename(session.folder, session.folder.with_name(f"x{number}"))
        (folder / "store" / "index.jsonl").unlink(missing_ok=True)
        store.find()


@dataclass
class Outcome:
    """What many processes did, and what cannot be explained."""

    operations: int = 0
    processes: int = 0
    killed: int = 0
    stopped: int = 0
    anomalies: list[str] = field(default_factory=list)


def hammer(
    folder: Path, processes: int, seconds: float, *, kill: bool = False, way: str = "", deeds: str = "all"
) -> Outcome:
    """Let processes work on one store, and search for the orders that explain what they saw.

    Args:
        kill: SIGKILL and SIGSTOP processes as they go, and start others in their place.
        way: break the protocol in this way (a negative control).
        deeds: ``all``, or ``existence`` for deleting, restoring and listing only.
    """
    begin(folder)
    outcome = Outcome(processes=processes)
    children = [_start(folder, number, seconds, way, deeds) for number in range(processes)]
    if kill:
        _disturb(folder, children, seconds, outcome, way, deeds)
    for child in children:
        child.wait(seconds + 120)
        if child.returncode not in (0, -signal.SIGKILL):
            outcome.anomalies.append(f"a process ended with {child.returncode}")
    judge(folder, outcome)
    return outcome


def _start(folder: Path, number: int, seconds: float, way: str, deeds: str) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "tests.proof.workers", str(folder), str(number), str(seconds), deeds]
    environment = {**os.environ, "PROOF_BREAK": way}
    return subprocess.Popen(arguments, cwd=HERE, env=environment)


def _disturb(
    folder: Path, children: list[subprocess.Popen[bytes]], seconds: float, outcome: Outcome, way: str, deeds: str
) -> None:
    rng, end = random.Random(1), time.monotonic() + seconds
    while time.monotonic() < end - 1:
        time.sleep(rng.uniform(0.02, 0.2))
        victim = rng.randrange(len(children))
        if children[victim].poll() is not None:
            continue
        if rng.random() < 0.3:
            children[victim].send_signal(signal.SIGSTOP)
            time.sleep(0.1)
            children[victim].send_signal(signal.SIGCONT)
            outcome.stopped += 1
            continue
        children[victim].kill()
        children[victim].wait()
        outcome.killed += 1
        number = 1000 + outcome.killed
        children[victim] = _start(folder, number, max(0.1, end - time.monotonic()), way, deeds)
        outcome.processes += 1


def judge(folder: Path, outcome: Outcome) -> None:
    """Search each object's history, and compare what is there at the end with what was acknowledged."""
    histories, errors = _read(folder)
    outcome.anomalies += errors
    outcome.operations = sum(map(len, histories.values()))
    with sessionstore.open(folder / "store") as store:
        outcome.anomalies += _judge_creations(store, histories.pop("n", []))
        for key, done in sorted(histories.items()):
            end = time.monotonic()
            last = Done("read", None, _final(folder, store, key), end, end + 1)
            model = {**dict.fromkeys("ctj", history.counter), "s": history.tape, "x": history.existence}[key[0]]
            start: Any = {"s": (), "x": True}.get(key[0], 0)
            if key[0] == "x":
                last = Done("listed", None, any(row.session_id == key for row in store.find()), end, end + 1)
            if not history.explains([*done, last], model, start):
                outcome.anomalies.append(f"no order explains the {len(done)} operations on {key}")


def _judge_creations(store: SessionStore, done: list[Done]) -> list[str]:
    """Return what is wrong with the ids that were given away: each once, and there for good."""
    given = [each.answer for each in done]
    there = [row.session_id for row in store.find("status=created") if row.session_name == "wanted by all"]
    wrong = [f"the id {each} was given away twice" for each in given if given.count(each) > 1]
    wrong += [f"{each} was acknowledged, and is not there" for each in given if each not in there]
    return wrong + [f"{each} is listed twice" for each in there if there.count(each) > 1]


def _final(folder: Path, store: SessionStore, key: str) -> Any:
    if key[0] == "x":
        return None
    if key[0] == "t":
        return len(store.get("c0").table("notes"))
    if key[0] == "j":
        return len(JournalDatabase(folder / "journal.jsonl"))
    session = store.get(key)
    if key[0] == "c":
        return session.record.metadata["v"]
    lines = [line.data["v"] for line in session.tape("events").read()]
    return (len(lines), lines[-1] if lines else None)


def _read(folder: Path) -> tuple[dict[str, list[Done]], list[str]]:
    """Return the histories by object; what was refused did not happen, what has no answer may have."""
    found: dict[str, list[Done]] = defaultdict(list)
    errors: list[str] = []
    for path in folder.glob("history-*"):
        open_calls: dict[str, list[Any]] = {}
        for line in path.read_bytes().split(b"\n")[:-1]:
            kind, mark, *rest = json.loads(line)
            if kind == "call":
                open_calls[mark] = rest
                continue
            key, name, argument, called = open_calls.pop(mark)
            if kind == "error":
                errors.append(f"{name} on {key}: {rest[0]}")
            elif kind == "return":
                answer = tuple(rest[0]) if isinstance(rest[0], list) else rest[0]
                found[key].append(Done(name, argument, answer, called, rest[1]))
        for key, name, argument, called in open_calls.values():  # the last one of a process that was killed
            if name in ("add", "append", "delete", "restore"):
                found[key].append(Done(name, argument, None, called, NEVER))
    return found, errors


if __name__ == "__main__":
    breaking.break_by_environment()
    Worker(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])).run(coming_and_going=sys.argv[4] == "existence")
