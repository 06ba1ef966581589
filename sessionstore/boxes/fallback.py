"""When the creator box fails, the database box creates the session, and result and record say so.

In: both boxes and what a session begins with. Out: the creator's report. Duty: a bug in one box, or in what was put in
its place, never costs a session.
Not here: an index engine that is away (it costs nothing: the report says ``index: pending``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.errors import NotApplied, OutcomeUnknown
from sessionstore.model.names import sanitise

#: Metadata keys of a fallback: ``metadata.fallback_used=true`` finds these sessions.
MARK, REASON = "fallback_used", "fallback_reason"


def create_with_fallback(
    create: Callable[..., Mapping[str, Any]],
    database: SessionDBBox,
    session_name: str | None = None,
    metadata: dict[str, Any] | None = None,
    **fields: Any,
) -> Mapping[str, Any]:
    """Make a session by ``create`` (a creator box's ``create_session``), or by the database box when that fails.

    A failure is an exception, or one in the old manner: None, ``{"success": False}``, an id that is not in the store.

    Returns: what the creator box returns; after a fallback ``fallback_used`` is True, ``fallback_reason``
        says why, and the metadata hold both.

    Raises:
        NotApplied, OutcomeUnknown: the store refused or failed: the other box would fail in the same way.
    """
    try:
        made = create(session_name=session_name, metadata=metadata, **fields)
        failure = _failure_in(made, database)
        if failure is None:
            return made
        reason = failure
    except (NotApplied, OutcomeUnknown):
        raise  # a bad name, a full disk: errors of the store, the same for both boxes
    except Exception as error:  # noqa: BLE001 any error of a broken box: the run is recorded
        reason = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
    return _create_directly(database, session_name, {**(metadata or {}), MARK: True, REASON: reason}, fields)


def _failure_in(made: object, database: SessionDBBox) -> str | None:
    """Why a box's answer does not stand for a stored session, or None when it does."""
    if not isinstance(made, Mapping):
        return f"the creator box returned {str(made)[:80]!r} in place of a session"
    if made.get("success", True) is not True:
        why = made.get("error") or made.get("reason") or made.get("message") or "no reason given"
        return f"the creator box reported a failure: {str(why)[:200]}"
    session_id = made.get("session_id")
    if not isinstance(session_id, str):
        return "the creator box returned no session_id"
    try:
        database.store.get(session_id)
    except NotApplied as error:
        return f"the creator box returned a session that is not stored: {error}"
    return None


def _create_directly(
    database: SessionDBBox, session_name: str | None, metadata: dict[str, Any], fields: dict[str, Any]
) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value is not None}
    session, steps = database.store.create_with_report(session_name, metadata=metadata, **given)
    return {
        "session_id": session.session_id,
        "uuid": session.record.uuid,
        "session_name": session_name,
        "sanitised_name": None if session_name is None else sanitise(session_name),
        "session_dir_path": str(session.folder),
        **{name: {"status": step.status, "reason": step.reason} for name, step in steps.items()},
        "success": True,
        "fallback_used": True,
        "fallback_reason": metadata[REASON],
    }
