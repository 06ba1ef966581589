"""Live views: nothing lost, nothing twice, whoever comes, goes, reads slowly or comes back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sessionstore.index.journal import columns
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.server.live import event_stream, feeds
from sessionstore.session.recorder import Recorder
from tests.server.conftest import Running


def events_of(response: httpx.Response) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        if line.startswith(("id: ", "event: ")):
            name, _, value = line.partition(": ")
            event[name] = value
        elif line.startswith("data: "):
            event["data"] = json.loads(line[6:])
        elif not line and "event" in event:
            yield event
            event = {}


def fill(session: Recorder, first: int, last: int, size: int = 0) -> None:
    for number in range(first, last):
        more = {"pad": "x" * size} if size else {}
        session.motion.append("scout-1", t_s=number / 20, position_m=(number, 0, 5), **more)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [record["n"] for event in events if event["event"] == "motion_history" for record in event["data"]]


def test_a_viewer_sees_what_was_and_what_comes_and_then_the_end(served: Running) -> None:
    found: list[dict[str, Any]] = []
    with served.store.record("live") as session:
        fill(session, 0, 500)
        with served.client.stream("GET", f"/api/sessions/{session.session_id}/live?streams=motion_history") as reply:
            for event in events_of(reply):
                found.append(event)
                if len(numbers(found)) == 500 and event["event"] == "motion_history":
                    fill(session, 500, 900)
                if len(numbers(found)) == 900 and not session._finished:
                    session.finish()
    assert numbers(found) == list(range(900))
    assert found[-1]["event"] == "end" and found[-1]["data"]["status"] == "completed"
    assert {event["event"] for event in found} == {"motion_history", "session", "end"}


def test_coming_back_with_the_last_id_loses_and_repeats_nothing(served: Running) -> None:
    found: list[dict[str, Any]] = []
    with served.store.record("resumed") as session:
        address = f"/api/sessions/{session.session_id}/live?streams=motion_history,events"
        stop = threading.Event()

        def write() -> None:
            for block in range(40):
                fill(session, block * 50, block * 50 + 50)
                session.event("block", str(block))
                stop.wait(0.01)

        writer = threading.Thread(target=write)
        writer.start()
        last_id: str | None = None
        visits = 0
        while len(numbers(found)) < 2000:
            visits += 1
            headers = {"last-event-id": last_id} if last_id else {}
            with served.client.stream("GET", address, headers=headers) as reply:
                for seen, event in enumerate(events_of(reply)):
                    if event["event"] in ("motion_history", "events"):
                        found.append(event)
                        last_id = event["id"]
                    if seen >= 3 or len(numbers(found)) >= 2000:
                        break  # the connection is lost
        writer.join()
        blocks = [record["message"] for event in found if event["event"] == "events" for record in event["data"]]
    assert numbers(found) == list(range(2000)) and visits > 2
    assert blocks == [str(number) for number in range(len(blocks))]


def test_who_has_read_all_of_an_ended_session_is_told_not_to_come_back(served: Running) -> None:
    with served.store.record("done") as session:
        fill(session, 0, 10)
    address = f"/api/sessions/{session.session_id}/live"
    with served.client.stream("GET", address) as reply:
        found = list(events_of(reply))
    assert found[-1]["event"] == "end" and numbers(found) == list(range(10))
    last_id = [event["id"] for event in found if "id" in event][-1]
    assert served.client.get(address, headers={"last-event-id": last_id}).status_code == 204


def test_a_viewer_may_begin_at_an_offset_or_at_the_end(served: Running) -> None:
    with served.store.record("offset") as session:
        fill(session, 0, 10)
        piece = served.client.get(f"/api/sessions/{session.session_id}/streams/motion_history?limit=4").json()
        assert [record["n"] for record in piece["records"]] == [0, 1, 2, 3] and not piece["at_end"]
        session.finish()
        address = f"/api/sessions/{session.session_id}/live?streams=motion_history&offset="
        with served.client.stream("GET", f"{address}{piece['next_offset']}") as reply:
            assert numbers(list(events_of(reply))) == list(range(4, 10))
        with served.client.stream("GET", f"{address}end") as reply:
            assert numbers(list(events_of(reply))) == []


@pytest.mark.parametrize(
    "query",
    ["streams=../session", "cursor=a:b", "cursor=motion_history:-1", "offset=-1", "offset=1e3",
     "cursor=a:1,a:2", "offset=5", "streams=" + "x" * 100],
)  # fmt: skip
def test_odd_positions_are_400(served: Running, query: str) -> None:
    session_id = served.store.create("odd").session_id
    assert served.client.get(f"/api/sessions/{session_id}/live?{query}").status_code == 400


def test_a_viewer_that_reads_slowly_gets_pieces_and_piles_up_nothing(served: Running) -> None:
    with served.store.record("large") as session:
        fill(session, 0, 6000, size=400)
    with served.client.stream("GET", f"/api/sessions/{session.session_id}/live?streams=motion_history") as reply:
        found = list(events_of(reply))
    pieces = [event for event in found if event["event"] == "motion_history"]
    assert numbers(found) == list(range(6000))
    assert len(pieces) > 8 and max(len(json.dumps(event["data"])) for event in pieces) < 2 * feeds.PIECE_BYTES


def test_a_damaged_line_and_a_torn_end_stop_no_viewer(served: Running) -> None:
    with served.store.record("damaged") as session:
        fill(session, 0, 10)
    path = session.stream_path("motion_history")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = b"x" + lines[4][1:]
    path.write_bytes(b"".join(lines) + b'{"n":10,"t":0.5')
    with served.client.stream("GET", f"/api/sessions/{session.session_id}/live?streams=motion_history") as reply:
        assert numbers(list(events_of(reply))) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    piece = served.client.get(f"/api/sessions/{session.session_id}/streams/motion_history").json()
    assert len(piece["records"]) == 9 and "does not parse" in piece["damaged"][0]["reason"] and piece["at_end"]


def test_a_fifo_in_place_of_a_stream_is_an_error_event_and_blocks_nobody(served: Running) -> None:
    import os

    session = served.store.create("hostile")
    os.mkfifo(session.stream_path("events"))
    reply = served.client.get(f"/api/sessions/{session.session_id}/live?streams=events", timeout=20)
    assert "event: error" in reply.text and "unsafe-file" in reply.text
    assert served.client.get("/api/health").status_code == 200


def test_a_deleted_session_ends_its_viewers(served: Running) -> None:
    session = served.store.create("deleted")
    address = f"/api/sessions/{session.session_id}/live?streams=events"
    with served.client.stream("GET", address) as reply:
        seen = events_of(reply)
        assert next(seen)["event"] == "session"
        served.store.delete(session.session_id)
        assert next(seen)["data"]["status"] == "gone"


def test_many_viewers_cost_one_reading_of_the_file(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[int] = []
    original = feeds.read_piece

    def counted(*arguments: Any) -> feeds.Piece:
        readings.append(1)
        return original(*arguments)

    session = served.store.record("crowd")
    results: list[int] = []
    ready = threading.Barrier(11)

    def view() -> None:
        with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
            address = f"/api/sessions/{session.session_id}/live?streams=motion_history&offset=end"
            with client.stream("GET", address) as reply:
                found = []
                for event in events_of(reply):
                    if event["event"] == "session" and not found:
                        ready.wait(30)
                    found.append(event)
                results.append(len(numbers(found)))

    viewers = [threading.Thread(target=view) for _ in range(10)]
    for viewer in viewers:
        viewer.start()
    ready.wait(30)
    monkeypatch.setattr(feeds, "read_piece", counted)
    monkeypatch.setattr(event_stream, "read_piece", counted)
    for block in range(20):
        fill(session, block * 10, block * 10 + 10)
        threading.Event().wait(0.03)
    before_the_end = len(readings)
    session.finish()
    for viewer in viewers:
        viewer.join(60)
    assert results == [200] * 10
    assert before_the_end < 100  # ten viewers reading for themselves would need two hundred


def test_the_list_moves_by_itself_whoever_changes_it(served: Running) -> None:
    with served.client.stream("GET", "/api/sessions/events") as reply:
        seen = events_of(reply)
        assert next(seen)["event"] == "hello"
        made = served.store.create("appears").session_id
        event = next(seen)
        assert [row["session_id"] for row in event["data"]["changed"]] == [made]
        served.store.get(made).update(notes="x", status="running", owner=None)
        assert next(seen)["data"]["changed"][0]["rev"] == 2
        served.store.delete(made)
        assert next(seen)["data"]["removed"] == [made]
    again = {"last-event-id": "1"}
    with served.client.stream("GET", "/api/sessions/events", headers=again) as reply:
        assert next(events_of(reply))["data"]["reset"] is True


@pytest.mark.parametrize("large", [False, True])
def test_a_change_between_reading_the_list_and_following_it_is_not_missed(
    large: bool, served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:  # the list is read from columns
        monkeypatch.setattr(columns, "MIN_ROWS", 1)
        monkeypatch.setattr(columns, "_ROW_BYTES", 1)
    made = served.store.create("one")
    for _ in range(2):  # with and without another viewer
        served.client.get("/api/sessions")
        read = served.client.get("/api/sessions").json()["revision"]
        with served.client.stream("GET", f"/api/sessions/events?since={read}") as reply:
            assert next(events_of(reply))["data"]["reset"] is False
            made.update(notes=read)
            with served.client.stream("GET", f"/api/sessions/events?since={read}") as late:
                events = events_of(late)  # by the first event, or by the next one
                assert next(events)["data"]["reset"] or next(events)["data"]["changed"]
        with served.client.stream("GET", f"/api/sessions/events?since={read}") as reply:
            hello = next(events_of(reply))["data"]
            assert hello["reset"] is True and hello["revision"] != read


def test_a_viewer_that_was_alone_and_comes_back_reads_the_list_again(served: Running) -> None:
    with served.client.stream("GET", "/api/sessions/events") as reply:
        last = next(events_of(reply))["id"]
    threading.Event().wait(1.5)  # the server stops looking when nobody follows
    served.store.create("meanwhile")
    with served.client.stream("GET", "/api/sessions/events", headers={"last-event-id": last}) as reply:
        assert next(events_of(reply))["data"]["reset"] is True


def test_changes_of_a_large_list_are_told_without_reading_all_rows(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)
    ids = [served.store.create(f"run {number}").session_id for number in range(3)]
    served.client.get("/api/sessions")
    monkeypatch.setattr(JournalIndex, "snapshot", None)
    with served.client.stream("GET", "/api/sessions/events") as reply:
        seen = events_of(reply)
        next(seen)
        served.store.get(ids[0]).update(notes="x")
        told = next(seen)["data"]
        assert [row["rev"] for row in told["changed"]] == [2] and told["total"] == 3
        served.store.delete(ids[1])
        told = next(seen)["data"]
        assert told["removed"] == [ids[1]] and told["total"] == 2
        path = served.store.get(ids[2]).folder / "session.json"
        path.write_text(path.read_text().replace('"run 2"', '"by hand"'))
        served.store.compare()
        assert [row["session_name"] for row in next(seen)["data"]["changed"]] == ["by hand"]
        running = served.store.record("live")
        named = [row["status"] for row in next(seen)["data"]["changed"]]
        assert named and named[0] in ("created", "running")
        running.finish()


def test_some_streams_are_followed_from_an_offset_and_the_others_from_their_end(served: Running) -> None:
    with served.store.record("both") as session:
        fill(session, 0, 10)
        session.event("first")
        address = (
            f"/api/sessions/{session.session_id}/live?streams=motion_history,events&offset=end&cursor=motion_history:0"
        )
        with served.client.stream("GET", address) as reply:
            seen = events_of(reply)
            found = [next(seen)]
            session.event("second")
            while found[-1]["event"] != "events":
                found.append(next(seen))
    assert numbers(found) == list(range(10))
    assert [record["kind"] for record in found[-1]["data"]] == ["second"]


def test_stopping_the_server_ends_live_replies_at_once(served: Running) -> None:
    session = served.store.record("long")
    with served.client.stream("GET", f"/api/sessions/{session.session_id}/live?streams=events") as reply:
        seen = events_of(reply)
        assert next(seen)["event"] == "session"
        served.server.should_exit = True
        assert list(seen) == []
    session.finish()
