"""Sessions over HTTP: list, get, create, change, delete, restore.

What is returned is read from the folders at this moment; what is acknowledged is stored. Changes name exactly the
session they mean, and with If-Match or ``rev`` exactly the revision.
Not here: replay and streams (replays, stream_records), sessions with buildings that wait for a start (control).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from sessionstore.boxes.session_db_box import row_as_dict
from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.layout import DOCUMENT
from sessionstore.model.json_text import utc_text
from sessionstore.model.record import RECORD_FIELDS
from sessionstore.model.row import FILTER_FIELDS, SessionRow
from sessionstore.server.context import Context
from sessionstore.server.http.csv_text import CSV, csv_text
from sessionstore.server.http.operations import Call, Operation, pick, split_names
from sessionstore.server.http.paging import page
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.ranges import parts_of
from sessionstore.server.http.reply import EVENT_STREAM, Reply, Stream, content_etag, encode, json_reply
from sessionstore.server.live.record_cache import digest_of, parse_etag
from sessionstore.server.live.record_values import in_order, is_record_value
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session
from sessionstore.session.state import merged

_ROW_FIELDS = (*FILTER_FIELDS, "session_dir_path")
_DOCUMENT_FIELDS = (*RECORD_FIELDS, "problem", "session_dir_path", "replay_available")
TAG = "sessions"
MERGE_PATCH = "application/merge-patch+json"
MAX_DOCUMENT_BYTES = 8 << 20
_VERIFY_EVERY_S = 1.0


def list_sessions(call: Call) -> Reply:
    """Return one page of sessions."""
    query, store, revision = call.query, call.context.store, call.context.changes.revision()
    where, sort = query.get("where"), query["sort"]
    if is_record_value(sort.removeprefix("-")):
        return _by_record_value(call, sort)
    # All files are compared with their rows once a second at most (50 ms at 10,000 sessions), those shown every time;
    # where the engine has pages, all of them in the background.
    verify = time.monotonic() - call.context.verified_at > _VERIFY_EVERY_S
    place = query.get("cursor"), query["limit"]
    found, cursor = page(store, where, sort, *place, verify, query["offset"])
    if verify:
        call.context.verified_at = time.monotonic()
    elif any(_changed(call.context, row) for row in found.rows):
        found, cursor = page(store, where, sort, *place, True, query["offset"])
    if found.compared_at is not None:
        call.context.comparing.wanted()
    shown = pick([row_as_dict(store, row) for row in found.rows], split_names(query.get("fields_")), _ROW_FIELDS)
    if query["format"] == "csv":
        body = csv_text(shown, split_names(query.get("fields_")) or _ROW_FIELDS)
        headers = {"x-total": str(found.total), **({"x-next-cursor": cursor} if cursor else {})}
        return Reply(body, content_type=CSV, etag=content_etag(body), headers=headers)
    answer: dict[str, Any] = {"sessions": shown, "total": found.total, "count": len(shown), "next_cursor": cursor}
    etag = content_etag(encode(answer))  # the same list at another time is the same
    answer["revision"] = revision
    if found.compared_at is not None:
        at_s = found.compared_at
        answer["compared_at"] = utc_text(datetime.fromtimestamp(at_s, UTC)) if at_s else None
    return Reply(encode(answer), etag=etag)


def _by_record_value(call: Call, sort: str) -> Reply:
    """Return a page in the order of a value that rows do not hold, newest first among equals."""
    query, store = call.query, call.context.store
    if query.get("cursor"):
        raise ApiProblem(400, "bad-query", "a list sorted by a value of records goes on by offset, not by a cursor")
    name, descending, begin = sort.removeprefix("-"), sort.startswith("-"), query["offset"]
    found = call.context.values.columns.page(query.get("where"), name, descending, begin, query["limit"])
    if found is None:
        rows = store.find(query.get("where"), verify=False)
        ordered = in_order(rows, call.context.values.of(rows, name), descending)
        found = ordered[begin : begin + query["limit"]], len(rows)
    part, total = found
    shown = pick([row_as_dict(store, row) for row in part], split_names(query.get("fields_")), _ROW_FIELDS)
    if query["format"] == "csv":
        body = csv_text(shown, split_names(query.get("fields_")) or _ROW_FIELDS)
        return Reply(body, content_type=CSV, etag=content_etag(body), headers={"x-total": str(total)})
    body = encode({"sessions": shown, "total": total, "count": len(shown), "next_cursor": None})
    return Reply(body, etag=content_etag(body))


def _changed(context: Context, row: SessionRow) -> bool:
    """Whether the record was edited by hand since its row was made; a folder that is gone was seen already."""
    try:
        status = (context.store.root.folder(row.session_id) / DOCUMENT).lstat()
    except OSError:
        return row.size >= 0
    return (status.st_size, files.changed_ns(status)) != (row.size, row.mtime_ns)


def list_sessions_of_database(call: Call) -> Reply:
    """Return the same list, straight from the database box's engine and folders."""
    return list_sessions(call)


