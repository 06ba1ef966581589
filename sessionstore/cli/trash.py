"""``delete``, ``restore``, ``trash`` and ``rebuild``: delete with undo, and rebuild the index."""

from __future__ import annotations

import re
import shlex
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.options import json_option, open_store, require_store, store_options
from sessionstore.cli.output import print_json
from sessionstore.errors import SessionNotFound
from sessionstore.model.wording import counted

if TYPE_CHECKING:
    from sessionstore.session import Session

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = click.option(
    "--older-than", default="0s", show_default=True, metavar="AGE", help="Only entries older than this: 30d, 12h."
)
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@click.argument("sessions", nargs=-1, required=True, shell_complete=complete_sessions)
@click.option("--force", is_flag=True, help="Also sessions that are being recorded; their runs fail.")
@store_options
def delete(sessions: tuple[str, ...], force: bool, folder: str | None, index: str | None) -> None:
    """Move sessions to the trash; `restore` brings them back. With - the ids come from stdin, one a line.

    A running session is refused (exit code 5, nothing is deleted); in a terminal the command asks first.
    """
    from sessionstore.maintenance.doctor import option_text

    with open_store(folder, index) as store:
        found = [find_session(store, each) for each in keys_of(sessions)]
        if not force:
            _confirm_running(found)
        for session_id in dict.fromkeys(session.session_id for session in found):
            store.delete(session_id)
            undo = f"sessionstore restore {shlex.quote(session_id)}{option_text(folder, index)}"
            click.echo(f"{text.shown(session_id)} is in the trash; undo: {text.shown(undo)}", err=True)


def _confirm_running(sessions: list[Session]) -> None:
    """Ask before a running session is deleted; refuse without a terminal. Raises: Conflict, click.Abort."""
    from sessionstore.errors import Conflict, SessionStoreError

    for session in sessions:
        try:
            status = session.status
        except SessionStoreError:
            continue  # a broken or unreadable record can be deleted
        if status not in ("running", "paused"):
            continue
        process = (session.record.owner or {}).get("pid")
        state = f"{text.shown(session.session_id)} is {status}" + (f" (process {process})" if process else "")
        if not sys.stdin.isatty():
            raise Conflict(f"{state}; nothing was deleted. Stop it first, or delete it with --force")
        click.confirm(f"{state}: its run will fail. Delete it anyway?", abort=True, err=True)


@click.command()
@click.argument("sessions", nargs=-1)
@click.option("--where", metavar="FILTER", help="Also every session of the trash that matches this filter.")
@store_options
def restore(sessions: tuple[str, ...], where: str | None, folder: str | None, index: str | None) -> None:
    """Bring sessions back from the trash: by id, name, uuid or the id of the entry; of several, the newest.

    With - the ids come from stdin, one a line.
    """
    from sessionstore.store.trash import matching

    if not sessions and where is None:
        raise click.UsageError("name the sessions, or give --where FILTER")
    with open_store(folder, index) as store:
        chosen = [] if where is None else [entry.entry_id for entry in matching(store.root, where)]
        if where is not None and not chosen and not sessions:
            raise SessionNotFound(f"no session in the trash matches {where!r}")
        for each in [*keys_of(sessions), *chosen]:
            click.echo(f"{text.shown(store.restore(each).session_id)} is back", err=True)


@click.group(invoke_without_command=True)
@json_option
@store_options
@click.pass_context
def trash(ctx: click.Context, as_json: bool, folder: str | None, index: str | None) -> None:
    """List the trash; `trash empty` removes it permanently, `quarantine` holds the bytes that repairs took away."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (folder, index)
        return
    with open_store(folder, index) as store:
        entries = store.trash()
    if as_json:
        print_json(
            [
                {
                    "entry_id": entry.entry_id,
                    "session_id": entry.session_id,
                    "deleted_at": entry.deleted_at.isoformat(),
                    "bytes": entry.size(),
                }
                for entry in entries
            ]
        )
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
@_AGE
@_YES
@store_options
@click.pass_context
def empty(ctx: click.Context, older_than: str, yes: bool, folder: str | None, index: str | None) -> None:
    """Remove the entries of the trash permanently."""
    from sessionstore.store.trash import older_than as entries_older_than

    given_folder, given_index = ctx.obj or (None, None)
    seconds = age(older_than)
    with open_store(folder or given_folder, index or given_index) as store:
        chosen = entries_older_than(store.root, seconds, time.time())
        if not chosen:
            click.echo("nothing to remove", err=True)
            return
        total = text.size(sum(entry.size() for entry in chosen))
        if not yes:
            click.confirm(f"Remove {counted(len(chosen), 'session')} ({total}) permanently?", abort=True, err=True)
        removed = store.empty_trash(seconds)
        click.echo(f"removed {counted(len(removed), 'session')} ({total})", err=True)


@trash.command("quarantine")
@click.option("--empty", "remove", is_flag=True, help="Remove them permanently.")
@_AGE
@_YES
@json_option
@store_options
@click.pass_context
def quarantine(
    ctx: click.Context,
    remove: bool,
    older_than: str,
    yes: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """List or remove the bytes that repairs cut out: the older name of `quarantine list` and `quarantine empty`."""
    from sessionstore.maintenance.repairs import quarantine as kept

    given_folder, given_index = ctx.obj or (None, None)
    now, seconds = datetime.now(UTC), age(older_than)
    with open_store(folder or given_folder, index or given_index) as store:
        found = kept.older_than(store.root, seconds, now)
        if as_json and not remove:
            print_json([piece.to_dict() for piece in found])
            return
        if not found:
            click.echo("nothing to remove" if remove else "the quarantine is empty", err=remove)
            return
        total = text.size(sum(piece.size for piece in found))
        if not remove:
            rows = [_piece_row(piece, now) for piece in found]
            click.echo(text.table(("from", "at byte", "cut", "size", "file"), rows))
            click.echo(
                f"{counted(len(found), 'piece')}, {total}, in {text.shown(str(store.root.quarantine_folder))}", err=True
            )
            return
        if not yes:
            click.confirm(f"Remove {counted(len(found), 'piece')} ({total}) permanently?", abort=True, err=True)
        removed = kept.empty(store.root, seconds, now)
        if as_json:
            print_json([piece.to_dict() for piece in removed])
        click.echo(f"removed {counted(len(removed), 'piece')} ({total})", err=True)


def _piece_row(piece: Any, now: datetime) -> tuple[str, ...]:
    offset = "-" if piece.offset is None else f"{piece.offset:,}"
    name = text.shown(piece.path.name)
    return text.shown(piece.source), offset, text.ago(piece.taken_at, now), text.size(piece.size), name


@click.command()
@store_options
def rebuild(folder: str | None, index: str | None) -> None:
    """Rebuild the index from the folders. Never required, always safe."""
    require_store(folder)
    with open_store(folder, index) as store:
        begin = time.perf_counter()
        rows = store.rebuild()
        click.echo(f"{rows:,} sessions indexed in {time.perf_counter() - begin:.2f} s", err=True)
