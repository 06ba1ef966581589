"""Who may call, from where, with what: each case of the security rules, against a real socket."""

from __future__ import annotations

import http.client
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstore.errors import InvalidQuery
from sessionstore.server.context import Settings
from sessionstore.server.http.security import check_settings, split_host
from sessionstore.server.http.serve import token_from
from tests.server.conftest import Running

TOKEN = "correct-horse-battery"
JSON = {"content-type": "application/json"}


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def get_with(running: Running, *headers: str, path: str = "/api/sessions") -> int:
    lines = "".join(f"{header}\r\n" for header in headers)
    return status(running.raw(f"GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode()))


# ---------------------------------------------------------------- host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]"])
def test_our_own_names_are_answered(shared: Running, host: str) -> None:
    assert get_with(shared, f"Host: {host}:{shared.port}") == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.evil.com", "evil.com", "0.0.0.0", "127.0.0.2", "localhost..", "[::1", "[::2]", "", ":", "localhost:",
        "user@localhost", "127.1", "2130706433", "localhost:5007:5007", "localhost, evil.com", "[::1]evil",
    ],
)  # fmt: skip
def test_other_names_are_refused(shared: Running, host: str) -> None:
    value = host if ":" in host and not host.startswith("[") else f"{host}:{shared.port}"
    assert get_with(shared, f"Host: {value}") == 400


def test_a_wrong_port_a_missing_and_a_second_host_are_refused(shared: Running) -> None:
    assert get_with(shared, "Host: localhost:1") == 400
    assert get_with(shared, "Host: localhost") == 400
    assert get_with(shared) == 400
    assert get_with(shared, f"Host: localhost:{shared.port}", "Host: evil.com") == 400
    assert status(shared.raw(b"GET /api/sessions HTTP/1.0\r\n\r\n")) == 400


def test_a_further_name_can_be_allowed(serve_with: Callable[..., Running]) -> None:
    running = serve_with(hosts=("lab.example", "exact.example:8443"))
    assert get_with(running, "Host: lab.example:9999") == 200
    assert get_with(running, "Host: exact.example:8443") == 200
    assert get_with(running, "Host: exact.example:8444") == 400


def test_hosts_are_split_as_browsers_do() -> None:
    assert split_host("Example.COM.:80") == ("example.com", "80")
    assert split_host("[::1]:5007") == ("::1", "5007")


# ---------------------------------------------------------------- origin


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.com"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"origin": "chrome-extension://abc"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_foreign_pages_may_not_write(shared: Running, headers: dict[str, str]) -> None:
    before = shared.client.get("/api/sessions").json()["total"]
    for method, path in (("POST", "/api/sessions"), ("POST", "/api/stop"), ("DELETE", "/api/sessions/x")):
        reply = shared.client.request(method, path, headers={**headers, **JSON}, content=b"{}")
        assert reply.status_code == 403, (method, path)
        assert "access-control-allow-origin" not in reply.headers
    assert shared.client.get("/api/sessions").json()["total"] == before


def test_our_own_page_may_write(shared: Running) -> None:
    headers = {"origin": shared.url, "sec-fetch-site": "same-origin"}
    assert shared.client.post("/api/stop", headers=headers).status_code == 200


def test_a_configured_origin_may_write_and_read_and_no_other(serve_with: Callable[..., Running]) -> None:
    running = serve_with(origins=("https://tools.example",))
    ours = {"origin": "https://tools.example", "sec-fetch-site": "cross-site"}
    reply = running.client.post("/api/stop", headers=ours)
    assert reply.status_code == 200 and reply.headers["access-control-allow-origin"] == "https://tools.example"
    preflight = running.client.options("/api/sessions", headers={**ours, "access-control-request-method": "POST"})
    assert preflight.status_code == 204 and "POST" in preflight.headers["access-control-allow-methods"]
    other = running.client.get("/api/sessions", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_reading_never_changes_anything(shared: Running) -> None:
    session_id = shared.client.post("/api/sessions", json={}).json()["session_id"]
    for path in ("restore", "select"):
        assert shared.client.get(f"/api/sessions/{session_id}/{path}").status_code == 405
    for path in ("start", "stop", "pause", "reset", "restart", "spawn", "command", "buildings/load"):
        reply = shared.client.get(f"/api/{path}")
        assert reply.status_code == 405 and "POST" in reply.headers["allow"]


# ---------------------------------------------------------------- content type and bodies


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "application/jsonfoo",
        "multipart/form-data; boundary=x", "application/json; charset=latin-1", "", "text/plain, application/json",
    ],
)  # fmt: skip
def test_a_body_that_is_not_called_json_is_refused(shared: Running, kind: str) -> None:
    reply = shared.client.post("/api/sessions", content=b"{}", headers={"content-type": kind})
    assert reply.status_code == 415


