"""The OpenAPI 3.1 description, made from the same table as the routes, and a page for people made from it.

The page is plain HTML with one stylesheet of our own: it needs no script, no network and no CDN.
Not here: what the routes do (their modules), schemas (server.routes.api_schemas).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from sessionstore import __version__
from sessionstore.server.http.operations import UPLOAD, Call, Operation
from sessionstore.server.http.problems import PROBLEM
from sessionstore.server.http.reply import Reply, content_etag, encode
from sessionstore.server.routes import api_schemas

_PARAMETER = re.compile(r"{(\w+)}")
_EVERYWHERE = (400, 401, 403, 405, 408, 413, 414, 415, 431)
_ABOUT = """Sessions of simulated fleets: find, watch live, replay, change; and control of the live simulation.
Errors are problem+json (RFC 9457). Instants are UTC, sim_time is seconds since the start, places are metres."""
#: What can be done with a session that was just made.
_LINKS = {
    name: {"operationId": name, "parameters": {"session_id": "$response.body#/session_id"}}
    for name in ("get_session", "change_session", "delete_session", "restore_session", "replay", "export_session")
}
_PATH_HELP = {
    "session_id": "The id of a session; when reading also its uuid, its name, a unique beginning, or `latest`.",
    "name": "A name of letters, digits and the like.",
}


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the description as plain data."""
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="sessionstore", version=__version__, openapi_version="3.1.0", info={"description": _ABOUT},
        plugins=[plugin],
    )  # fmt: skip
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    spec.components.schema("Problem", schema=api_schemas.PROBLEM_REPLY)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, plugin)
    for path, methods in paths.items():
        spec.path(path=path, operations=methods)
    found: dict[str, Any] = spec.to_dict()
    found["security"] = [{}, {"token": []}]
    return found


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return str(kind.__name__).removesuffix("Reply")


def _operation(operation: Operation, plugin: MarshmallowPlugin) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PATH_HELP.get(name, ""),
                "schema": {"type": "string", "minLength": 1},
            }
            for name in _PARAMETER.findall(operation.path)
        ],
        "responses": _responses(operation, plugin),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.query is not None:
        described["parameters"].append({"in": "query", "schema": operation.query})
    if operation.body is not None or operation.raw_body:
        body: Any = operation.body if operation.body is not None else {"type": "object"}
        kinds = ["application/json", *(["application/merge-patch+json"] if operation.merge_patch else [])]
        required = not operation.body_optional or operation.raw_body
        described["requestBody"] = {"required": required, "content": {kind: {"schema": body} for kind in kinds}}
    if operation.upload:
        content = {UPLOAD: {"schema": {"type": "string", "format": "binary"}}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _event(plugin: MarshmallowPlugin, schema: Schema) -> Any:
    """Return the schema of what an event carries: an object, or an array of them."""
    assert plugin.converter is not None
    return plugin.converter.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]


