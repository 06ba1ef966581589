"""An index engine as a third party writes it from the docstrings of sessionstore.index alone: one JSON file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from sessionstore.errors import Corrupt, IndexUnavailable
from sessionstore.index import RowStamp
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.query import Filter, matcher


class OneFileIndex:
    """Rows by session id in one JSON file, which every change replaces."""

    def __init__(self, url: str, root: Path) -> None:
        self.url = url
        self._path = root / "onefile.json"

    @contextmanager
    def _changing(self) -> Iterator[dict[str, SessionRow]]:
        try:
            with FileLock(f"{self._path}.lock", timeout=3):
                rows = self._read()
                yield rows
                temporary = self._path.with_suffix(f".{os.getpid()}")
                temporary.write_bytes(msgspec.json.encode(rows))
                temporary.replace(self._path)
        except Timeout as error:
            raise IndexUnavailable(f"{self._path} is locked") from error

    def _read(self) -> dict[str, SessionRow]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, SessionRow])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise Corrupt(str(error), self._path) from error

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        with self._changing() as kept:
            for row in rows:
                known = kept.get(row.session_id)
                if exact or known is None or known.uuid != row.uuid or known.rev <= row.rev:
                    kept[row.session_id] = row

    def remove(self, session_ids: Iterable[str]) -> None:
        with self._changing() as kept:
            for session_id in session_ids:
                kept.pop(session_id, None)

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        wanted = {row.session_id: row for row in rows}
        with self._changing() as kept:
            kept.clear()
            kept.update(wanted)

    def stamps(self) -> Mapping[str, RowStamp]:
        return self._read()

    def active(self) -> Sequence[SessionRow]:
        return [row for row in self._read().values() if row.status in ("running", "paused")]

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        why = interrupted or {}
        shown = [as_interrupted(row, why[name]) if name in why else row for name, row in self._read().items()]
        fits = matcher(tree, SessionRow.get)
        return sorted((row for row in shown if fits(row)), key=lambda row: (row.created_at, row.session_id))

    def version(self) -> object:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def health(self) -> dict[str, Any]:
        return {"engine": "onefile", "url": self.url, "rows": len(self._read())}

    def close(self) -> None:
        pass
