"""``sessionstore compare``: what differs between two to six sessions, also of a simulated and a real flight.

Not here: the comparison (playback.comparison), which moments belong together (playback.alignment).
"""

from __future__ import annotations

from typing import Any

import click

from sessionstore.cli import text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.maintenance import print_json
from sessionstore.cli.options import json_option, open_store, store_options


@click.command("compare")
@click.argument("keys", nargs=-1, required=True, metavar="ID ID...", shell_complete=complete_sessions)
@click.option(
    "--align",
    default="start",
    show_default=True,
    metavar="WAY",
    help="start, takeoff, or the sim_times that belong together, such as 0,12.5.",
)
@json_option
@store_options
def compare_command(folder: str | None, index: str | None, keys: tuple[str, ...], align: str, as_json: bool) -> None:
    """Say what differs between two to six sessions: parameters, figures, paths, and the first difference.

    With --align takeoff each flight is compared from its own take-off: a simulated with a real one.
    """
    from sessionstore.playback.comparison import compare

    with open_store(folder, index) as store:
        found = compare([find_session(store, key, elsewhere=True) for key in keys_of(keys)], align)
    if as_json:
        print_json(found)
        return
    names = [each["session_id"] for each in found["sessions"]]
    for title, rows in (("parameter", found["parameters"]), ("figure", found["metrics"])):
        if rows:
            lines = [
                (text.shown(str(row["name"])), *(text.shown(_short(each)) for each in row["values"])) for row in rows
            ]
            click.echo(text.table((title, *names), lines) + "\n")
    alignment = found["alignment"]
    for number, name in enumerate(names[1:], 1):
        click.echo(_first(name, found["first_differences"][number - 1]))
        if alignment["by"] != "start":
            click.echo(_apart(name, alignment, number))


def _short(value: Any) -> str:
    shown = "-" if value is None else str(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"


def _first(name: str, difference: dict[str, Any] | None) -> str:
    if difference is None:
        return text.shown(f"{name}: the motion is the same")
    whose = difference["drone"] or ("" if "." in difference["field"] else "all drones")
    where = f"{whose} {difference['field']}".strip()
    if difference["field"] == "fault":
        where += f" {difference['a'] or difference['b']} ({'first' if difference['a'] else name} only)"
    elif "apart_m" in difference:
        where += f" ({difference['apart_m']:g} m apart, noise is up to {difference['noise_m']:g} m)"
    elif difference.get("noise"):
        where += " (noise of sensors alone)"
    return text.shown(f"{name}: differs from {difference['sim_time']} s on, first in {where}")


def _apart(name: str, alignment: dict[str, Any], number: int) -> str:
    moments, apart = alignment["moments_s"], alignment["apart"][number - 1]
    at = f"{name}: {moments[number]:.2f} s is {moments[0]:.2f} s of the first"
    if apart is None or apart["mean_m"] is None:
        return text.shown(f"{at}; the paths have no moment in common")
    drones = " and ".join(apart["drones"])
    far = f"{apart['mean_m']} m apart on average, {apart['max_m']} m at most"
    return text.shown(f"{at}; {drones} are {far}, over {apart['overlap_s']} s")
