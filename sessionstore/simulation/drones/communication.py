"""Radio between drones and base: signal strength by log-distance path loss; weak messages are dropped and
counted.

    RSSI = P_tx - PL(1 m) - 10 n log10(d) + shadowing

Deterministic for a seed. Chosen, not known: every constant below; they give about 400 m of range in a town.
Not here: what the messages mean (simulation.mission.roles, simulation.mission.fleet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log10
from random import Random

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.world.geometry import Vec3

TX_POWER_DBM = 20.0
LOSS_AT_1M_DB = 40.0  # free space at 2.4 GHz
EXPONENT = 2.7  # an urban street
SHADOWING_DB = 3.0
THRESHOLD_DBM = -92.0
ANTENNA_HEIGHT_M = 8.0
BASE = "base"
CLOCK_DRIFT_PPM = 20.0
SYNC_EVERY_S = 10.0


def rssi_dbm(distance_m: float, shadowing_db: float = 0.0) -> float:
    """The mean signal strength at a distance (log-distance model, Rappaport)."""
    return TX_POWER_DBM - LOSS_AT_1M_DB - 10 * EXPONENT * log10(max(distance_m, 1.0)) + shadowing_db


@dataclass
class Clock:
    """A drone's own clock: it drifts until the master sets it."""

    drift: float
    offset_s: float = 0.0
    since_s: float = 0.0

    def error_s(self, t_s: float) -> float:
        """How far the clock is off."""
        return self.offset_s + self.drift * (t_s - self.since_s)


@dataclass
class Radio:
    """All messages of the fleet; `log` is what goes into the communication stream of this tick."""

    seed: str
    base_m: Vec3 = (0.0, 0.0, 0.0)
    sent: int = 0
    dropped: int = 0
    dropped_by_drone: dict[str, int] = field(default_factory=dict)
    log: list[dict[str, object]] = field(default_factory=list)
    clocks: dict[str, Clock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = Random(f"{self.seed}/radio")
        east, north, up = self.base_m
        self._antenna_m: Vec3 = (east, north, up + ANTENNA_HEIGHT_M)

    def send(
        self,
        sender: Drone | None,
        receiver: Drone | None,
        kind: str,
        message: str,
        t_s: float,
        data: Mapping[str, object] | None = None,
    ) -> bool:
        """Send one message (None is the base) and say whether it arrived."""
        a, b = (self._antenna_m if end is None else end.position for end in (sender, receiver))
        distance = sum((a[i] - b[i]) ** 2 for i in range(3)) ** 0.5
        strength = rssi_dbm(distance, self._random.gauss(0.0, SHADOWING_DB))
        down = any(end is not None and (end.link_out or not end.active) for end in (sender, receiver))
        arrived = strength >= THRESHOLD_DBM and not down
        self.sent += 1
        self._note(sender, receiver, kind, message, strength, down, arrived, data)
        if arrived:
            for end in (sender, receiver):
                if end is not None:
                    end.last_contact_s = t_s
        return arrived

    def _note(
        self,
        sender: Drone | None,
        receiver: Drone | None,
        kind: str,
        message: str,
        strength: float,
        down: bool,
        arrived: bool,
        data: Mapping[str, object] | None,
    ) -> None:
        names = [BASE if end is None else end.id for end in (sender, receiver)]
        record: dict[str, object] = {
            "id": self.sent, "from": names[0], "to": names[1], "type": kind, "message": message,
            "level": "info" if arrived else "warning", "rssi_dbm": round(strength, 1), "delivered": arrived,
        }  # fmt: skip
        if not arrived:
            record["dropped_because"] = "link down" if down else "weak signal"
            self.dropped += 1
            for name in names:
                self.dropped_by_drone[name] = self.dropped_by_drone.get(name, 0) + 1
        if data:
            record["data"] = dict(data)
        self.log.append(record)

    def handshake(self, drone: Drone, t_s: float) -> bool:
        """HELLO, WELCOME, READY: a drone belongs to the fleet when all three arrived."""
        data = {"kind": drone.kind.name, "battery": round(drone.battery.charge, 3)}
        self.clocks.setdefault(drone.id, Clock(self._random.gauss(0.0, CLOCK_DRIFT_PPM) * 1e-6, since_s=t_s))
        return (
            self.send(drone, None, "HELLO", f"{drone.id} reports", t_s, data)
            and self.send(None, drone, "WELCOME", "berth assigned", t_s, {"berth": list(drone.berth_m)})
            and self.send(drone, None, "READY", f"{drone.id} is ready", t_s)
        )

    def sync_clocks(self, master: Drone, others: list[Drone], t_s: float) -> None:
        """The master drone sends its time; who hears it is set right, to a microsecond."""
        for drone in others:
            clock = self.clocks.get(drone.id)
            if clock is None:
                continue
            error = clock.error_s(t_s)
            if self.send(master, drone, "SYNC", "time of the master", t_s, {"error_us": round(error * 1e6, 1)}):
                clock.offset_s, clock.since_s = self._random.gauss(0.0, 1e-6), t_s
