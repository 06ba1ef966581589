"""What is run: the workloads W1 to W8 on one machine in one run, each system in turn.

Every case has the systems that can do it, a probe of the limit among them, and a target where one is set.
Not here: time and memory against size, rebuilding and imports (scale), how systems work (systems, limit, ours, peers).
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from sessionstore.bench import LIMIT, LIMIT_DURABLE, OURS, OURS_OS, OURS_SQLITE, contestants
from sessionstore.bench.figures import Figure, Figures, Operation, Target, duration, in_turn, rate
from sessionstore.bench.generate import fill_stream, log_records, sparse_stream
from sessionstore.bench.limit import inode_probe
from sessionstore.bench.ours import Ours
from sessionstore.bench.processes import run_workers
from sessionstore.bench.systems import System
from sessionstore.session.stream_lease import LeasedWriter
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter

if TYPE_CHECKING:
    from sessionstore.bench.run import Plan


#: What others are compared with: it is measured before the first round and after the last, too.
_YARDSTICKS = (LIMIT, LIMIT_DURABLE, "signac")


class Bench:
    """One run: a scratch folder, a plan, the figures so far."""

    def __init__(self, scratch: Path, plan: Plan, figures: Figures, only: Iterable[str] = ()) -> None:
        self.scratch = scratch
        self.plan = plan
        self.figures = figures
        wanted = set(only)
        self.systems = {
            name: made
            for name, made in contestants().items()
            if not wanted or name in wanted or name in (LIMIT, LIMIT_DURABLE, OURS)
        }
        self._count = 0

    @contextmanager
    def made(self, size: int, names: Iterable[str] | None = None) -> Iterator[dict[str, System]]:
        """Give the systems that reach a size, filled with ``size`` sessions, each in a folder of its own."""
        self._count += 1
        folder = self.scratch / f"{self._count}-{size}"
        folder.mkdir(parents=True)
        made: dict[str, System] = {}
        try:
            for name, kind in self.systems.items():
                if size <= kind.most and (names is None or name in names):
                    self._make(made, name, folder, size)
            yield made
        finally:
            for system in made.values():
                system.close()
            shutil.rmtree(folder)

    def _make(self, made: dict[str, System], name: str, folder: Path, size: int) -> None:
        """Make and fill one system; a peer that does not work here is left out, and named in the report."""
        try:
            system = self.systems[name](folder / name.replace(" ", "-"))
            system.fill(size)
            made[name] = system
        except Exception as error:
            if name in (LIMIT, LIMIT_DURABLE) or _is_ours(name):
                raise
            self.figures.left_out[name] = f"{type(error).__name__}: {str(error)[:200]}"

    def folder(self, name: str) -> Path:
        """Make and return an empty scratch folder."""
        self._count += 1
        folder = self.scratch / f"{self._count}-{name}"
        folder.mkdir(parents=True)
        return folder

    def rates(
        self, workload: str, case: str, size: int | None, operations: dict[str, Operation], unit: str = "/s"
    ) -> dict[str, Figure]:
        """Measure how many a second each does."""
        return self._take(workload, case, size, operations, lambda one: rate(one, self.plan.slice_s), unit)

    def durations(
        self, workload: str, case: str, size: int | None, operations: dict[str, Operation]
    ) -> dict[str, Figure]:
        """Measure how long each takes."""
        return self._take(workload, case, size, operations, duration, "s")

    def _take(
        self,
        workload: str,
        case: str,
        size: int | None,
        operations: dict[str, Operation],
        measure: Callable[[Operation], float],
        unit: str,
    ) -> dict[str, Figure]:
        around: dict[str, list[float]] = {name: [] for name in _YARDSTICKS}
        values = in_turn(operations, self.plan.rounds, measure, around=around)
        found = {name: Figure(workload, case, name, unit, each, size) for name, each in values.items()}
        for name in around.keys() & found.keys():
            found[name].around = around[name]
        for figure in found.values():
            system = self.systems.get(figure.system)
            figure.against = LIMIT_DURABLE if system is not None and system.durable and unit == "/s" else LIMIT
        return found

    def add(self, found: dict[str, Figure], targets: dict[str, Target] | None = None) -> None:
        """Keep figures, and what is asked of them."""
        for name, figure in found.items():
            figure.target = (targets or {}).get(name)
        for figure in found.values():
            self.figures.add(figure)


def _able(operations: dict[str, Callable[[int], object]]) -> dict[str, Operation]:
    """Return the operations that a system has, each numbered on by itself and called once to see."""
    able: dict[str, Operation] = {}
    for name, operation in operations.items():
        able_one = _numbered(operation)
        try:
            able_one()
        except NotImplementedError:
            continue
        able[name] = able_one
    return able


def _numbered(operation: Callable[[int], object]) -> Operation:
    count = 1_000_000  # above every number that filling gave away

    def once() -> int:
        nonlocal count
        count += 1
        operation(count)
        return 1

    return once


# ---------------------------------------------------------------- W1 and W2: create and update


def create(bench: Bench) -> None:
    """W1: create one session, as durable as the system is."""
    for size in bench.plan.sizes:
        with bench.made(size) as systems:
            operations = _able({name: system.create for name, system in systems.items()})
            found = bench.rates("W1", "create", size, operations)
            if OURS_OS in found and "signac" in found:
                found[OURS_OS].against = "signac"
            targets = {OURS: Target("ratio", ">=", 0.85), OURS_SQLITE: Target("ratio", ">=", 0.75)}
            probe, fast = inode_probe(bench.folder("inodes"), size)
            bench.add({probe.system: probe})
            if fast:  # else all wait for the same
                targets[OURS_OS] = Target("ratio", ">=", 2.0)
            bench.add(found, targets)
            if isinstance(ours := systems.get(OURS), Ours) and LIMIT_DURABLE in systems:
                batches = {LIMIT_DURABLE: operations[LIMIT_DURABLE], OURS: ours.create_many}
                found = bench.rates("W1", "create in batches of 1,000", size, batches)
                bench.add(found, {OURS: Target("ratio", ">=", 2.0)})


def update(bench: Bench) -> None:
    """W2: change status and workflow state of one of many sessions."""
    size = bench.plan.sizes[-1]
    with bench.made(size) as systems:
        changes = {name: _changer(system) for name, system in systems.items()}
        found = bench.rates("W2", "update", size, _able(changes))
        if OURS_OS in found and "signac" in found:
            found[OURS_OS].against = "signac"
        bench.add(found, {OURS: Target("ratio", ">=", 0.85), OURS_OS: Target("ratio", ">=", 1.0)})
        both = {name: systems[name] for name in (LIMIT_DURABLE, OURS) if name in systems}
        found = bench.rates("W2", "update, 8 threads", size, {name: _threads(each, 8) for name, each in both.items()})
        bench.add(found, {OURS: Target("ratio", ">=", 0.7)})


def _changer(system: System) -> Callable[[int], object]:
    return lambda number: system.change(number * 7, workflow_state=("SCAN", "PLAN", "EXECUTE", "VERIFY")[number % 4])


def _threads(system: System, count: int) -> Operation:
    """Return an operation that lets threads change four sessions each that no other one changes."""
    rounds = itertools.count()  # each time others: the history of its phases makes a session longer

    def each(number: int) -> None:
        first = 4 * (number + count * next(rounds))
        for turn in range(4):
            system.change(first + turn, workflow_state=("SCAN", "PLAN", "EXECUTE", "VERIFY")[turn])

    def together() -> int:
        threads = [Thread(target=each, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 4 * count

    return together


# ---------------------------------------------------------------- W3: append

_RECORDER = "recorder"  # batch, with the lock kept from one append to the next


def append(bench: Bench) -> None:
    """W3: append records to a stream, one a call and in batches; our own streams in each sync mode."""
    records = log_records(1000)
    with bench.made(0) as systems:
        single = {
            name: _one_by_one(system.append, records)
            for name, system in systems.items()
            if not _is_ours(name) and type(system).append is not System.append
        }
        many = {name: _batcher(systems[name], records) for name in single}
        writers = {mode: StreamWriter(bench.folder("stream") / "log.jsonl", mode) for mode in ("full", "batch", "os")}
        writers[_RECORDER] = LeasedWriter(bench.folder("leased") / "log.jsonl")
        for mode, writer in writers.items():
            single[f"{OURS} {mode}"] = _one_by_one(writer.append, records)
            many[f"{OURS} {mode}"] = lambda to=writer: _extended(to, records)  # type: ignore[misc]
        found = bench.rates("W3", "append, one a call", None, single)
        _against_durable(found)
        found[f"{OURS} {_RECORDER}"].against = f"{OURS} batch"
        bench.add(
            found, {f"{OURS} batch": Target("median", ">=", 150_000), f"{OURS} {_RECORDER}": Target("ratio", ">=", 2)}
        )
        found = bench.rates("W3", "append, batches of 1,000", None, many)
        _against_durable(found)
        bench.add(found, {f"{OURS} batch": Target("median", ">=", 400_000)})
        for writer in writers.values():
            writer.close()
    _append_at_size(bench, records)


def _is_ours(name: str) -> bool:
    return name.startswith(OURS)


def _against_durable(found: dict[str, Figure]) -> None:
    found[f"{OURS} full"].against = LIMIT_DURABLE


def _one_by_one(append_one: Callable[[Any], object], records: list[dict[str, object]]) -> Operation:
    """Return an operation of ten calls, each with one record: what stands around a call is not the system's."""
    tens = itertools.cycle([records[first : first + 10] for first in range(0, len(records), 10)])

    def ten() -> int:
        for record in next(tens):
            append_one(record)
        return 10

    return ten


