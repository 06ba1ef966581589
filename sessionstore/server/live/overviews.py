"""The summaries of the very long flights that are being looked at: made once, in a process of their own, and kept.

The first request gets sampled data while the overview is computed (about half a minute). A flight that has
grown far beyond its summary is summed up again, while the old one still serves. One is made at a time.
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

    def find(self, session: Session) -> Summary | None:
        """Return the summary of a session; None while it is being made for the first time."""
        order = order_of(session, *Replay(session).bounds())
        key = session.record.uuid
        with self._lock:
            known = self._found.get(key)
            if known is not None and (known.order.path != order.path or known.order.high > order.high):
                known = self._found.pop(key) and None  # another file, or one that was cut: nothing of it holds
            if known is not None:
                self._found.move_to_end(key)
            if known is None or order.high - known.order.high > _GROWN_BYTES:
                self._begin(key, msgspec.json.encode(order))
        return known

    def wait(self, session: Session) -> Summary | None:
        """Return the summary of a session when it is made; None when its making failed."""
        found = self.find(session)
        with self._lock:
            maker = self._making.get(session.record.uuid)
        if found is None and maker is not None:
            maker.join()
            found = self.find(session)
        return found

    def _begin(self, key: str, order: bytes) -> None:
        if key in self._making or self._closed:
            return
        self._making[key] = threading.Thread(target=self._make, args=(key, order), name=f"summary-{key}", daemon=True)
        self._making[key].start()

    def _make(self, key: str, order: bytes) -> None:
        try:
            with self._one_at_a_time:
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
