"""What stands out in a long flight, slice by slice of its time: all that charts and overviews of it can show.

One reading of the motion keeps, for each drone and each of some 500 slices, the first and the last point and those
with the least and the greatest east, north, up, speed, charge and distance to the base: points that were recorded, so
that no extreme is lost however few pixels show them. An hour of a hundred drones takes about half a minute to read and
some tens of megabytes to keep; a stretch of it is then answered from the slices, and its two cut ones from the file.
Damaged lines are passed over, as in every replay. ``python -m sessionstore.playback.overview`` reads in a process of
its own.
Not here: stretches that are short enough to be read whole (replay), when a summary is made (server.summaries).
"""

from __future__ import annotations

import math
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import msgspec

from sessionstore.playback.replay import History, Point, Window, point_of
from sessionstore.session import Session, stream_source
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Line, Tape, parse_line

SLICES = 512
COARSE = 4  # slices that make one of the coarser level, which serves whole flights
_CHUNK = 1 << 20
_NEARLY = 1.25  # the coarse level is taken for a little more slices than it has
_T, _YAW, _MODE, _BATTERY, _SPEED = 0, 4, 5, 6, 7
_MEASURES = (1, 2, 3, 6, 7, 8)  # east, north, up, battery, speed, distance to base
_WIDTH = 9
_UNKNOWN = -1.0  # a battery or a speed that was not recorded

Values = tuple[float, ...]


class _Row(msgspec.Struct):
    t: float
    drone: str
    position: tuple[float, float, float]
    velocity: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float] | None = None
    battery: float | None = None
    mode: str = ""


_decode = msgspec.json.Decoder(_Row).decode


class Order(msgspec.Struct):
    """What is to be summed up: the bytes of a stream from ``low`` to ``high``, in slices from ``start_s`` on."""

    path: str
    low: int
    high: int
    start_s: float
    end_s: float
    slice_s: float
    base: tuple[float, float, float]


class Head(msgspec.Struct):
    """What comes before the numbers of a summary that another process has made."""

    order: Order
    modes: list[str]
    levels: list[dict[str, int]]  # for each level the drones, and how many numbers they have


@dataclass(slots=True)
class Summary:
    """The kept points of one flight up to a byte of its stream; levels[0] is fine, levels[1] coarse."""

    order: Order
    modes: list[str] = field(default_factory=list)
    levels: list[dict[str, array[float]]] = field(default_factory=list)

    def window(self, tape: Tape, start_s: float, end_s: float, drones: Collection[str] | None, slices: int) -> Window:
        """Return what is kept between two moments; beyond the summary and in slices that are cut the file is read.

        Args:
            slices: how many are enough, for a whole flight.
        """
        order = self.order
        behind = tape.seek(math.nextafter(end_s, math.inf))
        window = Window(start_s, end_s, {}, thinned="extremes", offset=behind)
        whole = start_s <= order.start_s and end_s >= order.end_s
        if not _is_by_bytes(tape):
            return self._sorted_window(window, tape, drones, slices)
        first = order.start_s + math.ceil(max(0.0, start_s - order.start_s) / order.slice_s) * order.slice_s
        last = math.inf if end_s >= order.end_s else order.start_s + self._number(end_s) * order.slice_s
        parts = []
        if first < last:
            low = tape.seek(start_s) if start_s > order.start_s else tape.seek(first)
            many = (order.end_s - order.start_s) / order.slice_s / COARSE
            level = self.levels[1 if whole and slices <= many * _NEARLY else 0]
            parts.append(self._read(low, tape.seek(first)))
            parts.append({name: list(self._points(values, first, last)) for name, values in level.items()})
            parts.append(self._read(order.high if math.isinf(last) else tape.seek(last), behind))
        else:
            parts.append(self._read(tape.seek(start_s), behind))
        for part in parts:
            for name, points in part.items():
                if drones is None or name in drones:
                    window.history.setdefault(name, []).extend(points)
        return window

    def _sorted_window(self, window: Window, tape: Tape, drones: Collection[str] | None, slices: int) -> Window:
        """Answer from the file, sorted: in a stream out of order the bytes of a slice do not stand together."""
        width_s = max((window.end_s - window.start_s) / slices, 1e-6)
        order = Order(self.order.path, 0, 0, window.start_s, window.end_s, width_s, self.order.base)
        fold = _Fold(order)
        for row, drone in _rows(order, fold.modes):
            if drones is None or drone in drones:
                fold.add(drone, row)
        modes = list(fold.modes)
        for name, values in fold.end().items():
            window.history[name] = [_point(values[at : at + _WIDTH], modes) for at in range(0, len(values), _WIDTH)]
        return window

    def _number(self, t_s: float) -> int:
        return int((t_s - self.order.start_s) / self.order.slice_s)

    def _points(self, values: array[float], from_s: float, to_s: float) -> Iterator[Point]:
        times = values[::_WIDTH]
        for at in range(bisect_left(times, from_s) * _WIDTH, bisect_left(times, to_s) * _WIDTH, _WIDTH):
            yield _point(values[at : at + _WIDTH], self.modes)

    def _read(self, low: int, high: int) -> History:
        return outstanding_of(self.order.path, low, high, self.order.base)

    def packed(self) -> Iterator[bytes]:
        """Yield the summary as bytes: a line of JSON, then numbers."""
        sizes = [{name: len(values) for name, values in level.items()} for level in self.levels]
        yield msgspec.json.encode(Head(self.order, self.modes, sizes)) + b"\n"
        for level in self.levels:
            for values in level.values():
                yield values.tobytes()

    @classmethod
    def unpacked(cls, data: bytes) -> Summary:
        """Return what :meth:`packed` gave."""
        line, _, rest = data.partition(b"\n")
        head = msgspec.json.decode(line, type=Head)
        found, at = cls(head.order, head.modes), 0
        for sizes in head.levels:
            level = {}
            for name, size in sizes.items():
                level[name] = array("d", rest[at : at + 8 * size])
                at += 8 * size
            found.levels.append(level)
        return found


