"""Every error of this package, as one tree; each says what state it leaves behind.

    SessionStoreError
    ├── NotApplied                 nothing changed
    │   ├── InvalidName            ValueError     a name that cannot be stored (lone surrogates, NUL, too long)
    │   ├── InvalidRecord          ValueError     a field or value that the schema refuses
    │   ├── InvalidQuery           ValueError     a filter that cannot be understood
    │   ├── IllegalTransition      ValueError     a status change that is not allowed
    │   ├── TimeOrderError         ValueError     a sim_time below the last one of its stream
    │   ├── Conflict                              the record changed meanwhile, or the name is taken
    │   ├── LockTimeout            TimeoutError   the lock was not free in time
    │   ├── StreamClosed                          the writer was closed before
    │   ├── StoreUnusable          OSError        the store cannot be written (permission, disk full, file system)
    │   │   ├── UnsafeFilesystem                  a file system whose locks cannot be trusted
    │   │   └── ReadOnlyStore                     a store behind a URL, or in a ZIP, is only read
    │   ├── IndexUnavailable       ConnectionError  the index engine does not answer; the folders are whole
    │   ├── RemoteUnavailable      ConnectionError  a remote store does not answer, or changed while it was read
    │   │   └── RemoteRefused                     it refuses access
    │   └── SessionNotFound        KeyError       no such session
    │       ├── SessionGone                       it was deleted while you held it
    │       ├── StoreNotFound                     there is no store at the named place
    │       └── AmbiguousSession                  more than one session fits
    ├── OutcomeUnknown             OSError        the new value may be visible, its durability is not proven
    └── Unreadable                 ValueError     a file on disk cannot be used; it was not touched
        ├── Corrupt                               does not parse, fails its CRC, breaks its sequence
        ├── NewerFormat                           written by a newer version of this package
        └── UnsafeFile                            a symlink, FIFO, device or directory where a file belongs

Errors take positional arguments only, so that they pickle; the sentence is their first argument.
Not here: exit codes (cli) and HTTP statuses (server): each keeps one table of this tree.
"""

from __future__ import annotations

from pathlib import Path


class SessionStoreError(Exception):
    """The base of all errors of this package."""


class NotApplied(SessionStoreError):
    """The operation was refused or failed; nothing changed."""


class InvalidName(NotApplied, ValueError):
    """The name cannot be stored; nothing changed."""


class InvalidRecord(NotApplied, ValueError):
    """A field or value is not allowed; nothing changed."""


class InvalidQuery(NotApplied, ValueError):
    """The filter cannot be understood; nothing was searched."""


class IllegalTransition(NotApplied, ValueError):
    """The status may not change that way; nothing changed."""


class TimeOrderError(NotApplied, ValueError):
    """The sim_time is not finite or is below the last one of the stream; nothing was written."""


class Conflict(NotApplied):
    """It changed meanwhile; nothing was written: read again and retry."""


class LockTimeout(NotApplied, TimeoutError):
    """The lock was not free in time; nothing changed, the lock was not stolen."""


class StreamClosed(NotApplied):
    """The stream writer is closed, or failed earlier; nothing was written."""


class StoreUnusable(NotApplied, OSError):
    """The store cannot be written; nothing changed."""


class UnsafeFilesystem(StoreUnusable):
    """Locks cannot be trusted on this file system; nothing changed."""


class ReadOnlyStore(StoreUnusable):
    """The store stands behind a URL or in a ZIP, where it is only read; nothing changed."""


class RemoteUnavailable(NotApplied, ConnectionError):
    """A remote store does not answer, or a file changed while it was read; try again."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class RemoteRefused(RemoteUnavailable):
    """A remote store refuses access: the credentials are missing or do not suffice."""


class IndexUnavailable(NotApplied, ConnectionError):
    """The index engine does not answer; the session folders are untouched."""


class SessionNotFound(NotApplied, KeyError):
    """No session has this id, prefix or name."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError would show its sentence in quotes


class SessionGone(SessionNotFound):
    """The session was deleted or moved while it was in use; nothing was written."""


class StoreNotFound(SessionNotFound):
    """The named store is a file or does not exist; nothing was made."""


class AmbiguousSession(SessionNotFound):
    """More than one session fits; the message names them."""


class OutcomeUnknown(SessionStoreError, OSError):
    """The new value may be visible, but its durability is not proven: read it back before you go on."""


class Unreadable(SessionStoreError, ValueError):
    """A file on disk cannot be used; not a byte of it was changed.

    Args: reason, path, and where the reader stopped: byte offset, line and column (counted from 1).
    """

    def __init__(
        self,
        reason: str,
        path: Path | str = "",
        offset: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(reason, path, offset, line, column)
        self.reason, self.path, self.offset, self.line, self.column = reason, str(path), offset, line, column

    def __str__(self) -> str:
        place = self.path
        if self.line is not None:
            place += f":{self.line}:{self.column}" if self.column is not None else f":{self.line}"
        elif self.offset is not None:
            place += f" at byte {self.offset}"
        return f"{place}: {self.reason}" if place else self.reason


class Corrupt(Unreadable):
    """It does not parse, does not validate, fails its checksum or breaks its sequence."""


class NewerFormat(Unreadable):
    """It was written by a newer version of this package; upgrade to read it."""


class UnsafeFile(Unreadable):
    """A symbolic link, FIFO, device or directory is in the place of a plain file."""