async def follow_list(call: Call) -> Stream:
    """Follow the list of sessions."""
    events = call.context.changes.listen(call.headers.get("last-event-id"), call.query.get("since"))
    return Stream(events, EVENT_STREAM, {"x-accel-buffering": "no", "cache-control": "no-store"})


def get_session(call: Call) -> Reply:
    """Return the record of one session."""
    session = call.context.find(call.path["session_id"])
    document = call.context.documents.render(session)
    wanted = split_names(call.query.get("fields_"))
    if wanted is None:
        return document
    value = msgspec.json.decode(document.body)
    return json_reply(pick([value], wanted, tuple({*_DOCUMENT_FIELDS, *value}))[0], etag=document.etag)


def get_session_of_database(call: Call) -> Reply:
    """Return the record of one session through the database box."""
    return get_session(call)


def create_session(call: Call) -> Reply:
    """Make a session."""
    result = create(call.context, dict(call.body))
    return json_reply(result, 201, None, location=f"/api/sessions/{_quoted(result['session_id'])}")


def create(context: Context, fields: dict[str, Any]) -> dict[str, Any]:
    """Make a session through the creator box, and through the database box when that one breaks.

    Raises: as ``SessionStore.create``: what the store refuses, no other box would take.
    """
    name = fields.pop("session_name", None)
    try:
        return dict(context.creator.create_session(name, **fields))
    except SessionStoreError:
        raise
    except Exception as error:  # noqa: BLE001  # the fallback contract: a bug or a plug-in must not cost a session
        record = context.database.create_session(name, **fields)
        reason = {"status": "done", "reason": f"the creator box failed: {type(error).__name__}"}
        steps = dict.fromkeys(("directory", "record", "index"), reason)
        return {**_identity(record), **steps, "success": True, "fallback_used": True}


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("session_id", "uuid", "session_name", "session_dir_path")}


def change_session(call: Call) -> Reply:
    """Change fields of a record, durably."""
    changes = dict(call.body)
    reason, rev = changes.pop("reason", ""), changes.pop("rev", None)
    if not changes:
        raise ApiProblem(400, "bad-body", "name at least one field to change")
    session = call.context.exact(call.path["session_id"])
    check = _precondition(call.context, session, call.headers.get("if-match"), rev)
    patch = changes.pop("metadata", None) if MERGE_PATCH in call.headers.get("content-type", "") else None

    def change(record: dict[str, Any]) -> None:
        if check is not None:
            check(record)
        if patch is not None:
            record["metadata"] = merged(record["metadata"], patch)

    shown: list[Any] = []
    call.context.store.edit(  # so that `undo` can take it back
        session,
        change if check is not None or patch is not None else None,
        if_rev=rev,
        reason=reason,
        written=lambda *written: shown.append(written),
        **changes,
    )
    return call.context.documents.render(session, shown[0])


def _precondition(context: Context, session: Session, if_match: str | None, rev: int | None = None) -> Any:
    """Return a check that runs under the session's lock: the file is still what the client saw.

    ``If-Match`` names the exact state of the file. A revision alone cannot see an edit by hand, which leaves it as it
    is: it is refused when this server has shown that revision with another content.
    """
    if if_match is None or if_match.strip() == "*":
        return None if rev is None else _same_by_revision(context, session)
    wanted = parse_etag(if_match)

    def check(record: dict[str, Any]) -> None:
        status, revision = (session.folder / DOCUMENT).lstat(), record["rev"]
        if wanted != (revision, digest_of(status)):
            raise ApiProblem(
                412, "stale", f"somebody else changed the session first; it is at revision {revision}", rev=revision
            )

    return check


def _same_by_revision(context: Context, session: Session) -> Any:
    def check(record: dict[str, Any]) -> None:
        if not context.documents.only_state_of(session.session_id, record["rev"], (session.folder / DOCUMENT).lstat()):
            raise ApiProblem(
                409, "conflict", f"session.json was edited by hand at revision {record['rev']}: read it again, and "
                "send If-Match", rev=record["rev"],
            )  # fmt: skip

    return check


