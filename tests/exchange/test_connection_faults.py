"""A connection that is cut at each of 100 places, refusals, storms and slowness: a rerun completes, nothing is half."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import sessionstore
from sessionstore import errors
from sessionstore.exchange.remote import claims, faults, multipart
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.exchange.remote.transfer import push
from sessionstore.store import SessionStore
from tests.exchange.proxy import Proxy, proxied
from tests.exchange.test_merge import contents, flown, listed
from tests.exchange.test_push_pull import _own_cache, memory, new_bucket, other, s3_server  # noqa: F401 fixtures
from tests.exchange.test_remote import _Ranges
from tests.proof.volumes import PROOF

#: In CI each fifth of the 100 places, since all of them take two minutes.
PLACES, EVERY = 100, 5 if PROOF == "ci" else 1


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between tries, and few of them."""
    monkeypatch.setattr(faults, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(faults, "TRIES", 2)


@pytest.fixture
def line(s3_server: str) -> Iterator[Proxy]:  # noqa: F811
    port = urlsplit(s3_server).port
    assert port is not None
    with proxied(port) as proxy:
        yield proxy


@pytest.fixture
def bucket(line: Proxy, s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:  # noqa: F811
    """A bucket of a real S3 server behind the proxy."""
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    return new_bucket(s3_server, f"http://127.0.0.1:{line.port}", monkeypatch, tmp_path)


def cut_places(proxy: Proxy, work: Callable[[], object], count: int) -> list[int]:
    """Do the work once whole, and return so many places spread over the bytes that passed."""
    proxy.heal()
    work()
    return [proxy.count * place // count for place in range(0, count, EVERY)]


@pytest.mark.slow
def test_a_push_whose_connection_is_cut_at_any_of_100_places_is_completed_by_the_next(
    store: SessionStore, line: Proxy, bucket: str
) -> None:
    flown(store)
    store.get("Butterfly").artifacts.put("plot.bin", bytes(50_000))
    ours = {f"{key}/{name}": len(data) for key, files in contents(store).items() for name, data in files.items()}
    failed = 0
    for number, place in enumerate(cut_places(line, lambda: push(store, f"{bucket}/whole"), PLACES)):
        url = f"{bucket}/cut-{number}"
        line.heal()
        line.cut_at = place
        with contextlib.suppress(errors.RemoteUnavailable):
            assert push(store, url).clean and not line.is_cut
            failed -= 1
        failed += 1
        line.heal()
        visible = FsspecPlace(url)
        names = {name: facts.size for name, facts in visible.files("").items() if not name.startswith(".")}
        if any(name.endswith("session.json") for name in names):  # the record comes last
            assert names == ours
        claim = [f"{claims.CLAIMS}/{name}" for name in visible.files(claims.CLAIMS)]
        for each in claim:  # that of the push which died; a minute later it is taken over
            visible.remove(each)
        assert push(store, url).clean
        names = {name: facts.size for name, facts in visible.files("").items() if not name.startswith(".")}
        assert names == ours
    assert failed >= PLACES / EVERY * 0.9


@pytest.fixture
def web(store: SessionStore, tmp_path: Path) -> Iterator[tuple[Proxy, str]]:
    """A bundle on a web server behind a proxy."""
    from http.server import ThreadingHTTPServer

    flown(store)
    flown(store, "Moth", 300)
    (tmp_path / "served").mkdir()
    store.pack(tmp_path / "served" / "runs.zip")
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *each: _Ranges(*each, directory=str(tmp_path / "served")))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with proxied(server.server_address[1]) as proxy:
        yield proxy, f"http://127.0.0.1:{proxy.port}/runs.zip"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_pull_whose_connection_is_cut_at_any_of_100_places_is_completed_by_the_next(
    store: SessionStore, web: tuple[Proxy, str], tmp_path: Path
) -> None:
    line, url = web
    whole, failed = contents(store), 0
    with sessionstore.open(tmp_path / "whole") as first:
        places = cut_places(line, lambda: first.pull(url), PLACES)
    for number, place in enumerate(places):
        line.heal()
        line.cut_at = place
        with sessionstore.open(tmp_path / f"cut-{number}", sync="os") as pulled:
            with contextlib.suppress(errors.SessionStoreError):
                failed += not pulled.pull(url).clean
                failed -= 1
            failed += 1
            assert all(files == whole[key] for key, files in (contents(pulled) if listed(pulled) else {}).items())
            line.heal()
            assert pulled.pull(url).clean and contents(pulled) == whole
    assert failed >= PLACES / EVERY * 0.9


def test_a_storm_of_503_is_waited_out_and_403_is_refused_at_once(
    store: SessionStore, line: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flown(store)
    monkeypatch.setattr(faults, "TRIES", 5)
    line.answers = [503] * 4
    assert push(store, f"{bucket}/stormy").clean and line.answers == []
    line.answers = [503] * 1000
    with pytest.raises(errors.RemoteUnavailable, match="tried 5 times") as refused:
        push(store, f"{bucket}/hurricane")
    assert "very-secret" not in str(refused.value)
    line.answers = [403] * 20
    with pytest.raises(errors.RemoteRefused):
        push(store, f"{bucket}/forbidden")
    line.heal()
    assert push(store, f"{bucket}/hurricane").clean


def test_a_slow_server_is_waited_for(store: SessionStore, line: Proxy, bucket: str, other: SessionStore) -> None:  # noqa: F811
    flown(store)
    line.delay_s = 0.02
    assert push(store, f"{bucket}/slow").clean and other.pull(f"{bucket}/slow").clean
    assert contents(other) == contents(store)


class HandClock:
    """The clock of the claims, whose seconds pass when the test says so: a stalled machine lets no claim grow old."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        time.sleep(0.005)


def test_two_pushes_of_one_session_at_once_follow_each_other_however_long_one_takes(
    store: SessionStore,
    memory: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flown(store)
    clock, renewed = HandClock(), threading.Event()
    monkeypatch.setattr(claims, "time", clock)
    monkeypatch.setattr(claims, "STALE_S", 0.5)
    monkeypatch.setattr(claims, "RENEW_EVERY_S", 0.01)
    real, sending, overlaps = FsspecPlace.send_data, [0], [0]
    renew = claims.Claim.renew
    monkeypatch.setattr(claims.Claim, "renew", lambda claim: (renew(claim), renewed.set()))

    def slow(self: FsspecPlace, data: bytes, name: str) -> bool:
        if name.endswith("session.json"):
            sending[0] += 1
            overlaps[0] += sending[0] > 1
            for _ in range(15):  # three times as long as a claim lives that is not renewed
                renewed.clear()
                clock.now_s += 0.1
                renewed.wait(2)
            sending[0] -= 1
        return real(self, data, name)

    monkeypatch.setattr(FsspecPlace, "send_data", slow)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: push(store, memory), range(2)))
    assert sorted(each.outcomes[0].action for each in reports) == ["copied", "same"] and overlaps == [0]


def test_a_push_whose_claim_was_taken_over_sends_no_record(
    store: SessionStore,
    memory: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = flown(store)
    clock = HandClock()
    monkeypatch.setattr(claims, "time", clock)
    monkeypatch.setattr(claims, "STALE_S", 0.5)
    place, real = FsspecPlace(memory), FsspecPlace.send

    def overtaken(self: FsspecPlace, local: str, name: str) -> None:
        place.put(f"{claims.CLAIMS}/{session.session_id}", b"another push 0")
        clock.now_s += 0.3
        real(self, local, name)

    monkeypatch.setattr(FsspecPlace, "send", overtaken)
    (outcome,) = push(store, memory).outcomes
    assert outcome.action == "skipped" and "another push took" in outcome.reason
    assert "session.json" not in place.files(session.session_id)


def test_an_edit_while_a_push_sends_leaves_no_record_there_that_speaks_of_files_which_are_not(
    store: SessionStore,
    memory: str,  # noqa: F811
    other: SessionStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = flown(store)
    real = claims.Claim.check

    def edited_then(self: claims.Claim) -> None:
        real(self)
        session.artifacts.put("late.txt", b"put after the files were sent")  # the last look was a moment ago

    with monkeypatch.context() as patched:
        patched.setattr(claims.Claim, "check", edited_then)
        assert push(store, memory).clean
    there = FsspecPlace(memory).files(session.session_id)
    assert b"late.txt" not in FsspecPlace(memory).read(f"{session.session_id}/session.json")
    assert "artifacts/late.txt" not in there
    assert push(store, memory).count("updated") == 1
    assert other.pull(memory).clean and contents(other) == contents(store)


def test_the_claim_of_a_push_that_died_is_taken_over(
    store: SessionStore,
    memory: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = flown(store)
    monkeypatch.setattr(claims, "STALE_S", 0.3)
    FsspecPlace(memory).put(f"{claims.CLAIMS}/{session.session_id}", b"dead 0")
    assert push(store, memory).count("copied") == 1


def test_a_large_file_goes_on_with_the_parts_that_are_missing(
    store: SessionStore, line: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(multipart, "_AT_ONCE", 1)
    session = flown(store)
    session.artifacts.put("film.bin", bytes(range(256)) * (21 << 12))  # 21 MiB: five parts
    url = f"{bucket}/large"
    line.cut_at = 12 << 20
    with pytest.raises(errors.RemoteUnavailable):
        push(store, url)
    assert line.is_cut
    line.heal()
    place = FsspecPlace(url)
    for name in place.files(claims.CLAIMS):
        place.remove(f"{claims.CLAIMS}/{name}")
    line.heal()
    assert push(store, url).clean
    assert line.count < 19 << 20, "the parts that stood there were sent again"
    assert place.files(session.session_id)["artifacts/film.bin"].size == 21 << 20
    sent = place.read(f"{session.session_id}/artifacts/film.bin")
    assert sent == (session.folder / "artifacts" / "film.bin").read_bytes()
