"""``sessionstore set``: edit the name, tags, notes and metadata of a session; ``undo`` reverses it.

Not here: changes by programs (session.handle).
"""

from __future__ import annotations

import json
from typing import Any

import click

from sessionstore.cli import output, text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.lookup import find_session
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.errors import InvalidRecord


@click.command("set")
@click.argument("session", shell_complete=complete_sessions)
@click.option("--name", help="The new name; id and folder keep theirs.")
@click.option("--tag", "tags", multiple=True, help="Add a tag.")
@click.option("--untag", "untags", multiple=True, help="Remove a tag.")
@click.option("--notes", help="Replace the notes.")
@click.option("--meta", "meta", multiple=True, metavar="KEY=VALUE", help="Set metadata; VALUE is JSON, or text.")
@click.option("--unset", "unset", multiple=True, metavar="KEY", help="Remove metadata.")
@click.option("--if-rev", type=int, help="Only if the record still has this revision.")
@json_option
@store_options
def set_command(
    session: str, name: str | None, tags: tuple[str, ...], untags: tuple[str, ...], notes: str | None,
    meta: tuple[str, ...], unset: tuple[str, ...], if_rev: int | None, as_json: bool, folder: str | None,
    index: str | None,
) -> None:  # fmt: skip
    """Edit name, tags, notes and metadata; exit code 5 if the record no longer has the revision --if-rev."""
    pairs = dict(_pair(each) for each in meta)
    if name is None and notes is None and not (tags or untags or pairs or unset):
        raise click.UsageError("nothing to change: give --name, --tag, --untag, --notes, --meta or --unset")

    def change(record: dict[str, Any]) -> None:
        if name is not None:
            record["session_name"] = name
        if notes is not None:
            record["notes"] = notes
        record["tags"] = [tag for tag in dict.fromkeys((*record["tags"], *tags)) if tag not in untags]
        record["metadata"] = {key: value for key, value in {**record["metadata"], **pairs}.items() if key not in unset}

    with open_store(folder, index) as store:
        found = find_session(store, session)
        record = store.edit(found.session_id, change, if_rev=if_rev)  # so that `undo` can take it back
        if as_json:
            output.print_json(record.to_dict())
        else:
            click.echo(f"{text.shown(found.session_id)} is now at revision {record.rev}", err=True)


def _pair(text_given: str) -> tuple[str, Any]:
    key, equals, value = text_given.partition("=")
    if not equals or not key:
        raise InvalidRecord(f"--meta takes KEY=VALUE, not {text_given!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
