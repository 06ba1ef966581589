"""The live run: a fleet that flies as fast as it can, or at a real-time factor, and records itself while it
does.

The simulation itself knows no wall clock: pausing, polling and the real-time factor change when a tick
happens, never what is in it. Everything that comes from other threads (commands, questions) waits in one
inbox that the loop empties between ticks. Sessions are made by the creator box; when that fails, for any
reason, by the database box; when both fail, the run does not start. Ctrl-C and SIGTERM end the session as
stopped, with everything kept.
Not here: the model (mission.fleet), the figures of the end (mission.flight_figures), HTTP (server).
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from sessionstore.boxes.fallback import create_with_fallback
from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.errors import LockTimeout
from sessionstore.session import stream_names
from sessionstore.session.recorder import Recorder
from sessionstore.simulation.drones.drone import TICK_HZ
from sessionstore.simulation.errors import CommandRefused, NotRunning
from sessionstore.simulation.mission.commands import Command, check, leader_of
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.mission.flight_figures import end_reason, performance
from sessionstore.simulation.running.launch import build_fleet, load_city, man_fleet
from sessionstore.simulation.running.pace import Pace
from sessionstore.simulation.running.recordings import with_recordings
from sessionstore.simulation.running.scenarios import Scenario
from sessionstore.simulation.running.snapshot import (
    base_record,
    drone_list,
    facade_lines,
    keep_scenario,
    scene_record,
    session_fields,
    snapshot,
)

ASK_TIMEOUT_S = 10.0
_LOOK_EVERY_S = 0.25
BEAT_TICKS = 10  # the recorder throttles beats itself, but even asking it costs
PAUSE_POLL_S = 0.5  # a paused run beats twice a second at most; wake-ups come at once


class CreatorBox(Protocol):
    """What the run needs of a creator box."""

    def create_session(self, session_name: str | None = None, **fields: Any) -> Mapping[str, Any]: ...


class HMRSSimulationLive:
    """One run of one scenario. Make it, `run()` it (in any thread), ask and command it from others.

    Args:
        realtime: seconds of simulation per second of wall time; None is as fast as possible.
        creator_box: by default a SessionCreatorBox on the database box.
        session_id: record into this created session; by default a new one is made.
        on_tick: called after every recorded tick, from the run's own thread.
        recorded: commands that an earlier run of the scenario recorded, which are given again at their sim_time.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        training_sessions_dir: str | Path | None = None,
        session_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        realtime: float | None = None,
        creator_box: CreatorBox | None = None,
        session_db_box: SessionDBBox | None = None,
        session_id: str | None = None,
        on_tick: Callable[[HMRSSimulationLive], None] | None = None,
        recorded: Sequence[Command] = (),
    ) -> None:
        self.scenario = scenario = with_recordings(
            scenario, lambda: (session_db_box or SessionDBBox(training_sessions_dir=training_sessions_dir)).store
        )
        self.fleet: Fleet = build_fleet(scenario, load_city(scenario))
        self.realtime = realtime
        self.session_db_box = session_db_box or SessionDBBox(training_sessions_dir=training_sessions_dir)
        self.creator_box: CreatorBox = creator_box or SessionCreatorBox(self.session_db_box)
        self.fallback_reason: str | None = None
        self.phase = "initializing"
        self.points = 0
        self.run_state = "created"
        self._session_name, self._metadata = session_name, dict(metadata or {})
        self._on_tick = on_tick
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._stop_reason: str | None = None
        self._paused = False
        self._recorder: Recorder | None = None
        of_orders = [command.id for command in recorded[: len(scenario.orders)]]
        self._recorded = deque(recorded[len(scenario.orders) :])
        self._command_ids = chain(of_orders, count(max((command.id for command in recorded), default=0) + 1))
        self._commands: dict[int, Command] = {}
        self.creation: Mapping[str, Any] = {"session_id": session_id} if session_id else self._create_session()
        self.session_id: str = self.creation["session_id"]

    # ------------------------------------------------------------ the session

    def _create_session(self) -> Mapping[str, Any]:
        """Through the creator box; through the database box when that fails (the fallback contract)."""
        fields = session_fields(self.scenario, self.fleet, self._metadata)
        made = create_with_fallback(self.creator_box.create_session, self.session_db_box, self._session_name, **fields)
        self.fallback_reason = made.get("fallback_reason")
        return made

    def _spawn_world(self) -> None:
        """Store the buildings, then spawn the drones: a session shows what it is about before it flies."""
        recorder, fleet = self._open_recorder(), self.fleet
        boxes = SessionBuildingsBox(self.session_db_box)
        buildings, ground = (b.as_record() for b in fleet.world.buildings), fleet.world.city.ground
        boxes.save_buildings(self.session_id, buildings, base_record(fleet), ground)
        recorder.stream(stream_names.WINDOWS).extend(facade_lines(fleet), 0.0)
        self._update_workflow_state("buildings_spawned", f"{len(fleet.world.buildings)} buildings")
        man_fleet(fleet, self.scenario, self._command_ids)
        recorder.update(keep_scenario(recorder, self.scenario), drones=drone_list(self.fleet))
        self._update_workflow_state("drones_spawned", f"{len(fleet.roster.drones)} drones")
        self._record_tick()

    def _update_workflow_state(self, state: str, reason: str) -> None:
        """Store the workflow's new state in the record, durably."""
        self.phase = state
        self._open_recorder().workflow(state, reason=reason, t_s=self.fleet.clock.t_s)

    def _save_session_logs(self, status: str, reason: str) -> None:
        """Write what is only known at the end: open decisions, figures per drone, the end itself."""
        recorder, fleet = self._open_recorder(), self.fleet
        self._empty_inbox()
        fleet.close()
        self._record_lines()
        for warning in performance(fleet)["totals"]["warnings"]:
            recorder.event("warning", warning, t_s=fleet.clock.t_s, level="warning")
        recorder.update(drones=drone_list(self.fleet))
        recorder.finish(status, end_reason(fleet, reason), fleet.clock.t_s, performance(fleet))

    def _open_recorder(self) -> Recorder:
        if self._recorder is None:
            raise NotRunning("record", self.run_state)
        return self._recorder

    # ------------------------------------------------------------ the run

    def run(self) -> str:
        """Fly until the planned duration, a stop, or an end; return the session id.

        Raises:
            any error that broke the run, after the session was marked failed with the traceback as an event.
        """
        if self.run_state != "created":
            raise NotRunning("run", self.run_state)
        with self._signals(), self.session_db_box.store.start(self.session_id) as recorder:
            self._recorder = recorder
            self.run_state = "running"
            try:
                if self.fallback_reason:
                    recorder.log(f"creator box failed, database box used: {self.fallback_reason}", level="warning")
                self._spawn_world()
                self._update_workflow_state("SCAN", "the mission begins")
                self._loop()
                status, reason = self._ending()
                self._save_session_logs(status, reason)
                self.run_state = status
            except BaseException:
                self.run_state = "failed"
                raise
            finally:
                self._empty_inbox()
        return self.session_id

    def _ending(self) -> tuple[str, str]:
        if self._stop_reason is not None:
            return "stopped", self._stop_reason
        return self.fleet.ended or ("completed", "completed")

    def _loop(self) -> None:
        fleet = self.fleet
        last_tick = round(self.scenario.duration_s * TICK_HZ)
        pace = Pace(self.realtime)
        while fleet.clock.ticks < last_tick and fleet.ended is None:
            self._empty_inbox()
            self._give_recorded()
            if self._paused:
                self._rest()
                pace.restart(fleet.clock.t_s)
            if self._stop_reason is not None:
                return
            if not pace.wait(fleet.clock.t_s, self._wake, lambda: bool(self._inbox) or self._stop_reason is not None):
                continue  # woken early: look into the inbox first
            fleet.tick()
            self._record_tick()
            if self._on_tick is not None:
                self._on_tick(self)

    def _give_recorded(self) -> None:
        """Hand over the recorded commands that are due: a command is recorded with the tick after it was given."""
        while self._recorded and self._recorded[0].at_s <= self.fleet.clock.t_s + 1 / TICK_HZ + 1e-6:
            command = self._recorded.popleft()
            command.at_s = self.fleet.clock.t_s
            self.fleet.submit(command)

    def _record_tick(self) -> None:
        """Append everything that this tick has said; phases go into the record."""
        recorder, fleet = self._open_recorder(), self.fleet
        self._record_lines()
        while fleet.conductor.transitions:
            _, phase, reason = fleet.conductor.transitions.pop(0)
            self._update_workflow_state(phase, reason)
        if fleet.clock.ticks % BEAT_TICKS:
            return
        counts = fleet.crew.counts
        recorder.beat(
            fleet.clock.t_s, windows_cleaned=counts["cleaned"], windows_found=counts["found"], points=self.points
        )

    def _record_lines(self) -> None:
        recorder, fleet = self._open_recorder(), self.fleet
        t_s = fleet.clock.t_s
        for name, lines in fleet.log.drain().items():
            if name == stream_names.MOTION:
                recorder.motion.extend(lines, t_s)
                self.points += len(lines)
            else:
                recorder.stream(name).extend(lines, t_s)

    def _rest(self) -> None:
        """Paused: answer questions, take commands, until resumed or stopped."""
        recorder = self._open_recorder()
        recorder.update(status="paused", reason="paused", sim_time_s=self.fleet.clock.t_s)
        self.run_state = "paused"
        while self._paused and self._stop_reason is None:
            with self._wake:
                if not self._inbox and self._paused and self._stop_reason is None:
                    self._wake.wait(PAUSE_POLL_S)
            self._empty_inbox()
        self.run_state = "running"
        recorder.update(status="running", reason="resumed", sim_time_s=self.fleet.clock.t_s)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop the run gently; a second Ctrl-C interrupts as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def stop(number: int, _: FrameType | None) -> None:
            self._stop_reason = self._stop_reason or f"stopped by {signal.Signals(number).name}"
            signal.signal(signal.SIGINT, signal.default_int_handler)

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # ------------------------------------------------------------ from other threads

    def stop(self, reason: str = "stopped by user") -> None:
        """End the run after the present tick; the session ends as stopped."""
        with self._wake:
            self._stop_reason = self._stop_reason or reason
            self._wake.notify_all()

    def pause(self) -> None:
        """Hold the simulation after the present tick.

        Raises:
            NotRunning: it is over.
        """
        self._set_paused(True)

    def resume(self) -> None:
        """Go on after a pause. Raises: NotRunning."""
        self._set_paused(False)

    def _set_paused(self, paused: bool) -> None:
        if self.run_state not in ("created", "running", "paused"):
            raise NotRunning("pause" if paused else "resume", self.run_state)
        with self._wake:
            self._paused = paused
            self._wake.notify_all()

    def submit_command(self, command_type: str, drone: str = "", target: object = None, **args: object) -> int:
        """Queue a command for the next tick and return its number; its outcome is in the commands stream.

        Args:
            target: a place [x, y, z]; for follow the name of the drone to follow.

        Raises:
            CommandRefused: it is malformed; nothing was queued.
            NotRunning: the run is over.
        """
        if self.run_state not in ("created", "running", "paused"):
            raise NotRunning(f"take the command {command_type}", self.run_state)
        place, more = leader_of(command_type, target, args)
        point = check(command_type, drone, place, more)
        command = Command(next(self._command_ids), command_type, drone, point, more)
        self._commands[command.id] = command

        def hand_over() -> None:
            command.at_s = self.fleet.clock.t_s
            self.fleet.submit(command)

        self._put(hand_over)
        return command.id

    def command_status(self, command_id: int) -> dict[str, str]:
        """How far a command is: new, queued, applied, done or failed, with the reason.

        Raises:
            CommandRefused: there is no such command.
        """
        command = self._commands.get(command_id)
        if command is None:
            raise CommandRefused(str(command_id), "", "there is no command of this number")
        return {"status": command.status, "reason": command.reason}

    def spawn(self, kind: str, name: str = "", position: object = None) -> int:
        """Queue a drone that joins the fleet. Raises: as submit_command."""
        return self.submit_command("spawn", name, position, kind=kind)

    def retire(self, drone: str) -> int:
        """Queue a drone's leave. Raises: as submit_command."""
        return self.submit_command("retire", drone)

    def state(self, scene: bool = True) -> dict[str, Any]:
        """A consistent picture between two ticks: run state, sim time, phase, drones, counts, weather.

        Args:
            scene: buildings and base too; they are large, and seldom change.

        A run that waits for room on its disk ticks no more: its last picture is returned, with the ``problem``.

        Raises:
            LockTimeout: the tick did not end within 10 s.
        """
        if self.run_state not in ("running", "paused"):
            return self._state_now(scene)
        answer: Future[dict[str, Any]] = Future()

        def look() -> None:
            try:
                answer.set_result(self._state_now(scene))
            except Exception as error:  # noqa: BLE001  # the asker gets it; a question must not end a flight
                answer.set_exception(error)

        self._put(look)
        if self.run_state not in ("running", "paused"):  # it ended meanwhile: the loop no longer empties the inbox
            self._empty_inbox()
        for _ in range(int(ASK_TIMEOUT_S / _LOOK_EVERY_S)):
            try:
                return answer.result(_LOOK_EVERY_S)
            except FutureTimeout:
                if self._recorder and self._recorder.full_disk.problem():
                    return self._state_now(scene)
        raise LockTimeout(f"the run did not answer within {ASK_TIMEOUT_S:g} s")

    def _state_now(self, scene: bool) -> dict[str, Any]:
        problem = self._recorder.full_disk.problem() if self._recorder else None
        return {
            **({"problem": problem} if problem else {}),
            "session_id": self.session_id,
            "running": self.run_state == "running",
            "paused": self.run_state == "paused",
            "run_state": self.run_state,
            "workflow_state": self.phase,
            "duration_planned_s": self.scenario.duration_s,
            "points": self.points,
            **snapshot(self.fleet),
            **(scene_record(self.fleet) if scene else {}),
        }

    def _put(self, job: Callable[[], None]) -> None:
        with self._wake:
            self._inbox.append(job)
            self._wake.notify_all()

    def _empty_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()
