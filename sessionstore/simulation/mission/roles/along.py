"""A drone with a trajectory: it flies to the beginning in time, along, around what stands in its way, and home.

Before its time it stays on its berth. A building that is found on the way is flown around; the drone joins its
course behind it. At the end, and when nothing of the course is left, it flies home and rests.
Not here: the motion on the course (simulation.drones.tracking), its state (mission.trajectory_flight).
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import TICK_S, Drone
from sessionstore.simulation.drones.tracking import LET_GO_M, Tracker
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.homeward import leg_s
from sessionstore.simulation.mission.pilot import Behaviour, fly_to, go_home, wait
from sessionstore.simulation.mission.trajectory_flight import TrajectoryFlight
from sessionstore.simulation.mission.views import Following

EARLY_S = 8.0  # chosen: how much sooner than needed it leaves its berth, and half as much again of the way
SKIP_M = 2.0  # chosen: how much further it joins when no path leads to where it left


def fly_along(fleet: Following, drone: Drone, flight: TrajectoryFlight) -> Behaviour:
    """Fly what is left of a trajectory, then rest at home."""
    if not flight.over:
        try:
            yield from _fly(fleet, drone, flight)
        finally:
            if not flight.over:
                flight.reason = f"broken off: {drone.why_dropped}"
                _say(fleet, drone, flight, flight.reason, "warning")
        _say(fleet, drone, flight, f"stopped: {flight.reason}" if flight.reason else "flown",
             "warning" if flight.reason else "info")  # fmt: skip
    if drone.mode != "docked":
        yield from go_home(fleet, drone, "idle")
    while True:
        drone.activity = "its trajectory is flown"
        yield


def _fly(fleet: Following, drone: Drone, flight: TrajectoryFlight) -> Behaviour:
    while fleet.clock.t_s < _departure_s(drone, flight):
        drone.activity = "waiting for its trajectory"
        yield
    while True:
        part = flight.part()
        if part is None:
            flight.over = True
            if flight.s_m < flight.course.length_m - 0.1:
                flight.reason = "the rest leads too near to buildings"
            return
        yield from _join(fleet, drone, flight, part[0])
        part = flight.part()  # buildings may have been found on the way there
        if part is not None and part[0] <= flight.s_m:
            yield from _follow(fleet, drone, flight, *part)


def _departure_s(drone: Drone, flight: TrajectoryFlight) -> float:
    """When to leave the berth for the beginning; at once when it is on its way already."""
    if flight.s_m > 0.0 or drone.mode != "docked":
        return 0.0
    first, kind = flight.course.at(0.0), drone.kind
    way_s = leg_s(drone.distance_to(first), abs(first[2] - drone.z), kind.cruise_mps, kind.climb_mps, kind.accel_mps2)
    return flight.course.start_s - 1.5 * way_s - EARLY_S


def _join(fleet: Following, drone: Drone, flight: TrajectoryFlight, s_m: float) -> Behaviour:
    """Fly to a place of the course, or further on where no path leads there."""
    drone.activity = "flying to its trajectory"
    while True:
        if drone.mode == "flying" and drone.distance_to(flight.course.at(s_m)) <= LET_GO_M:
            break
        try:
            yield from fly_to(fleet, drone, flight.course.at(s_m))
            break
        except NoPath as error:
            fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
            yield from wait(1.0)
            s_m = min(s_m + SKIP_M, flight.course.length_m)
    if s_m > flight.s_m:
        flight.left_out_m += s_m - flight.s_m
        flight.s_m = s_m
        _say(fleet, drone, flight, f"joined at {s_m:.1f} m, around a building", "warning")
    late_s = max(0.0, fleet.clock.t_s - flight.course.due_s(flight.s_m))
    if not flight.begun or flight.reason:
        _say(fleet, drone, flight, "goes on" if flight.begun else "is at its beginning", late_s=round(late_s, 2))
    flight.begun, flight.reason = True, ""


def _follow(fleet: Following, drone: Drone, flight: TrajectoryFlight, from_m: float, to_m: float) -> Behaviour:
    """Follow the course to the end of a part, or until another rule moves the drone."""
    tracker = drone.tracker = Tracker(flight.course, from_m, to_m)
    drone.activity = f"on its trajectory ({flight.trajectory.source})"
    hidden = len(fleet.hidden)
    while drone.tracker is tracker and not tracker.arrived(drone):
        drone.path = tracker.look_ahead(drone, fleet.clock.t_s, TICK_S)
        yield
        flight.note(tracker)
        if len(fleet.hidden) != hidden:
            hidden = len(fleet.hidden)
            part = flight.part()
            if part is None or part[0] > tracker.s_m or not tracker.can_stop_at(drone, part[1]):
                break  # the new building is right ahead: it brakes at once, straight on
            tracker.stop_m = part[1]
    if drone.tracker is tracker:
        flight.note(tracker)
        if tracker.s_m >= flight.course.length_m - 0.1:
            flight.s_m, flight.over = flight.course.length_m, True
        drone.halt()
    while drone.path or not drone.at_rest:
        yield  # it brakes, or steps aside


def _say(
    fleet: Following, drone: Drone, flight: TrajectoryFlight, what: str, level: str = "info", **data: object
) -> None:
    figures = {"flown_m": round(flight.s_m - flight.left_out_m, 2), "length_m": round(flight.course.length_m, 2)}
    if flight.over:
        figures |= {"latest_s": round(flight.latest_s, 2), "off_m": round(flight.off_m, 3)}
    message = f"{drone.id}: trajectory ({flight.trajectory.source}) {what}"
    fleet.log.event("trajectory", message, level=level, drone=drone.id, **figures, **data)
