"""The columns of a flight for the page, where the extra ``analysis`` is installed; else windows are read from lines.

Not here: windows from columns (analysis.flight_columns), summaries of flights without columns (overviews).
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from sessionstore.errors import SessionStoreError
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.playback.downsample import Windows
from sessionstore.session import Session, stream_source
from sessionstore.session.motion import MOTION_STREAM


@functools.cache
def available() -> bool:
    """Whether columns can be made and read here."""
    return all(find_spec(name) is not None for name in ("duckdb", "pyarrow"))


@functools.cache
def _reader() -> Callable[[Session], Windows | None]:
    from sessionstore.analysis.flight_columns import flight_columns

    return flight_columns


def flight_windows(session: Session) -> Windows | None:
    """Return the columns of a flight; None: it has none that fit. Raises: as ``Session.record``."""
    return _reader()(session) if available() else None


def field_lines(
    session: Session, query: Mapping[str, Any], start_s: float, end_s: float
) -> dict[str, tuple[list[float], list[float]]] | None:
    """Return one field over time as a request asks for it; None: it is derived, or there are no columns that fit."""
    if not available() or any(query.get(name) is not None for name in ("derive", "minus", "attempt")):
        return None
    from sessionstore.analysis.field_columns import field_lines

    return field_lines(session, query["stream"], query["field"], start_s, end_s, query["points"], query.get("drone"))


def can_have_columns(session: Session) -> bool:
    """Whether columns can be made of a session: it has ended, and its store takes them."""
    if not available() or session.record.status not in FINAL_STATUSES:
        return False
    if stream_source.is_elsewhere(session.stream_path(MOTION_STREAM)):
        return False
    try:
        return (session.root.settings() or {}).get("columns") != "never"
    except SessionStoreError:
        return False


def begin(session: Session) -> subprocess.Popen[Any]:
    """Start a process that makes the columns of a session."""
    command = ["columns", session.session_id, "--dir", session.root.text]
    return subprocess.Popen(
        [sys.executable, "-m", "sessionstore", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
