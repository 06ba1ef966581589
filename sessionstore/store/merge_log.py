"""What a merge does, written down before it is done, so that one undo takes it back, also after a crash.

It is in the trash, in one folder for each merge (``merge-<id>/``): ``sessions.jsonl`` names the sessions that were
added, updated or retired, ``<session id>/`` keeps our record and the replaced files, and ``.retired/`` the sessions of
ours of which another one has all. Emptying the trash removes it.
Not here: merging (exchange.merge), the list of changes (store.history).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sessionstore.disk import files
from sessionstore.errors import Conflict, SessionGone, SessionNotFound, SessionStoreError
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import lineage
from sessionstore.session import documents, stream_source
from sessionstore.session.sealing import file_to_append
from sessionstore.session.stream_line import Damage
from sessionstore.session.stream_reader import Tape, lines_of
from sessionstore.session.stream_writer import StreamWriter

PREFIX = "merge-"
#: The folder of the sessions that were moved here; not a name that a session has.
RETIRED = ".retired"


class _Files(Protocol):
    folder: Path
    sizes: dict[str, int]


class MergeLog:
    """The log of one merge.

    Args:
        merge_id: a time-ordered uuid.
    """

    def __init__(self, root: StoreRoot, merge_id: str) -> None:
        self._root = root
        self.folder = root.trash / f"{PREFIX}{merge_id}"
        self._path = self.folder / "sessions.jsonl"

    # ------------------------------------------------------------ writing

    def adding(self, sessions: Iterable[tuple[str, str]]) -> None:
        """Note sessions (id, uuid) that are about to get their names. Raises: StoreUnusable: nothing was noted."""
        self._write([{"action": "add", "session_id": session_id, "uuid": uuid} for session_id, uuid in sessions])

    def updating(self, ours: _Files, touched: Iterable[str], digest: str, ends: Mapping[str, int]) -> None:
        """Keep our record and the files that will be replaced, and note the sizes of all that will change.

        Args:
            ends: the sizes that they will have at most.
            digest: of the record that the merge is about to put here (model.lineage).
        """
        place, touched = self.folder / ours.folder.name, list(touched)
        files.make_dirs(place)
        for name in [DOCUMENT, *(name for name in touched if name in ours.sizes and not _is_stream(name))]:
            data, _ = files.read(ours.folder / name)
            files.make_dirs((place / name).parent)
            files.put(place / name, data)
        sizes = {name: ours.sizes.get(name) for name in touched}
        ends = {name: ends[name] for name in touched if _is_stream(name)}
        noted = {"action": "update", "session_id": ours.folder.name, "sizes": sizes, "ends": ends, "digest": digest}
        self._write([noted])

    def retire(self, session_id: str) -> None:
        """Move a session in here, durably; the caller holds the lock of the store and of the session.

        Raises: SessionGone, StoreUnusable: nothing changed. OutcomeUnknown: moved, not proven durable.
        """
        place = self.folder / RETIRED
        files.make_dirs(place)
        self._write([{"action": "retire", "session_id": session_id}])
        try:
            files.rename_new(self._root.folder(session_id), place / session_id)
        except FileNotFoundError as error:
            raise SessionGone(f"there is no folder {self._root.folder(session_id)}") from error
        files.prove_renamed(place, self._root.path)

    def _write(self, records: list[dict[str, Any]]) -> None:
        files.make_dirs(self.folder)
        writer = StreamWriter(self._path, sync="full", quarantine=self._root.quarantine)
        try:
            writer.extend(records)
        finally:
            writer.close()

    # ------------------------------------------------------------ going on after a crash

    def cut_torn_ends(self) -> None:
        """Cut what an update that was interrupted left behind the last usable line of a stream; it goes to quarantine.

        Then each stream is a whole-line prefix of theirs again, so that the next merge goes on with it.

        Raises: StoreUnusable, Conflict.
        """
        for entry in self.updated():
            folder = self._root.folder(str(entry["session_id"]))
            try:
                tables, _, _ = documents.load(str(folder / DOCUMENT))
            except (SessionStoreError, FileNotFoundError):
                continue  # deleted since, or damaged
            if lineage.digest(tables) == entry["digest"]:
                continue  # the record comes last: this update was completed
            for name, size in entry["sizes"].items():
                if _is_stream(name) and os.path.lexists(folder / name):
                    self._shorten(folder / name, _usable_end(folder / name, size or 0))

    # ------------------------------------------------------------ taking back

    def added(self) -> list[str]:
        """Return the ids of the sessions that were added and are still the same sessions."""
        found = []
        for entry in self._entries("add"):
            session_id = str(entry.get("session_id"))
            with contextlib.suppress(SessionStoreError, KeyError):
                tables, _, _ = documents.load(str(self._root.folder(session_id) / DOCUMENT))
                if any(document.get("uuid") == entry.get("uuid") for document in tables["session"].values()):
                    found.append(session_id)
        return found

    def updated(self) -> list[Mapping[str, Any]]:
        """Return what was noted of sessions that were here and were updated, the newest first."""
        added = {entry.get("session_id") for entry in self._entries("add")}
        return [entry for entry in self._entries("update")[::-1] if entry.get("session_id") not in added]

    def _entries(self, action: str) -> list[Mapping[str, Any]]:
        return [line.data for line in Tape(self._path).read(damaged="skip") if line.data.get("action") == action]

    def retired(self) -> list[str]:
        """Return the ids of the sessions that were moved in here and are still here."""
        return [entry.name for entry in files.entries(self.folder / RETIRED) if entry.is_dir(follow_symlinks=False)]

    def bring_back(self, session_id: str) -> None:
        """Give a session that was moved in here its place again; the caller holds the lock of the store.

        Raises: Conflict: a session of this id exists; StoreUnusable: nothing changed.
        """
        try:
            files.rename_new(self.folder / RETIRED / session_id, self._root.folder(session_id))
        except FileExistsError as error:
            raise Conflict(f"there is a session {session_id} again; rename or delete it first") from error
        files.prove_renamed(self._root.path, self.folder / RETIRED)

    def take_back(self, entry: Mapping[str, Any]) -> None:
        """Bring an updated session back to what it was; the caller holds its lock.

        Raises:
            SessionNotFound: what was kept is gone; Conflict: the session changed since. Nothing changed.
        """
        session_id = str(entry["session_id"])
        place, folder = self.folder / session_id, self._root.folder(session_id)
        try:
            old, _ = files.read(place / DOCUMENT)
        except FileNotFoundError as error:
            raise SessionNotFound(
                f"the record of {session_id} before the merge is not in the trash any more"
            ) from error
        tables, data, _ = documents.load(str(folder / DOCUMENT))
        if data != old and lineage.digest(tables) != entry["digest"]:
            raise Conflict(f"{session_id} changed since the merge")
        for name, end in entry.get("ends", {}).items():
            if stream_source.size(folder / name) > end:
                raise Conflict(f"{session_id}: records were appended to {name} since the merge")
        for name, size in entry["sizes"].items():
            if _is_stream(name):
                self._shorten(folder / name, size or 0)
            if size is None:
                files.remove(folder / name)  # a stream is plain by now
            elif not _is_stream(name):
                files.put(folder / name, files.read(place / name)[0])
        files.put(folder / DOCUMENT, old)

    def _shorten(self, path: Path, size: int) -> None:
        """Cut a stream back; the bytes behind go to quarantine first."""
        target = file_to_append(path)
        try:
            found = target.lock()
            try:
                if found < size:
                    raise Conflict(f"{path.name} is shorter than before the merge")
                if found > size:
                    data, _ = files.read(path)
                    self._root.quarantine(path, size, data[size:])
                    with files.refusals(path):
                        files.truncate(target.descriptor, size, path)
                        files.sync_file(target.descriptor, path)
            finally:
                target.unlock()
        finally:
            target.close()


def logs(root: StoreRoot) -> list[Path]:
    """Return the folders of all merges in the trash."""
    return [Path(entry.path) for entry in files.entries(root.trash) if entry.name.startswith(PREFIX)]


def retired_ids(root: StoreRoot) -> set[str]:
    """Return the ids of all sessions that merges moved into their logs."""
    return {name for log in logs(root) for name in files.folder_names(log / RETIRED)}


def newest(root: StoreRoot) -> MergeLog | None:
    """Return the log of the last merge."""
    found = max((folder.name for folder in logs(root)), default=None)
    return None if found is None else MergeLog(root, found.removeprefix(PREFIX))


def _usable_end(path: Path, start: int) -> int:
    """Return where the first line behind a place that cannot be used begins, or the end of the last line."""
    end = start
    with stream_source.opened(path) as source:
        for line in lines_of(source, start):
            if isinstance(line, Damage) or (line.end == source.size and source.read_at(1, line.end - 1) != b"\n"):
                break
            end = line.end
    return end


def _is_stream(name: str) -> bool:
    return name.endswith(".jsonl") and "/" not in name
