"""``sessionstore columns``: make, list and delete the columns that questions read in place of JSON.

Not here: making them (analysis.columns), where they are (store.column_files), the columns of a listing (cli.columns).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.options import json_option, open_store, require_store, store_options
from sessionstore.errors import NotApplied

if TYPE_CHECKING:
    from sessionstore.session import Session
    from sessionstore.store import SessionStore


@click.command("columns")
@click.argument("keys", metavar="[ID]...", nargs=-1, shell_complete=complete_sessions)
@click.option("--list", "only_list", is_flag=True, help="Show what there is, and make nothing.")
@click.option("--delete", is_flag=True, help="Delete the columns; no recorded byte is in them.")
@click.option("--when", type=click.Choice(["query", "end", "never"]), help="Store when they are made without asking.")
@json_option
@store_options
def columns_command(
    keys: tuple[str, ...],
    only_list: bool,
    delete: bool,
    when: str | None,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Keep streams of ended sessions as Parquet beside the JSON: questions read these in a tenth of the time.

    Without ID, all sessions. Streams below 2 MB need none. They fit the stream as it is; after an edit they are not
    read. --when query (the default): the first question that gains makes them; end: also the end of a run; never.
    """
    require_store(folder)
    with open_store(folder, index) as store:
        if when is not None:
            store.root.configure(columns=None if when == "query" else when)
            click.echo(f"columns are made: {when}", err=True)
            return
        chosen = [find_session(store, key).session_id for key in keys_of(keys)] if keys else None
        if delete:
            _delete(store, chosen)
            return
        if not only_list:
            _make(store, chosen)
        _show(store, chosen, as_json)


def _make(store: SessionStore, chosen: list[str] | None) -> None:
    from sessionstore.model.field_rules import FINAL_STATUSES

    try:
        from sessionstore.analysis.columns import make_all
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'sessionstore[analysis]'") from error
    found: list[Session] = []
    for row in store.find(sort="created_at"):
        if row.host is None and row.status in FINAL_STATUSES and (chosen is None or row.session_id in chosen):
            found.append(store.catalog.session(row.session_id))
    if chosen is not None and len(found) < len(chosen):
        running = sorted(set(chosen) - {session.session_id for session in found})
        raise NotApplied(f"{', '.join(running)}: columns are made of ended sessions")
    for session in found:
        for made in make_all(session, failed=lambda stream, reason: click.echo(f"{stream}: {reason}", err=True)):
            click.echo(f"made {session.session_id} {made.path.stem}", err=True)


def _delete(store: SessionStore, chosen: list[str] | None) -> None:
    from sessionstore.store import column_files

    count = 0
    for session_id, stream in list(column_files.cached(store.root)):
        if chosen is None or session_id in chosen:
            column_files.drop(store.root, session_id, stream)
            count += 1
    click.echo(f"deleted the columns of {count} streams", err=True)


def _show(store: SessionStore, chosen: list[str] | None, as_json: bool) -> None:
    from sessionstore.store import column_files

    rows: list[dict[str, Any]] = []
    for session_id, stream in column_files.cached(store.root):
        if chosen is not None and session_id not in chosen:
            continue
        found = column_files.find(store.root, session_id, stream)
        rows.append(
            {
                "session_id": session_id,
                "stream": stream,
                "fits": found is not None,
                "records": found.key.rows if found is not None else None,
                "bytes": column_files.size_of(store.root, session_id, stream),
                "stream_bytes": found.key.source.size if found is not None else None,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    lines = [
        (
            str(row["session_id"]),
            str(row["stream"]),
            "yes" if row["fits"] else "no",
            "-" if row["records"] is None else f"{row['records']:,}",
            text.size(row["bytes"]),
            "-" if row["stream_bytes"] is None else text.size(row["stream_bytes"]),
        )
        for row in rows
    ]
    if lines:
        click.echo(text.table(("session", "stream", "fits", "records", "columns", "JSON"), lines))
    click.echo(f"{len(lines)} streams", err=True)
