"""An operation that is stopped before one of its system calls on a folder, while another one runs whole.

The calls: opening, looking, listing (and between a listing and the first look at what was listed), locking, writing,
renaming, removing. Not here: which operations there are (deeds).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from sessionstore.disk import files, locks

_CALLS = ("open", "stat", "lstat", "scandir", "listdir", "write", "replace", "rename", "unlink", "mkdir", "fsync")


class Stopped:
    """Counts the calls of an operation on one folder, and runs another one at one of them."""

    def __init__(self, folder: Path, at: int = -1, other: Callable[[], None] | None = None) -> None:
        self._folder, self._at, self._other = str(folder), at, other
        self.calls: list[str] = []
        self._descriptors: dict[int, str] = dict(_open_files())
        self._active = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count while the block runs."""
        calls = {name: self._wrapped(name, getattr(os, name)) for name in _CALLS}
        with (
            mock.patch.multiple(os, **calls),
            mock.patch.object(locks, "_try_lock", self._wrapped("lock", locks._try_lock)),
            mock.patch.object(files, "observer", self._noted),
        ):
            self._active = True
            try:
                yield
            finally:
                self._active = False

    def _noted(self, operation: str, path: str, payload: object) -> None:
        if operation in ("rename", "truncate"):  # not by a function of os that is wrapped
            self._step(f"{operation} {self._short(path)}")

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self._active and args and (place := self._place(args[0])) is not None:
                self._step(f"{name} {place}")
            result = call(*args, **kwargs)
            if name == "scandir" and self._active and args and (place := self._place(args[0])) is not None:
                result = _Listed(list(result))
                self._step(f"listed {place}")  # between the listing and a look at what was listed
            if name == "open" and self._active:
                self._descriptors[result] = os.fsdecode(args[0])
            return result

        return wrapped

    def _place(self, target: Any) -> str | None:
        text = self._descriptors.get(target, "") if isinstance(target, int) else os.fsdecode(target)
        return self._short(text) if text.startswith(self._folder) else None

    def _short(self, path: str) -> str:
        return path.removeprefix(self._folder).lstrip("/")

    def _step(self, what: str) -> None:
        self.calls.append(what)
        if len(self.calls) - 1 == self._at and self._other is not None:
            self._active = False
            try:
                self._other()
            finally:
                self._active = True


def _open_files() -> Iterator[tuple[int, str]]:
    """Yield the files that are open in this process, where the system names them."""
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with suppress(OSError):
            yield int(number), os.readlink(f"/proc/self/fd/{number}")


class _Listed:
    """What ``os.scandir`` found, which is given out like what it returns."""

    def __init__(self, found: list[os.DirEntry[str]]) -> None:
        self._left = iter(found)

    def __iter__(self) -> _Listed:
        return self

    def __next__(self) -> os.DirEntry[str]:
        return next(self._left)

    def __enter__(self) -> _Listed:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        """Nothing is open."""