def order_of(session: Session, start_s: float, end_s: float) -> Order:
    """Return what a summary of all that is recorded now has to read."""
    tape = session.tape(MOTION_STREAM)
    base = session.record.base_position or [0.0, 0.0, 0.0]
    end = tape.last()
    slice_s = 2.0 ** math.ceil(math.log2(max(end_s - start_s, 1.0) / SLICES))
    east, north, up = base
    return Order(str(tape.path), 0, end.end if end else 0, start_s, end_s, slice_s, (east, north, up))


def make(order: Order) -> Summary:
    """Read the stream and return its summary."""
    fold = _Fold(order)
    for values, drone in _rows(order, fold.modes):
        fold.add(drone, values)
    fine = fold.end()
    coarse = {name: _coarser(values, order) for name, values in fine.items()}
    return Summary(order, list(fold.modes), [fine, coarse])


def outstanding_of(path: str, low: int, high: int, base: tuple[float, float, float]) -> History:
    """Return what stands out between two bytes of a stream, as one slice."""
    if low >= high:
        return {}
    fold = _Fold(Order(path, low, high, 0.0, math.inf, math.inf, base))
    for values, drone in _rows(fold.order, fold.modes):
        fold.add(drone, values)
    modes = list(fold.modes)
    return {
        name: [_point(values[at : at + _WIDTH], modes) for at in range(0, len(values), _WIDTH)]
        for name, values in fold.end().items()
    }


