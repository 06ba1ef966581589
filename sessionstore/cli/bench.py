"""``bench``: measure this machine, our engines, the limit and the peers, in one run that is itself a session.

The tables go to stdout, progress to stderr; the session holds the same as a report, JSON and a picture.
Not here: what is measured (bench).
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.options import json_option, open_store, store_options

if TYPE_CHECKING:
    from sessionstore.bench.figures import Figure, Figures
    from sessionstore.session.recorder import Recorder

_PARTS = (
    "create", "update", "append", "look", "storm", "calls", "busy", "seek", "sizes", "imports", "engines", "formats",
    "moving", "analysis", "sweeps", "flights", "growth", "filters",
)  # fmt: skip

#: Options that say where, which changes no figure.
_PLACES = ("--dir", "--scratch", "--output")


@click.command()
@click.option("--quick", is_flag=True, help="Small and short: about eight minutes for all.")
@click.option("--part", "parts", multiple=True, type=click.Choice(_PARTS), help="Only this part; may be repeated.")
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Of the peers only this one; may be repeated.")
@click.option(
    "--size", "sizes", multiple=True, type=click.IntRange(min=1), help="Sizes for the parts 'sizes' and 'moving'."
)
@click.option(
    "--scratch", type=click.Path(file_okay=False), metavar="FOLDER", help="Where to work; default: the store."
)
@click.option(
    "--postgresql",
    envvar="SESSIONSTORE_BENCH_POSTGRESQL",
    metavar="URL",
    help="A server for the part 'engines' (SESSIONSTORE_BENCH_POSTGRESQL); default: one of our own.",
)
@click.option("--output", type=click.Path(file_okay=False), metavar="FOLDER", help="Copy report, JSON and picture to.")
@json_option
@store_options
def bench(
    quick: bool,
    parts: tuple[str, ...],
    systems: tuple[str, ...],
    sizes: tuple[int, ...],
    scratch: str | None,
    postgresql: str | None,
    output: str | None,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Measure W1 to W16, engines (E1-E5), formats (F1-F3), moving (M1-M6), questions (A1-A7), sweeps (S1-S3).

    Systems run in turn, several rounds each; a ratio to the limit that ran beside is worth more than any rate.
    The run is stored as a session, with its report in artifacts/.
    """
    from sessionstore.bench import report
    from sessionstore.bench.figures import Figures
    from sessionstore.bench.run import QUICK, THOROUGH, run
    from sessionstore.index.url import show_url

    plan = dataclasses.replace(QUICK if quick else THOROUGH, postgresql=postgresql)
    if sizes:
        plan = dataclasses.replace(plan, scale_sizes=sizes, moved=sizes[0])
    given = [each for each in sys.argv[2:] if each[:1] != "/" and each not in _PLACES]
    command = " ".join(["sessionstore", "bench", *map(show_url, given)])
    with (
        open_store(folder, index, create=True) as store,
        store.record("bench", metadata={"command": command}) as session,
    ):
        facts = {**report.machine(store.root.path), "command": command, "commit": _commit(session)}
        figures = Figures(tell=lambda figure: _tell(session, figures, figure))
        place = Path(scratch or store.root.private) / f"bench-{session.session_id}"
        try:
            run(place, plan, figures, parts, systems)
        finally:
            shutil.rmtree(place, ignore_errors=True)  # the bench's own scratch folder; the store is elsewhere
        results = {
            "machine": facts,
            "figures": figures.to_list(),
            "left_out": figures.left_out,
            "seconds": figures.seconds,
        }
        missed = [each for each in figures if figures.met(each) is False]
        session.beat(0.0, figures=len(figures.all), missed=len(missed))
        _keep(session.folder / "artifacts", figures, results, output)
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False))
        return
    for workload, about in report.workloads(figures):
        click.secho(f"\n{workload}: {about}", bold=True)
        click.echo(text.table(report.HEADINGS, report.rows(figures, workload)))
    for name, reason in figures.left_out.items():
        click.echo(f"left out: {name}: {text.shown(reason)}", err=True)
    took = ", ".join(f"{name} {seconds:,.0f}" for name, seconds in figures.seconds.items())
    click.echo(f"seconds: {sum(figures.seconds.values()):,.0f} ({took})", err=True)
    asked = sum(figures.met(each) is not None for each in figures)
    click.echo(f"\n{asked - len(missed)} of {asked} targets met; the run is the session {session.session_id}")


def _tell(session: Recorder, figures: Figures, figure: Figure) -> None:
    from sessionstore.bench.report import amount

    ratio = figures.ratio(figure)
    session.stream("figures").append({**dataclasses.asdict(figure), "median": figure.median, "ratio": ratio})
    words = f"{figure.workload:<4}{figure.case:<44}{figure.size or 0:>10,}  {figure.system:<22}"
    click.echo(words + amount(figure.median, figure.unit), err=True)


def _commit(session: Recorder) -> str | None:
    git = session.record.provenance.get("git") or {}
    commit: str | None = git.get("commit")
    return commit[:10] + (" with changes" if git.get("dirty") else "") if commit else None


def _keep(folder: Path, figures: Figures, results: dict[str, Any], output: str | None) -> None:
    """Write report, JSON and picture into the session, and beside it where that is wished."""
    from sessionstore.bench import report
    from sessionstore.disk import files
    from sessionstore.model import json_text

    kept = {
        "report.md": report.markdown(figures, results["machine"]).encode(),
        "bench.json": json_text.layout(results),
        **{name: drawn.encode() for name, drawn in report.pictures(figures, results["machine"]).items()},
    }
    for each in (folder, *([Path(output)] if output else [])):
        files.make_dirs(each)
        for name, data in kept.items():
            files.put(each / name, data)
