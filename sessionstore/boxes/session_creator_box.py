"""The creator box: makes a session and reports how each step ended.

In: a name, a base and counts. Out: a mapping with ids, folder and one status per step. Duty: directory, record, index,
in that order; never a false success.
Not here: records of sessions that exist (session_db_box), buildings (session_buildings_box).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from sessionstore.boxes.session_db_box import FIRST_STATE, SessionDBBox
from sessionstore.errors import InvalidRecord
from sessionstore.model.names import sanitise
from sessionstore.store.delivery import Step


class SessionCreatorBox:
    """Creates sessions in one store.

    In: what a session begins with. Out: the report of :meth:`create_session`. Duty: nothing acknowledged that is not
    stored; an index that is away is reported as pending and costs no session.

    Args:
        session_db_box: the database box whose store and engine are used.
        training_sessions_dir: the store when no box is given; by default as :func:`sessionstore.open`.
    """

    def __init__(
        self, session_db_box: SessionDBBox | None = None, training_sessions_dir: str | Path | None = None
    ) -> None:
        if session_db_box is None:
            session_db_box = SessionDBBox(training_sessions_dir=training_sessions_dir)
        self.session_db_box = session_db_box
        self.store = self.session_db_box.store

    def __repr__(self) -> str:
        return f"SessionCreatorBox({self.session_db_box!r})"

    def create_session(
        self,
        session_name: str | None = None,
        base_position: Sequence[float] | None = None,
        num_buildings: int = 0,
        num_invisible_buildings: int = 0,
        metadata: dict[str, Any] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Make a session; its folder and record are durable on return.

        Args:
            base_position: [x, y, z] in metres, east-north-up; by default the origin.
            fields: further fields of the record.

        Returns:
            ``session_id``, ``uuid``, ``session_name`` (typed), ``sanitised_name``, ``session_dir_path``, the steps
            ``directory``, ``record`` and ``index`` as ``{"status": "done" | "pending" | "failed", "reason": ...}``,
            ``success`` (directory and record are stored) and ``fallback_used``.

        Raises:
            InvalidName, InvalidRecord, LockTimeout, StoreUnusable: nothing was made. OutcomeUnknown.
        """
        session, steps = self.store.create_with_report(
            session_name,
            base_position=_position(base_position),
            num_buildings=num_buildings,
            num_invisible_buildings=num_invisible_buildings,
            metadata=metadata or {},
            **{"workflow_state": FIRST_STATE, **fields},
        )
        return {
            "session_id": session.session_id,
            "uuid": session.record.uuid,
            "session_name": session_name,
            "sanitised_name": None if session_name is None else sanitise(session_name),
            "session_dir_path": str(session.folder),
            **{name: _told(step) for name, step in steps.items()},
            "success": steps["directory"].status == steps["record"].status == "done",
            "fallback_used": False,
        }

    def update_session(self, session_id: str, **changes: Any) -> dict[str, Any]:
        """Change fields of a session's record; return it. ``merge=True`` keeps keys of metadata that are not given.

        Raises: as ``Session.update``.
        """
        return self.session_db_box.update_session(session_id, **changes)


def _told(step: Step) -> dict[str, str | None]:
    return {"status": step.status, "reason": step.reason}


def _position(value: object) -> list[float]:
    """Three numbers; the origin for None. Raises: InvalidRecord."""
    if value is None:
        return [0.0, 0.0, 0.0]
    try:
        position = [float(each) for each in value] if not isinstance(value, str | bytes) else []  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        position = []
    if len(position) != 3 or not all(isfinite(each) for each in position):
        raise InvalidRecord(f"base_position: three numbers in metres are needed, not {str(value)[:80]!r}")
    return position
