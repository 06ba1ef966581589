"""The progress bar of a run, on stderr: phase, sim time, windows cleaned, points recorded.

Not here: the summary at the end (cli.summary).
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive

EVERY_S = 0.1  # drawing more often would slow the run down


class ProgressView:
    """A rich progress bar; silent when quiet or when stderr is not a terminal."""

    def __init__(self, duration_s: float, quiet: bool = False) -> None:
        self._console = Console(stderr=True)
        self._duration_s = duration_s
        self._due = 0.0
        self._progress = Progress(
            TextColumn("[bold]{task.fields[phase]:<8}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[sim]}  {task.fields[windows]} windows cleaned  {task.fields[points]:,} points"),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("run", total=duration_s, phase="start", sim="", windows=0, points=0)
        self._quiet = quiet

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.refresh()
        self._progress.stop()

    def begin(self, session_id: str) -> None:
        """Print the session that is being recorded."""
        if not self._quiet:
            self._progress.console.print(f"recording session {session_id}", highlight=False, markup=False)

    def show(self, live: HMRSSimulationLive) -> None:
        """Draw the state of the run, ten times a second at most."""
        now = time.monotonic()
        over = live.fleet.t_s >= self._duration_s
        if now < self._due and not over:
            return
        self._due = now + EVERY_S
        self._progress.update(
            self._task,
            completed=live.fleet.t_s,
            phase=live.phase,
            sim=f"{live.fleet.t_s:7.1f} of {self._duration_s:.0f} s",
            windows=live.fleet.crew.counts["cleaned"],
            points=live.points,
        )
        self._progress.refresh()
