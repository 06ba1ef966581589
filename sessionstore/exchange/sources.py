"""What sessions can be taken from: a store, a session folder, a folder of sessions, or a bundle.

Opening a source writes nothing to it. A bundle is verified whole before any of it becomes visible.
Not here: the files of one session (exchange.trees), stores behind a URL (exchange.remote).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import SessionNotFound
from sessionstore.exchange.bundle import TAR_ZST, ZIP
from sessionstore.exchange.trees import FolderTree, Tree
from sessionstore.exchange.verify import Bundle
from sessionstore.layout import DOCUMENT, PRIVATE, StoreRoot

#: Called with each number of bytes; one that has a method ``expect`` is also given the number of all.
Progress = Callable[[int], None]


class Total:
    """Counts bytes for a progress, and reports how many there will be, as far as that is known."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done = progress, 0
        self._expect: Callable[[int], None] | None = getattr(progress, "expect", None)

    def add(self, count: int) -> None:
        """Count bytes that were read or sent."""
        self._done += count
        if self._progress is not None:
            self._progress(count)

    def expect(self, total: int) -> None:
        """Report the number of all bytes."""
        if self._expect is not None:
            self._expect(total)

    def after(self, sessions: int, of: int) -> None:
        """Estimate the number of all bytes by the sessions that are done."""
        if self._done and sessions:
            self.expect(self._done * of // sessions)


@dataclass(frozen=True, slots=True)
class OfFolder:
    """Gives the tree of a session folder on this machine."""

    folder: Path

    def __call__(self) -> Tree:
        return FolderTree(self.folder)


@dataclass(slots=True)
class Source:
    """Sessions to be taken: how the source is called, and a tree opener for each."""

    label: str
    trees: list[Callable[[], Tree]] = field(default_factory=list)


def open_source(where: str | Path, scratch: Callable[[], Path], progress: Progress | None = None) -> Source:
    """Return the sessions at a place.

    Args:
        scratch: gives an empty folder for what must be unpacked first.
        progress: called with the number of bytes that were verified.

    Raises: SessionNotFound: there are no sessions; Corrupt, UnsafeFile: a bundle that cannot be trusted.
    """
    path = Path(where).expanduser().absolute()
    if path.is_file():
        if not path.name.lower().endswith((ZIP, TAR_ZST)):
            raise SessionNotFound(f"{path} is not a store, a session folder or a bundle (.zip, .tar.zst)")
        return _of_bundle(Bundle(path, scratch), progress)
    if not path.is_dir():
        raise SessionNotFound(f"there is nothing at {path}")
    if (path / "bagit.txt").is_file():
        return _of_bundle(Bundle(path), progress)
    if (path / DOCUMENT).is_file():
        return Source(str(path), [OfFolder(path)])
    found = _session_folders(path)
    if not found and not (path / PRIVATE).is_dir():
        raise SessionNotFound(f"there are no sessions in {path}")
    return Source(str(path), [OfFolder(folder) for folder in found])


def _of_bundle(bundle: Bundle, progress: Progress | None) -> Source:
    bundle.verify(progress)
    return Source(str(bundle.path), [_given(tree) for tree in bundle.trees()])


def _session_folders(path: Path) -> list[Path]:
    names = sorted(StoreRoot(path).session_ids())
    return [path / name for name in names if files.status(path / name / DOCUMENT) is not None]


def _given(tree: Tree) -> Callable[[], Tree]:
    return lambda: tree
