"""A long flight of many drones, written through the recorder as any simulation would: ``record_long_flight(store)``.

Every drone circles a place of its own and climbs and sinks; once in the flight one drone shows, for a single point, a
height, a speed and a charge that nobody else ever has: what thins the flight must keep these.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import sessionstore

SPIKE_DRONE, SPIKE_SHARE = "scout-7", 0.61803
SPIKE_HEIGHT_M, SPIKE_SPEED_MPS, SPIKE_CHARGE = 333.0, 77.0, 0.07


@dataclass(frozen=True)
class LongFlight:
    """How long, how many and how often."""

    name: str = "hour"
    duration_s: float = 3600.0
    drones: int = 100
    rate_hz: int = 20

    @property
    def spike_tick(self) -> int:
        return int(self.duration_s * self.rate_hz * SPIKE_SHARE)

    @property
    def spike_s(self) -> float:
        return self.spike_tick / self.rate_hz


def record_long_flight(store: sessionstore.SessionStore, flight: LongFlight) -> str:
    """Record the flight as fast as it goes, and return its id."""
    drones = [{"id": f"scout-{number + 1}", "kind": "scout"} for number in range(flight.drones)]
    with store.record(
        flight.name, drones=drones, duration_planned_s=flight.duration_s, base_position=[0.0, 0.0, 0.0]
    ) as session:
        buildings = [
            {"kind": "building", "name": f"tower-{n}", "position": [60.0 * math.cos(n), 60.0 * math.sin(n), 0.0],
             "size": [14.0, 14.0, 20.0 + 5 * n]}
            for n in range(6)
        ]  # fmt: skip
        for building in buildings:
            session.table("scene").insert(building)
        session.workflow("SCAN", t_s=0.0)
        for tick in range(int(flight.duration_s * flight.rate_hz) + 1):
            t_s = tick / flight.rate_hz
            session.motion.extend([point(flight, number, tick, t_s) for number in range(flight.drones)], t_s)
            if tick % flight.rate_hz == 0:
                session.stream("metrics").append({"windows_found": tick // 400, "windows_cleaned": tick // 900}, t_s)
                session.beat(t_s)
            if tick % (10 * flight.rate_hz) == 0:
                session.stream("communication").extend(
                    [
                        {"from": f"scout-{n + 1}", "to": "base", "kind": "report", "text": f"scout-{n + 1} reports",
                         "rssi_dbm": round(-50 - 20 * math.sin(n + t_s / 300), 1), "delivered": True}
                        for n in range(flight.drones)
                    ],
                    t_s,
                )  # fmt: skip
    return session.session_id


def point(flight: LongFlight, number: int, tick: int, t_s: float) -> dict[str, object]:
    """One point of one drone."""
    turn = 0.05 * t_s + number
    radius_m = 20.0 + number % 10 * 6.0
    height_m, speed_mps = 15.0 + number / 10 + 8.0 * math.sin(t_s / 37 + number), radius_m * 0.05
    charge = 1.0 - 0.6 * ((t_s + 17 * number) % 1200) / 1200
    if tick == flight.spike_tick and number == 6:
        height_m, speed_mps, charge = SPIKE_HEIGHT_M, SPIKE_SPEED_MPS, SPIKE_CHARGE
    return {
        "drone": f"scout-{number + 1}",
        "position": [round(radius_m * math.cos(turn), 3), round(radius_m * math.sin(turn), 3), round(height_m, 3)],
        "velocity": [round(-speed_mps * math.sin(turn), 3), round(speed_mps * math.cos(turn), 3), 0.0],
        "orientation": [0.0, 0.0, round((turn + math.pi / 2) % (2 * math.pi), 3)],
        "battery": round(charge, 4),
        "mode": "flying",
    }


if __name__ == "__main__":
    with sessionstore.open(Path(sys.argv[1])) as target:
        print(record_long_flight(target, LongFlight()))
