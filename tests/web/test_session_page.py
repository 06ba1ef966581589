"""A session in a browser: player, timeline, tabs, charts, editing; live as the end of the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionstore.server.context import Settings
from tests.server.conftest import Running
from tests.web.conftest import PLAYER, open_store, session_page, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


def moment_of(page: Any) -> float:
    return float(page.evaluate(f"{PLAYER}.t"))


def picture(page: Any) -> bytes:
    return bytes(page.locator(".stage").screenshot())


def test_a_deep_link_opens_the_moment_the_view_and_the_drone(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?t=12.5&view=top&follow=scout-1&rate=2&tab=events")
    assert moment_of(page) == 12.5
    assert page.get_by_role("button", name="Top", exact=True).get_attribute("aria-pressed") == "true"
    assert page.evaluate(f"{PLAYER}.follow") == "scout-1"
    assert page.get_by_role("tab", name="Events").get_attribute("aria-selected") == "true"
    page.get_by_text("00:12.5 / 00:40.0").wait_for()


def test_the_picture_changes_as_it_plays_and_pausing_writes_the_moment_into_the_address(
    site: Running, open_page: Opener
) -> None:
    page = session_page(site, open_page)
    before = picture(page)
    page.keyboard.press("Space")
    until(page, f"{PLAYER}.t > 2")
    page.keyboard.press("Space")
    assert picture(page) != before
    page.wait_for_url("**t=**")


def test_what_is_drawn_is_where_the_drone_was_recorded(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?t=17.3")
    until(page, f"{PLAYER}.tape.windows.size > 0")
    shown = page.evaluate(f"{PLAYER}.tape.at('scout-1', 17.3)")
    session_id = site.store.get("Butterfly").session_id
    query = {"start": 17.3, "end": 17.3, "step": 1}
    point = site.client.get(f"/api/sessions/{session_id}/replay", params=query).json()["motion_history"]["scout-1"][0]
    assert [shown["x"], shown["y"], shown["z"]] == pytest.approx(point["position"], abs=0.25)


def test_keys_step_jump_and_change_the_rate(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page)
    page.keyboard.press("5")
    assert moment_of(page) == pytest.approx(20)
    page.keyboard.press("ArrowRight")
    assert moment_of(page) == pytest.approx(21)
    page.keyboard.press("Shift+ArrowLeft")
    assert moment_of(page) == pytest.approx(11)
    page.keyboard.press("+")
    assert page.get_by_label("Rate").input_value() == "2"
    page.keyboard.press("End")
    assert moment_of(page) == pytest.approx(40, abs=0.1)
    page.keyboard.press("f")
    assert page.evaluate(f"{PLAYER}.follow") == "scout-1"


def test_a_click_on_the_phase_bar_goes_there_and_an_event_goes_to_its_moment(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page)
    box = page.locator(".timeline").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 8)
    assert moment_of(page) == pytest.approx(10, abs=0.2)
    page.get_by_role("tab", name="Events").click()
    phase = page.locator(".record").filter(has_text="SCAN -> PLAN").first
    phase.wait_for()
    phase.get_by_role("button").click()
    told = phase.get_by_role("button").inner_text()
    until(page, f"document.querySelector('.clock').innerText.startsWith({told!r})")


def test_all_views_draw_something_of_their_own(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?t=20")
    pictures = []
    for name in ("3D", "Top", "Front", "Side", "All four"):
        button = page.get_by_role("button", name=name, exact=True)
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        page.mouse.move(0, 0)
        until(page, f"!{PLAYER}.stale")
        pictures.append(bytes(page.locator(".stage > canvas").first.screenshot()))
    assert len(set(pictures)) == 5


def test_tabs_show_drones_log_json_and_provenance(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?t=20")
    page.locator(".drone-table tr").filter(has_text="scout-1").filter(has_text="dBm").wait_for()
    page.get_by_role("tab", name="Log").click()
    page.get_by_label("Search log").fill("scout-1 reports")  # the list follows the moment: its begin is out of sight
    page.locator(".record").filter(has_text="scout-1 reports").wait_for()
    page.get_by_label("Search log").fill("no such message")
    page.get_by_text("No record matches.").wait_for()
    page.get_by_role("tab", name="JSON").click()
    on_disk = (site.store.get("Butterfly").folder / "session.json").read_text()
    page.locator("pre.json").wait_for()
    assert page.locator("pre.json").evaluate("node => node.textContent") == on_disk
    page.get_by_role("tab", name="Provenance").click()
    page.get_by_text("motion_history").wait_for()


def test_charts_follow_the_cursor_and_zoom_fetches_the_stretch(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?t=20")
    until(page, "document.querySelector('.chart .value').textContent.length > 0")
    value = page.locator(".chart .value").first.inner_text()
    page.keyboard.press("1")
    until(page, "old => document.querySelector('.chart .value').textContent !== old", value)
    chart = page.locator(".chart canvas").first
    box = chart.bounding_box()
    with page.expect_request(lambda request: "/figures?" in request.url and "start=" in request.url):
        page.mouse.move(box["x"] + 100, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 200, box["y"] + 60, steps=4)
        page.mouse.up()
    page.get_by_role("button", name="show the whole flight").click()


def test_editing_stores_tags_and_is_told_when_somebody_was_faster(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, "Storm", expect=("409", "412"))
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Tags, apart by commas").fill("windy, first")
    page.get_by_role("button", name="Save").click()
    page.locator(".session-head .tag").filter(has_text="windy").wait_for()
    assert site.store.get("Storm").record.tags == ["windy", "first"]
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Notes").fill("mine")
    with open_store(site) as other:
        other.get("Storm").update(notes="theirs")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Changed by somebody else in the meantime.").wait_for()
    assert site.store.get("Storm").record.notes == "theirs"
    page.get_by_role("button", name="Store mine over it").click()
    page.locator(".session-head").get_by_text("mine").wait_for()
    assert site.store.get("Storm").record.notes == "mine"


def test_a_session_that_cannot_be_read_says_where_and_offers_the_file(site: Running, open_page: Opener) -> None:
    with open_store(site) as other:
        broken = other.create("broken by hand")
    (broken.folder / "session.json").write_text('{"session": {"1": {"session_id": ')
    page = open_page(f"{site.url}/session/{broken.session_id}", expect=("409",))
    page.get_by_role("alert").filter(has_text="session.json").wait_for()
    page.get_by_role("button", name="Retry").wait_for()


def test_live_is_the_end_of_the_tape_and_dragging_back_leaves_it(
    serve_with: Callable[..., Running], open_page: Opener
) -> None:
    site = serve_with()
    plan = {"duration": 600, "realtime_factor": 4, "num_buildings": 2, "drones": {"scout": 2}, "session_name": "live"}
    started = site.client.post("/api/start", json=plan).json()
    page = open_page(f"{site.url}/session/{started['session_id']}")
    page.wait_for_selector("session-view[data-ready=true]")
    until(page, f"{PLAYER}.t > 6 && {PLAYER}.atEdge")
    page.get_by_role("button", name="live").wait_for()
    page.keyboard.press("Home")
    page.get_by_role("button", name="go live").wait_for()
    assert moment_of(page) < 1
    end = page.evaluate(f"{PLAYER}.tape.end")
    until(page, f"{PLAYER}.tape.end > {end} + 1")
    page.get_by_role("button", name="go live").click()
    until(page, f"{PLAYER}.tape.end - {PLAYER}.t < 3")
    site.client.post("/api/stop", json={})
    page.locator(".session-head .status.stopped").wait_for()
    until(page, f"{PLAYER}.live === false")


def test_the_token_comes_once_in_the_address_and_then_as_a_cookie(
    serve_with: Callable[..., Running], open_page: Opener
) -> None:
    settings = Settings(token="a-long-token")
    site = serve_with(token=settings.token)
    page = open_page(f"{site.url}/?token={settings.token}")
    page.get_by_text("No sessions yet").wait_for()
    assert "token" not in page.url
    stranger = open_page(site.url, expect=("401",))
    assert "token" in stranger.content()


def test_reruns_and_whether_they_agreed_are_shown_and_lead_to_each_other(site: Running, open_page: Opener) -> None:
    first = site.store.get("Butterfly").session_id
    mark = {"id": "glider", "number": 7, "point": "p", "parameters": {}}
    with open_store(site) as store:
        same = store.create("Same", metadata={"rerun_of": first, "rerun_agrees": "identical: 451 points, 6 streams"})
        page = session_page(site, open_page)
        facts = page.locator(".session-head .facts")
        facts.get_by_text(f"rerun {same.session_id} identical: 451 points, 6 streams", exact=True).wait_for()

        store.create("Other", metadata={"rerun_of": first, "sweep": mark})
        facts.get_by_role("link", name=store.get("Other").session_id).click()  # found while the page is open
        facts.get_by_text(f"rerun of {first} not compared", exact=True).wait_for()
        assert facts.get_by_role("link", name="glider").get_attribute("href") == "/sweeps/glider"
        page.wait_for_selector("session-view[data-ready=true]")
        store.get("Other").metadata["rerun_agrees"] = "different: events, line 3 at 1 s: kind was 'a', is 'b'"
        facts.locator(".warn-text", has_text="different: events, line 3").wait_for()
        for number in range(2):
            store.create(f"Further {number}", metadata={"rerun_of": first})
        facts.get_by_role("link", name=first).click()
        page.wait_for_url(f"**/session/{first}**")
        facts.get_by_role("link", name="all 4").click()
        page.locator("session-list").get_by_text("Further 1").first.wait_for()
        assert page.locator("session-list").get_by_text("Butterfly", exact=True).count() == 0
