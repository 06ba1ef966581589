"""Threads of the recorded program: one that dies with an exception shows in the end of the run that it used.

The hook of :mod:`threading` is chained, once a run has started: what was there before is called as well.
Not here: the run itself (recorder), threads of this package (stream_writer).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol


class Watched(Protocol):
    """A run that wants to know which threads of its program died."""

    motion: Any

    def thread_died(self, name: str, error: BaseException) -> None: ...


#: The runs of this process that have not ended.
_running: weakref.WeakSet[Any] = weakref.WeakSet()
_hook_mutex = threading.Lock()
_next_hook: Callable[[threading.ExceptHookArgs], Any] | None = None


def watch(recorder: Watched) -> None:
    """Report each thread that dies to a run, until :func:`unwatch`."""
    global _next_hook
    with _hook_mutex:
        _running.add(recorder)
        if threading.excepthook is not _thread_died:
            _next_hook, threading.excepthook = threading.excepthook, _thread_died


def unwatch(recorder: Watched) -> None:
    """Report to this run no more."""
    _running.discard(recorder)


def _thread_died(args: threading.ExceptHookArgs) -> None:
    """Report to the runs that the thread used (else all), then do what was done before."""
    runs = list(_running)
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = str(getattr(args.thread, "name", "unknown"))
        for run in _used(args, runs) or runs:
            run.thread_died(name, args.exc_value)
    if _next_hook is not None:
        _next_hook(args)


def _used(args: threading.ExceptHookArgs, runs: list[Any]) -> list[Any]:
    """Return the runs that the frames of a dead thread name in their variables."""
    found: set[int] = set()
    trace = args.exc_traceback
    while trace is not None:
        found |= {id(value) for value in trace.tb_frame.f_locals.values()}
        trace = trace.tb_next
    return [each for each in runs if id(each) in found or id(each.motion) in found]
