"""``sessionstore sweep FILE.toml``, and ``sweep list|status|results|stop|retry``.

Progress goes to stderr, tables and JSON to stdout. Not here: how it is done (sweeps).
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import output, text
from sessionstore.cli.options import json_option, open_store, store_options

if TYPE_CHECKING:
    from sessionstore.sweeps.results import Group, Results
    from sessionstore.sweeps.running import Progress, Run
    from sessionstore.sweeps.statistics import Summary

FAILED_POINTS = 13
STOPPED = 130
_SHOWN = 6  # figures of a table for people
_EVERY_S = 0.2


class _SweepGroup(click.Group):
    """A group whose first argument may also be a file: ``sweep FILE.toml`` is ``sweep run FILE.toml``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_SweepGroup)
def sweep() -> None:
    """Run one program with many sets of parameters, each a session: `sessionstore sweep FILE.toml`.

    What has ended is not run again: after Ctrl-C or a crash, the same command runs the rest.
    """


@sweep.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("-j", "--jobs", type=click.IntRange(1, 1024), metavar="N", help="Processes (default: all cores).")
@click.option("--dask", "address", metavar="ADDRESS", help="Run on the workers of this Dask scheduler.")
@click.option("--dry-run", is_flag=True, help="Show the points and what has changed, and run nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor summary.")
@json_option
@store_options
def run(
    file: str,
    jobs: int | None,
    address: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Run what is missing of a sweep. Exit code 13: points failed; 130: it was stopped."""
    _start(file, jobs, address, dry_run, quiet, as_json, folder, index, retry=False)


@sweep.command()
@click.argument("sweep_id", metavar="ID|FILE")
@click.option("-j", "--jobs", type=click.IntRange(1, 1024), metavar="N", help="Processes (default: all cores).")
@click.option("--dask", "address", metavar="ADDRESS", help="Run on the workers of this Dask scheduler.")
@click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor summary.")
@json_option
@store_options
def retry(
    sweep_id: str,
    jobs: int | None,
    address: str | None,
    quiet: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Run the failed points of a sweep again, and what is missing; its file is read where it was."""
    file = sweep_id
    if not sweep_id.endswith(".toml"):
        with _opened(folder, index, sweep_id) as (_, found):
            if found.definition.source is None:
                raise click.ClickException(f"{sweep_id} was started from Python: run it there again")
            file = found.definition.source
    _start(file, jobs, address, False, quiet, as_json, folder, index, retry=True)


def _start(
    file: str,
    jobs: int | None,
    address: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
    retry: bool,
) -> None:
    from sessionstore.sweeps.sweep import plan, prepare
    from sessionstore.sweeps.sweep_file import load

    with open_store(folder, index, create=True) as store, _extra_named():
        loaded = load(file)
        points, change, _ = plan(store, *loaded)
        if dry_run:
            _show_plan(points, change, as_json)
            return
        found, _ = prepare(store, *loaded)
        if change is not None and (change.new or change.gone):
            click.echo(f"note: {change}", err=True)
        with _progress(found.sweep_id, quiet or as_json) as report:
            ended = found.run(loaded.program, address or jobs, report, retry)
        if as_json:
            output.print_json(_run_facts(found.sweep_id, ended))
        elif not quiet:
            _print_groups(found.results(), None)
            click.echo(_in_words(found.sweep_id, ended), err=True)
    sys.exit(STOPPED if ended.stopped_by else FAILED_POINTS if ended.progress.failed else 0)


@contextmanager
def _extra_named() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sessionstore"):
            raise
        raise click.ClickException(str(error)) from error


@contextmanager
def _opened(folder: str | None, index: str | None, sweep_id: str) -> Iterator[tuple[Any, Any]]:
    from sessionstore.sweeps.sweep import Sweep

    with open_store(folder, index) as store:
        yield store, Sweep(store, sweep_id)


def _run_facts(sweep_id: str, ended: Run) -> dict[str, Any]:
    progress = ended.progress
    names = ("total", "before", "completed", "failed", "stopped", "again")
    facts = {name: getattr(progress, name) for name in names}
    return {"sweep": sweep_id, **facts, "stopped_by": ended.stopped_by, "superseded": ended.superseded}


def _in_words(sweep_id: str, ended: Run) -> str:
    progress = ended.progress
    parts = [f"{progress.completed:,} completed"]
    parts += [f"{progress.before:,} had ended before"] if progress.before else []
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    left = progress.total - progress.done
    parts += [f"{left:,} are left"] if left else []
    parts += [f"{progress.again:,} attempts were repeated"] if progress.again else []
    parts += [f"{ended.superseded:,} earlier attempts are in the trash"] if ended.superseded else []
    stop = f"; stopped: {ended.stopped_by}; the same command runs the rest" if ended.stopped_by else ""
    return f"sweep {sweep_id}: {progress.total:,} points: {', '.join(parts)}{stop}"


@contextmanager
def _progress(sweep_id: str, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show a bar with rate, failures and time left; silent in a pipe."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = output.console(stderr=True)
    shown = not quiet and not output.without_escapes() and console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
    bar = Bar(
        *columns, TextColumn("{task.fields[rate]}  {task.fields[failed]}"), TimeRemainingColumn(),
        console=console, disable=not shown, auto_refresh=False,
    )  # fmt: skip
    task = bar.add_task(sweep_id, total=None, rate="", failed="")
    due = 0.0

    def report(now: Progress) -> None:
        nonlocal due
        failed = f"{now.failed} failed" if now.failed else ""
        bar.update(task, total=now.total, completed=now.done, rate=f"{now.rate:,.1f}/s", failed=failed)
        if time.monotonic() >= due or now.done == now.total:
            due = time.monotonic() + _EVERY_S
            bar.refresh()

    with bar:
        yield report


def _show_plan(points: list[Any], change: Any, as_json: bool) -> None:
    if as_json:
        changes = None if change is None else {name: getattr(change, name) for name in ("new", "kept", "gone")}
        rows = [{"number": point.number, "point": point.key, "parameters": point.parameters} for point in points]
        output.print_json({"points": rows, "change": changes})
        return
    click.echo(f"{len(points):,} points" + (f"; {change}" if change is not None else ""))
    names = list(dict.fromkeys(name for point in points[:100] for name in point.parameters))
    shown = points if len(points) <= 10 else [*points[:5], *points[-5:]]
    cells = [[str(point.number), *(_cell(point.parameters.get(name)) for name in names)] for point in shown]
    click.echo(text.table(["number", *names], cells))


# ---------------------------------------------------------------- looking at them


@sweep.command(name="list")
@json_option
@store_options
def list_sweeps(as_json: bool, folder: str | None, index: str | None) -> None:
    """List the sweeps of the store, with how many points have ended."""
    from sessionstore.sweeps.sweep import all_sweeps

    with open_store(folder, index) as store:
        found = [each.status() for each in all_sweeps(store)]
    if as_json:
        output.print_json([_status_facts(status) for status in found])
        return
    rows = [[s.sweep_id, "running" if s.running else "", f"{s.done:,}", f"{s.total:,}", _counts(s)] for s in found]
    click.echo(text.table(["sweep", "", "ended", "points", ""], rows))


@sweep.command()
@click.argument("sweep_id", metavar="ID")
@json_option
@store_options
def status(sweep_id: str, as_json: bool, folder: str | None, index: str | None) -> None:
    """Show how many points of a sweep have completed, failed, run and wait."""
    with _opened(folder, index, sweep_id) as (_, found):
        now = found.status()
    if as_json:
        output.print_json(_status_facts(now))
        return
    state = "running" if now.running else "not running"
    click.echo(f"{now.sweep_id}: {state}, {now.done:,} of {now.total:,} points have ended ({_counts(now)})")


def _status_facts(now: Any) -> dict[str, Any]:
    facts = {name: getattr(now, name) for name in ("name", "total", "done", "running", "counts")}
    return {"sweep": now.sweep_id, **facts}


def _counts(now: Any) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in sorted(now.counts.items()))


@sweep.command()
@click.argument("sweep_id", metavar="ID")
@click.option("--points", is_flag=True, help="A row for each point, not mean and interval over seeds.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this figure; may be repeated.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@store_options
def results(
    sweep_id: str,
    points: bool,
    metrics: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Show mean and 95 % interval over seeds of each figure, the best objective first; or all points."""
    with _opened(folder, index, sweep_id) as (_, found):
        now = found.results()
    wanted = list(metrics) or now.metrics
    if unknown := [name for name in metrics if name not in now.metrics]:
        raise click.ClickException(f"no figure is called {unknown[0]}; the figures: {', '.join(now.metrics)}")
    if points:
        _print_points(now, wanted, as_csv, as_json)
    elif as_json:
        output.print_json([_group_facts(group, wanted) for group in now.groups()])
    elif as_csv:
        _print_csv([_flat_group(group, wanted) for group in now.groups()])
    else:
        _print_groups(now, list(metrics) or None)


def _print_points(now: Results, wanted: list[str], as_csv: bool, as_json: bool) -> None:
    kept = {"number", "session_id", "status", "reason", *now.parameters, *wanted}
    rows = [{name: value for name, value in row.plain().items() if name in kept} for row in now.rows]
    if as_json:
        output.print_json(rows)
    elif as_csv:
        _print_csv(rows)
    else:
        names = ["number", "session_id", "status", *now.parameters, *wanted[:_SHOWN]]
        click.echo(text.table(names, [[_cell(row.get(name)) for name in names] for row in rows]))


def _print_csv(rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _group_facts(group: Group, wanted: list[str]) -> dict[str, Any]:
    figures = {name: _summary_facts(group.figures[name]) for name in wanted if name in group.figures}
    return {"parameters": group.parameters, "completed": group.completed, "failed": group.failed, "figures": figures}


def _summary_facts(summary: Summary) -> dict[str, Any]:
    names = ("mean", "half_width", "n", "minimum", "maximum")
    return {name: getattr(summary, name) for name in names}


def _flat_group(group: Group, wanted: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {**group.parameters, "completed": group.completed, "failed": group.failed}
    for name in wanted:
        summary = group.figures.get(name)
        row[f"{name} mean"] = None if summary is None else summary.mean
        row[f"{name} half_width"] = None if summary is None else summary.half_width
    return row


def _print_groups(now: Results, wanted: list[str] | None) -> None:
    groups = now.groups()
    varied = [name for name in now.parameters if name != "seed"]
    names = wanted or [name for name in now.metrics if _differs(groups, name)][:_SHOWN]
    headings = [*varied, "n", "failed", *names]
    rows = [
        [*(_cell(group.parameters.get(name)) for name in varied), str(group.completed), str(group.failed or ""),
         *(_with_interval(group.figures.get(name)) for name in names)]
        for group in groups
    ]  # fmt: skip
    click.echo(text.table(headings, rows))


def _differs(groups: list[Group], name: str) -> bool:
    """Whether a figure says anything: it is not the same number everywhere."""
    found = [group.figures[name] for group in groups if name in group.figures]
    return bool(found) and (
        min(each.minimum for each in found) != max(each.maximum for each in found) or len(found) == 1
    )


def _with_interval(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    half = "" if summary.half_width is None else f" ± {summary.half_width:.3g}"
    return f"{summary.mean:.5g}{half}"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else text.shown(str(value))


@sweep.command()
@click.argument("sweep_id", metavar="ID")
@store_options
def stop(sweep_id: str, folder: str | None, index: str | None) -> None:
    """Stop a sweep that another process runs: its running points end as stopped."""
    with _opened(folder, index, sweep_id) as (_, found):
        asked = found.stop()
    click.echo(f"{sweep_id}: asked to stop" if asked else f"{sweep_id}: no process runs it", err=True)
