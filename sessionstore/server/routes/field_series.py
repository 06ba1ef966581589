"""Any number of any stream over sim_time, as a figure: fields are found in the recording, not in a list of ours.

A field is a path such as ``battery``, ``position.2`` or ``data.load``; each drone that the records name has a line.
Lines are thinned with minima and maxima kept; a stretch of more than :data:`MOST_BYTES` is sampled, and says so.
Not here: the six charts of a flight (chart_figures), drawing (web).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import fields, validate

from sessionstore.playback.charts import extremes
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session
from sessionstore.session.stream_reader import Line, Tape

MOST_BYTES = 32 << 20
_SAMPLES = 400
_LOOKED_AT = 50  # records at either end of a stream that are searched for fields
_DEPTH = 3
_LONGEST_LIST = 16


class SeriesQuery(api_schemas.Strict):
    """Of one field over time."""

    stream = api_schemas.text(64, required=True)
    field = api_schemas.text(200, required=True, metadata={"description": "A path such as battery or position.2."})
    start = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    points = fields.Integer(load_default=500, validate=validate.Range(min=8, max=5000))


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
    """Return one field over time as a plotly figure."""
    return json_reply(series(call.context.find(call.path["session_id"]), call.query))


def series(session: Session, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figure of one field; a line for each drone that the records name."""
    tape = session.tape(query["stream"])
    if not tape.path.exists():
        raise ApiProblem(404, "no-stream", f"the session has no stream {query['stream']!r}")
    last = tape.last()
    start_s, end_s = query.get("start", 0.0), query.get("end", last.t_s if last is not None else 0.0)
    path = query["field"].split(".")
    lines: dict[str, list[tuple[float, float]]] = {}
    sampled = tape.seek(end_s) - tape.seek(start_s) > MOST_BYTES
    for line in (
        _sampled(tape, start_s, end_s) if sampled else tape.read(tape.seek(start_s), to_s=end_s, damaged="skip")
    ):
        value = _under(line.data, path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            lines.setdefault(str(line.data.get("drone", query["field"])), []).append((line.t_s, value))
    thinned = (
        "sampled" if sampled else "extremes" if any(len(each) > query["points"] for each in lines.values()) else "no"
    )
    return {
        "data": [_trace(name, extremes(pairs, query["points"])) for name, pairs in lines.items()],
        "layout": {
            "title": {"text": f"{query['stream']} {query['field']}"},
            "xaxis": {"title": {"text": "sim_time (s)"}, "range": [start_s, end_s]},
            "yaxis": {"title": {"text": ""}, "rangemode": "normal"},
            "meta": {"thinned": thinned, "figure": f"{query['stream']}.{query['field']}"},
        },
    }


def _sampled(tape: Tape, start_s: float, end_s: float) -> Iterator[Line]:
    for index in range(_SAMPLES + 1):
        offset = tape.seek(start_s + (end_s - start_s) * index / _SAMPLES)
        yield from itertools.islice(tape.read(offset, damaged="skip"), 1)


def _under(value: Any, path: list[str]) -> Any:
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


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
