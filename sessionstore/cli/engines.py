"""`sessionstore migrate` and `sessionstore engines`: move the index to another engine; show the engine of a store.

Not here: the move itself (index.migration), the engines (index).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli.options import dir_option, index_option, json_option, open_store, require_store, store_options

if TYPE_CHECKING:
    from sessionstore.index import SessionIndex
    from sessionstore.index.migration import Moved
    from sessionstore.store import SessionStore


@click.command()
@click.option("--to", "target_url", required=True, metavar="URL", help="journal:, sqlite:[FILE] or postgresql://...")
@click.option("--from-folders", is_flag=True, help="Fill the new engine from the folders; the old engine is not used.")
@click.option("--keep", is_flag=True, help="Copy only; the store keeps its present engine.")
@dir_option
@index_option
@json_option
def migrate(
    folder: str | None, index: str | None, target_url: str, from_folders: bool, keep: bool, as_json: bool
) -> None:
    """Move the index to another engine and make the store use it.

    Every row is compared after the move. An interrupted move continues where it stopped; moving back gives the
    same bytes. Passwords are not stored: they come from DB_PASSWORD, PGPASSWORD or ~/.pgpass.
    """
    import os

    from sessionstore.index import choose_url, open_index
    from sessionstore.index.url import kept_url

    require_store(folder)
    with open_store(folder, index) as store:
        store.root.prepare()
        target = open_index(choose_url(target_url, os.environ, {}), store.root.path, store.root.quarantine)
        try:
            moved = _move(store, target, from_folders, quiet=as_json)
        finally:
            target.close()
        if not keep:
            store.root.configure(index=kept_url(target_url))
        if as_json:
            click.echo(json.dumps({"from": store.index.url, "to": target.url, **_facts(moved)}))
        else:
            click.echo(f"{moved.rows} rows in {target.url}, {moved.written} written, sha256 {moved.digest}")


def _facts(moved: Moved) -> dict[str, Any]:
    return {"rows": moved.rows, "written": moved.written, "removed": moved.removed, "sha256": moved.digest}


def _move(store: SessionStore, target: SessionIndex, from_folders: bool, quiet: bool) -> Moved:
    from sessionstore.cli.progress import progress
    from sessionstore.errors import IndexUnavailable
    from sessionstore.index.migration import Moved, digest, move, own_rows

    if from_folders:
        rows = store.catalog.fill(target)
        return Moved(rows, rows, 0, digest(own_rows(target)))
    try:
        store.catalog.reconcile()
    except IndexUnavailable as error:
        raise IndexUnavailable(f"{error}; with --from-folders the old engine is not needed") from error
    with progress("moving", "rows", quiet) as report:
        return move(store.index, target, report)


@click.command()
@click.option("--forget", metavar="HOST:FOLDER", help="Remove a store that no longer exists from a shared index.")
@store_options
@json_option
def engines(folder: str | None, index: str | None, as_json: bool, forget: str | None) -> None:
    """Show the engine of the store, its figures, and the stores of all hosts that share it."""
    from sessionstore.errors import InvalidQuery, SessionNotFound
    from sessionstore.index import SharedByStores

    with open_store(folder, index) as store:
        if forget is not None:
            host, _, path = forget.partition(":")
            if not isinstance(store.index, SharedByStores):
                raise InvalidQuery(f"{store.index.url} has no stores of other hosts")
            if not store.index.forget(host, path):
                raise SessionNotFound(f"no store is registered as {forget}")
        facts = store.index.health()
        shared = store.index.stores() if isinstance(store.index, SharedByStores) else []
        stores = [{**each, "seen_at": each["seen_at"].isoformat()} for each in shared]
    if as_json:
        click.echo(json.dumps({**facts, "registered": stores}))
        return
    for name, value in facts.items():
        click.echo(f"{name:<12} {value}")
    for each in stores:
        click.echo(f"store        {each['host']}:{each['path']}, {each['rows']} rows, last opened {each['seen_at']}")
