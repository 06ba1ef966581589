"""What is to fly next: buildings, drones, weather, duration; collected by several requests, used by ``start``.

A plan with a session waits in it: its buildings are stored there already, and the start flies in that session.
Not here: flying (server.flights.simulation_worker), which plan is the present one (simulations).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import InvalidRecord
from sessionstore.model import names
from sessionstore.session import Session
from sessionstore.simulation.drones.kinds import ALIASES, KINDS
from sessionstore.simulation.running.scenarios import DEFAULT_FLEET, Group, Order, Scenario
from sessionstore.simulation.world.buildings import Building, City
from sessionstore.simulation.world.city import open_city, random_city
from sessionstore.simulation.world.heights import STOREY_M
from sessionstore.simulation.world.weather import DEFAULT_CONDITION

PLAN_TABLE = "plan"
CITY_ARTIFACT = "city.json"
DEFAULT_DURATION_S = 300.0
DEFAULT_BUILDINGS = 4
_NAME = re.compile(r"[\w][\w .-]{0,63}")


@dataclass(slots=True)
class Drone:
    """A drone that joins at the start."""

    kind: str
    name: str
    position: list[float] | None = None
    named: bool = False


@dataclass(slots=True)
class Plan:
    """One flight that was not started yet."""

    seed: int = field(default_factory=lambda: secrets.randbelow(1 << 31))
    buildings: int = DEFAULT_BUILDINGS
    hidden_buildings: int = 0
    city: str | None = None  # the name of an artifact of the session
    default_height_m: float | None = None  # for buildings of the city without a height
    base_position: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    condition: str = DEFAULT_CONDITION
    duration_s: float = DEFAULT_DURATION_S
    realtime: float | None = 1.0
    drones: list[Drone] = field(default_factory=list)
    session_id: str | None = None

    def add_drone(self, kind: str, name: str | None, position: list[float] | None) -> Drone:
        """Enter a drone; its name is the one that it will have. Raises: InvalidRecord: the name is taken or none."""
        if name is not None and not _NAME.fullmatch(name):
            raise InvalidRecord("a drone is named by letters, digits, blanks, dots and hyphens, at most 64")
        number = 1 + sum(1 for drone in self.drones if drone.kind == kind)
        drone = Drone(kind, name or f"{kind}-{number}", position, name is not None)
        if drone.name.lower() in {each.name.lower() for each in self.drones}:
            raise InvalidRecord(f"there is a drone called {drone.name} already")
        self.drones.append(drone)
        return drone

    def scenario(self, folder: Path | None) -> Scenario:
        """Return what the simulation flies; without drones the default fleet."""
        plain = all(not drone.named and drone.position is None for drone in self.drones)
        fleet: tuple[Group, ...] = ()
        orders: tuple[Order, ...] = ()
        if not self.drones:
            fleet = DEFAULT_FLEET
        elif plain:
            fleet = tuple(Group(drone.kind) for drone in self.drones)
        else:
            orders = tuple(_order(drone) for drone in self.drones)
        east, north, up = self.base_position
        return Scenario(
            name="live",
            seed=self.seed,
            duration_s=self.duration_s,
            city=str(folder / "artifacts" / self.city) if folder and self.city else None,
            default_height_m=self.default_height_m if folder and self.city else None,
            buildings=self.buildings,
            hidden_buildings=self.hidden_buildings,
            base_position=(east, north, up),
            condition=self.condition,
            fleet=fleet,
            orders=orders,
        )

    def again(self) -> Plan:
        """Return the same plan for another session."""
        return replace(self, drones=[replace(drone) for drone in self.drones], session_id=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for the table ``plan`` of the session."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Return the plan that :meth:`to_dict` gave."""
        return cls(**{**data, "drones": [Drone(**drone) for drone in data.get("drones", [])]})


def _order(drone: Drone) -> Order:
    target = (drone.position[0], drone.position[1], drone.position[2]) if drone.position else None
    return Order(0.0, "spawn", drone.name, target, {"kind": drone.kind})


def kind_of(name: str) -> str:
    """Return the kind that a name stands for. Raises: InvalidRecord: naming the kinds there are."""
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    kind = ALIASES.get(wanted, wanted)
    if kind not in KINDS:
        raise InvalidRecord(f"there is no drone of kind {name[:100]!r} (there are {', '.join(KINDS)})")
    return kind


def drones_of(fleet: Sequence[Mapping[str, Any]]) -> list[Drone]:
    """Return the drones of a fleet. Raises: InvalidRecord: a kind that there is not, or a name twice."""
    plan = Plan()
    for each in fleet:
        kind = kind_of(each.get("type") or each.get("kind") or each["drone_type"])
        for _ in range(each.get("count", 1)):
            plan.add_drone(kind, each.get("name"), each.get("position"))
    return plan.drones


def city_of(plan: Plan, folder: Path | None) -> City:
    """Return the buildings of a plan. Raises: CityFileError."""
    if plan.city is not None and folder is not None:
        return open_city(folder / "artifacts" / plan.city, plan.default_height_m)
    return random_city(str(plan.seed), plan.buildings, plan.hidden_buildings)


def default_height_m(given: Mapping[str, Any]) -> float | None:
    """Return the height for buildings without one, as a request names it. Raises: InvalidRecord: named twice."""
    height_m, levels = given.get("default_height_m"), given.get("default_levels")
    if height_m is not None and levels is not None:
        raise InvalidRecord("default_levels excludes default_height_m")
    return height_m if levels is None else float(levels * STOREY_M)


def building_records(city: City) -> list[dict[str, Any]]:
    """Return the buildings as the scene of a session holds them; facades and windows are made by the flight."""
    return [Building(footprint).as_record() for footprint in city.footprints]


def store_city(session: Session, data: bytes) -> str:
    """Keep an uploaded city as an artifact of its session, durably; return its name.

    Raises: StoreUnusable; what was there is replaced only by a whole new file.
    """
    folder = session.folder / "artifacts"
    files.make_dirs(folder)
    files.put(folder / CITY_ARTIFACT, data)
    entry = {"name": CITY_ARTIFACT, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def enter(record: dict[str, Any]) -> None:
        others = [each for each in record["artifacts"] if each.get("name") != CITY_ARTIFACT]
        record["artifacts"] = [*others, entry]

    session.update(enter)
    return CITY_ARTIFACT


def keep_plan(session: Session, plan: Plan, **changes: Any) -> None:
    """Write the plan into its session, so that it can be started by name also after the server was restarted."""

    def put(tables: dict[str, dict[str, Any]]) -> None:
        tables[PLAN_TABLE] = {"1": plan.to_dict()}

    session.update(edit_tables=put, **changes)


def plan_of(session: Session) -> Plan | None:
    """Return the plan that waits in a session; None for a session that was made otherwise."""
    found = next(iter(session.tables().get(PLAN_TABLE, {}).values()), None)
    try:
        return None if found is None else replace(Plan.from_dict(found), session_id=session.session_id)
    except (TypeError, KeyError) as error:
        raise InvalidRecord(f"the table {PLAN_TABLE!r} was edited and is not a plan any more") from error


def check_name(name: str | None) -> str | None:
    """Return a name as typed. Raises: InvalidName."""
    return None if name is None else names.check_typed_name(name)
