"""Details of the API that programs rely on: fields, CSV, ranges, entity tags, bulk changes, merge patches, streams."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from typing import Any

import pytest

from sessionstore.store.history import History
from tests.server.conftest import Running

JSON_PATCH = {"content-type": "application/merge-patch+json"}


@pytest.fixture
def made(served: Running) -> str:
    with served.store.record("Own", metadata={"site": "north", "a": {"b": 1, "c": 2}, "big": ["x"] * 2000}) as session:
        session.motion.append("d", t_s=0.0, position_m=(0, 0, 0))
        session.motion.append("d", t_s=0.5, position_m=(3, 0, 0))
        session.stream("mine").append({"value": 1, "deep": {"k": [1]}}, 0.1)
    return session.session_id


def edit_by_hand(site: Running, session_id: str, **changes: object) -> None:
    path = site.store.get(session_id).folder / "session.json"
    text = json.loads(path.read_text("utf-8"))
    next(iter(text["session"].values())).update(changes)
    path.with_suffix(".new").write_text(json.dumps(text), "utf-8")
    os.replace(path.with_suffix(".new"), path)


def test_one_key_of_the_metadata_can_be_asked_for(served: Running, made: str) -> None:
    found = served.client.get("/api/sessions", params={"fields": "session_id,metadata.site,metadata.a.b"}).json()
    assert found["sessions"] == [{"session_id": made, "metadata.site": "north", "metadata.a.b": 1}]
    assert served.client.get(f"/api/sessions/{made}", params={"fields": "metadata.site"}).json() == {
        "metadata.site": "north"
    }


def test_lists_and_streams_come_as_csv(served: Running, made: str) -> None:
    reply = served.client.get("/api/sessions", params={"format": "csv", "fields": "session_id,points,metadata.site"})
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(reply.text))) == [
        ["session_id", "points", "metadata.site"],
        [made, "2", "north"],
    ]
    [row] = csv.DictReader(io.StringIO(served.client.get("/api/sessions", params={"format": "csv"}).text))
    assert (row["copies"], row["tags"]) == ("[]", "[]"), "lists are JSON in a cell"
    stream = served.client.get(f"/api/sessions/{made}/streams/mine", params={"format": "csv"}).text
    assert list(csv.DictReader(io.StringIO(stream))) == [{"n": "0", "t": "0.1", "value": "1", "deep": '{"k": [1]}'}]


def test_a_stream_that_nobody_began_is_not_found(served: Running, made: str) -> None:
    assert served.client.get(f"/api/sessions/{made}/streams/nope").status_code == 404
    assert served.client.get(f"/api/sessions/{made}/streams/log").json()["records"] == []


def test_a_broken_download_of_the_zip_goes_on_where_it_was(served: Running, made: str) -> None:
    address = f"/api/sessions/{made}/export"
    whole = served.client.get(address)
    middle = len(whole.content) // 2
    rest = served.client.get(address, headers={"range": f"bytes={middle}-", "if-range": whole.headers["etag"]})
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {middle}-{len(whole.content) - 1}/{len(whole.content)}"
    assert zipfile.ZipFile(io.BytesIO(whole.content[:middle] + rest.content)).testzip() is None
    assert served.client.get(address, headers={"range": "bytes=-10"}).content == whole.content[-10:]
    assert served.client.get(address, headers={"range": "bytes=999999999-"}).status_code == 416
    served.client.patch(f"/api/sessions/{made}", json={"notes": "changed"})
    changed = served.client.get(address, headers={"range": f"bytes={middle}-", "if-range": whole.headers["etag"]})
    assert changed.status_code == 200, "another state is sent from its beginning"


def test_each_coding_has_a_strong_entity_tag_and_both_are_preconditions(served: Running, made: str) -> None:
    address = f"/api/sessions/{made}"
    packed = served.client.get(address)
    plain = served.client.get(address, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert not packed.headers["etag"].startswith("W/") and packed.headers["etag"] != plain.headers["etag"]
    for tag in (packed.headers["etag"], plain.headers["etag"]):
        assert served.client.get(address, headers={"if-none-match": tag}).status_code == 304
    reply = served.client.patch(address, json={"notes": "one"}, headers={"if-match": packed.headers["etag"]})
    assert reply.status_code == 200
    stale = served.client.patch(address, json={"notes": "two"}, headers={"if-match": packed.headers["etag"]})
    assert stale.status_code == 412


def test_a_revision_alone_notices_an_edit_by_hand(served: Running, made: str) -> None:
    address = f"/api/sessions/{made}"
    rev = served.client.get(address).json()["rev"]
    edit_by_hand(served, made, notes="by hand")
    assert served.client.get("/api/sessions").json()["sessions"][0]["rev"] == rev
    refused = served.client.patch(address, json={"notes": "from a program", "rev": rev})
    assert refused.status_code == 409 and "by hand" in refused.json()["detail"]
    assert served.client.get(address).json()["notes"] == "by hand"
    assert served.client.patch(address, json={"notes": "after reading again", "rev": rev}).status_code == 200


def test_a_merge_patch_changes_only_the_keys_it_names(served: Running, made: str) -> None:
    address = f"/api/sessions/{made}"
    body = json.dumps({"metadata": {"site": None, "a": {"b": 9}, "new": True, "big": None}})
    reply = served.client.patch(address, content=body, headers=JSON_PATCH)
    assert reply.json()["metadata"] == {"a": {"b": 9, "c": 2}, "new": True}
    assert served.client.patch(address, json={"metadata": {"z": 1}}).json()["metadata"] == {"z": 1}
    assert served.client.post("/api/sessions", content=b"{}", headers=JSON_PATCH).status_code == 415


def test_many_sessions_are_tagged_deleted_and_restored_in_one_request(served: Running) -> None:
    ids = [served.store.create(f"s{number}").session_id for number in range(3)]
    body = {"ids": [*ids, "202601010000-none"], "add": ["x", "y"], "remove": ["z"]}
    tagged = served.client.post("/api/sessions/tags", json=body).json()
    assert [each["session_id"] for each in tagged["done"]] == ids and not tagged["success"]
    assert tagged["failed"][0]["problem"]["status"] == 404
    assert served.store.get(ids[0]).record.tags == ["x", "y"]
    gone = served.client.post("/api/sessions/delete", json={"ids": ids}).json()
    assert gone["success"] and not served.store.find()
    entries = [each["entry_id"] for each in gone["done"]]
    assert served.client.post("/api/sessions/restore", json={"ids": entries}).json()["success"]
    noted = [change.kind for change in History(served.store).changes()]
    assert noted[: 2 * len(entries)].count("restore") == len(entries) and "delete" in noted
    assert {row.session_id for row in served.store.find()} == set(ids)


def test_notes_of_many_sessions_are_extended_or_replaced_and_can_be_undone(served: Running) -> None:
    first, second = (served.store.create(name, notes=notes).session_id for name, notes in (("a", "old"), ("b", "")))
    body = {"ids": [first, second, "202601010000-none"], "notes": "windy"}
    reply = served.client.post("/api/sessions/notes", json=body).json()
    assert [each["notes"] for each in reply["done"]] == ["old\nwindy", "windy"] and len(reply["failed"]) == 1
    assert (
        served.client.post("/api/sessions/notes", json={**body, "how": "replace"}).json()["done"][0]["notes"] == "windy"
    )
    History(served.store).undo()  # of the first; the second was the same already
    assert [served.store.get(name).record.notes for name in "ab"] == ["old\nwindy", "windy"]
    assert served.client.post("/api/sessions/notes", json={**body, "how": "erase"}).status_code == 400


def test_a_page_of_the_list_begins_anywhere(served: Running) -> None:
    ids = [served.store.create(f"s{number}").session_id for number in range(5)][::-1]
    ask = served.client.get
    found = ask("/api/sessions", params={"offset": 2, "limit": 2}).json()
    assert [each["session_id"] for each in found["sessions"]] == ids[2:4] and found["total"] == 5
    behind = ask("/api/sessions", params={"cursor": found["next_cursor"], "limit": 9}).json()
    assert [each["session_id"] for each in behind["sessions"]] == ids[4:] and behind["next_cursor"] is None
    assert ask("/api/sessions", params={"offset": 5}).json()["sessions"] == []
    assert ask("/api/sessions", params={"offset": 1, "cursor": found["next_cursor"]}).status_code == 400
    assert ask("/api/sessions", params={"offset": -1}).status_code == 400


def test_the_list_comes_in_groups_whose_filters_find_their_sessions(served: Running) -> None:
    def made(site: Any, points: int | None, tags: list[str]) -> None:
        metadata = {} if site is None else {"site": site, "wind_ms": points}
        served.store.create("s", metadata=metadata, tags=tags, duration_sim_s=points)

    for site, points, tags in (
        ('a "b"', 4, ["x", "y"]),
        ('a "b"', 6, ["x"]),
        (5, None, []),
        (None, 9, []),
        ([1], 2, []),
    ):
        made(site, points, tags)
    ask = served.client.get
    for by in ("metadata.site", "tags", "day", "status", "num_drones"):
        found = ask("/api/sessions/groups", params={"by": by, "of": "duration_sim_s,metadata.wind_ms"}).json()
        assert found["total"] == 5
        for group in found["groups"]:
            if group["where"] is None:
                assert group["value"] == [1]
                continue
            rows = ask("/api/sessions", params={"where": group["where"]}).json()
            assert rows["total"] == group["count"] == sum(group["statuses"].values()), group
            numbers = [row["duration_sim_s"] for row in rows["sessions"] if row["duration_sim_s"] is not None]
            figure = group["figures"]["duration_sim_s"]
            assert (figure is None) == (not numbers)
            if figure:
                least, most, mean = min(numbers), max(numbers), sum(numbers) / len(numbers)
                assert (figure["min"], figure["max"], figure["mean"]) == (least, most, mean)
    groups = ask("/api/sessions/groups", params={"by": "metadata.site"}).json()["groups"]
    assert groups[0]["value"] == 'a "b"' and groups[-1]["value"] is None
    assert ask("/api/sessions/groups", params={"by": "colour"}).status_code == 400
    narrowed = ask("/api/sessions/groups", params={"by": "status", "where": "tags=x"}).json()
    assert narrowed["total"] == 2


def test_metrics_of_the_sessions_on_the_screen_come_in_one_request(served: Running, made: str) -> None:
    served.store.get(made).update(
        performance_metrics={"last": {"loss": 0.5}, "totals": {"points": 2}, "deep": {"a": {"b": 1}}}
    )
    body = {"ids": [made, "202601010000-none"], "metrics": ["loss", "points", "deep.a.b", "totals.points", "absent"]}
    found = served.client.post("/api/sessions/values", json=body).json()
    assert found["values"][made] == {"loss": 0.5, "points": 2, "deep.a.b": 1, "totals.points": 2}
    assert found["problems"]["202601010000-none"]["status"] == 404


def test_the_values_at_a_moment_are_those_of_the_stream(served: Running, made: str) -> None:
    found = served.client.get(f"/api/sessions/{made}/moment", params={"t": 0.5}).json()
    assert found["drones"]["d"]["position"] == [3.0, 0.0, 0.0] and found["drones"]["d"]["speed"] == 6.0
    figure = served.client.get(f"/api/sessions/{made}/figures", params={"names": "speed"}).json()["speed"]
    assert figure["data"][0]["y"] == [6.0], "the chart has the speed too"


def test_any_number_of_any_stream_can_be_charted(served: Running, made: str) -> None:
    found = served.client.get(f"/api/sessions/{made}/fields").json()["streams"]
    assert found["mine"] == ["value", "deep.k.0"] and "position.2" in found["motion_history"]
    asked = {"stream": "mine", "field": "deep.k.0"}
    figure = served.client.get(f"/api/sessions/{made}/series", params=asked).json()
    assert figure["data"][0]["x"] == [0.1] and figure["data"][0]["y"] == [1]
    asked = {"stream": "motion_history", "field": "position.0"}
    figure = served.client.get(f"/api/sessions/{made}/series", params=asked).json()
    assert figure["data"][0]["name"] == "d" and figure["data"][0]["y"] == [0.0, 3.0]
    assert served.client.get(f"/api/sessions/{made}/series", params={**asked, "stream": "nope"}).status_code == 404


def test_a_record_with_keys_of_the_line_keeps_its_own_values(served: Running) -> None:
    with served.store.record("keys") as session:
        session.stream("mine").append({"n": 70, "t": "warm"}, 1.0)
    found = served.client.get(f"/api/sessions/{session.session_id}/streams/mine").json()["records"]
    assert found == [{"n": 0, "t": 1.0, "=": {"n": 70, "t": "warm"}}]


def test_a_run_that_only_appends_says_what_its_streams_say(served: Running) -> None:
    recorder = served.store.record("Flying")
    for step in range(10):
        recorder.motion.append(f"d{step % 2}", t_s=float(step), position_m=(step, 0, 0))
    seen = served.client.get(f"/api/sessions/{recorder.session_id}").json()["observed"]
    assert seen == {"duration_sim_s": 9.0, "points": 10, "drones": [{"id": "d0"}, {"id": "d1"}]}
    recorder.finish()


def test_what_server_sent_events_carry_is_described(served: Running) -> None:
    described = served.client.get("/openapi.json").json()
    live = described["paths"]["/api/sessions/{session_id}/live"]["get"]["responses"]["200"]["content"]
    events = live["text/event-stream"]["x-events"]
    assert {"*", "session", "end"} <= events.keys()
    name = events["end"]["$ref"].rpartition("/")[2]
    assert "status" in described["components"]["schemas"][name]["properties"]


def test_the_addresses_of_the_users_notes_answer(served: Running, made: str) -> None:
    for path in ("commands", "master/commands", "master/controls", "training/buildings", "training-buildings",
                 "weather/current", "ml-learning", "scenarios"):  # fmt: skip
        reply = served.client.get(f"/api/{path}")
        assert reply.status_code == 200 and reply.json()["success"], path
    sensors = served.client.get(f"/api/sensors/D?session_id={made}").json()
    assert sensors["sensors"]["position"] == [3.0, 0.0, 0.0]
    assert served.client.get(f"/api/drones/none/sensors?session_id={made}").status_code == 404


def test_artifacts_come_in_ranges_and_only_pictures_in_place(served: Running, made: str) -> None:
    folder = served.store.get(made).folder / "artifacts"
    folder.mkdir()
    (folder / "film.webm").write_bytes(bytes(range(200)))
    (folder / "page.html").write_text("<script>alert(1)</script>")
    film = served.client.get(
        f"/api/sessions/{made}/artifacts/film.webm", params={"inline": "true"}, headers={"range": "bytes=10-19"}
    )
    assert film.status_code == 206 and film.content == bytes(range(10, 20))
    assert film.headers["content-type"] == "video/webm" and film.headers["content-disposition"] == "inline"
    page = served.client.get(f"/api/sessions/{made}/artifacts/page.html", params={"inline": "true"})
    assert page.headers["content-disposition"].startswith("attachment")
