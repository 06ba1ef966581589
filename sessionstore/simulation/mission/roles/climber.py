"""Climber: flies to a facade, sits on it, and wipes window after window in Z or N strokes.

It never leaves the wall between two windows of one facade unless something stands in its way.
"""

from __future__ import annotations

from math import hypot

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import FLUID_LOW
from sessionstore.simulation.drones.strokes import BRUSH_MPS, FLUID_L_PER_M2, stroke_path
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.crew import Run
from sessionstore.simulation.mission.pilot import (
    WALL_DISTANCE_M,
    Behaviour,
    crawl_to,
    fly_to,
    go_home,
    land_on_wall,
    leave_wall,
    wait,
)
from sessionstore.simulation.mission.views import Cleaning
from sessionstore.simulation.world.facades import WINDOW_HEIGHT_M, WINDOW_WIDTH_M, Window
from sessionstore.simulation.world.geometry import Vec3

VALVE_S = 0.05  # known: the time the valve takes to open
MULE_PATIENCE_S = 60.0  # chosen: then it fetches fluid itself


def climber(fleet: Cleaning, drone: Drone) -> Behaviour:
    """Clean while there is a batch; wait on the wall while it is inspected; go home when nothing is left."""
    while True:
        run = fleet.crew.next_run(drone) if fleet.mission.phase == "EXECUTE" else None
        if run is not None:
            try:
                yield from _clean_run(fleet, drone, run)
            finally:
                fleet.crew.release(run, drone)
            continue
        if drone.mode == "flying" or (drone.mode == "wall" and fleet.crew.work_is_over):
            yield from go_home(fleet, drone, "idle")
        drone.activity = "waiting on the wall" if drone.mode == "wall" else "waiting for work"
        yield


def _clean_run(fleet: Cleaning, drone: Drone, run: Run) -> Behaviour:
    names = [w.id for w in run.windows]
    data = {"facade": run.facade.id, "windows": len(names)}
    while not fleet.radio.send(None, drone, "ASSIGN", f"clean {len(names)} windows", fleet.clock.t_s, data):
        yield from wait(2.0)
    for window in run.windows:
        if drone.fluid_l < FLUID_LOW * drone.kind.cartridge_l and drone.tether is None:
            yield from _refill(fleet, drone)
        try:
            yield from _reach(fleet, drone, window)
        except NoPath as error:
            fleet.log.event("no_path", str(error), level="warning", drone=drone.id, window=window.id)
            fleet.crew.give_up(window)
            continue
        yield from _clean(fleet, drone, window)


def _reach(fleet: Cleaning, drone: Drone, window: Window) -> Behaviour:
    """Crawl there when it is the same wall and the way along it is free, else fly."""
    drone.activity = f"going to {window.id}"
    spot = window.facade.off_wall(window.center_m, WALL_DISTANCE_M)
    if drone.mode == "wall":
        if drone.facade is window.facade and _free_to_crawl(fleet, drone, spot):
            yield from crawl_to(drone, spot)
            return
        yield from leave_wall(fleet, drone)
    yield from fly_to(fleet, drone, window.standoff_m)
    if window.facade.claimed_by is None:
        window.facade.claimed_by = drone.id
    yield from land_on_wall(fleet, drone, window.facade, window.center_m)


def _free_to_crawl(fleet: Cleaning, drone: Drone, spot: Vec3) -> bool:
    low = min(drone.z, spot[2])
    others = [b for b in fleet.world.near(drone.x, drone.y) if drone.facade and b is not drone.facade.building]
    margin = drone.kind.radius_m + 0.2
    return not fleet.world.blockers((drone.x, drone.y), spot[:2], low, margin, others)


