"""Who may call, from where, with what: checked before any route is looked at.

    Host            exactly one, and one of ours: a page that rebinds its name to 127.0.0.1 gets 400
    Origin          writes from foreign pages, from ``null`` and from cross-site fetches get 403
    Content-Type    a body is ``application/json`` and nothing that resembles it: 415
    token           constant-time compare, in the header only; 401 before anything says what exists
    size and pace   bodies over the limit get 413, bodies that trickle 408

A browser may bring the token once, as ``?token=`` of a page: it becomes a cookie (HttpOnly, SameSite=Strict) that does
not hold the token itself. Every reply forbids sniffing, framing and foreign scripts.
Not here: sockets without a request (protocol), what a body may hold (server.routes.api_schemas).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sessionstore.errors import InvalidQuery
from sessionstore.server.context import Settings
from sessionstore.server.http.problems import PROBLEM, ApiProblem, problem_of

Headers = list[tuple[bytes, bytes]]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
COOKIE = "sessionstore"
BODY_TIMEOUT_S = 30.0
MAX_TARGET_BYTES = 16_384
MAX_HEADERS, MAX_HEADER_BYTES = 100, 32_768
SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
POLICY = (
    b"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; "
    b"connect-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_settings(settings: Settings) -> None:
    """Refuse to serve others without a token.

    Raises: InvalidQuery: naming what is missing; nothing was opened.
    """
    if not is_loopback(settings.host) and not settings.token:
        raise InvalidQuery(f"{settings.host} can be reached by others: give --token (or SESSIONSTORE_TOKEN)")
    if settings.token is not None and (len(settings.token) < 8 or not settings.token.isascii()):
        raise InvalidQuery("a token has at least 8 plain characters")


def split_host(value: str) -> tuple[str, str]:
    """Return (name, port) of a Host value: lower case, without brackets and one trailing dot; port "" when not said.

    Raises: ApiProblem: it is not a host name.
    """
    bad = ApiProblem(400, "bad-host", "the Host header is not a host")
    if value.startswith("["):
        name, closing, rest = value[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise bad
        port = rest[1:]
    else:
        name, _, port = value.partition(":")
        name = name.removesuffix(".")
    if not name or (port and not (port.isascii() and port.isdigit())) or value.endswith(":"):
        raise bad
    return name.lower(), port


class Gate:
    """The ASGI application in front of all others."""

    def __init__(self, app: Any, settings: Settings, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        self.app = app
        self.settings = settings
        self._body_timeout_s = body_timeout_s
        self._hosts = self._allowed_hosts()
        self._secret = secrets.token_bytes(32)  # cookies end with the process that gave them

    def _allowed_hosts(self) -> set[tuple[str, str | None]]:
        port = str(self.settings.port)
        ours = [*_LOOPBACK, self.settings.host.lower().strip("[]")]
        if not is_loopback(self.settings.host):
            ours.append(socket.gethostname().lower())
        found: set[tuple[str, str | None]] = {
            (name, port)
            for name in ours
            if name not in ("0.0.0.0", "::", "")  # an address to bind, not to be called
        }
        for host in self.settings.hosts:
            name, given = split_host(host)
            found.add((name, given or None))
        return found

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _Headers(scope["headers"])
        origin = headers.one("origin")
        reply = _Decorated(send, self._cors(origin))
        try:
            redirect = self.check(scope, headers)
        except ApiProblem as error:
            await _send_problem(reply, error)
            return
        if redirect is not None:
            await _send(reply, 303, redirect, b"")
            return
        if scope["method"] == "OPTIONS" and origin is not None and headers.one("access-control-request-method"):
            await _send(reply, 204, [], b"")
            return
        is_file = (headers.one("content-type") or "").startswith(BODY_TYPES[2])
        body = _TimedBody(receive, self._body_timeout_s, each=is_file)
        await self.app(scope, body, reply)

    # ------------------------------------------------------------ checks

    def check(self, scope: Any, headers: _Headers) -> Headers | None:
        """Return None for a request that may go on, or the headers of a redirect that sets the cookie.

        Raises: ApiProblem.
        """
        if not scope["raw_path"].startswith(b"/"):  # a request for a proxy
            raise ApiProblem(400, "bad-address", "an address begins with a slash")
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            raise ApiProblem(414, "address-too-long", f"an address has at most {MAX_TARGET_BYTES} bytes")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise ApiProblem(431, "headers-too-large", f"the headers have at most {MAX_HEADER_BYTES} bytes")
        if len(scope["headers"]) > MAX_HEADERS:
            raise ApiProblem(431, "too-many-headers", f"a request has at most {MAX_HEADERS} headers")
        if headers.one("transfer-encoding") is not None and headers.one("content-length") is not None:
            # Two lengths for one body are how a request is smuggled past a proxy (RFC 9112, 6.3).
            raise ApiProblem(400, "two-lengths", "a request has Content-Length or Transfer-Encoding, not both")
        self._check_host(headers)
        redirect = self._check_token(scope, headers)
        if scope["method"] not in SAFE_METHODS:
            self._check_origin(headers)
            _check_content_type(headers)
        return redirect

    def _check_host(self, headers: _Headers) -> None:
        hosts = headers.all("host")
        if len(hosts) != 1:
            raise ApiProblem(400, "bad-host", "a request names its host exactly once")
        name, port = split_host(hosts[0])
        if (name, port or "80") not in self._hosts and (name, None) not in self._hosts:
            raise ApiProblem(400, "bad-host", "this server is not called that; see --allow-host")

    def _check_origin(self, headers: _Headers) -> None:
        origins = headers.all("origin")
        if len(origins) > 1 or any(not self._may_write(origin, headers) for origin in origins):
            raise ApiProblem(403, "foreign-origin", "a page of another origin may not change anything here")
        site = headers.one("sec-fetch-site")
        if site not in (None, "same-origin", "none") and not (origins and origins[0] in self.settings.origins):
            raise ApiProblem(403, "foreign-origin", "a page of another site may not change anything here")

    def _may_write(self, origin: str, headers: _Headers) -> bool:
        if origin in self.settings.origins:
            return True
        scheme, _, host = origin.partition("://")
        if scheme not in ("http", "https"):
            return False  # "null" and extensions
        try:
            asked = split_host(headers.all("host")[0])
            return split_host(host) == asked
        except ApiProblem:
            return False

    def _cors(self, origin: str | None) -> Headers:
        if origin is None or origin not in self.settings.origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
            (b"access-control-allow-headers", b"authorization, content-type, if-match, if-none-match, last-event-id"),
            (b"access-control-expose-headers", b"etag, location, x-next-offset"),
            (b"vary", b"origin"),
        ]

    # ------------------------------------------------------------ token

    def _check_token(self, scope: Any, headers: _Headers) -> Headers | None:
        token = self.settings.token
        if token is None or (scope["method"] == "OPTIONS" and headers.one("access-control-request-method")):
            return None
        given = headers.one("authorization") or ""
        kind, _, shown = given.partition(" ")
        if kind.lower() == "bearer" and _same(shown.strip(), token):
            return None
        if self._cookie_is_ours(headers):
            return None
        if scope["method"] == "GET" and not scope["path"].startswith("/api/"):
            query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            if any(name == "token" and _same(value, token) for name, value in query):
                rest = urlencode([(name, value) for name, value in query if name != "token"])
                target = scope["raw_path"].decode("latin-1") + (f"?{rest}" if rest else "")
                return [
                    (b"location", ("/" + target.lstrip("/")).encode("latin-1")),  # never //elsewhere
                    (b"set-cookie", self._new_cookie().encode()),
                    (b"cache-control", b"no-store"),
                ]
        raise ApiProblem(401, "token-needed", "send the header Authorization: Bearer TOKEN")

    def _new_cookie(self) -> str:
        made = f"{int(time.time())}"
        return f"{COOKIE}={made}.{self._sign(made)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=86400"

    def _sign(self, made: str) -> str:
        return hmac.new(self._secret, made.encode(), hashlib.sha256).hexdigest()

    def _cookie_is_ours(self, headers: _Headers) -> bool:
        for line in headers.all("cookie"):
            for part in line.split(";"):
                name, _, value = part.strip().partition("=")
                made, _, signature = value.partition(".")
                if name == COOKIE and _same(signature, self._sign(made)) and time.time() - int(made) < 86400:
                    return True
        return False


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())


#: A merge patch (RFC 7396) is JSON with a meaning of its own, a file is taken by few; the others refuse them. None of
#: them can be sent by a form of another page.
BODY_TYPES = ("application/json", "application/merge-patch+json", "application/octet-stream")


def _check_content_type(headers: _Headers) -> None:
    """Refuse bodies that are neither JSON nor a file; a request without a body needs no type."""
    types = headers.all("content-type")
    if not types and headers.one("transfer-encoding") is None and (headers.one("content-length") or "0") == "0":
        return
    kind, _, parameter = (types[0] if len(types) == 1 else "").partition(";")
    if kind.strip().lower() not in BODY_TYPES or parameter.strip().lower() not in ("", "charset=utf-8"):
        raise ApiProblem(415, "not-json", "a body is sent as Content-Type: application/json")


class _Headers:
    """The headers of a request, by lower-case name."""

    def __init__(self, pairs: Headers) -> None:
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for value in self._values.get(name.encode(), ())]

    def one(self, name: str) -> str | None:
        found = self._values.get(name.encode())
        return found[0].decode("latin-1") if found else None


class _TimedBody:
    """Receives a body within a time: who sends byte by byte does not keep a worker."""

    def __init__(self, receive: Any, timeout_s: float, each: bool = False) -> None:
        self._receive = receive
        self._deadline = time.monotonic() + timeout_s
        self._each_s = timeout_s if each else None  # a file may be long: the time is that of each part
        self._complete = False

    async def __call__(self) -> Any:
        if self._complete:
            return await self._receive()  # waits for the client to leave
        left_s = self._deadline - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.001, left_s))
        except TimeoutError as error:
            raise ApiProblem(408, "too-slow", "the body did not arrive in time") from error
        if self._each_s is not None:
            self._deadline = time.monotonic() + self._each_s
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message


class _Decorated:
    """Adds the security headers to every reply."""

    def __init__(self, send: Any, more: Headers) -> None:
        self._send = send
        self._more = more

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {name for name, _ in given}
            policy = [] if b"content-security-policy" in names else [(b"content-security-policy", POLICY)]
            cache = [] if b"cache-control" in names else [(b"cache-control", b"no-cache")]
            message = {**message, "headers": [*given, *SECURITY_HEADERS, *policy, *cache, *self._more]}
        await self._send(message)


async def _send_problem(send: Any, error: ApiProblem) -> None:
    problem = problem_of(error)
    headers: Headers = [(b"content-type", PROBLEM.encode()), (b"connection", b"close")]
    if problem.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="sessionstore"'))
    await _send(send, problem.status, headers, json.dumps(problem.to_dict()).encode())


async def _send(send: Any, status: int, headers: Headers, body: bytes) -> None:
    sized = headers if status == 204 else [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body})
