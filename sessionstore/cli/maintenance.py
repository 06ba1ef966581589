"""``doctor``, ``verify``, ``history``, ``undo``: faults and their repairs, changes and their undoing.

Not here: the checks and repairs themselves (maintenance), the list of changes (store.history).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.lookup import find_session, hint
from sessionstore.cli.options import json_option, open_store, require_store, store_options
from sessionstore.errors import SessionNotFound

if TYPE_CHECKING:
    from sessionstore.maintenance.checks.portability import Moved
    from sessionstore.maintenance.doctor import Progress
    from sessionstore.maintenance.findings import Finding, Report
    from sessionstore.maintenance.repairs.choices import Choice
    from sessionstore.maintenance.repairs.plan import Outcome
    from sessionstore.store.history import Change

#: What doctor and verify exit with when an error or a warning is left.
UNHEALTHY = 12
_COLOURS = {"error": "red", "warning": "yellow", "info": None}


@click.command()
@click.option("--quick", is_flag=True, help="Only what changed since the index saw it, and open runs: seconds.")
@click.option("--fix", is_flag=True, help="Repair what can be repaired; the original bytes are kept in quarantine.")
@click.option("--salvage", is_flag=True, help="With --fix: also rebuild records that could be repaired by hand.")
@click.option(
    "--take",
    type=click.Choice(["ours", "theirs", "old"]),
    help="Of conflict copies keep the file (ours) or the copy (theirs); of edited streams take the old lines back.",
)
@click.option(
    "--from",
    "places",
    metavar="PATH",
    multiple=True,
    type=click.Path(exists=True),
    help="With --take old: a copy of the store or session, a bundle, or a .jsonl file; several times.",
)
@click.option("--accept-edits", is_flag=True, help="Accept edited (a new checksum), deleted and reordered lines.")
@json_option
@store_options
def doctor(
    quick: bool,
    fix: bool,
    salvage: bool,
    take: Choice | None,
    places: tuple[str, ...],
    accept_edits: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Check the store: every document and stream, the index, its environment. Writes only when that is asked for.

    --take old looks for the recorded lines in --from, beside the stream, in quarantine, trash, merged copies and git,
    and takes back those whose checksum fits.

    Exit code 0 when neither an error nor a warning is left, else 12.
    """
    from sessionstore.maintenance.doctor import examine

    if salvage and not fix:
        raise click.UsageError("--salvage goes with --fix")
    if places and take != "old":
        raise click.UsageError("--from goes with --take old")
    require_store(folder)
    with progress_bar("checking") as progress:
        report = examine(folder, index, deep=not quick, progress=progress)
    outcomes: list[Outcome] = []
    if report.findings and (fix or take or accept_edits):
        from sessionstore.maintenance.repairs.plan import repair

        if take or accept_edits:
            outcomes += _decided(report, take, places, accept_edits, folder, index)
        with progress_bar("repairing") as progress:
            outcomes += repair(report.findings, folder, index, salvage, progress) if fix else []
        with progress_bar("checking again") as progress:
            report = examine(folder, index, deep=not quick, progress=progress)
    failed = sum(not outcome.repaired for outcome in outcomes)
    healthy = report.healthy and not failed
    if as_json:
        repairs = [outcome.to_dict() for outcome in outcomes]
        print_json({**report.to_dict(), "healthy": healthy, "repairs": repairs})
    else:
        for outcome in outcomes:
            mark = click.style("repaired  ", fg="green") if outcome.repaired else click.style("failed  ", fg="red")
            click.echo(f"{mark}{outcome.finding.code}  {text.shown(f'{outcome.finding.where}: {outcome.what}')}")
        if any(outcome.repaired for outcome in outcomes):
            click.echo(f"the original bytes: sessionstore quarantine list{report.options}", err=True)
        print_report(report, failed)
    sys.exit(0 if healthy else UNHEALTHY)


