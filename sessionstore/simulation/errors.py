"""What can go wrong in a simulation, as types.

    SimulationError
      CityFileError      a city file cannot be read: path, where in it, why; nothing was loaded
      ScenarioError      a scenario file or option does not hold: path, field, why; nothing was started
      NoPath             no way exists within the margins; the drone stays where it is
      IllegalTransition  a phase change that the mission forbids; the phase is unchanged
      CommandRefused     a command that cannot be carried out; recorded as failed with this reason
      NotRunning         the run is over or was never started; nothing was changed

Each is also one of the store's errors, whose exit code it has: what was asked is not allowed, and nothing changed.
Not here: errors of the store itself.
"""

from __future__ import annotations

from sessionstore import errors


class SimulationError(errors.SessionStoreError):
    """Base of all errors of the simulation floor."""


class CityFileError(SimulationError, errors.InvalidRecord):
    """A city file cannot be read; nothing was loaded."""

    def __init__(self, path: str, where: str, reason: str) -> None:
        super().__init__(path, where, reason)
        self.path, self.where, self.reason = path, where, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.where}: {self.reason}"


class ScenarioError(SimulationError, errors.InvalidRecord):
    """A scenario does not hold; nothing was started."""

    def __init__(self, path: str, field: str, reason: str) -> None:
        super().__init__(path, field, reason)
        self.path, self.field, self.reason = path, field, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.field}: {self.reason}"


class NoPath(SimulationError, errors.InvalidRecord):
    """No way from start to goal keeps the margin; nothing moved."""

    def __init__(self, start_m: tuple[float, float, float], goal_m: tuple[float, float, float], reason: str) -> None:
        super().__init__(start_m, goal_m, reason)
        self.start_m, self.goal_m, self.reason = start_m, goal_m, reason

    def __str__(self) -> str:
        start, goal = (", ".join(f"{c:.1f}" for c in p) for p in (self.start_m, self.goal_m))
        return f"no path from ({start}) to ({goal}): {self.reason}"


class IllegalTransition(SimulationError, errors.IllegalTransition):
    """The mission does not allow this phase change; the phase is unchanged."""

    def __init__(self, old: str, new: str, allowed: tuple[str, ...]) -> None:
        super().__init__(old, new, allowed)
        self.old, self.new, self.allowed = old, new, allowed

    def __str__(self) -> str:
        return f"{self.old} cannot become {self.new}; allowed: {', '.join(self.allowed) or 'nothing'}"


class CommandRefused(SimulationError, errors.InvalidRecord):
    """A command cannot be carried out; the drone goes on with what it was doing."""

    def __init__(self, command: str, drone: str, reason: str) -> None:
        super().__init__(command, drone, reason)
        self.command, self.drone, self.reason = command, drone, reason

    def __str__(self) -> str:
        return f"{self.command} for {self.drone or 'the fleet'} refused: {self.reason}"


class NotRunning(SimulationError, errors.NotApplied, RuntimeError):
    """The run is over or was never started; nothing was changed."""

    def __init__(self, wanted: str, state: str) -> None:
        super().__init__(wanted, state)
        self.wanted, self.state = wanted, state

    def __str__(self) -> str:
        return f"cannot {self.wanted}: the simulation is {self.state}"
