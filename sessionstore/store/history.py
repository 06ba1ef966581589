"""What people changed, and taking it back: edits, deletions and merges, the newest first.

An edit is noted before it is applied, with the old and the new value of each field, in ``.sessionstore/history.jsonl``
(a stream like all others: numbers, checksums, torn ends). ``SessionStore.edit`` is the one write path of people's edits
(the command line, the API, the box, Python); a recorder updates its record directly, hundreds of times, and pays
nothing for this. Deletions are noted by the trash and can be undone until it is emptied, which is noted too; so is
every restore, also of the API. Undoing an edit is refused after a later change of the same field.
Not here: moving folders (store.trash), importing sessions (an import calls ``merged``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from sessionstore.errors import (
    AmbiguousSession,
    Conflict,
    NotApplied,
    OutcomeUnknown,
    SessionGone,
    SessionNotFound,
    Unreadable,
)
from sessionstore.model.instants import now_text, uuid_after
from sessionstore.model.json_text import utc_text
from sessionstore.model.record import SessionRecord
from sessionstore.session.handle import Session
from sessionstore.session.stream_line import Line
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import append_once
from sessionstore.store import trash
from sessionstore.store.merge_log import MergeLog
from sessionstore.store.store import SessionStore
from sessionstore.store.trash import TrashEntry

#: What cannot be taken back: these moves are in ``Session.transitions``.
_ONE_WAY = ("status", "workflow_state")
Kind = Literal["edit", "delete", "restore", "merge", "undo", "empty"]
#: What cannot be undone without being named: taking these back again is another wish than taking back an edit.
_NOT_BY_ITSELF = ("undo", "restore", "empty")
_AT_ONCE = 5_000  # sessions in a line of the history, which holds at most 1 MiB


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its id (time-ordered), what it was, which sessions it touched, and how to take it back."""

    change_id: str
    kind: Kind
    at: str
    sessions: list[str]
    uuid: str | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    undoes: str | None = None
    undone: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class History:
    """The changes of one store; any number of processes may write to it."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._path = store.root.private / trash.HISTORY_FILE

    # ------------------------------------------------------------ changing

    def edit(
        self,
        key: str | Session,
        change: Callable[[dict[str, Any]], None] | None = None,
        *,
        reason: str = "",
        if_rev: int | None = None,
        sim_time_s: float | None = None,
        **changes: Any,
    ) -> SessionRecord:
        """Change fields of a record as ``Session.update`` does, so that :meth:`undo` can take it back.

        Status and workflow state move on and never back: they are changed, and keep a history of their own.

        Raises: as ``Session.update``; nothing is changed that could not be written down first.
        """
        session = key if isinstance(key, Session) else self._store.get(key)

        def note(uuid: str, before: dict[str, Any], after: dict[str, Any]) -> None:
            new = {name: value for name, value in after.items() if before[name] != value and name not in _ONE_WAY}
            if new:
                self._note("edit", [session.session_id], uuid, {name: before[name] for name in new}, new, reason)

        return session.update(change, if_rev=if_rev, reason=reason, sim_time_s=sim_time_s, accepted=note, **changes)

    def merged(self, session_ids: Iterable[str], reason: str = "", merge_id: str | None = None) -> str:
        """Note that sessions come from elsewhere; undoing it moves them to the trash. Return the id of the change.

        Args:
            merge_id: of a merge with a log of its own (store.merge_log), which is read when the merge is undone.

        Raises: StoreUnusable.
        """
        return self._note("merge", list(session_ids), None, {}, {"merge_id": merge_id} if merge_id else {}, reason)

    def restored(self, entry: TrashEntry) -> None:
        """Note that a session was brought back from the trash. Raises: OutcomeUnknown: it is back, and not noted."""
        with _noted_afterwards("it was restored"):
            self._note("restore", [entry.session_id], None, {}, {}, "", entry.entry_id)

    def emptied(self, entries: Sequence[TrashEntry]) -> None:
        """Note which sessions are removed from the trash for good. Raises: StoreUnusable: nothing may be removed."""
        for begin in range(0, len(entries), _AT_ONCE):
            some = entries[begin : begin + _AT_ONCE]
            deletions = {"entries": {entry.entry_id: entry.session_id for entry in some}}
            self._note("empty", [entry.session_id for entry in some], None, {}, deletions, "")

    def _note(
        self,
        kind: Kind,
        sessions: list[str],
        uuid: str | None,
        before: dict[str, Any],
        after: dict[str, Any],
        reason: str,
        undoes: str | None = None,
    ) -> str:
        """Write one change down, durably; return its id."""
        root, change_id = self._store.root, ""

        def line(last: Line | None) -> dict[str, Any]:  # under the lock: ids stand in the order of the lines
            nonlocal change_id
            change_id = uuid_after(trash.newest_change_id(root, last))
            return {
                "id": change_id,
                "kind": kind,
                "at": now_text(),
                "sessions": sessions,
                "uuid": uuid,
                "before": before,
                "after": after,
                "reason": reason,
                "undoes": undoes,
            }

        if not root.prepared:
            root.prepare()
        try:
            append_once(self._path, line, root.quarantine)
        except SessionGone:  # the private folder was removed meanwhile
            root.prepare()
            append_once(self._path, line, root.quarantine)
        return change_id

    # ------------------------------------------------------------ looking

    def changes(self, key: str | None = None) -> list[Change]:
        """Return what was changed, the newest first; with a key only what touched that session.

        Raises: UnsafeFile, StoreUnusable; SessionNotFound, AmbiguousSession: there is none, and there never was.
        """
        noted = list(self._noted())
        undone = {change.undoes for change in noted if change.undoes is not None}
        known = [*noted, *self._deletions()]
        known += _earlier_deletions(known)
        found = [_with_undone(change, change.change_id in undone) for change in known]
        if key is not None:
            wanted, unknown = self._ids_of(key)
            found = [change for change in found if wanted & {change.uuid, *change.sessions}]
            if unknown is not None and not found:
                raise unknown
        return sorted(found, key=lambda change: change.change_id, reverse=True)

    def _noted(self) -> Iterator[Change]:
        for line in Tape(self._path).read(damaged="skip"):  # a damaged line costs its own change, no other
            if line.edited:  # what it says may not be what was changed
                continue
            facts = line.data
            try:
                yield Change(
                    str(facts["id"]), facts["kind"], str(facts["at"]), list(facts["sessions"]), facts.get("uuid"),
                    dict(facts["before"]), dict(facts["after"]), str(facts.get("reason", "")), facts.get("undoes"),
                )  # fmt: skip
            except (KeyError, TypeError, ValueError):
                continue  # a line that a hand wrote

    def _deletions(self) -> Iterator[Change]:
        for entry in trash.entries(self._store.root):
            yield Change(entry.entry_id, "delete", utc_text(entry.deleted_at), [entry.session_id])

    def _ids_of(self, key: str) -> tuple[set[str | None], SessionNotFound | None]:
        try:
            session = self._store.get(key)
            return {session.session_id, session.record.uuid}, None
        except AmbiguousSession:
            raise
        except SessionNotFound as error:
            return {key}, error  # it may be in the trash

    # ------------------------------------------------------------ taking back

    def undo(self, change_id: str | None = None) -> Change:
        """Take a change back: the newest that was not taken back yet, or the one with this id (or its beginning).

        Taking back is a change too: undoing an undo by its id does the edit again.

        Raises:
            NotApplied: there is nothing to take back, or it was taken back before.
            Conflict: the same fields changed since, or the session's name is taken; nothing changed.
            SessionNotFound: the session is gone.
        """
        while True:
            change = self._wanted(change_id)
            if change.undone:
                raise NotApplied(f"{change.change_id} was taken back before")
            if change.kind == "empty" or change.change_id in self._removed():
                raise NotApplied(f"{', '.join(change.sessions)} was removed from the trash for good")
            if change.kind == "delete":
                self._store.restore(change.change_id, noted=False)
                self._note_undo(change, change.sessions, {}, {})
            elif change.kind in ("merge", "restore"):
                self._take_merge_back(change)
            elif not self._take_edit_back(change) and change_id is None:
                continue  # a crash came between noting and doing: the edit is not there, and now that is noted too
            return change

    def _removed(self) -> set[str]:
        """Return the entries of the trash that were removed for good; noted first, some may still be there."""
        there = {entry.entry_id for entry in trash.entries(self._store.root)}
        return {entry_id for change in self._noted() for entry_id in _removed_by(change)} - there

    def _wanted(self, change_id: str | None) -> Change:
        changes = self.changes()
        if change_id is None:
            left = [change for change in changes if not change.undone and change.kind not in _NOT_BY_ITSELF]
            removed = self._removed() | _deleted_by_undoing(changes)
            found = [change for change in left if change.change_id not in removed][:1]
        else:
            found = [change for change in changes if change.change_id.startswith(change_id)]
        if not found and change_id is None:
            raise NotApplied("there is nothing to take back")
        if not found:
            raise SessionNotFound(f"there is no change {change_id}")
        if len(found) > 1:
            raise NotApplied(f"{len(found)} changes begin with {change_id}")
        return found[0]

    def _take_edit_back(self, change: Change) -> bool:
        """Put the old values back; return False when they were there already."""
        session = self._store.get(change.uuid or change.sessions[0])
        applied = False

        def back(record: dict[str, Any]) -> None:
            nonlocal applied
            now = {name: record.get(name) for name in change.after}
            if now == change.before:
                return
            if now != change.after:
                differing = ", ".join(name for name in now if now[name] != change.after[name])
                raise Conflict(f"{differing} of {session.session_id} changed since; set it by hand")
            record.update(copy.deepcopy(change.before))
            applied = True

        session.update(back, reason=f"undo of {change.change_id}")
        # Noted when it is done: were it noted before, a crash in between would leave an edit that cannot be undone.
        self._note_undo(change, [session.session_id], change.after, change.before)
        return applied

    def _note_undo(self, change: Change, sessions: list[str], before: dict[str, Any], after: dict[str, Any]) -> None:
        with _noted_afterwards("it was taken back"):
            self._note("undo", sessions, change.uuid, before, after, "", change.change_id)

    def _take_merge_back(self, change: Change) -> None:
        added = change.sessions
        if merge_id := change.after.get("merge_id"):
            log = MergeLog(self._store.root, str(merge_id))
            for session_id in log.retired():
                with self._store.root.locks.store():
                    log.bring_back(session_id)
            for entry in log.updated():
                with self._store.root.locks.session(str(entry["session_id"])):
                    log.take_back(entry)
            added = log.added()
            self._store.find()  # the rows of the sessions that were taken back
        deleted = []
        for session_id in added:
            try:
                deleted.append(self._store.delete(session_id).entry_id)
            except SessionNotFound:
                continue  # deleted since
        self._note_undo(change, change.sessions, {}, {"deletions": deleted})


@contextmanager
def _noted_afterwards(done: str) -> Iterator[None]:
    """Turn the failure of a note into what it is for the caller: done, and not in the history."""
    try:
        yield
    except (NotApplied, Unreadable) as error:
        raise OutcomeUnknown(getattr(error, "errno", None), f"{done}, but that could not be noted: {error}") from error


def _earlier_deletions(changes: list[Change]) -> list[Change]:
    """Return the deletions that the trash does not hold any more: reversed, or removed for good."""
    ids = {change.change_id for change in changes}
    gone = {change.undoes: change.sessions for change in changes if change.kind in ("undo", "restore")}
    for change in changes:
        gone |= {entry_id: [session_id] for entry_id, session_id in _removed_by(change).items()}
    found = []
    for entry_id in sorted(entry_id for entry_id in gone if entry_id and entry_id not in ids):
        try:
            at = utc_text(trash.deleted_at(entry_id))
        except (ValueError, OverflowError, OSError):
            continue  # not the id of a deletion
        found.append(Change(entry_id, "delete", at, gone[entry_id]))
    return found


def _removed_by(change: Change) -> dict[str, str]:
    """Return the entries of the trash that a change removed for good, with their sessions."""
    entries = change.after.get("entries") if change.kind == "empty" else None
    return entries if isinstance(entries, dict) else {}


def _deleted_by_undoing(changes: list[Change]) -> set[str]:
    """Return the deletions that were a part of undoing a merge."""
    return {str(each) for change in changes if change.kind == "undo" for each in change.after.get("deletions") or ()}


def _with_undone(change: Change, undone: bool) -> Change:
    if not undone:
        return change
    return Change(**{**change.to_dict(), "undone": True})
