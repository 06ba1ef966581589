"""Placing sessions that a merge takes: new ones by staging and rename, newer ones by appending what is missing.

A new session is built in staging, synced together with others of its batch, and named by a rename that replaces
nothing. An update first keeps our old record and the sizes of our files for the undo, then appends the missing ends of
streams, then adds files, and replaces the record last: interrupted anywhere, our copy is still a prefix of theirs, so
that the next merge completes it. A session of which another one here has all is moved into the log of the merge.
Not here: which session is new or newer (exchange.compare), taking a merge back (store.merge_log).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.bulk_sync import sync_trees
from sessionstore.errors import Conflict, LockTimeout, OutcomeUnknown, SessionStoreError, StoreUnusable
from sessionstore.exchange.compare import STREAM_SUFFIX, Copy, merged_document, same_file
from sessionstore.exchange.trees import CHUNK_BYTES, FolderTree, Tree
from sessionstore.layout import DOCUMENT
from sessionstore.model import json_text, lineage, names
from sessionstore.model.instants import instant, new_uuid
from sessionstore.model.record import SessionRecord
from sessionstore.session.sealing import file_to_append
from sessionstore.store import SessionStore, merge_staging
from sessionstore.store.history import History
from sessionstore.store.merge_log import MergeLog


@dataclass(frozen=True, slots=True)
class Placed:
    """A session in staging: where, and under which id it will be known."""

    staged: Path
    session_id: str
    uuid: str
    created: datetime
    name: str | None


class Placer:
    """Places the sessions of one merge.

    Attributes:
        change_id: of the change to be undone; None while nothing was written.
    """

    def __init__(self, store: SessionStore, source: str) -> None:
        self._store, self._root, self._source = store, store.root, source
        self._merge_id = new_uuid()
        self._log = MergeLog(store.root, self._merge_id)
        self.change_id: str | None = None
        self._staged: list[Placed] = []
        self._taken = {names.collision_key(session_id) for session_id in store.root.session_ids()}
        self._numbers: dict[str, int] = {}

    def _begin(self) -> None:
        """Note the merge before its first change."""
        if self.change_id is None:
            self.change_id = History(self._store).merged([], f"merge of {self._source}", self._merge_id)

    @property
    def waiting(self) -> int:
        """How many sessions wait in staging for their sync and their name."""
        return len(self._staged)

    def broken(self, error: SessionStoreError) -> bool:
        """Whether an error came from this store, so that no session can be placed: a full disk, a lost mount ..."""
        if isinstance(error, OutcomeUnknown | LockTimeout):
            return True
        return isinstance(error, StoreUnusable) and str(error.filename or "").startswith(self._root.text)

    def holds_back(self, session_ids: list[str]) -> bool:
        """Whether one of these waits in staging."""
        return bool({placed.session_id for placed in self._staged} & set(session_ids))

    # ------------------------------------------------------------ new sessions

    def add(self, theirs: Copy, uuid: str, diverged: bool) -> str:
        """Stage a session, and return the id that it will have. Raises: StoreUnusable: nothing is visible."""
        session_id = self._free_id(theirs)
        staged = merge_staging.new_folder(self._root, merge_staging.SESSION)
        try:
            self._write(staged, theirs, _document(theirs, uuid, _origin(theirs, session_id, diverged)))
            _check_unchanged(theirs)
        except BaseException:
            files.remove_tree(staged)
            raise
        created = instant(theirs.record.created_at)
        self._staged.append(Placed(staged, session_id, uuid, created, theirs.record.session_name))
        self._taken.add(names.collision_key(session_id))
        return session_id

    def _free_id(self, theirs: Copy) -> str:
        """Return the id that it has there, else the next free one, by which no reservation is used up."""
        name = theirs.tree.name
        if names.is_session_folder_name(name) and self._is_free(name):
            return name
        return self._next_id(instant(theirs.record.created_at), theirs.record.session_name)

    def _next_id(self, created: datetime, typed: str | None) -> str:
        first = names.make_id(created, typed)
        number = self._numbers.get(first, 1)
        while not self._is_free(found := names.numbered(first, number)):
            number += 1
        self._numbers[first] = number
        return found

    def _is_free(self, name: str) -> bool:
        """Whether an id differs from all others here on any system, and was not in use when this merge began."""
        return names.collision_key(name) not in self._taken and not os.path.lexists(self._root.folder(name))

    def _write(self, staged: Path, theirs: Copy, document: bytes) -> None:
        top = str(staged)
        for file, size in sorted(theirs.tree.sizes.items()):
            if file == DOCUMENT:
                continue
            if "/" in file:
                _make_folders(staged, file)
            files.create(f"{top}/{file}", _whole(theirs.tree, file, size), sync=False)
        files.create(f"{top}/{DOCUMENT}", document, sync=False)

    def finish(self) -> None:
        """Sync what was staged, give each session its name, and deliver the rows."""
        staged, self._staged = self._staged, []
        if not staged:
            return
        self._begin()
        if self._root.durable:
            sync_trees([placed.staged for placed in staged])
        self._log.adding([(placed.session_id, placed.uuid) for placed in staged])
        placed_ids = [self._name(placed) for placed in staged]
        if self._root.durable:
            files.prove_renamed(self._root.path)
        self._store.catalog.delivery.deliver(list(self._store.catalog.folders.read(placed_ids)))

    def _name(self, placed: Placed) -> str:
        session_id = placed.session_id
        while True:
            try:
                files.rename_new(placed.staged, self._root.folder(session_id))
                return session_id
            except FileExistsError:  # a session was created under this id meanwhile
                session_id = self._next_id(placed.created, placed.name)
                self._taken.add(names.collision_key(session_id))
                self._log.adding([(session_id, placed.uuid)])

    # ------------------------------------------------------------ newer sessions

    def update(self, session_id: str, compared: Copy, theirs: Copy) -> int:
        """Bring our session forward to theirs; return the bytes that were transferred.

        Args:
            compared: our copy as theirs was found to hold all of it.

        Raises: Conflict: it runs here, or changed since it was compared, nothing was changed; StoreUnusable: run the
            merge again.
        """
        session = self._store.catalog.session(session_id)
        with self._root.locks.session(session_id):
            record, seen = session.read()
            if _runs_here(record):
                raise Conflict(f"{session_id} is running here")
            ours = self._as_compared(session_id, compared)
            missing = _missing(ours, theirs.tree)
            self._begin()
            self._log.updating(ours, missing, lineage.digest(theirs.tables), theirs.tree.sizes)
            count = sum(self._bring(ours, theirs.tree, file) for file in missing)
            _check_unchanged(theirs)
            data = _document(theirs, record.uuid, record.merged_from or {})
            _, proof = files.put_visible(ours.folder / DOCUMENT, data, sync=self._root.durable, seen=seen)
            if proof is not None:
                proof.complete()
        self._store.catalog.delivery.deliver(list(self._store.catalog.folders.read([session_id])))
        return count + len(theirs.data)

    def _as_compared(self, session_id: str, compared: Copy) -> FolderTree:
        """List a session of ours, whose lock is held. Raises: Conflict: it changed since it was compared."""
        ours = FolderTree(self._root.folder(session_id))
        if ours.sizes != compared.tree.sizes or ours.whole(DOCUMENT) != compared.data:
            raise Conflict(f"{session_id} changed here since it was compared; run the merge again")
        return ours

    # ------------------------------------------------------------ older sessions

    def retire(self, session_id: str, compared: Copy) -> None:
        """Move a session of ours out of the store, into the log of this merge.

        Raises: Conflict: it runs here, or changed since it was compared, nothing was changed. StoreUnusable,
            OutcomeUnknown: run the merge again.
        """
        session = self._store.catalog.session(session_id)
        with self._root.locks.store(), self._root.locks.session(session_id):
            record, _ = session.read()
            if _runs_here(record):
                raise Conflict(f"{session_id} is running here")
            self._as_compared(session_id, compared)
            self._begin()
            self._log.retire(session_id)
        self._store.catalog.delivery.forget([session_id])

    # ------------------------------------------------------------ files

    def _bring(self, ours: FolderTree, theirs: Tree, file: str) -> int:
        place, size = ours.folder / file, theirs.sizes[file]
        if file.endswith(STREAM_SUFFIX) and "/" not in file:
            return _append(place, ours.sizes.get(file, 0), theirs, file, size)
        if "/" in file:
            _make_folders(ours.folder, file)
        files.put(place, _source_bytes(theirs, file, 0, size), sync=self._root.durable)
        return size


def _check_unchanged(theirs: Copy) -> None:
    """Refuse a record that no longer describes the files that were read. Raises: Conflict, StoreUnusable."""
    if theirs.record.status not in ("running", "paused") and theirs.tree.changed(DOCUMENT):
        raise Conflict(f"{theirs.tree.name} changed at the source while it was copied; run the merge again")


def _runs_here(record: SessionRecord) -> bool:
    return record.status in ("running", "paused") and not (record.merged_from or {}).get("running")


def _append(place: Path, start: int, theirs: Tree, file: str, size: int) -> int:
    """Append the missing end of a stream, durably. Raises: Conflict: it grew here meanwhile."""
    target, count = file_to_append(place), 0
    try:
        if target.lock() != start:
            raise Conflict(f"{place.name} is written here")
        try:
            with files.refusals(place):
                for chunk in whole_lines(theirs, file, size, start):
                    files.write_all(target.descriptor, chunk, place)
                    count += len(chunk)
                files.sync_file(target.descriptor, place)
        except BaseException:
            with contextlib.suppress(OSError):  # what an fsync refused is never synced later: it is written anew
                files.truncate(target.descriptor, start, place)
            raise
        finally:
            target.unlock()
    finally:
        target.close()
    return count


def _missing(ours: FolderTree, theirs: Tree) -> list[str]:
    """Return the files of theirs that ours lacks, or that are shorter or other here."""
    found = []
    for file, size in sorted(theirs.sizes.items()):
        if file == DOCUMENT:
            continue
        if file.endswith(STREAM_SUFFIX) and "/" not in file:
            if ours.sizes.get(file, 0) < size:
                found.append(file)
        elif file not in ours.sizes or not same_file(ours, theirs, file):
            found.append(file)
    return found


def _whole(tree: Tree, file: str, size: int) -> bytes | Iterator[bytes]:
    """Return the bytes of a file; of a stream only up to its last whole line. A small file is read at once."""
    chunks = whole_lines(tree, file, size)
    return chunks if size > CHUNK_BYTES else b"".join(chunks)


def whole_lines(tree: Tree, file: str, size: int, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file; of a stream only up to its last whole line."""
    if not file.endswith(STREAM_SUFFIX) or "/" in file:
        yield from _source_bytes(tree, file, start, size)
        return
    rest = b""
    for chunk in _source_bytes(tree, file, start, size):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline
        if len(rest) > 64 * CHUNK_BYTES:
            raise StoreUnusable(None, "a line is longer than 64 MiB", file)


