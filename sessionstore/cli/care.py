"""``doctor``: what is wrong with a store, why it matters, and the command that mends it.

Not here: the checks and the repairs themselves (care).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sessionstore.cli import text
from sessionstore.cli.options import json_option, store_options

if TYPE_CHECKING:
    from sessionstore.care.doctor import Progress
    from sessionstore.care.findings import Finding, Report
    from sessionstore.care.repairs import Outcome

#: What doctor and verify exit with when an error or a warning is left.
UNHEALTHY = 12
_COLOURS = {"error": "red", "warning": "yellow", "info": None}


@click.command()
@click.option("--quick", is_flag=True, help="Only what changed since the index saw it, and open runs: seconds.")
@click.option("--fix", is_flag=True, help="Mend what can be mended; the original bytes are kept in quarantine.")
@click.option("--salvage", is_flag=True, help="With --fix: rebuild records that a person could still mend by hand.")
@json_option
@store_options
@click.pass_context
def doctor(
    ctx: click.Context, quick: bool, fix: bool, salvage: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Check the store: every document and stream, the index, the ground it stands on. Writes only with --fix.

    Exit code 0 when neither an error nor a warning is left, else 12.
    """
    from sessionstore.care.doctor import examine

    if salvage and not fix:
        raise click.UsageError("--salvage goes with --fix")
    with progress_bar("checking") as progress:
        report = examine(folder, index, deep=not quick, progress=progress)
    outcomes: list[Outcome] = []
    if fix and report.findings:
        from sessionstore.care.repairs import mend

        with progress_bar("mending") as progress:
            outcomes = mend(report.findings, folder, index, salvage, progress)
        with progress_bar("checking again") as progress:
            report = examine(folder, index, deep=not quick, progress=progress)
    if as_json:
        print_json({**report.to_dict(), "repairs": [outcome.to_dict() for outcome in outcomes]})
    else:
        for outcome in outcomes:
            mark = click.style("mended  ", fg="green") if outcome.mended else click.style("failed  ", fg="red")
            click.echo(f"{mark}{outcome.finding.code}  {text.shown(f'{outcome.finding.where}: {outcome.what}')}")
        print_report(report)
    ctx.exit(0 if report.healthy else UNHEALTHY)


def print_json(value: object) -> None:
    """Print data, and nothing else, on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_report(report: Report) -> None:
    """Print findings for people, the worst first."""
    for finding in report.findings:
        click.echo(sentence(finding))
    looked = f"{report.sessions:,} sessions, {report.streams:,} streams, {report.lines:,} records"
    counts = ", ".join(f"{report.count(severity)} {severity}" for severity in ("error", "warning", "info"))
    verdict = "healthy" if report.healthy else "not healthy"
    click.echo(f"{verdict}: {counts}; {looked} in {report.seconds:.2f} s", err=True)


def sentence(finding: Finding) -> str:
    """Return what is wrong, where, why it matters and what mends it, on three lines."""
    head = click.style(f"{finding.severity:<8}", fg=_COLOURS[finding.severity])
    return (
        f"{head}{finding.code}  {text.shown(finding.where)}\n        {text.shown(finding.what)}\n"
        f"        why: {finding.kind.why}\n        mend: {text.shown(finding.mend)}"
    )


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Show a bar on stderr while it is a terminal; yield what is to be told (done, of)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
