"""The summaries of the very long flights that are being looked at: made once, in a process of their own, and kept.

Where a flight has ended and its store takes columns, these are made in place of a summary, and stay with the store. The
first request gets sampled data meanwhile (seconds; a summary takes half a minute). A flight that has grown far beyond
its summary is summed up again, while the old one still serves. One is made at a time.
Not here: what a summary keeps (playback.overview), when one is needed (playback.downsample).
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import OrderedDict

import msgspec

from sessionstore.playback.overview import Summary, order_of
from sessionstore.playback.replay import Replay
from sessionstore.server.live import column_windows
from sessionstore.session import Session

KEPT = 4
_GROWN_BYTES = 16 << 20
_log = logging.getLogger(__name__)


class Summaries:
    """Finds the summary of a session, or has it made. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._found: OrderedDict[str, Summary] = OrderedDict()
        self._making: dict[str, threading.Thread] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._without_columns: set[str] = set()  # of which columns were made in vain

    def find(self, session: Session) -> Summary | None:
        """Return the summary of a session; None while it, or the columns of the flight, are made for the first time."""
        return self._find(session, columns=True)

    def _find(self, session: Session, columns: bool) -> Summary | None:
        order = order_of(session, *Replay(session).bounds())
        key = session.record.uuid
        with self._lock:
            known = self._found.get(key)
            if known is not None and (known.order.path != order.path or known.order.high > order.high):
                known = self._found.pop(key) and None  # another file, or one that was cut: nothing of it holds
            if known is not None:
                self._found.move_to_end(key)
            if known is None or order.high - known.order.high > _GROWN_BYTES:
                by_columns = session if columns and known is None and key not in self._without_columns else None
                self._begin(key, msgspec.json.encode(order), by_columns)
        return known

    def wait(self, session: Session) -> Summary | None:
        """Return the summary of a session when it is made; None when its making failed."""
        found = None
        for _ in range(3):  # what is being made may be columns
            if (found := self._find(session, columns=False)) is not None:
                return found
            with self._lock:
                maker = self._making.get(session.record.uuid)
            if maker is not None:
                maker.join()
        return found

    def _begin(self, key: str, order: bytes, by_columns: Session | None) -> None:
        if key in self._making or self._closed:
            return
        self._making[key] = threading.Thread(
            target=self._make, args=(key, order, by_columns), name=f"summary-{key}", daemon=True
        )
        self._making[key].start()

    def _make(self, key: str, order: bytes, by_columns: Session | None) -> None:
        try:
            with self._one_at_a_time:
                if by_columns is not None and self._columns_made(by_columns):
                    return
                with self._lock:
                    self._without_columns.add(key)
                data = self._run(order)
            if data is not None:
                made = Summary.unpacked(data)
                with self._lock:
                    self._found[key] = made
                    while len(self._found) > KEPT:
                        self._found.popitem(last=False)
        finally:
            with self._lock:
                del self._making[key]

    def _columns_made(self, session: Session) -> bool:
        """Make the columns of a session in a process of its own; False: it has none that the page can use."""
        if not column_windows.can_have_columns(session):
            return False
        with self._lock:
            if self._closed:
                return False
            self._process = process = column_windows.begin(session)
        return process.wait() == 0 and column_windows.flight_windows(session) is not None

    def _run(self, order: bytes) -> bytes | None:
        """Return what a process of its own made of an order, so that requests are answered meanwhile."""
        with self._lock:
            if self._closed:
                return None
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "sessionstore.playback.overview"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        data, _ = process.communicate(order)
        if process.returncode:
            if not self._closed:
                _log.warning(
                    "the summary of a flight ended with %s; it is sampled until asked again", process.returncode
                )
            return None
        return data

    def close(self) -> None:
        """Stop what is being made."""
        with self._lock:
            self._closed = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
            makers = list(self._making.values())
        for maker in makers:
            maker.join(10)
