"""Sessions over HTTP: what is acknowledged is stored, what is shown is what lies on disk."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstore.store import SessionStore
from tests.conftest import DATA
from tests.server.conftest import Running


def make(served: Running, name: str | None = None, **fields: object) -> str:
    reply = served.client.post("/api/sessions", json={"session_name": name, **fields})
    assert reply.status_code == 201, reply.text
    assert reply.headers["location"].startswith("/api/sessions/")
    return str(reply.json()["session_id"])


def test_a_created_session_reports_its_steps_and_is_on_disk(served: Running) -> None:
    reply = served.client.post("/api/sessions", json={"session_name": "test session", "metadata": {"big": 2**80}})
    report = reply.json()
    assert reply.status_code == 201 and report["success"] and not report["fallback_used"]
    assert {report[step]["status"] for step in ("directory", "record", "index")} == {"done"}
    assert served.store.get(report["session_id"]).record.metadata == {"big": 2**80}
    record = served.client.get(f"/api/sessions/db/{report['session_id']}")
    assert record.json()["metadata"] == {"big": 2**80}
    assert str(2**80) in record.text
    assert record.content == served.client.get(reply.headers["location"]).content


def test_a_creator_box_that_breaks_costs_no_session(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> dict[str, object]:
        raise RuntimeError("a plug-in")

    monkeypatch.setattr(served.context.creator, "create_session", broken)
    report = served.client.post("/api/sessions", json={"session_name": "rescued"}).json()
    assert report["fallback_used"] and report["success"]
    assert served.store.get("rescued").session_id == report["session_id"]


def test_the_document_is_not_sent_again_while_it_is_unchanged(served: Running) -> None:
    session_id = make(served, "etag")
    first = served.client.get(f"/api/sessions/{session_id}")
    again = served.client.get(f"/api/sessions/{session_id}", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    served.store.get(session_id).update(notes="changed by another program")
    changed = served.client.get(f"/api/sessions/{session_id}", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200 and changed.json()["notes"] == "changed by another program"


def test_a_hand_edit_is_seen_by_the_next_get(served: Running) -> None:
    session_id = make(served, "hand", notes="before")
    served.client.get(f"/api/sessions/{session_id}")
    path = served.store.get(session_id).folder / "session.json"
    path.write_bytes(path.read_bytes().replace(b"before", b"after!"))
    assert served.client.get(f"/api/sessions/{session_id}").json()["notes"] == "after!"


def test_a_folder_that_is_renamed_to_the_word_of_a_route_does_not_stand_in_its_way(served: Running) -> None:
    session_id = make(served, "renamed")
    folder = served.store.get(session_id).folder
    folder.rename(folder.with_name("list"))
    threading.Event().wait(0.15)  # old enough to be remembered
    served.client.get("/api/sessions/list")
    assert served.context.documents.known("list") is not None
    assert "sessions" in served.client.get("/api/sessions/db/list").json()
    assert served.client.get("/api/sessions/list").json()["session_id"] == "list"


def test_a_remembered_document_is_not_shown_through_a_link(served: Running, tmp_path: Path) -> None:
    session_id = make(served, "linked")
    threading.Event().wait(0.15)  # old enough to be remembered
    folder = served.store.get(session_id).folder
    first = served.client.get(f"/api/sessions/{session_id}")
    assert served.context.documents.known(session_id) is not None
    packed = served.client.get(f"/api/sessions/{session_id}", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.json() == first.json()
    seen = {"if-none-match": first.headers["etag"]}
    assert served.client.get(f"/api/sessions/{session_id}", headers=seen).status_code == 304
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert served.client.get(f"/api/sessions/{session_id}").status_code == 404


def test_a_document_that_is_remembered_is_dropped_when_any_of_its_files_changes(served: Running) -> None:
    with served.store.record("remembered", notes="before") as session:
        session.motion.append("scout-1", t_s=0.0, position_m=(0, 0, 5))
    address = f"/api/sessions/{session.session_id}"
    path = session.folder / "session.json"
    threading.Event().wait(0.15)  # younger files are never remembered
    first = served.client.get(address)
    assert served.context.documents.known(session.session_id) is not None
    assert served.client.get(address).content == first.content
    path.write_bytes(path.read_bytes().replace(b"before", b"after!"))  # same inode, same size
    assert served.context.documents.known(session.session_id) is None
    assert served.client.get(address).json()["notes"] == "after!"
    writer = session.writer("motion_history")
    writer.append({"drone": "scout-1", "position": [1, 0, 5]}, t_s=1.0)
    writer.close()
    assert served.client.get(address).json()["replay_available"] and not first.json()["replay_available"]


def test_a_stale_if_match_is_412_and_a_stale_rev_409_and_nothing_changes(served: Running) -> None:
    session_id = make(served, "cas")
    address = f"/api/sessions/{session_id}"
    etag = served.client.get(address).headers["etag"]
    assert served.client.patch(address, json={"notes": "one"}, headers={"if-match": etag}).status_code == 200
    stale = served.client.patch(address, json={"notes": "two"}, headers={"if-match": etag})
    assert stale.status_code == 412 and stale.json()["rev"] == 2
    assert served.client.patch(address, json={"notes": "two", "rev": 1}).status_code == 409
    assert served.client.get(address).json()["notes"] == "one"
    assert served.client.patch(address, json={"notes": "two", "rev": 2}).json()["rev"] == 3


def test_a_delete_with_if_match_deletes_what_the_client_saw_and_nothing_newer(served: Running) -> None:
    made = served.client.post("/api/sessions", json={"session_name": "x"}).json()["session_id"]
    address = f"/api/sessions/{made}"
    etag = served.client.get(f"/api/sessions/db/{made}").headers["etag"]
    served.client.patch(address, json={"notes": "newer"})
    assert served.client.delete(address, headers={"if-match": etag}).status_code == 412
    etag = served.client.get(f"/api/sessions/db/{made}").headers["etag"]
    assert served.client.delete(address, headers={"if-match": etag}).status_code == 200


def test_if_match_also_notices_a_hand_edit_that_left_the_revision_alone(served: Running) -> None:
    session_id = make(served, "edited", notes="before")
    etag = served.client.get(f"/api/sessions/{session_id}").headers["etag"]
    path = served.store.get(session_id).folder / "session.json"
    path.write_bytes(path.read_bytes().replace(b"before", b"after!"))
    reply = served.client.patch(f"/api/sessions/{session_id}", json={"tags": ["x"]}, headers={"if-match": etag})
    assert reply.status_code == 412
    assert served.client.get(f"/api/sessions/{session_id}").json()["tags"] == []


def test_pages_neither_skip_nor_repeat_while_sessions_come_and_go(served: Running) -> None:
    names = [served.store.create(f"n{number}").session_id for number in range(25)]
    seen: list[str] = []
    cursor: str | None = None
    for round_number in range(9):
        query = {"limit": "5", "fields": "session_id,tags", **({"cursor": cursor} if cursor else {})}
        page = served.client.get("/api/sessions", params=query).json()
        seen += [row["session_id"] for row in page["sessions"]]
        assert all(row.keys() == {"session_id", "tags"} for row in page["sessions"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
        served.store.create(f"newer{round_number}")
        served.store.delete(seen[-1])  # the very row that the cursor names
    assert seen == names[::-1]


def test_a_cursor_of_another_question_is_refused(served: Running) -> None:
    for number in range(3):
        served.store.create(f"n{number}")
    cursor = served.client.get("/api/sessions?limit=1").json()["next_cursor"]
    assert served.client.get("/api/sessions", params={"limit": 1, "sort": "rev", "cursor": cursor}).status_code == 400
    assert served.client.get("/api/sessions?cursor=nonsense").status_code == 400


def test_filters_and_sorting_are_those_of_the_command_line(served: Running) -> None:
    for number in range(5):
        served.store.create(f"n{number}", metadata={"num_drones": number})
    reply = served.client.get("/api/sessions", params={"where": "metadata.num_drones>2", "sort": "metadata.num_drones"})
    assert [row["metadata"]["num_drones"] for row in reply.json()["sessions"]] == [3, 4]
    assert reply.json()["total"] == 2
    wrong = served.client.get("/api/sessions", params={"where": "status="})
    assert wrong.status_code == 400 and "column" in wrong.json()["detail"]
    assert served.client.get("/api/sessions/db/list").json()["total"] == 5


def test_deleted_is_not_listed_and_comes_back(served: Running) -> None:
    session_id = make(served, "undo")
    assert served.client.delete(f"/api/sessions/{session_id}").json()["session_id"] == session_id
    assert served.client.get(f"/api/sessions/{session_id}").status_code == 404
    assert served.client.get("/api/sessions").json()["total"] == 0
    assert [entry["session_id"] for entry in served.client.get("/api/trash").json()["entries"]] == [session_id]
    assert served.client.post(f"/api/sessions/{session_id}/restore").json()["session_id"] == session_id
    assert served.client.post(f"/api/sessions/{session_id}/restore").status_code == 404


def test_changing_and_deleting_never_guess(served: Running) -> None:
    session_id = make(served, "Butterfly")
    assert served.client.get("/api/sessions/Butterfly").json()["session_id"] == session_id
    assert served.client.delete("/api/sessions/Butterfly").status_code == 404
    assert served.client.patch(f"/api/sessions/{session_id[:-1]}", json={"notes": "x"}).status_code == 404
    assert served.client.get("/api/sessions").json()["total"] == 1


def test_a_broken_session_is_told_as_broken_and_stops_no_other(served: Running) -> None:
    broken, good = make(served, "broken"), make(served, "good")
    (served.store.get(broken).folder / "session.json").write_text('{"session": {"1": {"session_id": 5')
    reply = served.client.get(f"/api/sessions/{broken}")
    assert (reply.status_code, reply.headers["content-type"]) == (409, "application/problem+json")
    assert reply.json()["line"] == 1 and str(served.store.root.path) not in reply.text
    listed = {row["session_id"]: row["status"] for row in served.client.get("/api/sessions").json()["sessions"]}
    assert listed == {broken: "unreadable", good: "created"}
    assert served.client.get(f"/api/sessions/{broken}/document").text.endswith('"session_id": 5')


def test_a_session_made_or_copied_by_others_is_listed_without_a_restart(served: Running, tmp_path: Path) -> None:
    with SessionStore(served.store.root.path) as other:
        made = other.create("elsewhere").session_id
    import shutil

    shutil.copytree(served.store.root.path / made, served.store.root.path / "my copy")
    listed = {row["session_id"] for row in served.client.get("/api/sessions").json()["sessions"]}
    assert listed == {made, "my copy"}
    assert served.client.get("/api/sessions/my copy").status_code == 200


def test_large_replies_are_compressed_for_those_who_can(served: Running) -> None:
    for number in range(30):
        served.store.create(f"n{number}")
    packed = served.raw(
        b"GET /api/sessions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        % served.port
    )
    head, _, body = packed.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head and b"vary: accept-encoding" in head
    assert json.loads(gzip.decompress(body))["total"] == 30
    plain = served.client.get("/api/sessions", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.json()["total"] == 30


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the folder of real inputs is missing: {DATA}")
def test_every_naughty_name_creates_a_session_and_finds_it_again(served: Running) -> None:
    for name in json.loads((DATA / "blns.json").read_text()):
        session_id = make(served, name)
        found = served.client.get("/api/sessions/" + session_id)
        assert found.status_code == 200 and found.json()["session_name"] == name


def test_the_export_is_the_folder_as_a_bundle(served: Running) -> None:
    with served.store.record("exported") as session:
        for number in range(2000):
            session.motion.append("scout-1", t_s=number / 20, position_m=(number, 0, 5))
    data = served.client.get(f"/api/sessions/{session.session_id}/export").content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        prefix = f"sessions/data/{session.session_id}/"
        packed = {name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if prefix in name}
    assert packed == {path.name: path.read_bytes() for path in session.folder.iterdir()}


def test_artifacts_are_attachments_and_links_are_not_followed(served: Running, tmp_path: Path) -> None:
    session_id = make(served, "files")
    folder = served.store.get(session_id).folder / "artifacts"
    folder.mkdir()
    (folder / "plot.html").write_text("<script>alert(1)</script>")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "fifo")
    address = f"/api/sessions/{session_id}/artifacts"
    assert served.client.get(address).json()["artifacts"] == [{"name": "plot.html", "bytes": 25}]
    reply = served.client.get(f"{address}/plot.html")
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-type"] == "application/octet-stream" and reply.text.startswith("<script>")
    assert served.client.get(f"{address}/link").status_code == 409
    assert served.client.get(f"{address}/fifo").status_code == 409
    for hostile in ("..%2Fsession.json", "%2e%2e", "%252e%252e%252fsession.json", "%00"):
        assert served.client.get(f"{address}/{hostile}").status_code in (404, 405), hostile


def test_a_linked_folder_is_no_session(served: Running, tmp_path: Path) -> None:
    session_id = make(served, "real")
    outside = tmp_path / "outside"
    os.rename(served.store.get(session_id).folder, outside)
    (served.store.root.path / session_id).symlink_to(outside)
    assert served.client.get(f"/api/sessions/{session_id}").status_code == 404
    assert served.client.get(f"/api/sessions/{session_id}/export").status_code == 404


def test_health_says_what_is_true(served: Running) -> None:
    make(served, "one")
    reply = served.client.get("/api/health")
    body = reply.json()
    assert reply.status_code == 200 and body["status"] == "ok" and body["healthy"]
    assert body["sessions"]["total"] == 1 and body["sessions"]["pending"] == 0
    assert body["store"]["disk_free_bytes"] > 0 and body["index"]["engine"] == "journal"
    assert not list(served.store.root.staging.iterdir())


def test_the_page_files_are_served_by_exact_name_only(serve_with: Callable[..., Running]) -> None:
    running = serve_with()
    for path in ("/../pyproject.toml", "/..%2f..%2fpyproject.toml", "/.git/config", "/web.py", "/__init__.py"):
        reply = running.raw(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nConnection: close\r\n\r\n".encode()
        )
        assert reply.split()[1] == b"404", (path, reply)
