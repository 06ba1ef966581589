"""The recorded lines of a stream, taken back from copies of it: exactly those whose checksum fits.

An edited line keeps the checksum of what was recorded: the line of a copy that has this checksum and number is the old
one. Lines that were deleted, or damaged beyond their checksum, come from a copy whose lines before and behind them are
byte for byte ours. What no copy holds stays as it is.
Not here: where copies are (stream_copies), what a stream proves without one (proven_lines), writing (stream_lines).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sessionstore.maintenance.checks.accepted import SHORT
from sessionstore.maintenance.repairs.proven_lines import (
    checked,
    checksum_in,
    is_mark,
    number_of,
    proven,
    self_restored,
    text_of,
)
from sessionstore.session.stream_line import Line, parse_line

#: What a person did and can take back, by kind, as a sentence says it.
KINDS = {
    "edited": "edited", "missing": "deleted", "unverified": "inserted", "blank": "blank", "reordered": "reordered",
    "repeated": "repeated", "damaged": "damaged", "line-ends": "changed in their line ends",
    "byte-order-mark": "with a byte order mark", "encoding": "of another character set",
    SHORT: "removed at the end",
}  # fmt: skip
#: Kinds that are not a fault when they are left.
_HARMLESS = ("unverified", "line-ends", "byte-order-mark", "encoding", "blank")


@dataclass(frozen=True, slots=True)
class StreamCopy:
    """A copy of one stream: how people know it, its bytes, and whether its record is of the same session."""

    label: str
    read: Callable[[], bytes]
    same_session: bool = False


@dataclass(slots=True)
class Restored:
    """The lines after it, how many of each kind were taken back and are left, and the copies that they came from."""

    lines: list[bytes]
    taken: dict[str, int]
    left: dict[str, int]
    sources: list[str] = field(default_factory=list)

    def taken_text(self) -> str:
        """Return what was taken back, and where it came from."""
        text = f"taken back: {_counted(self.taken)}"
        return text + (f" (from {', '.join(self.sources)})" if self.sources else "")


def take_back(lines: list[bytes], copies: Iterable[StreamCopy], recorded: int | None) -> Restored:
    """Return the lines with everything that can be proved to be the old state.

    Args:
        lines: of the stream, without newlines.
        copies: read one after the other, until nothing is left to be taken back.
        recorded: how many records the run ended with; None when that is not known.
    """
    before = faults(lines, recorded)
    now, sources = self_restored(lines), []
    left = faults(now, recorded)
    for copy in copies if _open(left) else ():
        changed = self_restored(_from_copy(now, copy, recorded))
        if changed != now:
            now, left = changed, faults(changed, recorded)
            sources.append(copy.label)
        if not _open(left):
            break
    taken = {kind: count - left.get(kind, 0) for kind, count in before.items() if count > left.get(kind, 0)}
    return Restored(now, taken, _open(left), sources)


def faults(lines: list[bytes], recorded: int | None) -> dict[str, int]:
    """Return what is not as it was recorded: counts by kind."""
    check = checked(lines)
    found = {remark.kind: remark.count for remark in check.remarks if remark.kind in KINDS}
    short = 0 if recorded is None else recorded - check.numbers.expected
    return {**found, **({SHORT: short} if short > 0 else {})}


def left_text(left: dict[str, int], looked: Iterable[str]) -> str:
    """Return the sentence that says plainly what no copy holds."""
    names = ("git" if label.startswith("git ") else label for label in looked)
    places = ", ".join(dict.fromkeys(names)) or "there is none here"
    return f"no copy holds: {_counted(left)} (looked in: {places}); name a backup with --from PATH, or --accept-edits"


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {KINDS[kind]}" for kind, count in kinds.items())


def _open(kinds: dict[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in kinds.items() if kind not in _HARMLESS}


# ---------------------------------------------------------------- one copy


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What stands between two lines whose checksums fit: their numbers and places, and the lines between."""

    first: int  # the number before it; -1 at the begin
    then: int | None  # the number behind it; None at the end
    lines: list[bytes]


