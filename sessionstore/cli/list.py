"""``sessionstore list``: find sessions; a table for people, JSON for programs.

Not here: columns (cli.columns), the filter language (query).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import columns as tables
from sessionstore.cli import output, text
from sessionstore.cli.completion import complete_columns, complete_fields
from sessionstore.cli.options import json_option, open_store, store_options

if TYPE_CHECKING:
    from sessionstore.model.records import SessionRow
    from sessionstore.store import SessionStore

_DEFAULT_LIMIT = 50


@click.command("list")
@click.argument("filters", nargs=-1, shell_complete=complete_fields)
@click.option("--sort", default="-created_at", show_default=True, help="A field or metadata.key; - for descending.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), help=f"Maximum rows; 0 = all (default {_DEFAULT_LIMIT}, JSON: all)."
)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Skip the first N rows.")
@click.option(
    "--columns", envvar="SESSIONSTORE_COLUMNS", shell_complete=complete_columns,
    help=f"By commas: {', '.join((*tables.COLUMNS, *tables.MORE))}, any field, metadata.KEY (SESSIONSTORE_COLUMNS).",
)  # fmt: skip
@click.option("--no-verify", is_flag=True, help="Trust the index; do not look for records that were edited by hand.")
@click.option("--explain", is_flag=True, help="Also print on stderr how the filter was understood.")
@click.option("--ndjson", is_flag=True, help="Print one JSON object per line.")
@json_option
@store_options
def list_command(
    filters: tuple[str, ...], sort: str, limit: int | None, offset: int, columns: str | None, no_verify: bool,
    explain: bool, ndjson: bool, as_json: bool, folder: str | None, index: str | None,
) -> None:  # fmt: skip
    """List sessions, the newest first.

    FILTERS are clauses such as status=failed, 'status in (failed, stopped)', 'metadata.num_drones>5', name~butterfly,
    'created_at>-1d', joined by and, or, not; a word by itself searches names, ids, tags and metadata. See
    `sessionstore docs filter`.
    """
    chosen = tables.named(columns) if columns else None
    where = " ".join(filters)
    with open_store(folder, index) as store:
        rows = store.find(where, sort, verify=not no_verify)
    if explain:
        click.echo(f"understood: {_reading(where)}", err=True)
    if store.notice is not None:  # the index engine is unavailable: the answer is correct, but slow
        click.echo(text.shown(store.notice), err=True)
    most = limit if limit is not None else (0 if as_json or ndjson else _DEFAULT_LIMIT)
    page = rows[offset : offset + most if most else None]
    if as_json or ndjson:
        (output.print_ndjson if ndjson else output.print_json)([_plain(store, row, chosen) for row in page])
    elif not rows:
        empty = f"no sessions yet in {store.root.path}; record one: sessionstore run"
        click.echo(text.shown(f"no session matches: {_reading(where)}" if filters else empty), err=True)
    else:
        _print_table(page, chosen)
        if len(page) < len(rows):
            click.echo(f"{len(page):,} of {len(rows):,} sessions; --limit 0 shows all", err=True)


def _plain(store: SessionStore, row: SessionRow, chosen: dict[str, tables.Column] | None) -> dict[str, Any]:
    from sessionstore.boxes.session_db_box import row_as_dict

    return row_as_dict(store, row) if chosen is None else {name: each.value(row) for name, each in chosen.items()}


def _print_table(page: list[SessionRow], chosen: dict[str, tables.Column] | None) -> None:
    width = output.terminal_width()
    shown = chosen or tables.default(page, width)
    cells = [[each.cell(row) for each in shown.values()] for row in page]
    names = list(shown)
    click.echo(text.table(names, cells, names.index("status") if "status" in names else None, width))


def _reading(where: str) -> str:
    from sessionstore.model.records import FILTER_ALIASES, FILTER_FIELDS
    from sessionstore.query import describe, parse

    return describe(parse(where, FILTER_FIELDS, FILTER_ALIASES))
