"""``sessionstore docs``: the reference pages that ship with the package.

Not here: the pages (sessionstore/docs), the help of single commands (``COMMAND --help``).
"""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import Any

import click

from sessionstore.cli import output
from sessionstore.errors import SessionNotFound
from sessionstore.query.checks import suggestion


def _pages() -> dict[str, Any]:
    folder = files("sessionstore") / "docs"
    return {page.name.removesuffix(".md"): page for page in folder.iterdir() if page.name.endswith(".md")}


def complete_topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the topics that begin as typed."""
    return [name for name in sorted(_pages()) if name.startswith(incomplete)]


@click.command()
@click.argument("topic", required=False, shell_complete=complete_topics)
def docs(topic: str | None) -> None:
    """Show a page of the documentation; without TOPIC, list the topics."""
    pages = _pages()
    if topic is None:
        width = max(map(len, pages))
        for name in sorted(pages):
            click.echo(f"{name:<{width}}  {pages[name].read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}")
        return
    page = pages.get(topic.lower().removesuffix(".md"))
    if page is None:
        hint = suggestion(topic, pages) or f" (there are: {', '.join(sorted(pages))})"
        raise SessionNotFound(f"there is no page {topic!r}{hint}")
    text = page.read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.markdown import Markdown

    output.console().print(Markdown(text))
