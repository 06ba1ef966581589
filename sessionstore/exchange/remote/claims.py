"""The claim of a push on one session: a small file at the remote store, made only where there is none.

While it is held it is written anew every few seconds, however long the push takes; one that has not changed for a
minute belongs to a push that died and is taken over. Times are measured here, so that no clocks are compared. A push
whose claim was taken over (this machine slept) notices it before it sends the record.
Not here: what is sent (remote.transfer).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from sessionstore.errors import Conflict, LockTimeout, RemoteUnavailable
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.layout import PRIVATE
from sessionstore.model.instants import new_uuid

CLAIMS = f"{PRIVATE}/claims"
#: A claim that has not changed for so long belongs to a push that died.
STALE_S = 60.0
RENEW_EVERY_S = 15.0
WAIT_S = 600.0
_POLL_S = 0.2


class Claim:
    """A claim on one session; see :func:`claimed`."""

    def __init__(self, place: FsspecPlace, session_id: str) -> None:
        self._place, self.session_id = place, session_id
        self.name, self._mine = f"{CLAIMS}/{session_id}", new_uuid()
        self._beats = 0
        self._renewed_s = time.monotonic()

    def _content(self) -> bytes:
        return f"{self._mine} {self._beats}".encode()

    def try_take(self) -> bool:
        """Take it if no other push holds it; return whether it is held. Raises: RemoteUnavailable."""
        began = time.monotonic()
        if self._place.create(self.name, self._content()) or self.is_mine():  # made by a request whose answer was lost
            self._renewed_s = began
            return True
        return False

    def check(self) -> None:
        """Make sure that it is held still. Raises: Conflict: it was not renewed in time, another push may hold it."""
        if self.is_fresh():
            return
        if time.monotonic() - self._renewed_s > STALE_S or not self.is_mine():
            raise Conflict(f"another push took {self.session_id} at {self._place.label} over; run this one again")

    def is_mine(self) -> bool:
        """Whether it stands there as ours. Raises: RemoteUnavailable."""
        try:
            return self._place.read(self.name).startswith(self._mine.encode())
        except FileNotFoundError:
            return False

    def renew(self) -> None:
        """Write it anew; a connection that is lost for a while is tried again at the next turn."""
        self._beats += 1
        with contextlib.suppress(RemoteUnavailable):
            if self.is_mine():
                began = time.monotonic()
                self._place.put(self.name, self._content())
                self._renewed_s = began

    def is_fresh(self) -> bool:
        """Whether it was written so recently that no other push can have taken it over."""
        return time.monotonic() - self._renewed_s < STALE_S / 2


class Watch:
    """Watches claims that other pushes hold, until they are given back or turn out to be of a push that died.

    A push that waits holds no claim, so that two pushes never wait for each other.
    """

    def __init__(self, place: FsspecPlace) -> None:
        self._place = place
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._began, self._pause_s = time.monotonic(), _POLL_S

    def is_free(self, session_id: str) -> bool:
        """Whether a claim may be tried for now; the one of a push that died is removed. Raises: RemoteUnavailable."""
        name, now_s = f"{CLAIMS}/{session_id}", time.monotonic()
        try:
            content = self._place.read(name)
        except FileNotFoundError:
            return True
        before, since = self._seen.get(session_id, (b"", now_s))
        if content != before:
            self._seen[session_id] = (content, now_s)
        elif now_s - since > STALE_S:
            self._place.remove(name)
            # Another push that watches may remove it at this moment, too, and then what was made in its place.
            time.sleep(_POLL_S)
            return True
        return False

    def pause(self, session_id: str) -> None:
        """Wait a while before the next look. Raises: LockTimeout: waited too long."""
        if time.monotonic() - self._began > WAIT_S:
            raise LockTimeout(f"another push sends {session_id} to {self._place.label}")
        time.sleep(self._pause_s)
        self._pause_s = min(2.0, self._pause_s * 1.2)


@contextlib.contextmanager
def claimed(place: FsspecPlace, session_ids: Sequence[str], pool: Executor) -> Iterator[dict[str, Claim]]:
    """Hold the claims of sessions; those that other pushes hold are not among them.

    After an error the place is given up, so that nothing waits long for a lost connection.

    Raises: RemoteUnavailable.
    """
    held = _taken(place, [Claim(place, session_id) for session_id in session_ids], pool)
    done = threading.Event()
    renewer = threading.Thread(target=_renew, args=(held, done), name="sessionstore-claims", daemon=True)
    renewer.start()
    try:
        yield {claim.session_id: claim for claim in held}
    except BaseException:
        place.give_up()
        _end(renewer, done)
        with contextlib.suppress(RemoteUnavailable):  # the first error counts; what stays is stale in a minute
            place.tried_once().remove_all([claim.name for claim in held if claim.is_fresh()])
        raise
    _end(renewer, done)
    place.remove_all([claim.name for claim in held if claim.is_fresh() or claim.is_mine()])


def _taken(place: FsspecPlace, wanted: list[Claim], pool: Executor) -> list[Claim]:
    """Take those that are free, all at once. Raises: RemoteUnavailable: none is held."""
    tries = [pool.submit(claim.try_take) for claim in wanted]
    done, _ = concurrent.futures.wait(tries)
    held = [claim for claim, tried in zip(wanted, tries, strict=True) if tried.exception() is None and tried.result()]
    failed = next((error for tried in done if (error := tried.exception()) is not None), None)
    if failed is not None:
        with contextlib.suppress(RemoteUnavailable):
            place.tried_once().remove_all([claim.name for claim in held])
        raise failed
    return held


def _renew(held: list[Claim], done: threading.Event) -> None:
    while not done.wait(RENEW_EVERY_S):
        for claim in held:
            if not done.is_set():
                claim.renew()


def _end(renewer: threading.Thread, done: threading.Event) -> None:
    """End the renewing, so that nothing is written after the claims were given back."""
    done.set()
    renewer.join()
