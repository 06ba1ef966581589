"""The options that all commands share, and the store that they open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sessionstore.errors import StoreNotFound

if TYPE_CHECKING:
    from sessionstore.store import SessionStore

Command = TypeVar("Command", bound=Callable[..., Any])

dir_option = click.option(
    "--dir", "folder", metavar="FOLDER", help="The store, a URL or a ZIP (default: SESSIONSTORE_DIR, the nearest)."
)
index_option = click.option(
    "--index", "index", metavar="URL", help="The index engine (default: the engine of the store)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")


def store_options(command: Command) -> Command:
    """Add --dir and --index."""
    return dir_option(index_option(command))


def require_store(folder: str | None) -> None:
    """Refuse a path where there is no store, so that a mistyped path is neither healthy nor made.

    A folder of copied sessions is a store, though nothing was written to it yet.

    Raises: StoreNotFound.
    """
    from sessionstore.layout import DOCUMENT, PRIVATE, nearest_store, resolve

    root = resolve(folder)
    near = nearest_store(root)
    hint = f"; the nearest store is {near}" if near is not None else ""
    if not root.is_dir():
        raise StoreNotFound(f"there is no store at {root}{hint}")
    if not (root / PRIVATE).is_dir() and next(root.glob(f"*/{DOCUMENT}"), None) is None:
        raise StoreNotFound(f"{root} is not a store: it holds neither {PRIVATE} nor a session{hint}")


def open_store(folder: str | None, index: str | None, create: bool = False) -> SessionStore:
    """Return the store that the options name.

    Args:
        create: a folder that does not exist will be made by the first write.

    Raises: StoreNotFound: a file, or a named folder that does not exist; the message names the nearest store.
    """
    import sessionstore

    store = sessionstore.open(folder, index)
    if create:
        store.root.must_exist = False
    store.catalog.check_exists()
    return store
