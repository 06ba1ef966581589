"""``formats``: the foreign formats that can be imported and exported, and what each needs.

Not here: the formats themselves (formats, legacy).
"""

from __future__ import annotations

import json

import click

from sessionstore.cli import text
from sessionstore.cli.options import json_option


@click.command("formats")
@json_option
def formats_command(as_json: bool) -> None:
    """List the formats: whether each reads and writes, the modules it lacks, and how they are installed."""
    from sessionstore.formats import formats

    found = [each.to_dict() for each in formats()]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    rows = []
    for each in found:
        missing = each["missing"]
        needs = f"needs {', '.join(missing)}: {each['install']}" if isinstance(missing, list) and missing else "ready"
        state = each["problem"] or needs
        ways = " ".join(word for word, can in (("read", each["reads"]), ("write", each["writes"])) if can)
        rows.append((each["name"], ways, state, text.shown(str(each["about"]))))
    click.echo(text.table(("format", "can", "state", "about"), rows))
