"""The journal index: ``index.jsonl``, one line a change, one line a session once compacted.

A damaged file is made anew from the folders by the store; the damaged bytes are kept in quarantine. The id of a
session's line is a hash of the session id, so that writing needs no reading and a rebuilt file is the same.
Not here: the file and its lines (index.journalfile), TinyDB's face of the same file (index.tables).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.appending import renewed_after_fork
from sessionstore.errors import Corrupt, IndexUnavailable, NotApplied, OutcomeUnknown, SessionGone
from sessionstore.index import RowStamp
from sessionstore.index.journalfile import NO_DOCUMENT, SESSIONS, Change, Journal
from sessionstore.query import Filter, matcher
from sessionstore.records import SessionRow, as_interrupted
from sessionstore.streams import Quarantine

#: Compaction is worth it when this many lines are superseded, and more than there are rows.
_GARBAGE_LINES = 1000
_decode_row = msgspec.json.Decoder(SessionRow).decode
_encode = msgspec.json.Encoder().encode


def doc_id_of(session_id: str) -> int:
    """Return the number of a session's line: 63 bits of a hash, the same in every store."""
    return (int.from_bytes(hashlib.blake2b(session_id.encode(), digest_size=8).digest(), "big") >> 1) or 1


class JournalIndex:
    """The default engine; see the module and :class:`~sessionstore.index.SessionIndex`."""

    def __init__(self, path: Path, quarantine: Quarantine | None = None) -> None:
        self._journal = Journal(path, sync=False, quarantine=quarantine)
        self._rows: dict[int, tuple[bytes, SessionRow]] = {}
        self._sorted: list[SessionRow] = []
        self._mutex = threading.RLock()
        renewed_after_fork(self)

    def __repr__(self) -> str:
        return f"JournalIndex({str(self._journal.path)!r})"

    @property
    def url(self) -> str:
        """``journal:`` and the path."""
        return f"journal:{self._journal.path}"

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Append one line a row; the last one counts."""
        self._append((SESSIONS, doc_id_of(row.session_id), _encode(row)) for row in rows)

    def remove(self, session_ids: Iterable[str]) -> None:
        """Append one line an id, durably: a row that came back would outlive the folder and the trash."""
        self._append(((SESSIONS, doc_id_of(session_id), NO_DOCUMENT) for session_id in session_ids), durable=True)

    def _append(self, changes: Iterable[Change], durable: bool = False) -> None:
        try:
            self._journal.append(changes, durable)
        except SessionGone as error:
            raise IndexUnavailable(f"{self._journal.path}: the folder is gone") from error

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Write the file anew, ordered by creation: the same rows give the same bytes."""
        ordered = sorted(rows, key=_creation)
        with self._journal.exclusive():
            try:
                self._journal.refresh()
            except Corrupt:
                self._journal.keep_aside()
            others = {name: table for name, table in self._journal.tables.items() if name != SESSIONS}
            self._journal.rewrite({SESSIONS: {doc_id_of(row.session_id): _encode(row) for row in ordered}, **others})

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return (size, mtime_ns) of each row's file, by session id."""
        return {row.session_id: (row.size, row.mtime_ns) for row in self._current()}

    def active(self) -> list[SessionRow]:
        """Return the rows that say they run (they alone name an owner)."""
        return [row for row in self._current() if row.owner is not None]

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that fit, oldest first; a snapshot."""
        rows = self._current()
        if interrupted:
            rows = [
                as_interrupted(row, interrupted[row.session_id]) if row.session_id in interrupted else row
                for row in rows
            ]
        if tree is None:
            return list(rows)
        fits = matcher(tree, SessionRow.get)
        return [row for row in rows if fits(row)]

    def health(self) -> dict[str, Any]:
        """Return engine, url, rows, lines and how many of them are superseded."""
        rows = len(self._current())
        return {
            "engine": "journal",
            "url": self.url,
            "rows": rows,
            "lines": self._journal.lines,
            "superseded": self._journal.garbage(),
        }

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held."""
        self._mutex = threading.RLock()

    def version(self) -> object:
        """Return which file this is, how long and how old: a file that was written anew can get an old number."""
        try:
            status = os.stat(self._journal.path, follow_symlinks=False)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def compact(self) -> None:
        """Drop what is superseded, ordered by creation as after a rebuild. Raises: as :meth:`put`."""
        with self._mutex, self._journal.exclusive():
            self._journal.refresh()
            self._decode()
            self.replace_all(self._sorted)

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()

    def _current(self) -> list[SessionRow]:
        """Return all rows, oldest first, reading on first."""
        with self._mutex:
            if self._journal.refresh() or not self._sorted:
                self._decode()
                if self._journal.garbage() > _GARBAGE_LINES + len(self._sorted):
                    with contextlib.suppress(NotApplied, OutcomeUnknown):  # not needed for a right answer
                        self.compact()
            return self._sorted

    def _decode(self) -> None:
        table, known = self._journal.tables.get(SESSIONS, {}), self._rows
        rows: dict[int, tuple[bytes, SessionRow]] = {}
        try:
            for doc_id, raw in table.items():
                found = known.get(doc_id)
                rows[doc_id] = found if found is not None and found[0] is raw else (raw, _decode_row(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Corrupt(f"a row does not parse: {error}", self._journal.path) from error
        self._rows = rows
        self._sorted = sorted((row for _, row in rows.values()), key=_creation)


def _creation(row: SessionRow) -> tuple[str, str]:
    return row.created_at, row.session_id
