"""Three hosts and an S3 server: sessions go between them, a host is cut off in the middle, and a rerun completes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.exchange.remote.places import FsspecPlace
from tests.exchange.test_push_pull import _own_cache, new_bucket  # noqa: F401 fixtures
from tests.hosts import Host, Network, connected
from tests.outage import eventually

NETWORK = Network("sst-mv", "10.213.8")
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
#: What each host runs first: where the server is, and little patience.
_BEGIN = """
import os, random
os.environ.update({environment!r})
from sessionstore import errors
from sessionstore.exchange.remote import connections, faults
faults.TRIES = 2
connections.CONNECT_S = connections.LOST_S = 3
store = sessionstore.open({folder!r}, sync="os")
def flown(name, bytes=0):
    with store.record(name) as session:
        for step in range(10):
            session.motion.append("scout-1", t_s=step / 10, position_m=(step, 0, 5))
    if bytes:
        store.get(session.session_id).artifacts.put("film.bin", random.Random(name).randbytes(bytes))
def contents():
    return {{
        str(path.relative_to(store.root.path)): path.read_bytes().hex()
        for row in store.find() for path in sorted(store.root.folder(row.session_id).rglob("*")) if path.is_file()
    }}
def tried(work):
    try:
        return work().clean
    except errors.RemoteUnavailable as error:
        return str(error)
"""


@pytest.fixture
def server() -> Iterator[str]:
    for needed in ("moto", "s3fs"):
        pytest.importorskip(needed)
    with connected(NETWORK):
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, NETWORK.server],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin and process.stdout
        yield f"http://{NETWORK.server}:{int(process.stdout.readline())}"
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def hosts(server: str, tmp_path: Path) -> Iterator[list[Host]]:
    made: list[Host] = []
    environment = {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": NETWORK.server, "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }  # fmt: skip
    try:
        for number, name in enumerate(("alpha", "beta", "gamma")):
            made.append(Host(NETWORK, name, number, tmp_path / name))
            here = environment | {"SESSIONSTORE_CACHE": str(tmp_path / f"cache-{name}")}
            made[-1].run(_BEGIN.format(environment=here, folder=str(tmp_path / name)))
        yield made
    finally:
        for host in made:
            host.cable("up")
            host.close()


def cut_off(host: Host, work: str, begun: Callable[[], bool]) -> object:
    """Let a host work, cut its cable once something has begun, mend it when it gave up; return what it said."""
    said: list[object] = []
    thread = threading.Thread(target=lambda: said.append(host.tell(f"tried(lambda: {work})")))
    thread.start()
    deadline = time.monotonic() + 60
    while not begun() and time.monotonic() < deadline:
        time.sleep(0.05)  # the server has other things to do than to answer this
    host.cable("down")
    thread.join(120)
    host.cable("up")
    return said[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    "SESSIONSTORE_TEST_HOSTS" not in os.environ,
    reason="it takes up to a minute (test_silence proves the limits without hosts); SESSIONSTORE_TEST_HOSTS=1 runs it",
)
def test_three_hosts_end_with_the_same_sessions_though_one_is_cut_off_in_the_middle(
    hosts: list[Host], server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, beta, gamma = hosts
    monkeypatch.setenv("NO_PROXY", NETWORK.server)
    url = new_bucket(server, server, monkeypatch, tmp_path) + "/fleet"
    monkeypatch.setenv("NO_PROXY", NETWORK.server)
    visible = FsspecPlace(url)
    alpha.run("for n in range(3): flown(f'Alpha {n}')")
    beta.run("for n in range(6): flown(f'Beta {n}', 1 << 20)")
    assert alpha.tell(f"tried(lambda: store.push({url!r}))") is True

    before = len(visible.files(""))
    said = cut_off(beta, f"store.push({url!r})", lambda: len(visible.files("")) > before + 7)
    assert "does not answer" in str(said) and "very-secret" not in str(said)
    with sessionstore.open(url) as remote:  # what is listed is whole
        assert len(remote.find("name~Alpha")) == 3
    beta.run("from sessionstore.exchange.remote import claims; claims.STALE_S = 0.5")  # the claims of the first push
    eventually(lambda: beta.tell(f"tried(lambda: store.push({url!r}))") is True)
    assert len([name for name in visible.files("") if name.endswith("session.json")]) == 9

    gamma.run("flown('Gamma')")
    staging = tmp_path / "gamma" / ".sessionstore" / "staging"
    said = cut_off(
        gamma, f"store.pull({url!r})", lambda: staging.is_dir() and len(list(staging.glob("merge-*/session.json"))) > 2
    )
    assert "does not answer" in str(said)
    assert 0 < gamma.tell("len(store.find())") < 10, "what came whole before the cut stays, and nothing else is visible"
    assert gamma.tell(f"tried(lambda: store.pull({url!r}))") is True
    assert gamma.tell(f"tried(lambda: store.push({url!r}))") is True
    assert alpha.tell(f"tried(lambda: store.merge({url!r}))") and beta.tell(f"tried(lambda: store.pull({url!r}))")
    found = [host.tell("contents()") for host in hosts]
    assert len({path.partition("/")[0] for path in found[0]}) == 10
    assert found[0] == found[1] == found[2]
