"""Many sessions in one request: delete, restore, change tags and notes. Each session has its own outcome in the reply.

One session that is gone or busy does not stop the others; ``success`` says whether all were done.
Not here: one session (sessions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields, validate

from sessionstore.errors import SessionStoreError
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem, problem_of
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.store.history import History

MOST_SESSIONS = 10_000
_Ids = fields.List(
    api_schemas.text(300), required=True, validate=validate.Length(min=1, max=MOST_SESSIONS),
    metadata={"description": "Ids of sessions; of trash entries for restore."},
)  # fmt: skip
_Tags = fields.List(
    fields.String(validate=validate.Length(min=1, max=200)), load_default=list, validate=validate.Length(max=100)
)


class IdsBody(api_schemas.Strict):
    """Which sessions."""

    ids = _Ids


class TagsBody(api_schemas.Strict):
    """Tags to add to and to remove from many sessions."""

    ids = _Ids
    add = _Tags
    remove = _Tags
    reason = api_schemas.text(1000)


class NotesBody(api_schemas.Strict):
    """Notes for many sessions."""

    ids = _Ids
    notes = fields.String(required=True, validate=validate.Length(max=100_000))
    how = fields.String(
        load_default="append", validate=validate.OneOf(("append", "replace")),
        metadata={"description": "`append` puts the text behind what is there, on a line of its own."},
    )  # fmt: skip
    reason = api_schemas.text(1000)


class BulkReply(api_schemas.Open):
    """The outcome for each session."""

    success = fields.Boolean(required=True)
    done = fields.List(fields.Dict(), required=True)
    failed = fields.List(fields.Dict(), required=True, metadata={"description": "session_id and the problem."})


def delete_sessions(call: Call) -> Reply:
    """Move sessions to the trash."""

    def delete(session_id: str) -> dict[str, Any]:
        return dict(call.context.database.delete_session(call.context.exact(session_id).session_id))

    return _each(call, delete)


def restore_sessions(call: Call) -> Reply:
    """Bring sessions back from the trash."""
    return _each(call, lambda entry: {"session_id": call.context.store.restore(entry).session_id, "entry_id": entry})


def change_tags(call: Call) -> Reply:
    """Add and remove tags of sessions; other tags stay."""
    add, remove = call.body["add"], set(call.body["remove"])
    if not add and not remove:
        raise ApiProblem(400, "bad-body", "name at least one tag to add or to remove")

    def change(record: dict[str, Any]) -> None:
        kept = [tag for tag in record["tags"] if tag not in remove]
        record["tags"] = [*kept, *(tag for tag in add if tag not in kept)]

    def edit(session_id: str) -> dict[str, Any]:
        session = call.context.exact(session_id)
        record = History(call.context.store).edit(session.session_id, change, reason=call.body.get("reason", ""))
        return {"session_id": session.session_id, "rev": record.rev, "tags": record.tags}

    return _each(call, edit)


def change_notes(call: Call) -> Reply:
    """Put a text behind the notes of sessions, or in their place."""
    text, replace = call.body["notes"], call.body["how"] == "replace"

    def change(record: dict[str, Any]) -> None:
        record["notes"] = text if replace or not record["notes"] else f"{record['notes'].rstrip()}\n{text}"

    def edit(session_id: str) -> dict[str, Any]:
        session = call.context.exact(session_id)
        record = History(call.context.store).edit(session.session_id, change, reason=call.body.get("reason", ""))
        return {"session_id": session.session_id, "rev": record.rev, "notes": record.notes}

    return _each(call, edit)


def _each(call: Call, act: Callable[[str], dict[str, Any]]) -> Reply:
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for session_id in dict.fromkeys(call.body["ids"]):
        try:
            done.append(act(session_id))
        except (SessionStoreError, ApiProblem) as error:
            failed.append({"session_id": session_id, "problem": problem_of(error, call.context.hidden).to_dict()})
    return json_reply({"success": not failed, "done": done, "failed": failed})


def operations() -> list[Operation]:
    """Return the routes of this module."""
    common: dict[str, Any] = {"tag": "sessions", "body_optional": False, "reply": BulkReply(), "problems": (400,)}
    ids = {**common, "body": IdsBody()}
    return [
        Operation("POST", "/api/sessions/delete", delete_sessions, "Move many sessions to the trash", **ids),
        Operation("POST", "/api/sessions/restore", restore_sessions, "Bring many sessions back", **ids),
        Operation(
            "POST", "/api/sessions/tags", change_tags, "Change tags of many sessions",
            **{**common, "body": TagsBody()},
        ),
        Operation(
            "POST", "/api/sessions/notes", change_notes, "Change notes of many sessions",
            **{**common, "body": NotesBody()},
        ),
    ]  # fmt: skip