def _clean(fleet: Cleaning, drone: Drone, window: Window) -> Behaviour:
    drone.activity = f"cleaning {window.id}"
    started_s, energy_j, before = fleet.clock.t_s, drone.battery.used_j, window.dirt
    decision = fleet.log.decide(
        "clean",
        drone,
        {
            "dirt_estimate": window.dirt_estimate,
            "battery": round(drone.battery.charge, 4),
            "fluid_l": round(drone.fluid_l, 3),
            "wind_mps": round(fleet.weather.wind_mps, 2),
            "height_m": round(window.center_m[2], 2),
            "attempt": window.cleanings + 1,
        },
        {"window": window.id, "pattern": "Z" if window.facade.is_wide else "N"},
    )
    done = False
    try:
        yield from wait(VALVE_S)
        yield from _wipe(fleet, drone, window)
        left = fleet.crew.wipe(window, fleet.clock.t_s)
        drone.day.windows_cleaned += 1
        done = True
    finally:
        outcome: dict[str, object] = {
            "cleaned": done,
            "time_s": round(fleet.clock.t_s - started_s, 2),
            "energy_wh": round((drone.battery.used_j - energy_j) / 3600, 3),
        }
        if done:
            outcome["dirt_after"] = window.dirt
        decision.close(outcome)
    fleet.log.event(
        "window_cleaned",
        window.id,
        drone=drone.id,
        dirt_before=before,
        dirt_after=left,
        time_s=round(fleet.clock.t_s - started_s, 2),
    )


def _wipe(fleet: Cleaning, drone: Drone, window: Window) -> Behaviour:
    """Follow the strokes; the valve feeds fluid in proportion to the glass that is passed."""
    facade = window.facade
    center = facade.off_wall(window.center_m, WALL_DISTANCE_M)
    points: list[Vec3] = []
    for u, v in stroke_path(WINDOW_WIDTH_M, WINDOW_HEIGHT_M, facade.is_wide):
        along, up = u - WINDOW_WIDTH_M / 2, v - WINDOW_HEIGHT_M / 2
        points.append((center[0] + facade.along[0] * along, center[1] + facade.along[1] * along, center[2] + up))
    total = WINDOW_WIDTH_M * WINDOW_HEIGHT_M * FLUID_L_PER_M2
    length = _length(drone.position, points)
    drone.go(points, BRUSH_MPS)
    here = drone.position
    while drone.path:
        yield
        while _is_disturbed(fleet, drone):
            drone.activity = f"paused at {window.id}"
            drone.speed_mps = 0.0
            yield
        drone.speed_mps = BRUSH_MPS
        moved = drone.distance_to(here)
        here = drone.position
        drone.fluid_l = max(0.0, drone.fluid_l - total * moved / length)


def _is_disturbed(fleet: Cleaning, drone: Drone) -> bool:
    """Whether careful work has to pause: a bird is too near, or the tether is snagged."""
    return fleet.birds.near(drone) or fleet.supply.is_snagged(drone)


def _length(start: Vec3, points: list[Vec3]) -> float:
    total = 0.0
    for point in points:
        total += hypot(*(point[i] - start[i] for i in range(3)))
        start = point
    return total


def _refill(fleet: Cleaning, drone: Drone) -> Behaviour:
    """Call a mule and wait for it on the wall; without one, or when none comes, fetch fluid at the base."""
    if drone.mode == "wall" and fleet.supply.mule_is_available():
        drone.activity = "waiting for a cartridge"
        share = round(drone.fluid_l / drone.kind.cartridge_l, 3)
        while not fleet.radio.send(drone, None, "FLUID", "cartridge below 20 %", fleet.clock.t_s, {"fluid": share}):
            yield from wait(2.0)
        fleet.supply.call_mule(drone)
        waited_s = 0.0
        while drone.fluid_l < drone.kind.cartridge_l - 1e-9 and (
            waited_s < MULE_PATIENCE_S or fleet.supply.mule_is_docking(drone)
        ):
            waited_s += 1.0
            yield from wait(1.0)
        fleet.supply.cancel_mule(drone)
    if drone.fluid_l < FLUID_LOW * drone.kind.cartridge_l:
        yield from go_home(fleet, drone, "fluid")
        while drone.fluid_l < drone.kind.cartridge_l - 1e-9:
            drone.activity = "filling up"
            yield
