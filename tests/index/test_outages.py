"""An engine that fails costs no session: each test makes the real fault, and all have the same ending (outage)."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.errors import IndexUnavailable
from sessionstore.index.circuit_breaker import CircuitBreaker
from tests.outage import Outage, at_most, eventually
from tests.postgres_server import PASSWORD, PostgresServer, fill_up, running_server, small_disk, with_settings


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    if os.environ.get("SESSIONSTORE_TEST_PG_DSN"):
        pytest.skip("the server of SESSIONSTORE_TEST_PG_DSN is not ours to kill")
    with running_server() as running:
        yield running


@pytest.mark.slow
def test_a_postmaster_that_is_killed(server: PostgresServer, tmp_path: Path) -> None:
    outage = Outage(tmp_path, with_settings(server.url, schema="killed"))
    outage.before()
    server.kill()
    try:
        outage.during("")
        reason = outage.box.create_session("why")["index"]["reason"]
        assert "IndexUnavailable" in reason and server.url.partition("?")[0] in reason
    finally:
        server.start()
    outage.after()


@pytest.mark.slow
def test_a_server_that_was_restarted_between_two_calls_is_not_an_outage(server: PostgresServer, tmp_path: Path) -> None:
    outage = Outage(tmp_path, with_settings(server.url, schema="restarted"))
    outage.before()
    server.kill()
    server.start()
    assert outage.box.create_session("next")["index"] == {"status": "done", "reason": None}
    server.kill()
    server.start()
    assert len(outage.store.find()) == 2 and outage.store.notice is None
    outage.store.close()


@pytest.mark.slow
def test_a_server_that_stands_still(server: PostgresServer, tmp_path: Path) -> None:
    """It accepts connections (the kernel does), and answers nothing: only a clock on this side helps."""
    outage = Outage(tmp_path, with_settings(server.url, schema="frozen"))
    outage.before()
    server.freeze(True)
    try:
        outage.during("no ")  # no answer for 1 s, no connection within 1 s
    finally:
        server.freeze(False)
    outage.after()


@pytest.mark.slow
def test_a_server_that_never_came_up(server: PostgresServer, tmp_path: Path) -> None:
    server.kill()
    outage = Outage(tmp_path, with_settings(server.url, schema="late"))
    try:
        outage.during("refused")
    finally:
        server.start()
    outage.clock.run()
    eventually(lambda: outage.box.create_session("after")["index"]["status"] == "done")
    outage.after()


@pytest.mark.slow
def test_a_refusal_is_told_at_once_and_not_when_time_is_up(server: PostgresServer, tmp_path: Path) -> None:
    patient = with_settings(server.url, schema="refused", timeout_s=60, retry_s=0.001)
    with sessionstore.open(tmp_path, patient) as store:
        store.create("before")
        server.kill()
        try:
            for _ in range(3):
                with at_most(30):
                    _, steps = store.create_with_report("during")
                assert "refused" in str(steps["index"].reason)
        finally:
            server.start()
        assert store.create_with_report("after")[1]["index"].status == "done" and len(store.index.find()) == 5


@pytest.mark.slow
def test_threads_that_share_a_store_outlive_a_server_that_is_restarted(server: PostgresServer, tmp_path: Path) -> None:
    store = sessionstore.open(tmp_path, with_settings(server.url, schema="threads", timeout_s=5, retry_s=0.01, pool=2))
    stop = threading.Event()
    broken: list[Exception] = []

    def work(number: int) -> None:
        try:
            while not stop.is_set():
                store.create(f"w{number}")
        except Exception as error:  # noqa: BLE001 whatever it is, it must not get lost in its thread
            broken.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(store.index.stamps()) > 20)
        server.kill()
        server.start()
        many = len(store.root.session_ids())
        eventually(lambda: len(store.root.session_ids()) > many + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not broken
    eventually(lambda: len(store.find()) == len(store.root.session_ids()) and store.notice is None)
    assert store.index.stamps().keys() == store.root.session_ids()
    store.close()


@pytest.mark.slow
def test_a_pool_that_is_exhausted(server: PostgresServer, tmp_path: Path) -> None:
    import psycopg

    outage = Outage(tmp_path, with_settings(server.url, schema="exhausted", pool=1))
    outage.before()
    locked, done = threading.Event(), threading.Event()

    def occupy() -> None:
        with outage.store.index._pool.connection() as connection:  # type: ignore[attr-defined]
            connection.execute("SELECT 1")
            locked.set()
            done.wait(60)

    thread = threading.Thread(target=occupy)
    thread.start()
    assert locked.wait(30)
    try:
        outage.during("all 1 connections were in use")
    finally:
        done.set()
        thread.join()
    outage.after()
    with contextlib.ExitStack() as crowd, pytest.raises(psycopg.OperationalError, match=r"too many|slots"):
        while True:  # and the server's own limit
            crowd.enter_context(psycopg.connect(server.url))


@pytest.mark.slow
def test_a_table_that_somebody_locks(server: PostgresServer, tmp_path: Path) -> None:
    import psycopg

    outage = Outage(tmp_path, with_settings(server.url, schema="locked"))
    outage.before()
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE locked.sessions IN ACCESS EXCLUSIVE MODE")
        outage.during("timeout")
    outage.after()


@pytest.mark.slow
def test_a_wrong_password_is_told_and_never_shown(
    server: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE pilot LOGIN PASSWORD {}").format(sql.Literal(PASSWORD)))
        admin.execute("CREATE SCHEMA pilot AUTHORIZATION pilot")
    caplog.set_level(logging.DEBUG)
    wrong = "wr0ng/pass%word"
    url = f"postgresql://pilot:{wrong.replace('/', '%2F').replace('%w', '%25w')}@{server.listen}:{server.port}/postgres"
    outage = Outage(tmp_path, with_settings(url, schema="pilot"))
    outage.during("password authentication failed")
    store = outage.store
    told = [repr(store), store.index.url, repr(store.index), repr(vars(store.index)), str(store.notice), caplog.text]
    told += [repr(outage.box.create_session("again")), *capfd.readouterr()]
    told += [path.read_text() for path in store.root.path.rglob("*.json")]
    with pytest.raises(IndexUnavailable) as caught:
        store.index.health()
    told += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    assert not any(secret in text for text in told for secret in ("wr0ng", "wr0ng%2Fpass"))
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE pilot PASSWORD {}").format(sql.Literal(wrong)))
    outage.after()


@pytest.mark.slow
def test_a_schema_that_is_newer_than_this_version(server: PostgresServer, tmp_path: Path) -> None:
    import psycopg

    outage = Outage(tmp_path, with_settings(server.url, schema="newer"))
    outage.before()
    outage.store.index.close()  # as in a process that starts now
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("UPDATE newer.meta SET version = 99")
        outage.during("has version 99, this version knows 1", refused_at_once=True)
        admin.execute("UPDATE newer.meta SET version = 1")
    outage.after()


@pytest.mark.slow
@pytest.mark.parametrize("panics", [False, True], ids=["a table cannot grow", "the log cannot grow"])
def test_a_server_whose_disk_is_full(tmp_path: Path, panics: bool) -> None:
    """A full table refuses rows; a full log takes the whole server down until there is room."""
    import psycopg

    if os.environ.get("SESSIONSTORE_TEST_PG_DSN"):
        pytest.skip("the server of SESSIONSTORE_TEST_PG_DSN has a disk that is not ours to fill")
    with small_disk("200m") as disk, running_server(place=disk) as server:
        outage = Outage(tmp_path, with_settings(server.url, schema="full"))
        outage.before()
        filler = fill_up(disk)
        reports: list[dict[str, Any]] = []

        def refused() -> bool:
            reports.append(outage.box.create_session("fill", metadata={"text": "x" * 3000}))
            return bool(reports[-1]["index"]["status"] != "done")

        eventually(refused)
        assert all(report["success"] for report in reports)
        assert "No space left on device" in reports[-1]["index"]["reason"]
        if panics:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(server.url, autocommit=True) as admin:
                while True:
                    admin.execute("CREATE TEMP TABLE IF NOT EXISTS t (x int)")
                    admin.execute("SELECT pg_switch_wal()")
            eventually(lambda: outage.box.create_session("fill")["success"] and not server.answers())
        outage.ids += [name for name in outage.store.root.session_ids() if name not in outage.ids]
        outage.during("")
        filler.unlink()
        if not server.answers():
            server.start()
        outage.after()
        with psycopg.connect(server.url) as admin:
            stored = admin.execute('SELECT count(*), count(DISTINCT uuid) FROM "full".sessions')
            count = len(outage.store.root.session_ids())
            assert stored.fetchone() == (count, count)


def test_the_software_of_an_engine_that_is_missing_costs_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("postgres", "postgres_pool", "postgres_schema"):
        monkeypatch.delitem(sys.modules, f"sessionstore.index.sql.{name}", raising=False)
    outage = Outage(tmp_path, f"postgresql://me:{'sEcret'}@nowhere/x")
    outage.during("pip install sessionstore[postgresql]", refused_at_once=True)
    assert "sEcret" not in repr(outage.store) + str(outage.store.notice)


def test_the_list_command_answers_from_the_folders_and_says_so(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        store.create("Butterfly")
    gone = ["list", "--dir", str(tmp_path), "--index", "postgresql://me:sEcret@127.0.0.1:1/x"]
    done = subprocess.run([sys.executable, "-m", "sessionstore", *gone], capture_output=True, text=True, check=True)
    assert "Butterfly" in done.stdout
    assert "1 folders were read instead" in done.stderr and "sEcret" not in done.stderr + done.stdout


def test_a_breaker_asks_again_after_its_rest_and_one_call_at_a_time() -> None:
    now = [100.0]
    breaker = CircuitBreaker(5.0, clock=lambda: now[0])

    def call(error: Exception | None = None) -> None:
        with breaker.guard():
            if error is not None:
                raise error

    call()
    with pytest.raises(IndexUnavailable, match=r"^away$"):
        call(IndexUnavailable("away"))
    now[0] += 4.9
    with pytest.raises(IndexUnavailable, match=r"away \(4\.9 s ago; asked again in 0\.1 s\)"):
        call()
    now[0] += 0.2
    with breaker.guard(), pytest.raises(IndexUnavailable):
        call()  # while one asks, the others do not wait with it
    call()
    with pytest.raises(ValueError):
        call(ValueError())
    call()
