"""What a drone does next: its role, a command, or the way home; what it did before is dropped.

A behaviour that is dropped gives its claims back (its `finally` blocks run). Not here: the behaviours (mission.pilot,
mission.roles), commands (mission.commands).
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import TICK_HZ, Drone
from sessionstore.simulation.drones.kinds import CRITICAL_BATTERY, LOW_BATTERY
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.mission.pilot import Behaviour, go_home, must_return, stand_still
from sessionstore.simulation.mission.roles import behaviour_of
from sessionstore.simulation.mission.views import AnyRole

BREAK_OFF = {"link loss": "link lost", "gps loss": "GPS lost", "battery": "battery low", "wind": "too much wind"}
MOTIONLESS_TICKS = 15 * TICK_HZ  # chosen: later than a command's own check
RECOVERED_BATTERY = 0.5  # chosen: from here on a low battery is reported anew


def decide(fleet: AnyRole, drone: Drone) -> None:
    """Resume what a drone does for one tick, or replace it where it must break off."""
    if not drone.active:
        return
    if _stands_still(drone):
        give(drone, stand_still(fleet, drone), "motionless", "the drone does not move")
    elif drone.duty in ("role", "command"):
        reason = must_return(fleet, drone)
        if reason is not None:
            give(drone, go_home(fleet, drone, reason), "home", BREAK_OFF.get(reason, reason))
    _warn(fleet.log, drone)
    if drone.behaviour is None:
        drone.behaviour = behaviour_of(fleet, drone)
    try:
        next(drone.behaviour)
    except StopIteration:
        back_to_role(drone)


def give(drone: Drone, behaviour: Behaviour, duty: str, why: str | None = None) -> None:
    """Replace what a drone does."""
    drop(drone, why or duty)
    drone.halt()
    drone.behaviour, drone.duty = behaviour, duty


def back_to_role(drone: Drone) -> None:
    """Drop what a drone does; its role begins anew."""
    drop(drone, "resume")
    drone.duty = "role"


def drop(drone: Drone, why: str) -> None:
    """End what a drone does; the behaviour may read why."""
    drone.why_dropped = why
    if drone.behaviour is not None:
        behaviour, drone.behaviour = drone.behaviour, None
        behaviour.close()


def _stands_still(drone: Drone) -> bool:
    """Whether a drone has just been found not to move although its way is free."""
    waits = not drone.path or drone.brake or drone.speed_mps == 0.0 or drone.speed > 0.01
    drone.still_ticks = 0 if waits else drone.still_ticks + 1
    return drone.still_ticks == MOTIONLESS_TICKS and drone.duty != "motionless"


def _warn(log: Logbook, drone: Drone) -> None:
    charge = drone.battery.charge
    level = "critical" if charge <= CRITICAL_BATTERY else "low" if charge <= LOW_BATTERY else ""
    if level and level not in drone.warned:
        drone.warned.add(level)
        message = f"{drone.id}: battery {level}"
        log.event("battery", message, level="warning", drone=drone.id, battery=round(charge, 4))
    elif charge > RECOVERED_BATTERY and drone.warned:
        drone.warned.clear()
