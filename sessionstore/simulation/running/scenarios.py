"""Scenarios: what world, weather, fleet, faults and commands a run has. TOML files and command lines end up
here.

A scenario is checked whole before anything starts; an error names the file, the field and the reason.
Its hash covers everything that the run's bytes depend on, the city file included.
Not here: building the fleet (launch), the ready files themselves (ready_scenarios/).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.trajectory import Trajectory
from sessionstore.simulation.errors import ScenarioError
from sessionstore.simulation.mission.commands import COMMAND_TYPES, leader_of
from sessionstore.simulation.mission.faults import FAULTS, Fault
from sessionstore.simulation.running.trajectory_tables import TrajectorySchema, made
from sessionstore.simulation.world.heights import STOREY_M
from sessionstore.simulation.world.weather import CONDITIONS, DEFAULT_CONDITION

#: Which rules the motion follows: 1 until drones turned back for their battery at 20 %; 2 since they land with 20 %.
MOTION_MODEL = 2


@dataclass(frozen=True)
class Group:
    """Some drones of one kind; `battery` is their charge at the start, 0 to 1."""

    kind: str
    count: int = 1
    battery: float = 1.0


@dataclass(frozen=True)
class Order:
    """A command that the scenario itself gives."""

    at_s: float
    type: str
    drone: str = ""
    target: tuple[float, float, float] | None = None
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """One run, before it starts."""

    name: str = "random"
    description: str = ""
    seed: int = 0
    duration_s: float = 300.0
    city: str | None = None
    default_height_m: float | None = None  # for buildings of the city file without a height
    buildings: int = 4
    hidden_buildings: int = 0
    base_position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    base_orientation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    base_gps: tuple[float, float, float] | None = None
    condition: str = DEFAULT_CONDITION
    batch_per_climber: int = 4
    fleet: tuple[Group, ...] = ()
    faults: tuple[Fault, ...] = ()
    orders: tuple[Order, ...] = ()
    trajectories: tuple[Trajectory, ...] = ()
    wind_pushes: bool = False

    def with_options(self, **options: object) -> Scenario:
        """The same scenario with some fields replaced; None leaves a field as it is."""
        return replace(self, **{k: v for k, v in options.items() if v is not None})  # type: ignore[arg-type]

    def counts(self) -> dict[str, int]:
        """How many drones of each kind."""
        total: dict[str, int] = {}
        for group in self.fleet:
            total[group.kind] = total.get(group.kind, 0) + group.count
        return total

    def drone_names(self) -> list[str]:
        """The names that its drones will have, those that join by its own commands included."""
        return list(self.drone_kinds())

    def drone_kinds(self) -> dict[str, str]:
        """The kinds of its drones by their names."""
        joining = [(group.kind, "") for group in self.fleet for _ in range(group.count)]
        spawns = sorted((order for order in self.orders if order.type == "spawn"), key=lambda order: order.at_s)
        joining += [(str(order.args.get("kind")), order.drone) for order in spawns]
        numbers: Counter[str] = Counter()
        found: dict[str, str] = {}
        for kind, name in joining:
            numbers[kind] += 1
            found.setdefault(name or f"{kind}-{numbers[kind]}", kind)
        return found

    def fingerprint(self, city_sha256: str = "") -> str:
        """The hash that two runs share when they must be byte-identical, but for the seed, which stands
        beside it.
        """
        content = asdict(self)
        for name in ("name", "description", "seed", "city"):
            del content[name]
        if self.default_height_m is None:  # a run without it keeps the hash that it had before the field
            del content["default_height_m"]
        for trajectory in content["trajectories"]:
            del trajectory["source"]
        content["city_sha256"] = city_sha256
        content["motion_model"] = MOTION_MODEL
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


DEFAULT_FLEET = tuple(Group(kind.name, kind.usual) for kind in KINDS.values() if kind.usual)
_POINT = fields.List(fields.Float(), validate=validate.Length(equal=3))


class _Target(fields.Field[Any]):
    """A place, or the name of a drone (of those, only `follow` takes one)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        return value if isinstance(value, str) else _POINT.deserialize(value, attr, data, **more)


