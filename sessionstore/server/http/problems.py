"""Every error as problem+json (RFC 9457): one table from exception classes to statuses.

A class without a line of its own is answered as its base. Bodies hold no path, no trace and nothing of the system:
what a message says about files is said relative to the store. What is not in the table is a bug: 500, and only a number
that stands in the log too.
Not here: which checks raise what (security, app), exit codes (cli).
"""

from __future__ import annotations

import errno
import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from sessionstore import errors
from sessionstore.simulation import errors as flights

PROBLEM = "application/problem+json"
RETRY_AFTER_S = 2
logger = logging.getLogger("sessionstore.server")

#: What clients branch on: status and the slug of the type.
TABLE: dict[type[BaseException], tuple[int, str]] = {
    errors.SessionStoreError: (500, "store-error"),
    errors.NotApplied: (409, "not-applied"),
    errors.InvalidName: (400, "invalid-name"),
    errors.InvalidRecord: (400, "invalid-record"),
    errors.InvalidQuery: (400, "invalid-query"),
    errors.IllegalTransition: (409, "illegal-transition"),
    errors.TimeOrderError: (409, "time-order"),
    errors.Conflict: (409, "conflict"),
    errors.LockTimeout: (503, "lock-timeout"),
    errors.ReadOnlyStore: (403, "read-only-store"),
    errors.RemoteUnavailable: (503, "remote-unavailable"),
    errors.RemoteRefused: (502, "remote-refused"),
    errors.StreamClosed: (409, "stream-closed"),
    errors.StoreUnusable: (503, "store-unusable"),
    errors.UnsafeFilesystem: (503, "unsafe-filesystem"),
    errors.IndexUnavailable: (503, "index-unavailable"),
    errors.SessionNotFound: (404, "session-not-found"),
    errors.SessionGone: (410, "session-gone"),
    errors.StoreNotFound: (404, "store-not-found"),
    errors.AmbiguousSession: (409, "ambiguous-session"),
    errors.OutcomeUnknown: (500, "outcome-unknown"),
    # The file on disk cannot be used; a person can repair it.
    errors.Unreadable: (409, "unreadable"),
    errors.Corrupt: (409, "corrupt"),
    errors.NewerFormat: (409, "newer-format"),
    errors.UnsafeFile: (409, "unsafe-file"),
    flights.SimulationError: (409, "simulation"),
    flights.CityFileError: (400, "bad-city"),
    flights.ScenarioError: (400, "bad-scenario"),
    flights.NoPath: (409, "no-path"),
    flights.IllegalTransition: (409, "illegal-transition"),
    flights.CommandRefused: (400, "command-refused"),
    flights.NotRunning: (409, "not-running"),
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_QUIET_S = 10.0  # between two lines of the log about the same shortage
_TITLES = {
    400: "The request cannot be understood",
    401: "A token is needed",
    403: "The origin is not allowed",
    404: "Not found",
    405: "The method is not allowed",
    408: "The request took too long",
    409: "The state does not allow it",
    410: "The session was deleted",
    412: "The session was changed in the meantime",
    413: "The body is too large",
    414: "The address is too long",
    415: "The body is not JSON",
    416: "The range is not satisfiable",
    421: "This host name is not served",
    422: "The request cannot be carried out",
    431: "The headers are too large",
    500: "A bug, or an unknown outcome",
    503: "Temporarily unavailable",
    507: "The disk is full",
}


class ApiProblem(Exception):
    """A request is refused by the server itself; nothing changed."""

    def __init__(self, status: int, kind: str, detail: str, **more: Any) -> None:
        super().__init__(status, kind, detail)
        self.status, self.kind, self.detail, self.more = status, kind, detail, more


@dataclass(slots=True)
class Problem:
    """One problem as a client receives it."""

    status: int
    kind: str
    detail: str
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the body: ``success`` and ``error`` are what the users' older programs look at."""
        return {
            "type": f"urn:sessionstore:problem:{self.kind}",
            "title": _TITLES.get(self.status, "Refused"),
            "status": self.status,
            "detail": self.detail,
            "success": False,
            "error": self.detail,
            **self.more,
        }


def problem_of(error: BaseException, hidden: tuple[str, ...] = ()) -> Problem:
    """Return the problem that describes an error.

    Args:
        hidden: texts (the paths of the store) that no client may see.
    """
    if isinstance(error, ApiProblem):
        return Problem(error.status, error.kind, error.detail, dict(error.more))
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS:
        return _shortage(error)
    for base in type(error).__mro__:
        if base in TABLE:
            status, kind = TABLE[base]
            break
    else:
        return _bug(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        status, kind = 507, "disk-full"
    problem = Problem(status, kind, without_paths(_text(error), hidden))
    if isinstance(error, errors.Unreadable):
        problem.more = {"line": error.line, "column": error.column, "offset": error.offset}
    if status == 503:
        problem.headers["retry-after"] = str(RETRY_AFTER_S)
    return problem


def _text(error: BaseException) -> str:
    """Return the sentence of an error, without the file names that the system adds."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error)


def without_paths(text: str, hidden: tuple[str, ...]) -> str:
    """Return a text without the hidden paths; names below them stay."""
    for path in sorted(hidden, key=len, reverse=True):
        text = text.replace(path + "/", "").replace(path, "the store")
    return text


_reported_at = [float("-inf")]


def _shortage(error: OSError) -> Problem:
    """Answer that the process may open no more files; the log says it once in ten seconds, without a trace."""
    if time.monotonic() - _reported_at[0] > _QUIET_S:
        _reported_at[0] = time.monotonic()
        logger.error("too many open files: requests are refused until some are closed (raise `ulimit -n`)")
    headers = {"retry-after": str(RETRY_AFTER_S)}
    return Problem(503, "too-many-files", "the server has too many files open; try again", {}, headers)


def _bug(error: BaseException) -> Problem:
    number = uuid.uuid4().hex[:12]
    logger.error("error %s while answering", number, exc_info=error)
    return Problem(500, "bug", f"an unexpected error; the server's log has it as {number}")
