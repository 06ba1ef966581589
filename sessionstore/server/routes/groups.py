"""The list in groups, and values that a row does not hold: metrics of the sessions on the screen.

Not here: grouping (store.grouping), the list itself (sessions), changes of many sessions (bulk).
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from sessionstore.errors import SessionStoreError
from sessionstore.model.record import SessionRecord
from sessionstore.playback.observed import observed
from sessionstore.server.http.operations import Call, Operation, split_names
from sessionstore.server.http.problems import problem_of
from sessionstore.server.http.reply import Reply, content_etag, encode, json_reply
from sessionstore.server.live.record_values import is_record_value, metric
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session
from sessionstore.store import column_groups
from sessionstore.store.grouping import DEFAULT_FIGURES, check_groups, grouped

TAG = "sessions"
_MOST_SESSIONS, _MOST_NAMES = 200, 30


class GroupsQuery(api_schemas.Strict):
    """Of a list in groups."""

    by = api_schemas.text(
        300,
        required=True,
        metadata={"description": "A field, `metadata.site`, `tags`, `day`, `seed`, `provenance.X` or `metrics.X`."},
    )
    of = api_schemas.text(2000, metadata={"description": "Numbers, comma-separated: `points,metadata.wind_ms`."})
    where = api_schemas.text(4096, metadata={"description": "A filter: only these sessions."})


class GroupsReply(api_schemas.Open):
    """The groups, the largest first."""

    by = fields.String(required=True)
    total = fields.Integer(required=True, metadata={"description": "How many sessions the filter matches."})
    groups = fields.List(fields.Dict(), required=True)
    revision = fields.String(metadata={"description": "Names this state of the list, as in the list itself."})


class ValuesBody(api_schemas.Strict):
    """Which values of which sessions."""

    ids = fields.List(api_schemas.text(300), required=True, validate=validate.Length(min=1, max=_MOST_SESSIONS))
    metrics = fields.List(
        api_schemas.text(300), load_default=list, validate=validate.Length(max=_MOST_NAMES),
        metadata={"description": "Such as `drones.d1.distance_m`; a name alone is found in `last` and `totals` too."},
    )  # fmt: skip
    notes = fields.Boolean(load_default=False, metadata={"description": "The notes too, under `notes`."})
    observed = fields.Boolean(
        load_default=False,
        metadata={
            "description": "`duration_sim_s`, `points`, `num_drones` of the streams, where the record is silent."
        },
    )


class ValuesReply(api_schemas.Open):
    """The values by session and path; a path that a session does not have is left out."""

    values = fields.Dict(required=True)
    problems = fields.Dict(required=True, metadata={"description": "Why a session could not be read, by its id."})


def list_groups(call: Call) -> Reply:
    """Return the sessions in groups, with figures of each."""
    query, revision = call.query, call.context.changes.revision()
    by, of = query["by"], split_names(query.get("of")) or DEFAULT_FIGURES
    if is_record_value(by):
        found = call.context.values.columns.groups(query.get("where"), by, of)
        if found is None:
            rows = call.context.store.find(query.get("where"), verify=False)
            found = grouped(rows, by, of, call.context.values.of(rows, by)), len(rows)
        groups, total = found
    else:
        groups, total = column_groups.groups(call.context.store.catalog, query.get("where"), by, of)
    check_groups(groups)
    answer = {"by": by, "total": total, "groups": [group.to_dict() for group in groups]}
    return Reply(encode({**answer, "revision": revision}), etag=content_etag(encode(answer)))


def values_of_sessions(call: Call) -> Reply:
    """Return metrics of some sessions, for the rows that a list shows."""
    values: dict[str, Any] = {}
    problems: dict[str, Any] = {}
    for session_id in dict.fromkeys(call.body["ids"]):
        try:
            session = call.context.exact(session_id)
            record = session.record
        except SessionStoreError as error:
            problems[session_id] = problem_of(error, call.context.hidden).to_dict()
            continue
        metrics = record.performance_metrics
        found = {name: metric(metrics, name.split(".")) for name in call.body["metrics"]}
        values[session_id] = {name: value for name, value in found.items() if value is not None}
        if call.body["notes"]:
            values[session_id]["notes"] = record.notes
        if call.body["observed"] and (seen := _seen(session, record)):
            values[session_id]["observed"] = seen
    return json_reply({"values": values, "problems": problems})


def _seen(session: Session, record: SessionRecord) -> dict[str, Any]:
    """Return how far the streams are, where the record does not say it: while a program appends, and after a kill."""
    known = {"status": record.status, "drones": record.drones, "duration_sim_s": record.duration_sim_s}
    found: dict[str, Any] = observed(session, known).get("observed", {})
    drones = found.pop("drones", None)
    return found if drones is None else {**found, "num_drones": len(drones)}


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/sessions/groups", list_groups, "List sessions in groups", TAG, query=GroupsQuery(),
            reply=GroupsReply(), problems=(400,),
        ),
        Operation(
            "POST", "/api/sessions/values", values_of_sessions, "Get metrics of some sessions", TAG, body=ValuesBody(),
            body_optional=False, reply=ValuesReply(), problems=(400,),
        ),
    ]  # fmt: skip
