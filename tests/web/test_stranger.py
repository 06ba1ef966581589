"""A session that ten lines of somebody else's program recorded: the page shows all of it, and what it shows is so."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
SPEED_MPS = 3.15


def record_stranger(folder: Path) -> str:
    """Record without velocity, with own events, a log and a stream of one's own."""
    with sessionstore.open(folder).record("My Rover: Été") as session:
        for step in range(401):
            t = step * 0.05
            # At rest but for one burst of 0.05 s every 4 s: a thinned line cannot show it everywhere.
            moved = sum(SPEED_MPS * 0.05 for k in range(step + 1) if k % 80 == 40)
            session.motion.append("rover", t_s=t, position_m=(moved, 0, 1))
            session.motion.append("still", t_s=t, position_m=(5, 5, 0))
            if step % 40 == 0:
                session.event("gate_passed", t_s=t, gate=step // 40)
                session.log(f"lap {step // 40} begun", t_s=t, level="warning" if step else "info")
                session.stream("camera").append({"exposure": step, "iso": 100}, t)
                session.stream("events").append({"anything": {"deep": step}}, t)
        session_id = session.session_id
        artifacts = session.folder / "artifacts"
        artifacts.mkdir()
        (artifacts / "plot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        (artifacts / "dot.png").write_bytes(PNG)
    return session_id


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def rover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rover") / "store"
    record_stranger(folder)
    return folder


@pytest.fixture(scope="module")
def yard(rover: Path) -> Iterator[Running]:
    yield from running_server(rover, Settings())


@pytest.fixture
def own_yard(rover: Path, tmp_path: Path) -> Iterator[Running]:
    """A copy, for tests that change or delete."""
    shutil.copytree(rover, tmp_path / "store")
    yield from running_server(tmp_path / "store", Settings())


def only(site: Running) -> str:
    return site.store.find()[0].session_id


def opened(site: Running, open_page: Opener, query: str = "", **more: Any) -> Any:
    page = open_page(f"{site.url}/session/{only(site)}{query}", **more)
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def edit_by_hand(site: Running, **changes: Any) -> None:
    """Change the record as an editor does: another file in its place, the revision as it was."""
    path = site.store.get(only(site)).folder / "session.json"
    text = json.loads(path.read_text("utf-8"))
    next(iter(text["session"].values())).update(changes)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(text, indent=2), "utf-8")
    os.replace(fresh, path)


def test_the_log_own_events_and_own_streams_are_shown(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page)
    page.get_by_role("tab", name="Log").click()
    page.locator(".record").filter(has_text="lap 1 begun").wait_for()
    page.get_by_role("tab", name="Events").click()
    page.locator(".record").filter(has_text="gate_passed").filter(has_text="gate 0").wait_for()
    page.locator(".record").filter(has_text='anything {"deep":0}').wait_for()
    page.get_by_role("tab", name="camera").click()
    page.locator(".record").filter(has_text="exposure 0 · iso 100").wait_for()


def test_a_speed_without_velocity_is_that_of_the_stream_beside_chart_and_in_the_table(
    yard: Running, open_page: Opener
) -> None:
    page = opened(yard, open_page, query="?t=10.0")  # step 200 is a burst: 200 % 80 == 40
    cell = page.locator(".drone-table tr", has_text="rover").locator("td").nth(4)
    until(
        page,
        "(text) => [...document.querySelectorAll('.drone-table td')].some((each) => each.textContent === text)",
        "3.15 m/s",
    )
    assert cell.inner_text() == "3.15 m/s"
    chart = page.locator(".chart", has_text="Speed").locator(".value")
    until(
        page, "() => [...document.querySelectorAll('.chart .value')].some((each) => each.textContent.includes('3.15'))"
    )
    assert "≈" not in chart.inner_text()
    resting = page.locator(".drone-table tr", has_text="still").locator("td").nth(4)
    assert resting.inner_text() == "0.00 m/s"


def test_the_table_of_drones_fits_and_the_badge_of_a_still_one_is_whole(yard: Running, open_page: Opener) -> None:
    """At 1280 pixels "never moved" made the table wider than its panel."""
    page = opened(yard, open_page, query="?t=10.0")
    badge = page.locator(".drone-table .badge", has_text="never moved")
    badge.wait_for()
    until(page, "() => document.querySelector('.drone-table').textContent.includes('m/s')")
    assert (
        page.evaluate("() => { const p = document.querySelector('.panel'); return p.scrollWidth - p.clientWidth; }")
        == 0
    )
    box, panel = badge.bounding_box(), page.locator(".panel").bounding_box()
    assert box["x"] >= panel["x"] and box["x"] + box["width"] <= panel["x"] + panel["width"]


def test_pictures_among_the_artifacts_are_shown_and_all_can_be_downloaded(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page, query="?tab=artifacts")
    until(page, "() => document.querySelector('.artifacts img')?.naturalWidth === 1")
    assert page.locator(".artifacts img").count() == 1, "an SVG can hold code, and is only offered"
    with page.expect_download() as download:
        page.get_by_role("link", name="plot.svg").click()
    assert download.value.suggested_filename == "plot.svg"


def test_the_name_as_typed_stands_first(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page)
    assert page.locator("h1").inner_text().startswith("My Rover: Été")
    page.goto(f"{yard.url}/sessions")
    page.get_by_role("link", name="My Rover: Été").wait_for()


def test_an_edit_on_the_page_never_overwrites_an_edit_by_hand(own_yard: Running, open_page: Opener) -> None:
    page = opened(own_yard, open_page, expect=("412",))
    edit_by_hand(own_yard, notes="by hand")
    page.get_by_role("button", name="Edit").click()
    until(page, "document.querySelector('#edit-notes')?.value === 'by hand'")  # the form shows the file as it is now
    edit_by_hand(own_yard, notes="by hand again")
    page.locator("#edit-notes").fill("from the page")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Changed by somebody else in the meantime.").wait_for()
    assert own_yard.store.find()[0].rev and own_yard.store.get(only(own_yard)).record.notes == "by hand again"
    page.get_by_role("button", name="Store mine over it").click()
    page.get_by_text("Saved").wait_for()
    assert own_yard.store.get(only(own_yard)).record.notes == "from the page"


def test_an_edit_by_hand_reaches_an_open_page_by_itself(own_yard: Running, open_page: Opener) -> None:
    page = opened(own_yard, open_page)
    page.wait_for_timeout(1000)  # the list is being followed
    edit_by_hand(own_yard, notes="seen at once")
    until(page, "() => document.querySelector('.facts').textContent.includes('seen at once')")


def test_deleting_a_completed_session_ends_its_open_page(own_yard: Running, open_page: Opener) -> None:
    page = opened(own_yard, open_page, expect=("404", "410"))
    page.wait_for_timeout(1000)
    own_yard.store.delete(only(own_yard))
    page.get_by_text("This session was deleted").wait_for()
    page.locator(".status.deleted").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("Home")
    page.wait_for_timeout(2500)
    assert not asked, "nothing more is asked for"


def test_a_live_session_says_how_far_it_is_and_ends_when_it_is_deleted(tmp_path: Path, open_page: Opener) -> None:
    store = sessionstore.open(tmp_path / "store")
    recorder = store.record("Flying")
    for step in range(100):
        recorder.motion.append(f"d{step % 3}", t_s=step * 0.1, position_m=(step, 0, 1))
    for site in running_server(tmp_path / "store", Settings()):
        page = opened(site, open_page, expect=("404", "410"))
        facts = page.locator(".facts").inner_text()
        assert "9.9 s" in facts and "drones 3" in facts and "points 100" in facts
        store.delete(recorder.session_id)
        page.get_by_text("This session was deleted").wait_for()
        assert page.evaluate(f"{PLAYER}.live") is False
        page.close()  # before its server


def test_ranges_and_all_are_selected_nothing_moves_and_back_keeps_the_selection(
    tmp_path: Path, open_page: Opener
) -> None:
    store = sessionstore.open(tmp_path / "store")
    for number in range(120):
        store.create(f"s{number}")
    for site in running_server(tmp_path / "store", Settings()):
        page = open_page(f"{site.url}/sessions")
        page.wait_for_selector("session-list[data-ready=true]")
        page.get_by_text("120 sessions", exact=True).wait_for()
        place = page.locator(".grid").bounding_box()
        page.locator("#row-1 input").click()
        page.locator("#row-5 input").click(modifiers=["Shift"])
        page.get_by_text("5 selected").wait_for()
        assert page.locator(".grid").bounding_box() == place, "ticking a row moves nothing"
        page.locator(".grid .line a").first.click()
        page.wait_for_selector("session-view")
        page.go_back()
        page.get_by_text("5 selected").wait_for()
        page.get_by_label("Select all that match").click()
        page.get_by_text("120 selected").wait_for()
        page.get_by_role("button", name="Tag", exact=True).click()
        page.get_by_label("Tags to add").fill("+night")
        page.get_by_role("button", name="Change").click()
        page.get_by_text("120 changed").wait_for()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("120 moved to the trash").wait_for()
        page.get_by_role("button", name="Undo").click()
        page.get_by_text("120 sessions", exact=True).wait_for()
        assert {tuple(row.tags) for row in site.store.find()} == {("night",)}
        page.close()  # before its server, which it would miss


def test_an_unreadable_session_shows_its_streams_and_does_not_refuse_a_comparison(
    own_yard: Running, open_page: Opener
) -> None:
    good, broken = only(own_yard), record_stranger(own_yard.store.root.path)
    third = record_stranger(own_yard.store.root.path)
    (own_yard.store.get(broken).folder / "session.json").write_text("{")
    page = open_page(f"{own_yard.url}/session/{broken}", expect=("409",))
    page.get_by_role("button", name="camera (11)").click()
    page.locator(".record").filter(has_text="exposure 0").wait_for()
    page.goto(f"{own_yard.url}/compare?ids={good},{broken},{third}")
    page.get_by_text(f"{broken} is left out").wait_for()
    page.wait_for_selector("session-compare[data-ready=true]")


def test_any_field_of_an_own_stream_is_charted_and_kept_in_the_address(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page)
    field = page.get_by_label("Chart any field")
    field.focus()
    until(page, "() => [...document.querySelectorAll('.field')].some((each) => each.textContent === 'camera.iso')")
    field.fill("camera.exposure")
    field.press("Enter")
    until(page, "() => document.querySelector('session-view').charts.charts.get('own:camera.exposure')?.figure")
    page.wait_for_url("**charts=camera.exposure**")
    again = open_page(page.url)
    until(again, "() => document.querySelector('session-view')?.charts?.charts.get('own:camera.exposure')?.figure")
    ys = again.evaluate(
        "document.querySelector('session-view').charts.charts.get('own:camera.exposure').figure.data[0].y"
    )
    assert ys == [step * 40 for step in range(11)]
    again.get_by_role("button", name="Remove the chart of camera.exposure").click()
    assert again.locator(".chart", has_text="camera.exposure").count() == 0


def test_space_plays_also_after_a_click_on_a_button(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page)
    page.get_by_role("button", name="Top", exact=True).click()
    page.keyboard.press("Space")
    until(page, f"{PLAYER}.playing")
    assert page.get_by_role("button", name="Top", exact=True).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    until(page, f"!{PLAYER}.playing")


def test_escape_closes_the_menu_and_an_unknown_path_has_a_page(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page, expect=("404",))
    page.get_by_role("button", name="Export").click()
    page.keyboard.press("Escape")
    assert page.locator(".menu", has_text="Export").locator(".items").is_hidden()
    reply = page.goto(f"{yard.url}/sesions")
    assert reply.status == 404
    page.get_by_text("There is no page at this address").wait_for()
    page.get_by_role("link", name="All sessions").click()
    page.wait_for_selector("session-list")
    page.goto(f"{yard.url}/trash/nothing")
    page.get_by_text("There is no page at this address").wait_for()


def test_the_address_of_a_session_in_the_api_names_its_page_too(yard: Running, open_page: Opener) -> None:
    page = opened(yard, open_page)
    name = page.evaluate("location.pathname.split('/')[2]")
    page.goto(f"{yard.url}/sessions/{name}?t=1")
    page.wait_for_selector("session-view .heading, session-view h1")
    assert page.evaluate("location.pathname") == f"/session/{name}"
