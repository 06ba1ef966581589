"""A run as a table for people, Markdown, and JSON for programs; and the part of it that stands in docs/performance.md.

    sessionstore bench --output fixtures/bench
    sessionstore bench --part sizes --size 1000000 --output fixtures/bench/million
    python -m sessionstore.bench.report sessionstore/docs/performance.md fixtures/bench/bench.json MILLION/bench.json

writes the tables of these runs between the two marks of that page, ten lines of them into README.md, and their picture
beside the first.

Not here: the figures (figures), the picture (plot).
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sessionstore.bench.figures import STEADY, Figure, Figures, Target
from sessionstore.disk import files

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
    "W13": "pages of many sessions",
    "W14": "fly a fleet, recorded (sizes are drones)",
    "W15": "system calls of one operation",
    "W16": "list while others write",
    "E1": "put a row into an index, durably",
    "E2": "find rows in an index",
    "E3": "many processes put rows into PostgreSQL",
    "E4": "an engine that is away",
    "E5": "filters and pages on SQLite",
    "F1": "read a PX4 log",
    "F2": "write MCAP",
    "F3": "read MCAP",
    "M1": "merge sessions of ten files, durably",
    "M2": "merge the same again",
    "M3": "pack",
    "M4": "push to an S3 server",
    "M5": "list a store elsewhere",
    "M6": "lineage in an update",
    "A1": "ask over lines (sizes are points)",
    "A2": "ask over columns (sizes are points)",
    "A3": "a frame of all points (sizes are points)",
    "A4": "pictures of a flight (sizes are points)",
    "A5": "ask over many sessions (sizes are points)",
    "A6": "the sessions as a table",
    "A7": "read columns of a stream (sizes are points)",
    "S1": "a sweep beside bare processes (sizes are processes)",
    "S2": "overhead of a sweep (sizes are processes)",
    "S3": "read a sweep (sizes are points)",
    "G1": "read a store of 1 TB elsewhere (sizes are objects)",
}
#: The workload whose sizes are processes, which has a picture of its own.
_PROCESSES = "S1"
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
        _shown_ratio(figures, figure, ratio),
        _verdict(figure.target, figures.met(figure)),
        lost,
    ]


def _shown_ratio(figures: Figures, figure: Figure, ratio: float | None) -> str:
    if ratio is None:
        return ""
    if (moved := figures.moved(figure)) > STEADY:
        return f"{figure.against} moved {moved:.1f} times"
    return f"{ratio:.2f} of {called(figure.against or '').removeprefix('sessionstore ')}"


#: The ways of ours to append, as a user knows them; the page says below its table what each is.
_WAYS = {
    "sessionstore full": "sessionstore stream writer, each record synced",
    "sessionstore batch": "sessionstore stream writer",
    "sessionstore recorder": "sessionstore recorder",
}


def called(system: str) -> str:
    """Return the name of a system as readers of the page know it."""
    return _WAYS.get(system, system)


def _verdict(target: Target | None, met: bool | None) -> str:
    if target is None:
        return ""
    bound = f"{target.sign} {target.bound:g}" + (" of it" if target.what == "ratio" else "")
    return f"{bound}: {'not judged' if met is None else 'met' if met else 'MISSED'}"


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


def _measured(facts: dict[str, Any]) -> str:
    return (
        f"Measured {facts['at']} on {facts['cpu']}, {facts['cores']} cores (load {facts['load'][0]}),"
        f" {facts['filesystem']}, Python {facts['python']}, commit {facts.get('commit') or 'unknown'},"
        f" by `{facts['command']}`."
    )


def markdown(figures: Figures, facts: dict[str, Any]) -> str:
    """Return the tables as they stand in the page."""
    parts = [_measured(facts) + "\n"]
    for workload, about in workloads(figures):
        parts.append(f"**{workload}: {about}**\n")
        parts.append("| " + " | ".join(HEADINGS) + " |")
        parts.append("|" + "---|" * len(HEADINGS))
        parts += ["| " + " | ".join(cells) + " |" for cells in rows(figures, workload)]
        parts.append("")
    return "\n".join(parts)


# ---------------------------------------------------------------- the page

BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->\n"
#: Heading, and the workload and case whose largest common size is shown for every system.
_COLUMNS = (
    ("create", "W1", "create"),
    ("update", "W2", "update"),
    ("append, one a call", "W3", "append, one a call"),
    ("list all", "W4", "list all, new handle"),
    ("filter by metadata", "W5", "filter by metadata, new handle"),
    ("get one", "W6", "get one, new handle"),
    ("4 processes count up: lost", "W7", "4 processes, count up one"),
)


def summary(figures: Figures, facts: dict[str, Any]) -> str:
    """Return what the page says of a run: every target with what was reached, and all systems side by side."""
    asked = [each for each in figures if each.target is not None]
    reached = sum(figures.met(each) is True for each in asked)
    lines = [_measured(facts), "", f"{reached} of {len(asked)} targets were met:", ""]
    lines += ["| | case | sessions | median | of the limit | target |", "|---|---|---|---|---|---|"]
    for each in asked:
        case, size, system, median, _, ratio, verdict, lost = _row(figures, each)
        system = "" if system == "sessionstore" else f", {called(system).removeprefix('sessionstore ')}"
        lost = f", {lost} lost" if lost not in ("", "0") else ""
        lines.append(f"| {each.workload} | {case}{system} | {size} | {median} | {ratio} | {verdict}{lost} |")
    tables = [*_side_by_side(figures), "", *_system_calls(figures), *_while_written(figures)]
    return "\n".join([*lines, "", *tables])


def _system_calls(figures: Figures) -> list[str]:
    """Return the table of W15: how many system calls one operation makes."""
    counted = [each for each in figures if each.workload == "W15"]
    if not counted:
        return []
    cases = list(dict.fromkeys(each.case for each in counted))
    lines = ["System calls of one operation (a count is exact at any load):", ""]
    lines += ["| system | " + " | ".join(cases) + " |", "|" + "---|" * (len(cases) + 1)]
    for name in dict.fromkeys(each.system for each in counted):
        found = {each.case: f"{each.median:.3g}" for each in counted if each.system == name}
        lines.append(f"| {name} | " + " | ".join(found.get(case, "") for case in cases) + " |")
    return [*lines, ""]


def _while_written(figures: Figures) -> list[str]:
    """Return the sentence of W16: a listing alone, and while others write."""
    found = [each for each in figures if each.workload == "W16"]
    said = [f"{each.system} {amount(each.median, each.unit)}" for each in found]
    lost = sum(each.lost or 0 for each in found)
    return [f"List of {found[0].size:,} sessions, warm: {', '.join(said)}; {lost} sessions lost.", ""] if found else []


def _side_by_side(figures: Figures) -> list[str]:
    """Return the table of all systems, in the order in which they came."""
    columns = [(heading, _largest(figures, workload, case)) for heading, workload, case in _COLUMNS]
    systems = dict.fromkeys(name for _, cells in columns for name in cells)
    heads = [f"{heading} @{_size(cells)}" if _size(cells) else heading for heading, cells in columns if cells]
    lines = ["| system | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for name in systems:
        shown = [_cell(cells.get(name)) for _, cells in columns if cells]
        lines.append(f"| {called(name)} | " + " | ".join(shown) + " |")
    return lines


def _largest(figures: Figures, workload: str, case: str) -> dict[str, Figure]:
    fitting = [each for each in figures if (each.workload, each.case) == (workload, case)]
    largest = max((each.size or 0 for each in fitting), default=0)
    return {each.system: each for each in fitting if (each.size or 0) == largest}


def _size(cells: dict[str, Figure]) -> str:
    size = next((each.size for each in cells.values() if each.workload != "W7"), None)
    return "" if not size else f"{size:,}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.workload != "W7":
        return amount(figure.median, figure.unit)
    return f"{figure.lost}" + (f", {figure.errors:,} errors" if figure.errors else "")


#: The lines of the README: what is done, and the workload, case and system that show it at the largest size.
_TEN_LINES = (
    ("create a session, synced", "W1", "create", "sessionstore"),
    ("create a session, left to the system", "W1", "create", "sessionstore os"),
    ("create in a batch, synced", "W1", "create in batches of 1,000", "sessionstore"),
    ("update a session, synced", "W2", "update", "sessionstore"),
    ("append a record, one a call, by a stream writer", "W3", "append, one a call", "sessionstore batch"),
    (
        "append a record, one a call, by a recorder (`store.record`)",
        "W3",
        "append, one a call",
        "sessionstore recorder",
    ),
    ("the newest 50 sessions, new handle", "W4", "first page of 50", "sessionstore"),
    ("the heads of all sessions, new handle", "W4", "all heads", "sessionstore"),
    ("a session by its id, new handle", "W6", "get one by id, new handle", "sessionstore"),
    ("a moment in a long stream", "W8", "seek by sim_time, cold handle", "sessionstore"),
    ("make the index anew", "W9", "rebuild the index", "sessionstore"),
)


def in_ten_lines(figures: Figures) -> str:
    """Return what the README says of a run; a line that was not measured is left out."""
    lines = ["| | of how many | here | beside it |", "|---|---|---|---|"]
    for words, workload, case, system in _TEN_LINES:
        figure = _largest(figures, workload, case).get(system)
        if figure is not None:
            _, size, _, median, _, ratio, _, _ = _row(figures, figure)
            lines.append(f"| {words} | {size} | {median} | {ratio} |")
    return "\n".join([*lines, ""])


def put_into(readme: Path, text: str) -> None:
    """Replace what stands between the marks of a page. Raises: ValueError: there are none."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for it: {BEGIN.strip()} and {END.strip()}")
    files.put(readme.absolute(), f"{before}{begin}{text}{end}{after}".encode())


