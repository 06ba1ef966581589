"""What a route is: method, path, schemas and a plain function from a :class:`Call` to a :class:`Reply`.

Handlers know nothing of HTTP libraries and run in worker threads, so that a slow disk delays one request only. Their
input is validated; their errors become problems. The same table makes the routes and the OpenAPI description.
Not here: replies (reply), reading requests and sending replies (app), checks of origin and token (security).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marshmallow import Schema

from sessionstore.errors import InvalidQuery
from sessionstore.server.http.reply import JSON

if TYPE_CHECKING:
    from sessionstore.server.context import Context

MAX_BODY_BYTES = 1 << 20
#: What a file is sent as; a page of another origin cannot send it without asking first.
UPLOAD = "application/octet-stream"


@dataclass(slots=True)
class Call:
    """One request, validated: path parameters, query, body (None when none was sent) and headers."""

    context: Context
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route; ``handler`` is a function (run in a thread) or a coroutine function."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    query: Schema | None = None
    body: Schema | None = None
    body_optional: bool = True
    merge_patch: bool = False  # application/merge-patch+json is taken too; the handler sees it in the content type
    upload: bool = False  # the body is a file: the handler, a coroutine, gets its parts as they come
    raw_body: bool = False  # the body is any JSON document, checked by the handler
    max_body: int = MAX_BODY_BYTES
    reply: Schema | None = None
    status: int = 200
    content_type: str = JSON
    event_schemas: Mapping[str, Any] = field(default_factory=dict)  # of server-sent events: what each carries
    problems: tuple[int, ...] = ()
    description: str = ""
    operation_id: str = ""  # by default the name of the handler

    @property
    def name(self) -> str:
        """The operationId."""
        return self.operation_id or self.handler.__name__


def split_names(text: str | None) -> list[str] | None:
    """Return the items of a comma-separated list; None for none given."""
    if text is None:
        return None
    return [item for item in (part.strip() for part in text.split(",")) if item]


def pick(rows: list[dict[str, Any]], wanted: list[str] | None, allowed: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return only the wanted fields of each row; ``metadata.site`` is one key of a field, under that name.

    Raises: InvalidQuery: an unknown field.
    """
    if wanted is None:
        return rows
    unknown = [name for name in wanted if name.partition(".")[0] not in allowed]
    if unknown:
        raise InvalidQuery(f"unknown field {unknown[0]!r} (known: {', '.join(sorted(allowed))})")
    return [{name: value for name in wanted if (value := _under(row, name)) is not _ABSENT} for row in rows]


_ABSENT: Any = object()


def _under(row: Mapping[str, Any], name: str) -> Any:
    """Return the value under a name such as ``metadata.site``; a key that itself holds dots comes first."""
    if name in row:
        return row[name]
    first, _, rest = name.partition(".")
    inner = row.get(first)
    return _under(inner, rest) if rest and isinstance(inner, Mapping) else _ABSENT
