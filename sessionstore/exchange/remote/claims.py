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
        if self._place.create(self.name, self._content()) or self._is_mine():  # made by a request whose answer was lost
            self._renewed_s = began
            return True
        return False

    def take(self) -> None:
        """Wait until the claim is held. Raises: LockTimeout: another push holds it."""
        began = since = time.monotonic()
        seen = b""
        while not self.try_take():
            try:
                now = self._place.read(self.name)
            except FileNotFoundError:
                continue  # it was given back at this moment
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALE_S:
                self._place.remove(self.name)
            if time.monotonic() - began > WAIT_S:
                raise LockTimeout(f"another push sends {self.session_id} to {self._place.label}")
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Make sure that it is held still. Raises: Conflict: it was not renewed in time, another push may hold it."""
        age_s = time.monotonic() - self._renewed_s
        if age_s < STALE_S / 2:
            return  # no other push takes over what has just been written
        if age_s > STALE_S or not self._is_mine():
            raise Conflict(f"another push took {self.session_id} at {self._place.label} over; run this one again")

    def _is_mine(self) -> bool:
        try:
            return self._place.read(self.name).startswith(self._mine.encode())
        except FileNotFoundError:
            return False

    def renew(self) -> None:
        """Write it anew; a connection that is lost for a while is tried again at the next turn."""
        self._beats += 1
        with contextlib.suppress(RemoteUnavailable):
            if self._is_mine():
                began = time.monotonic()
                self._place.put(self.name, self._content())
                self._renewed_s = began

    def may_go(self) -> bool:
        """Whether it is held still, so that it is ours to remove. Raises: RemoteUnavailable."""
        return time.monotonic() - self._renewed_s < STALE_S / 2 or self._is_mine()


@contextlib.contextmanager
def claimed(place: FsspecPlace, session_ids: Sequence[str], pool: Executor, wait: bool) -> Iterator[dict[str, Claim]]:
    """Hold the claims of sessions.

    Args:
        wait: for the claims that other pushes hold; else what is given lacks them. A push that waits holds no others,
            so that two pushes never wait for each other.

    Raises: LockTimeout: another push holds it; RemoteUnavailable.
    """
    assert not wait or len(session_ids) == 1, "a push that waits holds no other claim"
    wanted = [Claim(place, session_id) for session_id in session_ids]
    if wait:
        wanted[0].take()
        held = wanted
    else:
        held = _taken(place, wanted, pool)
    done = threading.Event()
    renewer = threading.Thread(target=_renew, args=(held, done), name="sessionstore-claims", daemon=True)
    renewer.start()
    try:
        yield {claim.session_id: claim for claim in held}
    except BaseException:
        with contextlib.suppress(RemoteUnavailable):  # the first error counts; what stays is stale in a minute
            _give_back(place, held, done, renewer)
        raise
    _give_back(place, held, done, renewer)


def _taken(place: FsspecPlace, wanted: list[Claim], pool: Executor) -> list[Claim]:
    """Take those that are free, all at once. Raises: RemoteUnavailable: none is held."""
    tries = [pool.submit(claim.try_take) for claim in wanted]
    done, _ = concurrent.futures.wait(tries)
    held = [claim for claim, tried in zip(wanted, tries, strict=True) if tried.exception() is None and tried.result()]
    failed = next((error for tried in done if (error := tried.exception()) is not None), None)
    if failed is not None:
        with contextlib.suppress(RemoteUnavailable):
            place.remove_all([claim.name for claim in held])
        raise failed
    return held


def _renew(held: list[Claim], done: threading.Event) -> None:
    while not done.wait(RENEW_EVERY_S):
        for claim in held:
            claim.renew()


def _give_back(place: FsspecPlace, held: list[Claim], done: threading.Event, renewer: threading.Thread) -> None:
    done.set()
    renewer.join()
    place.remove_all([claim.name for claim in held if claim.may_go()])
