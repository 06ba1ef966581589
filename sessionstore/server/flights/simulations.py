"""The simulations of this server: those that run, each in its own session and process, and the plan of the next.

Requests without a session id mean the current one: the one started last. One change at a time (start, stop, reset);
questions never wait for a change.
Not here: a single process (server.flights.simulation_process), plans (plans), routes (simulation).
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import Any

from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.server.flights.plans import Plan, building_records, city_of, keep_plan, plan_of, store_city
from sessionstore.server.flights.simulation_process import SimulationProcess
from sessionstore.server.http.problems import ApiProblem
from sessionstore.simulation.errors import NotRunning
from sessionstore.simulation.world.buildings import City
from sessionstore.store import SessionStore

MOST_AT_ONCE = 16
_MOST_REMEMBERED = 100


class Simulations:
    """Starts, finds and ends simulations."""

    def __init__(self, store: SessionStore, buildings: SessionBuildingsBox, index: str | None) -> None:
        self._store = store
        self._buildings = buildings
        self._index = index
        self._runs: dict[str, SimulationProcess] = {}
        self._changing = threading.RLock()
        self.current: SimulationProcess | None = None
        self.draft = Plan()  # the next flight; with a session id it waits in that session

    # ------------------------------------------------------------ finding

    def find(self, session_id: str | None = None) -> SimulationProcess | None:
        """Return the run in a session, or the current one; None when nothing was started."""
        return self.current if session_id is None else self._runs.get(session_id)

    def need(self, what: str, session_id: str | None = None) -> SimulationProcess:
        """Return a run that has not ended. Raises: NotRunning."""
        found = self.find(session_id)
        if found is None or not found.running:
            raise NotRunning(what, "not started" if found is None else found.ended or "over")
        return found

    def running(self) -> list[SimulationProcess]:
        """Return the runs that have not ended."""
        return [run for run in list(self._runs.values()) if run.running]

    def overview(self) -> dict[str, Any]:
        """Return figures for health."""
        current = self.current.session_id if self.current is not None and self.current.running else None
        return {
            "running": [run.session_id for run in self.running()],
            "current": current,
            "waiting": self.draft.session_id,
        }

    # ------------------------------------------------------------ planning

    def wait_in(self, session_id: str, plan: Plan) -> City:
        """Make this plan the next one: its session, with its buildings, is there already. Return the city.

        Raises: CityFileError, and as the store: the plan of before is still the next one.
        """
        with self._changing:
            session = self._store.get(session_id)
            city = city_of(plan, session.folder)
            records = building_records(city)
            base = {"name": "base", "position": plan.base_position}
            self._buildings.save_buildings(session_id, records, base, city.ground)
            plan.session_id = session_id
            state = {} if session.record.workflow_state == "buildings_spawned" else _SPAWNED
            keep_plan(session, plan, **state)
            self.draft = plan
            return city

    def changed_draft(self) -> None:
        """Keep the changed draft in its session, when it waits in one."""
        if self.draft.session_id is not None:
            keep_plan(self._store.get(self.draft.session_id), self.draft)

    def forget_draft(self) -> None:
        """Begin a new plan; a session that waited stays as it is."""
        self.draft = Plan()

    # ------------------------------------------------------------ changing

    def start(
        self,
        changes: dict[str, Any],
        session_id: str | None = None,
        session_name: str | None = None,
        metadata: dict[str, Any] | None = None,
        parallel: bool = False,
    ) -> SimulationProcess:
        """Start the session that waits, or a new one; return when it flies.

        Args:
            changes: fields of the plan, laid over what was planned.
            session_id: start this waiting session instead of the last one.
            parallel: although another one runs.

        Raises: ApiProblem: one runs already, or too many; SessionNotFound; what the simulation refuses.
        """
        with self._changing:
            self._check_room(parallel)
            plan = self._chosen(session_id)
            for name, value in changes.items():
                setattr(plan, name, value)
            if plan.session_id is not None:
                self._announce(plan, session_name, metadata)
            order = {
                "dir": str(self._store.root.path),
                "index": self._index,
                "plan": plan.to_dict(),
                "session_name": session_name,
                "metadata": metadata or {},
            }
            run = SimulationProcess(order, plan)
            self._forget_old()
            self._runs[run.session_id] = run
            self.current = run
            if plan is self.draft:
                self.forget_draft()
            return run

    def _check_room(self, parallel: bool) -> None:
        running = self.running()
        if self.current is not None and self.current.running and not parallel:
            raise ApiProblem(
                409,
                "already-running",
                f"{self.current.session_id} is running: stop it first, or say parallel",
                session_id=self.current.session_id,
            )
        if len(running) >= MOST_AT_ONCE:
            raise ApiProblem(409, "too-many", f"{len(running)} simulations are running; that is the most")

    def _chosen(self, session_id: str | None) -> Plan:
        if session_id is None or session_id == self.draft.session_id:
            if not self._still_waits(self.draft):
                self.forget_draft()
            return self.draft
        session = self._store.get(session_id)
        plan = plan_of(session)
        if plan is None or session.record.status != "created":
            raise ApiProblem(409, "not-waiting", f"{session.session_id} does not wait for a start")
        return plan

    def _still_waits(self, plan: Plan) -> bool:
        """Whether a plan without a session, or one whose session is still there, unstarted."""
        if plan.session_id is None:
            return True
        try:
            return self._store.get(plan.session_id).record.status == "created"
        except SessionStoreError:
            return False

    def _announce(self, plan: Plan, name: str | None, metadata: dict[str, Any] | None) -> None:
        """Write into the waiting session what its run will be."""
        session = self._store.get(plan.session_id or "")
        scenario = plan.scenario(session.folder)
        fleet = scenario.counts() or dict(Counter(drone.kind for drone in plan.drones))
        told = {
            "scenario": scenario.name,
            "fleet": fleet,
            "num_drones": len(plan.drones) or sum(fleet.values()),
            "weather": plan.condition,
            "seed": plan.seed,
        }
        changes: dict[str, Any] = {"session_name": name} if name is not None else {}
        keep_plan(
            session,
            plan,
            duration_planned_s=plan.duration_s,
            metadata={**session.record.metadata, **(metadata or {}), **told},
            **changes,
        )

    def stop(self, session_id: str | None = None, reason: str = "stopped by user") -> SimulationProcess | None:
        """End a run; return it when its session is stored, or None when none was running. Raises: LockTimeout."""
        run = self.find(session_id)
        if run is None or not run.running:
            return None
        run.stop(reason)
        return run

    def restart(self) -> SimulationProcess:
        """End the current run, and fly its plan again in a new session. Raises: NotRunning; as :meth:`start`."""
        with self._changing:
            if self.current is None:
                raise NotRunning("restart", "not started")
            self.stop(reason="stopped for a restart")
            before = self._store.get(self.current.session_id)
            plan, name = self.current.plan.again(), before.record.session_name
            if plan.city is not None:  # the city file is in the session that flew it
                again = self._store.create(name)
                data, _ = files.read(before.folder / "artifacts" / plan.city)
                store_city(again, data)
                self.wait_in(again.session_id, plan)
            self.draft = plan
            return self.start({}, session_name=name)

    def reset(self) -> SimulationProcess | None:
        """End the current run and forget plan and run; return the run that was ended."""
        with self._changing:
            run = self.stop(reason="stopped for a reset")
            self.current = None
            self.forget_draft()
            return run

    def close(self) -> None:
        """End all runs, stored; one that does not answer is killed, and reads as interrupted."""
        threads = [threading.Thread(target=self._close_one, args=(run,)) for run in self.running()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @staticmethod
    def _close_one(run: SimulationProcess) -> None:
        with contextlib.suppress(SessionStoreError):
            run.stop("stopped: the server ended")
        if run.running:
            run.kill()

    def _forget_old(self) -> None:
        ended = [name for name, run in self._runs.items() if not run.running]
        for name in ended[: max(0, len(self._runs) - _MOST_REMEMBERED)]:
            del self._runs[name]


_SPAWNED = {"workflow_state": "buildings_spawned", "reason": "buildings stored, waiting for a start"}
