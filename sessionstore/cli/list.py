"""``sessionstore list``: find sessions; a table for people, JSON for programs.

Not here: columns (cli.columns), the filter language (query).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import columns as tables
from sessionstore.cli import output, text
from sessionstore.cli.completion import complete_columns, complete_fields
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.errors import SessionNotFound

if TYPE_CHECKING:
    from sessionstore.index import Page
    from sessionstore.model.row import SessionRow
    from sessionstore.store import SessionStore

_DEFAULT_LIMIT = 50
_FROM_STREAMS = {"duration_sim_s", "points"}
#: Of a run in these states the record may say nothing yet: its streams do.
OPEN = ("running", "paused", "interrupted")


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
@click.option(
    "--verify/--no-verify", "verify", default=None,
    help="Compare all files with the index, or none; by default those of the rows shown (below 1,000 sessions: all).",
)  # fmt: skip
@click.option("--explain", is_flag=True, help="Also print on stderr how the filter was understood.")
@click.option("--ndjson", is_flag=True, help="Print one JSON object per line.")
@json_option
@store_options
def list_command(
    filters: tuple[str, ...], sort: str, limit: int | None, offset: int, columns: str | None,
    verify: bool | None, explain: bool, ndjson: bool, as_json: bool, folder: str | None, index: str | None,
) -> None:  # fmt: skip
    """List sessions, the newest first.

    FILTERS are clauses such as status=failed, 'status in (failed, stopped)', 'metadata.num_drones>5', name~butterfly,
    'created_at>-1d', joined by and, or, not; a word by itself searches names, ids, tags and metadata. See
    `sessionstore docs filter`.
    """
    chosen = tables.named(columns) if columns else None
    where = " ".join(filters)
    most = limit if limit is not None else (0 if as_json or ndjson else _DEFAULT_LIMIT)
    with open_store(folder, index) as store:
        if verify:
            store.compare()
        found = _found(store, where, sort, most, offset, verify is not False)
    if explain:
        click.echo(f"understood: {_reading(where)}", err=True)
    if store.notice is not None:  # the index engine is unavailable: the answer is correct, but slow
        click.echo(text.shown(store.notice), err=True)
    if as_json or ndjson:
        (output.print_ndjson if ndjson else output.print_json)([_plain(store, row, chosen) for row in found.rows])
    elif not found.total:
        empty = f"no sessions yet in {store.root.path}; record one: sessionstore run"
        click.echo(text.shown(f"no session matches: {_reading(where)}" if filters else empty), err=True)
    else:
        _print_table(store, found.rows, chosen)
        if len(found.rows) < found.total:
            click.echo(f"{len(found.rows):,} of {found.total:,} sessions; --limit 0 shows all", err=True)
    if found.compared_at is not None and verify is None:
        click.echo(f"{_compared(found.compared_at)}; --verify compares them now", err=True)


def _found(store: SessionStore, where: str, sort: str, most: int, offset: int, verify: bool) -> Page:
    from sessionstore.index import Page

    if most:
        return store.page(where, sort, most, offset, verify)
    rows = store.find(where, sort, verify=verify)
    return Page(rows[offset:], len(rows), offset)


def _compared(at_s: float) -> str:
    if not at_s:
        return "the files of the other sessions were not compared yet"
    now = datetime.now(UTC)
    return f"the files of the other sessions were compared {text.ago(datetime.fromtimestamp(at_s, UTC), now)}"


def _plain(store: SessionStore, row: SessionRow, chosen: dict[str, tables.Column] | None) -> dict[str, Any]:
    from sessionstore.boxes.session_db_box import row_as_dict

    return row_as_dict(store, row) if chosen is None else {name: each.value(row) for name, each in chosen.items()}


def _print_table(store: SessionStore, page: list[SessionRow], chosen: dict[str, tables.Column] | None) -> None:
    width = output.terminal_width()
    shown = chosen or tables.default(page, width)
    if _FROM_STREAMS.intersection(each.path[0] for each in shown.values()):
        page = [_as_its_streams_say(store, row) for row in page]
    cells = [[each.cell(row) for each in shown.values()] for row in page]
    names = list(shown)
    click.echo(text.table(names, cells, names.index("status") if "status" in names else None, width))


def _as_its_streams_say(store: SessionStore, row: SessionRow) -> SessionRow:
    """Return the row with the sim time and points of its streams where an open run does not say them, as the page does.

    The ends of the streams are read, of runs that are open or were killed only: a listing of ended ones reads nothing.
    """
    if row.status not in OPEN or row.host is not None or None not in (row.duration_sim_s, row.points):
        return row
    from msgspec.structs import replace

    from sessionstore.playback.observed import reach

    try:
        far = reach(store.get(row.session_id).tapes())
    except SessionNotFound:  # removed since it was listed
        return row
    if far is None:
        return row
    return replace(
        row,
        duration_sim_s=far.duration_sim_s if row.duration_sim_s is None else row.duration_sim_s,
        points=far.points if row.points is None else row.points,
    )


def _reading(where: str) -> str:
    from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS
    from sessionstore.query import describe, parse

    return describe(parse(where, FILTER_FIELDS, FILTER_ALIASES))
