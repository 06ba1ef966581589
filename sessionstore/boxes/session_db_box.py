"""The database box: what existing programs call to keep and find session records.

In: plain values and a URL. Out: plain dicts. Duty: the store's calls under the names that the users' programs know.
An error is never an empty list, None or False: everything raises the typed errors of :mod:`sessionstore.errors`.
Not here: the step-by-step report of a creation (session_creator_box), engines (index).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sessionstore.model.row import SessionRow
from sessionstore.session import Session
from sessionstore.session.handle import merge_of
from sessionstore.store import SessionStore

#: The workflow state of a session that a box made: existing programs wait for the next one.
FIRST_STATE = "initializing"


class SessionDBBox:
    """The session records of one store.

    In: session fields. Out: records as dicts. Duty: one truth, the folder; the engine behind is chosen by ``url``.

    Args:
        url: ``journal:``, ``sqlite:...``, ``postgresql://...``; by default what SESSIONSTORE_INDEX, format.json or
            DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD say (in this order), else the journal.
        training_sessions_dir: the store; by default as :func:`sessionstore.open`.
        store: an open store to use in place of both.
    """

    def __init__(
        self,
        url: str | None = None,
        training_sessions_dir: str | Path | None = None,
        store: SessionStore | None = None,
    ) -> None:
        self.store = SessionStore(training_sessions_dir, url) if store is None else store

    def __repr__(self) -> str:
        return f"SessionDBBox({self.store.index.url!r}, {str(self.store.root.path)!r})"

    def create_session(self, session_name: str | None = None, **fields: Any) -> dict[str, Any]:
        """Make a session directly; return its record. Raises: as ``SessionStore.create``."""
        return as_dict(self.store.create(session_name, **{"workflow_state": FIRST_STATE, **fields}))

    def get_session(self, session_id: str) -> dict[str, Any]:
        """Return the record of one session, with its folder and whether it can be replayed.

        Raises: SessionNotFound, AmbiguousSession, Corrupt, NewerFormat.
        """
        return as_dict(self.store.get(session_id))

    def update_session(self, session_id: str, *, merge: bool = False, **changes: Any) -> dict[str, Any]:
        """Change fields of a record so that ``undo`` can take it back; return it.

        Args:
            merge: merge what is given into the stored objects (metadata, progress ...) as JSON Merge Patch (RFC 7396)
                does: further keys stay, a key that is given as None is removed. By default each field is replaced.

        Raises: as ``Session.update``.
        """
        session = self.store.get(session_id)
        change, fields = merge_of(changes) if merge else (None, changes)
        self.store.edit(session.session_id, change, **fields)
        return as_dict(session)

    def list_sessions(
        self, limit: int | None = None, offset: int = 0, status: str | None = None, sort: str = "-created_at"
    ) -> list[dict[str, Any]]:
        """Return sessions as listed, newest first. Raises: StoreUnusable, InvalidQuery."""
        where = None if status is None else f"status={_quoted(status)}"
        return [row_as_dict(self.store, row) for row in self.store.find(where, sort, limit, offset)]

    def search(self, where: str, limit: int | None = None, sort: str = "-created_at") -> list[dict[str, Any]]:
        """Return the sessions that a filter fits (see :mod:`sessionstore.query`). Raises: InvalidQuery."""
        return [row_as_dict(self.store, row) for row in self.store.find(where, sort, limit)]

    def count(self, where: str | None = None) -> int:
        """Return how many sessions a filter fits. Raises: InvalidQuery, StoreUnusable."""
        return self.store.page(where, limit=0).total

    def delete_session(self, session_id: str) -> dict[str, Any]:
        """Move a session to the trash; return the entry. Raises: as ``SessionStore.delete``."""
        entry = self.store.delete(session_id)
        return {"entry_id": entry.entry_id, "session_id": entry.session_id, "deleted_at": entry.deleted_at.isoformat()}

    def health(self) -> dict[str, Any]:
        """Return engine, url and figures of the index. Raises: IndexUnavailable, Corrupt."""
        return self.store.index.health()

    def close(self) -> None:
        """Close the index."""
        self.store.close()


def as_dict(session: Session) -> dict[str, Any]:
    """Return a session's record with what is answered at read time: folder, effective status, replay_available."""
    record, reason = session.record, session.interrupted()
    return {
        **record.to_dict(),
        "session_id": session.session_id,
        "status": session.status,
        "problem": reason,
        "session_dir_path": str(session.folder),
        "replay_available": session.replay_available,
    }


def row_as_dict(store: SessionStore, row: SessionRow) -> dict[str, Any]:
    """Return a listed row with its folder; None for a session on another host."""
    root = store.root.path if row.host is None else Path(row.store or "")
    return {**row.to_dict(), "session_dir_path": str(root / row.session_id) if row.openable else None}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
