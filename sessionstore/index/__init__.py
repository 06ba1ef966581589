"""The index over all sessions: one small protocol, engines behind it, chosen by URL.

An index is a cache of the folders: it may be lost, late or wrong, and the store puts it right. What an engine promises
is only that what was put is found, and that :meth:`SessionIndex.stamps` is right about what it holds.

    journal:                          index.jsonl in the store (the default)
    journal:/path/index.jsonl         elsewhere
    sqlite:                           index.sqlite in the store; sqlite:/path/file.db elsewhere
    postgresql://user@host:5432/name  a server that many hosts share

Others come from entry points of the group ``sessionstore.index_engines``: the name is the scheme, the object is called
with (url, root) and returns a :class:`SessionIndex`, which may be :class:`Snapshots`, :class:`Notifies`,
:class:`SharedByStores`, :class:`Paged`, :class:`Compactable` and Lined (index.lined), too.
Settings in a URL: index.url.
Not here: adopting folders, staleness, the computed status (store); the filter language (query).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path as FilePath
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from sessionstore.errors import InvalidQuery
from sessionstore.layout import PRIVATE
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter, Path
from sessionstore.session.stream_writer import Quarantine

ENTRY_POINTS = "sessionstore.index_engines"


class RowStamp(Protocol):
    """Which state of its file a row mirrors: size in bytes, and when it last changed in ns (mtime or ctime).

    A :class:`SessionRow` is one.
    """

    @property
    def size(self) -> int: ...

    @property
    def mtime_ns(self) -> int: ...


class FileStamp(msgspec.Struct, frozen=True, gc=False):
    """The plain :class:`RowStamp`, for engines that have no rows at hand; it is smaller than a tuple."""

    size: int
    mtime_ns: int


class SessionIndex(Protocol):
    """What every engine does; rows are keyed by session id, and putting is replacing."""

    @property
    def url(self) -> str:
        """The URL that opens this index again, without secrets."""
        ...

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Insert or replace rows.

        Args:
            exact: the rows are what the folders hold now, and replace any older ones. Otherwise they are a writer's
                report, and an engine that compares revisions may keep a higher one that came in meanwhile.

        Raises: IndexUnavailable, StoreUnusable, LockTimeout: the folders are untouched.
        """
        ...

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove rows, durably; unknown ids are fine. Raises: as :meth:`put`, and OutcomeUnknown."""
        ...

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Hold exactly these rows afterwards, or what was there before. Raises: as :meth:`put`."""
        ...

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return which file state each row mirrors, by session id; a snapshot. Raises: IndexUnavailable, Corrupt."""
        ...

    def active(self) -> Sequence[SessionRow]:
        """Return the rows whose status says running or paused. Raises: as :meth:`find`."""
        ...

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that a filter fits, oldest first (created_at, then session_id).

        Args:
            interrupted: session ids whose status reads as ``interrupted``, in the filter and in the rows, and why.

        Raises: IndexUnavailable, Corrupt.
        """
        ...

    def version(self) -> object:
        """Return a value that differs from an earlier one once rows have changed. Raises: IndexUnavailable."""
        ...

    def health(self) -> dict[str, Any]:
        """Return ``engine``, ``url`` and figures. Raises: IndexUnavailable, Corrupt."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


class View(Protocol):
    """What a listing reads of an index."""

    @property
    def version(self) -> object:
        """A value that differs from that of an earlier view once rows have changed."""
        ...

    def stamps(self) -> Mapping[str, RowStamp]:
        """As ``SessionIndex.stamps``."""
        ...

    def active(self) -> Sequence[SessionRow]:
        """As ``SessionIndex.active``."""
        ...

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """As ``SessionIndex.find``."""
        ...

    def is_one_state(self) -> bool:
        """Whether all that was read of this view is one state of the index: no row was put in between."""
        ...

    def changed_since(self, earlier: Any) -> set[str] | None:
        """Return the ids of all rows that differ from those of an earlier view of this kind, and perhaps of others;
        None: unknown. Rows that were removed need not be among them."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """What an engine may offer further: one look gives all of its rows in one state."""

    def snapshot(self) -> View:
        """Return the rows as they are now. Raises: IndexUnavailable, Corrupt."""
        ...


class LiveView:
    """The :class:`View` of an engine without snapshots: each answer is as new as its question."""

    def __init__(self, index: SessionIndex) -> None:
        self.version = index.version()
        self._index = index
        self.stamps, self.active, self.find = index.stamps, index.active, index.find

    def is_one_state(self) -> bool:
        return self._index.version() == self.version

    def changed_since(self, earlier: LiveView) -> set[str] | None:
        return set() if earlier.version == self.version else None


#: What :meth:`PageView.heads` says of a session: id, status, created_at, points, distance in m.
Head = tuple[str, str, str, int | None, float | None]


class PageOrder(NamedTuple):
    """Which rows make a page: sorted by a field, rows without it last; ``limit`` of them from ``begin`` on."""

    path: Path
    descending: bool
    begin: int = 0
    limit: int | None = None
    behind: str | None = None  # or those behind this session


class Page(NamedTuple):
    """The rows of a page, how many rows fit in all, and how many of them stand before the page."""

    rows: list[SessionRow]
    total: int
    begin: int = 0
    #: When every file was last compared with its row, in s since 1970 (0: never); None: for this page.
    compared_at: float | None = None


class PagesDamaged(Exception):
    """What pages are read from cannot be used; it is derived. All rows are asked for in its place."""


class PageView(View, Protocol):
    """A view that finds the rows of a page without reading the others; each call may raise :class:`PagesDamaged`."""

    def page(self, tree: Filter | None, order: PageOrder, interrupted: Mapping[str, str]) -> Page | None:
        """Return one page; None when only all rows can answer."""
        ...

    def heads(self) -> list[Head]:
        """Return the head of every row, oldest first."""
        ...

    def names(self) -> Set[str]:
        """Return the ids of all rows."""
        ...

    def stamp_of(self, session_id: str) -> FileStamp | None:
        """Return which file state a row mirrors; None: there is no row."""
        ...

    def states(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the id of each row, with size and time (ns) of the file that it mirrors."""
        ...

    def count(self) -> int:
        """Return how many rows there are."""
        ...

    def changes_since(self, earlier: Any) -> tuple[list[SessionRow], list[str]] | None:
        """Return the rows that are other ones than in an earlier view, and the ids whose rows are gone; None: unknown.

        The status of a run whose process is gone is not considered.
        """
        ...

    def names_key(self) -> str:
        """Return a text that is another one when other sessions have rows."""
        ...

    def has_status(self, status: str) -> bool:
        """Whether a row may have this status."""
        ...

    def discard(self) -> None:
        """Do not use again what this view was read from: it is damaged, and made anew."""
        ...


