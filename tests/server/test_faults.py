"""The server outlives what stands behind it: a full disk, an index that goes away, a store that is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionstore.disk import files
from sessionstore.errors import IndexUnavailable
from tests.server.conftest import Running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KB."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a tmpfs needs root and mount")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_507_health_says_so_and_room_heals_it(
    serve_with: Callable[..., Running], small_disk: Path
) -> None:
    running = serve_with(small_disk / "store")
    made = running.client.post("/api/sessions", json={"session_name": "before"}).json()["session_id"]
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(b"x" * 4096)
    for _ in range(3):
        reply = running.client.post("/api/sessions", json={"session_name": "during"})
        assert reply.status_code == 507, reply.text
        assert str(small_disk) not in reply.text
    change = running.client.patch(f"/api/sessions/{made}", json={"notes": "x" * 9000})
    assert change.status_code == 507
    health = running.client.get("/api/health")
    assert health.status_code == 503 and "No space left" in health.json()["reason"]
    assert [row["session_id"] for row in running.client.get("/api/sessions").json()["sessions"]] == [made]
    assert running.client.get(f"/api/sessions/{made}").json()["notes"] == ""
    filler.unlink()
    assert running.client.post("/api/sessions", json={"session_name": "after"}).status_code == 201
    assert running.client.get("/api/sessions").json()["total"] == 2
    assert running.client.get("/api/health").json()["store"]["writable"]


def test_a_disk_that_refuses_is_503_and_not_an_empty_list(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(operation: str, path: str, payload: Any) -> None:
        raise OSError(30, "Read-only file system", path)

    monkeypatch.setattr(files, "observer", read_only)
    reply = served.client.post("/api/sessions", json={})
    assert reply.status_code == 503 and reply.headers["retry-after"] and "Read-only" in reply.json()["detail"]
    assert served.client.get("/api/health").status_code == 503
    monkeypatch.setattr(files, "observer", None)
    assert served.client.post("/api/sessions", json={}).status_code == 201


def test_an_index_that_goes_away_costs_no_session_and_is_told(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    served.client.post("/api/sessions", json={"session_name": "before"})

    def away(*_: object, **__: object) -> None:
        raise IndexUnavailable("the engine does not answer")

    index = served.store.index
    with monkeypatch.context() as gone:
        for name in ("put", "remove", "find", "stamps", "active", "health"):
            gone.setattr(index, name, away)
        made = served.client.post("/api/sessions", json={"session_name": "during"})
        assert made.status_code == 201 and made.json()["index"]["status"] == "pending"
        assert "does not answer" in made.json()["index"]["reason"]
        assert served.client.get("/api/sessions").json()["total"] == 2
        assert served.client.get(f"/api/sessions/{made.json()['session_id']}").status_code == 200
        health = served.client.get("/api/health")
        assert health.status_code == 200 and health.json()["status"] == "degraded"
        assert not health.json()["index"]["reachable"] and health.json()["sessions"]["pending"] == 2
    assert served.client.get("/api/sessions").json()["total"] == 2
    assert served.client.get("/api/health").json()["sessions"]["pending"] == 0


def test_a_store_folder_that_is_replaced_is_read_as_it_is_now(served: Running, tmp_path: Path) -> None:
    root = served.store.root.path
    old = served.client.post("/api/sessions", json={"session_name": "old"}).json()["session_id"]
    os.rename(root, tmp_path / "elsewhere")
    assert served.client.get(f"/api/sessions/{old}").status_code == 404
    assert served.client.get("/api/sessions").json()["total"] == 0
    new = served.client.post("/api/sessions", json={"session_name": "new"})
    assert new.status_code == 201
    shutil.rmtree(root)
    os.rename(tmp_path / "elsewhere", root)
    assert served.client.get(f"/api/sessions/{old}").status_code == 200
    assert [row["session_id"] for row in served.client.get("/api/sessions").json()["sessions"]] == [old]
    assert served.client.post("/api/sessions", json={"session_name": "old"}).status_code == 201


def test_a_deleted_index_file_is_made_again(served: Running) -> None:
    made = served.client.post("/api/sessions", json={}).json()["session_id"]
    (served.store.root.path / "index.jsonl").unlink()
    assert [row["session_id"] for row in served.client.get("/api/sessions").json()["sessions"]] == [made]
    (served.store.root.path / "index.jsonl").write_bytes(b"rubbish\n")
    assert [row["session_id"] for row in served.client.get("/api/sessions").json()["sessions"]] == [made]
