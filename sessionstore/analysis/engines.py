"""Closed-off DuckDB engines: one for each open store and memory limit, kept, because making one takes 15 ms.

An engine may open no file, load no extension and read no variable of the program; its settings are locked from the
start. Each query has a connection of its own with tables of its own (temporary ones), which go with the connection.
An engine goes when its store and the answers that it gave are gone.
Another engine of the process reads lines and columns; it runs no statement of a user.
Not here: which statement is taken (analysis.query).
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

import duckdb

from sessionstore.store import SessionStore

_SETTINGS = ("temp_directory = ''", "TimeZone = 'UTC'", "enable_external_access = false", "lock_configuration = true")
_lock = threading.Lock()
_engines: weakref.WeakKeyDictionary[SessionStore, dict[int, Any]] = weakref.WeakKeyDictionary()
_readers: list[Any] = []
_of_parent: list[Any] = []


def connection(store: SessionStore, memory_mb: int) -> Any:
    """Return a new connection to the closed-off engine of a store; the limit is for all its queries together."""
    with _lock:
        engines = _engines.setdefault(store, {})
        if memory_mb not in engines:
            engines[memory_mb] = _closed_off(memory_mb)
        return engines[memory_mb].cursor()


def reader() -> Any:
    """Return a new connection to the one engine of this process that runs no statement of a user."""
    with _lock:
        if not _readers:
            _readers.append(duckdb.connect(":memory:", config={"python_enable_replacements": "false"}))
        return _readers[0].cursor()


def _closed_off(memory_mb: int) -> Any:
    engine = duckdb.connect(
        ":memory:", config={"python_enable_replacements": "false", "memory_limit": f"{memory_mb}MB"}
    )
    for setting in _SETTINGS:
        engine.execute(f"SET GLOBAL {setting}").fetchall()
    return engine


def _after_fork() -> None:
    """Give a forked process engines of its own: those of its parent have no threads there, and cannot be closed."""
    global _engines, _lock
    _of_parent.extend([*_engines.values(), *_readers])
    _readers.clear()
    _engines, _lock = weakref.WeakKeyDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
