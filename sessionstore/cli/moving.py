"""``sessionstore merge``, ``pack`` and ``unpack``: two stores become one; sessions travel as one file.

Not here: what happens to a session (exchange.merge), bundles (exchange.bundle), URLs to send to (cli.remote).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sessionstore.cli import output, text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.cli.remarks import NOT_WHOLE
from sessionstore.cli.remote import byte_progress, dry_run_option, print_merge_report, where_option


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@where_option
@dry_run_option
@json_option
@store_options
def merge_command(
    sources: tuple[str, ...], where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Take the sessions of other stores into this one; one undo takes them back.

    SOURCE is a store, a session folder, a bundle (.zip, .tar.zst or a folder) or a URL; it is not written to. A
    session that is here already is brought forward; one that was changed on both sides is kept twice. Interrupted, run
    it again. Exit code 12 if sessions diverged or were left out.
    """
    _merge(sources, where, dry_run, as_json, folder, index)


@click.command()
@click.argument("bundle", metavar="FILE")
@where_option
@dry_run_option
@json_option
@store_options
def unpack_command(
    bundle: str, where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Take the sessions of a bundle into this store: the same as merge.

    A bundle with a wrong checksum, or a missing or additional file, is refused whole (exit code 9).
    """
    _merge((bundle,), where, dry_run, as_json, folder, index)


def _merge(
    sources: tuple[str, ...], where: str | None, dry_run: bool, as_json: bool, folder: str | None, index: str | None
) -> None:
    from sessionstore.maintenance.doctor import option_text

    with open_store(folder, index, create=True) as store, byte_progress("merging") as count:
        report = store.merge(sources, where, dry_run, count)
        at = option_text(folder, index)
    print_merge_report(report, as_json, at)


@click.command()
@click.argument("keys", nargs=-1, metavar="[ID...]", shell_complete=complete_sessions)
@where_option
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new .zip, .tar.zst or folder.",
)
@dry_run_option
@json_option
@store_options
def pack_command(
    keys: tuple[str, ...],
    where: str | None,
    path: Path,
    dry_run: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Write sessions to one file with checksums: those named, those that match, or all.

    ID is an id, its beginning, a name, latest, or - for ids from stdin. An existing file is not overwritten (exit
    code 5). Exit code 12 if files were left out (links, devices).
    """
    with open_store(folder, index) as store, byte_progress("packing") as count:
        wanted = [find_session(store, key).session_id for key in keys_of(keys)]
        if keys and not wanted:
            raise click.UsageError("stdin named no session")
        report = store.pack(path, *wanted, where=where, dry_run=dry_run, progress=count)
    if as_json:
        output.print_json(report.to_dict())
    else:
        for left_out in report.left_out:
            click.echo(text.shown(f"left out: {left_out}"), err=True)
        for name in report.not_portable:
            click.echo(text.shown(f"not portable: {name!r} cannot be stored on every operating system"), err=True)
        would = " would be packed" if dry_run else ""
        click.echo(text.shown(f"{path}: {len(report.sessions)} sessions, {text.size(report.bytes)}{would}"))
    if not report.clean:
        sys.exit(NOT_WHOLE)
