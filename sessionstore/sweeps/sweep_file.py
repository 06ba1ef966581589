"""A sweep from a TOML file: a scenario (or a function), and under ``[sweep]`` what varies.

    scenario = "first-flight"          # or the tables of a scenario in this very file, or function = "my_sim.py:fly"

    [sweep]
    seeds = 20
    minimise = "totals.energy_used_wh / totals.windows_cleaned"

    [sweep.grid]
    "weather.condition" = ["calm", "breeze"]

Not here: what the parts mean (definition, samplers).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from sessionstore.errors import InvalidRecord
from sessionstore.sweeps.definition import Definition
from sessionstore.sweeps.programs import FunctionProgram, Program, imported, scenario_program
from sessionstore.sweeps.sweep import definition_of

_KEYS = {
    "name", "grid", "zip", "random", "latin_hypercube", "sobol", "tpe", "seeds", "exclude", "minimise", "maximise",
    "time_limit_s", "memory_limit_mb", "attempts",
}  # fmt: skip


class Loaded(NamedTuple):
    """What a file gives: the definition, and the program that runs at each point."""

    definition: Definition
    program: Program


def load(path: str | Path) -> Loaded:
    """Read the file of a sweep. Raises: InvalidRecord, ScenarioError, naming file and field."""
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InvalidRecord(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRecord(f"{path}: {error}") from error
    sweep = data.pop("sweep", None)
    if not isinstance(sweep, dict):
        raise InvalidRecord(f"{path}: there is no table [sweep], which names what varies")
    if unknown := sorted(set(sweep) - _KEYS):
        raise InvalidRecord(f"{path}: sweep.{unknown[0]} is unknown; known are {', '.join(sorted(_KEYS))}")
    program = _program(data, path)
    given = {**sweep, "source": str(path.absolute())}
    given.setdefault("name", str(data.get("name") or path.stem))
    try:
        return Loaded(definition_of(program, **given), program)
    except InvalidRecord as error:
        raise InvalidRecord(f"{path}: {error}") from error


def _program(data: dict[str, Any], path: Path) -> Program:
    function, scenario = data.pop("function", None), data.pop("scenario", None)
    if function is not None:
        if scenario is not None or set(data) - {"name"}:
            raise InvalidRecord(f"{path}: a function excludes a scenario: {', '.join(sorted(data)) or 'scenario'}")
        place, _, name = str(function).rpartition(":")
        near = path.parent / place
        return FunctionProgram(imported(f"{near}:{name}" if place.endswith(".py") else str(function)), str(function))
    if scenario is None:
        return scenario_program(data, str(path))
    near = path.parent / str(scenario)
    base = scenario_program(near if near.is_file() else str(scenario))
    over = {key: value for key, value in data.items() if key != "name"}
    if over:
        raise InvalidRecord(f"{path}: {', '.join(over)}: change a scenario under [sweep.grid], or put all of it here")
    return base