class _Strict(Schema):
    class Meta:
        unknown = RAISE


def _at_least(low: float) -> validate.Range:
    return validate.Range(min=low)


class _World(_Strict):
    city = fields.String()
    buildings = fields.Integer(strict=True, validate=validate.Range(min=0, max=2000))
    hidden_buildings = fields.Integer(strict=True, validate=validate.Range(min=0, max=2000))
    base_position = _POINT
    base_orientation = _POINT
    base_gps = _POINT
    default_height_m = fields.Float(validate=validate.Range(min=1, max=500))
    default_levels = fields.Integer(strict=True, validate=validate.Range(min=1, max=150))

    @validates_schema
    def _one_default_for_a_city(self, data: Mapping[str, Any], **_: object) -> None:
        given = [name for name in ("default_height_m", "default_levels") if name in data]
        if given and "city" not in data:
            raise ValidationError("needs a city", given[0])
        if len(given) == 2:
            raise ValidationError("excludes default_height_m", "default_levels")


class _Weather(_Strict):
    condition = fields.String(validate=validate.OneOf(tuple(CONDITIONS)))
    pushes = fields.Boolean(attribute="wind_pushes")


class _Mission(_Strict):
    batch_per_climber = fields.Integer(strict=True, validate=validate.Range(min=1, max=1000))


class _Group(_Strict):
    kind = fields.String(required=True, validate=validate.OneOf(tuple(KINDS)))
    count = fields.Integer(strict=True, validate=validate.Range(min=1, max=1000))
    battery = fields.Float(validate=validate.Range(min=0.0, max=1.0))


class _Fault(_Strict):
    kind = fields.String(required=True, validate=validate.OneOf(tuple(FAULTS)))
    at_s = fields.Float(required=True, validate=_at_least(0))
    drone = fields.String()
    duration_s = fields.Float(validate=validate.Range(min=0, min_inclusive=False))

    @validates_schema
    def _needs_drone(self, data: Mapping[str, Any], **_: object) -> None:
        kind = FAULTS.get(data.get("kind", ""))
        if kind is not None and kind.needs_drone and not data.get("drone"):
            raise ValidationError("this fault needs a drone", "drone")


class _Order(_Strict):
    type = fields.String(required=True, validate=validate.OneOf(COMMAND_TYPES))
    at_s = fields.Float(required=True, validate=_at_least(0))
    drone = fields.String()
    target = _Target()
    args = fields.Dict(keys=fields.String())


class _Scenario(_Strict):
    name = fields.String(validate=validate.Length(min=1, max=200))
    description = fields.String()
    seed = fields.Integer(strict=True)
    duration_s = fields.Float(validate=validate.Range(min=0, min_inclusive=False, max=7 * 86400))
    world = fields.Nested(_World)
    weather = fields.Nested(_Weather)
    mission = fields.Nested(_Mission)
    fleet = fields.List(fields.Nested(_Group))
    faults = fields.List(fields.Nested(_Fault))
    commands = fields.List(fields.Nested(_Order))
    trajectories = fields.List(fields.Nested(TrajectorySchema))


