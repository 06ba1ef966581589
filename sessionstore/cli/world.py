"""`sessionstore world FILE`: what a city file holds for a flight, and its plan.

Not here: the readers (simulation.world), flying there (run).
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from sessionstore.cli.options import json_option


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="SVG", help="Write the plan as SVG.")
@click.option("--default-height", type=click.FloatRange(1, 500), metavar="M", help="For buildings without a height.")
@click.option("--default-levels", type=click.IntRange(1, 150), metavar="N", help="The same in levels of 3 m.")
@click.option("--plan/--no-plan", default=True, help="Draw the plan as text.")
@json_option
def world(
    file: str,
    output: str | None,
    default_height: float | None,
    default_levels: int | None,
    plan: bool,
    as_json: bool,
) -> None:
    """Report what is read of a city file: buildings, heights, windows, what is passed over and why."""
    from sessionstore.disk import files
    from sessionstore.simulation.world.city import open_city
    from sessionstore.simulation.world.heights import STOREY_M
    from sessionstore.simulation.world.plan import report, report_text, svg, text_plan
    from sessionstore.simulation.world.world import World

    if default_height is not None and default_levels is not None:
        raise click.UsageError("--default-height and --default-levels exclude each other")
    site = World(open_city(file, default_height or (default_levels and default_levels * STOREY_M) or None))
    facts = report(site)
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else report_text(facts))
    if plan and not as_json:
        click.echo("\n" + text_plan(site))
    if output is not None:
        files.put(Path(output), svg(site).encode())
        click.echo(f"plan written to {output}", err=True)
