"""What the index engines cost, beside the raw driver doing the same durable work, in turns: E1 to E4.

    E1  a row inserted, a row updated             against the raw driver on the same tables
    E2  filters with an index, the whole list     at the largest size of the plan
    E3  1 to 8 processes that put rows            against as many processes of the raw driver, and what the disk syncs
    E4  creating while the engine is away         against creating while it is there

E3 is a ratio for each number of processes: what limits both (the disk, the cores, the server) limits both sides.
Not here: filters beside raw sqlite3 (filters), the raw drivers (drivers), the rows (rows), a PostgreSQL to measure
(postgres).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sessionstore.bench.drivers import RAW, raw_postgres
from sessionstore.bench.figures import Figure, Target, duration
from sessionstore.bench.postgres import server
from sessionstore.bench.processes import run_workers
from sessionstore.bench.rows import FEW, FILTERS, KEYS, a_row, fill
from sessionstore.bench.workloads import Bench
from sessionstore.disk import files
from sessionstore.index import SessionIndex, open_index
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS
from sessionstore.query import parse

_DRIVERS = {"sqlite": "sqlite3 driver", "postgresql": "psycopg driver"}
_TURNS, _PER_TURN, _FINDS = 4, 10, 5
#: An insert or update costs at most 1.5 times the raw driver; so a rate is at least its inverse.
_COST, _RATE = Target("ratio", "<=", 1.5), Target("ratio", ">=", 0.67)
_FOUND = Target("median", "<=", 0.005)
_AWAY = Target("ratio", "<=", 1.1)


def engines(bench: Bench) -> None:
    """E1 to E4 on the engines that work here; PostgreSQL where there is one."""
    folder = bench.folder("engines")
    with server(bench.plan.postgresql, folder) as (url, why):
        urls = {"journal": "journal:", "sqlite": "sqlite:", **({"postgresql": url} if url else {})}
        if url is None:
            bench.figures.left_out["postgresql"] = why
        for name, each in urls.items():
            _one_engine(bench, name, each, folder)
        if url is not None:
            processes(bench, url, folder)
    fallback(bench, folder)


def _one_engine(bench: Bench, name: str, url: str, folder: Path) -> None:
    index = open_index(url if name == "journal" else f"{url}{'&' if '?' in url else '?'}keys={','.join(KEYS)}", folder)
    sessions = max(bench.plan.scale_sizes)
    fill(index, sessions)
    if name in RAW:
        writes(bench, name, url, index, folder, sessions)
    reads(bench, name, index, sessions)
    index.close()


# ---------------------------------------------------------------- E1, E2: one process


def writes(bench: Bench, name: str, url: str, index: SessionIndex, folder: Path, sessions: int) -> None:
    """E1: an insert and an update, in turns with the raw driver on the same tables."""
    raw, close = RAW[name](url, index, folder)
    try:
        for what, begin, rev in (("insert", sessions, 1), ("update", 0, 2)):
            numbers = itertools.count(begin)
            ours, theirs = [], []
            for _ in range(_TURNS * bench.plan.rounds):
                rows = [[a_row(next(numbers), rev)] for _ in range(_PER_TURN)]
                ours.append(_each([partial(index.put, row) for row in rows]))
                theirs.append(_each([raw(a_row(next(numbers), rev)) for _ in range(_PER_TURN)]))
            case = f"{what} a row"
            bench.figures.add(Figure("E1", case, _DRIVERS[name], "s", theirs, sessions))
            bench.figures.add(Figure("E1", case, name, "s", ours, sessions, _DRIVERS[name], _COST))
    finally:
        close()


def _each(steps: list[Callable[[], object]]) -> float:
    """Return the seconds that the middle one of some steps took."""
    times = []
    for step in steps:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def reads(bench: Bench, name: str, index: SessionIndex, sessions: int) -> None:
    """E2: each filter, and the whole list, warm."""
    for text in FILTERS:
        tree = parse(text, FILTER_FIELDS, FILTER_ALIASES)
        target = _FOUND if name in RAW and FILTERS[text] <= FEW else None
        _look(bench, text, name, partial(index.find, tree), sessions, target)
    _look(bench, "list all", name, index.find, sessions, None)


def _look(
    bench: Bench, case: str, name: str, find: Callable[[], list[Any]], sessions: int, target: Target | None
) -> None:
    find()
    times = bench.plan.rounds * (1 if target is None else _FINDS)  # what has no index takes a second at full size
    values = [duration(lambda: len(find())) for _ in range(times)]
    bench.figures.add(Figure("E2", case, name, "s", values, sessions, target=target))


# ---------------------------------------------------------------- E3: many processes


def processes(bench: Bench, url: str, folder: Path) -> None:
    """E3: rows a second of 1 to 8 processes, ours and the raw driver's in turns, beside what the disk syncs."""
    seconds, rounds = bench.plan.storm_s / 2, bench.plan.rounds
    for number in (1, 2, 4, 8) if max(bench.plan.sweep_processes) > 4 else (1, 4):
        found: dict[str, list[float]] = {"postgresql": [], _DRIVERS["postgresql"]: [], "fdatasync by hand": []}
        for turn in range(rounds):
            for kind in (list(found), list(found)[::-1])[turn % 2]:
                found[kind].append(_rows_per_s(kind, number, url, folder, seconds))
        for kind in reversed(found):
            mine = kind == "postgresql"
            against, target = (_DRIVERS["postgresql"], _RATE) if mine else (None, None)
            case = f"{number} processes put rows" if number > 1 else "1 process puts rows"
            bench.figures.add(Figure("E3", case, kind, "/s", found[kind], None, against, target))