_SCHEMA = _Scenario()


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file, or a ready scenario by its name.

    Raises:
        ScenarioError: nothing was started; it names the file, the field and the reason.
    """
    path = Path(path)
    ready = ready_scenarios()
    if not path.exists() and str(path) in ready:
        path = ready[str(path)]
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(ready)
        raise ScenarioError(str(path), "file", f"{error.strerror or error}; ready scenarios: {known}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(str(path), "TOML", str(error)) from error
    return parse_scenario(data, str(path))


def parse_scenario(data: Mapping[str, Any], source: str = "scenario") -> Scenario:
    """Check a scenario given as a mapping, laid out as in a file.

    Raises:
        ScenarioError: nothing was started; every wrong field is named.
    """
    try:
        checked = _SCHEMA.load(dict(data))
    except ValidationError as error:
        problems = list(_problems(error.messages))
        rest = f" (and {len(problems) - 1} more: {', '.join(p[0] for p in problems[1:])})" if problems[1:] else ""
        raise ScenarioError(source, problems[0][0], problems[0][1] + rest) from error
    scenario = _from_checked(checked, source)
    check_faults(scenario, scenario.faults, source)
    check_drones(scenario, source)
    return scenario


def check_faults(scenario: Scenario, faults: Sequence[Fault], source: str) -> None:
    """Refuse faults that could never strike: after the end, or at a drone that there will not be.

    Raises:
        ScenarioError: it names the fault, by its number counted from 0, and the reason.
    """
    there = scenario.drone_names()
    for number, fault in enumerate(faults):
        place = f"faults[{number}]"
        if fault.at_s >= scenario.duration_s:
            raise ScenarioError(
                source, f"{place}.at_s", f"{fault.kind} at {fault.at_s:g} s: the run ends at {scenario.duration_s:g} s"
            )
        if not FAULTS[fault.kind].needs_drone:
            if fault.drone:
                raise ScenarioError(source, f"{place}.drone", f"{fault.kind} befalls no single drone")
        elif fault.drone.lower() not in {name.lower() for name in there}:
            shown = ", ".join(there[:12]) + (" ..." if len(there) > 12 else "")
            raise ScenarioError(source, f"{place}.drone", f"there will be no drone {fault.drone!r}, only {shown}")


def check_drones(scenario: Scenario, source: str) -> None:
    """Refuse a trajectory of a drone that there will not be, and a second one of one drone.

    Raises:
        ScenarioError: it names the trajectory, by its number counted from 0, and the reason.
    """
    there = {name.lower() for name in scenario.drone_names()}
    for number, trajectory in enumerate(scenario.trajectories):
        place, name = f"trajectories[{number}].drone", trajectory.drone.lower()
        if name not in there:
            shown = ", ".join(scenario.drone_names()[:12])
            raise ScenarioError(source, place, f"there will be no drone {trajectory.drone!r}, only {shown}")
        if name in {other.drone.lower() for other in scenario.trajectories[:number]}:
            raise ScenarioError(source, place, f"{trajectory.drone} has a trajectory already")


def _from_checked(data: dict[str, Any], source: str) -> Scenario:
    given: dict[str, Any] = {k: data[k] for k in ("name", "description", "seed", "duration_s") if k in data}
    given.setdefault("name", Path(source).stem)
    world = dict(data.get("world", {}))
    if "default_levels" in world:
        world["default_height_m"] = world.pop("default_levels") * STOREY_M
    for key, value in world.items():
        given[key] = tuple(value) if isinstance(value, list) else value
    if "city" in world:
        given["city"] = str(Path(source).parent / world["city"])
    given.update(data.get("weather", {}))
    given.update(data.get("mission", {}))
    given["fleet"] = tuple(Group(**g) for g in data.get("fleet", ())) or DEFAULT_FLEET
    given["faults"] = tuple(Fault(**f) for f in data.get("faults", ()))
    given["orders"] = tuple(_order(o) for o in data.get("commands", ()))
    folder = Path(source).parent
    given["trajectories"] = tuple(
        made(t, folder, f"{source}: trajectories[{i}]") for i, t in enumerate(data.get("trajectories", ()))
    )
    for name in ("base_position", "base_orientation", "base_gps"):
        if not all(isfinite(v) for v in given.get(name, ())):
            raise ScenarioError(source, f"world.{name}", "not finite")
    return Scenario(**given)


def _order(given: dict[str, Any]) -> Order:
    place, args = leader_of(given["type"], given.get("target"), given.get("args", {}))
    target = tuple(place) if isinstance(place, list | str) else None
    return Order(**{**given, "target": target, "args": dict(args)})


def _problems(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Flatten marshmallow's nested messages to (field, reason)."""
    if isinstance(messages, dict):
        for key, below in messages.items():
            inner = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
            yield from _problems(below, path if key == "_schema" else path + inner)
    else:
        yield path or "scenario", " ".join(str(m) for m in messages)


def ready_scenarios() -> dict[str, Path]:
    """The scenario files that come with the package, by name."""
    folder = resources.files("sessionstore.simulation") / "ready_scenarios"
    files = sorted(Path(str(folder)).glob("*.toml"))
    return {path.stem: path for path in files}
