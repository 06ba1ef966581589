"""Views of a fleet for readers outside the run: the record before the flight, the state between two ticks, the
windows.

Not here: motion lines (simulation.mission.samples), figures of the end (mission.flight_figures).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.model.provenance import MAX_COPY_BYTES
from sessionstore.session.recorder import Recorder
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.mission.roster import BERTH_HEIGHT_M
from sessionstore.simulation.running.scenarios import MOTION_MODEL, Scenario
from sessionstore.simulation.world.facades import (
    FLOOR_HEIGHT_M,
    WINDOW_HEIGHT_M,
    WINDOW_PITCH_M,
    WINDOW_WIDTH_M,
    Facade,
)
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


def facade_lines(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Every window of the city as it is at the beginning, one line per facade (read by playback.facade_windows)."""
    return map(_facade_line, fleet.world.facades)


def _facade_line(facade: Facade) -> dict[str, Any]:
    """The grid of a facade: the centre of its first place, the step per column and row, and the dirt of each window."""
    some = facade.windows[0]
    step = [WINDOW_PITCH_M * c for c in facade.along]
    x, y, z = some.center_m
    first = (x - some.column * step[0], y - some.column * step[1], z - some.row * FLOOR_HEIGHT_M)
    columns = 1 + max(w.column for w in facade.windows)
    dirt: list[list[float | None]] = [[None] * columns for _ in range(1 + max(w.row for w in facade.windows))]
    for window in facade.windows:
        dirt[window.row][window.column] = window.dirt
    return {
        "facade": facade.id,
        "building": facade.building.name,
        "first": [round(c, 3) for c in first],
        "step": [*(round(c, 6) for c in step), FLOOR_HEIGHT_M],
        "normal": [round(c, 4) for c in facade.normal],
        "size": [WINDOW_WIDTH_M, WINDOW_HEIGHT_M],
        "dirt": dirt,
        "out_of_reach": [[w.row, w.column] for w in facade.windows if not w.reachable],
    }


def drone_list(fleet: Fleet) -> list[dict[str, Any]]:
    """The drones as the session's record lists them."""
    return [
        {"id": d.id, "kind": d.kind.name, "spawn_position": [round(c, 3) for c in d.berth_m], "mode": d.mode}
        for d in fleet.roster.drones
    ]


def keep_scenario(recorder: Recorder, scenario: Scenario) -> Callable[[dict[str, Any]], None]:
    """Return the change of a record that keeps the scenario whole; its city file is copied up to 50 MB.

    From these a flight can be flown again on another machine.
    """
    facts: dict[str, Any] = {"scenario": msgspec.to_builtins(scenario)}
    city = None if scenario.city is None else Path(scenario.city)
    if city is not None and city.is_dir():  # the town of a session: it stands in the scene of this one, too
        facts["inputs"] = [{"path": str(city), "session": city.name, "scenario": True}]
    elif city is not None:
        entry: dict[str, Any] = {"path": str(city), "bytes": city.stat().st_size, "scenario": True}
        inside = recorder.folder / "artifacts"
        if city.parent == inside:
            entry |= {"artifact": city.name, "sha256": recorder.artifacts[city.name].sha256}
        elif entry["bytes"] <= MAX_COPY_BYTES:
            kept = recorder.artifacts.put(city.name, city)
            entry |= {"artifact": kept.name, "sha256": kept.sha256}
        facts["inputs"] = [entry]

    def change(record: dict[str, Any]) -> None:
        record["provenance"] = {**record["provenance"], **facts}

    return change


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
            **({"wind_pushes": True} if scenario.wind_pushes else {}),
            **({"trajectories": {t.drone: t.source for t in scenario.trajectories}} if scenario.trajectories else {}),
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
