"""The mirror of a remote store: folders on this disk that look like its sessions, filled as they are read.

A session that is opened gets a folder with its document and, in place of each other file, an empty one of the same
size (sparse: it takes no room). Streams are read by ranges through the block cache; any other file is fetched whole
when it is opened. A session looked at again after a while is compared with the remote one first.
The mirror belongs to one process and is removed with it; the block cache stays.
Not here: how bytes are transferred (remote.places), which sessions there are (remote.store).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files, reading
from sessionstore.errors import Corrupt, RemoteUnavailable, SessionGone
from sessionstore.exchange.remote.blocks import BLOCK_BYTES, BlockCache
from sessionstore.exchange.remote.file_facts import FileFacts
from sessionstore.exchange.remote.places import Place
from sessionstore.exchange.trees import CHUNK_BYTES, problem_of_name
from sessionstore.layout import DOCUMENT

#: A session that was compared with the remote one so recently is taken to be the same.
FRESH_S = 2.0
_SEQUENTIAL_BYTES = 1 << 20


class RemoteFile:
    """One file of a remote store; see :class:`sessionstore.disk.reading.Elsewhere`.

    Args:
        path: its place in the mirror.
        name: its name in the remote store.
    """

    def __init__(self, place: Place, cache: BlockCache, path: Path, name: str, facts: FileFacts) -> None:
        self._place, self._cache, self._path, self._name, self._facts = place, cache, path, name, facts
        self._lock = threading.Lock()
        self._end, self._ahead = -1, 0  # where the last read ended, and how far the next one looks ahead

    @property
    def facts(self) -> FileFacts:
        """Size and version that are read."""
        return self._facts

    def size(self) -> int:
        """Return the bytes of the file."""
        return self._facts.size

    def fetch(self) -> None:
        """Put the whole file in its place. Raises: RemoteUnavailable."""
        with self._lock:
            if str(self._path) in reading.elsewhere:
                files.put(self._path, self._chunks(), sync=False)
                reading.elsewhere.pop(str(self._path), None)

    def _chunks(self) -> Iterator[bytes]:
        for start in range(0, self._facts.size, 8 * CHUNK_BYTES):
            yield self._read(start, min(self._facts.size, start + 8 * CHUNK_BYTES))
        self._check_unchanged()

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes from an offset on. Raises: RemoteUnavailable."""
        end = min(self._facts.size, offset + count)
        if end <= offset:
            return b""
        first, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        data = b"".join(self._blocks(first, last, sequential=offset == self._end))
        self._end = end
        return data[offset - first * BLOCK_BYTES : end - first * BLOCK_BYTES]

    def _blocks(self, first: int, last: int, sequential: bool) -> list[bytes]:
        """Return blocks; what the cache lacks comes in one request, and further ahead the longer reading goes on."""
        found = {number: self._cached(number) for number in range(first, last + 1)}
        missing = [number for number, block in found.items() if block is None]
        if missing:
            self._ahead = min(_SEQUENTIAL_BYTES, max(BLOCK_BYTES, 2 * self._ahead)) if sequential else 0
            low, high = missing[0], missing[-1] + self._ahead // BLOCK_BYTES
            start, end = low * BLOCK_BYTES, min(self._facts.size, (high + 1) * BLOCK_BYTES)
            data = self._read(start, end)
            self._check_unchanged()
            for number in range(low, high + 1):
                block = data[(number - low) * BLOCK_BYTES : (number - low + 1) * BLOCK_BYTES]
                if block:
                    found[number] = block
                    self._keep(number, block)
        return [found[number] or b"" for number in range(first, last + 1)]

    def _key(self, number: int) -> str:
        return f"{self._place.label}|{self._name}|{self._facts.version}|{number}"

    def _cached(self, number: int) -> bytes | None:
        return self._cache.get(self._key(number)) if self._facts.version else None

    def _keep(self, number: int, block: bytes) -> None:
        if self._facts.version:
            self._cache.put(self._key(number), block)

    def _read(self, start: int, end: int) -> bytes:
        try:
            return self._place.read(self._name, start, end)
        except FileNotFoundError:
            raise RemoteUnavailable(f"{self._place.label}: {self._name} was removed while it was read") from None
        except RemoteUnavailable:
            self._check_unchanged()  # a file that became shorter gives too few bytes
            raise

    def _check_unchanged(self) -> None:
        """Refuse bytes of another version. Raises: RemoteUnavailable."""
        try:
            now = self._place.facts(self._name)
        except FileNotFoundError:
            raise RemoteUnavailable(f"{self._place.label}: {self._name} was removed while it was read") from None
        if now != self._facts:
            raise RemoteUnavailable(f"{self._place.label}: {self._name} changed while it was read; open it again")


class Mirror:
    """The sessions of one remote store that this process has opened."""

    def __init__(self, place: Place, folder: Path, cache: BlockCache) -> None:
        self._place, self._folder, self._cache = place, folder, cache
        self._seen: dict[str, tuple[float, dict[str, FileFacts]]] = {}
        self._lock = threading.RLock()

    def bring(self, session_id: str) -> None:
        """Make the folder of a session stand in the mirror as the remote one is now.

        Raises: SessionGone: there is none; RemoteUnavailable, RemoteRefused.
        """
        with self._lock:
            seen_at, before = self._seen.get(session_id, (-FRESH_S, {}))
            if time.monotonic() - seen_at < FRESH_S:
                return
            now = {name: each for name, each in self._place.files(session_id).items() if problem_of_name(name) is None}
            if not now:
                self._drop(session_id)
                raise SessionGone(f"{self._place.label} holds no session {session_id}")
            folder = self._folder / session_id
            files.make_dirs(folder)
            for name in before.keys() - now.keys():
                self._remove(folder / name)
            for name, facts in sorted(now.items()):
                if not facts.version or before.get(name) != facts:
                    self._place_file(session_id, name, facts)
            self._seen[session_id] = (time.monotonic(), now)

    def _place_file(self, session_id: str, name: str, facts: FileFacts) -> None:
        path = self._folder / session_id / name
        files.make_dirs(path.parent)
        if name == DOCUMENT:
            try:
                files.put(path, self._place.read(f"{session_id}/{name}"), sync=False)
            except FileNotFoundError:
                raise SessionGone(f"{self._place.label} holds no session {session_id}") from None
            return
        self._remove(path)
        files.create(path, b"", sync=False)
        descriptor = files.open_to_append(path, durable=False)
        try:
            files.truncate(descriptor, facts.size, path)
        finally:
            os.close(descriptor)
        if facts.size:
            found = RemoteFile(self._place, self._cache, path, f"{session_id}/{name}", facts)
            reading.elsewhere[str(path)] = found

    @staticmethod
    def _remove(path: Path) -> None:
        reading.elsewhere.pop(str(path), None)
        if files.status(path) is not None:
            files.remove(path)

    def _drop(self, session_id: str) -> None:
        _, names = self._seen.pop(session_id, (0.0, {}))
        for name in names:
            self._remove(self._folder / session_id / name)

    def close(self) -> None:
        """Remove the mirror."""
        with self._lock:
            for session_id in list(self._seen):
                self._drop(session_id)
            if files.is_folder(self._folder):
                files.remove_tree(self._folder)


def document(place: Place, session_id: str) -> bytes:
    """Return the bytes of a session.json. Raises: Corrupt: there is none; RemoteUnavailable."""
    try:
        return place.read(f"{session_id}/{DOCUMENT}")
    except FileNotFoundError:
        raise Corrupt(f"{DOCUMENT} is missing", f"{place.label}/{session_id}") from None
