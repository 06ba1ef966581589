"""Figures of one session over sim_time: altitude, speed, battery, distance to base, windows cleaned, signal strength.

Defined once, as plain plotly figures (dicts of ``data`` and ``layout``): the web page and the HTML export draw them
with a canvas of their own. A time window is downsampled, minima and maxima of every figure kept; while the overview of
a very long flight is being made, it is sampled by seeking, and ``layout.meta`` says so.
Not here: reading and downsampling (playback.downsample, replay), drawing (server.web, analysis.plots).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

from sessionstore.errors import InvalidQuery
from sessionstore.playback.downsample import Columns, Find, Windows, bytes_of, stretch
from sessionstore.playback.replay import KEPT_OF_A_SLICE, Point, Replay, Window
from sessionstore.session import Session, stream_names
from sessionstore.session.stream_reader import Line

Trace = dict[str, Any]
Figure = dict[str, Any]

DEFAULT_POINTS = 400
_KEPT_OF_A_RUN = 4  # first, last, least and greatest
TITLES = {
    "altitude": ("Altitude", "m"),
    "speed": ("Speed", "m/s"),
    "battery": ("Battery", "%"),
    "distance": ("Distance to base", "m"),
    "windows": ("Windows", "number"),
    "link": ("Signal strength", "dBm"),
}
FIGURES = tuple(TITLES)


def figures(
    session: Session,
    start_s: float | None = None,
    end_s: float | None = None,
    points: int = DEFAULT_POINTS,
    names: Collection[str] = FIGURES,
    find: Find | None = None,
    attempt: int | None = None,
    columns: Columns | None = None,
) -> dict[str, Figure]:
    """Return the named figures of a stretch, each with one trace for every drone that has values.

    Args:
        start_s, end_s: sim_time in seconds; by default the whole flight.
        points: the maximum for each trace.
        find: where the summary of a very long flight comes from; by default it is made now.
        attempt: of a resumed run, counted from 0; by default the latest.
        columns: where its windows come from without a summary, see :func:`stretch`.

    Raises:
        InvalidQuery: an unknown figure, or a stretch that ends before it begins.
    """
    unknown = [name for name in names if name not in TITLES]
    if unknown:
        raise InvalidQuery(f"there is no figure {unknown[0]!r} (there are {', '.join(FIGURES)})")
    points = max(points, KEPT_OF_A_SLICE)
    base = session.record.base_position or [0.0, 0.0, 0.0]
    flight = columns(session) if columns is not None and attempt is None else None
    if flight is not None:
        return _from_columns(session, flight, start_s, end_s, points, names, base)
    window = stretch(session, start_s, end_s, points // _KEPT_OF_A_RUN, find=find, attempt=attempt)
    traces = {name: _traces(name, session, window, base, points, end_s, attempt) for name in names}
    if window.thinned == "no" and any(len(points_of) > points for points_of in window.history.values()):
        window.thinned = "extremes"
    return {name: _figure(name, found, window) for name, found in traces.items()}


def _from_columns(
    session: Session,
    flight: Windows,
    from_s: float | None,
    to_s: float | None,
    points: int,
    names: Collection[str],
    base: list[float],
) -> dict[str, Figure]:
    _, _, start_s, end_s = bytes_of(Replay(session), from_s, to_s)
    wanted = {
        "altitude": f"z - {base[2]!r}", "speed": "speed", "battery": "100.0 * battery", "distance": "distance",
    }  # fmt: skip
    lines = flight.lines(
        {name: f"round({sql}, 3)" for name, sql in wanted.items() if name in names}, start_s, end_s, points
    )
    window = Window(start_s, end_s, {})
    found: dict[str, Figure] = {}
    for name in names:
        if name in lines:
            traces = [_trace(drone, list(zip(*line, strict=True))) for drone, line in lines[name].items()]
        else:
            traces = _traces(name, session, window, base, points, to_s, None)
        window.thinned = "extremes" if any(len(trace["x"]) >= points // 2 for trace in traces) else "no"
        found[name] = _figure(name, traces, window)
    return found


def _figure(name: str, traces: list[Trace], window: Window) -> Figure:
    title, unit = TITLES[name]
    return {
        "data": traces,
        "layout": {
            "title": {"text": title},
            "xaxis": {"title": {"text": "sim_time (s)"}, "range": [window.start_s, window.end_s]},
            "yaxis": {"title": {"text": unit}, "rangemode": "normal" if name == "link" else "tozero"},
            "hovermode": "x",
            "meta": {"thinned": window.thinned, "figure": name},
        },
    }


def _traces(
    name: str,
    session: Session,
    window: Window,
    base: list[float],
    points: int,
    end_s: float | None,
    attempt: int | None,
) -> list[Trace]:
    if name == "windows":
        return _windows(session.tape(stream_names.METRICS).in_time(window.start_s, end_s, attempt=attempt), points)
    if name == "link":
        return _links(session.tape(stream_names.COMMUNICATION).in_time(window.start_s, end_s, attempt=attempt), points)
    value = _VALUES[name]
    found = []
    for drone, history in window.history.items():
        values = _speeds(history) if name == "speed" else [value(point, base) for point in history]
        pairs = [(point["sim_time"], each) for point, each in zip(history, values, strict=True)]
        kept = [(t, round(y, 3)) for t, y in pairs if y is not None]
        if kept:
            found.append(_trace(drone, extremes(kept, points)))
    return found


def _trace(name: str, pairs: list[tuple[float, float]], mode: str = "lines", shape: str = "linear") -> Trace:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "line": {"shape": shape, "width": 1.5},
        "x": [round(t, 3) for t, _ in pairs],
        "y": [y for _, y in pairs],
    }


def _altitude(point: Point, base: list[float]) -> float | None:
    return float(point["position"][2]) - base[2]


def _speed(point: Point, base: list[float]) -> float | None:
    velocity = point.get("velocity")
    if isinstance(velocity, list) and len(velocity) == 3:
        return math.hypot(*velocity)
    return point.get("speed")  # as summaries keep it


def _speeds(history: list[Point]) -> list[float | None]:
    """Return the speed at each point: recorded, or the way from the point before where no velocity was recorded."""
    found: list[float | None] = []
    before: Point | None = None
    for point in history:
        speed = _speed(point, [])
        if speed is None and before is not None and point["sim_time"] > before["sim_time"]:
            speed = math.dist(point["position"], before["position"]) / (point["sim_time"] - before["sim_time"])
        found.append(speed)
        before = point
    return found


def _battery(point: Point, base: list[float]) -> float | None:
    charge = point.get("battery")
    return 100.0 * charge if isinstance(charge, int | float) and not isinstance(charge, bool) else None


def _distance(point: Point, base: list[float]) -> float | None:
    return math.dist(point["position"], base)


_VALUES: dict[str, Callable[[Point, list[float]], float | None]] = {
    "altitude": _altitude,
    "speed": _speed,
    "battery": _battery,
    "distance": _distance,
}


def _windows(lines: Iterable[Line], points: int) -> list[Trace]:
    """Return found and cleaned windows, counted by the fleet once a second: steps that only rise."""
    series: dict[str, list[tuple[float, float]]] = {"found": [], "cleaned": []}
    for line in lines:
        for name, pairs in series.items():
            value = line.data.get(f"windows_{name}")
            if isinstance(value, int | float):
                pairs.append((line.t_s, value))
    return [_trace(name, extremes(pairs, points), shape="hv") for name, pairs in series.items() if pairs]


def _links(lines: Iterable[Line], points: int) -> list[Trace]:
    """Return the signal strength of the messages that each drone sent or received."""
    series: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        level = line.data.get("rssi_dbm")
        if not isinstance(level, int | float):
            continue
        for end in sorted({str(line.data.get("from")), str(line.data.get("to"))} - {"base", "None"}):
            series.setdefault(end, []).append((line.t_s, level))
    return [_trace(name, extremes(pairs, points)) for name, pairs in series.items()]


def extremes(pairs: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Return at most ``count`` pairs (four at least), in order: of each run its first, last, least and greatest."""
    if len(pairs) <= most:
        return pairs
    runs = max(1, most // _KEPT_OF_A_RUN)
    kept: list[tuple[float, float]] = []
    for number in range(runs):
        begin, end = number * len(pairs) // runs, (number + 1) * len(pairs) // runs
        order = range(begin, end)
        low = min(order, key=lambda index: pairs[index][1])
        high = max(order, key=lambda index: pairs[index][1])
        kept += [pairs[index] for index in sorted({begin, end - 1, low, high})]
    return kept