def _from_copy(lines: list[bytes], copy: StreamCopy, recorded: int | None) -> list[bytes]:
    held = _Held(copy.read())
    named = [_by_checksum(raw, before, then, held) for raw, before, then in _with_neighbours(lines)]
    result: list[bytes] = []
    for stretch in _stretches(named):
        result += _filled(stretch, held, copy.same_session, recorded, result[-1] if result else None)
    return result


class _Held:
    """The lines of a copy whose checksums fit, by number and by checksum."""

    def __init__(self, data: bytes) -> None:
        self.by_number: dict[int, bytes] = {}
        self.by_checksum: dict[bytes, bytes] = {}
        for raw in text_of(data).split(b"\n"):
            line = proven(raw) if raw else None
            number = None if line is None else number_of(line)
            if line is not None and number is not None:
                self.by_number.setdefault(number, line)
                self.by_checksum.setdefault(line[-10:-2], line)

    def between(self, first: int, then: int) -> list[bytes] | None:
        """Return the lines with the numbers between two; None unless all are there."""
        if then - first - 1 > len(self.by_number):
            return None
        found = [self.by_number.get(number) for number in range(first + 1, then)]
        return None if None in found else [line for line in found if line is not None]


def _with_neighbours(lines: list[bytes]) -> Iterator[tuple[bytes, int, int | None]]:
    """Yield each line with the numbers of the nearest lines before and behind it whose checksums fit."""
    numbers = [number_of(raw) for raw in lines]
    behind: list[int | None] = []
    following: int | None = None
    for number in reversed(numbers):
        behind.append(following)
        following = following if number is None else number
    before = -1
    for raw, number, then in zip(lines, numbers, reversed(behind), strict=True):
        yield raw, before, then
        before = before if number is None else number


def _by_checksum(raw: bytes, before: int, then: int | None, held: _Held) -> bytes:
    """Return the old line that has the checksum which a changed line still carries, or the line as it is."""
    if number_of(raw) is not None or (checksum := checksum_in(raw)) is None:
        return raw
    old = held.by_checksum.get(checksum)
    if old is None:
        return raw
    found, number = parse_line(raw, 0), number_of(old)
    assert number is not None
    named = isinstance(found, Line) and found.n == number
    return old if named or before < number < (number + 1 if then is None else then) else raw


def _stretches(lines: list[bytes]) -> Iterator[_Stretch]:
    first, waiting = -1, []
    for raw in lines:
        number = number_of(raw)
        if number is None:
            waiting.append(raw)
            continue
        yield _Stretch(first, number, [*waiting, raw])
        first, waiting = number, []
    yield _Stretch(first, None, waiting)


def _filled(
    stretch: _Stretch,
    held: _Held,
    same_session: bool,
    recorded: int | None,
    before: bytes | None,
) -> list[bytes]:
    """Return a stretch with the lines of the copy, when its neighbours are the same there; else as it is."""
    last, inner = (None, stretch.lines) if stretch.then is None else (stretch.lines[-1], stretch.lines[:-1])
    known = stretch.first < 0 or held.by_number.get(stretch.first) == before
    if stretch.then is None:
        known = known and (stretch.first >= 0 or same_session)
        then = recorded if recorded is not None else stretch.first + 1
    else:
        known, then = known and held.by_number.get(stretch.then) == last, stretch.then
    found = held.between(stretch.first, then) if known and then > stretch.first + 1 else None
    carried = {checksum_in(raw) for raw in inner if not is_mark(raw)} - {None}
    if not found or not carried <= {raw[-10:-2] for raw in found}:
        return stretch.lines  # the copy holds something else than what was recorded here
    kept = [raw for raw in inner if is_mark(raw) or (last is None and not _is_of(raw, found))]
    return [*found, *kept, *([] if last is None else [last])]


def _is_of(raw: bytes, found: list[bytes]) -> bool:
    """Whether a line is what is left of one of these: it carries a checksum, or was cut off."""
    return checksum_in(raw) is not None or any(line.startswith(raw) for line in found)
