"""What the checking scripts share: HTTP calls by the standard library, a server of their own, a report.

A failed call raises :class:`CallFailed` with the server's own words. A server that was started here is ended here.
Not here: what is checked (the scripts), the server (server).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import click

DEFAULT_URL = "http://localhost:5007"
_TIMEOUT_S = 90.0
_START_TIMEOUT_S = 30.0


class CallFailed(click.ClickException):
    """The server refused, or cannot be reached; the message is what it said."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The HTTP API of one server."""

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        if "://" not in url:
            url = f"http://{url}"  # localhost:5007, as people type it
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise click.BadParameter(f"{url!r} is not an address like {DEFAULT_URL}")
        self.url = url.rstrip("/")
        self._token = token

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON at an address. Raises: CallFailed."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send JSON, and return the answer. Raises: CallFailed."""
        return self._call("POST", path, body or {})

    def record(self, session_id: str) -> dict[str, Any]:
        """Return a session's record through the database box. Raises: CallFailed."""
        return self.get(f"/api/sessions/db/{quote(session_id, safe='')}")

    def answers(self) -> bool:
        """Whether something listens there; the first call shows whether it is a sessionstore server."""
        try:
            self.get("/api/health")
        except CallFailed as error:
            return error.status is not None
        return True

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
                value = json.load(reply)
        except urllib.error.HTTPError as error:
            raise CallFailed(f"{method} {path}: {error.code} {_detail(error)}", error.code) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)  # what urllib wraps
            raise CallFailed(f"{self.url} does not answer ({method} {path}): {reason}") from error
        if not isinstance(value, dict):
            raise CallFailed(f"{method} {path}: not an object; is this a sessionstore server?", 200)
        return value


def _detail(error: urllib.error.HTTPError) -> str:
    with contextlib.suppress(ValueError, OSError):
        found = json.load(error)
        if isinstance(found, dict):
            return str(found.get("detail", found))
    return str(error.reason)


@contextlib.contextmanager
def server(url: str | None, token: str | None, folder: str | None) -> Iterator[Api]:
    """Give the server at a URL; without one the server on port 5007, started here and ended here when none listens.

    Raises: CallFailed: it did not start, or does not answer.
    """
    api = Api(url or DEFAULT_URL, token)
    if url is not None or api.answers():
        if folder is not None:
            click.echo(f"the server at {api.url} has a store of its own: --dir {folder} is not used", err=True)
        yield api
        return
    port = urlsplit(DEFAULT_URL).port or 5007
    command = [sys.executable, "-m", "sessionstore", "serve", "--port", str(port)]
    command += ["--dir", folder] if folder else []
    environment = {**os.environ, "SESSIONSTORE_TOKEN": token} if token else dict(os.environ)
    click.echo(f"no server on port {port}: starting one", err=True)
    process = subprocess.Popen(command, env=environment)
    try:
        _wait_for(api, process)
        yield api
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(api: Api, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not api.answers():
        if process.poll() is not None:
            raise CallFailed(f"the server ended with {process.returncode} before it answered")
        if time.monotonic() > deadline:
            raise CallFailed(f"the server did not answer within {_START_TIMEOUT_S:g} s")
        time.sleep(0.1)


class Report:
    """What was checked, said line by line; ``failed`` counts."""

    def __init__(self) -> None:
        self.failed = 0

    def check(self, holds: bool, what: str, otherwise: str = "") -> bool:
        """Say whether something holds."""
        mark = click.style("ok    ", fg="green") if holds else click.style("FAILED", fg="red", bold=True)
        self.failed += not holds
        click.echo(f"{mark}  {what}" + (f": {otherwise}" if otherwise and not holds else ""))
        return holds

    def note(self, text: str) -> None:
        """Print a remark that is not a check."""
        click.echo(f"        {text}")

    def end(self, what: str) -> None:
        """Say the verdict, and leave with 0 or 1."""
        click.echo(f"{what}: {'all is well' if not self.failed else f'{self.failed} checks failed'}")
        sys.exit(1 if self.failed else 0)


def server_options(command: Any) -> Any:
    """Add --url, --token and --dir."""
    command = click.option(
        "--url", metavar="URL", help=f"A running server (default: {DEFAULT_URL}, or one of our own)."
    )(command)
    command = click.option("--token", envvar="SESSIONSTORE_TOKEN", metavar="TEXT", help="The server's token.")(command)
    return click.option("--dir", "folder", metavar="FOLDER", help="The store of a server of our own.")(command)
