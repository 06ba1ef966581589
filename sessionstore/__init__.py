"""A flight recorder for simulation fleets: every session is a folder; the index over them is derived.

    import sessionstore

    with sessionstore.open("training_sessions") as store:
        with store.record("Butterfly", metadata={"pilot": "Ada"}) as session:
            session.motion.append("scout-1", t_s=0.05, position_m=(0, 0, 5))
            session.log("on its way")

Names below are imported when they are first used, so that ``import sessionstore`` stays quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if sys.version_info < (3, 11):  # noqa: UP036 a checkout is run without the check of an installer
    raise ImportError(
        f"sessionstore needs Python 3.11 or newer; this is Python {'.'.join(map(str, sys.version_info[:2]))}"
    )

if TYPE_CHECKING:
    from sessionstore.errors import *  # noqa: F403
    from sessionstore.index.journal.tinydb_storage import JournalDatabase
    from sessionstore.model.values import register as register_type
    from sessionstore.session import Session
    from sessionstore.session.current import ProgramRecorder
    from sessionstore.session.documents import Database
    from sessionstore.session.recorder import Recorder
    from sessionstore.store import SessionStore

__version__ = "0.2.0.dev0"
from sessionstore import errors as _errors  # light: it imports nothing

_ERRORS = [name for name, value in vars(_errors).items() if isinstance(value, type) and issubclass(value, Exception)]

_HOMES = {
    "Database": "sessionstore.session.documents",
    "JournalDatabase": "sessionstore.index.journal.tinydb_storage",
    "Recorder": "sessionstore.session.recorder",
    "Session": "sessionstore.session.handle",
    "SessionStore": "sessionstore.store.store",
    "register_type": "sessionstore.model.values",
    **dict.fromkeys(_ERRORS, "sessionstore.errors"),
}
_NAMED_THERE = {"register_type": "register"}
__all__ = [
    "Database",
    "JournalDatabase",
    "Recorder",
    "Session",
    "SessionStore",
    "__version__",
    "current",
    "open",
    "register_type",
]
__all__ += _ERRORS


def open(
    folder: str | Path | None = None,
    index: str | None = None,
    force: bool = False,
    sync: Literal["full", "os"] = "full",
) -> SessionStore:
    """Return the store in a folder (by default SESSIONSTORE_DIR, the nearest store at or above, ./training_sessions).

    Args:
        folder: a path; or read-only the URL of a store (``s3://bucket/fleet``) or a ZIP of sessions (docs: remote).
        index: the URL of the index engine (``journal:`` by default).
        force: write even to a file system whose locks cannot be trusted.
        sync: ``full``: what was created or changed survives a power cut; ``os``: the death of the process only.

    A named folder that does not exist is made by the first write; until then, listings raise StoreNotFound.

    Raises: NewerFormat, Corrupt: what is there was not touched.
    """
    from sessionstore.layout import is_named, is_remote
    from sessionstore.store import SessionStore

    named = folder if folder is not None else os.environ.get("SESSIONSTORE_DIR")
    if named and is_remote(named):
        from sessionstore.exchange.remote.store import RemoteStore

        return RemoteStore(str(named))
    store = SessionStore(folder, index, force, sync)
    store.root.must_exist = is_named(folder)
    return store


def current() -> ProgramRecorder | None:
    """Return the session that ``sessionstore exec`` made for this program; None when it was started without.

        run = sessionstore.current() or sessionstore.open("my_store").record("Alone")
        with run: ...

    Raises: SessionNotFound: SESSIONSTORE_SESSION names a session that is not in the store of SESSIONSTORE_DIR.
    """
    from sessionstore.session.current import attached

    store = open()
    return attached(store.root, store.catalog.delivery.changed)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sessionstore' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), _NAMED_THERE.get(name, name))


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()} - {"Any", "Literal", "Path", "TYPE_CHECKING", "annotations", "os", "sys"})