def _batcher(system: System, records: list[dict[str, object]]) -> Operation:
    def batch() -> int:
        system.append_many(records)
        return len(records)

    return batch


def _extended(writer: StreamWriter, records: list[dict[str, object]]) -> int:
    writer.extend(records)
    return len(records)


def _append_at_size(bench: Bench, records: list[dict[str, object]]) -> None:
    """Append behind an empty stream and behind one of 100 million records (a hole and its last thousand)."""
    folder = bench.folder("long")
    sparse_stream(folder / "long.jsonl", 100_000_000)
    with_size = {0: StreamWriter(folder / "new.jsonl"), 100_000_000: StreamWriter(folder / "long.jsonl")}
    operations = {str(size): _one_by_one(writer.append, records) for size, writer in with_size.items()}
    around: dict[str, list[float]] = {"0": []}
    values = in_turn(operations, bench.plan.rounds, lambda one: rate(one, bench.plan.slice_s), around=around)
    empty, long = values["0"], values["100000000"]
    figure = Figure("W3", "append behind 100 million", "empty stream", "/s", empty, 100_000_000, around=around["0"])
    bench.add({"empty": figure})
    figure = Figure("W3", "append behind 100 million", OURS, "/s", long, 100_000_000, "empty stream")
    bench.add({OURS: figure}, {OURS: Target("ratio", ">=", 0.9)})
    for writer in with_size.values():
        writer.close()
    shutil.rmtree(folder)


