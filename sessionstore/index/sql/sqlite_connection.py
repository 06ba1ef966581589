"""A connection to an SQLite file, and the errors of SQLite as those of an index.

Not here: when connections are opened and lent (index.sql.sqlite).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessionstore.errors import Corrupt, IndexUnavailable, NotApplied, SessionStoreError
from sessionstore.query import Path as Keys


class NoFile(Exception):
    """There is no file to read."""


class Connection(sqlite3.Connection):
    """A connection, and what is known of the file that it is open on."""

    identity: tuple[int, int] | None = None
    store: int | None = None  # the number of the store that wrote through it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settled: set[Keys] = set()  # the paths that have an index, or get none


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what goes wrong inside as IndexUnavailable, or as Corrupt when the file is damaged."""
    try:
        yield
    except SessionStoreError as error:
        if isinstance(error, NotApplied) and not isinstance(error, IndexUnavailable):
            raise IndexUnavailable(f"{path}: {error}") from error
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Corrupt(str(error), path) from error
        raise IndexUnavailable(f"{path}: {error}") from error
    except OSError as error:
        raise IndexUnavailable(f"{path}: {error.strerror}") from error
