"""Commands from outside: each is queued, applied at a simulation step, and ends as done or failed with the
reason.

Every change of state is one line in the commands stream, so "accepted but never executed" cannot go unseen.
Not here: threads (hmrs_simulation_live), the behaviours of the roles (roles).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot, isfinite

from sessionstore.session import stream_names
from sessionstore.simulation.drones.drone import TICK_HZ, Drone
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.separation import least_distance_m
from sessionstore.simulation.errors import CommandRefused, NoPath
from sessionstore.simulation.mission import duties
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.mission.pilot import Behaviour, fly_to, go_home, leave_wall, wait
from sessionstore.simulation.mission.views import Commanding
from sessionstore.simulation.world.geometry import Vec3

SPAWN = "spawn"
COMMAND_TYPES = ("move_to", "hover", "follow", "return", "resume", SPAWN, "retire")
FOLLOW_AT_M = 4.0  # chosen
FOLLOW_ANEW_M = 10.0  # chosen: the leader's way after which the follower plans anew
MOTIONLESS_S = 10.0  # chosen: a command whose drone does not move for so long has failed


@dataclass
class Command:
    """One order. `at_s` is when it is due; commands from outside are due at once."""

    id: int
    kind: str
    drone: str = ""
    target: Vec3 | None = None
    args: Mapping[str, object] = field(default_factory=dict)
    at_s: float = 0.0
    status: str = "new"
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is neither done nor failed."""
        return self.status in ("queued", "applied")

    def note(self, log: Logbook, status: str, reason: str = "") -> None:
        """Change the state and write it down."""
        self.status, self.reason = status, reason
        record: dict[str, object] = {
            "id": self.id,
            "command": self.kind,
            "drone": self.drone,
            "status": status,
        }
        if self.target is not None:
            record["target"] = list(self.target)
        if self.args:
            record["args"] = dict(self.args)
        if reason:
            record["reason"] = reason
        log.record(stream_names.COMMANDS, record)


def leader_of(kind: str, target: object, args: Mapping[str, object]) -> tuple[object, Mapping[str, object]]:
    """Return target and arguments; the name that `follow` has as its target becomes the leader."""
    if kind == "follow" and isinstance(target, str):
        return None, {**args, "leader": target}
    return target, args


def check(kind: str, drone: str, target: object, args: Mapping[str, object]) -> Vec3 | None:
    """Return the target as a point.

    Raises:
        CommandRefused: the command is malformed.
    """
    if kind not in COMMAND_TYPES:
        raise CommandRefused(kind, drone, f"unknown command; one of {', '.join(COMMAND_TYPES)}")
    if kind == "move_to" and target is None:
        raise CommandRefused(kind, drone, "needs a target [x, y, z]")
    if kind == "follow" and not isinstance(args.get("leader"), str):
        raise CommandRefused(kind, drone, "needs a leader: the id of a drone")
    if kind == SPAWN and args.get("kind") not in KINDS:
        raise CommandRefused(kind, drone, f"needs a kind: one of {', '.join(KINDS)}")
    return None if target is None else _point(kind, drone, target)


def _point(kind: str, drone: str, target: object) -> Vec3:
    values = list(target) if isinstance(target, list | tuple) else []
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and isfinite(v)]
    if len(values) != 3 or len(numbers) != 3:
        raise CommandRefused(kind, drone, f"a target is three finite numbers, not {target!r}")
    return (numbers[0], numbers[1], numbers[2])


