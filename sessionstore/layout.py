"""The paths of a store: the root folder, and the private folder ``.sessionstore`` in it.

    training_sessions/
      .gitignore, .gitattributes     what version control leaves out, and leaves as it is; yours once they are made
      index.jsonl                    the journal index
      .sessionstore/format.json      the version of this layout, and the index engine when it was chosen for good
      .sessionstore/locks/           lock files, never deleted
      .sessionstore/columns/         what pages are read from; derived from the journal (index.journal.columns)
      .sessionstore/claims/          the ids reserved in this minute
      .sessionstore/staging/         sessions being made
      .sessionstore/trash/           deleted sessions, each in a folder named by its time-ordered uuid
      .sessionstore/compared/        which pairs of folders a merge found the same; derived
      .sessionstore/quarantine/      bytes that were cut or replaced by a repair
      .sessionstore/columns/         streams of ended sessions as Parquet: a cache, which may be deleted at any moment
      202611231430-Butterfly/        one session

Reading a store creates nothing; the private folder appears with the first write.
Not here: what is in a session folder (session), which index engine (index).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sessionstore.disk import files, filesystem
from sessionstore.disk.locks import DEFAULT_TIMEOUT_S, Locks
from sessionstore.errors import Corrupt, NewerFormat, StoreNotFound
from sessionstore.model import foreign_names, json_text, names

STORE_FORMAT = 1
DEFAULT_FOLDER = "training_sessions"
DOCUMENT = "session.json"
PRIVATE = ".sessionstore"
#: The second change within a tick of the file system's clock leaves the time as it is: 4 ms on ext4, 2 s on FAT.
SETTLED_S = 3.0
_AT_ONCE = 1000
#: Written when a store is made, where there is none: sessions, settings and history travel, what is derived does not.
VERSION_CONTROL = {
    ".gitignore": b"""# Derived, or of this machine only. Sessions, format.json and history.jsonl are kept.