def _rows_per_s(kind: str, number: int, url: str, folder: Path, seconds: float) -> float:
    options = [
        {"kind": kind, "number": each, "url": url, "folder": str(folder), "seconds": seconds} for each in range(number)
    ]
    return float(sum(each["rate"] for each in run_workers("rows", options)))


def steps(kind: str, number: int, url: str, folder: Path) -> Iterator[None]:
    """Put one row a step, as one of many processes: by our engine, by the raw driver, or only sync as many bytes."""
    if kind == "fdatasync by hand":
        yield from _syncs(folder / f"sync-{number}")
    index = open_index(url, folder)
    put: Callable[[Any], object] = lambda row: index.put([row])  # noqa: E731
    if kind != "postgresql":
        raw, _ = raw_postgres(url, index, folder)
        put = lambda row: raw(row)()  # noqa: E731
    for each in itertools.count(10_000_000 + (number + time.time_ns() % 1000 * 10) * 1_000_000):
        put(a_row(each))
        yield


def _syncs(path: Path) -> Iterator[None]:
    descriptor = files.open_to_append(path, durable=False)
    while True:
        files.write_all(descriptor, b"x" * 600, path)
        files.sync_file(descriptor, path, data_only=True)
        yield


# ---------------------------------------------------------------- E4: the engine is away


def fallback(bench: Bench, folder: Path) -> None:
    """E4: a durable creation with the journal, and with an engine that is known to be away, in turns."""
    import sessionstore

    gone = "postgresql://nobody@127.0.0.1:1/nowhere?retry_s=600"
    names = "index there", "index away"
    with sessionstore.open(folder / "there") as there, sessionstore.open(folder / "away", gone) as away:
        there.create("warm"), away.create("warm")  # the first failure is waited for, later ones are known
        values: dict[str, list[float]] = {name: [] for name in names}
        stores = dict(zip(names, (there, away), strict=True))
        for turn in range(_TURNS * bench.plan.rounds):
            for name in names if turn % 2 else names[::-1]:
                values[name].append(_each([partial(stores[name].create, "x")] * _PER_TURN))
    bench.figures.add(Figure("E4", "create a session", names[0], "s", values[names[0]]))
    bench.figures.add(Figure("E4", "create a session", names[1], "s", values[names[1]], None, names[0], _AWAY))