def _decided(
    report: Report,
    take: Choice | None,
    places: tuple[str, ...],
    accept_edits: bool,
    folder: str | None,
    index: str | None,
) -> list[Outcome]:
    """Do what the person decided."""
    from sessionstore.exchange.stream_copies import copies_at
    from sessionstore.maintenance.repairs.choices import resolve_by_choice

    with open_store(folder, index) as store, copies_at(store, places) as named:
        return resolve_by_choice(store, report.findings, take, accept_edits, named)


@click.command()
@click.argument("sessions", nargs=-1)
@click.option("--as-if-moved", is_flag=True, help="Copy them elsewhere and read them there as if on another machine.")
@json_option
@store_options
def verify(
    sessions: tuple[str, ...],
    as_if_moved: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Read sessions whole, every record with its checksum and number; all of them when none is named.

    A bundle (.zip, .tar.zst or its folder) is compared with its checksums where it is. Exit code 0 when they are whole
    (and, moved, the same), else 12.
    """
    if bundles := [each for each in sessions if _is_bundle(each)]:
        if len(bundles) < len(sessions) or as_if_moved:
            raise click.UsageError("name sessions or bundles, not both; --as-if-moved is for sessions")
        _verify_bundles(bundles, as_json)
    require_store(folder)
    with open_store(folder, index) as store:
        on_disk = store.root.session_ids()
        wanted = sorted(
            {each if each in on_disk else find_session(store, each).session_id for each in sessions} or on_disk
        )
        root = store.root
    if as_if_moved:
        from sessionstore.maintenance.checks.portability import verify_moved

        with progress_bar("reading elsewhere") as progress:
            moved = verify_moved(root, wanted, progress)
        if as_json:
            print_json([each.to_dict() for each in moved])
        for each in () if as_json else moved:
            mark = click.style("same    ", fg="green") if each.same else click.style("differs ", fg="red")
            click.echo(mark + _moved_line(each))
        sys.exit(0 if all(each.same for each in moved) else UNHEALTHY)
    from sessionstore.maintenance.doctor import examine

    with progress_bar("reading") as progress:
        report = examine(folder, index, progress=progress, only=wanted)
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(report)
    sys.exit(0 if report.healthy else UNHEALTHY)


def _is_bundle(name: str) -> bool:
    path = Path(name)
    return (path.is_file() and name.lower().endswith((".zip", ".tar.zst"))) or (path / "bagit.txt").is_file()


def _verify_bundles(bundles: list[str], as_json: bool) -> None:
    """Compare bundles with their checksums, print what was found, and exit."""
    from sessionstore.cli.remote import byte_progress
    from sessionstore.errors import Unreadable
    from sessionstore.exchange.verify import verify_bundle

    found: list[dict[str, Any]] = []
    for name in bundles:
        names: list[str] = []
        with byte_progress("reading") as count:
            try:
                number = verify_bundle(Path(name), count, names)
                each: dict[str, Any] = {
                    "bundle": name,
                    "whole": True,
                    "files": number,
                    "problem": "",
                    "not_portable": names,
                }
            except Unreadable as error:
                each = {"bundle": name, "whole": False, "files": None, "problem": error.reason, "not_portable": []}
        found.append(each)
    if as_json:
        print_json(found)
    for each in [] if as_json else found:
        mark = click.style("whole   ", fg="green") if each["whole"] else click.style("damaged ", fg="red")
        what = f"{each['files']} files" if each["whole"] else str(each["problem"])
        click.echo(mark + text.shown(f"{each['bundle']}  {what}"))
        for unportable in each["not_portable"]:
            click.echo(text.shown(f"        not portable: {unportable!r} cannot be stored on every operating system"))
    sys.exit(0 if all(each["whole"] for each in found) else UNHEALTHY)


def _moved_line(moved: Moved) -> str:
    return text.shown(f"{moved.session_id}  {'; '.join(moved.differs)}".rstrip())


@click.command()
@click.argument("session", required=False)
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Maximum changes; 0 = all."
)
@json_option
@store_options
def history(session: str | None, limit: int, as_json: bool, folder: str | None, index: str | None) -> None:
    """Show what people changed: edits, deletions, merges and undone changes; the newest first.

    An edit of a file in an editor is seen by every reader, and is not noted here.
    """
    from sessionstore.store.history import History

    with open_store(folder, index) as store:
        try:
            changes = History(store).changes(session)
        except SessionNotFound as error:
            raise SessionNotFound(f"{error}{hint(store, session or '', store.find())}") from error
    shown = changes[: limit or None]
    if as_json:
        print_json([change.to_dict() for change in shown])
        return
    if not changes:
        click.echo("nothing was changed", err=True)
        return
    rows = [
        (
            change.change_id,
            text.when(change.at),
            change.kind,
            text.shown(", ".join(change.sessions)),
            _difference(change),
        )
        for change in shown
    ]
    click.echo(text.table(("change", "when", "what", "session", ""), rows))
    if len(shown) < len(changes):
        click.echo(f"{len(shown)} of {len(changes)} changes; --limit 0 shows all", err=True)


def _difference(change: Change) -> str:
    """Return what an edit did, short enough for a line."""
    parts = [f"{name}: {_short(change.before.get(name))} -> {_short(new)}" for name, new in change.after.items()]
    note = ["taken back"] if change.undone else []
    return text.shown("; ".join([*note, *parts, *([change.reason] if change.reason else [])]))


def _short(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else shown[:37] + "..."


@click.command()
@click.argument("change", required=False)
@json_option
@store_options
def undo(change: str | None, as_json: bool, folder: str | None, index: str | None) -> None:
    """Undo the newest change, or the CHANGE with this id (see `history`).

    Exit code 5 when the same fields were changed since.
    """
    from sessionstore.maintenance.doctor import option_text
    from sessionstore.store.history import History

    with open_store(folder, index) as store:
        try:
            done = History(store).undo(change)
        except SessionNotFound as error:
            raise SessionNotFound(f"{error}; see: sessionstore history{option_text(folder, index)}") from error
    if as_json:
        print_json(done.to_dict())
    else:
        click.echo(f"taken back: {done.kind} of {text.shown(', '.join(done.sessions)) or done.change_id}", err=True)


def print_json(value: object) -> None:
    """Print data, and nothing else, on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_report(report: Report, failed: int = 0) -> None:
    """Print findings for people, the worst first.

    Args:
        failed: how many repairs failed; with one, the last word is not "healthy".
    """
    for finding in report.findings:
        click.echo(sentence(finding, report))
    looked = f"{report.sessions:,} sessions, {report.streams:,} streams, {report.lines:,} records"
    counts = ", ".join(f"{report.count(severity)} {severity}" for severity in ("error", "warning", "info"))
    verdict = "healthy" if report.healthy and not failed else "not healthy"
    if failed:
        counts = f"{failed} failed repair{'s' if failed > 1 else ''}, {counts}"
    click.echo(f"{verdict}: {counts}; {looked} in {report.seconds:.2f} s", err=True)


def sentence(finding: Finding, report: Report) -> str:
    """Return a finding as text: what, where, why it matters, what repairs it; of a run also its last events."""
    head = click.style(f"{finding.severity:<8}", fg=_COLOURS[finding.severity])
    lines = [f"{head}{finding.code}  {text.shown(finding.where)}", text.shown(finding.what)]
    for event in finding.data.get("last_events", [])[:-1]:  # the very last is in the sentence above
        words = " ".join(str(event[key]) for key in ("level", "kind", "message") if event.get(key))
        lines.append(text.shown(f"    before: {event['t_s']:.1f} s {words}"))
    lines += [f"why: {finding.kind.why}", f"repair: {text.shown(finding.repair(report.store, report.options))}"]
    return "\n        ".join(lines)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Show a bar on stderr while it is a terminal; yield the function that takes (done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from sessionstore.cli.progress import progress

    with progress(label) as report:
        yield report
