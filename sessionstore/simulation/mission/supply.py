"""Supply: cartridge calls for the mules, and the tethers between lifelines and climbers.

Not here: how they fly there (roles.mule, roles.lifeline), the tether's physics (simulation.drones.tether).
"""

from __future__ import annotations

from math import dist

from sessionstore.session import stream_names
from sessionstore.simulation.drones.drone import TICK_S, Drone
from sessionstore.simulation.drones.kinds import CLIMBER, MULE
from sessionstore.simulation.drones.tether import FLUID_LPS, POWER_W, Tether
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.mission.roster import Roster


class Supply:
    """Calls are served in the order they came; a climber has at most one mule and one lifeline."""

    def __init__(self, roster: Roster, clock: Clock, log: Logbook) -> None:
        self._roster, self._clock, self._log = roster, clock, log
        self.calls: list[Drone] = []
        self.serving: dict[str, Drone] = {}  # mule id -> client
        self.tethers: dict[str, Tether] = {}  # lifeline id -> tether
        self.promised: set[str] = set()
        self.snags = 0

    # --- mules

    def mule_is_available(self) -> bool:
        """Whether a mule can fly."""
        return any(d.kind.role == MULE and d.active and not d.stuck and not d.motor_out for d in self._roster.drones)

    def call_mule(self, client: Drone) -> None:
        """Queue a climber for a cartridge."""
        if client not in self.calls:
            self.calls.append(client)

    def cancel_mule(self, client: Drone) -> None:
        """Take a climber out of the queue."""
        if client in self.calls:
            self.calls.remove(client)

    def mule_is_docking(self, client: Drone) -> bool:
        """Whether a mule is beside the climber already: it is worth waiting on."""
        return any(c is client and self._roster.by_id[m].distance_to(c.position) < 6.0 for m, c in self.serving.items())

    def next_call(self, mule: Drone) -> Drone | None:
        """Return the climber that waits longest, and mark the mule as on its way."""
        if not self.calls:
            return None
        client = self.calls.pop(0)
        self.serving[mule.id] = client
        return client

    def end_call(self, mule: Drone, client: Drone) -> None:
        """Report a call as served; a climber served by half is the first in the queue again."""
        self.serving.pop(mule.id, None)
        if client.active and client.mode == "wall" and client.fluid_l < 0.2 * client.kind.cartridge_l:
            self.calls.insert(0, client)  # served by half: first in the queue again

    # --- lifelines

    def next_to_tether(self, lifeline: Drone) -> Drone | None:
        """Promise a lifeline the nearest climber on a wall without a tether."""
        free = [
            d
            for d in self._roster.drones
            if d.kind.role == CLIMBER and d.mode == "wall" and d.tether is None and d.id not in self.promised
        ]
        if not free:
            return None
        client = min(free, key=lambda d: (lifeline.distance_to(d.position), d.id))
        self.promised.add(client.id)
        return client

    def tie(self, lifeline: Drone, client: Drone) -> None:
        """Connect a lifeline and a climber."""
        self.tethers[lifeline.id] = Tether.between(lifeline.distance_to(client.position))
        lifeline.tether, client.tether = client, lifeline
        self._log.event("tether", f"{lifeline.id} feeds {client.id}", drone=lifeline.id, client=client.id)

    def drop_tether(self, drone: Drone) -> None:
        """Release the tether from either end; nothing happens without one."""
        other = drone.tether
        if other is None:
            return
        lifeline, client = (drone, other) if drone.id in self.tethers else (other, drone)
        tether = self.tethers.pop(lifeline.id)
        lifeline.tether = client.tether = None
        self._log.event(
            "tether",
            f"{lifeline.id} lets go of {client.id}",
            drone=lifeline.id,
            client=client.id,
            lowest_n=round(tether.lowest_n, 2),
            highest_n=round(tether.highest_n, 2),
        )

    def is_snagged(self, drone: Drone) -> bool:
        """Whether something pulls at the tether of this drone."""
        lifeline = drone.tether
        return lifeline is not None and self.tethers[lifeline.id].snagged

    def step(self) -> None:
        """Winch, power and fluid of every tether for one tick."""
        for name, tether in self.tethers.items():
            lifeline = self._roster.by_id[name]
            client = lifeline.tether
            if client is None:
                continue
            change = tether.step(dist(lifeline.position, client.position), TICK_S)
            if change == "snag":
                self.snags += 1
            if change:
                self._log.event(
                    "snag",
                    f"tether of {name}: {'snagged' if change == 'snag' else 'free again'}",
                    level="warning" if change == "snag" else "info",
                    drone=name,
                    client=client.id,
                    tension_n=round(tether.tension_n, 2),
                )
            if lifeline.battery.charge > 0.2:
                before = client.battery.charged_j
                client.battery.load(POWER_W, TICK_S)
                lifeline.battery.use((client.battery.charged_j - before) / TICK_S, TICK_S)
            client.fluid_l = min(client.kind.cartridge_l, client.fluid_l + FLUID_LPS * TICK_S)
            if self._clock.ticks % 5 == 0:
                self._log.record(
                    stream_names.TETHER,
                    {
                        "lifeline": name,
                        "climber": client.id,
                        "tension_n": round(tether.tension_n, 2),
                        "length_m": round(tether.paid_out_m, 2),
                        "snagged": tether.snagged,
                    },
                )
