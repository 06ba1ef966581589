"""Bookmarks that are kept in the session, and alerts that are found in the recorded data; both on the timeline."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from sessionstore.store.history import History
from tests.server.conftest import Running, running_server
from tests.web.conftest import CHROMIUM, PLAYER, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two drones of somebody else: they pass each other at 10 s, and one battery runs low at 15 s."""
    folder = tmp_path_factory.mktemp("pair") / "store"
    with sessionstore.open(folder).record("pair") as session:
        for step in range(401):
            t_s = step / 20
            session.motion.append("a", t_s=t_s, position_m=(t_s - 10, 0.0, 5.0), battery=1 - t_s / 20)
            session.motion.append("b", t_s=t_s, position_m=(10 - t_s, 0.5, 5.0), battery=0.9)
            if step % 20 == 0:
                lost = 5 <= t_s < 8
                session.stream("communication").append({"from": "a", "to": "base", "delivered": not lost}, t_s)
    yield from running_server(folder, Settings())


def opened(site: Running, open_page: Opener, query: str = "", **more: Any) -> Any:
    page = open_page(f"{site.url}/session/{site.store.get('pair').session_id}{query}", **more)
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def test_alerts_are_found_in_the_recorded_data_listed_and_marked_on_the_timeline(
    pair: Running, open_page: Opener
) -> None:
    page = opened(pair, open_page, "?tab=marks")
    page.get_by_text("Alerts (3)").wait_for()
    rows = page.locator(".mark-list li")
    assert "battery low" in rows.filter(has_text="a:").last.inner_text()
    near = rows.filter(has_text="a and b")
    assert "0.50 m apart".replace("0.50", "0.5") in near.inner_text()
    assert page.evaluate(f"{PLAYER}.timeline.alerts.map((each) => each.kind).sort()") == [
        "battery",
        "link",
        "separation",
    ]
    near.get_by_role("button").click()
    assert page.evaluate(f"{PLAYER}.t") == pytest.approx(9.6, abs=0.11)
    page.get_by_label("separation below m").fill("0.2")
    page.get_by_label("separation below m").press("Enter")
    page.get_by_text("Alerts (2)").wait_for()


def test_a_bookmark_is_kept_in_the_session_linked_and_can_be_undone(pair: Running, open_page: Opener) -> None:
    page = opened(pair, open_page, "?t=4&tab=marks")
    page.keyboard.press("b")
    page.get_by_label("To (s").fill("6.5")
    page.get_by_label("Note").fill("the turn <b>here</b>")
    page.get_by_role("button", name="Save").click()
    page.locator(".mark-list").get_by_text("the turn <b>here</b>").wait_for()
    (kept,) = pair.store.get("pair").record.metadata["bookmarks"]
    assert (kept["t"], kept["end"], kept["text"]) == (4, 6.5, "the turn <b>here</b>")
    assert page.evaluate(f"{PLAYER}.timeline.bookmarks.length") == 1
    other = opened(pair, open_page, f"?mark={kept['id']}")
    until(other, f"{PLAYER}.t === 4")
    assert other.evaluate("document.querySelector('session-view').charts.range") == [4, 6.5]
    with sessionstore.open(pair.store.root.path) as store:
        History(store).undo()
        assert "bookmarks" not in store.get("pair").record.metadata
    until(page, f"{PLAYER}.timeline.bookmarks.length === 0")


def test_two_windows_do_not_take_each_others_bookmarks_away(pair: Running, open_page: Opener) -> None:
    first, second = opened(pair, open_page, "?t=1"), opened(pair, open_page, "?t=2")
    for page, text in ((first, "one"), (second, "two")):
        page.keyboard.press("b")
        page.get_by_label("Note").fill(text)
    for page in (first, second):
        page.get_by_role("button", name="Save").click()
        page.locator("dialog").wait_for(state="detached")
    assert [each["text"] for each in pair.store.get("pair").record.metadata["bookmarks"]] == ["one", "two"]


def test_bookmarks_are_in_the_exported_page_too(pair: Running, open_page: Opener, tmp_path: Path) -> None:
    assert shutil.which("chromium") == CHROMIUM
    session = pair.store.get("pair")
    session.update(metadata={"bookmarks": [{"id": "x", "t": 3.0, "text": "in the file"}]})
    page = tmp_path / "pair.html"
    page.write_bytes(pair.client.get(f"/api/sessions/{session.session_id}/export.html").content)
    shown = open_page(page.as_uri())
    shown.get_by_role("tab", name="Marks").click()
    shown.get_by_text("in the file").wait_for()
    shown.get_by_text("Alerts (3)").wait_for()
    assert shown.get_by_role("button", name="+ Bookmark").count() == 0, "a file keeps nothing"
