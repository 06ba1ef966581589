"""What the index engines cost: beside the raw driver doing the same durable work, in turns, in one run.

    figures = measure({"sqlite": "sqlite:", "postgresql": "postgresql://..."}, folder, sessions=100_000)

The raw driver executes one prepared upsert into the very same tables, columns ready-made: what it does not do is encode
rows, check the file or the server, and lend connections. Figures are medians; ratios are what to quote.
Not here: printing (cli), the other benchmarks (their modules).
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sessionstore import files
from sessionstore.index import SessionIndex, open_index
from sessionstore.query import parse
from sessionstore.records import FILTER_ALIASES, FILTER_FIELDS, SessionRow

KEYS = ("metadata.batch", "metadata.wind_m_s")
#: Filters and how many of 100,000 sessions they fit.
FILTERS = {
    "metadata.batch=17": 100,
    "status=failed metadata.batch=17": 10,
    "metadata.wind_m_s>24.99": 40,
    "distance_m>99990": 10,
    "tags=rare": 50,
    "status=failed": 10_000,
}
_TURNS = 40
_PER_TURN = 10
_FINDS = 15


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: what, on which engine, how many sessions there were, the median and the raw driver's."""

    engine: str
    what: str
    sessions: int
    median_s: float
    raw_s: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the raw driver's time."""
        return None if self.raw_s is None else self.median_s / self.raw_s


def measure(urls: dict[str, str], folder: Path, sessions: int = 100_000, writes: bool = True) -> list[Figure]:
    """Fill each engine and measure writes, filters and the whole list; what was made stays for the caller to remove.

    Args:
        urls: engine name to URL; ``sqlite`` and ``postgresql`` get the keys that the filters use indexed.
        folder: an empty place, on the disk that is to be measured.
    """
    found: list[Figure] = []
    for name, url in urls.items():
        index = open_index(_keyed(name, url), folder)
        fill(index, sessions)
        if writes and name in _RAW:
            found += measure_writes(name, url, index, folder, sessions)
        found += measure_reads(name, index, sessions)
        index.close()
    return found


def fill(index: SessionIndex, sessions: int) -> None:
    """Put so many rows; the same number gives the same rows."""
    for start in range(0, sessions, 5000):
        index.put([a_row(number) for number in range(start, min(start + 5000, sessions))], exact=True)


def a_row(number: int, rev: int = 1) -> SessionRow:
    """Return a row of about 600 bytes as JSON, the size of a real one."""
    spread = number * 7919 % 100_003  # a prime step: neighbours differ
    metadata = {
        "pilot": f"pilot-{spread % 23}",
        "batch": spread % 1000,
        "wind_m_s": spread % 25_000 / 1000,
        "seed": spread,
        "site": {"name": f"tower-{spread % 40}", "floors": spread % 60},
        "notes": "facade north, second round, " * 4,
    }
    minute = number % 1_440
    return SessionRow(
        session_id=f"20261123{minute // 60:02}{minute % 60:02}-S{number}",
        uuid=f"01936b00-0000-7000-8000-{number:012x}",
        rev=rev,
        size=2000 + number % 100,
        mtime_ns=1_790_000_000_000_000_000 + number,
        status=("failed", "completed", "completed", "stopped", *["completed"] * 6)[spread % 10],
        workflow_state="VERIFY",
        created_at=f"2026-11-{1 + number % 28:02}T{minute // 60:02}:{minute % 60:02}:00.{number % 1_000_000:06}Z",
        updated_at="2026-11-23T14:30:00.000000Z",
        session_name=f"S{number}",
        duration_sim_s=spread % 300 + 0.5,
        num_drones=spread % 7,
        drones={"scout": 2, "climber": 1},
        tags=["rare"] if spread % 2000 == 0 else ["night"],
        points=spread * 10,
        distance_m=float(spread),
        metadata=msgspec.Raw(msgspec.json.encode(metadata)),
    )


def measure_reads(name: str, index: SessionIndex, sessions: int) -> list[Figure]:
    """Return the median time of each filter, and of the whole list."""
    found = []
    for text in FILTERS:
        tree = parse(text, FILTER_FIELDS, FILTER_ALIASES)
        found.append(Figure(name, f"filter {text}", sessions, _median(partial(index.find, tree), _FINDS)))
    found.append(Figure(name, "list all", sessions, _median(index.find, 3)))
    return found


def measure_writes(name: str, url: str, index: SessionIndex, folder: Path, sessions: int) -> list[Figure]:
    """Return what an insert and an update cost, in turns with the raw driver on the same tables."""
    raw, close = _RAW[name](url, index, folder)
    found = []
    try:
        for what, begin, rev in (("insert", sessions, 1), ("update", 0, 2)):
            ours: list[float] = []
            theirs: list[float] = []
            numbers = iter(range(begin, begin + 4 * _TURNS * _PER_TURN))
            for _ in range(_TURNS):
                ours += [_time(partial(index.put, [a_row(next(numbers), rev)])) for _ in range(_PER_TURN)]
                theirs += [_time(raw(a_row(next(numbers), rev))) for _ in range(_PER_TURN)]
            found.append(Figure(name, what, sessions, statistics.median(ours), statistics.median(theirs)))
    finally:
        close()
    return found


Raw = tuple[Callable[[SessionRow], Callable[[], object]], Callable[[], None]]


def _raw_sqlite(url: str, index: SessionIndex, folder: Path) -> Raw:
    from sessionstore.index.sqlite import UPSERT, columns_of

    path = index.path  # type: ignore[attr-defined]  # an SqliteIndex has it
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    store = connection.execute("SELECT id FROM stores WHERE path = ?", (str(folder),)).fetchone()[0]

    def prepare(row: SessionRow) -> Callable[[], object]:
        columns = columns_of(store, row)

        def work() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(UPSERT, columns)
            connection.execute("COMMIT")

        return work

    return prepare, connection.close


