"""The files of one session of a remote store, as a merge takes them; each whole file is checked while it is read.

Small files come 16 at once. A file that the manifest knows is compared with its checksum; of any file, a change while
it is read is refused. Where our copy has the same bytes by that checksum, ours are read, and nothing is transferred.
Not here: what is done with a session (exchange.merge), reading a session in place (remote.mirror).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from sessionstore.errors import Conflict, Corrupt
from sessionstore.exchange.remote import manifest
from sessionstore.exchange.remote.file_facts import FileFacts
from sessionstore.exchange.remote.places import Place
from sessionstore.exchange.remote.store import AT_ONCE
from sessionstore.exchange.trees import CHUNK_BYTES, Tree, problem_of_name, twins

PART_BYTES = 8 * CHUNK_BYTES
#: Sessions up to this size are fetched file by file at once; larger files come in parts.
_TOGETHER_BYTES = 64 * CHUNK_BYTES


class RemoteTree:
    """The files of one session; see :class:`sessionstore.exchange.trees.Tree`.

    Args:
        entry: what the manifest says of it.
        ours: our copy of the same session, of which equal bytes are taken.
        stand: the files that stand there, when they were listed already.
    """

    def __init__(
        self,
        place: Place,
        folder: str,
        entry: manifest.Entry | None = None,
        ours: Tree | None = None,
        stand: dict[str, FileFacts] | None = None,
    ) -> None:
        self.name, self._place, self._entry, self._ours = folder, place, entry, ours
        self.sizes: dict[str, int] = {}
        self.unsafe: dict[str, str] = {}
        self._facts: dict[str, FileFacts] = place.files(folder) if stand is None else stand
        for name, facts in self._facts.items():
            if problem := problem_of_name(name):
                self.unsafe[name] = problem
            else:
                self.sizes[name] = facts.size
        for name, first in twins(self.sizes).items():
            self.unsafe[name] = f"some file systems take it for {first!r}"
            del self.sizes[name]
        self._kept: dict[str, bytes] = {}
        self._same: dict[tuple[str, int], bool] = {}

    def chunks(self, file: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a file; see :class:`Tree`. Raises: Conflict, Corrupt, RemoteUnavailable."""
        end = self.sizes[file] if end is None else end
        if self._ours is not None and self._is_ours(self._ours, file):
            yield from self._ours.chunks(file, start, end)
            return
        if sum(self.sizes.values()) <= _TOGETHER_BYTES:
            yield self._together(file)[start:end]
            return
        found = sha256()
        for first in range(start, end, PART_BYTES):
            part = self._read(file, first, min(end, first + PART_BYTES))
            found.update(part)
            yield part
        self._check(file, found.hexdigest() if (start, end) == (0, self.sizes[file]) else None)

    def changed(self, file: str) -> bool:
        """Return False: each file is checked while it is read."""
        return False

    def _is_ours(self, ours: Tree, file: str) -> bool:
        """Whether our file begins with all the bytes of theirs, by the checksum of the manifest."""
        size, said = self._entry.files.get(file, (-1, "")) if self._entry else (-1, "")
        if size != self.sizes[file] or ours.sizes.get(file, -1) < size:
            return False
        key = (file, size)
        if key not in self._same:
            found = sha256()
            for chunk in ours.chunks(file, 0, size):
                found.update(chunk)
            self._same[key] = found.hexdigest() == said
        return self._same[key]

    def _together(self, file: str) -> bytes:
        if file not in self._kept:
            wanted = [name for name in self.sizes if name not in self._kept and not self._from_ours(name)]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for name, data in zip(wanted, pool.map(self._whole, wanted), strict=True):
                    self._kept[name] = data
        return self._kept[file]

    def _from_ours(self, name: str) -> bool:
        return self._ours is not None and self._is_ours(self._ours, name)

    def _whole(self, file: str) -> bytes:
        data = self._read(file, 0, self.sizes[file])
        self._check(file, sha256(data).hexdigest())
        return data

    def _read(self, file: str, start: int, end: int) -> bytes:
        try:
            return self._place.read(f"{self.name}/{file}", start, end)
        except FileNotFoundError:
            raise Conflict(f"{self._place.label}/{self.name}/{file} was removed while it was read") from None

    def _check(self, file: str, digest: str | None) -> None:
        """Compare with the manifest, or look whether the file changed. Raises: Conflict, Corrupt, RemoteUnavailable."""
        size, said = self._entry.files.get(file, (-1, "")) if self._entry else (-1, "")
        if digest is not None and size == self.sizes[file] and digest == said:
            return
        label = f"{self._place.label}/{self.name}/{file}"
        try:
            now = self._place.facts(f"{self.name}/{file}")
        except FileNotFoundError:
            raise Conflict(f"{label} was removed while it was read") from None
        if now != self._facts[file]:
            raise Conflict(f"{label} changed while it was read")
        if digest is not None and size == self.sizes[file]:
            raise Corrupt("the checksum is wrong", label)


def openers(place: Place, ours: Callable[[str], Tree | None]) -> list[Callable[[], Tree]]:
    """Return a tree opener for each session of a place.

    Args:
        ours: gives our copy of a session by its uuid.

    Raises: StoreNotFound, RemoteUnavailable.
    """
    found = manifest.read(place)
    entries = found[0] if found is not None else {}
    names = sorted(entries) or [name for name in place.folders() if not name.startswith(".")]

    def opener(name: str) -> Callable[[], Tree]:
        entry = entries.get(name)
        return lambda: RemoteTree(place, name, entry, ours(entry.row.uuid) if entry else None)

    return [opener(name) for name in names]
