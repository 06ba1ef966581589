"""Any stretch of a flight at the detail that will be shown, minima and maxima kept, at a cost that follows the detail.

A flight with columns is read from these. Of any other, a short stretch is read whole, a longer one in a single pass
that keeps what stands out of each slice, and a very long one comes from the summary of the flight. Where that is still
being made, moments are sampled by seeking, and ``thinned`` says so: asked again later, the extremes are there.
Not here: reading and thinning itself (replay, playback.overview), who holds summaries (server.summaries).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from sessionstore.playback.overview import Order, Summary, make, order_of
from sessionstore.playback.replay import KEPT_OF_A_SLICE, Replay, Window, check_window, thin
from sessionstore.session import Session
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Tape

#: A stretch of more bytes comes from the summary of the whole flight (about half a second of reading).
MOST_BYTES_FOLDED = 32 << 20
SAMPLES = 100  # of each drone, for the time being
#: A stretch of more bytes comes from the columns of the flight, where it has some that fit.
COLUMNS_FROM_BYTES = 1 << 20
Find = Callable[[Session], Summary | None]


class Windows(Protocol):
    """A flight whose windows need no reading of lines: analysis.flight_columns."""

    def window(
        self,
        tape: Tape,
        start_s: float,
        end_s: float,
        drones: Collection[str] | None,
        slices: int,
        most: int,
        axes_only: bool = False,
    ) -> Window:
        """Return what stands out of each slice; all points of a drone that has no more than ``most``."""

    def lines(
        self, values: dict[str, str], start_s: float, end_s: float, points: int
    ) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
        """Return figures over time, by name and drone the moments and the values; ``values`` are SQL expressions."""


Columns = Callable[[Session], Windows | None]


def stretch(
    session: Session,
    start_s: float | None,
    end_s: float | None,
    slices: int,
    drones: Collection[str] | None = None,
    max_points: int | None = None,
    most_bytes: int = 8 << 20,
    find: Find | None = None,
    attempt: int | None = None,
    columns: Columns | None = None,
) -> Window:
    """Return the points from one moment to another that show all extremes in a number of slices of time.

    Args:
        start_s, end_s: sim_time in seconds; by default all there is.
        max_points: the maximum for each drone; by default what the slices keep.
        most_bytes: a stretch of no more bytes is read whole.
        find: returns the summary of a flight, or None while it is being made; by default it is made at once.
        attempt: of a resumed run, counted from 0; by default the latest.
        columns: returns the windows of a flight from its columns; None: it has none.

    Raises:
        InvalidQuery: as :meth:`Replay.window`.
    """
    replay = Replay(session, attempt)
    if attempt is not None:
        return replay.window(start_s, end_s, None, drones, max_points)
    low, high, start_s, end_s = bytes_of(replay, start_s, end_s)
    flight = columns(session) if columns is not None and high - low > COLUMNS_FROM_BYTES else None
    if flight is not None:
        most = max_points or slices * KEPT_OF_A_SLICE
        window = flight.window(replay.tape, start_s, end_s, drones, slices, most, axes_only=max_points is not None)
        return _thinned(window, max_points)
    if high - low <= most_bytes:
        return replay.window(start_s, end_s, None, drones, max_points)
    if high - low <= MOST_BYTES_FOLDED:
        summary: Summary | None = _fold(session, low, high, start_s, end_s, slices)
    else:
        summary = (find or summary_of)(session)
    if summary is None:
        return replay.window(start_s, end_s, None, drones, min(max_points or SAMPLES, SAMPLES), most_bytes)
    return _thinned(summary.window(replay.tape, start_s, end_s, drones, slices), max_points)


def _thinned(window: Window, max_points: int | None) -> Window:
    if max_points is not None:
        window.history = {name: thin(points, max_points) for name, points in window.history.items()}
    return window


def summary_of(session: Session) -> Summary:
    """Read the whole flight and return its summary: half a minute for an hour of a hundred drones."""
    return make(order_of(session, *Replay(session).bounds()))


def bytes_of(replay: Replay, start_s: float | None, end_s: float | None) -> tuple[int, int, float, float]:
    """Return the bytes of a stretch, its start and its end. Raises: InvalidQuery."""
    first_s, last_s = replay.bounds()
    start_s = first_s if start_s is None else start_s
    end_s = max(start_s, last_s) if end_s is None else end_s
    check_window(start_s, end_s, min(end_s, last_s), None, None)
    return *replay.tape.span(start_s, end_s), start_s, end_s


def _fold(session: Session, low: int, high: int, start_s: float, end_s: float, slices: int) -> Summary:
    tape = session.tape(MOTION_STREAM)
    last_s = min(end_s, Replay(session).bounds()[1])
    width_s = max((last_s - start_s) / slices, 1e-6)
    east, north, up = session.record.base_position or [0.0, 0.0, 0.0]
    return make(Order(str(tape.path), low, high, start_s, last_s, width_s, (east, north, up)))
