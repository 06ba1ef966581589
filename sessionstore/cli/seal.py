"""``sessionstore seal`` and ``unseal``: compress the streams of ended sessions, and make them plain again.

Not here: the steps (session.sealing), the form of the file (session.sealed_form).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.options import json_option, open_store, require_store, store_options
from sessionstore.cli.output import print_json
from sessionstore.cli.remote import dry_run_option
from sessionstore.errors import SessionStoreError

if TYPE_CHECKING:
    from sessionstore.session import Session
    from sessionstore.session.sealing import SealedStream
    from sessionstore.store import SessionStore

#: What the commands exit with when a session was left as it was.
LEFT_OUT = 12


@click.command("seal")
@click.argument("keys", metavar="[SESSION]...", nargs=-1, shell_complete=complete_sessions)
@click.option("--all-ended", is_flag=True, help="All sessions that have ended.")
@click.option("--where", metavar="FILTER", help="The sessions that match this filter and have ended.")
@click.option("--older-than", default="0s", show_default=True, metavar="AGE", help="Only those that ended so long ago.")
@dry_run_option
@json_option
@store_options
def seal_command(
    keys: tuple[str, ...],
    all_ended: bool,
    where: str | None,
    older_than: str,
    dry_run: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Compress the streams of ended sessions: a sixth of the disk, and every command reads them as before.

    `zcat` reads the files. Appending to a sealed stream unseals it; a session that runs is refused (exit code 5).
    Streams below 4 kB stay as they are. Exit code 12 if a session was left as it was.
    """
    from sessionstore.cli.trash import age

    if bool(keys) == (all_ended or where is not None):
        raise click.UsageError("name sessions, or give --all-ended or --where FILTER")
    seconds = age(older_than)
    require_store(folder)
    with open_store(folder, index) as store:
        chosen = _named(store, keys) if keys else _ended(store, where)
        _run("seal", _old_enough(chosen, seconds) if seconds else chosen, dry_run, as_json)


@click.command("unseal")
@click.argument("keys", metavar="[SESSION]...", nargs=-1, shell_complete=complete_sessions)
@click.option("--all", "every", is_flag=True, help="All sessions.")
@click.option("--where", metavar="FILTER", help="The sessions that match this filter.")
@dry_run_option
@json_option
@store_options
def unseal_command(
    keys: tuple[str, ...],
    every: bool,
    where: str | None,
    dry_run: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Make sealed streams plain again, byte for byte as they were. Exit code 12 if a session was left as it was."""
    if bool(keys) == (every or where is not None):
        raise click.UsageError("name sessions, or give --all or --where FILTER")
    require_store(folder)
    with open_store(folder, index) as store:
        if keys:
            chosen = [find_session(store, key) for key in keys_of(keys)]
        else:
            chosen = [store.catalog.session(row.session_id) for row in store.find(where) if row.host is None]
        _run("unseal", chosen, dry_run, as_json)


def _named(store: SessionStore, keys: Iterable[str]) -> list[Session]:
    """Return the sessions that were named. Raises: Conflict: one of them has not ended; nothing was sealed."""
    from sessionstore.session.sealing import check_ended

    found = [find_session(store, key) for key in keys_of(keys)]
    for session in found:
        check_ended(session)
    return found


def _ended(store: SessionStore, where: str | None) -> list[Session]:
    from sessionstore.model.field_rules import FINAL_STATUSES
    from sessionstore.model.row import INTERRUPTED

    rows = [row for row in store.find(where) if row.host is None and row.status in (*FINAL_STATUSES, INTERRUPTED)]
    return [store.catalog.session(row.session_id) for row in rows]


def _old_enough(sessions: list[Session], seconds: float) -> list[Session]:
    """Return the sessions that ended that many seconds ago."""
    from sessionstore.model.instants import instant

    def ended_s(session: Session) -> float:
        record = session.record
        beat = session.last_beat() if record.ended_at is None else None
        return instant(record.ended_at or record.updated_at).timestamp() if beat is None else beat

    return [session for session in sessions if time.time() - ended_s(session) >= seconds]


def _run(verb: str, sessions: list[Session], dry_run: bool, as_json: bool) -> None:
    """Seal or unseal sessions, print how each stands, and exit."""
    from sessionstore.cli.remote import byte_progress
    from sessionstore.session import sealing

    reports: list[dict[str, Any]] = []
    with byte_progress("sealing" if verb == "seal" else "unsealing") as count:
        for session in sessions:
            try:
                if dry_run:
                    streams = sealing.states(session)
                elif verb == "seal":
                    streams = sealing.seal(session, count)
                else:
                    streams = sealing.unseal(session)
                problem = None
            except (SessionStoreError, OSError) as error:
                streams, problem = [], str(error)
            report = _report(session.session_id, streams, problem)
            reports.append(report)
            if not as_json:
                _print(verb, report, dry_run)
    if as_json:
        print_json(reports)
    elif not reports:
        click.echo("no session matches", err=True)
    sys.exit(LEFT_OUT if any(report["problem"] for report in reports) else 0)


def _report(session_id: str, streams: list[SealedStream], problem: str | None) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "plain_bytes": sum(each.plain_bytes for each in streams),
        "stored_bytes": sum(each.stored_bytes for each in streams),
        "changed": any(each.changed for each in streams),
        "streams": [each.to_dict() for each in streams],
        "problem": problem,
    }


def _print(verb: str, report: dict[str, Any], dry_run: bool) -> None:
    session_id, streams = text.shown(report["session_id"]), report["streams"]
    if report["problem"]:
        click.echo(f"{session_id}  left as it is: {text.shown(report['problem'])}", err=True)
        return
    wanted = _would(verb, streams)
    sizes = f"{text.size(report['plain_bytes'])} of lines in {text.size(report['stored_bytes'])}"
    if dry_run:
        click.echo(f"{session_id}  {sizes}; would {verb} {', '.join(wanted) or 'nothing'}")
    else:
        changed = [each["stream"] for each in streams if each["changed"]]
        click.echo(f"{session_id}  {sizes}; {verb}ed {', '.join(changed) or 'nothing'}")


def _would(verb: str, streams: list[dict[str, Any]]) -> list[str]:
    from sessionstore.session.sealing import SMALLEST_BYTES

    fits: Callable[[dict[str, Any]], bool] = (
        (lambda each: not each["sealed"] and each["plain_bytes"] >= SMALLEST_BYTES)
        if verb == "seal"
        else (lambda each: bool(each["sealed"]))
    )
    return [each["stream"] for each in streams if fits(each)]
