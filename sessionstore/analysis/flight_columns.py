"""Windows of a flight from its columns: what stands out of each slice of time, found by DuckDB; and its overview.

As in playback.overview, of each slice and drone the first and the last point are kept, and those with the least and the
greatest measure. A window of many points comes from the overview: such points of some 500 slices of the whole flight,
and of a quarter as many, made with the columns and kept beside them; its two cut slices are read from the columns.
Flights with lines that a person edited or added are left to the reader of lines, which shows these.
Not here: making columns (analysis.columns), which way a stretch is read (playback.downsample).
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from sessionstore.analysis.engines import reader
from sessionstore.playback.overview import COARSE, SLICES
from sessionstore.playback.replay import History, Point, Window
from sessionstore.session import Session, stream_names
from sessionstore.session.stream_reader import Tape
from sessionstore.store import column_files
from sessionstore.store.column_files import ColumnFile

#: A window of no more points is folded when it is asked for; larger ones come from the overview.
MOST_FOLDED = 250_000
#: Points that are folded at once while an overview is made.
_AT_ONCE = 1_500_000
_NEARLY = 1.25  # the coarse level is taken for a little more slices than it has
_SHOWN_AS_EDITED = frozenset(("edited", "unverified", "repeated"))
_AXES, _ALL = ("x", "y", "z"), ("x", "y", "z", "battery", "speed", "distance")


def literal(value: str | Path) -> str:
    """Return a text as SQL takes it."""
    return "'" + str(value).replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Points:
    """The points in one file of columns, as a query with the measures of an overview."""

    path: Path
    names: frozenset[str]
    base: tuple[float, float, float]

    def sql(self, from_s: float, before_s: float) -> str:
        """Return the points from one moment to another (not included)."""
        bx, by, bz = self.base
        columns = {
            "n": "n", "t": "sim_time", "drone": "drone", "x": "x", "y": "y", "z": "z",
            "yaw": self._if("orientation", "orientation[3]", "0.0"),
            "mode": self._if("mode", "mode::VARCHAR", "''"),
            "battery": self._if("battery", "TRY_CAST(battery AS DOUBLE)", "NULL::DOUBLE"),
            "speed": self._if("velocity", "sqrt(velocity[1] ** 2 + velocity[2] ** 2 + velocity[3] ** 2)", "NULL"),
            "distance": f"sqrt((x - {bx!r}) ** 2 + (y - {by!r}) ** 2 + (z - {bz!r}) ** 2)",
        }  # fmt: skip
        shown = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
        within = " AND ".join(_within("sim_time", from_s, before_s))
        found = f"SELECT {shown} FROM read_parquet({literal(self.path)}) WHERE x IS NOT NULL AND {within}"
        if "velocity" in self.names:
            return found
        way = "sqrt((x - lag(x) OVER w) ** 2 + (y - lag(y) OVER w) ** 2 + (z - lag(z) OVER w) ** 2)"
        speed = f"CASE WHEN t > lag(t) OVER w THEN {way} / (t - lag(t) OVER w) END AS speed"
        return f"SELECT * REPLACE ({speed}) FROM ({found}) WINDOW w AS (PARTITION BY drone ORDER BY t, n)"

    def _if(self, name: str, there: str, otherwise: str) -> str:
        return there if name in self.names else otherwise


def _within(name: str, from_s: float, before_s: float) -> list[str]:
    bounds = [f"{name} >= {from_s!r}" if from_s > -math.inf else "true"]
    return bounds + ([f"{name} < {before_s!r}"] if before_s < math.inf else [])


def _outstanding(cursor: Any, source: str, first_s: float, slice_s: float, measures: Collection[str], most: int) -> Any:
    """Return what stands out of each slice, by drone and time, as an Arrow table; ``total`` is the number of all.

    Args:
        source: the query for the points; first_s, slice_s: where the first slice begins, and how long each is.
        most: a drone with no more points keeps all of them.
    """
    kept = ["arg_min(n, t)", "arg_max(n, t)"]
    kept += [f"{function}(n, {measure})" for measure in measures for function in ("arg_min", "arg_max")]
    slot = f"floor((t - {first_s!r}) / {slice_s!r})"
    return cursor.sql(
        f"WITH p AS MATERIALIZED ({source}), k AS (SELECT DISTINCT unnest([{', '.join(kept)}]) AS n FROM p "
        f"GROUP BY drone, {slot} UNION SELECT unnest(list(n)) FROM p GROUP BY drone HAVING count(*) <= {most}) "
        "SELECT p.*, (SELECT count(*) FROM p) AS total FROM p SEMI JOIN k USING (n) ORDER BY drone, t, n"
    ).to_arrow_table()


def extremes_sql(value: str, start_s: float, width_s: float, points: int) -> str:
    """Return the query for a line of each drone of ``p`` (n, t, drone ...): name, moments, values.

    Of each slice the first, last, least and greatest are kept; a drone with no more than ``points`` keeps all.
    """
    slot = f"floor((t - {start_s!r}) / {width_s!r})"
    return (
        f"SELECT drone, list(round(t, 3) ORDER BY t, n), list(v ORDER BY t, n) FROM ("
        f"WITH v AS (SELECT drone, n, t, {value} AS v FROM p WHERE {value} IS NOT NULL), "
        "k AS (SELECT DISTINCT unnest([arg_min(n, t), arg_max(n, t), arg_min(n, v), arg_max(n, v)]) AS n FROM v "
        f"GROUP BY drone, {slot} UNION SELECT unnest(list(n)) FROM v GROUP BY drone HAVING count(*) <= {points}) "
        "SELECT v.* FROM v SEMI JOIN k USING (n)) GROUP BY drone ORDER BY min(n)"
    )


@dataclass(frozen=True, slots=True)
class _Groups:
    """The row groups of a file of columns: first and last moment and rows of each, and the slices of an overview."""

    rows: list[tuple[float, float, int]]

    @property
    def start_s(self) -> float:
        return min(low for low, _, _ in self.rows)

    @property
    def end_s(self) -> float:
        return max(high for _, high, _ in self.rows)

    @property
    def slice_s(self) -> float:
        return float(2.0 ** math.ceil(math.log2(max(self.end_s - self.start_s, 1.0) / SLICES)))

    def count(self, start_s: float, end_s: float) -> int:
        """Return the rows of the groups that touch a window."""
        return sum(rows for low, high, rows in self.rows if high >= start_s and low <= end_s)


def _groups(path: Path) -> _Groups:
    metadata = parquet.read_metadata(path)
    place = metadata.schema.names.index("sim_time")
    found = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        stats = group.column(place).statistics
        found.append((stats.min, stats.max, group.num_rows))
    return _Groups(found)


class FlightColumns:
    """One flight as it is in its columns."""

    def __init__(self, found: ColumnFile, base: tuple[float, float, float]) -> None:
        self._points = Points(found.path, frozenset(found.key.names), base)
        self._overview = found.overview_path if found.key.overview is not None else None
        self._groups = _groups(found.path)

    def window(
        self,
        tape: Tape,
        start_s: float,
        end_s: float,
        drones: Collection[str] | None,
        slices: int,
        most: int,
        axes_only: bool = False,
    ) -> Window:
        """Return what stands out between two moments.

        Args:
            most: a drone with no more points keeps all of them.
            axes_only: keep extremes of east, north and up alone, which are enough for a track.
        """
        behind_s = math.nextafter(end_s, math.inf)
        window = Window(start_s, end_s, {}, offset=tape.seek(behind_s))
        source = self._source(start_s, behind_s, slices)
        if drones is not None:
            source = f"SELECT * FROM ({source}) WHERE drone IN ({', '.join(map(literal, drones)) or 'NULL'})"
        table = _outstanding(
            reader(), source, start_s, self._width(start_s, end_s, slices), _AXES if axes_only else _ALL, most
        )
        window.history, window.points_read = _history(table), table["total"][0].as_py() if table.num_rows else 0
        whole = self._is_folded(start_s, end_s) and window.points_read == table.num_rows
        window.thinned = "no" if whole else "extremes"
        return window

    def lines(
        self, values: dict[str, str], start_s: float, end_s: float, points: int
    ) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
        """Return figures over time: by name and drone the moments and the values.

        Args:
            values: an SQL expression of x, y, z, battery, speed or distance for each figure.
            points: the maximum for each line; of each slice the first, last, least and greatest are kept.
        """
        cursor, behind_s = reader(), math.nextafter(end_s, math.inf)
        slices = max(1, points // 4)
        cursor.register("p", cursor.sql(self._source(start_s, behind_s, slices)).to_arrow_table())
        width_s, found = self._width(start_s, end_s, slices), {}
        for name, value in values.items():
            rows = cursor.sql(extremes_sql(value, start_s, width_s, points)).fetchall()
            found[name] = {drone: (moments, line) for drone, moments, line in rows}
        return found

    def _is_folded(self, start_s: float, end_s: float) -> bool:
        return self._overview is None or self._groups.count(start_s, end_s) <= MOST_FOLDED

    def _width(self, start_s: float, end_s: float, slices: int) -> float:
        return max((min(end_s, self._groups.end_s) - start_s) / slices, 1e-6)

    def _source(self, start_s: float, behind_s: float, slices: int) -> str:
        """Return the query for the points of a window, or for those of the overview that stand for them."""
        if self._is_folded(start_s, behind_s):
            return self._points.sql(start_s, behind_s)
        groups = self._groups
        number = (min(behind_s, groups.end_s) - start_s) / groups.slice_s
        level = 1 if slices <= number / COARSE * _NEARLY else 0
        slice_s = groups.slice_s * (COARSE if level else 1)
        first_s, last_s = start_s, behind_s
        if start_s > groups.start_s:
            first_s = groups.start_s + math.ceil((start_s - groups.start_s) / slice_s) * slice_s
        if behind_s <= groups.end_s:
            last_s = groups.start_s + math.floor((behind_s - groups.start_s) / slice_s) * slice_s
        assert self._overview is not None
        within = " AND ".join(_within("t", first_s, last_s))
        kept = f"FROM read_parquet({literal(self._overview)}) WHERE level = {level} AND {within}"
        parts = [f"SELECT * EXCLUDE (level) {kept}"]
        parts += [f"({self._points.sql(*cut)})" for cut in ((start_s, first_s), (last_s, behind_s)) if cut[0] < cut[1]]
        return " UNION ALL BY NAME ".join(parts)


def _history(table: Any) -> History:
    """Return points as a replay has them."""
    columns = [table[name].to_pylist() for name in ("drone", "t", "x", "y", "z", "yaw", "mode", "battery", "speed")]
    history: History = {}
    for drone, t, x, y, z, yaw, mode, battery, speed in zip(*columns, strict=True):
        point: Point = {"sim_time": t, "position": [x, y, z], "orientation": [0.0, 0.0, yaw or 0.0], "mode": mode or ""}
        if battery is not None:
            point["battery"] = battery
        if speed is not None:
            point["speed"] = speed
        history.setdefault(drone, []).append(point)
    return history


def packed_overview(path: Path, axes: bool, names: list[str], base: tuple[float, float, float]) -> bytes | None:
    """Return the overview of a flight from its columns as Parquet; None: it is short, or not of points."""
    if not axes or "drone" not in names:
        return None
    groups = _groups(path)
    if groups.count(-math.inf, math.inf) <= MOST_FOLDED:
        return None
    points, cursor = Points(path, frozenset(names), base), reader()
    density = groups.count(-math.inf, math.inf) / max(groups.end_s - groups.start_s, groups.slice_s)
    step_s = max(1, math.floor(_AT_ONCE / (density * groups.slice_s))) * groups.slice_s
    fine, from_s = [], groups.start_s
    while from_s <= groups.end_s:
        found = _outstanding(cursor, points.sql(from_s, from_s + step_s), groups.start_s, groups.slice_s, _ALL, 0)
        fine.append(found.drop_columns(["total"]))
        from_s += step_s
    whole = pa.concat_tables(fine)
    cursor.register("fine", whole)
    coarse = _outstanding(cursor, "SELECT * FROM fine", groups.start_s, groups.slice_s * COARSE, _ALL, 0)
    cursor.register("coarse", coarse.drop_columns(["total"]))
    table = cursor.sql(
        "SELECT 0 AS level, * FROM fine UNION ALL SELECT 1 AS level, * FROM coarse ORDER BY level, t, n"
    ).to_arrow_table()
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd", row_group_size=1 << 15)
    return sink.getvalue()


def base_of(session: Session) -> tuple[float, float, float]:
    """Return the position of the base in metres."""
    east, north, up = session.record.base_position or [0.0, 0.0, 0.0]
    return float(east), float(north), float(up)


def flight_columns(session: Session) -> FlightColumns | None:
    """Return the columns of a flight where windows can come from them; None: read its lines."""
    found = column_files.find(session.root, session.folder.name, stream_names.MOTION)
    if found is None or not found.key.axes or _SHOWN_AS_EDITED & set(found.key.left_out):
        return None
    if "drone" not in found.key.names or not column_files.is_whole(found):
        return None
    return FlightColumns(found, base_of(session))
