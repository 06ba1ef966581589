"""``quarantine``: the bytes that repairs took away, listed, restored and removed.

``trash quarantine`` is its older name, kept for scripts.
Not here: what put the bytes there (maintenance.repairs).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from sessionstore.cli import text
from sessionstore.cli.options import json_option, open_store, require_store, store_options
from sessionstore.model.wording import counted


@click.group()
def quarantine() -> None:
    """List, restore and remove the bytes that repairs took away."""


@quarantine.command("list")
@json_option
@store_options
def list_pieces(as_json: bool, folder: str | None, index: str | None) -> None:
    """List the pieces: where the bytes were, when they were taken, how many, and the name of the piece."""
    from sessionstore.maintenance.repairs import quarantine as kept

    require_store(folder)
    with open_store(folder, index) as store:
        found = list(kept.pieces(store.root))
    if as_json:
        click.echo(json.dumps([piece.to_dict() for piece in found], ensure_ascii=False, indent=2))
        return
    now = datetime.now(UTC)
    rows = [
        (
            text.shown(piece.source),
            "-" if piece.offset is None else f"{piece.offset:,}",
            text.ago(piece.taken_at, now),
            text.size(piece.size),
            text.shown(piece.path.name),
        )
        for piece in found
    ]
    if rows:
        click.echo(text.table(("from", "at byte", "taken", "size", "piece"), rows))
    click.echo(counted(len(found), "piece"), err=True)


@quarantine.command("restore")
@click.argument("piece")
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="The new file.")
@store_options
def restore(piece: str, target: Path | None, folder: str | None, index: str | None) -> None:
    """Copy PIECE to a new file: beside its source with .restored behind the name, or --to. Nothing is replaced.

    To take the old state back, compare the two files, and rename the restored one while nothing records.
    """
    from sessionstore.maintenance.repairs import quarantine as kept

    require_store(folder)
    with open_store(folder, index) as store:
        written = kept.restore(store.root, piece, target)
    click.echo(f"wrote {text.shown(str(written))}", err=True)


@quarantine.command("empty")
@click.option("--older-than", default="0s", show_default=True, metavar="AGE", help="Only pieces older than this.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@store_options
@click.pass_context
def empty(ctx: click.Context, older_than: str, yes: bool, as_json: bool, folder: str | None, index: str | None) -> None:
    """Remove the pieces permanently."""
    from sessionstore.cli.trash import quarantine as remove

    require_store(folder)
    ctx.invoke(remove, remove=True, older_than=older_than, yes=yes, as_json=as_json, folder=folder, index=index)
