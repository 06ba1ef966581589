"""Placeholder for a missing driver: every call raises IndexUnavailable, and recording goes on.

Not here: engines that fail for a while (index.circuit_breaker).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from sessionstore.errors import IndexUnavailable
from sessionstore.index import RowStamp
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter


class MissingDriverIndex:
    """An index whose every call raises IndexUnavailable with the reason."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self._reason = url, reason

    def _fail(self) -> NoReturn:
        raise IndexUnavailable(f"{self.url}: {self._reason}")

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Raises: IndexUnavailable."""
        self._fail()

    def remove(self, session_ids: Iterable[str]) -> None:
        """Raises: IndexUnavailable."""
        self._fail()

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Raises: IndexUnavailable."""
        self._fail()

    def stamps(self) -> Mapping[str, RowStamp]:
        """Raises: IndexUnavailable."""
        self._fail()

    def active(self) -> Sequence[SessionRow]:
        """Raises: IndexUnavailable."""
        self._fail()

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Raises: IndexUnavailable."""
        self._fail()

    def health(self) -> dict[str, Any]:
        """Raises: IndexUnavailable."""
        self._fail()

    def version(self) -> object:
        """Raises: IndexUnavailable."""
        self._fail()

    def close(self) -> None:
        """Do nothing."""