def test_json_may_say_its_charset(shared: Running) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert shared.client.post("/api/sessions", content=b"{}", headers=headers).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"null", b'"text"', b"1", b'{"session_name": "a", "session_name": "b"}',
        b'{"metadata": {"x": NaN}}', b'{"metadata": {"x": Infinity}}', b'{"metadata": {"x": 1e999}}',
        b'{"session_name": "\\ud800"}', b'{"metadata": {"\\udfff": 1}}', b'{"session_name": "\xff"}',
        b'{"metadata": {"n": ' + b"9" * 5000 + b"}}", b'{"metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"metadata": {"l": ' + b"[" * 300 + b"]" * 300 + b"}}", b'{"unknown": 1}', b'{"num_buildings": -1}',
        b'{"num_buildings": "3"}', b'{"num_buildings": 1e9}', b'{"num_buildings": true}', b'{"base_position": [0, 0]}',
        b'{"base_position": [0, 0, "1"]}', b'{"base_position": [0, 0, 1e400]}', b'{"session_name": 5}',
        b'{"duration_planned_s": -1}', b'{"metadata": []}', b'{"session_id": "x"}', b'{"session_dir_path": "/etc"}',
        b"\xef\xbb\xbf\x00{}", b'{"session_name": "' + b"x" * 5000 + b'"}', b'{"tags": [""]}',
    ],
)  # fmt: skip
def test_rubbish_is_400_with_a_reason_and_never_stored(shared: Running, body: bytes) -> None:
    before = shared.client.get("/api/sessions").json()["total"]
    reply = shared.client.post("/api/sessions", content=body, headers=JSON)
    assert reply.status_code == 400, reply.text
    problem = reply.json()
    assert problem["detail"] and problem["status"] == 400 and problem["success"] is False
    assert shared.client.get("/api/sessions").json()["total"] == before


def test_large_bodies_are_413_announced_or_not(shared: Running) -> None:
    large = b'{"notes": "' + b"x" * (1 << 20) + b'"}'
    assert shared.client.post("/api/sessions", content=large, headers=JSON).status_code == 413
    assert shared.client.post("/api/sessions", content=iter([large]), headers=JSON).status_code == 413


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "lmit=1", "where=%ff", "sort=nothing", "fields=nothing",
     "where=" + "(" * 200, "where=" + "a" * 5000, "cursor=%00", "limit=١"],
)  # fmt: skip
def test_odd_queries_are_400(shared: Running, query: str) -> None:
    assert get_with(shared, f"Host: localhost:{shared.port}", path=f"/api/sessions?{query}") in (400, 200)
    if not query.endswith("١"):
        assert shared.client.get(f"/api/sessions?{query}").status_code == 400


@pytest.mark.parametrize(
    "session_id",
    ["..", ".", "%2e%2e", "..%2f..%2fetc%2fpasswd", "..%5c..%5cwindows", "%252e%252e%252f", "%00", "a%00b", ".git",
     ".sessionstore", "CON%0a", "%e2%80%ae", "a" * 300, "%c0%ae%c0%ae", "C:%5c"],
)  # fmt: skip
def test_ids_that_lead_elsewhere_are_404(shared: Running, session_id: str) -> None:
    for method in ("GET", "DELETE"):
        head = f"Host: localhost:{shared.port}\r\nConnection: close\r\n\r\n"
        request = f"{method} /api/sessions/{session_id} HTTP/1.1\r\n{head}"
        answer = shared.raw(request.encode())
        assert status(answer) in (404, 405), answer
        assert b"passwd" not in answer.replace(session_id.encode(), b"")


