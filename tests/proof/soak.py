"""The soak: processes that create (alone and in batches), update, append (each with a lock, and with a lease), delete,
list (all rows, and pages of columns) and merge for long, killed and stopped meanwhile.

    python -m tests.proof.soak --minutes 30 [--engine postgresql://...]

Each place has a ledger: a line before a call and a line after its answer. A process that is killed gets a successor,
which continues from the ledger. At the end each acknowledged write must be there, once, and nothing else may be.
What was called without an answer may be there or not. Prints one line of JSON; exits 1 when ``bad`` is not empty.
Not here: the order of answers between processes (history).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sessionstore
from sessionstore.errors import IndexUnavailable, LockTimeout, OutcomeUnknown, SessionNotFound, SessionStoreError
from sessionstore.model.row import SessionRow
from sessionstore.session import stream_lease
from sessionstore.session.stream_lease import LeasedWriter
from sessionstore.store import SessionStore
from tests.proof.operations import pages_of_few_rows

HERE = Path(__file__).parents[2]
SHARED = ("shared-0", "shared-1")
#: The mean pause between two deeds of a process: a soak is long, and other work goes on beside it.
PAUSE_S = 0.08


@dataclass
class Known:
    """What a ledger says of one session: values with an answer, and values whose call had none."""

    uuid: str = ""
    value: int = 0
    unsure_value: int | None = None
    appended: list[int] = field(default_factory=list)
    unsure_appends: set[int] = field(default_factory=set)
    deletion: str = ""  # "", "unsure", "done"


class Ledger:
    """The calls and answers of one place, and what follows from them."""

    def __init__(self, path: Path) -> None:
        self.path, self.sessions, self.count = path, dict[str, Known](), 0
        self.answers, self.failures, self.bad = Counter[str](), Counter[str](), list[str]()
        self.adds = {key: [0, 0] for key in SHARED}
        open_call: list[Any] | None = None
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        for line in lines:
            kind, *words = json.loads(line)
            if kind == "call":
                self._settle(open_call, None)
                open_call = words
                self.count = max(self.count, words[2])
            elif kind == "bad":
                self.bad.append(words[0])
            elif kind == "answer":
                self._settle(open_call, words[0])
                open_call = None
            elif kind == "refused":  # nothing changed
                self.failures[words[0]] += 1
                open_call = None
            else:  # unknown: as if there were no answer
                self.failures[words[0]] += 1
                self._settle(open_call, None)
                open_call = None
        self._settle(open_call, None)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words: Any) -> None:
        """Write one line, which survives the death of the process."""
        os.write(self._file, json.dumps(words).encode() + b"\n")

    def _settle(self, call: list[Any] | None, answer: Any) -> None:
        if call is None:
            return
        deed, key, number = call
        if answer is not None:
            self.answers[deed] += 1
        if deed == "add":
            self.adds[key][answer is None] += 1
        elif deed in ("create", "merge", "batch"):
            self._settle_new(deed, key, answer)
        elif (known := self.sessions.get(key)) is not None:
            self._settle_known(deed, known, number, answer)

    def _settle_new(self, deed: str, key: str, answer: Any) -> None:
        made = {f"{key}-{each}": uuid for each, uuid in enumerate(answer or ())} if deed == "batch" else {key: answer}
        self.sessions |= {name: Known(uuid=uuid) for name, uuid in made.items() if uuid is not None}

    @staticmethod
    def _settle_known(deed: str, known: Known, number: int, answer: Any) -> None:
        if deed == "update" and answer is None:
            known.unsure_value = number
        elif deed == "update":
            known.value, known.unsure_value = number, None
        elif deed == "append" and answer is None:
            known.unsure_appends.add(number)
        elif deed == "append":
            known.appended.append(number)
        elif deed == "delete":
            known.deletion = "unsure" if answer is None else "done"

    def living(self) -> dict[str, Known]:
        """Return the sessions that were never asked to be deleted."""
        return {key: known for key, known in self.sessions.items() if not known.deletion}


class Worker:
    """One process: does one thing after the other until it is killed or its time is up."""

    def __init__(self, folder: Path, place: int, seed: int, seconds: float) -> None:
        self.folder, self.place, self.rng = folder, place, random.Random(seed)
        self.store = sessionstore.open(folder / "store")
        self.ledger = Ledger(folder / f"ledger-{place}")
        self.end = time.monotonic() + seconds

    def run(self) -> None:
        deeds: list[tuple[Callable[[], None], int]] = [
            *((self.update, 20), (self.append, 20), (self.burst, 5), (self.add, 5), (self.listed, 3), (self.paged, 6)),
            *((self.create, 2), (self.batch, 1), (self.delete, 5), (self.merge, 1)),
        ]
        while time.monotonic() < self.end:
            time.sleep(self.rng.uniform(0, 2 * PAUSE_S))
            if len(self.ledger.living()) < 5:
                self.create()
            else:
                self.rng.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0]()

    @contextmanager
    def call(self, deed: str, key: str) -> Iterator[list[Any]]:
        """Write a call and its answer to the ledger."""
        ledger = self.ledger
        ledger.count += 1
        words = [deed, key, ledger.count]
        ledger.write("call", *words)
        answer: list[Any] = []
        try:
            yield answer
        except (LockTimeout, IndexUnavailable) as error:
            ledger.write("refused", type(error).__name__)
        except OutcomeUnknown as error:
            ledger.write("unknown", type(error).__name__)
            ledger._settle(words, None)
        except SessionStoreError as error:
            ledger.write("bad", f"{deed} {key}: {type(error).__name__}: {error}")
            ledger._settle(words, None)
        else:
            result = answer[0] if answer else True
            ledger.write("answer", result)
            ledger._settle(words, result)

    def one(self) -> tuple[str, Known]:
        return self.rng.choice(list(self.ledger.living().items()))

    def create(self) -> None:
        key = f"p{self.place}-{self.ledger.count + 1}"
        with self.call("create", key) as answer:
            answer.append(self.store.create(key, metadata={"v": 0}).uuid)

    def update(self) -> None:
        key, known = self.one()
        with self.call("update", key):
            self.store.get(known.uuid).update(metadata={"v": self.ledger.count, "long": "x" * self.rng.randrange(2000)})

    def add(self) -> None:
        key = self.rng.choice(SHARED)
        with self.call("add", key):
            self.store.get(key).update(lambda record: record["metadata"].update(v=record["metadata"]["v"] + 1))

    def append(self) -> None:
        key, known = self.one()
        with self.call("append", key):
            writer = self.store.get(known.uuid).writer("events", self.rng.choice(("os", "batch", "full")))
            writer.append({"v": self.ledger.count})
            writer.close()

    def burst(self) -> None:
        """Append as a recorder does: the lock is kept until another writer asks for it, or a thread sees a pause."""
        key, known = self.one()
        stream_lease._BURST_S = 1e9
        writer: LeasedWriter | None = None
        for _ in range(8):
            with self.call("append", key):
                writer = writer or LeasedWriter(self.store.get(known.uuid).stream_path("events"), "os")
                writer.append({"v": self.ledger.count})
        if writer is not None:
            writer.close()

    def batch(self) -> None:
        key = f"b{self.place}-{self.ledger.count + 1}"
        with self.call("batch", key) as answer:
            made = self.store.create_many({"name": f"{key}-{each}", "metadata": {"v": 0}} for each in range(3))
            answer.append([session.uuid for session in made])

    def delete(self) -> None:
        key, known = self.one()
        with self.call("delete", key):
            self.store.delete(known.uuid)

    def listed(self) -> None:
        """What this place made and kept is listed, once; what it deleted is not; values are not older than its own."""
        with self.call("list", "-"):
            self.compare(self.store.find())

    def paged(self) -> None:
        """The same of one page, read from columns."""
        with self.call("page", "-"), pages_of_few_rows():
            page = self.store.page("metadata.v>=0", sort="session_name", limit=100_000)
            if page.total != len(page.rows):
                self.ledger.write("bad", f"the page of {page.total} shows {len(page.rows)}")
            self.compare(page.rows)

    def compare(self, rows: list[SessionRow]) -> None:
        times = Counter(row.uuid for row in rows)
        values = {row.uuid: row.decoded_metadata().get("v", 0) for row in rows}
        for key, known in self.ledger.sessions.items():
            if not known.deletion and times[known.uuid] != 1:
                self.ledger.write("bad", f"{key} is listed {times[known.uuid]} times")
            elif not known.deletion and values[known.uuid] not in (known.value, known.unsure_value):
                self.ledger.write("bad", f"{key} is listed with {values[known.uuid]}, not {known.value}")
            elif known.deletion == "done" and times[known.uuid]:
                self.ledger.write("bad", f"{key} was deleted, and is listed")

    def merge(self) -> None:
        from sessionstore.exchange.merge import merge

        key = f"m{self.place}-{self.ledger.count + 1}"
        side = self.folder / f"side-{self.place}-{self.ledger.count + 1}"
        with sessionstore.open(side, index="journal:") as source:
            uuid = source.create(key, metadata={"v": 0}).uuid
        with self.call("merge", key) as answer:
            merge(self.store, side)
            answer.append(uuid)
        shutil.rmtree(side)


# ---------------------------------------------------------------- the judge


def judge(store: SessionStore, ledgers: list[Ledger], where: str) -> list[str]:
    """Compare what is there with what was acknowledged."""
    bad = [f"{where}: {each}" for ledger in ledgers for each in ledger.bad]
    rows = store.find()
    times = Counter(row.uuid for row in rows)
    bad += [f"{where}: {row.session_id} is {row.status}" for row in rows if row.status in ("unreadable", "missing")]
    for ledger in ledgers:
        for key, known in ledger.sessions.items():
            if known.deletion == "done" and times[known.uuid]:
                bad.append(f"{where}: {key} was deleted, and is listed")
            elif not known.deletion:
                bad += [f"{where}: {key} {each}" for each in _judge_session(store, known, times[known.uuid])]
    for key in SHARED:
        sure, unsure = (sum(ledger.adds[key][kind] for ledger in ledgers) for kind in (0, 1))
        value = store.get(key).record.metadata["v"]
        if not sure <= value <= sure + unsure:
            bad.append(f"{where}: {key} counts {value} of {sure} acknowledged and {unsure} unsure additions")
    return bad


def _judge_session(store: SessionStore, known: Known, times: int) -> Iterator[str]:
    if times != 1:
        yield f"is listed {times} times"
    try:
        session = store.get(known.uuid)
        value = session.record.metadata.get("v", 0)
        lines = [line.data["v"] for line in session.tape("events").read()] if "events" in session.tapes() else []
    except SessionNotFound:
        yield "was acknowledged, and is not there"
        return
    if value not in (known.value, known.unsure_value):
        yield f"has the value {value}, not {known.value}"
    sure = [each for each in lines if each not in known.unsure_appends]
    if sure != known.appended:
        yield f"has {len(sure)} lines, not the {len(known.appended)} that were acknowledged, in their order"
    if len(set(lines)) != len(lines):
        yield "has a line twice"


# ---------------------------------------------------------------- the run


def soak(folder: Path, seconds: float, processes: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Let processes work, kill and stop them, and return the figures."""
    with sessionstore.open(folder / "store") as store:
        for key in SHARED:
            store.create(key, metadata={"v": 0})
    figures: dict[str, Any] = {"seconds": round(seconds), "kills": 0, "stops": 0}
    crashes = _disturb(folder, seconds, processes, figures, say)
    ledgers = [Ledger(folder / f"ledger-{place}") for place in range(processes)]
    answers, failures = Counter[str](), Counter[str]()
    for ledger in ledgers:
        answers += ledger.answers
        failures += ledger.failures
    with sessionstore.open(folder / "store") as store:
        bad = crashes + judge(store, ledgers, "at the end")
        store.rebuild()
        bad += [each for each in judge(store, ledgers, "after a rebuild") if each not in bad]
    return {**figures, **dict(sorted(answers.items())), "failures": dict(failures), "bad": bad}


