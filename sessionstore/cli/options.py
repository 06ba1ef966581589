"""The options that all commands share, and the store that they open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sessionstore.store import SessionStore

Command = TypeVar("Command", bound=Callable[..., Any])

dir_option = click.option(
    "--dir", "folder", metavar="FOLDER", help="The store (default: SESSIONSTORE_DIR, the nearest, ./training_sessions)."
)
index_option = click.option(
    "--index", "index", metavar="URL", help="The index engine (default: the engine of the store)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")


def store_options(command: Command) -> Command:
    """Add --dir and --index."""
    return dir_option(index_option(command))


def open_store(folder: str | None, index: str | None) -> SessionStore:
    """Return the store that the options name."""
    import sessionstore

    return sessionstore.open(folder, index)