@runtime_checkable
class Paged(Protocol):
    """What an engine may offer further: pages of many rows."""

    def page_view(self) -> PageView | None:
        """Return a view of the rows as they are now; None while they are few, or cannot be read this way."""
        ...


def look(index: SessionIndex) -> View:
    """Return a view of an index as it is now. Raises: IndexUnavailable, Corrupt."""
    return index.snapshot() if isinstance(index, Snapshots) else LiveView(index)


@runtime_checkable
class Compactable(Protocol):
    """What an engine may offer further: it keeps superseded states, and can drop them."""

    def compact(self) -> None:
        """Drop superseded states: afterwards the index equals a rebuilt one. Raises: as ``SessionIndex.put``."""
        ...


@runtime_checkable
class SharedByStores(Protocol):
    """What an engine may offer further: it holds the rows of several stores, also of other hosts."""

    def stores(self) -> list[dict[str, Any]]:
        """Return the registered stores: ``host``, ``path``, ``seen_at`` (a datetime) and ``rows``.

        Raises: IndexUnavailable.
        """
        ...

    def forget(self, host: str, path: str) -> int:
        """Unregister a store with its rows; return how many stores were removed. Raises: IndexUnavailable."""
        ...


class Subscription(Protocol):
    """Notifications of changes, for one thread; another thread may close it."""

    @property
    def closed(self) -> bool:
        """Whether it was closed, or lost its connection."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as a change is notified, False after the time or when the connection is lost."""
        ...

    def close(self) -> None:
        """End the subscription, and a wait."""
        ...


