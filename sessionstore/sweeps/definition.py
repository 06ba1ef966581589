"""What a sweep consists of: its name, what varies, conditions, seeds, objective and limits; and the points of it.

Each point is known by the hash of its parameters and of its program, so that what was run is found again.
Not here: how values are drawn (samplers), reading it from a file (sweep_file), where it is kept (folder).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sessionstore.errors import InvalidRecord
from sessionstore.model import json_text, names
from sessionstore.sweeps import samplers
from sessionstore.sweeps.expressions import Expression
from sessionstore.sweeps.samplers import Parameters

SEED = "seed"
_MAX_ID = 80


class Point(msgspec.Struct, frozen=True):
    """One set of parameters; ``number`` stays the same while the sweep grows."""

    number: int
    key: str
    parameters: dict[str, Any]


class Definition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a sweep is, as it is kept. Raises by :meth:`check`: InvalidRecord."""

    name: str
    program: str  # as a person reads it
    fingerprint: str  # of the program
    grid: dict[str, Any] = {}  # msgspec copies it
    zip: dict[str, Any] = {}
    random: dict[str, Any] = {}
    latin_hypercube: dict[str, Any] = {}
    sobol: dict[str, Any] = {}
    tpe: dict[str, Any] = {}
    seeds: list[int] = []
    exclude: list[str] = []
    minimise: str | None = None
    maximise: str | None = None
    time_limit_s: float | None = None
    memory_limit_mb: float | None = None
    attempts: int = 3
    source: str | None = None

    @property
    def objective(self) -> str | None:
        """The expression that results are sorted by."""
        return self.minimise or self.maximise

    def check(self) -> None:
        """Refuse what cannot be run. Raises: InvalidRecord."""
        if self.minimise and self.maximise:
            raise InvalidRecord("a sweep has one objective: minimise or maximise")
        for text in (*self.exclude, *([self.objective] if self.objective else ())):
            Expression(text)
        for name, limit in (("time_limit_s", self.time_limit_s), ("memory_limit_mb", self.memory_limit_mb)):
            if limit is not None and not limit > 0:
                raise InvalidRecord(f"{name} is above 0, not {limit!r}")
        if self.tpe and not self.objective:
            raise InvalidRecord("the sampler tpe needs an objective: minimise or maximise")
        if self.tpe and (self.grid or self.zip or self.random or self.latin_hypercube or self.sobol):
            raise InvalidRecord("the sampler tpe stands alone, with seeds")
        if self.attempts < 1:
            raise InvalidRecord("attempts is at least 1")

    def varied(self) -> list[str]:
        """Return the names of the parameters in the order in which they are shown."""
        found = [*self.grid, *self.zip]
        for sampler in (*samplers.DRAWN, "tpe"):
            found += getattr(self, sampler).get("parameters", {})
        return list(dict.fromkeys([*found, *([SEED] if self.seeds else ())]))

    def parameter_sets(self) -> list[Parameters]:
        """Return all sets of parameters but those of tpe, which are asked for one by one."""
        parts: list[list[Parameters]] = []
        if self.grid:
            parts.append(samplers.grid(self.grid))
        if self.zip:
            parts.append(samplers.zipped(self.zip))
        parts += [samplers.drawn(name, getattr(self, name)) for name in samplers.DRAWN if getattr(self, name)]
        if self.seeds:
            parts.append([{SEED: seed} for seed in self.seeds])
        sets = _product(parts)
        conditions = [Expression(text) for text in self.exclude]
        kept = [each for each in sets if not any(condition(each) for condition in conditions)]
        if sets and not kept:
            raise InvalidRecord("the conditions exclude every point")
        return kept


def _product(parts: Sequence[list[Parameters]]) -> list[Parameters]:
    if not parts:
        return []
    found: list[Parameters] = [{}]
    for part in parts:
        if twice := (found[0].keys() & part[0].keys()):
            raise InvalidRecord(f"{', '.join(sorted(twice))} varies twice")
        if len(found) * len(part) > samplers.MAX_POINTS:
            raise InvalidRecord(f"the sweep has more than {samplers.MAX_POINTS:,} points")
        found = [{**one, **other} for one in found for other in part]
    return found


def key_of(parameters: Mapping[str, Any], fingerprint: str) -> str:
    """Return the hash that a point is known by: 24 hexadecimal digits."""
    text = json.dumps([fingerprint, parameters], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def numbered(sets: Iterable[Parameters], fingerprint: str, before: Iterable[Point] = ()) -> list[Point]:
    """Return the points of these sets, each once; a point that was there before keeps its number."""
    known = {point.key: point for point in before}
    following = max((point.number for point in known.values()), default=0) + 1
    found: dict[str, Point] = {}
    for each in sets:
        parameters = json_text.plain(each, "parameters")
        key = key_of(parameters, fingerprint)
        if key in found:
            continue
        if key in known:
            found[key] = known[key]
        else:
            found[key] = Point(following, key, parameters)
            following += 1
    return list(found.values())


def id_of(name: str) -> str:
    """Return the id of a sweep of this name: the same name is the same sweep. Raises: InvalidName."""
    names.check_typed_name(name)
    text = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.strip().lower())
    text = "-".join(filter(None, text.split("-")))[:_MAX_ID]
    return text or f"sweep-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
