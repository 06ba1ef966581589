"""``sessionstore import``: files and folders of other programs as sessions, each once.

Not here: what a format reads (formats), folders of the old system with their zones (legacy), export (export).
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessionstore.cli import text
from sessionstore.cli.maintenance import UNHEALTHY, print_json
from sessionstore.cli.options import json_option, open_store, store_options

if TYPE_CHECKING:
    from sessionstore.formats import ImportReport


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, path_type=Path))
@click.option("--as", "as_format", metavar="FORMAT", help="The format (default: by content; see `formats`).")
@click.option(
    "--map", "mapping", metavar="x=COLUMN[:UNIT],...", help="Columns of a table: t, drone, x, y, z, lat, lon, alt ..."
)
@click.option("--name", metavar="NAME", help="The name of the session (default: that in the file, or of the file).")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing.")
@json_option
@store_options
def import_command(
    paths: tuple[Path, ...],
    as_format: str | None,
    mapping: str | None,
    name: str | None,
    dry_run: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Import files of other programs as sessions; the same content is imported once.

    The report counts, for each topic, messages in the file and records in the session. `undo` takes an import back.
    Exit code 12 when a file could not be imported, or only a part of it.
    """
    from sessionstore.errors import SessionStoreError
    from sessionstore.formats import ImportReport
    from sessionstore.store.history import History

    reports: list[ImportReport] = []
    with open_store(folder, index, create=True) as store:
        for path in paths:
            try:
                report = store.import_file(path, as_format, name=name, dry_run=dry_run, columns=mapping)
            except SessionStoreError as error:
                if len(paths) == 1:
                    raise
                report = ImportReport(str(path), as_format or "", "failed", reason=str(error))
            reports.append(report)
            if not as_json:
                click.echo(_shown(report))
        each = [one for report in reports for one in (report.sessions or [report])]
        made = [report.session_id for report in each if report.state == "imported" and report.session_id]
        if made:
            History(store).merged(made, f"import {', '.join(path.name for path in paths)}"[:200])
    if as_json:
        print_json({"files": [report.to_dict() for report in reports]})
    sys.exit(UNHEALTHY if any(report.state in ("failed", "skipped") or report.problems for report in reports) else 0)


def _shown(report: ImportReport) -> str:
    """Return the verdict, a table of the topics, and the problems."""
    target = f" -> {report.session_id}" if report.session_id else ""
    reason = f"  {report.reason}" if report.reason else ""
    lines = [text.shown(f"{report.state:<14}{Path(report.source).name} ({report.format}){target}{reason}")]
    if report.sessions:
        counts = Counter(one.state for one in report.sessions)
        lines.append(f"  {len(report.sessions)} sessions: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    rows = [
        (text.shown(topic), str(each.messages_in), str(each.records_out), text.shown(each.stream))
        for topic, each in sorted(report.topics.items())
    ]
    if rows:
        lines.append(text.table(("topic", "messages in", "records out", "stream"), rows))
    lines += [text.shown(f"  - {note}") for note in report.notes]
    return "\n".join([*lines, *(text.shown(f"  ! {problem}") for problem in report.problems)])