def test_error_bodies_hold_no_path_and_no_trace(shared: Running) -> None:
    root = str(shared.store.root.path)
    for reply in (
        shared.client.get("/api/sessions/nothing"),
        shared.client.get("/api/sessions", params={"where": "x="}),
        shared.client.post("/api/sessions/nothing/restore"),
        shared.client.get("/nowhere"),
    ):
        assert reply.status_code in (400, 404)
        assert root not in reply.text and "Traceback" not in reply.text and ".py" not in reply.text


def test_a_bug_is_500_with_a_number_and_nothing_else(
    shared: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("sessionstore.server.routes.sessions.page", broken)
    reply = shared.client.get("/api/sessions")
    assert reply.status_code == 500 and "secret" not in reply.text
    number = reply.json()["detail"].split()[-1]
    assert number in caplog.text and "ZeroDivisionError" in caplog.text


# ---------------------------------------------------------------- headers of every reply


def test_every_reply_forbids_sniffing_framing_and_foreign_scripts(shared: Running) -> None:
    for path in ("/api/sessions", "/nowhere", "/docs", "/api/sessions/none"):
        headers = shared.client.get(path).headers
        policy = headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "server" not in headers
        assert "access-control-allow-origin" not in headers


# ---------------------------------------------------------------- token


def test_another_address_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(InvalidQuery, match="token"):
            check_settings(Settings(host=host))
        check_settings(Settings(host=host, token=TOKEN))
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.5"):
        check_settings(Settings(host=host))
    with pytest.raises(InvalidQuery, match="8"):
        check_settings(Settings(token="short"))


def test_without_the_token_nothing_says_what_exists(serve_with: Callable[..., Running]) -> None:
    running = serve_with(token=TOKEN)
    plain = http.client.HTTPConnection("127.0.0.1", running.port)
    for path in ("/api/sessions", "/api/sessions/nothing", "/nowhere", "/", "/docs", "/api/health", "/openapi.json"):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": "sessionstore=1.2"},
        ):
            plain.request("GET", path, headers=headers)
            reply = plain.getresponse()
            body = reply.read()
            assert reply.status == 401 and reply.getheader("www-authenticate", "").startswith("Bearer"), (path, headers)
            assert TOKEN.encode() not in body
    plain.close()
    assert running.client.get("/api/sessions").status_code == 200


def test_the_token_in_an_address_works_once_for_a_page_and_never_for_the_api(
    serve_with: Callable[..., Running],
) -> None:
    running = serve_with(token=TOKEN)
    plain = http.client.HTTPConnection("127.0.0.1", running.port)
    plain.request("GET", f"/api/sessions?token={TOKEN}")
    reply = plain.getresponse()
    assert (reply.status, len(reply.read()) > 0) == (401, True)
    plain.request("GET", f"/docs?a=1&token={TOKEN}")
    reply = plain.getresponse()
    reply.read()
    cookie = reply.getheader("set-cookie") or ""
    assert reply.status == 303 and reply.getheader("location") == "/docs?a=1"
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    plain.request("GET", "/api/sessions", headers={"Cookie": cookie.partition(";")[0]})
    reply = plain.getresponse()
    assert reply.status == 200 and json.loads(reply.read())["total"] == 0
    plain.request("GET", f"//evil.com/?token={TOKEN}")
    reply = plain.getresponse()
    reply.read()
    assert not (reply.getheader("location") or "").startswith("//")
    plain.close()


def test_the_token_stands_in_no_log(serve_with: Callable[..., Running], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    running = serve_with(token=TOKEN)
    running.client.get("/docs", params={"token": TOKEN})
    running.client.get("/api/sessions/x")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(TOKEN in message for message in ours)


def test_a_token_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = token_from(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(token) >= 32
    assert token_from(path) == token
    os.chmod(path, 0o644)
    with pytest.raises(InvalidQuery, match="600"):
        token_from(path)