def _raw_postgres(url: str, index: SessionIndex, folder: Path) -> Raw:
    import psycopg

    from sessionstore.index.postgres import columns_of
    from sessionstore.index.url import parse_url

    settings = parse_url(url)
    connection = psycopg.connect(_driver_url(url), autocommit=True)
    connection.prepare_threshold = 0
    connection.execute(f"SET search_path = {settings.schema}")  # type: ignore[arg-type, unused-ignore]
    found = connection.execute("SELECT id FROM stores WHERE path = %s", [str(folder)]).fetchone()
    assert found is not None

    def prepare(row: SessionRow) -> Callable[[], object]:
        name, uuid, rev, size, mtime_ns, active, plain, odd, text = columns_of(row)
        given = [found[0], name, uuid, rev, size, mtime_ns, active, plain, odd, text, text]
        return lambda: connection.execute(_RAW_UPSERT, given)

    return prepare, connection.close


_RAW_UPSERT = """
INSERT INTO sessions (store, session_id, uuid, rev, size, mtime_ns, active, plain, odd, changed, row, doc)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, pg_current_xact_id()::text::bigint, %s,
  %s::jsonb - '{size,mtime_ns}'::text[])
ON CONFLICT (store, session_id) DO UPDATE SET uuid = excluded.uuid, rev = excluded.rev, size = excluded.size,
  mtime_ns = excluded.mtime_ns, active = excluded.active, plain = excluded.plain, odd = excluded.odd,
  changed = excluded.changed, row = excluded.row, doc = excluded.doc WHERE excluded.rev >= sessions.rev"""
_RAW: dict[str, Callable[[str, SessionIndex, Path], Raw]] = {"sqlite": _raw_sqlite, "postgresql": _raw_postgres}


# ---------------------------------------------------------------- many processes


def measure_processes(url: str, folder: Path, seconds: float = 2.0) -> list[tuple[int, float, float, float]]:
    """Return (processes, our rows/s, the raw driver's rows/s, fdatasync/s of as many processes), one after the other.

    The last is what the disk gives when each of so many processes syncs a line of its own file.
    """
    kinds: tuple[Callable[..., Iterator[None]], ...] = (_ours, _theirs, _syncs)
    index = open_index(url, folder)
    index.put([a_row(0)])
    index.close()
    found = []
    for processes in (1, 2, 4, 8):
        rates = [_rate(kind, processes, url, folder, seconds) for kind in kinds]
        found.append((processes, rates[0], rates[1], rates[2]))
    return found


def _rate(kind: Callable[..., Iterator[None]], processes: int, url: str, folder: Path, seconds: float) -> float:
    context = multiprocessing.get_context("spawn")  # a fork would share connections
    gate, queue = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_worker, args=(kind, number, gate, queue, url, folder, seconds))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    total = sum(queue.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


def _worker(
    kind: Callable[..., Iterator[None]], number: int, gate: Any, queue: Any, url: str, folder: Path, seconds: float
) -> None:
    steps = kind(number, url, folder)
    next(steps)  # open, and write once
    gate.wait()
    done, begun = 0, time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        next(steps)
        done += 1
    queue.put(done / (now - begun))
    steps.close()  # type: ignore[attr-defined]  # generators have it


def _numbers(number: int) -> Iterator[int]:
    yield from range(10_000_000 + number * 1_000_000, 100_000_000)


def _ours(number: int, url: str, folder: Path) -> Iterator[None]:
    index = open_index(url, folder)
    for each in _numbers(number):
        index.put([a_row(each)])
        yield


def _theirs(number: int, url: str, folder: Path) -> Iterator[None]:
    index = open_index(url, folder)
    raw, _ = _raw_postgres(url, index, folder)
    for each in _numbers(number):
        raw(a_row(each))()
        yield


def _syncs(number: int, url: str, folder: Path) -> Iterator[None]:
    path = folder / f"sync-{number}"
    descriptor = files.open_to_append(path, durable=False)
    while True:
        files.write_all(descriptor, b"x" * 600, path)
        files.sync_file(descriptor, path, data_only=True)
        yield


# ---------------------------------------------------------------- time


def _time(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _median(work: Callable[[], object], times: int) -> float:
    work()
    return statistics.median(_time(work) for _ in range(times))


def _keyed(name: str, url: str) -> str:
    return url if name == "journal" else url + ("&" if "?" in url else "?") + "keys=" + ",".join(KEYS)


def _driver_url(url: str) -> str:
    from urllib.parse import parse_qsl, urlencode

    base, _, query = url.partition("?")
    ours = ("schema", "keys", "timeout_s", "retry_s", "pool")
    kept = urlencode([(name, value) for name, value in parse_qsl(query) if name not in ours])
    return base + (f"?{kept}" if kept else "")


def measure_fallback(folder: Path, creates: int = 60) -> tuple[float, float]:
    """Return the median time of a durable creation with the journal, and with an engine that is away (breaker open)."""
    import sessionstore

    gone = "postgresql://nobody@127.0.0.1:1/nowhere?retry_s=600"
    with sessionstore.open(folder / "well") as well, sessionstore.open(folder / "away", gone) as away:
        well.create("warm"), away.create("warm")  # the first failure is waited for, later ones are known
        pairs = [(_time(lambda: well.create("x")), _time(lambda: away.create("x"))) for _ in range(creates)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def machine() -> str:
    """Return what the figures were measured on."""
    import platform

    return f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