class _Fold:
    """Takes in points in order of time, and keeps what stands out of each slice."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.modes: dict[str, int] = {}
        self._open: dict[str, tuple[float, list[Values]]] = {}
        self._kept: dict[str, array[float]] = {}

    def add(self, drone: str, values: Values) -> None:
        slot = self._open.get(drone)
        if slot is None or values[_T] >= slot[0]:
            if slot is not None:
                self._close(drone, slot[1])
            self._open[drone] = slot = (self._edge(values[_T]), [])
        slot[1].append(values)

    def _edge(self, t_s: float) -> float:
        if math.isinf(self.order.slice_s):
            return math.inf
        number = math.floor((t_s - self.order.start_s) / self.order.slice_s) + 1
        return self.order.start_s + number * self.order.slice_s

    def _close(self, drone: str, points: list[Values]) -> None:
        kept = self._kept.setdefault(drone, array("d"))
        for point in outstanding(points):
            kept.extend(point)

    def end(self) -> dict[str, array[float]]:
        for drone, (_, points) in self._open.items():
            self._close(drone, points)
        self._open.clear()
        return self._kept


def outstanding(points: list[Values]) -> list[Values]:
    """Return the first and the last of some points, and those with the extremes of every measure, in order."""
    if len(points) <= 2:
        return points
    kept = {id(points[0]), id(points[-1])}
    for measure in _MEASURES:
        key = itemgetter(measure)
        known = points
        least = min(points, key=key)
        if least[measure] == _UNKNOWN and measure in (_BATTERY, _SPEED):
            known = [point for point in points if point[measure] != _UNKNOWN] or points
            least = min(known, key=key)
        kept |= {id(least), id(max(known, key=key))}
    return [point for point in points if id(point) in kept]


def _coarser(values: array[float], order: Order) -> array[float]:
    fold = _Fold(Order(order.path, 0, 0, order.start_s, order.end_s, order.slice_s * COARSE, order.base))
    for at in range(0, len(values), _WIDTH):
        fold.add("", tuple(values[at : at + _WIDTH]))
    return fold.end().get("", array("d"))


def _rows(order: Order, modes: dict[str, int]) -> Iterator[tuple[Values, str]]:
    """Yield the points of a stretch of bytes and whose they are; what is no point is passed over."""
    bx, by, bz = order.base
    before: dict[str, _Row] = {}
    for row in _decoded(order):
        x, y, z = row.position
        last = before.get(row.drone)
        speed = _UNKNOWN
        if row.velocity is not None:
            speed = math.hypot(*row.velocity)
        elif last is not None and row.t > last.t:  # the way between two points, where no velocity was recorded
            speed = math.dist(row.position, last.position) / (row.t - last.t)
        before[row.drone] = row
        yaw = row.orientation[2] if row.orientation is not None else 0.0
        mode = modes.setdefault(row.mode, len(modes))
        battery = row.battery if row.battery is not None else _UNKNOWN
        distance = math.hypot(x - bx, y - by, z - bz)
        yield (row.t, x, y, z, yaw, mode, battery, speed, distance), row.drone


def _is_by_bytes(tape: Tape) -> bool:
    """Whether the lines of a time stand together in the file, as in nearly every stream."""
    return tape.order().plain and tape.encoding() is None


def _decoded(order: Order) -> Iterator[_Row]:
    tape = Tape(Path(order.path))
    if not _is_by_bytes(tape):
        rows = (_row_of(line) for line in tape.in_time(order.start_s, order.end_s))
        yield from (row for row in rows if row is not None)
        return
    before_s = order.start_s
    for offset, raw in _raw_lines(order):
        row: _Row | None
        if raw[-16:-10] == b',"c":"' and b"%08x" % zlib.crc32(raw[:-16]) == raw[-10:-2]:
            try:
                row = _decode(raw)
            except msgspec.DecodeError:  # not as this program writes it, or no point
                row = _odd(raw, offset, before_s)
        else:
            row = _odd(raw, offset, before_s)
        if row is not None:
            before_s = row.t
            yield row


def _odd(raw: bytes, offset: int, before_s: float) -> _Row | None:
    """Return the point of a line that was written by hand or by another program; None when it holds none."""
    line = parse_line(raw, offset)
    if not isinstance(line, Line):
        return None
    if line.t_s != line.t_s:
        line.t_s = before_s
    return _row_of(line)


def _row_of(line: Line) -> _Row | None:
    """Return the point of a line; None for a line that is not one."""
    point = point_of(line)
    if point is None:
        return None
    battery = point.get("battery")
    return _Row(
        line.t_s,
        point["drone"],
        tuple(point["position"]),
        _three(point.get("velocity")),
        _three(point.get("orientation")),
        float(battery) if isinstance(battery, int | float) and not isinstance(battery, bool) else None,
        str(point.get("mode", "")),
    )


def _three(value: object) -> tuple[float, float, float] | None:
    try:
        return msgspec.convert(value, tuple[float, float, float])
    except msgspec.ValidationError:
        return None


def _raw_lines(order: Order) -> Iterator[tuple[int, bytes]]:
    try:
        with stream_source.opened(order.path) as source:
            offset, rest, at = order.low, b"", order.low
            while at < order.high and (part := source.read_at(min(_CHUNK, order.high - at), at)):
                at += len(part)
                pieces = (rest + part).split(b"\n")
                rest = pieces.pop()
                for raw in pieces:
                    yield offset, raw
                    offset += len(raw) + 1
    except FileNotFoundError:
        return


def _point(values: array[float], modes: list[str]) -> Point:
    t, x, y, z, yaw, mode, battery, speed, _ = values
    found: Point = {"sim_time": t, "position": [x, y, z], "orientation": [0.0, 0.0, yaw], "mode": modes[int(mode)]}
    if battery != _UNKNOWN:
        found["battery"] = battery
    if speed != _UNKNOWN:
        found["speed"] = speed
    return found


def main() -> None:
    """Read an order from stdin, and write the summary to stdout."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    for part in make(order).packed():
        sys.stdout.buffer.write(part)


if __name__ == "__main__":
    main()
