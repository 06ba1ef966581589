"""Views of a fleet for readers outside the run: the record before the flight, the state between two ticks, the
windows.

Not here: motion lines (simulation.mission.samples), figures of the end (mission.flight_figures).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.mission.roster import BERTH_HEIGHT_M
from sessionstore.simulation.running.scenarios import MOTION_MODEL, Scenario
from sessionstore.simulation.world.facades import WINDOW_HEIGHT_M, WINDOW_WIDTH_M
from sessionstore.simulation.world.geometry import Vec3


def drone_state(drone: Drone) -> dict[str, Any]:
    """One drone as it is now."""
    return {
        "id": drone.id,
        "name": drone.id,
        "kind": drone.kind.name,
        "position": [round(c, 4) for c in drone.position],
        "velocity": [round(c, 4) for c in (drone.vx, drone.vy, drone.vz)],
        "orientation": [round(c, 4) for c in drone.orientation()],
        "battery": round(drone.battery.charge, 4),
        "mode": drone.mode,
        "activity": drone.activity,
        "fluid_l": round(drone.fluid_l, 3),
        "distance_m": round(drone.day.distance_m, 3),
    }


def snapshot(fleet: Fleet) -> dict[str, Any]:
    """The whole picture between two ticks."""
    return {
        "sim_time": fleet.clock.t_s,
        "phase": fleet.mission.phase,
        "phases_s": fleet.mission.durations_s(),
        "drones": [drone_state(d) for d in fleet.roster.drones if d.mode != "retired"],
        "windows": {"total": len(fleet.world.windows), **fleet.crew.counts},
        "weather": fleet.weather.as_record(),
    }


def scene_record(fleet: Fleet) -> dict[str, Any]:
    """Buildings that the fleet knows, and the base."""
    return {
        "buildings": [b.as_record() for b in fleet.world.buildings if b.known],
        "base": base_record(fleet),
    }


def base_record(fleet: Fleet) -> dict[str, Any]:
    """The base station and the origin of the local frame in the file's coordinates."""
    world = fleet.world
    east, north, up = world.base_m
    return_point: Vec3 = (east, north, up + BERTH_HEIGHT_M)
    origin = world.city.origin
    return {
        "name": "base",
        "position": list(world.base_m),
        "return_point": list(return_point),
        "origin": {
            "crs": origin.crs,
            "easting_m": round(origin.easting_m, 3),
            "northing_m": round(origin.northing_m, 3),
            "height_m": round(origin.height_m, 3),
        },
        "gps": origin.gps.as_record() if origin.gps else None,
    }


def window_lines(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Every window of the city, as it is at the beginning."""
    for window in fleet.world.windows:
        yield {
            "window": window.id,
            "building": window.facade.building.name,
            "position": [round(c, 3) for c in window.center_m],
            "normal": [round(c, 4) for c in window.facade.normal],
            "size": [WINDOW_WIDTH_M, WINDOW_HEIGHT_M],
            "dirt": window.dirt,
            "serviceable": window.reachable,
        }


def drone_list(fleet: Fleet) -> list[dict[str, Any]]:
    """The drones as the session's record lists them."""
    return [
        {"id": d.id, "kind": d.kind.name, "spawn_position": [round(c, 3) for c in d.berth_m], "mode": d.mode}
        for d in fleet.roster.drones
    ]


def session_fields(scenario: Scenario, fleet: Fleet, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a session's record holds before the flight."""
    city = fleet.world.city
    hidden = len(fleet.hidden)
    fields: dict[str, Any] = {
        "base_position": list(scenario.base_position),
        "base_orientation": list(scenario.base_orientation),
        "num_buildings": len(fleet.world.buildings) - hidden,
        "num_invisible_buildings": hidden,
        "duration_planned_s": scenario.duration_s,
        "seed": scenario.seed,
        "scenario_hash": scenario.fingerprint(city.sha256),
        "metadata": {
            **metadata,
            "scenario": scenario.name,
            "motion_model": MOTION_MODEL,
            "num_drones": sum(scenario.counts().values()),
            "fleet": scenario.counts(),
            "weather": scenario.condition,
            "city": {
                "source": city.source,
                "sha256": city.sha256,
                "ignored": dict(city.ignored),
                "replaced": dict(city.replaced),
            },
        },
    }
    if city.origin.gps is not None:
        fields["gps"] = city.origin.gps.as_record()
    return fields
