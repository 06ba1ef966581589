"""Progress on stderr: of a run (phase, sim time, points), and of any other work (done, rate, time left).

Silent in a pipe, with NO_COLOR and with --quiet; work of less than a second shows no bar.

Not here: the summary at the end (cli.summary).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from sessionstore.cli import output, text

if TYPE_CHECKING:
    from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive

#: Called with what is done and the total, None while it is unknown.
Report = Callable[[int, int | None], None]
SHOWN_AFTER_S = 1.0
EVERY_S = 0.1  # drawing more often would slow the run down


class ProgressView:
    """A rich progress bar; silent when quiet or when stderr is not a terminal."""

    def __init__(self, duration_s: float, quiet: bool = False) -> None:
        self._console = output.console(stderr=True)
        self._duration_s = duration_s
        self._due = 0.0
        self._progress = Progress(
            TextColumn("[bold]{task.fields[phase]:<8}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[sim]}  {task.fields[windows]} windows cleaned  {task.fields[points]:,} points"),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or output.without_escapes() or not self._console.is_terminal,
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

    def begin(self, session_id: str, seed: int) -> None:
        """Print the session that is being recorded, and the seed that repeats it."""
        if not self._quiet:
            about = f"recording session {session_id} (seed {seed})"
            self._progress.console.print(about, highlight=False, markup=False)

    def show(self, live: HMRSSimulationLive) -> None:
        """Draw the state of the run, ten times a second at most."""
        now = time.monotonic()
        over = live.fleet.clock.t_s >= self._duration_s
        if now < self._due and not over:
            return
        self._due = now + EVERY_S
        self._progress.update(
            self._task,
            completed=live.fleet.clock.t_s,
            phase=live.phase,
            sim=f"{live.fleet.clock.t_s:7.1f} of {self._duration_s:.0f} s",
            windows=live.fleet.crew.counts["cleaned"],
            points=live.points,
        )
        self._progress.refresh()


class _Rate(ProgressColumn):
    """What is done of how much, and how fast."""

    def render(self, task: Task) -> Text:
        form = text.size if task.fields["unit"] == "bytes" else (lambda number: f"{number:,}")
        total = f" of {form(int(task.total))}" if task.total is not None else ""
        unit = "" if task.fields["unit"] == "bytes" else f" {task.fields['unit']}"
        rate = f"  {form(int(task.speed))}/s" if task.speed else ""
        return Text(f"{form(int(task.completed))}{total}{unit}{rate}")


@contextmanager
def progress(label: str, unit: str = "items", quiet: bool = False) -> Iterator[Report]:
    """Show a bar with rate and time left for work that takes longer than a second.

    Args:
        unit: what is counted (``sessions``, ``rows``); ``bytes`` are shown in kB, MB, GB.
    """
    console = output.console(stderr=True)
    if quiet or output.without_escapes() or not console.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), _Rate(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
    task = bar.add_task(label, total=None, unit=unit)
    began = time.monotonic()
    due = began + SHOWN_AFTER_S

    def report(done: int, total: int | None) -> None:
        nonlocal due
        bar.update(task, completed=done, total=total)
        now = time.monotonic()
        if now >= due:
            bar.start()  # again is harmless
            bar.refresh()
            due = now + EVERY_S

    try:
        yield report
    finally:
        bar.stop()
