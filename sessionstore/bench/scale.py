"""Time and memory against size: W4, W5, W6, W9 and W10 on stores of growing size, and W11, what an import costs.

Every point is a store of its own, made by the bench; a cold list runs in a process of its own after its imports.
Not here: the contest with the peers (workloads), drawing (plot).
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

import sessionstore
from sessionstore.bench import LIMIT, OURS
from sessionstore.bench.figures import Figure, Target, duration, in_turn
from sessionstore.bench.generate import fill_store
from sessionstore.bench.limit import Limit
from sessionstore.bench.processes import run_workers
from sessionstore.bench.systems import System
from sessionstore.bench.workloads import Bench
from sessionstore.layout import DOCUMENT, SETTLED_S
from sessionstore.model.row import SessionRow

#: Seconds of a first page at any size, and seconds a session of all heads and of all sessions compared with their
#: files; a list of a few is not judged by the session.
FIRST_PAGE_S, A_HEAD_S, A_LOOK_S, _MANY = 0.005, 0.5e-6, 3e-6, 10_000


def sizes(bench: Bench) -> None:
    """Measure one store after the other."""
    for size in bench.plan.scale_sizes:
        folder = bench.folder(f"scale-{size}")
        try:
            ids = fill_store(folder / "store", size)
            limit = Limit(folder / "limit")
            limit.fill(size)
            _looks(bench, folder / "store", limit, ids, size)
            _pages(bench, folder / "store", size)
            _memory(bench, folder / "store", size)
            _rebuild(bench, folder / "store", size)
            _command(bench, folder / "store", size)
            _creates(bench, folder / "store", limit, size)  # last: it adds thousands
            limit.close()
        finally:
            shutil.rmtree(folder)


def _looks(bench: Bench, folder: Path, limit: Limit, ids: list[str], size: int) -> None:
    for verify, case in ((True, "list all, cold"), (False, "list all, cold, folders not compared")):
        found = bench.durations("W4", case, size, {LIMIT: limit.heads, OURS: _lister(folder, None, verify)})
        bench.add(found)
    with sessionstore.open(folder) as warm:
        warm.find()
        time.sleep(SETTLED_S + 0.1)  # a store at rest, as it is during a search
        warm.find()
        for case, where, bound in (
            ("filter on a field, warm", "status=failed", 0.01),
            ("filter on metadata, warm", "metadata.num_drones=5", 0.2),
        ):
            for verify in (True, False):
                name = case if verify else f"{case}, folders not compared"
                found = bench.durations("W5", name, size, {OURS: _finder(warm, where, verify)})
                bench.add(found, {OURS: Target("median", "<=", bound)} if size == 100_000 else None)
    _three_lists(bench, folder, size)
    key = ids[len(ids) // 2]
    found = bench.durations("W6", "get one by id, new handle", size, {OURS: lambda: _get(folder, key)})
    bench.add(found, {OURS: Target("median", "<=", 0.001)})
    name = f"Flight {size // 2}"
    bench.add(bench.durations("W6", "get one by name, new handle", size, {OURS: lambda: _get(folder, name)}))


def _three_lists(bench: Bench, folder: Path, size: int) -> None:
    """The first page, all heads, all sessions compared with their files: in a new handle each, of a store at rest."""
    with sessionstore.open(folder) as store:
        store.page()  # what pages are read from is made by the first question; see W13
        store.compare()
    many = size >= _MANY
    for case, operation, bound_s in (
        ("first page of 50", _pager(folder, "", "-created_at"), FIRST_PAGE_S),
        ("all heads", lambda: _heads(folder), size * A_HEAD_S if many else None),
        ("all compared", lambda: _compared(folder), size * A_LOOK_S if many else None),
    ):
        found = bench.durations("W4", case, size, {OURS: operation})
        bench.add(found, None if bound_s is None else {OURS: Target("median", "<=", bound_s)})


def _heads(folder: Path) -> int:
    with sessionstore.open(folder) as store:
        heads = store.catalog.pages.heads()
        return len(store.find(verify=False) if heads is None else heads)


def _compared(folder: Path) -> float:
    with sessionstore.open(folder) as store:
        return store.compare()


#: A page of 50 in a new handle: case, filter, order, and the seconds that it may take at any size.
_PAGES = (
    ("newest", "", "-created_at", FIRST_PAGE_S),
    ("filter on a field", "status=failed", "-created_at", 0.05),
    ("sorted by a field", "", "-distance_m", 0.05),
    ("filter on metadata", "metadata.num_drones=5", "-created_at", 0.3),
)
#: Seconds that a question may take in a process that has asked it before, as the server has: up to 100,000, and above.
_SOON_S, _MOST_SOON, _LATE_S = 0.1, 100_000, 0.5
_WORDS = (("held by a quarter", "rotterdam"), ("held by none", "zeppelin"), ("held by all", "facade"))


def _pages(bench: Bench, folder: Path, size: int) -> None:
    """Pages and heads from columns; the first question makes them, and is shown by itself."""
    for case, where, sort, bound in _PAGES:
        page = _pager(folder, where, sort)
        first = Figure("W13", f"page, {case}: the first time", OURS, "s", [duration(page)], size)
        bench.add({OURS: first})
        bench.add(bench.durations("W13", f"page, {case}", size, {OURS: page}), {OURS: Target("median", "<=", bound)})
    _searches(bench, folder, size)
    bench.add(bench.durations("W13", "all ids (len)", size, {OURS: lambda: _count(folder)}))
    found = bench.durations(
        "W13", "whole command: list -n 50", size, {OURS: _run("list", "-n", "50", "--dir", str(folder))}
    )
    bench.add(found, {OURS: Target("median", "<=", 0.2)})


def _searches(bench: Bench, folder: Path, size: int) -> None:
    """Pages of a search for a word, and groups with their figures, of one handle."""
    from sessionstore.store import column_groups

    target = {OURS: Target("median", "<=", _SOON_S if size <= _MOST_SOON else _LATE_S)}
    with sessionstore.open(folder) as store:

        def word_in_page(word: str) -> int:
            return store.page(word).total

        def groups(by: str) -> int:
            return column_groups.groups(store.catalog, "", by)[1]

        asked = {f"page, a word {case}, warm": partial(word_in_page, word) for case, word in _WORDS}
        asked |= {f"groups by {by}, warm": partial(groups, by) for by in ("status", "metadata.site", "day")}
        for case, operation in asked.items():
            bench.add({OURS: Figure("W13", f"{case}: the first time", OURS, "s", [duration(operation)], size)})
            bench.add(bench.durations("W13", case, size, {OURS: operation}), target)


def _pager(folder: Path, where: str, sort: str) -> Callable[[], int]:
    def once() -> int:
        with sessionstore.open(folder) as store:
            return store.page(where, sort).total

    return once


def _count(folder: Path) -> int:
    with sessionstore.open(folder) as store:
        return len(store)


def _lister(folder: Path, where: str | None, verify: bool) -> Callable[[], list[SessionRow]]:
    def once() -> list[SessionRow]:
        with sessionstore.open(folder) as store:
            return store.find(where, verify=verify)

    return once


def _finder(store: sessionstore.SessionStore, where: str, verify: bool) -> Callable[[], int]:
    return lambda: len(store.find(where, verify=verify))


def _get(folder: Path, key: str) -> int:
    with sessionstore.open(folder) as store:
        return store.get(key).record.rev


def _creates(bench: Bench, folder: Path, limit: System, size: int) -> None:
    """W1 again at this size; both as durable as can be."""
    from sessionstore.bench.limit import DurableLimit

    durable = DurableLimit(limit.folder)
    with sessionstore.open(folder) as store:
        ours = iter(range(10**9))
        theirs = iter(range(10**8, 10**9))

        def by_hand() -> int:
            durable.create(next(theirs))
            return 1

        def by_us() -> int:
            store.create(f"More {next(ours)}")
            return 1

        found = bench.rates("W1", "create at size", size, {"limit_fsync": by_hand, OURS: by_us})
        found[OURS].against = "limit_fsync"
        bench.add(found, {OURS: Target("ratio", ">=", 0.85)})
    durable.close()


def _memory(bench: Bench, folder: Path, size: int) -> None:
    index = os.stat(folder / "index.jsonl").st_size
    for verify in (True, False):
        (found,) = run_workers("memory", [{"folder": str(folder), "verify": verify}])
        case = "memory to list all, of the index file" + ("" if verify else ", folders not compared")
        figure = Figure("W10", case, OURS, "times", [found["bytes"] / index], size)
        bench.add({OURS: figure}, {OURS: Target("median", "<=", 2.0)} if size >= 100_000 else None)
    bench.add({OURS: Figure("W10", "memory to list all", OURS, "MB", [found["bytes"] / 1e6], size)})


_SCAN = "typed scan"


class _Record(msgspec.Struct, gc=False):
    """What a list needs of a document, typed; what is of free form stays raw, and the rest is passed over."""

    session_id: str
    uuid: str
    rev: int
    status: str
    workflow_state: str
    created_at: str
    updated_at: str
    tags: list[str]
    session_name: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_planned_s: float | None = None
    duration_sim_s: float | None = None
    duration_wall_s: float | None = None
    end_reason: str | None = None
    num_buildings: int | None = None
    num_invisible_buildings: int | None = None
    drones: msgspec.Raw = msgspec.Raw(b"[]")
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    progress: msgspec.Raw = msgspec.Raw(b"{}")
    performance_metrics: msgspec.Raw = msgspec.Raw(b"{}")


class _Document(msgspec.Struct, gc=False):
    session: dict[str, _Record]


def _rebuild(bench: Bench, folder: Path, size: int) -> None:
    decode = msgspec.json.Decoder(_Document).decode

    def scan() -> int:
        """Open, read, decode and close the file of each folder: nothing is checked, kept or written."""
        with os.scandir(folder) as found:
            names = [entry.name for entry in found if entry.name[0] != "." and entry.is_dir()]
        for name in names:
            descriptor = os.open(f"{folder}/{name}/{DOCUMENT}", os.O_RDONLY)
            decode(os.read(descriptor, 1 << 16))
            os.close(descriptor)
        return len(names)

    def rebuild() -> int:
        with sessionstore.open(folder) as store:
            return store.rebuild()

    rounds = bench.plan.rounds if size <= 10_000 else 2
    around: dict[str, list[float]] = {_SCAN: []}
    values = in_turn({_SCAN: scan, OURS: rebuild}, rounds, duration, around=around)
    found = {name: Figure("W9", "rebuild the index", name, "s", each, size) for name, each in values.items()}
    found[OURS].against, found[_SCAN].around = _SCAN, around[_SCAN]
    bench.add(found, {OURS: Target("ratio", "<=", 1.5)})


def _command(bench: Bench, folder: Path, size: int) -> None:
    found = bench.durations("W4", "whole command: list", size, {OURS: _run("list", "--dir", str(folder))})
    bench.add(found, {OURS: Target("median", "<=", 0.3)} if size == 10_000 else None)


def _run(*arguments: str) -> Callable[[], int]:
    """Return what runs a command as users do: its modules stay compiled from one start to the next."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def once() -> int:
        subprocess.run(
            [sys.executable, "-m", "sessionstore", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return 1

    return once


def imports(bench: Bench) -> None:
    """W11: the CPU time of an import and of ``--help``, beside that of a bare interpreter."""
    cases = (
        ("import sessionstore", ["-c", "import sessionstore"], 0.15),
        ("--help", ["-m", "sessionstore", "--help"], 0.2),
    )
    for case, arguments, bound in cases:
        operations = {"bare python": _spawn(["-c", "pass"]), OURS: _spawn(arguments)}
        values = in_turn(operations, bench.plan.rounds, _cpu_s)
        found = {name: Figure("W11", f"{case}, CPU", name, "s", each) for name, each in values.items()}
        found[OURS].against = "bare python"
        bench.add(found, {OURS: Target("median", "<=", bound)})


def _spawn(arguments: list[str]) -> Callable[[], int]:
    return lambda: subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True).returncode


def _cpu_s(operation: Callable[[], int]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    operation()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
