"""`sessionstore run` and `sessionstore scenarios`: fly a fleet, show its progress, print a summary per drone.

Progress goes to stderr; stdout holds the summary, or only JSON with --json.
Not here: the run itself (simulation), the other commands (their own modules), exit codes of errors (cli).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli.completion import complete_scenarios
from sessionstore.cli.fly_again import flown_again, recordings
from sessionstore.cli.options import dir_option, json_option, open_store, store_options
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.world.weather import CONDITIONS

if TYPE_CHECKING:
    from sessionstore.simulation.mission.faults import Fault
    from sessionstore.simulation.running.scenarios import Scenario
    from sessionstore.store import SessionStore

SIGNAL_EXITS = {"stopped by SIGINT": 130, "stopped by SIGHUP": 129, "stopped by SIGTERM": 143}
_FAULT = re.compile(r"(?P<kind>[a-z_]+)@(?P<at>[0-9.]+)(\+(?P<duration>[0-9.]+))?(:(?P<drone>.+))?")


def _seed(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return the seed: a whole number, or a new one for ``random``."""
    if value is None or value == "random":
        return None if value is None else secrets.randbelow(2**31)
    try:
        return int(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a whole number nor random") from error


def _kind_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for kind in reversed(KINDS):
        option = click.option(f"--{kind}", type=click.IntRange(0, 1000), metavar="N", help=f"Number of {kind} drones.")
        command = option(command)
    return command


@click.command()
@click.option(
    "--scenario",
    metavar="FILE",
    shell_complete=complete_scenarios,
    help="Scenario file (TOML), or a ready one by name.",
)
@click.option("--city", type=click.Path(), metavar="FILE", help="CityJSON or GeoJSON file, or a session's folder.")
@click.option("--default-height", type=click.FloatRange(1, 500), metavar="M", help="For buildings without a height.")
@click.option("--default-levels", type=click.IntRange(1, 150), metavar="N", help="The same in levels of 3 m.")
@click.option("--buildings", type=click.IntRange(0, 2000), metavar="N", help="Random buildings, without --city.")
@click.option(
    "--hidden-buildings",
    type=click.IntRange(0, 2000),
    metavar="N",
    help="Buildings that the drones do not know, but can hit.",
)
@_kind_options
@click.option(
    "--duration", type=click.FloatRange(0, 7 * 86400, min_open=True), metavar="S", help="Seconds of sim time."
)
@click.option(
    "--seed",
    callback=_seed,
    metavar="N|random",
    help="The same seed gives the same bytes (default: 0, or the scenario's).",
)
@click.option("--weather", type=click.Choice(tuple(CONDITIONS)), help="Wind and visibility.")
@click.option("--wind-pushes", is_flag=True, help="Wind pushes drones off their way (other motion than without).")
@click.option("--fault", "faults", multiple=True, metavar="KIND@S[+S][:DRONE]", help="As gps_loss@60+20:scout-1.")
@click.option(
    "--fly-again",
    "again",
    multiple=True,
    metavar="SESSION:DRONE[=PILOT]",
    help="Fly the recorded flight of a drone again, in its town, by a drone of this fleet.",
)
@click.option("--name", metavar="NAME", help="Name of the session.")
@click.option("--realtime", type=click.FloatRange(0, min_open=True), metavar="F", help="Sim seconds per wall second.")
@click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor summary.")
@store_options
@json_option
def run(folder: str | None, index: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Fly a fleet and record it as a session.

    Without options: two scouts, two climbers and an overseer at four random buildings, 300 s.
    Ctrl-C ends the session as stopped; all records so far are kept.
    """
    from sessionstore.boxes.session_db_box import SessionDBBox
    from sessionstore.cli.progress import ProgressView
    from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive

    with open_store(folder, index, create=True) as store:
        scenario = _scenario(options, store)
        with ProgressView(scenario.duration_s, quiet=as_json or quiet) as view:
            live = HMRSSimulationLive(
                scenario,
                session_name=options["name"] or (scenario.name if options["scenario"] else None),
                realtime=options["realtime"],
                session_db_box=SessionDBBox(store=store),
                on_tick=view.show,
            )
            view.begin(live.session_id, scenario.seed)
            if (step := live.creation.get("index", {})).get("status") == "pending":
                click.echo(f"index: pending ({step.get('reason')}); the session is recorded anyway", err=True)
            live.run()
        record = store.get(live.session_id).record
        folder_path = store.root.folder(live.session_id)
    if as_json:
        index_step = live.creation.get("index")
        click.echo(json.dumps({**_result(record, str(folder_path)), "index": index_step}, ensure_ascii=False))
    elif not quiet:
        from sessionstore.cli.summary import print_summary

        print_summary(live.fleet, record, str(folder_path))
    if record.status != "completed":
        raise SystemExit(SIGNAL_EXITS.get((record.end_reason or "").partition(";")[0], 1))


def _result(record: Any, folder: str) -> dict[str, Any]:
    return {
        "session_id": record.session_id,
        "status": record.status,
        "end_reason": record.end_reason,
        "duration_sim_s": record.duration_sim_s,
        "duration_wall_s": record.duration_wall_s,
        "session_dir_path": folder,
        "performance_metrics": record.performance_metrics,
    }


def _scenario(options: dict[str, Any], store: SessionStore) -> Scenario:
    """The scenario file, if any, changed by the options of the command line."""
    from sessionstore.simulation.running.scenarios import DEFAULT_FLEET, Group, Scenario, check_faults, load_scenario

    scenario = load_scenario(options["scenario"]) if options["scenario"] else Scenario(name="command line")
    if options["buildings"] is not None and options["city"] is not None:
        raise click.UsageError("--buildings and --city exclude each other")
    if options["buildings"] is not None:
        scenario = scenario.with_options(buildings=options["buildings"])
    counts = {kind: options[kind.replace("-", "_")] for kind in KINDS}
    groups = [group for group in scenario.fleet if counts.get(group.kind) is None]
    groups += [Group(kind, count) for kind, count in counts.items() if count]
    recorded = recordings(options["again"], store)
    if not groups and all(count is None for count in counts.values()):
        groups = [Group(flight.kind) for flight in recorded if not flight.pilot] or list(DEFAULT_FLEET)
    if not groups:
        raise click.UsageError("the fleet has no drones")
    faults = tuple(_fault(text) for text in options["faults"])
    scenario = scenario.with_options(
        city=options["city"],
        default_height_m=_default_height_m(options, scenario.city),
        hidden_buildings=options["hidden_buildings"],
        duration_s=options["duration"],
        seed=options["seed"],
        condition=options["weather"],
        wind_pushes=options["wind_pushes"] or None,
        fleet=tuple(groups),
        faults=scenario.faults + faults,
    )
    check_faults(scenario, faults, "--fault")
    return flown_again(scenario, recorded)


def _default_height_m(options: dict[str, Any], city: str | None) -> float | None:
    """The height for buildings without one; None where no option sets it."""
    from sessionstore.simulation.world.heights import STOREY_M

    height_m, levels = options["default_height"], options["default_levels"]
    if height_m is None and levels is None:
        return None
    if height_m is not None and levels is not None:
        raise click.UsageError("--default-height and --default-levels exclude each other")
    if options["city"] is None and city is None:
        raise click.UsageError("--default-height and --default-levels need a city file")
    return float(levels * STOREY_M if height_m is None else height_m)


def _fault(text: str) -> Fault:
    from sessionstore.simulation.mission.faults import FAULTS, Fault

    match = _FAULT.fullmatch(text)
    if match is None or match["kind"] not in FAULTS:
        raise click.BadParameter(f"{text!r} is not KIND@S[+S][:DRONE] with one of {', '.join(FAULTS)}")
    if FAULTS[match["kind"]].needs_drone and not match["drone"]:
        raise click.BadParameter(f"{match['kind']} needs a drone, as {text}:scout-1")
    try:
        duration = float(match["duration"]) if match["duration"] else None
        return Fault(match["kind"], float(match["at"]), match["drone"] or "", duration)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from error


@click.command()
@dir_option
@json_option
def scenarios(folder: str | None, as_json: bool) -> None:
    """List the ready scenarios; `run --scenario NAME` flies one."""
    from sessionstore.simulation.running.scenarios import load_scenario, ready_scenarios

    ready = {name: load_scenario(path) for name, path in ready_scenarios().items()}
    if as_json:
        rows = [
            {"name": name, "description": s.description, "duration_s": s.duration_s, "fleet": s.counts(),
             "weather": s.condition, "faults": [f.kind for f in s.faults]}
            for name, s in ready.items()
        ]  # fmt: skip
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    width = max(len(name) for name in ready)
    for name, scenario in ready.items():
        click.echo(f"{name:<{width}}  {scenario.duration_s:6.0f} s  {scenario.description}")
