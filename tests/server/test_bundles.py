"""A bundle over HTTP: what it holds and what would happen, then the merge; a bad one leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import sessionstore
from tests.exchange.test_merge import contents, flown
from tests.server.conftest import Running

FILE = {"content-type": "application/octet-stream"}


@pytest.fixture
def bundle(tmp_path: Path) -> bytes:
    with sessionstore.open(tmp_path / "there") as there:
        flown(there)
        flown(there, "Moth")
        there.pack(tmp_path / "fleet.zip")
    return (tmp_path / "fleet.zip").read_bytes()


def send(served: Running, data: bytes, name: str = "fleet.zip") -> object:
    return served.client.post("/api/bundles", params={"name": name}, content=data, headers=FILE)


def test_a_bundle_is_shown_merged_and_taken_back(served: Running, bundle: bytes, tmp_path: Path) -> None:
    before = contents(served.store)
    shown = send(served, bundle)
    assert shown.status_code == 200 and shown.json()["counts"] == {"copied": 2}
    assert contents(served.store) == before
    merged = served.client.post(f"/api/bundles/{shown.json()['bundle_id']}/merge").json()
    assert merged["counts"] == {"copied": 2} and str(served.store.root.path) not in str(merged)
    names = {row.session_name for row in served.store.find()}
    assert {"Butterfly", "Moth"} <= names and not list(served.store.root.staging.iterdir())
    assert send(served, bundle).json()["counts"] == {"same": 2}
    undone = served.client.post(f"/api/merges/{merged['change_id']}/undo")
    assert undone.status_code == 200 and contents(served.store) == before


def test_a_bundle_that_is_dropped_or_unknown_is_gone(served: Running, bundle: bytes) -> None:
    one = f"/api/bundles/{send(served, bundle).json()['bundle_id']}"
    assert served.client.request("DELETE", one).status_code == 200
    assert served.client.post(f"{one}/merge").status_code == 404
    assert served.client.post("/api/bundles/..%2F..%2Fetc/merge").status_code == 404
    assert not list(served.store.root.staging.iterdir())


@pytest.mark.parametrize(("name", "kind"), [("fleet.zip", 409), ("fleet.rar", 400), ("fleet", 400)])
def test_a_damaged_or_other_file_is_refused_and_nothing_is_left(
    served: Running, bundle: bytes, name: str, kind: int
) -> None:
    damaged = bundle.replace(b"scout-1", b"scout-2", 1)
    reply = send(served, damaged, name)
    assert reply.status_code == kind and str(served.store.root.path) not in reply.text
    assert not list(served.store.root.staging.iterdir()) if served.store.root.staging.is_dir() else True


def test_a_file_is_taken_only_where_one_is_expected(served: Running, bundle: bytes) -> None:
    assert served.client.post("/api/sessions", content=b"{}", headers=FILE).status_code == 415
    assert (
        served.client.post(
            "/api/bundles?name=a.zip", content=bundle, headers={"content-type": "text/plain"}
        ).status_code
        == 415
    )
