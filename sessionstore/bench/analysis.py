"""A1 to A7: questions over lines and columns, beside DuckDB and pyarrow by hand; the sessions as a table, beside peers.

Every contestant answers the same question over the same files, and the answers are compared before anything is timed.
Not here: whether answers are right (tests/analysis), the other workloads (workloads, scale, moving).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sessionstore
from sessionstore.bench import OURS
from sessionstore.bench.figures import Figure, Target, duration, in_turn
from sessionstore.session.stream_names import MOTION
from sessionstore.store import SessionStore

if TYPE_CHECKING:
    from sessionstore.bench.workloads import Bench

DRONES = 100
_BY_HAND, _PYARROW = "DuckDB read_json", "DuckDB read_parquet"
_QUESTION = "select count(*), round(avg(battery), 6), max({z}) from {source}"
_BY_DRONE = f"select drone, count(*), round(avg(battery), 6), max(z) from {MOTION} group by 1 order by 1"


def analysis(bench: Bench) -> None:
    """A1 to A7."""
    missing = [name for name in ("duckdb", "pyarrow") if find_spec(name) is None]
    if missing:
        bench.figures.left_out["analysis"] = f"{', '.join(missing)} is not installed"
        return
    folder = bench.scratch / "analysis"
    folder.mkdir(parents=True)
    try:
        points = min(1_000_000, bench.plan.stream_records)
        with sessionstore.open(folder / "one", sync="os") as store:
            fly(store, points)
            _questions(bench, store, points)
        _many_sessions(bench, folder, points)
        _tables(bench, folder)
    finally:
        shutil.rmtree(folder)


def fly(store: SessionStore, points: int, name: str = "flight") -> str:
    """Record points of a hundred drones."""
    with store.record(name) as session:
        for tick in range(points // DRONES):
            session.motion.extend([_point(number, tick) for number in range(DRONES)], tick / 20)
    return session.session_id


def _point(number: int, tick: int) -> dict[str, Any]:
    turn = tick / 400 + number
    return {
        "drone": f"scout-{number}",
        "position": [round(each * 40, 3) for each in (math.cos(turn), math.sin(turn), 0.5 + math.sin(turn / 3) / 5)],
        "velocity": [round(-2 * math.sin(turn), 3), round(2 * math.cos(turn), 3), 0.0],
        "orientation": [0.0, 0.0, round(turn % 6.283, 3)],
        "battery": round(1 - tick % 6000 / 10_000, 4),
        "mode": "flying",
    }  # fmt: skip


@contextmanager
def _columns(store: SessionStore, when: str | None) -> Iterator[None]:
    store.root.configure(columns=when)
    try:
        yield
    finally:
        store.root.configure(columns=None)


def _questions(bench: Bench, store: SessionStore, points: int) -> None:
    import duckdb
    from pyarrow import parquet

    from sessionstore.analysis import columns
    from sessionstore.store import column_files

    session = store["latest"]
    lines, sql = session.stream_path(MOTION), _QUESTION.format(source=MOTION, z="z")

    def ours() -> Any:
        return store.sql(sql).fetchall()

    engine = duckdb.connect()

    def by_hand() -> Any:
        return engine.execute(_QUESTION.format(source=f"read_json('{lines}')", z="position[3]")).fetchall()

    with _columns(store, "never"):
        _arrays(bench, session, points, "arrays of three keys, lines", Target("median", ">=", 1_000_000))
        assert ours() == by_hand()
        values = in_turn({_BY_HAND: by_hand, OURS: ours}, bench.plan.rounds, duration)
    _add(bench, "A1", "question over lines", values, points, _BY_HAND, Target("ratio", "<=", 1 / 0.8))
    made = duration(lambda: columns.make(session, MOTION))
    bench.figures.add(Figure("A2", "making columns", OURS, "s", [made], points))
    found = column_files.find(store.root, session.session_id, MOTION)
    assert found is not None
    bytes_each = found.key.parquet.size / found.key.rows
    bench.figures.add(
        Figure("A2", "bytes a point", OURS, "B", [bytes_each], points, None, Target("median", "<=", 30.0))
    )

    def parquet_by_hand() -> Any:
        return engine.execute(_QUESTION.format(source=f"read_parquet('{found.path}')", z="z")).fetchall()

    assert ours() == by_hand() == parquet_by_hand()
    contestants: dict[str, Callable[[], Any]] = {_BY_HAND: by_hand, _PYARROW: parquet_by_hand, OURS: ours}
    values = in_turn(contestants, bench.plan.rounds, duration)
    _add(bench, "A2", "question over columns", values, points, _BY_HAND, Target("ratio", "<=", 0.1))
    frames: dict[str, Callable[[], Any]] = {
        "pyarrow read_table": lambda: parquet.read_table(found.path),
        OURS: lambda: session.frame(form="arrow"),
    }
    values = in_turn(frames, bench.plan.rounds, duration)
    _add(bench, "A3", "frame of all points", values, points, "pyarrow read_table", Target("ratio", "<=", 1.5))
    _arrays(bench, session, points, "arrays of three keys, columns", Target("median", ">=", 1_000_000))
    _pictures(bench, session, points)


def _arrays(bench: Bench, session: Any, points: int, case: str, target: Target | None = None) -> None:
    """Three keys of all points as typed arrays, beside reading each line whole."""
    tape = session.tape(MOTION)

    def rate(work: Callable[[], Any]) -> float:
        return points / duration(work)

    def line_by_line() -> list[Any]:
        return [(line.t_s, line.data["drone"], line.data["position"]) for line in tape.read()]

    assert len(tape.columns("t", "drone", "position")["position"]) == points
    works = {"Tape.read": line_by_line, OURS: lambda: tape.columns("t", "drone", "position")}
    values = in_turn(works, bench.plan.rounds, rate)
    for name, rates in values.items():
        against = "Tape.read" if name == OURS else None
        bench.figures.add(Figure("A7", case, name, "/s", rates, points, against, target if name == OURS else None))


def _pictures(bench: Bench, session: Any, points: int) -> None:
    """The first picture of a flight and a window of it, as the page asks for them."""
    from sessionstore.analysis.flight_columns import flight_columns
    from sessionstore.playback.downsample import Columns

    ways: dict[str, Columns | None] = {"lines": None, OURS: flight_columns}
    end_s = points / DRONES / 20
    for case, window, bound in (("first picture", (None, None), 0.3), ("a window", (end_s * 0.4, end_s * 0.6), 0.1)):
        works = {name: _shown(session, window, way) for name, way in ways.items()}
        values = in_turn(works, bench.plan.rounds, duration)
        _add(bench, "A4", case, values, points, "lines", Target("median", "<=", bound))


def _shown(session: Any, window: tuple[float | None, float | None], way: Any) -> Callable[[], Any]:
    from sessionstore.playback.downsample import stretch

    return lambda: stretch(session, window[0], window[1], 37, None, 300, columns=way)


def _many_sessions(bench: Bench, folder: Path, points: int) -> None:
    """Points of a hundred sessions, grouped by drone."""
    count, each = 100, points // 10
    with sessionstore.open(folder / "many", sync="os") as store:
        first = store.root.folder(fly(store, each))
        for number in range(1, count):
            shutil.copytree(first, store.root.folder(f"202601010000-{number}"))
        store.rebuild()
        from sessionstore.analysis.columns import make_all

        for row in store.find():
            make_all(store.catalog.session(row.session_id))
        assert sum(row[1] for row in store.sql(_BY_DRONE).fetchall()) == each * count
        values = in_turn({OURS: lambda: store.sql(_BY_DRONE).fetchall()}, bench.plan.rounds, duration)
        target = Target("median", "<=", 1.0) if each * count >= 10_000_000 else None
        figure = Figure("A5", "100 sessions by drone", OURS, "s", values[OURS], each * count, None, target)
        bench.figures.add(figure)


def _tables(bench: Bench, folder: Path) -> None:
    """All sessions as a table."""
    size = min(10_000, max(bench.plan.sizes))
    with sessionstore.open(folder / "sessions", sync="os") as store:
        for number in range(size):
            store.create(f"Run {number}", metadata={"number": number, "lr": number / 7})
        works: dict[str, Callable[[], Any]] = {
            OURS: lambda: store.sql("select count(*), max(metadata_number) from sessions").fetchall(),
            f"{OURS} frame": lambda: store.frame(form="arrow"),
        }
        works |= _peers(bench, folder, size)
        values = in_turn(works, bench.plan.rounds, duration)
        for name, seconds in values.items():
            target = Target("median", "<=", 0.3) if name == OURS and size >= 10_000 else None
            bench.figures.add(Figure("A6", "table of all sessions", name, "s", seconds, size, None, target))


def _peers(bench: Bench, folder: Path, size: int) -> dict[str, Callable[[], Any]]:
    found: dict[str, Callable[[], Any]] = {}
    if find_spec("signac") is not None and find_spec("pandas") is not None:
        import signac  # type: ignore[import-not-found,import-untyped,unused-ignore]

        (folder / "signac").mkdir()
        project = signac.init_project(str(folder / "signac"))
        for number in range(size):
            project.open_job({"number": number, "lr": number / 7}).init()
        found["signac to_dataframe"] = lambda: project.find_jobs().to_dataframe()
    else:
        bench.figures.left_out["signac to_dataframe"] = "signac is not installed"
    if find_spec("mlflow") is not None:
        found |= _mlflow(folder, min(size, 1000))
    else:
        bench.figures.left_out["MLflow search_runs"] = "mlflow is not installed"
    return found


def _mlflow(folder: Path, size: int) -> dict[str, Callable[[], Any]]:
    import mlflow  # type: ignore[import-not-found,import-untyped,unused-ignore]

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    experiment = mlflow.create_experiment("bench", str(folder / "mlflow"))
    client = mlflow.MlflowClient()
    for number in range(size):
        client.log_param(client.create_run(experiment).info.run_id, "number", number)
    return {f"MLflow search_runs ({size:,} runs)": lambda: mlflow.search_runs([experiment], max_results=50_000)}


def _add(
    bench: Bench, workload: str, case: str, values: dict[str, list[float]], size: int, against: str, target: Target
) -> None:
    for name, seconds in values.items():
        mine = (against, target) if name == OURS else (None, None)
        bench.figures.add(Figure(workload, case, name, "s", seconds, size, *mine))
