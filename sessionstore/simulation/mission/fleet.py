"""The pure simulation: one tick after the other, the same bytes for the same seed, scenario and commands.

A tick is 1/20 s: weather, commands and faults that are due, phases, decisions, separation, twelve physics
steps, energy. What is to be recorded is in `log` until its `drain` takes it. No wall clock, no threads, no files.
Not here: who belongs to the fleet (mission.roster), the time (mission.clock), the lines (mission.logbook), what a drone
does next (mission.duties), running it and recording it (hmrs_simulation_live).
"""

from __future__ import annotations

from sessionstore.session import stream_names
from sessionstore.simulation.drones.communication import Radio
from sessionstore.simulation.drones.drone import TICK_HZ, TICK_S, Drone
from sessionstore.simulation.drones.navigation import plan_path
from sessionstore.simulation.drones.separation import Separation
from sessionstore.simulation.errors import CommandRefused
from sessionstore.simulation.mission import commands as orders
from sessionstore.simulation.mission import duties
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.commands import Command
from sessionstore.simulation.mission.conductor import Conductor
from sessionstore.simulation.mission.crew import Crew
from sessionstore.simulation.mission.energy import spend
from sessionstore.simulation.mission.evasion import Evasion
from sessionstore.simulation.mission.faults import Fault, strike
from sessionstore.simulation.mission.heartbeats import send_heartbeats
from sessionstore.simulation.mission.homeward import WaysHome
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.mission.phases import Mission
from sessionstore.simulation.mission.roster import Roster
from sessionstore.simulation.mission.samples import metrics_line, motion_lines
from sessionstore.simulation.mission.sensing import sense
from sessionstore.simulation.mission.supply import Supply
from sessionstore.simulation.mission.trajectory_flight import TrajectoryFlight
from sessionstore.simulation.mission.wind_push import WindPush
from sessionstore.simulation.world.birds import Birds
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.weather import DEFAULT_CONDITION, Weather
from sessionstore.simulation.world.world import World

MIN_LEVEL_M = 12.0  # chosen: level flight stays above the berths
LEVEL_STEP_M = 1.5  # chosen: neighbours in the fleet fly at different levels
MANY_COMMANDS = 50  # chosen: then the closed ones are forgotten


