"""``delete``, ``restore``, ``trash`` and ``rebuild``: what can be undone, and what can be made anew."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import click

from sessionstore.cli import text
from sessionstore.cli.options import json_option, open_store, store_options

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.command()
@click.argument("sessions", nargs=-1, required=True)
@store_options
def delete(sessions: tuple[str, ...], folder: str | None, index: str | None) -> None:
    """Move sessions to the trash; `restore` brings them back."""
    with open_store(folder, index) as store:
        for session_id in [store.get(each).session_id for each in sessions]:
            store.delete(session_id)
            name = text.shown(session_id)
            click.echo(f"{name} is in the trash; undo: sessionstore restore {name}", err=True)


@click.command()
@click.argument("session")
@store_options
def restore(session: str, folder: str | None, index: str | None) -> None:
    """Bring a session back from the trash, by its id or the id of the entry."""
    with open_store(folder, index) as store:
        click.echo(f"{text.shown(store.restore(session).session_id)} is back", err=True)


@click.group(invoke_without_command=True)
@json_option
@store_options
@click.pass_context
def trash(ctx: click.Context, as_json: bool, folder: str | None, index: str | None) -> None:
    """List what is in the trash; `trash empty` removes it for good."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (folder, index)
        return
    with open_store(folder, index) as store:
        entries = store.trash()
    if as_json:
        import json

        facts = [
            {
                "entry_id": entry.entry_id,
                "session_id": entry.session_id,
                "deleted_at": entry.deleted_at.isoformat(),
                "bytes": entry.size(),
            }
            for entry in entries
        ]
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    now = datetime.now(UTC)
    rows = [
        (text.shown(entry.session_id), text.ago(entry.deleted_at, now), text.size(entry.size()), entry.entry_id)
        for entry in entries
    ]
    click.echo(text.table(("session", "deleted", "size", "entry"), rows) if rows else "the trash is empty")


def age(given: str) -> float:
    """Return the seconds of an age such as 30d, 12h or 90s.

    Raises: click.BadParameter.
    """
    found = re.fullmatch(r"(\d+)([smhdw])", given.strip())
    if found is None:
        raise click.BadParameter(f"{given!r} is not an age such as 30d, 12h or 90s")
    return float(found[1]) * _UNITS_S[found[2]]


@trash.command("empty")
@click.option("--older-than", default="0s", show_default=True, metavar="AGE", help="Only what is older: 30d, 12h.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_options
@click.pass_context
def empty(ctx: click.Context, older_than: str, yes: bool, folder: str | None, index: str | None) -> None:
    """Remove what is in the trash for good."""
    given_folder, given_index = ctx.obj or (None, None)
    seconds = age(older_than)
    with open_store(folder or given_folder, index or given_index) as store:
        now = datetime.now(UTC)
        doomed = [entry for entry in store.trash() if (now - entry.deleted_at).total_seconds() >= seconds]
        if not doomed:
            click.echo("nothing to remove", err=True)
            return
        total = text.size(sum(entry.size() for entry in doomed))
        if not yes:
            click.confirm(f"Remove {len(doomed)} sessions ({total}) for good?", abort=True, err=True)
        removed = store.empty_trash(seconds)
        click.echo(f"removed {len(removed)} sessions ({total})", err=True)


@click.command()
@store_options
def rebuild(folder: str | None, index: str | None) -> None:
    """Make the index anew from the folders: needed after nothing, harmless always."""
    with open_store(folder, index) as store:
        begin = time.perf_counter()
        rows = store.rebuild()
        click.echo(f"{rows:,} sessions indexed in {time.perf_counter() - begin:.2f} s", err=True)
