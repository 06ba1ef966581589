"""Several hosts, one PostgreSQL: network namespaces with host names, folders and cables of their own.

The same on one host with several stores, where nothing but the name of the host is faked, runs everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import sessionstore
from sessionstore.cli.list import list_command
from sessionstore.errors import SessionNotFound
from sessionstore.store import SessionStore
from tests.hosts import Host, Network, connected
from tests.outage import eventually
from tests.postgres_server import PostgresServer, new_schema, running_server, with_settings

NETWORK = Network("sst", "10.213.7")


class IndexHost(Host):
    """A host whose store keeps its index on the server."""

    def __init__(self, name: str, number: int, folder: Path, url: str) -> None:
        super().__init__(NETWORK, name, number, folder)
        self.url = url
        self.run(f"store = sessionstore.open({str(folder)!r}, {url!r})")

    def listed(self) -> list[list[Any]]:
        """Return name, host, whether it can be opened, and copies of each session, as a listing here shows them."""
        found: list[list[Any]] = self.tell(
            "[[row.session_name, row.host, row.openable, row.copies] for row in store.find(sort='session_name')]"
        )
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    if os.environ.get("SESSIONSTORE_TEST_PG_DSN"):
        pytest.skip("the hosts of this test reach a server of its own only")
    with connected(NETWORK), running_server(NETWORK.server) as running:
        yield running


@pytest.fixture
def hosts(server: PostgresServer, tmp_path: Path) -> Iterator[list[IndexHost]]:
    schema = new_schema()
    url = with_settings(server.url, schema=schema, timeout_s=20, retry_s=0.5)
    made: list[IndexHost] = []
    try:
        for number, name in enumerate(("alpha", "beta", "gamma")):
            made.append(IndexHost(name, number, tmp_path / name, url))
        yield made
    finally:
        for host in made:
            host.close()


@pytest.mark.slow
def test_every_host_lists_what_all_have_and_where_it_lies(hosts: list[IndexHost]) -> None:
    alpha, beta, gamma = hosts
    alpha.run("made = store.create('shared', metadata={'from': 'alpha'}).session_id; store.create('alone')")
    beta.run("store.create('other')")
    shared = alpha.tell("made")
    shutil.copytree(alpha.folder / shared, beta.folder / shared)  # as rsync would bring it
    copies = [f"alpha:{alpha.folder / shared}", f"beta:{beta.folder / shared}"]
    assert [row[0] for row in beta.listed()] == ["alone", "other", "shared"]  # and adopts the copy
    assert ["shared", None, True, copies] in alpha.listed() and ["shared", None, True, copies] in beta.listed()
    assert [row[:3] for row in gamma.listed()] == [
        ["alone", "alpha", False],
        ["other", "beta", False],
        ["shared", "alpha", False],
    ]
    assert gamma.listed()[2][3] == copies

    beta.run("store.update('shared', metadata={'from': 'beta'}, status='failed')")
    assert alpha.tell("[row.status for row in store.find('name=shared')]") == ["created"]  # what lies here is shown
    assert beta.tell("[row.status for row in store.find('name=shared')]") == ["failed"]
    assert gamma.tell("[(row.host, row.status) for row in store.find('name=shared')]") == [["beta", "failed"]]
    # a filter that only the copy fits that is not shown finds nothing
    assert gamma.tell("[row.session_name for row in store.find('metadata.from=alpha')]") == []
    assert gamma.tell("[row.session_name for row in store.find('host=beta metadata.from=beta')]") == ["shared"]
    assert gamma.tell("[row.session_name for row in store.find('copies~alpha', sort='session_name')]") == [
        "alone",
        "shared",
    ]
    with pytest.raises(AssertionError, match=r"is on alpha in .*; it cannot be opened from here"):
        gamma.run("store.get('alone')")

    alpha.run("store.delete('shared')")
    assert [row[1] for row in alpha.listed() if row[0] == "shared"] == ["beta"]
    assert gamma.tell("store.index.health()['stores']") == 2  # gamma has written nothing yet


@pytest.mark.slow
def test_a_cut_cable_costs_no_session_and_the_rows_arrive_when_it_is_mended(hosts: list[IndexHost]) -> None:
    alpha, beta, _ = hosts
    alpha.run("from sessionstore.boxes.session_creator_box import SessionCreatorBox as C")
    alpha.run("from sessionstore.boxes.session_db_box import SessionDBBox as D; box = C(D(store=store))")
    assert alpha.tell("box.create_session('before')['index']['status']") == "done"
    hurried = alpha.url.replace("timeout_s=20", "timeout_s=1")
    alpha.run(f"store = sessionstore.open({str(alpha.folder)!r}, {hurried!r}); box = C(D(store=store))")
    alpha.cable("down")
    begun = time.monotonic()
    report = alpha.tell("box.create_session('during')")
    assert time.monotonic() - begun < 12
    assert report["success"] and report["index"]["status"] == "pending" and "1 s" in report["index"]["reason"]
    begun = time.monotonic()
    assert [row[0] for row in alpha.listed()] == ["before", "during"]
    assert time.monotonic() - begun < 12
    assert "folders were read instead" in alpha.tell("store.notice")
    assert [row[0] for row in beta.listed()] == ["before"]
    alpha.cable("up")
    eventually(lambda: alpha.tell("box.create_session('after')['index']['status']") == "done")
    names = [row[0] for row in beta.listed()]
    assert names.count("during") == 1 and names.count("before") == 1


@pytest.mark.slow
@pytest.mark.parametrize("push", [True, False])
def test_a_live_view_hears_of_another_host_s_sessions(hosts: list[IndexHost], push: bool) -> None:
    alpha, beta, _ = hosts
    alpha.run("store.create('first')")
    beta.run("from sessionstore.index.changes import Watch; import time")
    beta.run(f"watch = Watch(store.index, poll_s={60 if push else 0.1}, push={push})")
    if push:
        beta.run("watch.wait(0.2)")  # listens from now on, and asks once a minute only
    later = threading.Timer(0.5, lambda: alpha.run("store.create('second'); import time; made = time.time()"))
    later.start()
    assert beta.tell("watch.wait(30)")
    heard = beta.tell("time.time()")
    later.join()
    assert heard - alpha.tell("made") < 25  # and not the minute after which it asks
    assert [row[0] for row in beta.listed()] == ["first", "second"]
    assert not beta.tell("watch.wait(0.3)")
    alpha.run("store.delete('first')")
    assert beta.tell("watch.wait(30)")


@pytest.mark.slow
def test_a_live_view_outlives_the_server(hosts: list[IndexHost], server: PostgresServer) -> None:
    alpha, beta, _ = hosts
    alpha.run("store.create('first')")
    beta.run("watch = store.watch(poll_s=0.1)")
    server.kill()
    assert not beta.tell("watch.wait(0.5)")
    server.start()
    assert beta.tell("watch.wait(30)")  # it is back: look again
    eventually(lambda: bool(alpha.tell("bool(store.find()) and store.notice is None")))
    assert alpha.tell("store.create_with_report('second')[1]['index'].status") == "done"
    assert beta.tell("watch.wait(30)")


# ---------------------------------------------------------------- stores on one host


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'shared.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def two_stores(folder: Path, url: str) -> tuple[SessionStore, SessionStore]:
    return sessionstore.open(folder / "one", url), sessionstore.open(folder / "two", url)


def test_stores_that_share_an_index_open_each_other_s_sessions(tmp_path: Path, shared_url: str) -> None:
    one, two = two_stores(tmp_path, shared_url)
    made = one.create("Butterfly", metadata={"n": 1})
    (row,) = two.find()
    assert (row.session_id, row.openable, row.store) == (made.session_id, True, str(tmp_path / "one"))
    assert two.get("Butterfly").record.metadata == {"n": 1} and two.get("Butterfly").folder == made.folder
    with pytest.raises(SessionNotFound):
        two.get("latest")  # the latest of this store: it has none
    listed = CliRunner().invoke(list_command, ["--dir", str(tmp_path / "two"), "--index", shared_url, "--json"])
    assert json.loads(listed.stdout)[0]["session_dir_path"] == str(made.folder)
    shown = CliRunner().invoke(list_command, ["--dir", str(tmp_path / "two"), "--index", shared_url])
    assert f"on {row.host}" in shown.stdout
    mine = two.create("Butterfly")
    assert two.get("Butterfly").session_id == mine.session_id  # what lies here goes first
    assert one.rebuild() == 1 and len(two.find()) == 2  # a rebuild leaves the rows of others alone
    one.close()
    two.close()


def test_a_copy_is_one_session_whichever_copy_a_filter_finds(tmp_path: Path, shared_url: str) -> None:
    one, two = two_stores(tmp_path, shared_url)
    made = one.create("x", metadata={"from": "one"})
    two.create("y")
    shutil.copytree(made.folder, two.root.folder("renamed"))
    assert len(two.find()) == 2
    two.update("renamed", metadata={"from": "two"})
    for store, mine, other in ((one, "one", "two"), (two, "two", "one")):
        assert [row.session_name for row in store.find(f"metadata.from={mine}")] == ["x"]
        assert store.find(f"metadata.from={other}") == []
        (row,) = store.find("name=x")
        assert row.host is None and len(row.copies) == 2
    assert [row.rev for row in two.find("name=x")] == [2]
    shutil.copytree(made.folder, one.root.folder("beside"))  # a mistake within one store stays visible
    assert len(one.find("name=x")) == 2 and len(two.find("name=x")) == 1
    one.close()
    two.close()
