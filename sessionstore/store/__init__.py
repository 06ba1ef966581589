"""All sessions of one folder: the store, its catalog and trash, ids, and the history of edits.

Not here: one session (session), engines (index), checks and repairs (maintenance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstore.store.store import SessionStore

__all__ = ["SessionStore"]


def __getattr__(name: str) -> Any:
    if name != "SessionStore":
        raise AttributeError(f"module 'sessionstore.store' has no attribute {name!r}")
    from sessionstore.store.store import SessionStore  # late: every module of this folder would import the store first

    return SessionStore
