"""Faults: what goes wrong on purpose, and when. A fault acts at a simulation step, so a run with faults is as
repeatable as one without.

drone_lost    falls from the sky; its work is given back
stuck         accepts everything and never moves again
motor_loss    six rotors and more limp home at half the acceleration; fewer fall
link_loss     no message arrives; after 20 s without contact it comes home
gps_loss      hovers, after 20 s comes home at half speed
early_end     the run ends long before its planned duration
wind_storm    the weather turns to storm for a while
snag          something pulls at a lifeline's tether
"""

from __future__ import annotations

from dataclasses import dataclass

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.errors import CommandRefused
from sessionstore.simulation.mission.views import Failing

FAULT_KINDS = (
    "drone_lost", "stuck", "motor_loss", "link_loss", "gps_loss", "early_end", "wind_storm", "snag",
)  # fmt: skip
NEED_DRONE = ("drone_lost", "stuck", "motor_loss", "link_loss", "gps_loss", "snag")
SNAG_PULL_N = 9.0  # chosen


@dataclass(frozen=True)
class Fault:
    """One fault; without a duration it lasts to the end."""

    kind: str
    at_s: float
    drone: str = ""
    duration_s: float | None = None


def strike(fleet: Failing, fault: Fault) -> None:
    """Let a fault happen now; one that cannot (no such drone) becomes a warning in the events."""
    if fault.kind == "early_end":
        fleet.log.event("fault", "the run ends early", level="error", fault=fault.kind)
        fleet.end("failed", f"early end at {fleet.clock.t_s:.1f} s (fault)")
        return
    if fault.kind == "wind_storm":
        before = fleet.weather.condition.name
        fleet.weather.change("storm")
        fleet.log.event("fault", "a storm comes up", level="warning", fault=fault.kind)
        if fault.duration_s is not None:
            fleet.clock.later(fault.duration_s, lambda: fleet.weather.change(before))
        return
    try:
        drone = fleet.roster.find(fault.drone)
    except CommandRefused as error:
        fleet.log.event("fault", f"{fault.kind} has no effect: {error.reason}", level="warning", fault=fault.kind)
        return
    fleet.log.event("fault", f"{fault.kind}: {drone.id}", level="error", fault=fault.kind, drone=drone.id)
    _STRIKES[fault.kind](fleet, drone, fault)


def _lost(fleet: Failing, drone: Drone, fault: Fault) -> None:
    fleet.lose(drone, "fault")


def _stuck(fleet: Failing, drone: Drone, fault: Fault) -> None:
    drone.stuck = True
    _undo_later(fleet, drone, fault, "stuck")


def _motor(fleet: Failing, drone: Drone, fault: Fault) -> None:
    if drone.mode == "flying" and not drone.kind.survives_motor_loss:
        fleet.lose(drone, "motor loss")
        return
    drone.motor_out = True
    # The weaker brake holds from the next tick on; separation counts with what the drone has now.
    drone.accel_mps2 = drone.kind.accel_mps2 / 2


def _link(fleet: Failing, drone: Drone, fault: Fault) -> None:
    drone.link_out = True
    _undo_later(fleet, drone, fault, "link_out")


def _gps(fleet: Failing, drone: Drone, fault: Fault) -> None:
    drone.gps_out = True
    drone.gps_lost_at_s = fleet.clock.t_s
    _undo_later(fleet, drone, fault, "gps_out")


def _snag(fleet: Failing, drone: Drone, fault: Fault) -> None:
    tether = fleet.supply.tethers.get(drone.id)
    if tether is None:
        fleet.log.event("fault", f"{drone.id} has no tether out", level="warning", fault=fault.kind)
        return
    tether.pull_n = SNAG_PULL_N
    fleet.clock.later(fault.duration_s or 3.0, lambda: setattr(tether, "pull_n", 0.0))


def _undo_later(fleet: Failing, drone: Drone, fault: Fault, flag: str) -> None:
    if fault.duration_s is None:
        return

    def undo() -> None:
        setattr(drone, flag, False)
        fleet.log.event("fault", f"{fault.kind} is over: {drone.id}", fault=fault.kind, drone=drone.id, over=True)

    fleet.clock.later(fault.duration_s, undo)


_STRIKES = {
    "drone_lost": _lost,
    "stuck": _stuck,
    "motor_loss": _motor,
    "link_loss": _link,
    "gps_loss": _gps,
    "snag": _snag,
}