/index.*
/.sessionstore/*
!/.sessionstore/format.json
!/.sessionstore/history.jsonl
!/.sessionstore/page-views.json
.tmp-*
""",
    ".gitattributes": b"""# The bytes are checked: line ends must stay as they are.
*.jsonl -text
session.json -text
""",
}


def resolve(folder: str | Path | None = None) -> Path:
    """Return the absolute root: the argument, SESSIONSTORE_DIR, the nearest store at or above, ./training_sessions.

    It is resolved once; a later change of the working directory changes nothing.
    """
    if folder is not None:
        return Path(folder).expanduser().absolute()
    if named := os.environ.get("SESSIONSTORE_DIR"):
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    for each in (here, *here.parents):
        for candidate in (each, each / DEFAULT_FOLDER):
            if (candidate / PRIVATE / "format.json").is_file():
                return candidate
    return here / DEFAULT_FOLDER


def is_named(folder: str | Path | None) -> bool:
    """Whether the user named a store, by the argument or by SESSIONSTORE_DIR."""
    return folder is not None or bool(os.environ.get("SESSIONSTORE_DIR"))


def is_remote(folder: str | Path) -> bool:
    """Whether a store is named by a URL, or as a ZIP: it is read in place."""
    text = str(folder)
    scheme, separator, _ = text.partition("://")
    if separator and scheme.isalnum() and isinstance(folder, str):
        return True
    return text.lower().endswith(".zip") and not Path(text).expanduser().is_dir()


def nearest_store(path: Path) -> Path | None:
    """Return the store that was probably meant: above the path, or beside it with the most similar name."""
    from difflib import get_close_matches  # needed for mistakes only

    for each in path.parents:
        for candidate in (each, each / DEFAULT_FOLDER):
            if (candidate / PRIVATE / "format.json").is_file():
                return candidate
        if not each.is_dir():
            continue
        beside = {child.name: child for child in islice(_stores_in(each), _AT_ONCE)}
        if near := get_close_matches(path.name, list(beside), 1, 0.5) or list(beside)[:1]:
            return beside[near[0]]
    return None


def _stores_in(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(files.folder_names(folder))
    except OSError:  # a folder above that may not be read
        return
    yield from (folder / name for name in names if (folder / name / PRIVATE / "format.json").is_file())


@dataclass(slots=True)
class _Listing:
    """A state of the root folder, since when it is known, and the names in it once that state can be trusted."""

    state: tuple[int, int, int, int] | None
    since: float
    names: frozenset[str] | None = None


class StoreRoot:
    """The paths and locks of one store.

    Args:
        force: write even where locks cannot be trusted (see :mod:`sessionstore.disk.filesystem`).
    """

    def __init__(
        self, path: Path, lock_timeout_s: float = DEFAULT_TIMEOUT_S, force: bool = False, durable: bool = True
    ) -> None:
        self.path = path
        self.text = str(path)  # joining Paths is slow
        self.durable = durable  # whether a new or changed record waits for the disk
        self.force = force
        self.must_exist = False  # whether a folder that does not exist is a mistake, not an empty store
        self.private = path / PRIVATE
        self.staging = self.private / "staging"
        self.trash = self.private / "trash"
        self.claims = self.private / "claims"
        self.quarantine_folder = self.private / "quarantine"
        self.columns = self.private / "columns"
        self._lock_timeout_s = lock_timeout_s
        self.locks = Locks(self.private / "locks", lock_timeout_s, force)
        self._listing: _Listing | None = None
        self.prepared = False

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreRoot, (self.path, self._lock_timeout_s, self.force, self.durable)

    def __repr__(self) -> str:
        return f"StoreRoot({str(self.path)!r})"

    def folder(self, session_id: str) -> Path:
        """Return the folder of a session."""
        return self.path / session_id

    def check_exists(self) -> None:
        """Refuse a place that is not a folder, or a named one that does not exist. Raises: StoreNotFound."""
        if files.is_folder(self.path, follow=True) or not (self.must_exist or os.path.lexists(self.path)):
            return
        near = nearest_store(self.path)
        hint = f"; the nearest store is {near}" if near is not None else ""
        wrong = "is a file, not the folder of a store" if os.path.lexists(self.path) else "does not exist"
        raise StoreNotFound(f"{self.path} {wrong}{hint}")

    def prepare(self, settings: dict[str, Any] | None = None) -> None:
        """Make what a write needs, once: the folders and format.json, durable.

        Raises:
            NewerFormat, Corrupt: the store was left alone.
            StoreUnusable: the place cannot be written; UnsafeFilesystem: or must not be.
        """
        if self.prepared and files.is_folder(self.staging):
            return
        filesystem.refuse_unsafe(self.path, self.force)
        new = self.settings() is None
        with files.refusals(self.private):
            for each in (self.staging, self.trash, self.claims, self.quarantine_folder):
                files.make_dirs(each)
            if new:
                self._advise_version_control()
                # Others may be making the same folders, and not have synced them yet.
                for each in (self.path.parent, self.path, self.private):
                    files.sync_dir(each)
        if new:
            files.put(self.private / "format.json", json_text.layout({"format": STORE_FORMAT, **(settings or {})}))
        self.prepared = True

    def _advise_version_control(self) -> None:
        """Write the files that git reads; what is there already stays as it is."""
        for name, data in VERSION_CONTROL.items():
            with contextlib.suppress(FileExistsError):
                files.create(self.path / name, data)

    def settings(self) -> dict[str, Any] | None:
        """Return format.json, or None when this is not a store yet.

        Raises:
            NewerFormat: the store was written by a newer version.
            Corrupt: it does not parse.
        """
        path = self.private / "format.json"
        try:
            data, _ = files.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        value = json_text.parse(data, str(path))
        if not isinstance(value, dict) or type(value.get("format")) is not int:
            raise Corrupt('expected an object with a number "format"', path, None, 1, 1)
        if value["format"] > STORE_FORMAT:
            raise NewerFormat(f"format {value['format']}, this version reads up to {STORE_FORMAT}", path)
        return value

    def configure(self, **changes: Any) -> None:
        """Change format.json, durably; None takes a setting out. Raises: StoreUnusable, LockTimeout, Corrupt."""
        self.prepare()
        with self.locks.store():
            settings = {**(self.settings() or {"format": STORE_FORMAT}), **changes}
            kept = {name: value for name, value in settings.items() if value is not None}
            files.put(self.private / "format.json", json_text.layout(kept))

    def state(self) -> tuple[int, int, int, int] | None:
        """Return device, inode, mtime and ctime (ns) of the folder: they change with every name in it; None: no folder.

        The ctime too: rsync and tar restore the mtime of the source once the folder is complete.
        """
        found = files.status(self.text, follow=True)
        return None if found is None else (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)

    def state_at_rest(self) -> tuple[int, int, int, int] | None:
        """Return :meth:`state` where the next folder that comes or goes surely changes it, else None."""
        found = self.state()
        return None if found is None or max(found[2:]) > time.time_ns() - SETTLED_S * 1e9 else found

    def session_ids(self, known: Set[str] = frozenset()) -> Set[str]:
        """Return the names of the folders that may be sessions; a store that is not there has none.

        A folder that has not changed since it was read is not read again (and the very same set is returned).

        Args:
            known: names of sessions, which need no second check. When these are all, the same object is returned, so
                that 100,000 names are not copied.
        """
        now, state = time.monotonic(), self.state()
        listing = self._listing
        if listing is None or listing.state != state:
            listing = self._listing = _Listing(state, now)
        elif listing.names is not None:
            return listing.names
        names = self._names(known)
        if now - listing.since > SETTLED_S:
            listing.names = names = frozenset(names)
        return names

    def is_unchanged(self, names: Set[str]) -> bool:
        """Whether certainly no folder came or went since :meth:`session_ids` returned these names: a change within the
        last seconds may have been followed by another in the same tick of the clock."""
        listing = self._listing
        return listing is not None and listing.names is names and self.session_ids() is names

    def _names(self, known: Set[str]) -> Set[str]:
        away, new = set(known), set[str]()
        names = files.folder_names(self.path)
        while some := list(islice(names, _AT_ONCE)):  # in batches: one by one costs twice as much
            left = len(away)
            away.difference_update(some)
            if left - len(away) < len(some):
                new.update(name for name in some if name not in known and name[0] != "." and _plausible(name))
        return frozenset((known - away) | new) if away or new else known

    def quarantine(self, path: Path, offset: int, data: bytes) -> None:
        """Keep bytes durably before a repair cuts or replaces them."""
        files.make_dirs(self.quarantine_folder)
        label = f"{path.parent.name[:100]}~{path.name[:60]}~{offset}~{os.urandom(4).hex()}"
        files.create(self.quarantine_folder / label, data)
        files.sync_dir(self.quarantine_folder)

    def quarantined(self) -> Iterator[Path]:
        """Yield the files in quarantine."""
        yield from sorted(Path(entry.path) for entry in files.entries(self.quarantine_folder))


def _plausible(name: str) -> bool:
    if not "0" <= name[0] <= "9" and foreign_names.is_system_folder(name):  # ids begin with a digit
        return False
    return (name.isascii() and name.isprintable() and "\\" not in name) or names.is_session_folder_name(name)
