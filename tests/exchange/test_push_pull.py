"""Push and pull send what the other side lacks; real S3 and SFTP servers; two pushes at once lose nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

import sessionstore
from sessionstore import cli, errors
from sessionstore.exchange.remote import manifest
from sessionstore.exchange.remote.claims import CLAIMS
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.exchange.remote.transfer import pull, push
from sessionstore.store import SessionStore

_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SESSIONSTORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """An S3 server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin and process.stdout
    port = int(process.stdout.readline())
    yield f"http://127.0.0.1:{port}"
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def new_bucket(server: str, reached_at: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Make a bucket on an S3 server, which this process reaches at an address; return its URL."""
    for name, value in {
        "AWS_ENDPOINT_URL": reached_at,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    bucket = f"b{time.time_ns()}"
    request = urllib.request.Request(f"{server}/{bucket}", method="PUT")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20):
        pass
    return f"s3://{bucket}"


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    return new_bucket(s3_server, s3_server, monkeypatch, tmp_path) + "/fleet"


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://pushed"
    fs = fsspec.filesystem("memory")
    if fs.exists("/pushed"):
        fs.rm("/pushed", recursive=True)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[SessionStore]:
    (tmp_path / "other").mkdir()
    with sessionstore.open(tmp_path / "other") as opened:
        yield opened


def flights(store: SessionStore, count: int) -> None:
    for number in range(count):
        with store.record(f"Flight {number}", metadata={"number": number}) as session:
            for step in range(10):
                session.motion.append("scout-1", t_s=step / 10, position_m=(step, number, 5))
            session.artifacts.put("plot.txt", f"plot {number}")


def contents(store: SessionStore) -> dict[str, dict[str, bytes]]:
    return {
        row.session_id: {
            path.relative_to(store.root.path).as_posix(): path.read_bytes()
            for path in store.root.folder(row.session_id).rglob("*")
            if path.is_file()
        }
        for row in store.find()
    }


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_what_was_pushed_is_pulled_whole(
    kind: str, store: SessionStore, other: SessionStore, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue(kind))
    flights(store, 3)
    assert [each.action for each in push(store, url).outcomes] == ["copied"] * 3
    assert [each.action for each in push(store, url).outcomes] == ["same"] * 3
    with sessionstore.open(url) as remote:
        assert [row.session_id for row in remote.find()] == [row.session_id for row in store.find()]
        assert remote.get("latest").tape("motion_history").count() == 10
    assert [each.action for each in pull(other, url).outcomes] == ["copied"] * 3
    assert contents(other) == contents(store)
    assert [each.action for each in pull(other, url).outcomes] == ["same"] * 3
    other.update("Flight 1", notes="seen")
    assert [each.action for each in push(other, url).outcomes].count("updated") == 1
    assert pull(store, url).count("updated") == 1
    assert contents(other) == contents(store) and not FsspecPlace(url).files(CLAIMS)


def test_a_copy_that_diverged_is_not_overwritten(store: SessionStore, other: SessionStore, memory: str) -> None:
    flights(store, 1)
    push(store, memory)
    pull(other, memory)
    store.update("Flight 0", notes="here")
    other.update("Flight 0", notes="there")
    assert push(store, memory).count("updated") == 1
    report = push(other, memory)
    assert report.count("diverged") == 1 and not report.clean
    with sessionstore.open(memory) as remote:
        assert remote.get("latest").record.notes == "here"
    assert pull(other, memory).count("diverged") == 1 and len(other.find()) == 2


def test_two_pushes_at_once_lose_nothing(store: SessionStore, other: SessionStore, s3: str) -> None:
    flights(store, 4)
    with other.record("From the other machine") as session:
        session.motion.append("scout-1", t_s=0.0, position_m=(0, 0, 5))
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda each: push(each, s3), [store, other]))
    assert all(report.clean for report in reports)
    with sessionstore.open(s3) as remote:
        assert {row.session_name for row in remote.find()} == {f"Flight {n}" for n in range(4)} | {
            "From the other machine"
        }


def test_joined_pieces_of_the_manifest_hold_every_entry(store: SessionStore, memory: str) -> None:
    for number in range(9):
        with store.record(f"Flight {number}"):
            pass
        push(store, memory)
    found = manifest.read(FsspecPlace(memory))
    assert found is not None and len(found[0]) == 9 and len(found[1]) <= manifest.MAX_PIECES


def test_a_push_that_was_interrupted_is_completed(
    store: SessionStore, other: SessionStore, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights(store, 2)
    real, calls = FsspecPlace.send, [0]

    def failing(self: FsspecPlace, local: str, name: str) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise errors.RemoteUnavailable("cut")
        real(self, local, name)

    monkeypatch.setattr(FsspecPlace, "send", failing)
    with pytest.raises(errors.RemoteUnavailable):
        push(store, memory)
    assert push(store, memory).clean and pull(other, memory).count("copied") == 2
    assert contents(other) == contents(store)


@pytest.mark.parametrize("left", [0, 100])
def test_a_record_that_was_cut_while_it_was_sent_is_sent_again_and_a_foreign_one_is_not_replaced(
    store: SessionStore, other: SessionStore, memory: str, left: int
) -> None:
    flights(store, 2)
    push(store, memory)
    place = FsspecPlace(memory)
    for name in place.files(manifest.FOLDER):  # as of a push that was cut before it told what it sent
        place.remove(f"{manifest.FOLDER}/{name}")
    cut, foreign = (store.get(f"Flight {number}").session_id for number in range(2))
    place.put(f"{cut}/session.json", place.read(f"{cut}/session.json")[:left])
    place.put(f"{foreign}/session.json", b'{"not": ours')
    found = {each.source_id: each for each in push(store, memory).outcomes}
    assert found[cut].action == "copied"
    assert found[foreign].action == "skipped" and found[foreign].reason.startswith("Corrupt")
    assert place.read(f"{foreign}/session.json") == b'{"not": ours'
    other.pull(memory)
    assert contents(other)[cut] == contents(store)[cut]


def test_a_wrong_checksum_is_not_taken(store: SessionStore, other: SessionStore, memory: str) -> None:
    flights(store, 1)
    push(store, memory)
    name = f"/pushed/{store.get('latest').session_id}/motion_history.jsonl"
    fs = fsspec.filesystem("memory")
    data = bytearray(fs.cat_file(name))
    data[20] ^= 1
    fs.pipe_file(name, bytes(data))
    report = pull(other, memory)
    assert report.count("skipped") == 1 and "checksum" in report.outcomes[0].reason and other.find() == []


def test_the_listing_of_many_sessions_takes_few_requests(
    store: SessionStore, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights(store, 1)
    push(store, memory)
    place = FsspecPlace(memory)
    found = manifest.read(place)
    assert found is not None
    (entry,) = found[0].values()
    manifest.add(place, {f"202601010000-Many-{number}": entry for number in range(5000)})
    requests = [0]
    for method in ("find", "cat_file", "ls", "info"):
        real = getattr(type(place.fs), method)

        def counted(self: object, *args: object, _real: object = real, **options: object) -> object:
            requests[0] += 1
            return _real(self, *args, **options)  # type: ignore[operator]

        if method != "ls":  # the memory file system finds by it
            monkeypatch.setattr(type(place.fs), method, counted)
    with sessionstore.open(memory) as remote:
        assert len(remote.find()) == 5001
    assert requests[0] <= 5


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An SFTP server, known by its key, into which a key of the user's home logs in."""
    asyncssh = pytest.importorskip("asyncssh")
    pytest.importorskip("sshfs")
    home, root = tmp_path / "home", tmp_path / "served"
    (home / ".ssh").mkdir(parents=True)
    root.mkdir()
    host_key, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(home / ".ssh" / "id_ed25519"))
    os.chmod(home / ".ssh" / "id_ed25519", 0o600)
    key.write_public_key(str(tmp_path / "authorized"))
    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []
    accepted: list[Any] = []

    async def close(server: Any) -> None:
        server.close()
        for connection in accepted:
            connection.abort()
            await asyncio.wait_for(connection.wait_closed(), 2)

    async def serve() -> object:
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            acceptor=accepted.append,
            authorized_client_keys=str(tmp_path / "authorized"),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root)),
        )
        ports.append(server.get_port())
        ready.set()
        return server

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(close(server))

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    known = f"[127.0.0.1]:{ports[0]} {host_key.export_public_key().decode().strip()}\n"
    (home / ".ssh" / "known_hosts").write_text(known)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield f"sftp://me@127.0.0.1:{ports[0]}/fleet"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


def test_a_store_on_an_sftp_server_is_pushed_and_read(store: SessionStore, other: SessionStore, sftp: str) -> None:
    flights(store, 2)
    assert push(store, sftp).count("copied") == 2
    with sessionstore.open(sftp) as remote:
        assert [row.session_id for row in remote.find()] == [row.session_id for row in store.find()]
        assert remote.get("latest").tape("motion_history").count() == 10
    assert pull(other, sftp).count("copied") == 2 and contents(other) == contents(store)


def test_the_commands_push_and_pull(store: SessionStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flights(store, 2)
    url = (tmp_path / "remote").as_uri()
    here, there = str(store.root.path), str(tmp_path / "pulled")
    for command in (["push", url, "--dir", here], ["pull", url, "--dir", there], ["push", url, "--dir", there]):
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
            raise SystemExit(0)
        assert ended.value.code in (0, None)
    said = capsys.readouterr().out
    assert said.count("2 copied") == 2 and "2 the same" in said
    with pytest.raises(SystemExit):
        cli.main(["undo", "--dir", there])
        raise SystemExit(0)
    with sessionstore.open(there) as pulled:
        assert pulled.find() == []
