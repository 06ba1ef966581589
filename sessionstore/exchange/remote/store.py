"""A store behind a URL or in a ZIP, opened for reading: everything that reads a store works on it, nothing writes.

Its listing comes from the manifest; a store without one is listed by its folders, and each session.json is read. A
session that is opened stands in a mirror on this disk (remote.mirror). A write raises ReadOnlyStore.
Not here: sending and taking sessions (remote.push, exchange.merge).
"""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sessionstore.disk.locks import Locks
from sessionstore.errors import NotApplied, ReadOnlyStore, StoreNotFound, Unreadable
from sessionstore.exchange.remote import manifest
from sessionstore.exchange.remote.blocks import BlockCache
from sessionstore.exchange.remote.mirror import Mirror, document
from sessionstore.exchange.remote.places import FsspecPlace, Place
from sessionstore.exchange.remote.zipped import ZipPlace
from sessionstore.index import View
from sessionstore.index.filtering import select
from sessionstore.layout import StoreRoot
from sessionstore.model import names, records
from sessionstore.model.row import SessionRow, to_row
from sessionstore.query import Filter
from sessionstore.session import Session
from sessionstore.session.documents import tables_of
from sessionstore.session.stream_writer import StreamWriter, SyncMode
from sessionstore.store import SessionStore
from sessionstore.store.catalog import Catalog, Difference
from sessionstore.store.folder_rows import UNREAD, broken_row
from sessionstore.store.watching import Asked

AT_ONCE = 16


def open_place(url: str) -> Place:
    """Return the place of a URL or a ZIP. Raises: ModuleNotFoundError, StoreNotFound, Corrupt, RemoteUnavailable."""
    if url.partition("?")[0].lower().endswith(".zip"):
        return ZipPlace(url.removeprefix("zip://"))
    return FsspecPlace(url)


class _Root(StoreRoot):
    """The root of the mirror: what prepares a write is refused."""

    def __init__(self, path: Path, label: str) -> None:
        super().__init__(path)
        self.label = label
        self.locks = _NoLocks(path, label)

    def prepare(self, settings: dict[str, Any] | None = None) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self.label)

    def quarantine(self, path: Path, offset: int, data: bytes) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self.label)


class _NoLocks(Locks):
    """No lock is given: who asks for one wants to write."""

    def __init__(self, folder: Path, label: str) -> None:
        super().__init__(folder)
        self._label = label

    def store(self, timeout_s: float | None = None) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self._label)

    def session(self, session_id: str) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self._label)


def refuse(label: str) -> NoReturn:
    """Refuse a write. Raises: ReadOnlyStore."""
    raise ReadOnlyStore(None, "this store is only read; merge or pull it into a folder to change it", label)


class RemoteSession(Session):
    """A session of a remote store; it reads as any other."""

    def __init__(self, store: RemoteStore, session_id: str) -> None:
        super().__init__(store.root, session_id)
        self._store = store  # the mirror lives as long as its sessions

    def __reduce__(self) -> tuple[Any, ...]:
        return _session_at, (self._store.url, self.session_id)

    def writer(self, name: str, sync: SyncMode = "batch") -> StreamWriter:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self._store.place.label)


def _session_at(url: str, session_id: str) -> Session:
    return RemoteStore(url).get(session_id)