def _disturb(
    folder: Path, seconds: float, processes: int, figures: dict[str, Any], say: Callable[[str], None]
) -> list[str]:
    """Kill and stop processes until the time is up; return how those ended that ended by themselves before."""
    rng, end, crashes, seed = random.Random(1), time.monotonic() + seconds, list[str](), processes
    children = [_start(folder, place, place, seconds) for place in range(processes)]
    stopped: dict[int, float] = {}
    told_at = time.monotonic()
    while time.monotonic() < end - 1:
        time.sleep(rng.uniform(0.2, 2.5))
        for place, until in list(stopped.items()):
            if time.monotonic() > until:
                children[place].send_signal(signal.SIGCONT)
                del stopped[place]
        place = rng.randrange(processes)
        if children[place].poll() is not None:
            crashes.append(f"the process of place {place} ended with {children[place].returncode}")
        elif place in stopped:
            continue
        elif rng.random() < 0.4:
            children[place].send_signal(signal.SIGSTOP)
            stopped[place] = time.monotonic() + rng.choice((0.1, 0.5, 2, 12))
            figures["stops"] += 1
            continue
        else:
            children[place].kill()
            children[place].wait()
            figures["kills"] += 1
        seed += 1
        children[place] = _start(folder, place, seed, max(0.1, end - time.monotonic()))
        if time.monotonic() - told_at > 60:
            told_at = time.monotonic()
            say(f"{end - told_at:.0f} s left, {figures['kills']} kills, {figures['stops']} stops")
    for place in stopped:
        children[place].send_signal(signal.SIGCONT)
    for place, child in enumerate(children):
        if child.wait(180):
            crashes.append(f"the process of place {place} ended with {child.returncode}")
    return crashes


def _start(folder: Path, place: int, seed: int, seconds: float) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.proof.soak", "--worker", str(folder), str(place), str(seed), str(seconds)]
    with (folder / "errors").open("ab") as errors:
        return subprocess.Popen(words, cwd=HERE, stderr=errors)


def main() -> int:
    """Run the soak, or one of its processes."""
    if sys.argv[1:2] == ["--worker"]:
        folder, place, seed, seconds = sys.argv[2:]
        Worker(Path(folder), int(place), int(seed), float(seconds)).run()
        return 0
    parser = argparse.ArgumentParser(description="Processes that are killed and stopped while they write.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--engine", default="journal:", help="the index: journal:, sqlite: or postgresql://...")
    parser.add_argument("--folder", type=Path, help="a folder to keep; by default one that is removed when all is well")
    given = parser.parse_args()
    os.environ["SESSIONSTORE_INDEX"] = given.engine
    folder = given.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(exist_ok=True)
    figures = soak(folder, given.minutes * 60, given.processes, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps({"engine": given.engine.partition(":")[0], **figures}))
    if not figures["bad"] and given.folder is None:
        shutil.rmtree(folder)
    elif figures["bad"]:
        print(f"the store is kept in {folder}", file=sys.stderr)
    return 1 if figures["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
