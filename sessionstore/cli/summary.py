"""The summary of a run for a terminal: phases, a time bar and an energy balance per drone, warnings.

Not here: the figures themselves (simulation.figures), the show command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sessionstore.cli import output
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.mission.flight_figures import warnings_of

if TYPE_CHECKING:
    from sessionstore.model.record import SessionRecord
    from sessionstore.simulation.mission.fleet import Fleet

SIGNS = {"docked": ("·", "dim"), "flying": ("▲", "cyan"), "wall": ("█", "green"), "lost": ("x", "red bold"),
         "retired": (" ", "")}  # fmt: skip
LEGEND = "· berth   ▲ in the air   █ on a wall   x lost"


def print_summary(fleet: Fleet, record: SessionRecord, folder: str) -> None:
    """Print the summary on stdout."""
    terminal = output.console(highlight=False)
    # A pipe has no width; cut at 80 columns, the table would lose figures.
    console = terminal if terminal.is_terminal else output.console(highlight=False, width=160)
    console.print(_headline(fleet, record))
    phases = "   ".join(
        f"{name} {seconds:.1f} s ({fleet.mission.entries[name]}x)"
        for name, seconds in fleet.mission.durations_s().items()
    )
    console.print(f"phases: {phases}   back from VERIFY {fleet.mission.loops_back}x")
    console.print(_days(fleet, max(12, min(36, console.width - 104))))
    console.print(LEGEND, style="dim")
    _print_rest(console, fleet)
    console.print(f"session {record.session_id} in {folder}", markup=False, soft_wrap=True)


def _headline(fleet: Fleet, record: SessionRecord) -> Text:
    counts = fleet.crew.counts
    wall_s = record.duration_wall_s or 0.0
    speed = f", {fleet.clock.t_s / wall_s:.0f} times real time" if wall_s else ""
    why = f": {record.end_reason}" if record.end_reason and record.end_reason != record.status else ""
    return Text(
        f"{record.status}{why}; {fleet.clock.t_s:.1f} of {record.duration_planned_s:.0f} s{speed}; "
        f"{counts['cleaned']} windows cleaned, {counts['found']} found, {counts['inspected']} inspections, "
        f"{counts['failed_inspection']} failed",
        style="bold" if record.status == "completed" else "bold red",
    )


def _days(fleet: Fleet, width: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("drone", "day", "way", "top", "used", "charged", "left", "windows", "returned for"):
        table.add_column(name, justify="left" if name in ("drone", "day", "windows", "returned for") else "right")
    for drone in fleet.roster.drones:
        battery = drone.battery
        table.add_row(
            drone.id,
            day_bar(drone, fleet.clock.t_s, width),
            f"{drone.day.distance_m:.0f} m",
            f"{drone.day.max_speed_mps:.1f} m/s",
            f"{battery.used_j / 3600:.1f} Wh",
            f"{battery.charged_j / 3600:.1f} Wh",
            f"{100 * battery.charge:.0f} %",
            _work(drone),
            ", ".join(f"{reason} {n}x" for reason, n in drone.day.returns.items()) or "-",
        )
    return table


def _work(drone: Drone) -> str:
    day = drone.day
    parts = [(day.windows_found, "found"), (day.windows_cleaned, "cleaned"), (day.windows_inspected, "inspected"),
             (day.swaps, "swaps")]  # fmt: skip
    return ", ".join(f"{n} {what}" for n, what in parts if n) or "-"


def day_bar(drone: Drone, end_s: float, width: int) -> Text:
    """Return the drone's modes over time, from left to right, one sign each."""
    bar = Text()
    changes = drone.day.modes
    at = 0
    for column in range(width):
        t_s = end_s * (column + 0.5) / width
        while at + 1 < len(changes) and changes[at + 1][0] <= t_s:
            at += 1
        sign, style = SIGNS[changes[at][1]] if changes and changes[at][0] <= t_s else (" ", "")
        bar.append(sign, style)
    return bar


def _print_rest(console: Console, fleet: Fleet) -> None:
    radio = fleet.radio
    console.print(f"radio: {radio.sent} messages, {radio.dropped} dropped")
    ignored = fleet.world.city.ignored
    if ignored:
        passed = ", ".join(f"{n} {kind}" for kind, n in sorted(ignored.items()))
        console.print(f"ignored in the city file: {passed}", markup=False)
    replaced = fleet.world.city.replaced
    if replaced:
        guessed = ", ".join(f"{n} {what}" for what, n in sorted(replaced.items()))
        console.print(f"replaced in the city file: {guessed}", markup=False)
    for warning in warnings_of(fleet):
        console.print(f"warning: {warning}", style="yellow", markup=False)
