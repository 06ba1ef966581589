"""The index over all sessions: one small protocol, engines behind it, chosen by URL.

An index is a cache of the folders: it may be lost, late or wrong, and the store puts it right. What an engine promises
is only that what was put is found, and that :meth:`SessionIndex.stamps` tells the truth about what it holds.

    journal:                   index.jsonl in the store (the default)
    journal:/path/index.jsonl  elsewhere

Not here: adopting folders, staleness, the computed status (store); the filter language (query).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sessionstore.errors import InvalidQuery
from sessionstore.query import Filter
from sessionstore.records import SessionRow
from sessionstore.streams import Quarantine

#: Which state of its file a row mirrors: (size in bytes, mtime in ns).
RowStamp = tuple[int, int]


class SessionIndex(Protocol):
    """What every engine does; rows are keyed by session id, and putting is replacing."""

    @property
    def url(self) -> str:
        """The URL that opens this index again, without secrets."""
        ...

    def put(self, rows: Iterable[SessionRow]) -> None:
        """Insert or replace rows. Raises: IndexUnavailable, StoreUnusable, LockTimeout: the folders are untouched."""
        ...

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove rows, durably; unknown ids are fine. Raises: as :meth:`put`, and OutcomeUnknown."""
        ...

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Hold exactly these rows afterwards, or what was there before. Raises: as :meth:`put`."""
        ...

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return which file state each row mirrors, by session id. Raises: IndexUnavailable, Corrupt."""
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

    def health(self) -> dict[str, Any]:
        """Return ``engine``, ``url`` and figures. Raises: IndexUnavailable, Corrupt."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def open_index(url: str | None, root: Path, quarantine: Quarantine | None = None) -> SessionIndex:
    """Return the engine that a URL names; nothing is made before the first write.

    Args:
        quarantine: keeps what a journal cuts off its torn end (by default beside it).

    Raises: InvalidQuery: no engine has this scheme.
    """
    from sessionstore.index.journal import JournalIndex

    scheme, _, rest = (url or "journal:").partition(":")
    if scheme == "journal":
        return JournalIndex(Path(rest).expanduser().absolute() if rest else root / "index.jsonl", quarantine)
    raise InvalidQuery(f"no index engine is called {scheme!r} (there is journal:)")
