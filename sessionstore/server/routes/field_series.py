"""Any number of any stream over sim_time, as a figure: fields are found in the recording, not in a list of ours.

A field is a path such as ``battery``, ``position.2`` or ``data.load``; each drone that the records name has a line.
A line can be derived from every recorded value (length of a list, rate, moving mean, difference of two sessions) before
it is thinned with minima and maxima kept; a stretch of more than :data:`MOST_BYTES` of a stream without columns is
sampled, and says so.
Not here: the arithmetic (playback.derived_lines), the six charts of a flight (chart_figures), drawing (web).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import fields, validate

from sessionstore.playback.charts import extremes
from sessionstore.playback.derived_lines import difference, moving_mean, norm, rate
from sessionstore.server.http.csv_text import CSV, csv_text
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.live.column_windows import field_lines
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session
from sessionstore.session.stream_reader import Line, Tape

MOST_BYTES = 32 << 20
_SAMPLES = 400
_RATE_BACK_S = 10.0  # before a stretch: where the value before its first one is searched
_LOOKED_AT = 50  # records at either end of a stream that are searched for fields
_DEPTH = 3
_LONGEST_LIST = 16
DERIVED = ("norm", "rate", "mean")
Lines = dict[str, list[tuple[float, float]]]


class SeriesQuery(api_schemas.Strict):
    """Of one field over time."""

    stream = api_schemas.text(64, required=True)
    field = api_schemas.text(200, required=True, metadata={"description": "A path such as battery or position.2."})
    start = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    points = fields.Integer(load_default=500, validate=validate.Range(min=8, max=5000))
    derive = fields.String(
        validate=validate.OneOf(DERIVED),
        metadata={"description": "norm: the length of a list; rate: for each second; mean: of the seconds up to it."},
    )
    window = api_schemas.QueryNumber(
        load_default=5.0, validate=validate.Range(min=0, min_inclusive=False, max=86_400),
        metadata={"description": "Of the moving mean, in seconds."},
    )  # fmt: skip
    drone = api_schemas.text(300, metadata={"description": "The line of this drone only."})
    minus = api_schemas.text(300, metadata={"description": "The id of a session whose values are taken off."})
    attempt = api_schemas.attempt()
    format = fields.String(
        load_default="json", validate=validate.OneOf(("json", "csv")), metadata={"description": "csv is not thinned."}
    )


def list_fields(call: Call) -> Reply:
    """Return the numeric fields of each stream, as its first and last records have them."""
    session = call.context.find(call.path["session_id"])
    found = {name: numeric_fields(tape) for name, tape in session.tapes().items()}
    return json_reply(
        {"session_id": session.session_id, "streams": {name: each for name, each in found.items() if each}}
    )


def numeric_fields(tape: Tape) -> list[str]:
    """Return the paths of the numbers in the first and the last records of a stream."""
    names: dict[str, None] = {}
    for offset in (0, tape.last_lines(_LOOKED_AT)):
        for line in itertools.islice(tape.read(offset, damaged="skip"), _LOOKED_AT):
            names |= dict.fromkeys(_paths(line.data, "", _DEPTH))
    return list(names)


def _paths(value: Any, prefix: str, depth: int) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield prefix
    elif depth and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, f"{prefix}.{key}" if prefix else str(key), depth - 1)
    elif depth and isinstance(value, list) and len(value) <= _LONGEST_LIST:
        for index, inner in enumerate(value):
            yield from _paths(inner, f"{prefix}.{index}", depth - 1)


def get_series(call: Call) -> Reply:
    """Return one field over time as a plotly figure, or every value of it as CSV."""
    session, query = call.context.find(call.path["session_id"]), call.query
    other = call.context.find(query["minus"]) if "minus" in query else None
    if query["format"] == "csv":
        lines, _ = lines_of(session, query, other)
        rows = [{"sim_time": t_s, "line": name, "value": value} for name, line in lines.items() for t_s, value in line]
        return Reply(csv_text(rows, ("sim_time", "line", "value")), content_type=CSV)
    return json_reply(series(session, query, other))


def series(session: Session, query: Mapping[str, Any], other: Session | None = None) -> dict[str, Any]:
    """Return the figure of one field; a line for each drone that the records name."""
    start_s, end_s = _stretch(session, query)
    most = query["points"]
    quick = field_lines(session, query, start_s, end_s)
    if quick is not None:
        lines, sampled = {name: list(zip(*line, strict=True)) for name, line in quick.items()}, False
    else:
        lines, sampled = lines_of(session, query, other)
    thinned = "sampled" if sampled else "extremes" if any(len(each) > most for each in lines.values()) else "no"
    if quick is not None and any(len(each) > most // 2 for each in lines.values()):
        thinned = "extremes"
    return {
        "data": [_trace(name, extremes(pairs, most)) for name, pairs in lines.items()],
        "layout": {
            "title": {"text": f"{query['stream']} {query['field']}"},
            "xaxis": {"title": {"text": "sim_time (s)"}, "range": [start_s, end_s]},
            "yaxis": {"title": {"text": ""}, "rangemode": "normal"},
            "meta": {"thinned": thinned, "figure": f"{query['stream']}.{query['field']}"},
        },
    }


def lines_of(session: Session, query: Mapping[str, Any], other: Session | None = None) -> tuple[Lines, bool]:
    """Return every value of a stretch by line, derived as the query asks; and whether a long stretch was sampled."""
    start_s, end_s = _stretch(session, query)
    derive = query.get("derive")
    back_s = {"rate": _RATE_BACK_S, "mean": query.get("window", 0.0)}.get(derive or "", 0.0)
    lines, sampled = _recorded(session, query, start_s - back_s, end_s)
    if derive == "rate":
        lines = {name: rate(line) for name, line in lines.items()}
    elif derive == "mean":
        lines = {name: moving_mean(line, query["window"]) for name, line in lines.items()}
    if back_s:
        lines = {name: [pair for pair in line if pair[0] >= start_s] for name, line in lines.items()}
    if other is None:
        return lines, sampled
    theirs = {each: query[each] for each in query if each != "attempt"} | {
        "start": max(0.0, start_s - _RATE_BACK_S),
        "end": end_s + _RATE_BACK_S,
    }
    taken_off, also_sampled = lines_of(other, theirs)
    lines = {name: difference(line, taken_off[name]) for name, line in lines.items() if name in taken_off}
    return lines, sampled or also_sampled


def _stretch(session: Session, query: Mapping[str, Any]) -> tuple[float, float]:
    tape = session.tape(query["stream"])
    if not tape.exists():
        raise ApiProblem(404, "no-stream", f"the session has no stream {query['stream']!r}")
    bounds = tape.bounds() if "end" not in query else None  # the last line of a resumed run is not the latest
    return query.get("start", 0.0), query.get("end", bounds[1] if bounds is not None else 0.0)


def _recorded(session: Session, query: Mapping[str, Any], start_s: float, end_s: float) -> tuple[Lines, bool]:
    """Return the values as they were recorded, by line; and whether a long stretch was sampled."""
    tape = session.tape(query["stream"])
    start_s = max(0.0, start_s)
    path, drone, by_length = query["field"].split("."), query.get("drone"), query.get("derive") == "norm"
    too_long = tape.seek(end_s) - tape.seek(start_s) > MOST_BYTES
    found: Lines = {}
    for line in (
        sampled(tape, start_s, end_s) if too_long else tape.in_time(start_s, end_s, attempt=query.get("attempt"))
    ):
        name = str(line.data.get("drone", query["field"]))
        if drone is not None and name != drone:
            continue
        value = under(line.data, path)
        if by_length:
            value = norm(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(name, []).append((line.t_s, value))
    return found, too_long


def sampled(tape: Tape, start_s: float, end_s: float, samples: int = _SAMPLES) -> Iterator[Line]:
    """Yield a record at each even step of a stretch."""
    for index in range(samples + 1):
        offset = tape.seek(start_s + (end_s - start_s) * index / samples)
        yield from itertools.islice(tape.read(offset, damaged="skip"), 1)


def under(value: Any, path: list[str]) -> Any:
    """Return the value under a path of keys and places in lists; None where there is none.

    A key may hold dots itself: ``a.b`` is the key ``b`` within ``a``, or else the key ``a.b``.
    """
    if not path:
        return value
    if isinstance(value, list):
        place = path[0]
        return under(value[int(place)], path[1:]) if place.isdecimal() and int(place) < len(value) else None
    if isinstance(value, Mapping):
        for count in range(1, len(path) + 1):
            inner = value.get(".".join(path[:count]))
            if inner is not None and (found := under(inner, path[count:])) is not None:
                return found
    return None


def _trace(name: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    x, y = [round(t, 3) for t, _ in pairs], [value for _, value in pairs]
    return {"type": "scatter", "mode": "lines", "name": name, "line": {"shape": "linear", "width": 1.5}, "x": x, "y": y}


def operations() -> list[Operation]:
    """Return the routes of this module."""
    one = "/api/sessions/{session_id}"
    common: dict[str, Any] = {"tag": "replay", "reply": api_schemas.ANY_REPLY}
    return [
        Operation(
            "GET", one + "/fields", list_fields, "List the numbers that are recorded", problems=(404, 409), **common
        ),
        Operation(
            "GET", one + "/series", get_series, "Get any recorded number over time as a plotly figure",
            query=SeriesQuery(), problems=(400, 404, 409), **common,
        ),
    ]  # fmt: skip
