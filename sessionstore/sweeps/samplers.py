"""What varies in a sweep: grid, zip, random, Latin hypercube and Sobol sequences, each a list of parameter sets.

The same numbers give the same sets at any time and on any machine: random sampling has a seed (0 by default).
The sequences are SciPy's (scipy.stats.qmc). Not here: conditions and seeds (definition), Optuna (optimise).
"""

from __future__ import annotations

import itertools
import math
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from sessionstore.errors import InvalidRecord

Parameters = dict[str, Any]
#: Samplers that draw a number of points from ranges.
DRAWN = ("random", "latin_hypercube", "sobol")
MAX_POINTS = 1_000_000
_RANGE_KEYS = {"low", "high", "log", "integer", "choices"}


def grid(axes: Mapping[str, Any]) -> list[Parameters]:
    """Return each combination of the values of all axes, the last axis fastest. Raises: InvalidRecord."""
    values = {name: values_of(name, axis) for name, axis in axes.items()}
    if math.prod(map(len, values.values())) > MAX_POINTS:
        raise InvalidRecord(f"the grid has more than {MAX_POINTS:,} points")
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def zipped(axes: Mapping[str, Any]) -> list[Parameters]:
    """Return the first values of all axes together, then the second ones. Raises: InvalidRecord."""
    values = {name: values_of(name, axis) for name, axis in axes.items()}
    lengths = {name: len(axis) for name, axis in values.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidRecord(f"the lists of zip have different lengths: {lengths}")
    return [dict(zip(values, each, strict=True)) for each in zip(*values.values(), strict=True)]


def values_of(name: str, axis: Any) -> list[Any]:
    """Return the values of one axis: a list, a range of Python, or a table with from, to and step or count."""
    if isinstance(axis, Mapping):
        return _spaced(name, axis)
    if isinstance(axis, str) or not isinstance(axis, Sequence | range):
        raise InvalidRecord(f"{name}: a list of values, or a table with from, to and step or count, is expected")
    if len(axis) == 0:
        raise InvalidRecord(f"{name}: the list is empty")
    return list(axis)


def _spaced(name: str, axis: Mapping[str, Any]) -> list[Any]:
    low: Any
    high: Any
    step: Any
    low, high, step, count = [axis.get(key) for key in ("from", "to", "step", "count")]
    if not _numbers(low, high) or set(axis) - {"from", "to", "step", "count"} or (step is None) == (count is None):
        raise InvalidRecord(f"{name}: from and to are numbers, with either step or count")
    if count is not None:
        if not isinstance(count, int) or count < 2:
            raise InvalidRecord(f"{name}: count is a whole number of at least 2")
        return [low + (high - low) * index / (count - 1) for index in range(count)]
    if not _numbers(step) or step <= 0 or high < low or (high - low) / step >= MAX_POINTS:
        raise InvalidRecord(f"{name}: step is a number above 0, and to is not below from")
    found = [low + index * step for index in range(math.floor((high - low) / step * (1 + 1e-12) + 1e-9) + 1)]
    return [round(each, 12) if isinstance(each, float) else each for each in found]


def drawn(sampler: str, wanted: Mapping[str, Any]) -> list[Parameters]:
    """Return ``count`` sets of parameters drawn by a sampler of :data:`DRAWN`.

    Args:
        wanted: ``count``, ``parameters`` (name to ``[low, high]``, or to a table with low and high, or choices; log
            and integer as wished), and ``seed``.

    Raises: InvalidRecord; ModuleNotFoundError: SciPy is missing (``pip install 'sessionstore[sweeps]'``).
    """
    if unknown := set(wanted) - {"count", "parameters", "seed"}:
        raise InvalidRecord(f"{sampler}: {', '.join(sorted(unknown))} is unknown; count, parameters and seed are known")
    count, seed, ranges = wanted.get("count"), wanted.get("seed", 0), wanted.get("parameters")
    if type(count) is not int or not 1 <= count <= MAX_POINTS:
        raise InvalidRecord(f"{sampler}: count is a whole number from 1 to {MAX_POINTS:,}")
    if type(seed) is not int or not isinstance(ranges, Mapping) or not ranges:
        raise InvalidRecord(f"{sampler}: seed is a whole number, and parameters is a table of ranges")
    tables = {name: range_of(name, each) for name, each in ranges.items()}
    units = _units(sampler, len(tables), count, seed)
    return [{name: _placed(table, u) for (name, table), u in zip(tables.items(), row, strict=True)} for row in units]


def range_of(name: str, given: Any) -> dict[str, Any]:
    """Return a checked range as a table. Raises: InvalidRecord."""
    table = {"low": given[0], "high": given[1]} if isinstance(given, list | tuple) and len(given) == 2 else given
    if not isinstance(table, Mapping) or set(table) - _RANGE_KEYS:
        raise InvalidRecord(f"{name}: [low, high], or a table with low and high (log, integer) or choices, is expected")
    if "choices" in table:
        return {"choices": values_of(name, table["choices"])}
    low: Any = table.get("low")
    high: Any = table.get("high")
    if not _numbers(low, high) or not low < high:
        raise InvalidRecord(f"{name}: low and high are numbers, and low is below high")
    if table.get("log") and low <= 0:
        raise InvalidRecord(f"{name}: low is above 0 with log")
    whole = bool(table.get("integer", isinstance(low, int) and isinstance(high, int) and not table.get("log")))
    return {"low": low, "high": high, "log": bool(table.get("log")), "integer": whole}


def _numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)


def _units(sampler: str, dimensions: int, count: int, seed: int) -> list[list[float]]:
    """Return points of the unit cube."""
    if sampler == "random":
        source = random.Random(seed)
        return [[source.random() for _ in range(dimensions)] for _ in range(count)]
    try:
        from scipy.stats import qmc
    except ModuleNotFoundError as error:
        reason = f"{sampler} needs SciPy: pip install 'sessionstore[sweeps]'"
        raise ModuleNotFoundError(reason, name="scipy") from error
    engine: Any = (qmc.LatinHypercube if sampler == "latin_hypercube" else qmc.Sobol)(dimensions, rng=seed)
    with warnings.catch_warnings():  # a count that is no power of 2 is less balanced, and allowed
        warnings.simplefilter("ignore", UserWarning)
        points: list[list[float]] = engine.random(count).tolist()
    return points


def _placed(table: Mapping[str, Any], unit: float) -> Any:
    """Return the value of a range at a point of [0, 1)."""
    if "choices" in table:
        choices = table["choices"]
        return choices[min(int(unit * len(choices)), len(choices) - 1)]
    low, high = table["low"], table["high"]
    if table["log"]:
        value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
        return min(max(round(value), math.ceil(low)), math.floor(high)) if table["integer"] else value
    if table["integer"]:
        return min(math.floor(low + unit * (high - low + 1)), math.floor(high))
    return low + unit * (high - low)
