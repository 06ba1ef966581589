"""Sweeps over HTTP: all of them, and one with its points, and mean and interval over seeds.

Not here: what they are (sweeps), running one (the command line, Python).
"""

from __future__ import annotations

from typing import Any

import msgspec
from marshmallow import Schema, fields, validate

from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.sweeps.definition import SEED
from sessionstore.sweeps.results import ResultRow
from sessionstore.sweeps.sweep import Status, Sweep, all_sweeps

#: Of a larger sweep that many points, evenly spread, are sent unless asked for otherwise.
USUAL_ROWS = 5000


class SweepQuery(api_schemas.Strict):
    """Of one sweep."""

    limit = fields.Integer(
        load_default=USUAL_ROWS,
        validate=validate.Range(1, 100_000),
        metadata={"description": "Of more points, that many, evenly spread."},
    )


class SweepsReply(Schema):
    """All sweeps of the store."""

    sweeps = fields.List(fields.Dict(), required=True)


class SweepReply(Schema):
    """One sweep."""

    sweep_id = fields.String(required=True)
    name = fields.String(required=True)
    program = fields.String(required=True)
    objective = fields.String(allow_none=True)
    total = fields.Integer(required=True)
    done = fields.Integer(required=True)
    running = fields.Boolean(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    parameters = fields.List(fields.String(), required=True)
    metrics = fields.List(fields.String(), required=True)
    rows = fields.List(fields.Dict(), required=True)
    groups = fields.List(fields.Dict(), required=True)


def list_sweeps(call: Call) -> Reply:
    """List the sweeps of the store."""
    return json_reply({"sweeps": [_facts(each.status()) for each in all_sweeps(call.context.store)]})


def get_sweep(call: Call) -> Reply:
    """Return a sweep: how far it is, its points with their figures, and mean and interval over seeds."""
    sweep = Sweep(call.context.store, call.path["sweep_id"])
    found = sweep.results()
    counts: dict[str, int] = {}
    for row in found.rows:
        counts[row.status] = counts.get(row.status, 0) + 1
    status = Status(sweep.sweep_id, sweep.definition.name, len(found.rows), sweep.folder.is_held(), counts)
    groups = found.groups()
    numbers = {_key(group.parameters): number for number, group in enumerate(groups)}
    kept = found.rows[:: max(1, -(-len(found.rows) // call.query["limit"]))]
    wanted = sweep.definition
    objective = wanted.objective and f"{'minimise' if wanted.minimise else 'maximise'} {wanted.objective}"
    return json_reply(
        {
            **_facts(status),
            "program": wanted.program,
            "objective": objective,
            "parameters": found.parameters,
            "metrics": found.metrics,
            "rows": [_row(row, numbers) for row in kept],
            "groups": [{"number": number, **msgspec.to_builtins(group)} for number, group in enumerate(groups)],
        }
    )


def _facts(status: Status) -> dict[str, Any]:
    names = ("sweep_id", "name", "total", "done", "running", "counts")
    return {name: getattr(status, name) for name in names}


def _row(row: ResultRow, groups: dict[bytes, int]) -> dict[str, Any]:
    key = _key({name: value for name, value in row.parameters.items() if name != SEED})
    return {**row.plain(), "group": groups[key]}


def _key(parameters: dict[str, Any]) -> bytes:
    return msgspec.json.encode(parameters)


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation("GET", "/api/sweeps", list_sweeps, "List the sweeps", "sweeps", reply=SweepsReply()),
        Operation(
            "GET", "/api/sweeps/{sweep_id}", get_sweep, "Get a sweep with its points", "sweeps", query=SweepQuery(),
            reply=SweepReply(), problems=(400, 404),
        ),
    ]  # fmt: skip
