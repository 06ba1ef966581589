"""A bounded cache on disk of blocks that were read from remote files, shared by all processes of a user.

A block is keyed by file and version (ETag), so that a changed file never gives old bytes; it carries a digest, so that
a damaged cache is read again. The oldest blocks go first. Without a version nothing is kept.
Not here: fetching (remote.mirror).
"""

from __future__ import annotations

import os
import sys
import threading
from hashlib import blake2b
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError

BLOCK_BYTES = 1 << 16
DEFAULT_LIMIT_BYTES = 1 << 30
_DIGEST_BYTES = 16


def default_folder() -> Path:
    """Return the folder of this user's cache; SESSIONSTORE_CACHE names another place."""
    if named := os.environ.get("SESSIONSTORE_CACHE"):
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "sessionstore" / "blocks"


class BlockCache:
    """Blocks by key, at most ``limit_bytes`` of them; a cache that cannot be written caches nothing."""

    def __init__(self, folder: Path | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder, self.limit_bytes = folder or default_folder(), limit_bytes
        self._lock = threading.Lock()
        self._room: int | None = None  # bytes that may be written before the folder is looked through

    def get(self, key: str) -> bytes | None:
        """Return a block, or None."""
        try:
            data, _ = files.read(self._path(key))
        except (OSError, SessionStoreError):
            return None
        digest, block = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return block if digest == _digest(block) else None

    def put(self, key: str, block: bytes) -> None:
        """Keep a block."""
        path = self._path(key)
        try:
            files.make_dirs(path.parent)
            files.put(path, _digest(block) + block, sync=False)
        except (OSError, SessionStoreError):
            return  # a full or read-only disk: the block is fetched again
        self._keep_bound(len(block) + _DIGEST_BYTES)

    def _path(self, key: str) -> Path:
        name = blake2b(key.encode(), digest_size=20).hexdigest()
        return self.folder / name[:2] / name

    def _keep_bound(self, written: int) -> None:
        with self._lock:
            if self._room is not None and self._room >= written:
                self._room -= written
                return
            found = sorted(self._sizes())
            total = sum(size for _, size, _ in found)
            for _, size, path in found:
                if total <= self.limit_bytes * 0.9:
                    break
                try:
                    files.remove(path)
                except (OSError, SessionStoreError):
                    continue  # another process removed it
                total -= size
            self._room = max(0, self.limit_bytes - total) // 4

    def _sizes(self) -> list[tuple[float, int, str]]:
        found = []
        for shelf in files.entries(self.folder):
            for entry in files.entries(shelf.path):
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                found.append((status.st_mtime, status.st_size, entry.path))
        return found


def _digest(block: bytes) -> bytes:
    return blake2b(block, digest_size=_DIGEST_BYTES).digest()
