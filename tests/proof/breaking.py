"""The protocol, broken on purpose in each way that the proof must notice: a checker that cannot fail proves nothing.

Which fault shows which way (each cell is a test; the others cannot: a kill takes nothing from the system's cache, a
power cut knows no second process):

                              kills  errors  crash states  power cuts  processes  readers
    (a) no fsync(file)                        x             x
    (b) no fsync(directory)                   x             x
    (c) in-place write         x      x       x             x           x          x
    (d) lock let go early                                               x
    (e) unlink first           x      x       x                                    x
    (f) a reused handle                                                 x
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sessionstore.disk import files, locks
from sessionstore.index.sql import sqlite_schema
from sessionstore.session import documents

Setter = Callable[[object, str, Any], None]


def no_fsync(put_in: Setter) -> None:
    """(a) Files are not synced."""
    put_in(files, "sync_file", lambda *arguments, **options: None)


def no_directory_fsync(put_in: Setter) -> None:
    """(b) Directories are not synced."""
    put_in(files._Directory, "sync", lambda self: None)


def in_place(put_in: Setter) -> None:
    """(c) A file is emptied and written again."""

    def put(path: str | Path, data: bytes | Iterable[bytes], **_: bool) -> os.stat_result:
        data = data if isinstance(data, bytes) else b"".join(data)
        descriptor = files.open_to_append(path, durable=True)
        try:
            files.truncate(descriptor, 0, path)
            files.write_all(descriptor, data, path)
            files.sync_file(descriptor, path)
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    put_in(files, "put", put)
    put_in(files, "put_visible", lambda *arguments, **options: (put(*arguments, **options), None))


def early_unlock(put_in: Setter) -> None:
    """(d) The lock of a document, and of the store, is let go before the file is replaced."""

    def early(whole: Callable[..., Any]) -> Callable[..., Any]:
        @contextlib.contextmanager
        def hold(self: locks.Locks, *arguments: Any) -> Iterator[None]:
            with whole(self, *arguments):
                pass
            yield

        return hold

    enter = locks._Slot.__enter__

    def take_and_free(self: locks._Slot) -> None:
        enter(self)
        self._free()

    put_in(locks.Locks, "_hold", early(locks.Locks._hold))
    put_in(locks._Slot, "__enter__", take_and_free)


def unlink_first(put_in: Setter) -> None:
    """(e) The old file is removed before the directory holds the new one for good."""

    def put(path: str | Path, data: bytes | Iterable[bytes], **_: bool) -> os.stat_result:
        data = data if isinstance(data, bytes) else b"".join(data)
        new = f"{path}.new"
        status = files.create(new, data)
        files.remove(path)
        files.rename_new(new, path)
        files.prove_renamed(os.path.dirname(path))
        return status

    put_in(files, "put", put)
    put_in(files, "put_visible", lambda *arguments, **options: (put(*arguments, **options), None))


def reused_handle(put_in: Setter) -> None:
    """(f) A TinyDB table goes on with what it remembers, and nobody is excluded while it writes."""
    put_in(documents.SharedTable, "_forget", lambda self: None)


def deaf(put_in: Setter) -> None:
    """(and besides) An fsync that fails is not told."""
    whole = files.sync_file

    def sync_file(descriptor: int, path: str | Path, *, data_only: bool = False) -> None:
        with contextlib.suppress(OSError):
            whole(descriptor, path, data_only=data_only)

    put_in(files, "sync_file", sync_file)


def two_commits(put_in: Setter) -> None:
    """(and besides) An SQLite file gets its new tables in one transaction and its version in another."""
    migrate = sqlite_schema._migrate

    def migrate_and_commit(connection: sqlite3.Connection, path: Path) -> None:
        migrate(connection, path)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")

    put_in(sqlite_schema, "_migrate", migrate_and_commit)


WAYS = {
    way.__name__: way
    for way in (no_fsync, no_directory_fsync, in_place, early_unlock, unlink_first, reused_handle, deaf, two_commits)
}


def break_by_environment() -> None:
    """Break this process in the way that PROOF_BREAK names; for child processes of negative controls."""
    if way := os.environ.get("PROOF_BREAK"):
        WAYS[way](setattr)
