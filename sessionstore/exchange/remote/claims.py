"""The claim of a push on one session: a small file at the remote store, made only where there is none.

While it is held it is written anew every few seconds, however long the push takes; one that has not changed for a
minute belongs to a push that died and is taken over. Times are measured here, so that no clocks are compared. A push
whose claim was taken over (this machine slept) notices it before it sends the record.
Not here: what is sent (remote.transfer).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from sessionstore.errors import Conflict, LockTimeout, RemoteUnavailable
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.layout import PRIVATE
from sessionstore.model import records

CLAIMS = f"{PRIVATE}/claims"
#: A claim that has not changed for so long belongs to a push that died.
STALE_S = 60.0
RENEW_EVERY_S = 15.0
WAIT_S = 600.0
_POLL_S = 0.2


class Claim:
    """A claim that is held; see :func:`claimed`."""

    def __init__(self, place: FsspecPlace, session_id: str) -> None:
        self._place, self._session_id = place, session_id
        self._name, self._mine = f"{CLAIMS}/{session_id}", records.new_uuid()
        self._beats, self._done = 0, threading.Event()
        self._renewed_s = time.monotonic()

    def _content(self) -> bytes:
        return f"{self._mine} {self._beats}".encode()

    def take(self) -> None:
        """Wait until the claim is held. Raises: LockTimeout: another push holds it."""
        began = since = time.monotonic()
        seen = b""
        while not self._place.create(self._name, self._content()):
            try:
                now = self._place.read(self._name)
            except FileNotFoundError:
                continue  # it was given back at this moment
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALE_S:
                self._place.remove(self._name)
            if time.monotonic() - began > WAIT_S:
                raise LockTimeout(f"another push sends {self._session_id} to {self._place.label}")
            time.sleep(_POLL_S)
        self._renewed_s = time.monotonic()

    def check(self) -> None:
        """Make sure that it is held still. Raises: Conflict: it was not renewed in time, another push may hold it."""
        age_s = time.monotonic() - self._renewed_s
        if age_s < STALE_S / 2:
            return  # no other push takes over what has just been written
        if age_s > STALE_S or not self._is_mine():
            raise Conflict(f"another push took {self._session_id} at {self._place.label} over; run this one again")

    def _is_mine(self) -> bool:
        try:
            return self._place.read(self._name).startswith(self._mine.encode())
        except FileNotFoundError:
            return False

    def renew_until_done(self) -> None:
        """Write it anew again and again; a connection that is lost for a while is tried again at the next turn."""
        while not self._done.wait(RENEW_EVERY_S):
            self._beats += 1
            with contextlib.suppress(RemoteUnavailable):
                if self._is_mine():
                    self._place.put(self._name, self._content())
                    self._renewed_s = time.monotonic()

    def give_back(self, renewer: threading.Thread) -> None:
        """Remove it, if it is held still. Raises: RemoteUnavailable."""
        self._done.set()
        renewer.join()
        if time.monotonic() - self._renewed_s < STALE_S / 2 or self._is_mine():
            self._place.remove(self._name)


@contextlib.contextmanager
def claimed(place: FsspecPlace, session_id: str) -> Iterator[Claim]:
    """Hold the claim of a session. Raises: LockTimeout: another push holds it; RemoteUnavailable."""
    claim = Claim(place, session_id)
    claim.take()
    renewer = threading.Thread(target=claim.renew_until_done, name="sessionstore-claim", daemon=True)
    renewer.start()
    try:
        yield claim
    except BaseException:
        with contextlib.suppress(RemoteUnavailable):  # the first error counts; what stays is stale in a minute
            claim.give_back(renewer)
        raise
    claim.give_back(renewer)
