"""``merge``, ``pack`` and ``unpack``: sessions from one store to another, directly or as a bundle.

Not here: what is the same, newer or diverged (exchange.compare), the command verify (cli.maintenance).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessionstore.cli import text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.cli.progress import adding_up, progress

if TYPE_CHECKING:
    from sessionstore.exchange.merge import MergeReport, Outcome

#: Something diverged or was left out.
NOT_CLEAN = 12
_SHOWN = {
    "copied": ("new", "would be copied"),
    "updated": ("updated", "would be updated"),
    "same": ("same", "same"),
    "ahead": ("newer here", "newer here"),
    "diverged": ("diverged", "has diverged: both would be kept"),
    "skipped": ("left out", "would be left out"),
}

where_option = click.option("--where", metavar="FILTER", help="Only sessions that match this filter.")
dry_option = click.option("--dry-run", is_flag=True, help="Compare only; write nothing.")


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path())
@where_option
@dry_option
@json_option
@store_options
def merge(
    sources: tuple[str, ...], where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Take the sessions of other stores into this one.

    SOURCE is a store, a folder of sessions, one session folder, or a bundle (.zip, .tar.zst). Sessions that are here
    already are compared: what is newer there is brought over, copies that diverged are both kept. Running it again
    completes an interrupted merge. One `sessionstore undo` takes it back.

    Exit code 12 when a session diverged or was left out.
    """
    _merge(sources, where, dry_run, as_json, folder, index)


@click.command()
@click.argument("bundle", metavar="FILE", type=click.Path(exists=True))
@where_option
@dry_option
@json_option
@store_options
def unpack(bundle: str, where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None) -> None:
    """Take the sessions of a bundle into this store, after its checksums were verified; the same as `merge FILE`."""
    _merge((bundle,), where, dry_run, as_json, folder, index)


def _merge(
    sources: tuple[str, ...], where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    from sessionstore.exchange.merge import merge as merge_into
    from sessionstore.maintenance.doctor import option_text

    reports = []
    with open_store(folder, index, create=True) as store:
        for source in sources:
            with progress("merging", "bytes", quiet=as_json) as report:
                reports.append(merge_into(store, source, where, dry_run, adding_up(report)))
        at = option_text(folder, index)
    if as_json:
        click.echo(json.dumps([each.to_dict() for each in reports], ensure_ascii=False, indent=2))
    else:
        for each in reports:
            _print(each, at)
    sys.exit(0 if all(each.clean for each in reports) else NOT_CLEAN)


def _print(report: MergeReport, at: str) -> None:
    for outcome in report.outcomes:
        if outcome.action not in ("same", "ahead"):
            click.echo(text.shown(_line(outcome, report.dry_run)))
    counts = [
        f"{count} {_SHOWN[action][report.dry_run]}"
        for action in ("copied", "updated", "same", "ahead", "diverged", "skipped")
        if (count := report.count(action))
    ]
    click.echo(f"{text.shown(report.source)}: {', '.join(counts) or 'no sessions'}")
    if report.change_id:
        click.echo(f"to take it back: sessionstore undo {report.change_id}{at}", err=True)


def _line(outcome: Outcome, dry_run: bool) -> str:
    name = outcome.session_id or outcome.source_id
    renamed = f" (there {outcome.source_id})" if name != outcome.source_id else ""
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{_SHOWN[outcome.action][dry_run]}  {name}{renamed}{reason}"


@click.command()
@click.argument("keys", nargs=-1, metavar="[ID]...", shell_complete=complete_sessions)
@click.option("-o", "--output", "target", required=True, type=click.Path(path_type=Path), help="The bundle.")
@where_option
@json_option
@store_options
def pack(
    keys: tuple[str, ...], target: Path, where: str | None, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Write sessions as one bundle: a .zip, a .tar.zst, or a folder; all sessions when none is named.

    A bundle is a BagIt bag with checksums and an RO-Crate description. The same sessions give the same bytes.
    An existing file is replaced only when the new one is complete.
    """
    from sessionstore.exchange.bundle import write_bundle
    from sessionstore.exchange.trees import FolderTree, Tree

    if keys and where:
        raise click.UsageError("name sessions or give --where, not both")
    with open_store(folder, index) as store:
        if keys:
            folders = [find_session(store, key).folder for key in keys_of(keys)]
        else:
            found = [row for row in store.find(where) if row.host is None and row.status != "missing"]
            folders = [store.root.folder(row.session_id) for row in found]
    trees: list[Tree] = [FolderTree(each) for each in folders]
    total = sum(sum(tree.sizes.values()) for tree in trees)
    with progress("packing", "bytes", quiet=as_json) as report:
        write_bundle(trees, target, adding_up(report, total))
    facts = {"bundle": str(target), "sessions": len(trees), "bytes": total}
    click.echo(json.dumps(facts) if as_json else f"{text.shown(str(target))}: {len(trees)} sessions")
