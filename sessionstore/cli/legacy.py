"""``import-legacy`` and ``export-legacy``: the folders of the old system, in and out.

Not here: what these folders look like (legacy).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.maintenance import UNHEALTHY, print_json, progress_bar
from sessionstore.cli.options import json_option, open_store, store_options

if TYPE_CHECKING:
    from sessionstore.legacy.importer import Imported

_COLOURS = {"imported": "green", "would import": "green", "failed": "red", "skipped": "yellow"}


@click.command("import-legacy")
@click.argument("place", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--zone", metavar="ZONE", help="What timestamps without a zone mean: UTC, Europe/Zurich, +02:00.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing.")
@json_option
@store_options
def import_command(
    place: Path,
    zone: str | None,
    dry_run: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Import folders of the old system (DIR, or all folders in it) as sessions; importing again changes nothing.

    What a folder does not say stays unknown; the original files are kept with the session; `undo` takes an import
    back. Exit code 12 when a folder could not be read or needs its --zone.
    """
    from sessionstore.legacy.importer import import_legacy
    from sessionstore.store.history import History

    reports: list[Imported] = []
    with open_store(folder, index, create=True) as store, progress_bar("importing") as progress:
        for report in import_legacy(store, place, zone, dry_run, progress):
            reports.append(report)
            if not as_json:
                click.echo(_lines(report))
        made = [report.session_id for report in reports if report.state == "imported" and report.session_id]
        if made:
            History(store).merged(made, f"import-legacy {place.resolve().name}")  # so that `undo` takes the import back
    counts: dict[str, int] = {}
    for report in reports:
        counts[report.state] = counts.get(report.state, 0) + 1
    if as_json:
        print_json({"counts": counts, "folders": [report.to_dict() for report in reports]})
    else:
        summary = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no folder found"
        click.echo(summary, err=True)
    sys.exit(UNHEALTHY if any(report.state == "failed" or _needs_zone(report) for report in reports) else 0)


def _needs_zone(report: Imported) -> bool:
    return report.state == "skipped" and "--zone" in (report.reason or "")


def _lines(report: Imported) -> str:
    """Return the report of one folder: the verdict and the figures, then one line for each thing worth knowing."""
    figures = [
        f"{text.count(number)} {what}"
        for number, what in ((report.points, "points"), (report.drones, "drones"), (report.buildings, "buildings"))
        if report.state in ("imported", "would import")
    ]
    target = f" -> {report.session_id}" if report.session_id else ""
    head = click.style(f"{report.state:<14}", fg=_COLOURS.get(report.state))
    about = ", ".join(figures).replace("- ", "unknown ") or report.reason or ""
    first = head + text.shown(f"{Path(report.folder).name}{target}  {about}".rstrip())
    return "\n".join([first, *(f"{'':<14}{text.shown(problem)}" for problem in report.problems)])


@click.command("export-legacy")
@click.argument("sessions", nargs=-1, required=True)
@click.option("--to", "place", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--timestamps", type=click.Choice(["iso", "epoch", "none"]), default="iso", show_default=True,
    help="How the UTC instant of a point is written.",
)  # fmt: skip
@json_option
@store_options
def export_command(
    sessions: tuple[str, ...], place: Path, timestamps: Any, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Write sessions into DIR in the layout of the old system, one folder each."""
    from sessionstore.legacy.exporter import export_legacy

    written = []
    with open_store(folder, index) as store:
        for each in sessions:
            session = store.get(each)
            written.append({"session_id": session.session_id, "folder": str(export_legacy(session, place, timestamps))})
            if not as_json:
                click.echo(f"wrote {text.shown(written[-1]['folder'])}", err=True)
    if as_json:
        print_json(written)
