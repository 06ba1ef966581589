"""Any recorded number against any other: points of both at the same moments, a line for each drone.

Of one stream the two values are of the same record; of two streams the value of x is its last one at or before the
moment of y. Both may be derived (rate, moving mean) before they are paired. A long line is thinned to a picture of
:data:`GRID` by :data:`GRID` points: neighbours that fall on the same point are left out.
Not here: a number over time (field_series), drawing (web).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.server.routes.field_series import DERIVED, Lines, lines_of

GRID = 400
_MOST_POINTS = 5000
Point = tuple[float, float, float]


class XyQuery(api_schemas.Strict):
    """Which two numbers."""

    x = api_schemas.text(300, required=True, metadata={"description": "`stream.field`, such as metrics.distance_m."})
    y = api_schemas.text(300, required=True, metadata={"description": "`stream.field`."})
    x_derive = fields.String(validate=validate.OneOf(DERIVED))
    y_derive = fields.String(validate=validate.OneOf(DERIVED))
    x_window = api_schemas.QueryNumber(load_default=5.0, validate=validate.Range(min=0, min_inclusive=False))
    y_window = api_schemas.QueryNumber(load_default=5.0, validate=validate.Range(min=0, min_inclusive=False))
    start = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    attempt = api_schemas.attempt()


class XyReply(api_schemas.Open):
    """Points in the order of time, a line for each drone: ``t`` in seconds, ``x`` and ``y``."""

    lines = fields.List(fields.Dict(), required=True)
    thinned = fields.String(required=True, metadata={"description": "no, grid (nothing that shows), or sampled."})


def get_xy(call: Call) -> Reply:
    """Return two recorded numbers against each other."""
    session = call.context.find(call.path["session_id"])
    (xs, x_sampled), (ys, y_sampled) = (lines_of(session, _axis(call.query, axis)) for axis in ("x", "y"))
    pairs = paired(xs, ys)
    kept = {name: on_grid(points) for name, points in pairs.items()}
    less = any(len(kept[name]) < len(points) for name, points in pairs.items())
    lines = [
        {"name": name, **{axis: list(values) for axis, values in zip("txy", zip(*points, strict=True), strict=True)}}
        for name, points in kept.items()
        if points
    ]
    return json_reply({"lines": lines, "thinned": "sampled" if x_sampled or y_sampled else "grid" if less else "no"})


def _axis(query: Mapping[str, Any], axis: str) -> dict[str, Any]:
    """Return the question of one axis as field_series asks it."""
    stream, _, field = query[axis].partition(".")
    if not stream or not field:
        raise ApiProblem(400, "bad-query", f"{axis} is a stream and a field, such as motion_history.battery")
    asked = {"stream": stream, "field": field, "window": query[f"{axis}_window"]}
    asked |= {name: query[name] for name in ("start", "end", "attempt") if name in query}
    return asked | ({"derive": query[f"{axis}_derive"]} if f"{axis}_derive" in query else {})


def paired(xs: Lines, ys: Lines) -> dict[str, list[Point]]:
    """Return (t_s, x, y) of each line of y: with the x of the same drone, or with the only line of x."""
    only = next(iter(xs.values())) if len(xs) == 1 else None
    found = {}
    for name, line in ys.items():
        other = xs.get(name, only)
        if other is None:
            continue
        times = [t_s for t_s, _ in other]
        places = [(t_s, bisect_right(times, t_s) - 1, y) for t_s, y in line]
        points = [(t_s, other[at][1], y) for t_s, at, y in places if at >= 0]
        found[name] = [each for each in points if math.isfinite(each[1]) and math.isfinite(each[2])]
    if not found and len(ys) == 1 and xs:  # a number of the whole run against one of each drone
        line = next(iter(ys.values()))
        swapped = paired({"": line}, xs)
        found = {name: [(t_s, x, y) for t_s, y, x in points] for name, points in swapped.items()}
    return found


def on_grid(points: list[Point]) -> list[Point]:
    """Return the points without those that fall on the same place of the picture as their neighbour."""
    if len(points) <= GRID:
        return points
    (low_x, wide), (low_y, high) = (_spread([point[axis] for point in points]) for axis in (1, 2))
    kept: list[Point] = []
    before: tuple[int, int] | None = None
    for point in points:
        place = (int((point[1] - low_x) / wide * GRID), int((point[2] - low_y) / high * GRID))
        if place != before:
            kept.append(point)
        before = place
    step = -(-len(kept) // _MOST_POINTS)
    return kept[::step]


def _spread(values: list[float]) -> tuple[float, float]:
    low = min(values)
    return low, (max(values) - low) or 1.0


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/sessions/{session_id}/xy", get_xy, "Get two recorded numbers against each other", "replay",
            query=XyQuery(), reply=XyReply(), problems=(400, 404, 409),
        ),
    ]  # fmt: skip
