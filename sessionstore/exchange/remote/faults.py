"""Faults of a remote store: what is tried again, for how long, and which error each becomes.

A connection that is lost, a busy server and a slow one are tried again with growing pauses; what is refused or is not
there is not. A message names the URL without credentials and without a signed query.
Not here: what is transferred (remote.places).
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

from sessionstore.errors import RemoteRefused, RemoteUnavailable, SessionStoreError
from sessionstore.index.url import show_url

Result = TypeVar("Result")
TRIES = 5
FIRST_PAUSE_S = 0.1
#: Classes of libraries that are loaded only when their protocol is used.
_LIBRARY_FAULTS = (
    ("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError"),
    ("asyncssh", "Error"), ("fsspec.exceptions", "FSTimeoutError"),
)  # fmt: skip


def shown(url: str) -> str:
    """Return a URL without credentials; the query of a web address, which may be a signature, is left out."""
    return show_url(urlsplit(url)._replace(query="", fragment="").geturl()) if "://" in url else url


def faults() -> tuple[type[BaseException], ...]:
    """Return the classes by which the loaded libraries report a fault."""
    found: list[type[BaseException]] = [OSError, EOFError, TimeoutError]
    for module, name in _LIBRARY_FAULTS:
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def attempt(
    url: str,
    operation: Callable[[], Result],
    tries: int | None = None,
    given_up: threading.Event | None = None,
) -> Result:
    """Return what the operation returns, tried again after a fault that may pass.

    Args:
        tries: how often at most; TRIES when it is not given.
        given_up: once it is set, nothing is tried any more.

    Raises: FileNotFoundError, FileExistsError: as the store says; RemoteRefused; RemoteUnavailable.
    """
    tries, given_up = tries or TRIES, given_up or threading.Event()
    for number in range(1, tries + 1):
        if given_up.is_set():
            raise RemoteUnavailable(f"{shown(url)} was given up, since another request failed")
        try:
            return operation()
        except (SessionStoreError, FileExistsError):
            raise
        except faults() as given:
            error = _behind(given)
            if isinstance(error, FileNotFoundError):
                raise
            if _status(error) in (401, 403) or isinstance(error, PermissionError):
                raise RemoteRefused(f"{shown(url)}: access is refused ({_about(error, url)})") from None
            if number == tries:
                raise RemoteUnavailable(
                    f"{shown(url)} does not answer, tried {tries} times ({_about(error, url)})"
                ) from None
        given_up.wait(FIRST_PAUSE_S * 2 ** (number - 1) * (0.5 + random.random()))
    raise AssertionError("not reached")


def _behind(error: BaseException) -> BaseException:
    """Return the fault behind an error: of a web address, fsspec calls a lost connection a missing file, too."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, faults()) and _status(cause) not in (404, 410):
        return cause
    return error


def _status(error: BaseException) -> int | None:
    """Return the status of an answer by HTTP, as aiohttp or botocore keeps it."""
    found = getattr(error, "status", None)
    response = getattr(error, "response", None)
    if not isinstance(found, int) and isinstance(response, dict):
        found = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    return found if isinstance(found, int) else None


def _about(error: BaseException, url: str) -> str:
    """Return what an error says, without the secrets of the URL."""
    said = f"{type(error).__name__}: {error}"
    parts = urlsplit(url)
    said = said.replace(url, shown(url))
    for secret in (parts.password, unquote(parts.password or ""), parts.query, quote(parts.query)):
        if secret:
            said = said.replace(secret, "***")
    return said[:300]