# ---------------------------------------------------------------- W4 to W6: list, filter, get


def look(bench: Bench) -> None:
    """W4, W5, W6: list all heads, filter by metadata, get one; by a new handle each time."""
    size = bench.plan.sizes[-1]
    with bench.made(size) as systems:
        for workload, case, method in (
            ("W4", "list all, new handle", "list_cold"),
            ("W5", "filter by metadata, new handle", "filter_cold"),
            ("W6", "get one, new handle", "get"),
        ):
            operations = {
                name: _numbered(getattr(system, method)) if method == "get" else getattr(system, method)
                for name, system in systems.items()
            }
            targets = {OURS: Target("median", "<=", 0.001)} if method == "get" else None
            bench.add(bench.durations(workload, case, size, operations), targets)


# ---------------------------------------------------------------- W7: many processes


def storm(bench: Bench) -> None:
    """W7: processes create, and count up one session, at once; what was acknowledged and is not there is lost."""
    able = [name for name, system in bench.systems.items() if system.counted is not System.counted]
    for processes in bench.plan.storms:
        few = able if processes <= 4 else [LIMIT, LIMIT_DURABLE, OURS]  # of peers, a storm of four says enough
        for op in ("create", "count up one"):
            with bench.made(1, few) as systems:
                found = {name: _storm(bench, name, system, processes, op) for name, system in systems.items()}
                for name in (LIMIT, LIMIT_DURABLE):  # once more, last of all
                    found[name].around = _storm(bench, name, systems[name], processes, op).values
                bench.add(found, {OURS: Target("ratio", ">=", 0.7)})


