"""The motion lines of one tick: true position and what GPS says, velocity, attitude, battery.

A drone in the air or on a wall is recorded at every tick (20 Hz), one that stands on its berth once a second
and at the ticks where it arrives and leaves. Floats are rounded to 0.1 mm, so that lines stay short and equal
on every machine.
"""

from __future__ import annotations

from sessionstore.model.values import Plain
from sessionstore.simulation.drones.communication import Radio
from sessionstore.simulation.drones.drone import TICK_HZ, Drone
from sessionstore.simulation.drones.gps import SATELLITES, fix_of, measured
from sessionstore.simulation.drones.rounding import rounded
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.crew import Crew
from sessionstore.simulation.mission.phases import Mission
from sessionstore.simulation.mission.roster import Roster


def motion_lines(clock: Clock, roster: Roster) -> list[Plain]:
    """All lines of this tick, in the order of the fleet."""
    on_the_second = clock.ticks % TICK_HZ == 0
    lines = []
    for drone in roster.drones:
        mode = drone.mode
        if mode == "retired" or (mode == "docked" and not on_the_second):
            continue
        lines.append(motion_line(clock, roster, drone))
    return lines


def motion_line(clock: Clock, roster: Roster, drone: Drone) -> Plain:
    """Return the line of one drone."""
    fix = fix_of(drone, clock.t_s - drone.spawned_at_s)
    drone.day.points += 1
    _extent(drone)
    x, y, z, vx, vy, vz, roll, pitch, yaw = rounded(
        (drone.x, drone.y, drone.z, drone.vx, drone.vy, drone.vz, *drone.orientation()), 4
    )
    return Plain(
        drone=drone.id,
        position=[x, y, z],
        velocity=[vx, vy, vz],
        orientation=[roll + 0.0, pitch + 0.0, yaw],
        battery=round(drone.battery.charge, 5),
        mode=drone.mode,
        gps=measured(drone, fix, roster.gps_noise[drone.id]),
        fix=fix,
        satellites=SATELLITES[fix],
    )


def _extent(drone: Drone) -> None:
    day = drone.day
    x, y, z = drone.x, drone.y, drone.z
    lx, ly, lz = day.low_m
    hx, hy, hz = day.high_m
    if x < lx or y < ly or z < lz:
        day.low_m = (min(x, lx), min(y, ly), min(z, lz))
    if x > hx or y > hy or z > hz:
        day.high_m = (max(x, hx), max(y, hy), max(z, hz))


def metrics_line(mission: Mission, crew: Crew, roster: Roster, radio: Radio) -> dict[str, object]:
    """The figures of the whole fleet at this moment, once a second."""
    counts = crew.counts
    return {
        "phase": mission.phase,
        "windows_found": counts["found"],
        "windows_cleaned": counts["cleaned"],
        "airborne": sum(1 for d in roster.drones if d.airborne),
        "used_wh": round(sum(d.battery.used_j for d in roster.drones) / 3600, 3),
        "battery": {d.id: round(d.battery.charge, 4) for d in roster.drones if d.active},
        "messages": radio.sent,
        "dropped": radio.dropped,
    }
