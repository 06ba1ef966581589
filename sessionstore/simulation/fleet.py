"""The pure simulation: one tick after the other, the same bytes for the same seed, scenario and commands.

A tick is 1/20 s: weather, commands and faults that are due, phases, decisions, separation, twelve physics
steps, energy. What is to be recorded lies in `out` (stream name -> lines) until `drain` takes it. No wall
clock, no threads, no files. Not here: running it and recording it (hmrs_simulation_live).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from math import atan2, hypot
from random import Random
from typing import Any

from sessionstore.simulation import commands as orders
from sessionstore.simulation.birds import Birds
from sessionstore.simulation.commands import Command
from sessionstore.simulation.communication import SYNC_EVERY_S, Radio
from sessionstore.simulation.conductor import Conductor
from sessionstore.simulation.crew import Crew
from sessionstore.simulation.drone import TICK_HZ, TICK_S, Drone
from sessionstore.simulation.energy import spend
from sessionstore.simulation.errors import CommandRefused, NoPath
from sessionstore.simulation.facades import Facade
from sessionstore.simulation.faults import Fault, strike
from sessionstore.simulation.geometry import Vec3
from sessionstore.simulation.kinds import KINDS
from sessionstore.simulation.mission import Mission
from sessionstore.simulation.navigation import PATH_MARGIN_M, plan_path
from sessionstore.simulation.pilot import Behaviour, go_home, must_return
from sessionstore.simulation.roles import behaviour_of
from sessionstore.simulation.samples import motion_lines
from sessionstore.simulation.separation import least_distance_m, separate
from sessionstore.simulation.supply import Supply
from sessionstore.simulation.training import Decision, Ledger
from sessionstore.simulation.weather import Weather
from sessionstore.simulation.world import World

BERTH_HEIGHT_M = 5.0  # known: the return point is the base and 5 m up
BERTH_PITCH_M = 4.0  # chosen: two mules fit beside each other
MIN_LEVEL_M = 12.0  # chosen: level flight stays above the berths
LEVEL_STEP_M = 1.5  # chosen: neighbours in the fleet fly at different levels
HEARTBEAT_S = 5.0  # chosen
SENSE_M = 15.0  # chosen: how far a drone senses a building that nobody told it of; scouts see twice as far


class Fleet:
    """All drones, their world and their work. `tick` advances by 1/20 s; `ended` says when and why it is
    over.
    """

    def __init__(self, world: World, seed: str, condition: str = "light", batch_per_climber: int = 4) -> None:
        self.world, self.seed = world, seed
        self.ticks = 0
        self.t_s = 0.0
        self.weather = Weather(seed, condition, TICK_S)
        self.mission = Mission(TICK_S)
        self.crew = Crew(world, seed, batch_per_climber)
        self.radio = Radio(seed, world.base_m)
        self.birds = Birds(seed)
        self.supply = Supply(self)
        self.ledger = Ledger()
        self.conductor = Conductor()
        self.drones: list[Drone] = []
        self.by_id: dict[str, Drone] = {}
        self.gps_random: dict[str, Random] = {}
        self.gps_lost_at_s: dict[str, float] = {}
        self.why_dropped: dict[str, str] = {}
        self.out: dict[str, list[dict[str, object]]] = {}
        self.transitions: list[tuple[str, str, str]] = []
        self.ended: tuple[str, str] | None = None
        self._evasion = Random(f"{seed}/evasion")
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._spawned: dict[str, int] = {}
        self._berths = world.free_spots(40, BERTH_PITCH_M, BERTH_HEIGHT_M, PATH_MARGIN_M)
        self.hidden = [b for b in world.buildings if not b.known]

    # --- the clock

    def tick(self) -> None:
        """Advance by 1/20 s."""
        self.ticks += 1
        self.t_s = self.ticks / TICK_HZ
        self.weather.step()
        while self._due and self._due[0][0] <= self.ticks:
            heappop(self._due)[2]()
        self.birds.step(self)
        self.conductor.conduct(self)
        for drone in list(self.drones):
            self._decide(drone)
        self._radio_duties()
        for drone in separate(self.drones):
            self._evade(drone)
        for drone in self.drones:
            if drone.gps_out and drone.mode == "flying" and drone.duty != "home":
                drone.brake = True  # it hovers until it knows where it is
            drone.advance()
            spend(self, drone)
        self.supply.step()
        self._sense()
        self._collect()

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something at a coming tick."""
        heappush(self._due, (self.ticks + max(1, round(delay_s * TICK_HZ)), next(self._order), action))

    def schedule(self, fault: Fault) -> None:
        self.later(fault.at_s - self.t_s, lambda: strike(self, fault))

    def submit(self, command: Command) -> None:
        """Take a command; it is applied at the first tick that is due."""
        command.note(self, "queued")
        self.later(command.at_s - self.t_s, lambda: orders.apply(self, command))

    def end(self, status: str, reason: str) -> None:
        """Say that the run is over; the first reason counts."""
        if self.ended is None:
            self.ended = (status, reason)

    # --- what is to be recorded

    def record(self, stream: str, line: dict[str, object]) -> None:
        self.out.setdefault(stream, []).append(line)

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        self.record("events", {"kind": kind, "message": message, "level": level, **data})

    def decide(
        self, kind: str, drone: Drone | None, features: Mapping[str, object], decision: Mapping[str, object]
    ) -> Decision:
        return self.ledger.decide(kind, drone.id if drone else "fleet", self.t_s, features, decision)

    def drain(self) -> dict[str, list[dict[str, object]]]:
        """All lines of the last tick; they are forgotten here."""
        out, self.out = self.out, {}
        return out

    def _collect(self) -> None:
        if self.radio.log:
            self.out["communication"], self.radio.log = self.radio.log, []
        if self.ledger.done:
            self.out["ml_training"], self.ledger.done = self.ledger.done, []
        if self.ticks % TICK_HZ == 0:
            self.record("weather", self.weather.as_record())
            self.record("metrics", self.metrics())
        self.out["motion_history"] = motion_lines(self)

    def metrics(self) -> dict[str, object]:
        counts = self.crew.counts
        return {
            "phase": self.mission.phase,
            "windows_found": counts["found"],
            "windows_cleaned": counts["cleaned"],
            "airborne": sum(1 for d in self.drones if d.airborne),
            "used_wh": round(sum(d.battery.used_j for d in self.drones) / 3600, 3),
            "battery": {d.id: round(d.battery.charge, 4) for d in self.drones if d.active},
            "messages": self.radio.sent,
            "dropped": self.radio.dropped,
        }

    # --- drones come and go

    def spawn(self, kind: str, drone_id: str | None = None, charge: float = 1.0, position: Vec3 | None = None) -> Drone:
        """Add a drone: on the next free berth, or hovering at a position.

        Raises:
            CommandRefused: nothing was added.
        """
        if kind not in KINDS:
            raise CommandRefused("spawn", drone_id or "", f"unknown kind {kind!r}; one of {', '.join(KINDS)}")
        number = self._spawned.get(kind, 0) + 1
        name = drone_id or f"{kind}-{number}"
        if name.lower() in {d.lower() for d in self.by_id}:
            raise CommandRefused("spawn", name, "there is a drone of this name")
        drone = Drone(name, KINDS[kind], self._next_berth(), charge)
        if position is not None:
            self._place(drone, position)
        self._spawned[kind] = number
        drone.spawned_at_s = drone.last_contact_s = self.t_s
        self.drones.append(drone)
        self.by_id[name] = drone
        self.gps_random[name] = Random(f"{self.seed}/gps/{name}")
        self.event("spawn", f"{name} joins the fleet", drone=name, drone_kind=kind, position=list(drone.position))
        if not self.radio.handshake(drone, self.t_s):
            self.event("handshake", f"{name} did not complete its handshake", level="warning", drone=name)
        return drone

    def _next_berth(self) -> Vec3:
        taken = {d.berth_m for d in self.drones if d.mode != "retired"}
        for berth in self._berths:
            if berth not in taken:
                return berth
        more = self.world.free_spots(2 * len(self._berths), BERTH_PITCH_M, BERTH_HEIGHT_M, PATH_MARGIN_M)
        if len(more) <= len(self._berths):
            raise CommandRefused("spawn", "", "no free berth around the base")
        self._berths = more
        return self._next_berth()

    def _place(self, drone: Drone, position: Vec3) -> None:
        if not self.world.free(position, PATH_MARGIN_M) or position[2] < self.world.ground_m(*position[:2]):
            raise CommandRefused("spawn", drone.id, "the place is too near to a building or under the ground")
        drone.x, drone.y, drone.z = position
        if any(d.mode != "retired" and d.distance_to(position) < least_distance_m(d, drone) for d in self.drones):
            raise CommandRefused("spawn", drone.id, "the place is too near to another drone")
        drone.mode = "flying"

    def find(self, drone_id: str) -> Drone:
        """The drone of that name, whatever the case of its letters.

        Raises:
            CommandRefused: there is none, or it is lost or retired.
        """
        for name, drone in self.by_id.items():
            if name.lower() == drone_id.lower():
                if not drone.active:
                    raise CommandRefused("command", drone_id, f"{name} is {drone.mode}")
                return drone
        raise CommandRefused("command", drone_id, f"there is no drone {drone_id!r}")

    def lose(self, drone: Drone, reason: str) -> None:
        """A drone is gone: its work is given back, it falls to the ground."""
        self.event(
            "drone_lost",
            f"{drone.id} is lost: {reason}",
            level="error",
            drone=drone.id,
            reason=reason,
            position=[round(c, 2) for c in drone.position],
        )
        self._drop(drone, f"{drone.id} is lost ({reason})")
        self._leave_board(drone)
        drone.mode, drone.activity = "lost", f"lost ({reason})"
        drone.path = [(drone.x, drone.y, self.world.ground_m(drone.x, drone.y))]
        if not any(d.active for d in self.drones):
            self.end("failed", "drone lost: none is left")

    def retire(self, drone: Drone) -> None:
        """Take a drone out of the fleet where it is.

        Raises:
            CommandRefused: it is in the air; send it home first.
        """
        if drone.mode != "docked":
            raise CommandRefused("retire", drone.id, f"it is {drone.mode}: send it home first")
        self._drop(drone, f"{drone.id} is retired")
        self._leave_board(drone)
        drone.mode, drone.activity = "retired", "retired"
        self.event("retire", f"{drone.id} leaves the fleet", drone=drone.id)

    def _leave_board(self, drone: Drone) -> None:
        self.supply.drop_tether(drone)
        self.supply.cancel_mule(drone)
        if drone.facade is not None:
            self.crew.free_facade(drone.facade, drone)
            drone.facade = None

    # --- what a drone does

    def _decide(self, drone: Drone) -> None:
        if not drone.active:
            return
        if drone.duty != "home":
            reason = must_return(self, drone)
            if reason is not None:
                self.give(drone, go_home(self, drone, reason), "home")
        self._warn(drone)
        if drone.behaviour is None:
            drone.behaviour = behaviour_of(self, drone)
        try:
            next(drone.behaviour)
        except StopIteration:
            self.back_to_role(drone)

    def give(self, drone: Drone, behaviour: Behaviour, duty: str) -> None:
        """Replace what a drone does; what it did before is dropped and gives its claims back."""
        self._drop(drone, duty)
        drone.halt()
        drone.behaviour, drone.duty = behaviour, duty

    def back_to_role(self, drone: Drone) -> None:
        self._drop(drone, "resume")
        drone.duty = "role"

    def _drop(self, drone: Drone, why: str) -> None:
        self.why_dropped[drone.id] = why
        if drone.behaviour is not None:
            behaviour, drone.behaviour = drone.behaviour, None
            behaviour.close()

    def _warn(self, drone: Drone) -> None:
        charge = drone.battery.charge
        level = "critical" if charge <= 0.10 else "low" if charge <= 0.25 else ""
        if level and level not in drone.warned:
            drone.warned.add(level)
            self.event(
                "battery",
                f"{drone.id}: battery {level}",
                level="warning",
                drone=drone.id,
                battery=round(charge, 4),
            )
        elif charge > 0.5 and drone.warned:
            drone.warned.clear()

    def plan(self, drone: Drone, goal_m: Vec3) -> list[Vec3]:
        """A path for this drone at its own level.

        Raises:
            NoPath: there is none.
        """
        level = self.world.base_m[2] + MIN_LEVEL_M + LEVEL_STEP_M * (self.number_of(drone) % 6)
        return plan_path(self.world, drone.position, goal_m, level)

    def _evade(self, drone: Drone) -> None:
        """Blocked for a second: step aside, and plan the rest of the way from there."""
        other = drone.blocked_by
        if drone.mode != "flying" or other is None or not drone.path:
            return
        step = least_distance_m(drone, other) + 2.0
        offsets: list[Vec3] = [
            (0, 0, step),
            (step, 0, 0),
            (0, step, 0),
            (-step, 0, 0),
            (0, -step, 0),
            (0, 0, -step),
        ]
        turn = self._evasion.randrange(len(offsets))
        goal = drone.path[-1]
        for dx, dy, dz in offsets[turn:] + offsets[:turn]:
            aside = (drone.x + dx, drone.y + dy, drone.z + dz)
            if aside[2] < 3.0 or not self._may_step(drone, aside):
                continue
            try:
                rest = plan_path(self.world, aside, goal, aside[2])
            except NoPath:
                continue  # another side may do
            drone.path = [aside, *rest]
            return

    def _may_step(self, drone: Drone, aside: Vec3) -> bool:
        low = min(drone.z, aside[2])
        if aside[2] > self.world.ceiling_m or not self.world.free(aside, PATH_MARGIN_M):
            return False
        if self.world.blockers((drone.x, drone.y), aside[:2], low, PATH_MARGIN_M - 0.3):
            return False
        return all(
            d is drone or d.mode in ("lost", "retired") or d.distance_to(aside) > least_distance_m(d, drone) + 0.5
            for d in self.drones
        )

    # --- what drones ask

    def number_of(self, drone: Drone) -> int:
        return self.drones.index(drone)

    def count_role(self, role: str) -> int:
        """Drones of a role that can still work."""
        return sum(1 for d in self.drones if d.kind.role == role and d.active and not d.motor_out)

    @property
    def work_is_over(self) -> bool:
        crew = self.crew
        return crew.all_mapped and not (crew.open or crew.batch or crew.cleaned or crew.bad)

    def face(self, drone: Drone, facade: Facade) -> None:
        drone.yaw = atan2(-facade.normal[1], -facade.normal[0])

    def disturbed(self, drone: Drone) -> bool:
        """Whether careful work has to pause: a bird too near, or the tether snagged."""
        if self.birds.here and self.birds.near(drone):
            return True
        lifeline = drone.tether
        return lifeline is not None and self.supply.tethers[lifeline.id].snagged

    def facade_to_watch(self, overseer: Drone) -> Facade | None:
        """The facade of the climber that is this overseer's to watch."""
        walls = [d.facade for d in self.drones if d.kind.role == "climber" and d.facade and d.facade.viewpoints]
        if not walls:
            return None
        peers = [d for d in self.drones if d.kind.role == "overseer" and d.active]
        return walls[peers.index(overseer) % len(walls)]

    def beside(self, leader: Drone, follower: Drone, distance_m: float) -> Vec3:
        """A point at a distance from the leader on the follower's side."""
        dx, dy = follower.x - leader.x, follower.y - leader.y
        length = hypot(dx, dy)
        if length < 0.1:
            dx, dy, length = 1.0, 0.0, 1.0
        k = max(distance_m, least_distance_m(leader, follower) + 1.0) / length
        return (leader.x + dx * k, leader.y + dy * k, leader.z)

    def free_level(self, x: float, y: float, level_m: float) -> float:
        """The lowest free altitude at or above a level."""
        tops = [b.roof_m + PATH_MARGIN_M + 0.1 for b in self.world.near(x, y)]
        for level in sorted([level_m, *(t for t in tops if t > level_m)]):
            if self.world.free((x, y, level), PATH_MARGIN_M):
                return level
        return level_m

    # --- duties of the whole fleet

    def _radio_duties(self) -> None:
        beat = round(HEARTBEAT_S * TICK_HZ)
        for number, drone in enumerate(self.drones):
            if drone.active and (self.ticks + 7 * number) % beat == 0:
                data = {"battery": round(drone.battery.charge, 3), "mode": drone.mode}
                self.radio.send(drone, None, "STATUS", drone.activity, self.t_s, data)
        if self.ticks % round(SYNC_EVERY_S * TICK_HZ) == 0:
            active = [d for d in self.drones if d.active]
            if len(active) > 1:
                master = next((d for d in active if d.kind.role == "overseer"), active[0])
                self.radio.sync_clocks(master, [d for d in active if d is not master], self.t_s)

    def change_phase(self, phase: str, reason: str) -> None:
        """Move the mission on and say so.

        Raises:
            IllegalTransition: the phase is unchanged.
        """
        old = self.mission.phase
        self.mission.move_to(phase)
        self.transitions.append((old, phase, reason))
        self.event("phase", f"{old} -> {phase}", reason=reason)

    def _sense(self) -> None:
        """Hidden buildings become known when a drone comes near; ways through them are planned anew."""
        for building in list(self.hidden):
            for drone in self.drones:
                reach = SENSE_M * (2 if drone.kind.role == "scout" else 1)
                if (
                    drone.airborne
                    and drone.z < building.roof_m + reach
                    and building.distance_m(drone.x, drone.y) < reach
                ):
                    self.hidden.remove(building)
                    self.world.reveal(building)
                    self.event(
                        "hidden_building",
                        f"{drone.id} sensed {building.name}",
                        level="warning",
                        drone=drone.id,
                        building=building.name,
                    )
                    self._replan_all()
                    break

    def _replan_all(self) -> None:
        for drone in self.drones:
            if drone.mode == "flying" and drone.path:
                try:
                    drone.path = self.plan(drone, drone.path[-1])
                except NoPath as error:
                    drone.halt()
                    self.event("no_path", str(error), level="warning", drone=drone.id)
