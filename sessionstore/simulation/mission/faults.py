"""Faults: what goes wrong on purpose, and when; `FAULTS` is the one table of them.

A fault acts at a simulation step, so a run with faults is as repeatable as one without.

Not here: faults in files (simulation.running.scenarios) and on the command line (cli.run).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.errors import CommandRefused
from sessionstore.simulation.mission.views import Failing

SNAG_PULL_N = 9.0  # chosen


@dataclass(frozen=True)
class Fault:
    """One fault; without a duration it lasts to the end."""

    kind: str
    at_s: float
    drone: str = ""
    duration_s: float | None = None


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault: it strikes a drone, or the run as a whole."""

    name: str
    about: str
    on_drone: Callable[[Failing, Drone, Fault], None] | None = None
    on_run: Callable[[Failing, Fault], None] | None = None

    @property
    def needs_drone(self) -> bool:
        return self.on_drone is not None


def strike(fleet: Failing, fault: Fault) -> None:
    """Let a fault happen now; one that cannot (no such drone) becomes a warning in the events."""
    kind = FAULTS[fault.kind]
    if kind.on_run is not None:
        kind.on_run(fleet, fault)
    if kind.on_drone is None:
        return
    try:
        drone = fleet.roster.find(fault.drone)
    except CommandRefused as error:
        message = f"{fault.kind} has no effect: {error.reason}"
        fleet.log.event("fault", message, level="warning", fault=fault.kind)
        return
    fleet.log.event("fault", f"{fault.kind}: {drone.id}", level="error", fault=fault.kind, drone=drone.id)
    kind.on_drone(fleet, drone, fault)


def _end_early(fleet: Failing, fault: Fault) -> None:
    fleet.log.event("fault", "the run ends early", level="error", fault=fault.kind)
    fleet.end("failed", f"early end at {fleet.clock.t_s:.1f} s (fault)")


def _storm(fleet: Failing, fault: Fault) -> None:
    before = fleet.weather.condition.name
    fleet.weather.change("storm")
    fleet.log.event("fault", "a storm comes up", level="warning", fault=fault.kind)
    if fault.duration_s is not None:
        fleet.clock.later(fault.duration_s, lambda: fleet.weather.change(before))


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


_FAULTS = (
    FaultKind("drone_lost", "falls from the sky; its work is given back", _lost),
    FaultKind("stuck", "accepts everything and does not move", _stuck),
    FaultKind("motor_loss", "six rotors and more limp home at half the acceleration; fewer fall", _motor),
    FaultKind("link_loss", "no message arrives; after 20 s without contact it comes home", _link),
    FaultKind("gps_loss", "hovers, after 20 s comes home at half speed", _gps),
    FaultKind("early_end", "the run ends long before its planned duration", on_run=_end_early),
    FaultKind("wind_storm", "the weather turns to storm for a while", on_run=_storm),
    FaultKind("snag", "something pulls at a lifeline's tether", _snag),
)
FAULTS = {kind.name: kind for kind in _FAULTS}
