"""A line falls silent, and no connection is closed: a push, a pull and a command give up within their limits."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import sessionstore
from sessionstore import errors
from sessionstore.exchange.remote import claims, connections, faults
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.exchange.remote.transfer import push
from sessionstore.store import SessionStore
from tests.exchange.proxy import Proxy, proxied
from tests.exchange.test_connection_faults import bucket, line, web  # noqa: F401 fixtures
from tests.exchange.test_merge import contents, flown
from tests.exchange.test_push_pull import _own_cache, other, s3_server, sftp  # noqa: F401 fixtures

#: Patience of these tests; a request that waits without a limit waits for the time limit of the test.
LOST_S, TRIES, BOUND_S = 0.5, 2, 60.0
#: Shares of all bytes after which the line falls silent: at the claims, between files, at the records.
SHARES = (0.12, 0.6, 0.97)
pytestmark = pytest.mark.timeout(4 * BOUND_S)


@contextlib.contextmanager
def impatience() -> Iterator[None]:
    """Little patience, for what is to give up alone: a busy machine answers later than that."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connections, "CONNECT_S", LOST_S)
        patched.setattr(connections, "LOST_S", LOST_S)
        patched.setattr(claims, "RENEW_EVERY_S", LOST_S / 2)  # claims are renewed while nothing answers
        patched.setattr(faults, "TRIES", TRIES)
        yield


def gives_up(proxy: Proxy, share: float, whole: int, work: Callable[[], object]) -> None:
    """Let a line fall silent within some work, see it fail in time, and heal the line."""
    proxy.heal()
    proxy.silent_at = int(whole * share)
    begun = time.monotonic()
    with impatience(), pytest.raises(errors.RemoteUnavailable) as given:
        work()
    assert time.monotonic() - begun < BOUND_S
    assert "does not answer" in str(given.value) and "very-secret" not in str(given.value)
    proxy.heal()


def bytes_of(proxy: Proxy, work: Callable[[], object]) -> int:
    """Do some work over a line that is whole, and return how many bytes passed."""
    proxy.heal()
    work()
    return proxy.count


def completed(store: SessionStore, url: str) -> bool:
    """Push once more, as a minute later, when the claims of the push that died are taken over."""
    place = FsspecPlace(url)
    for _ in range(3):  # a claim that was on its way when the line fell silent may arrive by now
        for name in place.files(claims.CLAIMS):
            place.remove(f"{claims.CLAIMS}/{name}")
        report = push(store, url)
        if report.clean:
            return True
        assert all("another push" in each.reason for each in report.outcomes if each.action == "skipped"), report
    return False


def test_a_push_to_s3_whose_line_falls_silent_gives_up_and_the_next_completes_it(
    store: SessionStore,
    line: Proxy,  # noqa: F811
    bucket: str,  # noqa: F811
    other: SessionStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(4):
        flown(store, f"Flight {number}")
    whole = bytes_of(line, lambda: push(store, f"{bucket}/whole"))
    for number, share in enumerate(SHARES):
        gives_up(line, share, whole, lambda url=f"{bucket}/{number}": push(store, url))  # type: ignore[misc]
    whole = bytes_of(line, lambda: other.pull(f"{bucket}/whole", dry_run=True))
    gives_up(line, 0.5, whole, lambda: other.pull(f"{bucket}/whole"))

    for number in range(len(SHARES)):
        assert completed(store, f"{bucket}/{number}")
        with sessionstore.open(f"{bucket}/{number}") as remote:
            assert len(remote.find()) == 4
    assert other.pull(f"{bucket}/0").clean and contents(other) == contents(store)


def test_a_command_whose_line_falls_silent_ends(
    store: SessionStore,
    line: Proxy,  # noqa: F811
    bucket: str,  # noqa: F811
) -> None:
    flown(store)
    whole = bytes_of(line, lambda: push(store, f"{bucket}/whole"))
    line.heal()
    line.silent_at = whole // 2
    code = f"""
from sessionstore import cli
from sessionstore.exchange.remote import connections, faults
connections.CONNECT_S = connections.LOST_S = {LOST_S}
faults.TRIES = {TRIES}
cli.main(["push", "{bucket}/fleet", "--dir", "{store.root.path.as_posix()}"])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * BOUND_S)
    assert ended.returncode == 11 and "does not answer" in ended.stderr, ended


def test_a_pull_of_a_zip_whose_line_falls_silent_gives_up_and_the_next_completes_it(
    store: SessionStore,
    web: tuple[Proxy, str],  # noqa: F811
    other: SessionStore,  # noqa: F811
    tmp_path: Path,
) -> None:
    proxy, url = web
    with sessionstore.open(tmp_path / "whole") as first:
        whole = bytes_of(proxy, lambda: first.pull(url))
    for share in SHARES[:2]:  # what one took is there for the next, which needs fewer bytes
        gives_up(proxy, share, whole, lambda: other.pull(url))
    assert other.pull(url).clean and contents(other) == contents(store)


@pytest.mark.slow
def test_a_push_over_ssh_whose_line_falls_silent_gives_up_and_the_next_completes_it(
    store: SessionStore,
    sftp: str,  # noqa: F811
    other: SessionStore,  # noqa: F811
    tmp_path: Path,
) -> None:
    flown(store)
    port = urlsplit(sftp).port
    assert port is not None
    with proxied(port) as proxy:
        known = tmp_path / "home" / ".ssh" / "known_hosts"
        known.write_text(known.read_text().replace(f":{port} ", f":{proxy.port} "))
        url = sftp.replace(f":{port}/", f":{proxy.port}/")
        whole = bytes_of(proxy, lambda: push(store, f"{url}-whole"))
        gives_up(proxy, 0.6, whole, lambda: push(store, url))
        assert completed(store, url) and other.pull(url).clean and contents(other) == contents(store)
