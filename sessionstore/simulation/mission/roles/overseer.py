"""Overseer: watches the facade that is being cleaned, scans it every 30 s, scares birds, and inspects in
VERIFY.
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import TICK_HZ, Drone
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.pilot import Behaviour, fly_to, go_home, wait
from sessionstore.simulation.mission.views import Inspecting, Watching
from sessionstore.simulation.world.facades import Facade, Window
from sessionstore.simulation.world.geometry import Vec3

SCAN_EVERY_S = 30.0  # known
INSPECT_S = 1.0  # chosen: a picture and its judgement


def overseer(fleet: Watching, drone: Drone) -> Behaviour:
    """Inspect what waits for it in VERIFY; else watch the climbers; rest on the berth while none works."""
    while True:
        window = fleet.crew.next_to_inspect(drone) if fleet.mission.phase == "VERIFY" else None
        if window is not None:
            yield from _inspect(fleet, drone, window)
            continue
        facade = fleet.roster.facade_to_watch(drone)
        if facade is not None:
            yield from _watch(fleet, drone, facade)
        elif drone.mode != "docked" and fleet.mission.phase != "VERIFY":
            yield from go_home(fleet, drone, "idle")
        drone.activity = "waiting"
        yield from wait(0.5)


def _viewpoint(drone: Drone, window: Window) -> Vec3:
    """The place with a view that is nearest to the drone."""
    facade = window.facade
    points = [v for v in facade.viewpoints if facade.sees(v, window)] or [window.standoff_m]
    return min(points, key=lambda v: (drone.distance_to(v), v))


def _inspect(fleet: Watching, drone: Drone, window: Window) -> Behaviour:
    """One place, and all windows that are seen from it."""
    viewpoint = _viewpoint(drone, window)
    seen = [w for w in fleet.crew.cleaned if not w.claimed and w.facade.sees(viewpoint, w)]
    for each in seen:
        each.claimed = True
    try:
        drone.activity = f"inspecting {window.facade.id}"
        yield from fly_to(fleet, drone, viewpoint)
        drone.face(window.facade)
        for each in seen:
            yield from wait(INSPECT_S)
            judge(fleet, drone, each)
    except NoPath as error:
        fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
        for each in seen:
            judge(fleet, None, each)
    finally:
        for each in seen:
            each.claimed = False


def judge(fleet: Inspecting, drone: Drone | None, window: Window) -> None:
    """Record one verdict; None is the climber's own report, where no overseer is."""
    features = {"cleanings": window.cleanings, "height_m": round(window.center_m[2], 2)}
    by = drone.id if drone else "climber's report"
    decision = fleet.log.decide("inspect", drone, features, {"window": window.id})
    good = fleet.crew.inspect(window)
    if drone:
        drone.day.windows_inspected += 1
    decision.close({"good": good, "dirt": window.dirt_estimate})
    fleet.log.event(
        "inspection",
        f"{window.id} {'passed' if good else 'failed'}",
        drone=by,
        good=good,
        dirt=window.dirt_estimate,
    )


def _watch(fleet: Watching, drone: Drone, facade: Facade) -> Behaviour:
    """Hover in front of a facade and scan it every 30 s, until there is something else to do."""
    drone.activity = f"watching {facade.id}"
    spot = facade.viewpoints[len(facade.viewpoints) // 2]
    try:
        yield from fly_to(fleet, drone, spot)
    except NoPath as error:
        fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
        yield from wait(10.0)
        return
    drone.face(facade)
    ticks = 0
    while fleet.mission.phase != "VERIFY" and (ticks == 0 or fleet.roster.facade_to_watch(drone) is facade):
        if ticks % round(SCAN_EVERY_S * TICK_HZ) == 0:
            _scan(fleet, drone, facade)
        ticks += 1
        yield


def _scan(fleet: Watching, drone: Drone, facade: Facade) -> None:
    seen = [w for w in facade.windows if w.found and facade.sees(drone.position, w)]
    dirty = sum(1 for w in seen if w.dirt > 0.15)
    data = {"facade": facade.id, "windows": len(seen), "dirty": dirty}
    fleet.radio.send(drone, None, "SCAN", f"{facade.id}: {dirty} of {len(seen)} dirty", fleet.clock.t_s, data)
    fleet.log.event(
        "scan",
        f"{facade.id}: {dirty} of {len(seen)} windows dirty",
        drone=drone.id,
        windows=len(seen),
        dirty=dirty,
    )
