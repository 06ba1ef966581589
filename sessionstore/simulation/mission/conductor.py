"""When a phase is over. Looks at the board once a tick and moves the mission on; the moves themselves are
checked by mission.

Not here: what the drones do in a phase (roles).
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import TICK_HZ
from sessionstore.simulation.drones.kinds import CLIMBER, OVERSEER, SCOUT
from sessionstore.simulation.mission.roles.overseer import judge
from sessionstore.simulation.mission.views import Conducting

LOOK_TICKS = 10
PLAN_S = 2.0  # chosen: the time that a planner and its operator take
OVERSEER_PATIENCE_S = 90.0  # chosen: then the climbers' own reports count


class Conductor:
    """State of the phases: when the current one began, and which events were reported."""

    def __init__(self) -> None:
        self.since_tick = 0
        self.reported: set[str] = set()
        self.transitions: list[tuple[str, str, str]] = []  # from, to, reason: until the run has taken them

    def conduct(self, fleet: Conducting) -> None:
        """Look at the board, and move to the next phase when this one is over."""
        getattr(self, f"_{fleet.mission.phase.lower()}")(fleet)
        fleet.mission.count_tick()

    def _next(self, fleet: Conducting, phase: str, reason: str) -> None:
        self.since_tick = fleet.clock.ticks
        old = fleet.mission.phase
        fleet.mission.move_to(phase)
        self.transitions.append((old, phase, reason))
        fleet.log.event("phase", f"{old} -> {phase}", reason=reason)

    def _scan(self, fleet: Conducting) -> None:
        if fleet.clock.ticks % LOOK_TICKS:
            return  # counting the board at every tick would cost more than it gains
        crew = fleet.crew
        climbers = fleet.roster.count_role(CLIMBER)
        if crew.enough_to_plan(climbers):
            self._next(fleet, "PLAN", f"{len(crew.open)} dirty windows are mapped")
        elif crew.open and crew.all_mapped:
            self._next(fleet, "PLAN", f"all is mapped, {len(crew.open)} windows are left")
        elif not crew.all_mapped and not fleet.roster.count_role(SCOUT):
            entered = crew.enter_from_model(crew.batch_per_climber * max(1, climbers))
            fleet.log.event(
                "no_scout", f"{entered} windows taken from the city model", level="warning", windows=entered
            )
        elif crew.all_mapped and "over" not in self.reported:
            self.reported.add("over")
            fleet.log.event(
                "job_done", f"nothing left to clean: {crew.counts['cleaned']} windows", windows=dict(crew.counts)
            )

    def _plan(self, fleet: Conducting) -> None:
        if fleet.clock.ticks - self.since_tick < PLAN_S * TICK_HZ:
            return
        climbers = fleet.roster.count_role(CLIMBER)
        batch = fleet.crew.plan_batch(climbers)
        facades = list(dict.fromkeys(w.facade.id for w in batch))
        fleet.log.event("plan", f"{len(batch)} windows on {len(facades)} facades", windows=len(batch), facades=facades)
        self._next(fleet, "EXECUTE", f"{len(batch)} windows for {climbers} climbers")

    def _execute(self, fleet: Conducting) -> None:
        crew = fleet.crew
        if not crew.batch:
            self._next(fleet, "VERIFY", f"{len(crew.cleaned)} windows to inspect")
        elif not fleet.roster.count_role(CLIMBER) and "climbers" not in self.reported:
            self.reported.add("climbers")
            fleet.log.event("no_climber", f"nobody is left to clean {len(crew.batch)} windows", level="warning")

    def _verify(self, fleet: Conducting) -> None:
        crew = fleet.crew
        if crew.cleaned:
            waited = (fleet.clock.ticks - self.since_tick) / TICK_HZ
            if not fleet.roster.count_role(OVERSEER) or waited > OVERSEER_PATIENCE_S * (1 + len(crew.cleaned) / 20):
                for window in [w for w in crew.cleaned if not w.claimed]:
                    judge(fleet, None, window)
            return
        if crew.bad:
            bad = crew.send_back()
            self._next(fleet, "EXECUTE", f"{len(bad)} windows failed the inspection")
        else:
            self._next(fleet, "SCAN", "the batch is clean")
