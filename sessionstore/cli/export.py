"""``sessionstore export``: a session as one page that works offline, as a zip of its folder, or for another program.

Not here: what is in them (server.routes.offline_page, exchange.bundle, formats).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session, keys_of
from sessionstore.cli.options import open_store, store_options
from sessionstore.cli.remarks import NOT_WHOLE, report_all
from sessionstore.errors import Conflict

if TYPE_CHECKING:
    from sessionstore.session import Session


@click.command()
@click.argument("keys", nargs=-1, required=True, metavar="ID...", shell_complete=complete_sessions)
@click.option("--html", "as_html", is_flag=True, help="One page with table, charts and player; needs no network.")
@click.option("--zip", "as_zip", is_flag=True, help="The whole folder, as a bundle.")
@click.option("--to", "to", metavar="FORMAT", help="A format of other programs (see `formats`); or the folder.")
@click.option("--out", "out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="The folder.")
@click.option(
    "--file", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="One file for all (geojson, gpx, kml, czml) or for the only one; its extension may name the format.",
)  # fmt: skip
@store_options
def export(
    folder: str | None,
    index: str | None,
    keys: tuple[str, ...],
    as_html: bool,
    as_zip: bool,
    to: str | None,
    out: Path | None,
    file: Path | None,
) -> None:
    """Write sessions to files: --html (needs the extra `api`), --zip, or --to FORMAT for other programs.

    ID is an id, its beginning, a name, a path, latest, or - for ids from stdin. An existing file is never overwritten.
    Exit code 12 if records are damaged (the page leaves them out) or were edited by hand; the file is written.
    """
    if (as_html and as_zip) or not (as_html or as_zip or to or file):
        raise click.UsageError("choose one of --html, --zip and --to FORMAT")
    if file is not None:
        if as_html or as_zip or out:
            raise click.UsageError("--file goes with --to FORMAT alone")
        _export_together(file, to, folder, index, keys)
        return
    if not (as_html or as_zip):
        _export_to(str(to), out or Path(), folder, index, keys)
        return
    target = out or Path(to or "")
    from sessionstore.disk import files

    written = []
    with open_store(folder, index) as store:
        for key in keys_of(keys):
            session = find_session(store, key, elsewhere=True)
            path = target / f"{session.session_id}.{'html' if as_html else 'zip'}"
            try:
                files.make_dirs(target)
                if as_html:
                    files.create(path, _page(session))
                else:
                    _write_zip(session, path)
            except (FileExistsError, Conflict) as error:
                raise click.ClickException(f"{path} exists already and was not changed") from error
            click.echo(str(path))
            written.append(session)
    if report_all(written, all_sizes=True):
        sys.exit(NOT_WHOLE)


def _export_to(to: str, out: Path, folder: str | None, index: str | None, keys: tuple[str, ...]) -> None:
    """Write sessions in a format of other programs, one file each."""
    from sessionstore.disk import files
    from sessionstore.formats.exporting import export_partitions, export_session, extension_of

    extension = extension_of(to)
    with open_store(folder, index) as store:
        for key in keys_of(keys):
            session = find_session(store, key, elsewhere=True)
            files.make_dirs(out)
            with _watched([session]) as (watched,):
                parts = export_partitions(watched, out, to)
                written = list(parts) if parts is not None else []
                if parts is None:
                    written = [export_session(watched, out / f"{session.session_id}{extension}", to)]
            click.echo("\n".join(map(str, written)))


def _export_together(path: Path, to: str | None, folder: str | None, index: str | None, keys: tuple[str, ...]) -> None:
    """Write sessions to one file of another program."""
    from sessionstore.disk import files
    from sessionstore.formats.exporting import export_sessions

    with open_store(folder, index) as store:
        sessions = [find_session(store, key, elsewhere=True) for key in keys_of(keys)]
        files.make_dirs(path.parent)
        with _watched(sessions) as watched:
            written = export_sessions(watched, path, to)
        click.echo(str(written))


@contextmanager
def _watched(sessions: list[Session]) -> Iterator[list[Session]]:
    """Show how much of the streams of sessions was read, while what is given is exported."""
    from sessionstore.cli.remote import byte_progress
    from sessionstore.formats.watched import WatchedSession

    with byte_progress("exporting") as count:
        count.expect(sum(tape.size() for session in sessions for tape in session.tapes().values()))
        yield [WatchedSession(session, count) for session in sessions]


def _page(session: Session) -> bytes:
    try:
        from sessionstore.server.routes.offline_page import page_of
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'sessionstore[api]'") from error
    return page_of(session)


def _write_zip(session: Session, path: Path) -> None:
    from sessionstore.exchange.bundle import write_bundle
    from sessionstore.exchange.trees import FolderTree

    write_bundle([FolderTree(session.folder)], path)
