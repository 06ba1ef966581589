"""Notifications of changes from PostgreSQL (LISTEN/NOTIFY), across hosts.

Writers notify only while a subscriber asks for it, which it does again every half minute.
Not here: the SQL of rows (index.sql.postgres), waiting where notifications do not arrive (index.changes).
"""

from __future__ import annotations

import contextlib
import math
import time

import psycopg
from psycopg import errors, sql

from sessionstore.index.sql.postgres_pool import Connection

#: Ask writers to notify for the next minute.
KEEP_NOTIFYING = "UPDATE {schema}.watch SET until = now() + interval '60 s'"
_ASK_AGAIN_S = 30.0


class Notifications:
    """A subscription over one connection; see :class:`sessionstore.index.Subscription`. Raises: psycopg.Error."""

    def __init__(self, connection: Connection, channel: str, keep_notifying: bytes) -> None:
        self._connection, self._keep_notifying = connection, keep_notifying
        try:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._ask()
        except BaseException:
            connection.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether it was closed, or lost its connection."""
        return self._connection.closed

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as a change is notified, False after the time or when the connection is lost."""
        connection = self._connection
        try:
            if time.monotonic() - self._asked_at > _ASK_AGAIN_S:
                self._ask()
            limit_s, connection.limit_s = connection.limit_s, math.inf  # here, silence is not a failure
            try:
                return any(True for _ in connection.notifies(timeout=timeout_s, stop_after=1))
            finally:
                connection.limit_s = limit_s
        except psycopg.Error:
            connection.close()
            return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        with contextlib.suppress(errors.UndefinedTable, errors.InvalidSchemaName):  # no store has written yet
            self._connection.execute(self._keep_notifying)