def _storm(bench: Bench, name: str, system: System, processes: int, op: str) -> Figure:
    counting = op != "create"
    before = system.counted(system.keys[0])
    options = [
        {
            "system": name, "folder": str(system.folder), "key": system.keys[0], "seconds": bench.plan.storm_s,
            "number": 10_000_000 + each * 100_000, "op": "count" if counting else "create",
        }
        for each in range(processes)
    ]  # fmt: skip
    case = f"{processes} processes, {op}"
    listed = 0 if counting else system.list_cold()
    results = run_workers("storm", options)
    done = sum(each["done"] for each in results)
    figure = Figure("W7", case, name, "/s", [sum(each["rate"] for each in results)], processes)
    figure.against = LIMIT_DURABLE if system.durable else LIMIT
    figure.errors = sum(each["errors"] for each in results)
    figure.lost = done - _kept(system, counting, before, listed)
    return figure


def _kept(system: System, counting: bool, before: int, listed: int) -> int:
    """Return how much of the storm is there; nothing when the file cannot be read any more."""
    try:
        return system.counted(system.keys[0]) - before if counting else system.list_cold() - listed
    except Exception:  # noqa: BLE001  # a peer's file may be broken: all of it is lost
        return 0


# ---------------------------------------------------------------- W8: seek and follow


def seek(bench: Bench) -> None:
    """W8: find a moment in a long stream; the time from an append to a follower."""
    folder = bench.folder("seek")
    path = folder / "motion_history.jsonl"
    count = bench.plan.stream_records
    fill_stream(path, count)
    tape, last_s = Tape(path), count / 100
    turns = iter(range(10_000))

    def one() -> int:
        t_s = (next(turns) * 0.618 % 1) * last_s
        return len(list(tape.read(from_s=t_s, to_s=t_s)))

    found = bench.durations("W8", "seek by sim_time, cold handle", count, {OURS: one})
    bench.add(found, {OURS: Target("median", "<=", 0.005)})
    _follow(bench, folder / "live.jsonl")
    shutil.rmtree(folder)


def _follow(bench: Bench, path: Path) -> None:
    seen = Event()

    def write() -> None:
        stream = StreamWriter(path)
        while not seen.wait(0.023):  # not a multiple of the follower's own beat
            stream.append({"now": time.time()})
        stream.close()

    writer = Thread(target=write)
    writer.start()
    try:
        late = run_workers("follow", [{"path": str(path), "count": 40}])[0]["seconds"]
    finally:
        seen.set()
        writer.join()
    bench.add({OURS: Figure("W8", "from append to a follower", OURS, "s", late)}, {OURS: Target("median", "<=", 0.05)})
