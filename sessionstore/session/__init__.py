"""One session: its folder, document and streams, the handle that programs hold, the recorder.

Not here: all sessions (store), searching (index), reading a recording back (playback).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstore.session.handle import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    if name != "Session":
        raise AttributeError(f"module 'sessionstore.session' has no attribute {name!r}")
    from sessionstore.session.handle import Session  # late: every module of this folder would import the handle first

    return Session