def _responses(operation: Operation, plugin: MarshmallowPlugin) -> dict[str, Any]:
    if operation.content_type == "application/json":
        content: dict[str, Any] = {"schema": operation.reply if operation.reply is not None else {"type": "object"}}
    else:
        content = {"schema": {"type": "string"}}
    if operation.event_schemas:
        content["x-events"] = {name: _event(plugin, schema) for name, schema in operation.event_schemas.items()}
    found: dict[str, Any] = {
        str(operation.status): {"description": operation.summary, "content": {operation.content_type: content}}
    }
    if operation.reply is api_schemas.CREATED_REPLY:
        found[str(operation.status)]["links"] = _LINKS
    if operation.content_type == "text/event-stream":
        found["204"] = {"description": "All was read, and the session has ended: do not come back."}
    if operation.path.endswith("/streams/{name}"):
        found["200"]["content"]["application/x-ndjson"] = {"schema": {"type": "string"}}
    if operation.path.endswith("/streams/{name}") or operation.reply is api_schemas.LIST_REPLY:
        found["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    if operation.path.endswith(("/export", "/artifacts/{name}")):
        found["206"] = {"description": "The range that was asked for", "content": {operation.content_type: content}}
    for status in sorted({*_EVERYWHERE, *operation.problems}):
        content = {PROBLEM: {"schema": "Problem"}}
        if status == 503 and operation.path.endswith("/health"):
            content["application/json"] = {"schema": {"type": "object"}}
        found[str(status)] = {"description": "A problem", "content": content}
    return found


def docs_style(call: Call) -> Reply:
    """Return the stylesheet of the page for people."""
    body = _STYLE.encode()
    return Reply(body, content_type="text/css; charset=utf-8", etag=content_etag(body))


# ---------------------------------------------------------------- the page for people


_HEAD = """<meta name="viewport" content="width=device-width"><link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/tokens.css"><link rel="stylesheet" href="/page.css">
<link rel="stylesheet" href="/docs/style.css">"""
_BAR = """<header id="top"><a class="brand" href="/sessions"><img src="/icon.svg" alt=""><span>sessionstore</span></a>
<nav aria-label="Places"><a href="/sessions">Sessions</a><a href="/compare">Compare</a><a href="/sweeps">Sweeps</a>
<a href="/control">Control</a><a href="/query">Query</a><a href="/trash">Trash</a>
<a href="/docs" aria-current="page">API</a></nav></header>"""


def page(description: dict[str, Any]) -> str:
    """Return the description as one HTML page."""
    tags: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append(_section(method, path, operation, description))
    contents = "".join(f'<a href="#{_text(tag)}">{_text(tag)}</a> ' for tag in tags)
    body = "".join(f'<h2 id="{_text(tag)}">{_text(tag)}</h2>{"".join(found)}' for tag, found in tags.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sessionstore: HTTP API</title>'
        f"{_HEAD}</head><body>{_BAR}"
        f"<main><h1>sessionstore {_text(description['info']['version'])}: HTTP API</h1>"
        f'<p>{_text(_ABOUT)}</p><p>For programs: <a href="/openapi.json">openapi.json</a></p><nav>{contents}</nav>'
        f"{body}</main></body></html>"
    )


def _section(method: str, path: str, operation: dict[str, Any], description: dict[str, Any]) -> str:
    rows = "".join(_parameter(each) for each in operation.get("parameters", []))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = _fields(body, description)
    table = f"<table><tr><th>name</th><th>where</th><th>what</th></tr>{rows}{fields}</table>" if rows + fields else ""
    statuses = ", ".join(sorted(operation["responses"]))
    more = f"<p>{_text(operation['description'])}</p>" if "description" in operation else ""
    return (
        f"<details><summary><code class={method}>{method.upper()}</code> <code>{_text(path)}</code> "
        f"{_text(operation['summary'])}</summary>{more}{table}<p>Answers: {statuses}</p></details>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    about = _about(
        parameter.get("schema", {}), parameter.get("description") or parameter.get("schema", {}).get("description", "")
    )
    return f"<tr><td><code>{_text(parameter['name'])}</code></td><td>{parameter['in']}</td><td>{about}</td></tr>"


def _fields(schema: dict[str, Any], description: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = description["components"]["schemas"].get(name, schema)
    rows = [{"name": field, "in": "body", "schema": each} for field, each in found.get("properties", {}).items()]
    return "".join(map(_parameter, rows))


def _about(schema: dict[str, Any], text: str) -> str:
    kind = schema.get("type", "")
    kind = " or ".join(kind) if isinstance(kind, list) else kind
    limits = [f"{label} {schema[key]}" for key, label in _LIMITS.items() if key in schema]
    return _text(", ".join([str(kind), *limits])) + (f"<br>{_text(text)}" if text else "")


_LIMITS = {"default": "default", "minimum": "from", "maximum": "to", "maxLength": "at most", "enum": "one of"}


def _text(value: object) -> str:
    return html.escape(str(value))


_STYLE = """
body { overflow: auto; }
main { display: block; width: 100%; max-width: 60rem; margin: 0 auto; padding: var(--s4, 16px); overflow: visible; }
main h2 { margin: var(--s6, 24px) 0 var(--s2, 8px); font-size: var(--large, 16px); }
details { border: 1px solid var(--line, #ccc); border-radius: var(--round, 4px); margin: 6px 0;
  background: var(--surface); }
details > * { margin: 8px 12px; } summary { cursor: pointer; }
code.get { color: var(--good, #0a7); } code.post { color: var(--accent, #07c); }
code.patch { color: var(--warn, #a60); } code.delete { color: var(--bad, #c33); }
table { border-collapse: collapse; } th, td { text-align: left; padding: 3px 12px 3px 0; vertical-align: top; }
main > p, main > nav { display: block; }
th { color: var(--ink-2); font-weight: 500; } main nav a { margin-right: 16px; }
"""


def operations(others: Sequence[Operation]) -> list[Operation]:
    """Return the routes of this module, which describe the others and themselves; rendered at the first request."""
    found: list[Operation] = []

    @lru_cache(maxsize=1)
    def rendered() -> tuple[bytes, bytes]:
        described = describe([*others, *found])
        return encode(described), page(described).encode()

    def openapi(call: Call) -> Reply:
        """Return the OpenAPI description."""
        body = rendered()[0]
        return Reply(body, etag=content_etag(body))

    def docs(call: Call) -> Reply:
        """Return the page for people."""
        body = rendered()[1]
        return Reply(body, content_type="text/html; charset=utf-8", etag=content_etag(body))

    page_type: dict[str, Any] = {"content_type": "text/html; charset=utf-8"}
    found += [
        Operation("GET", "/openapi.json", openapi, "Get this description", "server", reply=api_schemas.ANY_REPLY),
        Operation("GET", "/docs", docs, "Read this description", "server", **page_type),
        Operation(
            "GET", "/docs/style.css", docs_style, "Get the stylesheet of the page", "server",
            content_type="text/css; charset=utf-8",
        ),
    ]  # fmt: skip
    return found
