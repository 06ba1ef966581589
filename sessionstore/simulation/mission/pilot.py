"""What every drone can do, as small generators that are resumed once a tick: fly, wait, sit on a wall, go
home.

A behaviour may be dropped at any tick (a command, an empty battery, a storm); its `finally` blocks give back
what it had claimed. Not here: what a role does with its day (roles), the motion itself (simulation.drones.drone).
"""

from __future__ import annotations

from collections.abc import Generator

from sessionstore.simulation.drones.drone import TICK_HZ, Drone
from sessionstore.simulation.drones.kinds import LIFELINE, RECHARGED, RESERVE
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.views import Flying
from sessionstore.simulation.world.facades import STANDOFF_M, Facade
from sessionstore.simulation.world.geometry import Vec3

Behaviour = Generator[None, None, None]
WALL_DISTANCE_M = 0.45  # chosen: the hull's radius and a rubber foot
CRAWL_MPS = 0.5  # chosen: along the wall
LINK_PATIENCE_S = 20.0  # chosen: a drone that hears nothing for so long comes home
GPS_PATIENCE_S = 20.0  # chosen: it hovers for so long, then comes home by LiDAR at half speed


def wait(seconds: float) -> Behaviour:
    """Let ticks pass."""
    for _ in range(max(1, round(seconds * TICK_HZ))):
        yield


def fly_to(fleet: Flying, drone: Drone, goal_m: Vec3, speed_mps: float | None = None) -> Behaviour:
    """Fly to a point and stop there; take off first when the weather allows it.

    Raises:
        NoPath: the drone hovers where it was, or where a building that it did not know of stopped it.
    """
    while drone.mode == "docked" and not fit_to_fly(fleet, drone):
        drone.activity = "waiting for weather"
        yield
    drone.halt()
    drone.interrupted = True
    while drone.path or drone.interrupted:
        # A path begins where the drone stands: planned at full speed, its first corner would be overshot.
        if drone.interrupted and drone.at_rest:
            path = fleet.plan(drone, goal_m)
            drone.interrupted, drone.mode = False, "flying"
            drone.go(path, speed_mps)
        yield


def land_on_wall(fleet: Flying, drone: Drone, facade: Facade, spot_m: Vec3) -> Behaviour:
    """From the hover in front of a window onto the wall."""
    drone.mode, drone.facade = "wall", facade
    yield from crawl_to(drone, facade.off_wall(spot_m, WALL_DISTANCE_M))
    drone.face(facade)


def crawl_to(drone: Drone, point_m: Vec3, speed_mps: float = CRAWL_MPS) -> Behaviour:
    """Move straight to a point, along a wall or away from it."""
    drone.go([point_m], speed_mps)
    while drone.path:
        yield


def leave_wall(fleet: Flying, drone: Drone) -> Behaviour:
    """Straight out from the wall until the planner's margin is kept again."""
    facade = drone.facade
    if facade is None:
        return
    while not wind_allows(fleet, drone):
        drone.activity = "held on the wall by the wind"
        yield
    fleet.supply.drop_tether(drone)
    out = _out_point(drone, facade)
    drone.activity = "leaving the wall"
    yield from crawl_to(drone, out, 1.0)
    drone.mode, drone.facade = "flying", None
    fleet.crew.free_facade(facade, drone)


def _out_point(drone: Drone, facade: Facade) -> Vec3:
    along = (drone.x - facade.start_m[0]) * facade.normal[0] + (drone.y - facade.start_m[1]) * facade.normal[1]
    return facade.off_wall(drone.position, STANDOFF_M - along)


def go_home(fleet: Flying, drone: Drone, reason: str) -> Behaviour:
    """Fly to the own berth, and stay there until the reason for the return is gone."""
    day = drone.day
    day.returns[reason] = day.returns.get(reason, 0) + 1
    decision = fleet.log.decide(
        "return",
        drone,
        {"battery": round(drone.battery.charge, 4), "home_m": round(drone.distance_to(drone.berth_m), 1)},
        {"reason": reason},
    )
    fleet.log.event("return", f"{drone.id} returns: {reason}", drone=drone.id, reason=reason,
                battery=round(drone.battery.charge, 4))  # fmt: skip
    try:
        yield from leave_wall(fleet, drone)
        drone.activity = f"returning ({reason})"
        slow = drone.motor_out or drone.gps_out
        while drone.distance_to(drone.berth_m) > 0.05:
            try:
                yield from fly_to(fleet, drone, drone.berth_m, drone.kind.cruise_mps / 2 if slow else None)
            except NoPath as error:
                fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
                yield from wait(5.0)
        drone.mode = "docked"
    finally:
        arrived = drone.mode == "docked"
        decision.close({"arrived": arrived, "battery": round(drone.battery.charge, 4)})
    fleet.log.event("docked", f"{drone.id} is on its berth", drone=drone.id, battery=round(drone.battery.charge, 4))
    while not ready_again(fleet, drone, reason):
        drone.activity = "charging" if drone.battery.charge < RECHARGED else f"grounded ({reason})"
        yield
    drone.activity = "waiting"
    if reason != "idle":
        fleet.log.event("ready", f"{drone.id} goes on", drone=drone.id, battery=round(drone.battery.charge, 4))


def ready_again(fleet: Flying, drone: Drone, reason: str) -> bool:
    """Whether a docked drone may go back to its role."""
    if reason == "motor loss" or drone.motor_out or drone.gps_out or drone.link_out:
        return False
    if reason == "idle":
        return True
    wanted = RECHARGED if reason == "battery" else RESERVE + 0.1
    return drone.battery.charge >= wanted and fit_to_fly(fleet, drone)


def fit_to_fly(fleet: Flying, drone: Drone) -> bool:
    """Whether a drone may take off: wind, battery and sensors allow it."""
    return (
        wind_allows(fleet, drone) and drone.battery.charge > RESERVE + 0.05 and not (drone.motor_out or drone.gps_out)
    )


def wind_allows(fleet: Flying, drone: Drone) -> bool:
    """Whether the wind is 5 % below the kind's limit, so that it need not turn round at once."""
    weather = fleet.weather
    return max(weather.mean_mps, weather.wind_mps) <= 0.95 * drone.kind.wind_limit_mps


def stand_still(fleet: Flying, drone: Drone) -> Behaviour:
    """A drone that does not move although it should: its work goes back to the board until it answers
    again.
    """
    fleet.log.event("motionless", f"{drone.id} does not move", level="warning", drone=drone.id)
    drone.activity = "does not move"
    while drone.stuck:
        yield
    fleet.log.event("motionless", f"{drone.id} moves again", drone=drone.id, over=True)


def must_return(fleet: Flying, drone: Drone) -> str | None:
    """Why a drone has to break off what it does, or None."""
    if drone.mode == "docked" or drone.stuck:
        return None
    if drone.motor_out:
        return "motor loss"
    fed = drone.tether is not None and drone.kind.role != LIFELINE
    if not fed and fleet.ways_home.is_due(drone):
        return "battery"
    if drone.mode == "flying" and fleet.weather.wind_mps > drone.kind.wind_limit_mps:
        return "wind"
    if drone.gps_out and fleet.clock.t_s - drone.gps_lost_at_s > GPS_PATIENCE_S:
        return "gps loss"
    if fleet.clock.t_s - drone.last_contact_s > LINK_PATIENCE_S:
        return "link loss"
    return None
