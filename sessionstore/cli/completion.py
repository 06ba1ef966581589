"""``completion``: the shell script that completes commands, options and values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell, e.g. `eval "$(sessionstore completion bash)"`."""
    from sessionstore.cli import group

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(found(group, {}, "sessionstore", "_SESSIONSTORE_COMPLETE").source())