def main(page: Path, *runs: Path) -> None:
    """Write what several runs on one machine found, as one, into the page; and ten lines of it into the README."""
    results = [json.loads(run.read_bytes()) for run in runs]
    figures = Figures.from_list([figure for each in results for figure in each["figures"]])
    commands = "` and `".join(each["machine"]["command"] for each in results)
    facts = {**results[0]["machine"], "command": commands}
    put_into(page, summary(figures, facts))
    if (readme := page.absolute().parents[2] / "README.md").is_file():
        put_into(readme, in_ten_lines(figures))
    for name, picture in pictures(figures, facts).items():
        files.put(runs[0].absolute().with_name(name), picture.encode())


def pictures(figures: Figures, facts: dict[str, Any]) -> dict[str, str]:
    """Return pictures by file name: time and memory against size, rates against processes; none of one size only."""
    from sessionstore.bench.plot import draw

    processes = Figures([each for each in figures if each.workload == _PROCESSES])
    figures = Figures([each for each in figures if each.workload != _PROCESSES])
    drawn = {
        "processes.svg": draw(processes, f"runs a second against processes, {facts['cpu']}", "/s", 2, True),
        "scale.svg": draw(figures, f"time of one operation against the number of sessions, {facts['cpu']}"),
        "memory.svg": draw(figures, f"memory to list all against the number of sessions, {facts['cpu']}", "MB"),
    }
    return {name: picture for name, picture in drawn.items() if picture}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