class RemoteCatalog(Catalog):
    """The rows of a remote store, as they were when it was opened or looked at last."""

    def __init__(self, store: RemoteStore) -> None:
        super().__init__(store.root, store.index, (_catalog_at, (store.url,)))
        self._store = weakref.ref(store)
        self._rows: dict[str, SessionRow] | None = None

    @property
    def rows(self) -> dict[str, SessionRow]:
        """The rows by session id. Raises: RemoteUnavailable, RemoteRefused, StoreNotFound, Corrupt."""
        if self._rows is None:
            found = rows_of(self._opened.place)
            self._rows = dict(sorted(found.items(), key=lambda pair: (pair[1].created_at, pair[0])))
        return self._rows

    @property
    def _opened(self) -> RemoteStore:
        store = self._store()
        if store is None:
            raise ReferenceError("the remote store was closed")
        return store

    def session(self, session_id: str) -> Session:
        """Return a handle for reading. Raises: SessionGone, RemoteUnavailable."""
        self._opened.mirror.bring(session_id)
        return RemoteSession(self._opened, session_id)

    def refresh(self) -> None:
        """Read the listing anew when it is asked for next."""
        self._rows = None

    def _select(self, tree: Filter | None, verify: bool) -> list[SessionRow]:
        return select(list(self.rows.values()), tree)

    def reconcile(self, verify: bool = True, view: View | None = None, asked: Asked | None = None) -> Difference:
        """Return that nothing differs: there is no index."""
        return Difference([], set())

    def fill(self, index: Any) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self._opened.place.label)


def _catalog_at(url: str) -> Catalog:
    return RemoteStore(url).catalog


class RemoteStore(SessionStore):
    """A store behind a URL, or a ZIP of sessions; only read.

    Raises: ModuleNotFoundError: naming what must be installed; StoreNotFound; Corrupt; RemoteUnavailable.
    """

    def __init__(self, url: str, cache: BlockCache | None = None) -> None:
        self.url = url
        self.place = open_place(url)
        folder = Path(tempfile.mkdtemp(prefix="sessionstore-mirror-"))
        super().__init__(folder, index="journal:")
        self.root = _Root(folder, self.place.label)
        self.mirror = Mirror(self.place, folder, cache or BlockCache())
        self.catalog: RemoteCatalog = RemoteCatalog(self)
        self._removed = weakref.finalize(self, _remove, self.mirror)
        atexit.register(self._removed)

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteStore, (self.url,)

    def __repr__(self) -> str:
        return f"RemoteStore({self.place.label!r})"

    def close(self) -> None:
        """Remove the mirror."""
        super().close()
        self._removed()

    def _holds(self, session_id: str) -> bool:
        if isinstance(self.place, ZipPlace):  # its list of members is here already; the rows would read each record
            return self.place.holds(session_id)
        return session_id in self.catalog.rows

    def create_with_report(self, name: str | None = None, **fields: Any) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self.place.label)

    def delete(self, key: str) -> NoReturn:
        """Refuse. Raises: ReadOnlyStore."""
        refuse(self.place.label)


def _remove(mirror: Mirror) -> None:
    with contextlib.suppress(NotApplied):  # what stays in the folder for temporary files is removed by the system
        mirror.close()


# ---------------------------------------------------------------- listing


def rows_of(place: Place) -> dict[str, SessionRow]:
    """Return the rows of all sessions by id. Raises: StoreNotFound: there are none; RemoteUnavailable."""
    found = manifest.read_rows(place)
    if found is not None:
        return found
    folders = [name for name in place.folders() if not name.startswith(".")]
    if not folders:
        raise StoreNotFound(f"there are no sessions at {place.label}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = pool.map(lambda name: row_of(place, name), folders)
        return {row.session_id: row for row in rows if row is not None}


@dataclass(frozen=True, slots=True)
class _Status:
    """The size of a file that is not on this disk."""

    st_size: int
    st_mtime_ns: int = 0
    st_ctime_ns: int = 0


def row_of(place: Place, session_id: str) -> SessionRow | None:
    """Return the row of one session; a broken one says what is wrong, and a folder of another kind has none."""
    try:
        data = document(place, session_id)
        path = f"{place.label}/{session_id}/session.json"
        record = records.read_record(tables_of(data, path), data, path, session_id)
    except Unreadable as error:
        return broken_row(session_id, str(error), UNREAD) if names.stamp_of(session_id) else None
    return to_row(record, _Status(len(data)))  # type: ignore[arg-type]
