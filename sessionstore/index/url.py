"""Index URLs: which engine, where, and with which settings; what is shown of one never holds a password.

    journal:   sqlite:   sqlite:/var/lib/fleet/index.db?keys=metadata.site   postgresql://user@host/name?timeout_s=2

Settings in the query part, for every SQL engine: ``timeout_s`` (how long anything may wait, 3), ``retry_s`` (how long a
failed engine is left alone, 5), ``keys`` (paths to index, ``metadata.site,metadata.num_drones``); for PostgreSQL also
``pool`` (connections, 8) and ``schema``. Other names go to the driver (``sslmode`` ...).
Not here: the engines (index.journal, index.sqlite, index.postgres).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from sessionstore.errors import InvalidQuery
from sessionstore.index import full_url

DEFAULT_TIMEOUT_S = 3.0
DEFAULT_RETRY_S = 5.0
DEFAULT_POOL = 8
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SECRETS = ("password", "passwd", "sslpassword", "passfile")


@dataclass(frozen=True)
class IndexUrl:
    """One URL, taken apart. ``secrets`` and ``password`` stay out of its repr."""

    scheme: str
    path: str = ""  # of a file; the database's name for a server
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    retry_s: float = DEFAULT_RETRY_S
    pool: int = DEFAULT_POOL
    schema: str = "sessionstore"
    keys: tuple[tuple[str, ...], ...] = ()
    driver: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """Return a text with every secret of this URL masked."""
        secrets = [self.password, *(value for name, value in self.driver.items() if name in _SECRETS)]
        for secret in secrets:
            if secret:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text


def url_of_database(environment: Mapping[str, str]) -> str:
    """Return the URL of the server that DB_HOST, DB_PORT, DB_NAME and DB_USER name, without the password."""
    host, user = environment["DB_HOST"], quote(environment.get("DB_USER", ""), safe="")
    port, name = environment.get("DB_PORT", "5432"), quote(environment.get("DB_NAME", "sessions"), safe="")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"postgresql://{user + '@' if user else ''}{host}:{port}/{name}"


def with_password(url: str, password: str) -> str:
    """Return the URL with this password, where it names a user and no password."""
    parts = urlsplit(url)
    if parts.password is not None or not parts.username:
        return url
    login, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}:{quote(password, safe='')}@{place}").geturl()


def parse_url(url: str) -> IndexUrl:
    """Return a URL taken apart.

    Raises: InvalidQuery: it cannot be understood; the message does not repeat it, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidQuery(
            f"the index URL ({url.partition(':')[0]}:...) cannot be understood: bad port or host"
        ) from error
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    is_file = parts.scheme in ("journal", "sqlite")
    path = unquote((parts.netloc + parts.path) if is_file else parts.path.removeprefix("/"))
    found = IndexUrl(
        scheme=parts.scheme,
        path=re.sub("^//+", "/", path) if is_file else path,
        host=None if is_file else parts.hostname,
        port=port,
        user=_plain(parts.username),
        password=_plain(parts.password),
        timeout_s=_number(given, "timeout_s", DEFAULT_TIMEOUT_S),
        retry_s=_number(given, "retry_s", DEFAULT_RETRY_S),
        pool=int(_number(given, "pool", DEFAULT_POOL)),
        schema=given.pop("schema", "sessionstore"),
        keys=tuple(_key(text) for text in given.pop("keys", "").split(",") if text),
        driver=given,
    )
    if not _SCHEMA.fullmatch(found.schema) or found.pool < 1:
        raise InvalidQuery("in an index URL, schema is a lower-case name and pool at least 1")
    return found


def show_url(url: str) -> str:
    """Return a URL without its secrets; it opens the same index where the password comes from elsewhere."""
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _SECRETS]
    shown = parts._replace(netloc=login.partition(":")[0] + at + place, query=urlencode(kept, safe="/,.:"))
    # geturl() would drop the two slashes in front of an empty host, which a socket's URL has
    if not shown.netloc and url.startswith(f"{parts.scheme}://") and parts.scheme not in ("journal", "sqlite"):
        return f"{shown.scheme}://{shown.path}" + (f"?{shown.query}" if shown.query else "")
    return shown.geturl()


def kept_url(url: str) -> str | None:
    """Return a URL as format.json keeps it: without secrets, the path of a file absolute; None for the default.

    A file at its default place is named without its path, so that the store can be moved.
    """
    url = full_url(url)
    found = parse_url(url)
    if found.scheme not in ("journal", "sqlite"):
        return show_url(url)
    if not found.path:
        return None if url == "journal:" else url
    query = urlsplit(url).query
    return f"{found.scheme}:{Path(found.path).expanduser().absolute()}" + (f"?{query}" if query else "")


def _plain(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _number(given: dict[str, str], name: str, default: float) -> float:
    text = given.pop(name, None)
    try:
        number = default if text is None else float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1e6:
        raise InvalidQuery(f"{name} is a number above 0, not {text!r}")
    return number


def _key(text: str) -> tuple[str, ...]:
    keys = tuple(text.strip().split("."))
    if len(keys) < 2 or keys[0] != "metadata" or not all(re.fullmatch(r"[\w -]+", key) for key in keys):
        raise InvalidQuery(f"a key to index is a path like metadata.site, not {text!r}")
    return keys
