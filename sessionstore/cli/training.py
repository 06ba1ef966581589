"""`sessionstore training`: the decisions of all sessions as a data set on stdout.

Not here: the rows themselves (simulation.training_export).
"""

from __future__ import annotations

import sys

import click

from sessionstore.cli.options import open_store, require_store, store_options


@click.command()
@click.option("--where", metavar="FILTER", help="Only sessions that match this filter.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with one column per name (default: JSON Lines).")
@store_options
def training(where: str | None, as_csv: bool, folder: str | None, index: str | None) -> None:
    """Print every decision with its features and outcome, over all sessions."""
    from sessionstore.simulation.running.training_export import training_rows, write_csv, write_json_lines

    require_store(folder)
    with open_store(folder, index) as store:
        count = (write_csv if as_csv else write_json_lines)(training_rows(store, where), sys.stdout)
    click.echo(f"{count} decisions", err=True)