class Fleet:
    """The drones on the `roster`, their world and their work. `tick` advances by 1/20 s; `ended` says when and why
    the run is over.
    """

    def __init__(
        self,
        world: World,
        seed: str,
        condition: str = DEFAULT_CONDITION,
        batch_per_climber: int = 4,
        wind_pushes: bool = False,
    ) -> None:
        self.world = world
        self.clock = Clock()
        self.log = Logbook(self.clock)
        self.weather = Weather(seed, condition, TICK_S)
        self.mission = Mission(TICK_S)
        self.crew = Crew(world, seed, batch_per_climber)
        self.radio = Radio(seed, world.base_m)
        self.roster = Roster(world, seed, self.clock, self.log, self.radio)
        self.birds = Birds(seed)
        self.supply = Supply(self.roster, self.clock, self.log)
        self.conductor = Conductor()
        self.ways_home = WaysHome(self.clock, world, self.weather, self.plan)
        self.separation = Separation()
        self.evasion = Evasion(world, seed)
        self.trajectories: dict[str, TrajectoryFlight] = {}  # by the drone's id in lower case
        self.hidden = [b for b in world.buildings if not b.known]
        self.open_commands: list[Command] = []
        self.ended: tuple[str, str] | None = None
        self.wind_push = WindPush(self) if wind_pushes else None

    def tick(self) -> None:
        """Advance by 1/20 s."""
        drones = self.roster.drones
        self.clock.advance()
        self.weather.step()
        self.clock.run_due()
        self.birds.step(self.clock.t_s, drones, self.log.event)
        self.conductor.conduct(self)
        for drone in list(drones):
            duties.decide(self, drone)
        send_heartbeats(self.clock, self.roster, self.radio)
        for drone in self.separation.separate(drones):
            self.evasion.resolve(drone, drones)
        for drone in drones:
            if drone.gps_out and drone.mode == "flying" and drone.duty != "home":
                drone.brake = True  # it hovers until it knows where it is
            drone.advance()
            if self.wind_push is not None:
                self.wind_push.step(drone)
            spend(self, drone)
        self.supply.step()
        sense(self.hidden, self.world, drones, self.log)
        self._collect()

    def open_tape(self) -> None:
        """Record the positions before the first tick."""
        self.log.extend(stream_names.MOTION, motion_lines(self.clock, self.roster))

    def _collect(self) -> None:
        self.log.collect(self.radio.log)
        if len(self.open_commands) > MANY_COMMANDS:
            self.open_commands = [c for c in self.open_commands if c.is_open]
        if self.clock.ticks % TICK_HZ == 0:
            self.log.record(stream_names.WEATHER, self.weather.as_record())
            self.log.record(stream_names.METRICS, metrics_line(self.mission, self.crew, self.roster, self.radio))
        self.log.extend(stream_names.MOTION, motion_lines(self.clock, self.roster))

    # --- faults, commands and the end

    def schedule(self, fault: Fault) -> None:
        """Enter a fault; it strikes at the first tick that is due."""
        self.clock.later(fault.at_s - self.clock.t_s, lambda: strike(self, fault))

    def submit(self, command: Command) -> None:
        """Take a command; it is applied at the first tick that is due."""
        self.open_commands.append(command)
        command.note(self.log, "queued")
        self.clock.later(command.at_s - self.clock.t_s, lambda: orders.apply(self, command))

    def end(self, status: str, reason: str) -> None:
        """End the run; the first reason counts."""
        if self.ended is None:
            self.ended = (status, reason)

    def close(self) -> None:
        """Report what the end leaves open: decisions without outcome, commands that were not carried out."""
        self.log.close_decisions("the run ended")
        for command in self.open_commands:
            if command.is_open:
                command.note(self.log, "failed", "the run ended before")
        self.log.collect(self.radio.log)

    # --- drones leave

    def lose(self, drone: Drone, reason: str) -> None:
        """Take a drone out of the sky: its work is given back, it falls to the ground."""
        self.log.event(
            "drone_lost",
            f"{drone.id} is lost: {reason}",
            level="error",
            drone=drone.id,
            reason=reason,
            position=[round(c, 2) for c in drone.position],
        )
        duties.drop(drone, f"{drone.id} is lost ({reason})")
        self._leave_board(drone)
        drone.mode, drone.activity = "lost", f"lost ({reason})"
        drone.path = [(drone.x, drone.y, self.world.ground_m(drone.x, drone.y))]
        if not any(d.active for d in self.roster.drones):
            self.end("failed", "drone lost: none is left")

    def retire(self, drone: Drone) -> None:
        """Take a drone out of the fleet where it is.

        Raises:
            CommandRefused: it is in the air; send it home first.
        """
        if drone.mode != "docked":
            raise CommandRefused("retire", drone.id, f"it is {drone.mode}: send it home first")
        duties.drop(drone, f"{drone.id} is retired")
        self._leave_board(drone)
        drone.mode, drone.activity = "retired", "retired"
        self.log.event("retire", f"{drone.id} leaves the fleet", drone=drone.id)

    def _leave_board(self, drone: Drone) -> None:
        self.supply.drop_tether(drone)
        self.supply.cancel_mule(drone)
        if drone.facade is not None:
            self.crew.free_facade(drone.facade, drone)
            drone.facade = None

    # --- what drones ask

    def plan(self, drone: Drone, goal_m: Vec3, start_m: Vec3 | None = None) -> list[Vec3]:
        """Return a path for this drone at its own level, from where it is or from another start.

        Raises:
            NoPath: there is none.
        """
        start = drone.position if start_m is None else start_m
        ground = self.world.highest_ground_m(start[:2], goal_m[:2])
        level = ground + MIN_LEVEL_M + LEVEL_STEP_M * (self.roster.number_of(drone) % 6)
        return plan_path(self.world, start, goal_m, level)