@runtime_checkable
class Notifies(Protocol):
    """What an engine may offer further: it notifies of changes, whichever process made them."""

    def subscribe(self) -> Subscription:
        """Return a new subscription. Raises: IndexUnavailable, NewerFormat."""
        ...


def full_url(url: str) -> str:
    """Return the URL that is meant: the name of an engine alone is its default place."""
    return url if ":" in url else f"{url}:"


def choose_url(given: str | None, environment: Mapping[str, str], settings: Mapping[str, Any]) -> str | None:
    """Return the URL of the index: the argument, SESSIONSTORE_INDEX, format.json, DB_HOST and its kin, or None.

    DB_* come last, since other programs use these names for databases of their own. A server's URL without a password
    takes DB_PASSWORD; without that, the driver looks into PGPASSWORD and ~/.pgpass.
    """
    url = given or environment.get("SESSIONSTORE_INDEX") or settings.get("index")
    if not isinstance(url, str):
        if not environment.get("DB_HOST"):
            return None
        from sessionstore.index.url import url_of_database

        url = url_of_database(environment)
    password = environment.get("DB_PASSWORD")
    if password and url.startswith(("postgresql://", "postgres://")):
        from sessionstore.index.url import with_password

        return with_password(url, password)
    return url


def open_index(
    url: str | None, root: FilePath, quarantine: Quarantine | None = None, read_only: bool = False
) -> SessionIndex:
    """Return the engine that a URL names; nothing is made, and no server is asked, before the first use.

    An engine whose software is missing opens all the same and says so when it is used: it costs no session.

    Args:
        quarantine: keeps what a journal cuts off its torn end (by default beside it).
        read_only: reading writes nothing, not even to compact, or to make an index (an examination changes nothing).
            Other engines never write when they are read, and need not know.

    Raises: InvalidQuery: no engine has this scheme, a setting in the URL is wrong, or the journal is another store's.
    """
    from sessionstore.index.journal.engine import JournalIndex

    text = full_url(url or "journal")
    scheme, _, rest = text.partition(":")
    if scheme == "journal":
        path = FilePath(rest).expanduser().absolute() if rest else root / "index.jsonl"
        columns = None if read_only else root / PRIVATE / "columns"
        if path == root / "index.jsonl":
            return JournalIndex(path, quarantine, read_only, columns=columns)
        from sessionstore.index.journal.outside import OutsideClaim

        return JournalIndex(path, quarantine, read_only, OutsideClaim(path, root), columns)
    if scheme == "sqlite":
        from sessionstore.index.sql.sqlite import SqliteIndex
        from sessionstore.index.url import parse_url

        return SqliteIndex(parse_url(text), root, read_only)
    if scheme in ("postgresql", "postgres"):
        return _open_postgres(text, root)
    return _open_foreign(scheme, text, root)


def _open_postgres(url: str, root: FilePath) -> SessionIndex:
    from sessionstore.index.url import parse_url, show_url

    settings = parse_url(url)
    try:
        from sessionstore.index.sql.postgres import PostgresIndex
    except ImportError as error:
        from sessionstore.index.missing_driver import MissingDriverIndex

        return MissingDriverIndex(show_url(url), f"needs pip install sessionstore[postgresql] ({error})")
    return PostgresIndex(settings, url, root)


def _open_foreign(scheme: str, url: str, root: FilePath) -> SessionIndex:
    """Return an engine of a third party, which an entry point of the group :data:`ENTRY_POINTS` names by its scheme."""
    from importlib.metadata import entry_points

    found = {each.name: each for each in entry_points(group=ENTRY_POINTS)}
    if scheme not in found:
        known = ", ".join(f"{name}:" for name in ("journal", "sqlite", "postgresql", *sorted(found)))
        raise InvalidQuery(f"no index engine is called {scheme!r} (there are {known})")
    try:
        factory = found[scheme].load()
    except Exception as error:  # noqa: BLE001 any failure of a plug-in at its import: the session is recorded
        from sessionstore.index.missing_driver import MissingDriverIndex
        from sessionstore.index.url import show_url

        return MissingDriverIndex(
            show_url(url), f"the plug-in {found[scheme].value} failed: {type(error).__name__}: {error}"
        )
    engine: SessionIndex = factory(url, root)
    return engine
