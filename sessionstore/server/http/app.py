"""The application: the table of operations as routes, requests read and checked, replies sent.

Every operation gets validated values and runs in a worker thread (or as a coroutine, when it says so); all that it
raises is answered as a problem. Bodies are parsed strictly: duplicate keys, NaN, lone surrogates and numbers without
end are refused before a schema sees them.
Not here: which operations there are (routes), who may call (security), sockets (protocol).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import anyio.to_thread
from marshmallow import Schema, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.model import json_text
from sessionstore.server.context import Context
from sessionstore.server.http.operations import UPLOAD, Call, Operation
from sessionstore.server.http.page_files import web_files
from sessionstore.server.http.problems import PROBLEM, ApiProblem, Problem, problem_of
from sessionstore.server.http.reply import Reply, Stream, encode
from sessionstore.server.http.responses import respond
from sessionstore.server.http.security import Gate
from sessionstore.server.http.session_fast_path import Shortcut
from sessionstore.server.routes.table import all_operations

_WORKERS = 40


def build_app(context: Context) -> Gate:
    """Return the ASGI application of one server."""
    operations = all_operations()
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation
    routes = [Route(path, Resource(methods, context)) for path, methods in paths.items()]
    inner = Starlette(routes=routes, lifespan=lambda app: _lifespan(context))
    inner.add_exception_handler(HTTPException, _page_or_problem)
    inner.add_exception_handler(ApiProblem, _refused)  # a body that came too slowly
    return Gate(Shortcut(inner, context.documents), context.settings)


@contextlib.asynccontextmanager
async def _lifespan(context: Context) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _WORKERS
    try:
        yield
    finally:
        await context.close()


class Resource:
    """All methods of one path, as an ASGI application."""

    def __init__(self, operations: Mapping[str, Operation], context: Context) -> None:
        self._operations = dict(operations)
        self._context = context
        self._allowed = ", ".join(sorted({*operations, *(["HEAD"] if "GET" in operations else []), "OPTIONS"}))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operation = self._operations.get(method)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"allow": self._allowed})
        if operation is None:
            problem = Problem(405, "method-not-allowed", f"allowed here: {self._allowed}")
            return _problem_response(problem, {"allow": self._allowed})
        try:
            call = Call(
                self._context,
                request.path_params,
                _query(operation.query, request.scope["query_string"]),
                await _body(operation, request),
                request.headers,
            )
            return await _run(operation, call, request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  # the last resort: everything becomes a problem, bugs are logged there
            return _problem_response(problem_of(error, self._context.hidden))


async def _run(operation: Operation, call: Call, request: Request) -> Response:
    if inspect.iscoroutinefunction(operation.handler):
        result = await operation.handler(call)
        if isinstance(result, Reply):
            await anyio.to_thread.run_sync(result.pack)
    else:
        result = await anyio.to_thread.run_sync(_work, operation, call)
    if isinstance(result, Stream):
        parts = result.parts if isinstance(result.parts, AsyncIterator) else iterate_in_threadpool(result.parts)
        return StreamingResponse(parts, result.status, result.headers, media_type=result.content_type)
    return _respond(result, request)


def _work(operation: Operation, call: Call) -> Reply | Stream:
    result: Reply | Stream = operation.handler(call)
    if isinstance(result, Reply) and "gzip" in call.headers.get("accept-encoding", ""):
        result.pack()
    return result


def _respond(reply: Reply, request: Request) -> Response:
    given = request.headers
    return respond(reply, given.get("if-none-match"), given.get("accept-encoding", ""))


# ---------------------------------------------------------------- reading


def _query(schema: Schema | None, raw: bytes) -> Mapping[str, Any]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError) as error:
        raise ApiProblem(400, "bad-query", "the query is not UTF-8, or has too many parameters") from error
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise ApiProblem(400, "bad-query", f"the parameter {name!r} stands twice")
        given[name] = value
    if schema is None:
        if given:
            raise ApiProblem(400, "bad-query", f"unknown parameter {next(iter(given))!r}")
        return {}
    return _load(schema, given, "bad-query")


async def _body(operation: Operation, request: Request) -> Any:
    if request.method in ("GET", "HEAD"):
        return None
    if not operation.merge_patch and "merge-patch" in request.headers.get("content-type", ""):
        raise ApiProblem(415, "not-json", "a merge patch is for PATCH of a session; send application/json here")
    if operation.upload:
        return _parts(request, operation.max_body)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == UPLOAD:
        raise ApiProblem(415, "not-json", "no file is taken here; send application/json")
    data = await _read(request, operation.max_body)
    if operation.body is None and not operation.raw_body:
        if data and await anyio.to_thread.run_sync(parse_json, data) != {}:
            raise ApiProblem(400, "bad-body", "no body is expected here, or {}")
        return None
    if not data:
        if operation.body_optional and operation.body is not None:
            return _load(operation.body, {}, "bad-body")
        raise ApiProblem(400, "bad-body", "a JSON body is needed here")
    value = await anyio.to_thread.run_sync(parse_json, data)
    return value if operation.body is None else _load(operation.body, value, "bad-body")


async def _read(request: Request, most: int) -> bytes:
    return b"".join([part async for part in _parts(request, most)])


async def _parts(request: Request, most: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes. Raises: ApiProblem: it is too large."""
    too_large = ApiProblem(413, "too-large", f"a body has at most {most:,} bytes here")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise too_large
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        yield part


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON body, plain: no infinities, no depth beyond 200. Raises: ApiProblem."""
    try:
        return json_text.plain(json_text.parse(data, "the body"), "body")
    except (Corrupt, InvalidRecord) as error:
        raise ApiProblem(400, "bad-json", str(error)) from error


def _load(schema: Schema, value: Any, kind: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ApiProblem(400, kind, "the body is an object")
    try:
        loaded: Mapping[str, Any] = schema.load(value)
    except ValidationError as error:
        problems = list(_flat(error.messages))
        detail = "; ".join(f"{name}: {reason}" for name, reason in problems[:10])
        raise ApiProblem(400, kind, detail, errors=dict(problems[:100])) from error
    return loaded


def _flat(messages: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path[:200], " ".join(map(str, messages)) if isinstance(messages, list) else str(messages)


# ---------------------------------------------------------------- problems


def _problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    body = encode(problem.to_dict())
    return Response(body, problem.status, {**problem.headers, **(headers or {})}, media_type=PROBLEM)


async def _page_or_problem(request: Request, error: Exception) -> Response:
    """Answer what no route did: the files of the web page, else a problem."""
    path = request.scope["path"]
    if request.method in ("GET", "HEAD") and not path.startswith("/api/"):
        found = web_files().find(path)
        if found is not None:
            return _respond(found, request)
        if "text/html" in request.headers.get("accept", "") and (page := web_files().find("/")) is not None:
            return Response(page.body, 404, media_type="text/html")  # the page says that there is nothing here
        if path == "/":
            return Response(status_code=307, headers={"location": "/docs"})  # installed without the page
    status = error.status_code if isinstance(error, HTTPException) else 500
    kind, detail = ("no-such-route", "unknown address; see /docs") if status == 404 else ("refused", "")
    return _problem_response(Problem(status, kind, detail))


async def _refused(request: Request, error: Exception) -> Response:
    return _problem_response(problem_of(error))
