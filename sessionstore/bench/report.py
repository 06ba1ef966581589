"""A run as a table for people, Markdown for the README, and JSON for programs.

Not here: the figures (figures), the picture (plot).
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sessionstore.bench.figures import Figure, Figures, Target

_ABOUT = {
    "W1": "create a session",
    "W2": "update a session",
    "W3": "append to a stream",
    "W4": "list all sessions",
    "W5": "filter",
    "W6": "get one session",
    "W7": "many processes at once",
    "W8": "seek and follow a stream",
    "W9": "rebuild the index",
    "W10": "memory",
    "W11": "start",
    "E1": "put a row into an index, durably",
    "E2": "find rows in an index",
    "E3": "many processes put rows into PostgreSQL",
    "E4": "an engine that is away",
}
HEADINGS = ("case", "sessions", "system", "median", "range", "of the limit", "target", "lost")


def machine(folder: Path) -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "at": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "filesystem": _filesystem(folder),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _filesystem(folder: Path) -> str:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    fitting = [(point, kind) for point, kind in mounts if folder.absolute().is_relative_to(point)]
    return max(fitting, key=lambda each: len(each[0]), default=("", ""))[1]


def rows(figures: Figures, workload: str) -> list[list[str]]:
    """Return the cells of one workload, in the order of :data:`HEADINGS`."""
    return [_row(figures, each) for each in figures if each.workload == workload]


def _row(figures: Figures, figure: Figure) -> list[str]:
    ratio = figures.ratio(figure)
    lost = "" if figure.lost is None else f"{figure.lost}" + (f", {figure.errors} errors" if figure.errors else "")
    return [
        figure.case,
        "" if figure.size is None else f"{figure.size:,}",
        figure.system,
        amount(figure.median, figure.unit),
        f"{amount(min(figure.values), figure.unit)} to {amount(max(figure.values), figure.unit)}"
        if len(figure.values) > 1
        else "",
        "" if ratio is None else f"{ratio:.2f} of {figure.against}",
        _verdict(figure.target, figures.met(figure)),
        lost,
    ]


def _verdict(target: Target | None, met: bool | None) -> str:
    if target is None:
        return ""
    bound = f"{target.sign} {target.bound:g}" + (" of it" if target.what == "ratio" else "")
    return f"{bound}: {'met' if met else 'MISSED'}"


def amount(value: float, unit: str) -> str:
    """Return a figure with its unit, three digits of it."""
    if unit == "s":
        if value < 0.001:
            return f"{value * 1e6:.3g} µs"
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "/s":
        return f"{value:,.0f}/s" if value >= 100 else f"{value:.3g}/s"
    return f"{value:.3g} {unit}"


def workloads(figures: Figures) -> Iterable[tuple[str, str]]:
    """Yield each workload that was run, and what it is."""
    found = dict.fromkeys(each.workload for each in figures)
    return [(name, _ABOUT[name]) for name in _ABOUT if name in found]


def markdown(figures: Figures, facts: dict[str, Any]) -> str:
    """Return the tables as they stand in the README."""
    parts = [
        f"Measured {facts['at']} on {facts['cpu']}, {facts['cores']} cores (load {facts['load'][0]}),"
        f" {facts['filesystem']},"
        f" Python {facts['python']}, commit {facts.get('commit') or 'unknown'}, by `{facts['command']}`.\n"
    ]
    for workload, about in workloads(figures):
        parts.append(f"**{workload}: {about}**\n")
        parts.append("| " + " | ".join(HEADINGS) + " |")
        parts.append("|" + "---|" * len(HEADINGS))
        parts += ["| " + " | ".join(cells) + " |" for cells in rows(figures, workload)]
        parts.append("")
    return "\n".join(parts)
