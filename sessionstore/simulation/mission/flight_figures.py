"""The figures of a run: per drone and in total, as the record keeps them, and what was remarkable in plain
words.

Not here: the running figures of the metrics stream (fleet.metrics), printing (cli).
"""

from __future__ import annotations

from typing import Any

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import LIFELINE, MULE
from sessionstore.simulation.mission.fleet import Fleet

ON_CALL = (MULE, LIFELINE)
MOTIONLESS_M = 0.01  # the users' own movement check


def drone_figures(fleet: Fleet, drone: Drone) -> dict[str, Any]:
    """One drone's day: way, speeds, energy balance, work, returns."""
    day = drone.day
    extent = [round(h - low, 3) if h >= low else 0.0 for low, h in zip(day.low_m, day.high_m, strict=True)]
    moving_s = day.flight_s + day.wall_s
    flight = fleet.trajectories.get(drone.id.lower())
    return {
        "kind": drone.kind.name,
        "end_mode": drone.mode,
        "recorded_points": day.points,
        "distance_m": round(day.distance_m, 3),
        "extent_m": extent,
        "mean_speed_mps": round(day.distance_m / moving_s, 4) if moving_s else 0.0,
        "max_speed_mps": round(day.max_speed_mps, 4),
        "flight_s": round(day.flight_s, 2),
        "wall_s": round(day.wall_s, 2),
        "berth_s": round(day.berth_s, 2),
        "blocked_s": round(day.blocked_s, 2),
        "battery": drone.battery.as_record(),
        "battery_used": round(drone.battery.used_j / drone.battery.capacity_j, 4),
        "battery_left": round(drone.battery.charge, 4),
        "windows_found": day.windows_found,
        "windows_cleaned": day.windows_cleaned,
        "windows_inspected": day.windows_inspected,
        "swaps": day.swaps,
        "returns": dict(day.returns),
        "messages_dropped": fleet.radio.dropped_by_drone.get(drone.id, 0),
        "zero_motion": day.distance_m < MOTIONLESS_M,
        **({"idle": True} if day.distance_m < MOTIONLESS_M and _was_idle(drone) else {}),
        **({"drift_s": round(_drift_s(fleet, drone), 2)} if fleet.wind_push is not None else {}),
        **({"trajectory": flight.figures()} if flight is not None else {}),
    }


def performance(fleet: Fleet) -> dict[str, Any]:
    """What goes into the record at the end."""
    drones = {d.id: drone_figures(fleet, d) for d in fleet.roster.drones}
    counts = fleet.crew.counts
    totals = {
        "points": sum(d.day.points for d in fleet.roster.drones),
        "windows_total": len(fleet.world.windows),
        "windows_serviceable": sum(1 for w in fleet.world.windows if w.reachable),
        "windows_found": counts["found"],
        "windows_cleaned": counts["cleaned"],
        "windows_inspected": counts["inspected"],
        "windows_failed_inspection": counts["failed_inspection"],
        "windows_given_up": counts["given_up"],
        "phases_s": fleet.mission.durations_s(),
        "phase_entries": dict(fleet.mission.entries),
        "verify_loops_back": fleet.mission.loops_back,
        "energy_used_wh": round(sum(d.battery.used_j for d in fleet.roster.drones) / 3600, 3),
        "messages": fleet.radio.sent,
        "messages_dropped": fleet.radio.dropped,
        "birds": fleet.birds.seen,
        "birds_scared": fleet.birds.scared,
        "tether_snags": fleet.supply.snags,
        "never_moved": _never_moved(fleet),
        "warnings": warnings_of(fleet),
    }
    return {"totals": totals, "drones": drones}


def warnings_of(fleet: Fleet) -> list[str]:
    """What a later reader of this session must not miss."""
    found = [f"{d.id} {d.activity}" for d in fleet.roster.drones if d.mode == "lost"]
    found += [f"{name} never moved" for name in _never_moved(fleet)]
    found += [f"{d.id} is stuck" for d in fleet.roster.drones if d.stuck]
    found += [f"{d.id} drifted for {s:.1f} s" for d in fleet.roster.drones if (s := _drift_s(fleet, d)) > 0.0]
    found += [
        f"{d.id}: {flight.remark()}"
        for d in fleet.roster.drones
        if (flight := fleet.trajectories.get(d.id.lower())) is not None and not flight.complete
    ]
    return found


def _drift_s(fleet: Fleet, drone: Drone) -> float:
    hold = fleet.wind_push.holds.get(drone.id) if fleet.wind_push is not None else None
    return hold.drift_s if hold is not None else 0.0


def _never_moved(fleet: Fleet) -> list[str]:
    return [d.id for d in fleet.roster.drones if d.day.distance_m < MOTIONLESS_M and not _was_idle(d)]


def _was_idle(drone: Drone) -> bool:
    """Whether a drone stayed on its berth because no call came for it."""
    return drone.kind.role in ON_CALL and drone.mode == "docked" and not drone.stuck


def end_reason(fleet: Fleet, reason: str) -> str:
    """The reason with the losses named, so that no list shows a plain "completed" for a run that lost
    drones.
    """
    lost = [d.id for d in fleet.roster.drones if d.mode == "lost"]
    return f"{reason}; drone lost: {', '.join(lost)}" if lost and "drone lost" not in reason else reason
