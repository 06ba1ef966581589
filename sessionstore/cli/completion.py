"""``sessionstore completion``: the shell script that completes commands, options and values.

Completion of values is silent: in a folder without a store nothing is proposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

if TYPE_CHECKING:
    from sessionstore.store import SessionStore

_MOST = 200


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell, e.g. `eval "$(sessionstore completion bash)"`."""
    from sessionstore.cli import group

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(found(group, {}, "sessionstore", "_SESSIONSTORE_COMPLETE").source())


def _store(ctx: click.Context) -> SessionStore:
    from sessionstore.cli.options import open_store

    return open_store(ctx.params.get("folder"), ctx.params.get("index"))


def complete_sessions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids and names that begin as typed, the newest first, and latest."""
    from sessionstore.errors import SessionStoreError

    try:
        with _store(ctx) as store:
            rows = store.find(verify=False)
    except (SessionStoreError, OSError):
        return []
    names = ["latest", *(name for row in rows for name in (row.session_id, row.session_name) if name)]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)][:_MOST]


def complete_streams(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the streams of the session named before."""
    from sessionstore.errors import SessionStoreError

    try:
        with _store(ctx) as store:
            names = list(store.get(ctx.params.get("session") or "latest").tapes())
    except (SessionStoreError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_scenarios(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Return the ready scenarios, else files."""
    from click.shell_completion import CompletionItem

    from sessionstore.simulation.running.scenarios import ready_scenarios

    found = [name for name in ready_scenarios() if name.startswith(incomplete)]
    return list(found) or [CompletionItem(incomplete, type="file")]


def complete_fields(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the fields of a filter that begin as typed, and statuses after ``status=``."""
    from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS

    field, sign, value = incomplete.partition("=")
    if sign and field in FILTER_FIELDS:
        return [f"{field}={each}" for each in FILTER_FIELDS[field].choices if each.startswith(value)]
    return [name for name in (*FILTER_FIELDS, *FILTER_ALIASES) if name.startswith(incomplete)]


def complete_columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the columns that continue a comma-separated list."""
    from sessionstore.cli.columns import COLUMNS
    from sessionstore.model.row import FILTER_FIELDS

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in dict.fromkeys((*COLUMNS, *FILTER_FIELDS)) if name.startswith(last)]
