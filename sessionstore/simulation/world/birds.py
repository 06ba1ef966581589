"""Birds: they come near a working drone now and then; an overseer within 10 m scares them, others wait until
they leave.

Known: an overseer deters birds within 10 m. Chosen: how often they come and how long they stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import OVERSEER
from sessionstore.simulation.world.geometry import Vec3

Event = Callable[..., None]  # as mission.logbook.Logbook.event
DETER_M = 10.0  # known
MEAN_GAP_S = 120.0  # chosen
STAY_S = 12.0  # chosen


@dataclass
class Bird:
    """One bird that circles at a place."""

    place_m: Vec3
    until_s: float


class Birds:
    """At most one bird per visit; the random stream is its own."""

    def __init__(self, seed: str) -> None:
        self._random = Random(f"{seed}/birds")
        self._next_s = self._random.expovariate(1 / MEAN_GAP_S)
        self.here: list[Bird] = []
        self.seen = self.scared = 0

    def step(self, t_s: float, drones: Sequence[Drone], event: Event) -> None:
        """Let birds come and go for one tick."""
        if t_s >= self._next_s:
            self._next_s = t_s + self._random.expovariate(1 / MEAN_GAP_S)
            self._come(t_s, drones, event)
        if self.here:
            self.here = [bird for bird in self.here if not self._goes(bird, t_s, drones, event)]

    def _come(self, t_s: float, drones: Sequence[Drone], event: Event) -> None:
        hosts = [d for d in drones if d.airborne]
        if not hosts:
            return
        host = self._random.choice(hosts)
        place = tuple(c + self._random.uniform(-8.0, 8.0) for c in host.position)
        self.here.append(Bird((place[0], place[1], place[2]), t_s + STAY_S))
        self.seen += 1
        event("bird", f"a bird near {host.id}", drone=host.id, position=[round(c, 1) for c in place])

    def _goes(self, bird: Bird, t_s: float, drones: Sequence[Drone], event: Event) -> bool:
        for drone in drones:
            if drone.kind.role == OVERSEER and drone.airborne and drone.distance_to(bird.place_m) <= DETER_M:
                self.scared += 1
                event("bird", f"{drone.id} scared a bird", drone=drone.id, scared=True)
                return True
        return t_s >= bird.until_s

    def near(self, drone: Drone) -> bool:
        """Whether a bird is so near that careful work has to pause."""
        return any(drone.distance_to(bird.place_m) <= DETER_M / 2 for bird in self.here)