def delete_session(call: Call) -> Reply:
    """Move a session to the trash."""
    session = call.context.exact(call.path["session_id"])
    if_match = call.headers.get("if-match")
    if if_match is not None and if_match.strip() != "*":
        check = _precondition(call.context, session, if_match)
        check(session.record.to_dict())
    return json_reply({"success": True, **call.context.database.delete_session(session.session_id)})


def restore_session(call: Call) -> Reply:
    """Bring a session back from the trash."""
    session = call.context.store.restore(call.path["session_id"])
    return call.context.documents.render(session)


def list_trash(call: Call) -> Reply:
    """Return what is in the trash, the newest first."""
    entries = [
        {"entry_id": entry.entry_id, "session_id": entry.session_id, "deleted_at": entry.deleted_at.isoformat()}
        for entry in call.context.store.trash()
    ]
    return json_reply({"entries": entries, "total": len(entries)})


def get_document(call: Call) -> Reply | Stream:
    """Return session.json as it is on disk, damaged or not."""
    session = call.context.find(call.path["session_id"])
    try:
        if (size := (session.folder / DOCUMENT).lstat().st_size) > MAX_DOCUMENT_BYTES:  # in pieces, never as a whole
            parts = parts_of(files.open_to_read(session.folder / DOCUMENT))
            return Stream(parts, "text/plain; charset=utf-8", {"content-length": str(size)})
        data, status = files.read(session.folder / DOCUMENT)
    except FileNotFoundError as error:
        raise ApiProblem(404, "no-document", "the folder has no session.json") from error
    headers = {"x-modified-ns": str(status.st_mtime_ns)}
    return Reply(data, etag=f'"{digest_of(status)}"', content_type="text/plain; charset=utf-8", headers=headers)


def get_transitions(call: Call) -> Reply:
    """Return the history of status and workflow state, and the mission phases."""
    session = call.context.find(call.path["session_id"])
    return json_reply({"session_id": session.session_id, "transitions": session.transitions()})


def _quoted(session_id: str) -> str:
    return quote(session_id, safe="")


def operations() -> list[Operation]:
    """Return the routes of this module; literal paths stand before those with an id."""
    one = "/api/sessions/{session_id}"
    lists: dict[str, Any] = {
        "tag": TAG,
        "query": api_schemas.LIST_QUERY,
        "reply": api_schemas.LIST_REPLY,
        "problems": (400,),
    }
    record: dict[str, Any] = {"tag": TAG, "reply": api_schemas.RECORD_REPLY}
    return [
        Operation("GET", "/api/sessions", list_sessions, "List sessions", **lists),
        Operation(
            "POST", "/api/sessions", create_session, "Make a session", TAG, status=201, body=api_schemas.NEW_SESSION,
            reply=api_schemas.CREATED_REPLY, problems=(400, 503, 507),
        ),
        Operation("GET", "/api/sessions/db/list", list_sessions_of_database, "List sessions (database box)", **lists),
        Operation(
            "GET", "/api/sessions/db/{session_id}", get_session_of_database, "Get a record (database box)",
            query=api_schemas.FIELDS_QUERY, problems=(400, 404, 409), **record,
        ),
        Operation(
            "GET", "/api/sessions/events", follow_list, "Follow the list of sessions (server-sent events)", TAG,
            content_type=EVENT_STREAM, event_schemas=api_schemas.LIST_EVENTS, query=api_schemas.LIST_EVENTS_QUERY,
            problems=(400,),
        ),
        Operation("GET", "/api/trash", list_trash, "List the trash", TAG, reply=api_schemas.ANY_REPLY),
        Operation(
            "GET", one, get_session, "Get a record", query=api_schemas.FIELDS_QUERY, problems=(400, 404, 409),
            **record,
        ),
        Operation(
            "PATCH", one, change_session, "Change a record", body=api_schemas.SESSION_CHANGE, body_optional=False,
            merge_patch=True,
            problems=(400, 404, 409, 410, 412, 503, 507), **record,
        ),
        Operation(
            "DELETE", one, delete_session, "Move a session to the trash", TAG, reply=api_schemas.ANY_REPLY,
            problems=(404, 409, 410, 412, 503),
        ),
        Operation(
            "POST", one + "/restore", restore_session, "Bring a session back from the trash",
            problems=(404, 409, 503), **record,
        ),
        Operation(
            "GET", one + "/document", get_document, "Get session.json as it is on disk", TAG,
            content_type="text/plain; charset=utf-8", problems=(404, 409),
        ),
        Operation(
            "GET", one + "/transitions", get_transitions, "Get the history of status and workflow", TAG,
            reply=api_schemas.ANY_REPLY, problems=(404, 409),
        ),
    ]  # fmt: skip
