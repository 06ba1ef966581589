"""The roster: which drones a fleet has, on which berths, under which names.

A name is unique in any case of its letters; a drone that was lost or retired stays on the roster.
Not here: what a drone that leaves gives back (mission.fleet), what it does (mission.duties).
"""

from __future__ import annotations

from sessionstore.simulation.drones.communication import Radio
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.gps import Noise
from sessionstore.simulation.drones.kinds import CLIMBER, KINDS, OVERSEER
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M
from sessionstore.simulation.drones.separation import least_distance_m
from sessionstore.simulation.errors import CommandRefused
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.world.facades import Facade
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.world import World

BERTH_HEIGHT_M = 5.0  # known: the return point is the base and 5 m up
BERTH_PITCH_M = 4.0  # chosen: two mules fit beside each other
FIRST_BERTHS = 40


class Roster:
    """`drones` in the order in which they joined, and `by_id`."""

    def __init__(self, world: World, seed: str, clock: Clock, log: Logbook, radio: Radio) -> None:
        self._world, self._seed, self._clock, self._log, self._radio = world, seed, clock, log, radio
        self.drones: list[Drone] = []
        self.by_id: dict[str, Drone] = {}
        self.gps_noise: dict[str, Noise] = {}
        self._spawned: dict[str, int] = {}
        self._berths = world.berths(FIRST_BERTHS, BERTH_PITCH_M, BERTH_HEIGHT_M)

    # --- joining

    def spawn(self, kind: str, drone_id: str | None = None, charge: float = 1.0, position: Vec3 | None = None) -> Drone:
        """Add a drone: on the next free berth, or hovering at a position.

        Raises:
            CommandRefused: nothing was added.
        """
        drone = self._build(kind, drone_id, charge)
        if position is not None:
            self._place(drone, position)
        self._enter(drone)
        self._log.event(
            "spawn", f"{drone.id} joins the fleet", drone=drone.id, drone_kind=kind, position=list(drone.position)
        )
        if not self._radio.handshake(drone, self._clock.t_s):
            message = f"{drone.id} did not complete its handshake"
            self._log.event("handshake", message, level="warning", drone=drone.id)
        return drone

    def _build(self, kind: str, drone_id: str | None, charge: float) -> Drone:
        if kind not in KINDS:
            raise CommandRefused("spawn", drone_id or "", f"unknown kind {kind!r}; one of {', '.join(KINDS)}")
        name = drone_id or f"{kind}-{self._spawned.get(kind, 0) + 1}"
        if name.lower() in {d.lower() for d in self.by_id}:
            raise CommandRefused("spawn", name, "there is a drone of this name")
        return Drone(name, KINDS[kind], self._next_berth(), charge)

    def _enter(self, drone: Drone) -> None:
        kind = drone.kind.name
        self._spawned[kind] = self._spawned.get(kind, 0) + 1
        drone.spawned_at_s = drone.last_contact_s = self._clock.t_s
        self.drones.append(drone)
        self.by_id[drone.id] = drone
        self.gps_noise[drone.id] = Noise(f"{self._seed}/gps/{drone.id}")

    def _next_berth(self) -> Vec3:
        taken = {d.berth_m for d in self.drones if d.mode != "retired"}
        for berth in self._berths:
            if berth not in taken:
                return berth
        more = self._world.berths(2 * len(self._berths), BERTH_PITCH_M, BERTH_HEIGHT_M)
        if len(more) <= len(self._berths):
            raise CommandRefused("spawn", "", "no free berth around the base")
        self._berths = more
        return self._next_berth()

    def _place(self, drone: Drone, position: Vec3) -> None:
        if not self._world.free(position, PATH_MARGIN_M) or position[2] < self._world.ground_m(*position[:2]):
            raise CommandRefused("spawn", drone.id, "the place is too near to a building or under the ground")
        drone.x, drone.y, drone.z = position
        if any(d.mode != "retired" and d.distance_to(position) < least_distance_m(d, drone) for d in self.drones):
            raise CommandRefused("spawn", drone.id, "the place is too near to another drone")
        drone.mode = "flying"

    # --- questions

    def find(self, drone_id: str) -> Drone:
        """Return the drone of that name, in any case of its letters.

        Raises:
            CommandRefused: there is none, or it is lost or retired.
        """
        for name, drone in self.by_id.items():
            if name.lower() == drone_id.lower():
                if not drone.active:
                    raise CommandRefused("command", drone_id, f"{name} is {drone.mode}")
                return drone
        raise CommandRefused("command", drone_id, f"there is no drone {drone_id!r}")

    def number_of(self, drone: Drone) -> int:
        """Return the place of a drone in the order of joining."""
        return self.drones.index(drone)

    def count_role(self, role: str) -> int:
        """Count the drones of a role that can still work."""
        return sum(1 for d in self.drones if d.kind.role == role and d.active and not d.motor_out)

    def facade_to_watch(self, overseer: Drone) -> Facade | None:
        """Return the facade of the climber that this overseer watches."""
        walls = [d.facade for d in self.drones if d.kind.role == CLIMBER and d.facade and d.facade.viewpoints]
        if not walls:
            return None
        peers = [d for d in self.drones if d.kind.role == OVERSEER and d.active]
        number = peers.index(overseer)
        return walls[number] if number < len(walls) else None
