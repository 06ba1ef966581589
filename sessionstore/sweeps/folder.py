"""The files of a sweep: ``.sessionstore/sweeps/ID/`` in the store.

    sweep.json      what it is
    points.json     its points, with their hashes
    figures.jsonl   what its ended sessions hold, derived (results)
    results.json    rows and counts (counts.json) of a sweep at rest, derived (snapshot)
    study.log       of Optuna
    stop            asks the process that runs it to stop

The sessions are the truth of what was run; a sweep whose folder is lost is made again by its file, and runs nothing
twice. Not here: what the files hold (definition, results).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.disk.locks import lock_descriptor
from sessionstore.errors import Conflict, Corrupt, LockTimeout, SessionNotFound
from sessionstore.layout import StoreRoot
from sessionstore.sweeps.definition import Definition, Point

FOLDER = "sweeps"


class _Key(msgspec.Struct, gc=False):
    key: str


class SweepFolder:
    """The files of one sweep of a store."""

    def __init__(self, root: StoreRoot, sweep_id: str) -> None:
        self.root, self.sweep_id = root, sweep_id
        self.path: Path = root.private / FOLDER / sweep_id
        self.figures = self.path / "figures.jsonl"
        self._stop = self.path / "stop"

    def definition(self) -> Definition:
        """Return what the sweep is. Raises: SessionNotFound: there is no such sweep; Corrupt."""
        return msgspec.convert(self._read("sweep.json", dict), Definition)

    def points(self) -> list[Point]:
        """Return its points. Raises: as :meth:`definition`."""
        found: list[Point] = self._read("points.json", list[Point])
        return found

    def point_keys(self) -> list[str]:
        """Return the hashes of its points alone. Raises: as :meth:`definition`."""
        found: list[_Key] = self._read("points.json", list[_Key])
        return [each.key for each in found]

    def exists(self) -> bool:
        """Whether the sweep was started before."""
        return (self.path / "sweep.json").is_file()

    def keep(self, definition: Definition, points: list[Point]) -> None:
        """Store definition and points. Raises: StoreUnusable."""
        self.root.prepare()
        files.make_dirs(self.path)
        files.put(self.path / "points.json", b"[" + b",\n".join(map(msgspec.json.encode, points)) + b"]\n")
        files.put(self.path / "sweep.json", msgspec.json.format(msgspec.json.encode(definition)) + b"\n")

    def _read(self, name: str, kind: Any) -> Any:
        try:
            data, _ = files.read(self.path / name)
        except (FileNotFoundError, NotADirectoryError) as error:
            known = ", ".join(sweep_ids(self.root)) or "none"
            raise SessionNotFound(f"no sweep is called {self.sweep_id!r}; the sweeps here: {known}") from error
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise Corrupt(str(error), self.path / name) from error

    # ------------------------------------------------------------ one process runs it

    @contextlib.contextmanager
    def held(self, wait_s: float = 1.0) -> Iterator[None]:
        """Hold the sweep while it is run; the system frees it when the process dies. Raises: Conflict."""
        files.make_dirs(self.path)
        path = str(self.path / "lock")
        descriptor = files.open_to_append(path, durable=False)
        try:
            try:
                lock_descriptor(descriptor, path, wait_s)
            except LockTimeout as error:
                raise Conflict(f"the sweep {self.sweep_id} is being run by another process") from error
            yield
        finally:
            os.close(descriptor)

    def is_held(self) -> bool:
        """Whether a process runs the sweep now."""
        if not (self.path / "lock").is_file():
            return False
        try:
            with self.held(0.0):
                return False
        except Conflict:
            return True

    def ask_to_stop(self, reason: str) -> None:
        """Ask the process that runs the sweep to stop."""
        files.put(self._stop, reason.encode(), sync=False)

    def wish_to_stop(self) -> str | None:
        """Return the reason for which it was asked to stop, else None."""
        try:
            return self._stop.read_text("utf-8", "replace")
        except OSError:
            return None

    def go_on(self) -> None:
        """Forget an earlier wish to stop."""
        files.remove(self._stop)


def sweep_ids(root: StoreRoot) -> list[str]:
    """Return the ids of all sweeps of a store."""
    return sorted(path.parent.name for path in (root.private / FOLDER).glob("*/sweep.json"))
