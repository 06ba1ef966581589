"""``sessionstore push`` and ``pull``: sessions go to a store behind a URL, and come from one.

Not here: what is transferred (exchange.remote), reading a remote store in place (``--dir URL``).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sessionstore.cli import output, text
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.cli.progress import Report, progress
from sessionstore.cli.remarks import NOT_WHOLE

if TYPE_CHECKING:
    from sessionstore.exchange.merge import Action, MergeReport, Outcome

#: How an action is called: when it was done, and in a dry run.
_SHOWN: dict[Action, tuple[str, str]] = {
    "copied": ("copied", "would be copied"),
    "updated": ("updated", "would be updated"),
    "same": ("the same", "the same"),
    "ahead": ("behind the other side", "behind the other side"),
    "diverged": ("diverged", "diverged"),
    "superseded": ("moved to the trash", "would be moved to the trash"),
    "skipped": ("left out", "would be left out"),
}
where_option = click.option("--where", metavar="FILTER", help="Only the sessions that match this filter.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Report what would happen, and write nothing.")


@click.command()
@click.argument("url")
@where_option
@click.option("--delete", type=click.Choice(["never"]), default="never", help="Nothing is deleted there.")
@dry_run_option
@json_option
@store_options
def push_command(
    url: str, where: str | None, delete: str, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Send to a store behind a URL what it lacks of the sessions of this one.

    URL is s3://bucket/folder, sftp://host/folder or what else fsspec opens. Interrupted, run it again. Exit code 12
    if sessions diverged or were left out.
    """
    with open_store(folder, index) as store, byte_progress("sending") as count:
        report = store.push(url, where, dry_run, count)
    print_merge_report(report, as_json)


@click.command()
@click.argument("url")
@where_option
@dry_run_option
@json_option
@store_options
def pull_command(
    url: str, where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Take from a store behind a URL what this one lacks; one undo takes it back.

    URL is s3://bucket/folder, sftp://host/folder, https://host/runs.zip or what else fsspec opens. Exit code 12 if
    sessions diverged or were left out.
    """
    from sessionstore.maintenance.doctor import option_text

    with open_store(folder, index, create=True) as store, byte_progress("receiving") as count:
        report = store.pull(url, where, dry_run, count)
        at = option_text(folder, index)
    print_merge_report(report, as_json, at)


class _Bytes:
    """Adds up the bytes that are done, of how many, for a progress bar."""

    def __init__(self, report: Report) -> None:
        self._report, self._lock = report, threading.Lock()
        self._done = 0
        self._total: int | None = None

    def __call__(self, more: int) -> None:
        with self._lock:  # sixteen transfers report at once
            self._done += more
            self._report(self._done, self._total)

    def expect(self, total: int) -> None:
        """Take in how many there will be."""
        self._total = total


@contextmanager
def byte_progress(label: str) -> Iterator[_Bytes]:
    """Show a progress bar with rate and time left; what it gives is called with each number of bytes that is done."""
    with progress(label, "bytes") as report:
        yield _Bytes(report)


def print_merge_report(report: MergeReport, as_json: bool, at: str = "") -> None:
    """Print what a merge did or would do; exit with 12 when something diverged or was left out.

    Args:
        at: the options that name the store, for the command that takes it back.
    """
    if as_json:
        output.print_json(report.to_dict())
    else:
        for outcome in report.outcomes:
            if outcome.action not in ("same", "ahead"):
                click.echo(text.shown(_line(outcome, report.dry_run)))
        counts = [f"{count} {_SHOWN[action][report.dry_run]}" for action in _SHOWN if (count := report.count(action))]
        click.echo(text.shown(f"{report.source}: {', '.join(counts) or 'no sessions'}"))
        if report.change_id is not None:
            click.echo(f"to take it back: sessionstore undo {report.change_id}{at}", err=True)
    if not report.clean:
        sys.exit(NOT_WHOLE)


def _line(outcome: Outcome, dry_run: bool) -> str:
    other = outcome.session_id not in (None, outcome.source_id)
    here = f" as {outcome.session_id}" if other else ""
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{_SHOWN[outcome.action][dry_run]}  {outcome.source_id}{here}{reason}"
