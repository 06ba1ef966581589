"""Figures: what was measured, round by round, and how it compares with the limit and with the target.

Contestants run in turn, a slice of time each, in an order that turns from round to round; the first round warms up and
is dropped. A ratio is the median of the ratios of the rounds, so that what slows the machine slows both sides.
Not here: what is measured (workloads), how it is shown (report).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Operation = Callable[[], Any]
#: How far a limit may move between the rounds of a case while a ratio to it is shown and judged.
STEADY = 1.5


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the median, or on the ratio to the limit."""

    what: Literal["median", "ratio"]
    sign: Literal[">=", "<="]
    bound: float

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.sign == ">=" else value <= self.bound


@dataclass(slots=True)
class Figure:
    """One system in one case: a value a round, in ``unit``; ``against`` names the system that is the limit here."""

    workload: str
    case: str
    system: str
    unit: str
    values: list[float]
    size: int | None = None
    against: str | None = None
    target: Target | None = None
    lost: int | None = None
    errors: int | None = None
    around: list[float] = field(default_factory=list)  # of a limit: measured before the first round and after the last

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What systems share that are compared."""
        return self.workload, self.case, self.size


@dataclass(slots=True)
class Figures:
    """All figures of a run, in order."""

    all: list[Figure] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # contestants that did not work here, and why
    seconds: dict[str, float] = field(default_factory=dict)  # how long each part took
    tell: Callable[[Figure], None] = lambda figure: None

    def add(self, figure: Figure) -> None:
        """Take in one figure."""
        self.all.append(figure)
        self.tell(figure)

    def __iter__(self) -> Iterator[Figure]:
        return iter(self.all)

    def _limit_of(self, figure: Figure) -> Figure | None:
        other = next((each for each in self.all if each.key == figure.key and each.system == figure.against), None)
        return None if other is figure else other

    def moved(self, figure: Figure) -> float:
        """Return the largest value of its limit over the smallest of all rounds; 1 without a limit.

        The limit runs first of all, in every round, and last of all: where it moved by more than :data:`STEADY`, the
        machine did, and a ratio to it says little.
        """
        other = self._limit_of(figure)
        values = [] if other is None else [*other.values, *other.around]
        return 1.0 if not values or min(values) <= 0 else max(values) / min(values)

    def ratio(self, figure: Figure) -> float | None:
        """Return the figure over its limit, as the median of the rounds; None without a limit."""
        other = self._limit_of(figure)
        if other is None:
            return None
        pairs = zip(figure.values, other.values, strict=False)
        return statistics.median(mine / limit for mine, limit in pairs if limit)

    def met(self, figure: Figure) -> bool | None:
        """Whether the target is met and nothing was lost; None without a target, or where the limit moved too far."""
        if figure.target is None or (figure.target.what == "ratio" and self.moved(figure) > STEADY):
            return None
        value = figure.median if figure.target.what == "median" else self.ratio(figure)
        return value is not None and figure.target.met(value) and not figure.lost and not figure.errors

    @classmethod
    def from_list(cls, plain: list[dict[str, Any]]) -> Figures:
        """Return figures from what :meth:`to_list` gave."""
        names = [each.name for each in fields(Figure) if each.name != "target"]
        targets = [Target(**each["target"]) if each["target"] else None for each in plain]
        found = [
            Figure(**{name: each[name] for name in names if name in each}, target=target)
            for each, target in zip(plain, targets, strict=True)
        ]
        return cls(found)

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain data."""
        return [
            {**asdict(each), "median": each.median, "ratio": self.ratio(each), "met": self.met(each)}
            for each in self.all
        ]


def rate(operation: Operation, slice_s: float) -> float:
    """Return how many a second an operation does, repeated for a slice of time."""
    begin, done = time.perf_counter(), 0
    while True:
        done += int(operation())
        passed_s = time.perf_counter() - begin
        if passed_s >= slice_s:
            return done / passed_s


def duration(operation: Operation) -> float:
    """Return the seconds until what one call returns is in the caller's hands; letting go of it is not counted."""
    begin = time.perf_counter()
    found = operation()
    seconds = time.perf_counter() - begin
    del found
    return seconds


def in_turn(
    contestants: Mapping[str, Operation],
    rounds: int,
    measure: Callable[[Operation], float],
    warm_up: int = 1,
    around: dict[str, list[float]] | None = None,
) -> dict[str, list[float]]:
    """Return a value a round for each contestant, measured in an order that turns by one each round.

    Args:
        around: takes in what the contestants that are its keys reach before the first round and after the last.
    """
    names = list(contestants)
    values: dict[str, list[float]] = {name: [] for name in names}
    outside = {name: found for name, found in (around or {}).items() if name in contestants}
    for number in range(rounds + warm_up):
        if number == warm_up:
            _measure_into(outside, contestants, measure)
        turn = number % max(1, len(names))
        for name in names[turn:] + names[:turn]:
            value = measure(contestants[name])
            if number >= warm_up:
                values[name].append(value)
    _measure_into(outside, contestants, measure)
    return values


def _measure_into(
    found: Mapping[str, list[float]], contestants: Mapping[str, Operation], measure: Callable[[Operation], float]
) -> None:
    for name, values in found.items():
        values.append(measure(contestants[name]))
