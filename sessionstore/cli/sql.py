"""``sessionstore sql``: one SELECT over all sessions, or a prompt with history and completion of tables.

Not here: tables and limits (analysis.query).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli.options import open_store, store_options
from sessionstore.errors import InvalidQuery

if TYPE_CHECKING:
    from sessionstore.store import SessionStore

_FORMATS = ("table", "csv", "json", "parquet")


@click.command("sql")
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Default: by the name of FILE, else table.")
@click.option("-o", "--output", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds for the answer.")
@click.option("--memory", "memory_mb", type=click.IntRange(64), default=1024, show_default=True, help="Limit in MB.")
@store_options
def sql_command(
    folder: str | None,
    index: str | None,
    query: str | None,
    form: str | None,
    target: Path | None,
    timeout_s: float | None,
    memory_mb: int,
) -> None:
    """Answer a SELECT over all sessions; without QUERY, ask at a prompt (needs the extra `analysis`).

    Tables: sessions, drones, buildings, phases, and one for each stream (motion_history, events, metrics ...), all with
    session_id. An existing FILE is never overwritten. Lines that cannot be trusted are left out, counted and reported
    on stderr.
    """
    with open_store(folder, index) as store:
        if query is None:
            _prompt(store, timeout_s, memory_mb)
            return
        suffix = target.suffix[1:].lower() if target is not None else ""
        chosen = form or (suffix if suffix in _FORMATS else "table")
        _write(_answered(store, query, timeout_s, memory_mb, chosen), target)


def _answered(store: SessionStore, query: str, timeout_s: float | None, memory_mb: int, form: str) -> bytes:
    try:
        from sessionstore.analysis.query import ask
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'sessionstore[analysis]'") from error
    answer = ask(store, query, memory_mb, timeout_s)
    table = answer.table(timeout_s)
    for sentence in answer.left_out.sentences():
        click.echo(sentence, err=True)
    return _encoded(table, form)


def _encoded(table: Any, form: str) -> bytes:
    from sessionstore.analysis.answer_formats import encoded

    return _drawn(table).encode() if form == "table" else encoded(table, form)


def _drawn(table: Any) -> str:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sessionstore.analysis.answer_formats import cell
    from sessionstore.cli.output import terminal_width
    from sessionstore.cli.text import shown

    drawn = Table(*map(escape, table.column_names), box=box.SIMPLE_HEAD)
    for row in table.to_pylist():
        drawn.add_row(*(escape(shown(cell(value))) for value in row.values()))
    text = io.StringIO()
    Console(file=text, width=terminal_width() or 200).print(drawn)
    return text.getvalue() + f"{table.num_rows} rows\n"


def _write(data: bytes, target: Path | None) -> None:
    from sessionstore.disk import files

    if target is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    try:
        files.create(target, data)
    except FileExistsError as error:
        raise click.ClickException(f"{target} exists already and was not changed") from error


def _prompt(store: SessionStore, timeout_s: float | None, memory_mb: int) -> None:
    try:
        import readline

        from sessionstore.analysis.query import tables_of
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'sessionstore[analysis]'") from error
    words = [*tables_of(store), "select", "from", "where", "group by", "order by", "limit", "session_id", "sim_time"]

    def complete(beginning: str, number: int) -> str | None:
        fitting = [word for word in words if word.startswith(beginning.lower())]
        return fitting[number] if number < len(fitting) else None

    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    click.echo("A SELECT in one line; Ctrl-D ends. Tables: " + ", ".join(words[: words.index("select")]), err=True)
    while True:
        try:
            query = input("sql> ")
        except EOFError:
            click.echo("", err=True)
            return
        if query.strip():
            try:
                _write(_answered(store, query, timeout_s, memory_mb, "table"), None)
                sys.stdout.buffer.flush()
            except InvalidQuery as error:
                click.echo(f"InvalidQuery: {error}", err=True)
