"""The pure simulation: one tick after the other, the same bytes for the same seed, scenario and commands.

A tick is 1/20 s: weather, commands and faults that are due, phases, decisions, separation, twelve physics
steps, energy. What is to be recorded is in `out` (stream name -> lines) until `drain` takes it. No wall
clock, no threads, no files. Not here: running it and recording it (hmrs_simulation_live).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from math import atan2
from random import Random
from typing import Any

from sessionstore.simulation.drones.communication import SYNC_EVERY_S, Radio
from sessionstore.simulation.drones.drone import TICK_HZ, TICK_S, Drone
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M, plan_path
from sessionstore.simulation.drones.separation import least_distance_m, separate
from sessionstore.simulation.errors import CommandRefused
from sessionstore.simulation.mission import commands as orders
from sessionstore.simulation.mission.commands import Command
from sessionstore.simulation.mission.conductor import Conductor
from sessionstore.simulation.mission.crew import Crew
from sessionstore.simulation.mission.decisions import Decision, Ledger
from sessionstore.simulation.mission.energy import spend
from sessionstore.simulation.mission.evasion import resolve
from sessionstore.simulation.mission.faults import Fault, strike
from sessionstore.simulation.mission.homeward import WaysHome
from sessionstore.simulation.mission.phases import Mission
from sessionstore.simulation.mission.pilot import Behaviour, go_home, must_return, stand_still
from sessionstore.simulation.mission.roles import behaviour_of
from sessionstore.simulation.mission.samples import metrics_line, motion_lines
from sessionstore.simulation.mission.sensing import sense
from sessionstore.simulation.mission.supply import Supply
from sessionstore.simulation.world.birds import Birds
from sessionstore.simulation.world.facades import Facade
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.weather import Weather
from sessionstore.simulation.world.world import World

BERTH_HEIGHT_M = 5.0  # known: the return point is the base and 5 m up
BERTH_PITCH_M = 4.0  # chosen: two mules fit beside each other
MIN_LEVEL_M = 12.0  # chosen: level flight stays above the berths
LEVEL_STEP_M = 1.5  # chosen: neighbours in the fleet fly at different levels
HEARTBEAT_S = 5.0  # chosen
BREAK_OFF = {"link loss": "link lost", "gps loss": "GPS lost", "battery": "battery low", "wind": "too much wind"}
MOTIONLESS_TICKS = 15 * TICK_HZ  # chosen: later than a command's own check


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
        self.ways_home = WaysHome(self)
        self.drones: list[Drone] = []
        self.by_id: dict[str, Drone] = {}
        self.gps_random: dict[str, Random] = {}
        self.gps_lost_at_s: dict[str, float] = {}
        self.why_dropped: dict[str, str] = {}
        self.out: dict[str, list[dict[str, object]]] = {}
        self.open_commands: list[Command] = []
        self.transitions: list[tuple[str, str, str]] = []
        self.ended: tuple[str, str] | None = None
        self.evasion_random = Random(f"{seed}/evasion")
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._spawned: dict[str, int] = {}
        self._berths = world.berths(40, BERTH_PITCH_M, BERTH_HEIGHT_M)
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
            resolve(self, drone)
        for drone in self.drones:
            if drone.gps_out and drone.mode == "flying" and drone.duty != "home":
                drone.brake = True  # it hovers until it knows where it is
            drone.advance()
            spend(self, drone)
        self.supply.step()
        sense(self)
        self._collect()

    def open_tape(self) -> None:
        """Record the positions before the first tick."""
        self.out["motion_history"] = motion_lines(self)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something at a coming tick."""
        heappush(self._due, (self.ticks + max(1, round(delay_s * TICK_HZ)), next(self._order), action))

    def schedule(self, fault: Fault) -> None:
        self.later(fault.at_s - self.t_s, lambda: strike(self, fault))

    def submit(self, command: Command) -> None:
        """Take a command; it is applied at the first tick that is due."""
        self.open_commands.append(command)
        command.note(self, "queued")
        self.later(command.at_s - self.t_s, lambda: orders.apply(self, command))

    def end(self, status: str, reason: str) -> None:
        """End the run; the first reason counts."""
        if self.ended is None:
            self.ended = (status, reason)

    def close(self) -> None:
        """Report what the end leaves open: decisions without outcome, commands that were not carried
        out.
        """
        self.ledger.close_all("the run ended")
        for command in self.open_commands:
            if command.status in ("queued", "applied"):
                command.note(self, "failed", "the run ended before")
        self._collect_lists()

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

    def _collect_lists(self) -> None:
        if self.radio.log:
            self.out["communication"], self.radio.log = self.radio.log, []
        if self.ledger.done:
            self.out["ml_training"], self.ledger.done = self.ledger.done, []

    def _collect(self) -> None:
        self._collect_lists()
        if len(self.open_commands) > 50:
            self.open_commands = [c for c in self.open_commands if c.status in ("queued", "applied")]
        if self.ticks % TICK_HZ == 0:
            self.record("weather", self.weather.as_record())
            self.record("metrics", metrics_line(self))
        self.out["motion_history"] = motion_lines(self)

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
        more = self.world.berths(2 * len(self._berths), BERTH_PITCH_M, BERTH_HEIGHT_M)
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
        """The drone of that name, in any case of its letters.

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
        if self._stands_still(drone):
            self.give(drone, stand_still(self, drone), "motionless", "the drone does not move")
        elif drone.duty in ("role", "command"):
            reason = must_return(self, drone)
            if reason is not None:
                self.give(drone, go_home(self, drone, reason), "home", BREAK_OFF.get(reason, reason))
        self._warn(drone)
        if drone.behaviour is None:
            drone.behaviour = behaviour_of(self, drone)
        try:
            next(drone.behaviour)
        except StopIteration:
            self.back_to_role(drone)

    def _stands_still(self, drone: Drone) -> bool:
        """Whether a drone has just been found not to move although its way is free."""
        waits = not drone.path or drone.brake or drone.speed_mps == 0.0 or drone.speed > 0.01
        drone.still_ticks = 0 if waits else drone.still_ticks + 1
        return drone.still_ticks == MOTIONLESS_TICKS and drone.duty != "motionless"

    def give(self, drone: Drone, behaviour: Behaviour, duty: str, why: str | None = None) -> None:
        """Replace what a drone does; what it did before is dropped and gives its claims back."""
        self._drop(drone, why or duty)
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

    def plan(self, drone: Drone, goal_m: Vec3, start_m: Vec3 | None = None) -> list[Vec3]:
        """A path for this drone at its own level, from where it is or from another start.

        Raises:
            NoPath: there is none.
        """
        start = drone.position if start_m is None else start_m
        ground = self.world.highest_ground_m(start[:2], goal_m[:2])
        level = ground + MIN_LEVEL_M + LEVEL_STEP_M * (self.number_of(drone) % 6)
        return plan_path(self.world, start, goal_m, level)

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
        number = peers.index(overseer)
        return walls[number] if number < len(walls) else None

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