def _source_bytes(tree: Tree, file: str, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a source's file. Raises: Conflict: it cannot be read (any more), which is no fault of ours."""
    try:
        yield from tree.chunks(file, start, end)
    except StoreUnusable as error:
        raise Conflict(f"the source cannot be read: {error}") from error


def _origin(theirs: Copy, session_id: str, diverged: bool) -> dict[str, object]:
    """Return the note of where a session came from: of a diverged copy the original, else the id that it had."""
    if diverged:
        return {"session_id": theirs.tree.name, "uuid": theirs.root_uuid, "rev": theirs.record.rev}
    note = dict(theirs.record.merged_from or {})
    return note or ({"session_id": theirs.tree.name} if session_id != theirs.tree.name else {})


def _document(theirs: Copy, uuid: str, origin: dict[str, object]) -> bytes:
    """Return the bytes of session.json as it will stand here; theirs as they are when nothing has to be noted."""
    note = {key: value for key, value in origin.items() if key != "running"}
    if theirs.record.status in ("running", "paused"):
        note = {"session_id": theirs.tree.name} | note | {"running": True}
    if note == (theirs.record.merged_from or {}) and uuid == theirs.record.uuid:
        return theirs.data
    return json_text.layout(merged_document(theirs, uuid, note))


def _make_folders(root: Path, file: str) -> None:
    for depth in range(1, file.count("/") + 1):
        files.make_dir(root / "/".join(file.split("/")[:depth]), exist_ok=True)