def apply(fleet: Commanding, command: Command) -> None:
    """Carry a command out, or note it as failed with the reason. Never raises for what a command can
    cause.
    """
    try:
        if command.kind == SPAWN:
            position = command.target
            drone = fleet.roster.spawn(str(command.args["kind"]), command.drone or None, position=position)
            command.drone = drone.id
            command.note(fleet.log, "applied")
            command.note(fleet.log, "done")
            return
        drone = fleet.roster.find(command.drone)
        if not fleet.radio.send(None, drone, "COMMAND", command.kind, fleet.clock.t_s, {"id": command.id}):
            raise CommandRefused(command.kind, drone.id, "the message did not arrive")
        if command.kind == "retire":
            fleet.retire(drone)
            command.note(fleet.log, "applied")
            command.note(fleet.log, "done")
            return
        if command.kind == "resume":
            duties.back_to_role(drone)
            command.note(fleet.log, "applied")
            command.note(fleet.log, "done")
            return
        duties.give(drone, _carry_out(fleet, drone, command), "command", "another command")
    except CommandRefused as error:
        command.note(fleet.log, "failed", error.reason)


def _carry_out(fleet: Commanding, drone: Drone, command: Command) -> Behaviour:
    """The behaviour of a commanded drone; dropping it half-way is a failure with a reason."""
    command.note(fleet.log, "applied")
    drone.activity = f"command {command.kind}"
    try:
        if drone.mode == "wall" and command.kind != "hover":
            yield from leave_wall(fleet, drone)
        if command.kind == "move_to":
            assert command.target is not None
            yield from _watched(fleet, drone, command, fly_to(fleet, drone, command.target))
        elif command.kind == "follow":
            yield from _follow(fleet, drone, command)
        elif command.kind == "return":
            yield from _watched(fleet, drone, command, go_home(fleet, drone, "command"))
        else:
            drone.halt()
            while drone.speed > 0.01 and not drone.at_rest:
                yield
        if command.status == "applied":
            command.note(fleet.log, "done")
    except (NoPath, CommandRefused) as error:
        command.note(fleet.log, "failed", getattr(error, "reason", str(error)))
    finally:
        if command.status == "applied":
            command.note(fleet.log, "failed", f"broken off: {drone.why_dropped}")
    while True:  # it stays where it is until another command or "resume"
        drone.activity = "holding"
        yield


def _watched(fleet: Commanding, drone: Drone, command: Command, behaviour: Behaviour) -> Behaviour:
    """Note a command as failed when its drone does not move although it has a way to go."""
    here, still_ticks = drone.position, 0
    for _ in behaviour:
        if drone.distance_to(here) > 0.2:
            here, still_ticks = drone.position, 0
        elif drone.path and not drone.gps_out:  # without GPS it hovers, and says so itself
            still_ticks += 1
        if still_ticks > MOTIONLESS_S * TICK_HZ and command.status == "applied":
            command.note(fleet.log, "failed", f"the drone has not moved for {MOTIONLESS_S:.0f} s")
        yield


def _follow(fleet: Commanding, drone: Drone, command: Command) -> Behaviour:
    """Stay 4 m from the leader until the leader is gone; the path is renewed once a second."""
    leader = fleet.roster.find(str(command.args["leader"]))
    if leader is drone:
        command.note(fleet.log, "failed", "a drone cannot follow itself")
        return
    seconds = command.args.get("duration_s")
    until_s = fleet.clock.t_s + float(seconds) if isinstance(seconds, int | float) else float("inf")
    while leader.active and fleet.clock.t_s < until_s:
        if drone.distance_to(leader.position) <= FOLLOW_AT_M + 1.0:
            yield from wait(1.0)
            continue
        seen_at = leader.position
        try:
            for _ in fly_to(fleet, drone, _beside(leader, drone)):
                if leader.distance_to(seen_at) > FOLLOW_ANEW_M or fleet.clock.t_s >= until_s:
                    break  # the leader has gone elsewhere meanwhile
                yield
        except NoPath as error:
            fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
            yield from wait(2.0)
        yield
    drone.halt()


def _beside(leader: Drone, follower: Drone) -> Vec3:
    """A point near the leader, on the follower's side."""
    dx, dy = follower.x - leader.x, follower.y - leader.y
    length = hypot(dx, dy)
    if length < 0.1:
        dx, dy, length = 1.0, 0.0, 1.0
    k = max(FOLLOW_AT_M, least_distance_m(leader, follower) + 1.0) / length
    return (leader.x + dx * k, leader.y + dy * k, leader.z)
