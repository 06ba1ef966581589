"""The rooms above a store and a session, each imported when it is first asked: the only place where imports point up.

``store.merge(...)`` and ``session.plot()`` are methods because users look for them there; the work is done in a room
that itself needs stores and sessions. Each function here returns what does the work, and nothing else imports upwards.
Not here: the methods and what they promise (store, session), the order of the rooms (tests/test_architecture.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstore.analysis.query import Answer as Answer
    from sessionstore.exchange.merge import MergeReport as MergeReport
    from sessionstore.exchange.packing import PackReport as PackReport
    from sessionstore.formats import ImportReport as ImportReport
    from sessionstore.maintenance.findings import Report as Report
    from sessionstore.sweeps.sweep import Sweep as Sweep


def examine() -> Callable[..., Report]:
    """Return :func:`sessionstore.maintenance.doctor.examine`."""
    from sessionstore.maintenance.doctor import examine

    return examine


def merge() -> Callable[..., MergeReport]:
    """Return :func:`sessionstore.exchange.merge.merge`."""
    from sessionstore.exchange.merge import merge

    return merge


def push() -> Callable[..., MergeReport]:
    """Return :func:`sessionstore.exchange.remote.transfer.push`."""
    from sessionstore.exchange.remote.transfer import push

    return push


def pack_sessions() -> Callable[..., PackReport]:
    """Return :func:`sessionstore.exchange.packing.pack_sessions`."""
    from sessionstore.exchange.packing import pack_sessions

    return pack_sessions


def import_path() -> Callable[..., ImportReport]:
    """Return :func:`sessionstore.formats.import_path`."""
    from sessionstore.formats import import_path

    return import_path


def export_session() -> Callable[..., Path]:
    """Return :func:`sessionstore.formats.export_session`."""
    from sessionstore.formats import export_session

    return export_session


def export_sessions() -> Callable[..., Path]:
    """Return :func:`sessionstore.formats.export_sessions`."""
    from sessionstore.formats import export_sessions

    return export_sessions


def ask() -> Callable[..., Answer]:
    """Return :func:`sessionstore.analysis.query.ask`. Raises: ModuleNotFoundError (the extra ``analysis``)."""
    from sessionstore.analysis.query import ask

    return ask


def sessions_frame() -> Callable[..., Any]:
    """Return :func:`sessionstore.analysis.frames.sessions_frame`. Raises: as :func:`ask`."""
    from sessionstore.analysis.frames import sessions_frame

    return sessions_frame


def stream_frame() -> Callable[..., Any]:
    """Return :func:`sessionstore.analysis.frames.stream_frame`. Raises: as :func:`ask`."""
    from sessionstore.analysis.frames import stream_frame

    return stream_frame


def stored_columns() -> Callable[..., Any]:
    """Return :func:`sessionstore.analysis.typed_columns.stored`. Raises: as :func:`ask`."""
    from sessionstore.analysis.typed_columns import stored

    return stored


def make_columns() -> Callable[..., Any]:
    """Return :func:`sessionstore.analysis.columns.make_all`. Raises: as :func:`ask`."""
    from sessionstore.analysis.columns import make_all

    return make_all


def plot() -> Callable[..., Any]:
    """Return :func:`sessionstore.analysis.plots.plot`."""
    from sessionstore.analysis.plots import plot

    return plot


def sweep() -> Callable[..., Sweep]:
    """Return :func:`sessionstore.sweeps.sweep.sweep`."""
    from sessionstore.sweeps.sweep import sweep

    return sweep


def all_sweeps() -> Callable[..., list[Sweep]]:
    """Return :func:`sessionstore.sweeps.sweep.all_sweeps`."""
    from sessionstore.sweeps.sweep import all_sweeps

    return all_sweeps
