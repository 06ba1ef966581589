"""Rows read from the folders themselves, and which folders differ from the rows of an index.

A broken record gives a row that says what is wrong, so that one session never stops a listing.
Not here: what is done about a difference (store.catalog), one session (session.handle).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

import msgspec

from sessionstore.disk import reading
from sessionstore.disk.reading import read_plainly
from sessionstore.errors import NotApplied, SessionGone, Unreadable
from sessionstore.index import FileStamp, RowStamp
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import json_text, names
from sessionstore.model.row import SessionRow
from sessionstore.model.row_from_bytes import row_of
from sessionstore.session.documents import MAX_DOCUMENT_BYTES
from sessionstore.session.handle import read_row

#: What a listing shows in place of a status when the record cannot be read, and when the folder is gone.
UNREADABLE, MISSING_FOLDER = "unreadable", "missing"
#: In place of a file's state: there is no file; it could not be read now, so the next listing tries again.
ABSENT, UNREAD = FileStamp(-1, -1), FileStamp(-2, -2)


def stamp_in(row: RowStamp) -> FileStamp:
    """Return the state of the file that a row mirrors."""
    return FileStamp(row.size, row.mtime_ns)


#: Size and time of the file that a row mirrors, as a pair.
SIZE_AND_TIME = attrgetter("size", "mtime_ns")


class FolderRows:
    """The sessions of one store as their folders hold them; nothing is written."""

    def __init__(self, root: StoreRoot) -> None:
        self.root = root

    def names(self) -> set[str]:
        """Return the folders that are sessions."""
        return {name for name in self.root.session_ids() if self.is_session(name)}

    def is_session(self, name: str) -> bool:
        """Whether an unknown folder is one of ours: it has a record, or its name begins like an id."""
        return names.stamp_of(name) is not None or os.path.lexists(self.root.folder(name) / DOCUMENT)

    @staticmethod
    def found_again(here: Iterable[tuple[str, RowStamp]]) -> Iterator[str]:
        """Yield the sessions whose row says that there is no file, though the folder is there."""
        return (name for name, row in here if row.size < 0 and stamp_in(row) == ABSENT)

    def edited(self, states: Iterable[tuple[str, tuple[int, int]]]) -> Iterator[str]:
        """Yield the sessions whose file has another size or time (ns) than their row says, or is not there."""
        look, end = os.stat, f"/{DOCUMENT}"  # 1,000,000 times: each name looked up costs
        with reading.folder_opened(self.root.path) as opened:
            folder = "" if opened is not None else f"{self.root.path}/"
            for name, (size, mtime_ns) in states:
                try:
                    found = look(folder + name + end, dir_fd=opened, follow_symlinks=False)
                except OSError:
                    yield name
                    continue
                changed_ns = found.st_ctime_ns  # as files.changed_ns, without the call
                if found.st_mtime_ns > changed_ns:
                    changed_ns = found.st_mtime_ns
                if changed_ns != mtime_ns or found.st_size != size:
                    yield name

    def stamp_of(self, session_id: str) -> FileStamp:
        """Return which state the document of a session is in; :data:`ABSENT` without one."""
        try:
            status = os.stat(f"{self.root.path}/{session_id}/{DOCUMENT}", follow_symlinks=False)
        except OSError:
            return ABSENT
        return FileStamp(status.st_size, max(status.st_mtime_ns, status.st_ctime_ns))

    def moved_on(self, rows: Iterable[SessionRow]) -> list[str]:
        """Return the sessions whose file is not the one that their row mirrors, also when there is none."""
        return [row.session_id for row in rows if self.stamp_of(row.session_id) != stamp_in(row)]

    def read(self, session_ids: Iterable[str]) -> Iterator[SessionRow]:
        """Yield the row of each folder; a broken one gives a row that says what is wrong."""
        return self._read(sorted(session_ids), lambda _: True)

    def read_found(self, names: Iterable[str]) -> Iterator[SessionRow]:
        """Yield the rows as :meth:`read` does; a folder that is no session has none."""
        return self._read(names, self.is_session)

    def _read(self, names: Iterable[str], may_be: Callable[[str], bool]) -> Iterator[SessionRow]:
        end = f"/{DOCUMENT}"
        with reading.folder_opened(self.root.path) as folder:
            for name in names:
                if folder is not None and (found := read_plainly(folder, name + end, MAX_DOCUMENT_BYTES)) is not None:
                    row = row_of(*found, name)
                    if row is not None:
                        yield row
                        continue
                if may_be(name) and (row := self._closely(name)) is not None:
                    yield row

    def _closely(self, session_id: str) -> SessionRow | None:
        """Return the row of one folder; None: it is gone."""
        try:
            try:
                return self._row(session_id)
            except Unreadable:
                stamp = self.stamp_of(session_id)  # before reading: a repair meanwhile is then noticed
                try:
                    return self._row(session_id)
                except Unreadable as error:
                    return broken_row(session_id, self._within(error), stamp)
        except SessionGone:
            return None
        except NotApplied as error:  # the disk, permissions or open files are at fault, and may be well again
            return broken_row(session_id, self._within(error), UNREAD)

    def _within(self, error: Exception) -> str:
        """Return what an error says with its place as the store sees it: the row outlives a move of the store."""
        return str(error).replace(f"{self.root.path}{os.sep}", "")

    def _row(self, session_id: str) -> SessionRow:
        return read_row(f"{self.root.text}/{session_id}", session_id)


def broken_row(session_id: str, problem: str, stamp: FileStamp) -> SessionRow:
    """Return the row of a session whose record cannot be read."""
    stamped = names.stamp_of(session_id)
    created = json_text.utc_text(stamped) if stamped else ""
    return SessionRow(
        session_id=session_id, uuid="", rev=0, size=stamp.size, mtime_ns=stamp.mtime_ns, status=UNREADABLE,
        workflow_state="", created_at=created, updated_at=created, problem=problem,
    )  # fmt: skip


def still_known(row: SessionRow, before: SessionRow | None) -> SessionRow:
    """Return the row of a session that cannot be read now with what was known before: name, uuid, metadata, figures."""
    if row.status != UNREADABLE or before is None:
        return row
    return msgspec.structs.replace(
        before, status=UNREADABLE, problem=row.problem, size=row.size, mtime_ns=row.mtime_ns, rev=0, owner=None
    )


def as_missing(row: SessionRow) -> SessionRow:
    """Return the row of a session whose folder is gone."""
    problem = "its folder is gone, and it is not in the trash"
    changes = {"status": MISSING_FOLDER, "problem": problem, "size": ABSENT.size, "mtime_ns": ABSENT.mtime_ns}
    return msgspec.structs.replace(row, owner=None, copies=(), **changes)
