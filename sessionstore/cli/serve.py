"""``sessionstore serve``: the HTTP API, the web page and the live simulation on one port.

Not here: what is served (server).
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EADDRINUSE
from typing import TYPE_CHECKING

import click

from sessionstore.cli.options import open_store, store_options
from sessionstore.errors import StoreUnusable

if TYPE_CHECKING:
    from socket import socket

    from sessionstore.server.context import Settings

DEFAULT_PORT = 5007


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Port to listen on."
)
@click.option(
    "--token", envvar="SESSIONSTORE_TOKEN", metavar="TEXT", help="Token that requests must carry (SESSIONSTORE_TOKEN)."
)
@click.option(
    "--token-file", type=click.Path(dir_okay=False), metavar="FILE", help="File with the token; created if missing."
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME[:PORT]", help="Another host name of this server.")
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="URL", help="Another origin whose pages may send requests."
)
@store_options
def serve(
    folder: str | None,
    index: str | None,
    host: str,
    port: int,
    token: str | None,
    token_file: str | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
) -> None:
    """Serve the store and the live simulation over HTTP (needs the extra `api`).

    Only this machine can connect by default; any other --host requires a token.
    """
    try:
        from sessionstore.server.context import Settings
        from sessionstore.server.http.security import check_settings
        from sessionstore.server.http.serve import bind, serve, token_from
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'sessionstore[api]'") from error
    from pathlib import Path

    if token_file is not None:
        token = token_from(Path(token_file))
    settings = Settings(host, port, token or None, hosts, tuple(origin.rstrip("/") for origin in origins), index)
    check_settings(settings)
    with open_store(folder, index, create=True) as store, _listening(settings, bind) as listener:
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"http://{shown}:{port}  (store {store.root.path}; Ctrl-C ends)", err=True)
        serve(store, settings, listener)


def _listening(settings: Settings, bind: Callable[[Settings], socket]) -> socket:
    """Return the listening socket; a port that is taken names the option. Raises: StoreUnusable."""
    try:
        return bind(settings)
    except StoreUnusable as error:
        if error.errno == EADDRINUSE:
            reason = f"port {settings.port} is in use; choose another with --port, as --port {settings.port + 1}"
            raise StoreUnusable(EADDRINUSE, reason) from error
        raise
