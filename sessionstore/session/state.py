"""What an update does to a record: its revision, status history, instants and durations. Pure: no file is opened.

Not here: reading and replacing the file (documents), which fields exist (model.records), the handle (handle).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sessionstore.errors import Conflict, Corrupt, IllegalTransition, InvalidRecord, SessionGone
from sessionstore.model import json_text, lineage, liveness, records, values
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.model.instants import instant, now_text
from sessionstore.model.record import RECORD_FIELDS, SessionRecord
from sessionstore.session import known_texts
from sessionstore.session.documents import Tables, check_tables

OWN_TABLES = ("session", "workflow")
#: Gets the uuid and the given fields of a record, as they were and as they will be.
Accepted = Callable[[str, dict[str, Any], dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Update:
    """One update of a session, checked before the file is read.

    Args:
        path: of the document, for messages.
        uuid: of the only session that may be changed; None: any.
        if_rev: the only revision that may be changed; None: any.
        given: checked changes (:func:`sessionstore.model.records.check_changes`).
        reason, sim_time_s: go into the history when status or workflow_state change.
        accepted: called when all was accepted.
    """

    path: str
    session_id: str
    uuid: str | None
    if_rev: int | None
    given: dict[str, Any]
    reason: str
    sim_time_s: float | None
    accepted: Accepted | None = None

    def apply(
        self,
        change: Callable[[dict[str, Any]], None] | None,
        edit_tables: Callable[[Tables], None] | None,
        tables: Tables,
        data: bytes,
    ) -> SessionRecord:
        """Edit the tables in place, and return the record that they now hold.

        Raises: SessionGone, Conflict, IllegalTransition, InvalidRecord, Corrupt: nothing is to be written.
        """
        record = records.read_record(tables, data, self.path, self.session_id, checked=known_texts.is_known(data))
        if self.uuid not in (None, record.uuid):
            raise SessionGone(f"{os.path.dirname(self.path)} is another session by now; nothing was changed")
        if self.if_rev is not None and record.rev != self.if_rev:
            raise Conflict(f"{self.session_id} is at revision {record.rev}, not {self.if_rev}")
        wanted = dict(self.given)
        if change is not None or edit_tables is not None or not lineage.VOLATILE.issuperset(wanted):
            wanted["lineage"] = lineage.continued(record.lineage, tables)
        if change is not None:
            wanted.update(edited_fields(record, change))
        if edit_tables is not None:
            _edit_further(tables, edit_tables)
        return self._changed(tables, record, wanted)

    def _changed(self, tables: Tables, record: SessionRecord, wanted: dict[str, Any]) -> SessionRecord:
        now = now_text()
        if wanted.get("status", record.status) != record.status:
            try:
                records.check_move(record.status, wanted["status"])
            except IllegalTransition as error:
                raise IllegalTransition(f"{record.session_id}: {error}") from error
        if self.accepted is not None:
            after = {name: value for name, value in wanted.items() if name not in ("lineage", records.NOT_FINITE)}
            self.accepted(record.uuid, {name: getattr(record, name) for name in after}, after)
        _set_instants(record, wanted, now)
        for field in ("status", "workflow_state"):
            old, new = getattr(record, field), wanted.get(field)
            if new is not None and new != old:
                move = {"field": field, "old": old, "new": new, "reason": self.reason, "sim_time": self.sim_time_s}
                _remember(tables, {**move, "at": now})
        (document,) = tables["session"].values()
        not_finite = wanted.pop(records.NOT_FINITE, {})
        changes = {**wanted, "session_id": record.session_id, "rev": record.rev + 1, "updated_at": now}
        document.update(changes)
        for name, value in changes.items():
            setattr(record, name, value)
        _note_not_finite(document, record, not_finite)
        return record


def _edit_further(tables: Tables, edit: Callable[[Tables], None]) -> None:
    """Let a function edit all tables but our own, and take its work only when it can be read again."""
    further = {name: table for name, table in tables.items() if name not in OWN_TABLES}
    edit(further)
    try:
        checked = check_tables(json_text.plain_copy(further, "tables"), b"", "")
    except Corrupt as error:
        raise InvalidRecord(error.reason) from error
    if taken := set(checked) & set(OWN_TABLES):
        raise InvalidRecord(f"the table {', '.join(taken)} is changed with update()")
    own = {name: table for name, table in tables.items() if name in OWN_TABLES}
    tables.clear()
    tables.update({**own, **checked})


def _set_instants(record: SessionRecord, wanted: dict[str, Any], now: str) -> None:
    """Add what a change of status implies: who runs it, when it began and ended, how long that took."""
    status = wanted.get("status", record.status)
    if status == "running" and record.status != "running":
        wanted.setdefault("owner", liveness.here())  # who says that it runs can be asked whether it still does
        if record.started_at is None:
            wanted.setdefault("started_at", now)
    if status in FINAL_STATUSES and record.status not in FINAL_STATUSES:
        wanted.setdefault("ended_at", now)
    started_at, ended_at = wanted.get("started_at", record.started_at), wanted.get("ended_at")
    if started_at is not None and ended_at is not None and "duration_wall_s" not in wanted:
        wall = instant(ended_at) - instant(started_at)
        wanted["duration_wall_s"] = max(0.0, round(wall.total_seconds(), 6))


def _note_not_finite(document: dict[str, Any], record: SessionRecord, found: dict[str, str]) -> None:
    """Keep in the record which of its nulls stand for a NaN or an infinity, and drop what is no longer null."""
    if not found and records.NOT_FINITE not in document:
        return
    before = document.get(records.NOT_FINITE)
    known = values.still_null({**(before if isinstance(before, dict) else {}), **found}, document)
    for target in (document, record.extra):
        if known:
            target[records.NOT_FINITE] = known
        else:
            target.pop(records.NOT_FINITE, None)


def edited_fields(record: SessionRecord, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return the fields that a function changed."""
    before = record.to_dict()
    after = json_text.copied(before)
    change(after)
    gone = [name for name in RECORD_FIELDS if name not in after]
    if gone:
        raise InvalidRecord(f"{', '.join(gone)}: a field of the record cannot be removed")
    return records.check_changes(
        {name: value for name, value in after.items() if before.get(name) != value or name not in before}
    )


def merged(target: Any, patch: Any) -> Any:
    """Return ``target`` changed by a JSON Merge Patch; neither is changed. Source: RFC 7396, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def _remember(tables: Tables, transition: dict[str, Any]) -> None:
    history = tables.setdefault("workflow", {})
    history[str(max(map(int, history), default=0) + 1)] = transition
