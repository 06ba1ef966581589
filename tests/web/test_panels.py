"""The layout of a session's page: panels are added, dragged, resized, stacked, saved and shared, also by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import Running
from tests.web.conftest import PLAYER, session_page, until
from tests.web.test_pages import AXE

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
CHARTS = "document.querySelector('session-view').charts.charts"
XY = "[...document.querySelector('session-view').layout.panels.values()].find((each) => each.axes)"
LAYOUT = "document.querySelector('session-view').layout"


def cell(page: Any, name: str) -> Any:
    return page.locator(".cell").filter(has=page.locator(".panel-head", has_text=re.compile(name)))


def test_a_panel_is_added_from_the_menu_and_the_address_shares_it(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?t=20")
    assert page.evaluate(f"{LAYOUT}.isDefault") and "layout" not in page.url
    page.get_by_role("button", name="Panels").click()
    page.locator(".add-panels").get_by_role("button", name="Map", exact=True).click()
    page.wait_for_url("**layout=*map*")
    until(page, "() => document.querySelector('.of-map .stage canvas')?.width > 100")
    again = open_page(page.url)
    again.wait_for_selector("session-view[data-ready=true]")
    assert again.evaluate(f"{LAYOUT}.text") == page.evaluate(f"{LAYOUT}.text")
    again.get_by_role("button", name="Remove the panel Map").click()
    again.get_by_role("button", name="Undo").click()
    again.locator(".of-map").wait_for()


def test_panels_are_moved_resized_and_stacked_with_the_keyboard(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?layout=scene~6x9;log~6x9;drones~6x6")
    head = cell(page, "Drones").locator(".panel-head")
    head.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate(f"{LAYOUT}.text") == "scene~6x9;drones~5x7;log~6x9"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    assert page.evaluate(f"{LAYOUT}.text") == "scene~6x9;log|drones~6x9"
    assert page.evaluate(f"{PLAYER}.t") == 0, "the keys of the player rest meanwhile"
    page.get_by_role("button", name="Log", exact=True).click()
    page.get_by_label("Search log").wait_for()


def test_pointing_at_a_moment_in_a_chart_shows_it_in_every_panel(site: Running, open_page: Opener) -> None:
    layout = "scene~6x7;map~6x7;drones~6x4;strip~6x4;chart(motion_history.battery)~6x4;values~6x4"
    page = session_page(site, open_page, query=f"?t=5&layout={layout}", viewport={"width": 1280, "height": 1000})
    until(page, "() => document.querySelector('.of-drones th.group')?.textContent === 'at 00:05.0'")
    until(page, "() => Boolean(document.querySelector('session-view').layout.cells[4])")
    until(page, f"() => [...{CHARTS}.values()].some((each) => each.inPanel && each.figure)")
    box = page.locator(".of-chart canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 30)
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 40)
    until(page, f"() => {PLAYER}.seen > 25")
    seen = page.evaluate(f"{PLAYER}.seen")
    until(page, "() => document.querySelector('.of-drones th.group').textContent.endsWith(', pointed at')")
    recorded = site.client.get(f"/api/sessions/{site.store.get('Butterfly').session_id}/moment?t={seen}").json()
    height = recorded["drones"]["scout-1"]["position"][2]
    until(page, "(text) => document.querySelector('.of-drones tbody tr').innerText.includes(text)", f"{height:.1f} m")
    until(page, f"() => document.querySelector('.of-values pre').textContent.includes('{seen}')")
    drawn = page.evaluate(f"{PLAYER}.state.find((each) => each.id === 'scout-1').z")
    assert drawn == pytest.approx(height, abs=0.3)
    assert page.evaluate(f"{PLAYER}.t") == 5, "the player stays where it was"
    page.mouse.move(5, 5)
    until(page, "() => document.querySelector('.of-drones th.group').textContent === 'at 00:05.0'")


def test_any_field_is_plotted_against_any_other_and_its_points_lead_to_their_moment(
    site: Running, open_page: Opener
) -> None:
    query = "?layout=xy~8x8;drones~4x8"
    page = session_page(site, open_page, query=query)
    for words, text in (("field on the x axis", "position.0"), ("field on the y axis", "position.1")):
        picker = page.get_by_label(words)
        picker.fill(f"motion {text}")
        page.get_by_role("option", name=f"motion_history.{text}", exact=True).click()
    until(page, f"() => {XY}?.lines.length === 2")
    page.wait_for_url("**xy%28*")
    at = page.evaluate(
        f"() => {{ const {{ frame, lines: [line] }} = {XY}; const i = line.t.length - 5;"
        " return [frame.x(line.x[i]), frame.y(line.y[i]), line.t[i], line.x[i]]; }"
    )
    box = page.locator(".xy canvas").bounding_box()
    page.mouse.move(box["x"] + at[0] + 6, box["y"] + at[1])
    page.mouse.move(box["x"] + at[0], box["y"] + at[1])
    until(page, "() => !document.querySelector('.xy .chart-tip').hidden")
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    until(page, f"() => {PLAYER}.t > 0")
    moment = site.client.get(
        f"/api/sessions/{site.store.get('Butterfly').session_id}/moment", params={"t": page.evaluate(f"{PLAYER}.t")}
    ).json()
    places = [each["position"][0] for each in moment["drones"].values()]
    assert min(abs(each - at[3]) for each in places) < 0.5


def test_the_buttons_of_the_heading_stay_in_one_line_at_200_percent(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, viewport={"width": 640, "height": 400})
    tops = page.evaluate(
        "[...document.querySelectorAll('.actions > button, .actions > .menu')].map((each) => each.offsetTop)"
    )
    assert len(tops) == 4 and len(set(tops)) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_panel_is_dragged_before_another_and_resized_at_its_corner(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?layout=scene~6x9;log~6x9;drones~6x6")
    grip = cell(page, "Drones").locator(".grip").bounding_box()
    log = cell(page, "Log").bounding_box()
    page.mouse.move(grip["x"] + 3, grip["y"] + 8)
    page.mouse.down()
    page.mouse.move(log["x"] + 20, log["y"] + 60, steps=4)
    assert page.locator('.cell[data-zone="before"]').count() == 1
    page.mouse.up()
    assert page.evaluate(f"{LAYOUT}.text") == "scene~6x9;drones~6x6;log~6x9"
    corner = cell(page, "Drones").locator(".panel-corner").bounding_box()
    column = page.evaluate("document.querySelector('.panels').clientWidth / 12")
    page.mouse.move(corner["x"] + 8, corner["y"] + 8)
    page.mouse.down()
    page.mouse.move(corner["x"] + 8 - 2 * column, corner["y"] + 8, steps=4)
    page.mouse.up()
    assert page.evaluate(f"{LAYOUT}.text") == "scene~6x9;drones~4x6;log~6x9"
    page.wait_for_url("**layout=*drones*")


def test_every_kind_of_panel_shows_something_and_what_moves_the_moment_stays(site: Running, open_page: Opener) -> None:
    kinds = "chart(motion_history.battery)|map~6x8;strip~12x4;values~4x6;json~4x6;notes~4x6;events|commands|log~6x6"
    page = session_page(site, open_page, query=f"?t=20&layout={kinds}")
    assert page.locator(".transport").is_visible(), "a layout without the 3D view has the timeline"
    assert page.locator(".stage").first.is_hidden()
    until(page, "() => document.querySelector('.of-values pre').textContent.includes('scout-1')")
    until(page, "() => document.querySelector('.of-chart .chart.own .value').textContent.length > 0")
    until(page, "() => document.querySelector('.of-json pre.json')?.textContent.includes('session_id')")
    page.locator(".of-notes").get_by_text("No notes yet").wait_for()
    until(page, "() => document.querySelector('.of-strip canvas').height > 30")
    page.keyboard.press("ArrowRight")
    until(page, "() => JSON.parse(document.querySelector('.of-values pre').textContent).sim_time === 21")
    value = page.evaluate("JSON.parse(document.querySelector('.of-values pre').textContent).drones['scout-1'].battery")
    asked = {"t": 21.0}
    told = site.client.get(f"/api/sessions/{site.store.get('Butterfly').session_id}/moment", params=asked).json()
    assert value == told["drones"]["scout-1"]["battery"]


def test_a_layout_is_saved_by_name_and_taken_again(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?layout=scene~12x9")
    page.get_by_role("button", name="Panels").click()
    page.get_by_label("Save this layout as").fill("only the picture")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Panels").click()
    page.get_by_role("button", name="The first layout again").click()
    until(page, f"{LAYOUT}.isDefault")
    page.get_by_role("button", name="Panels").click()
    page.get_by_role("button", name="only the picture", exact=True).click()
    assert page.evaluate(f"{LAYOUT}.text") == "scene~12x9"


def test_notes_are_markdown_that_runs_no_code(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?layout=scene~6x9;notes~6x9")
    text = "# Plan\n\n- **windy** `x`\n- [here](/sessions) [no](javascript:alert(1)) <img src=x onerror=alert(1)>"
    page.evaluate("(text) => document.querySelector('session-view').layout.all('record', { notes: text })", text)
    notes = page.locator(".of-notes .markdown")
    assert notes.locator("h3").inner_text() == "Plan" and notes.locator("li").count() == 2
    assert notes.locator("a").evaluate_all("all => all.map((each) => each.getAttribute('href'))") == ["/sessions"]
    assert notes.locator("img").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_panels_stay_inside_the_window(site: Running, open_page: Opener, width: int) -> None:
    page = session_page(
        site, open_page, query="?layout=scene~8x9;map~4x9;chart(motion_history.battery)~5x6;log|events~7x6",
        viewport={"width": width, "height": 844},
    )  # fmt: skip
    boxes = page.evaluate("[...document.querySelectorAll('.cell')].map((e) => e.getBoundingClientRect().toJSON())")
    assert all(box["left"] >= 0 and box["right"] <= width + 1 and box["height"] > 60 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tops = [box["top"] for box in boxes]
    assert (sorted(tops) == tops and len(set(tops)) == 4) if width == 390 else len(set(tops)) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_panels_and_their_menus(site: Running, open_page: Opener, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm install --no-save --prefix .axe axe-core)")
    layout = "scene~5x8;map~3x8;values|notes~4x8;chart(motion_history.battery)~6x5;log|events~3x5;marks~12x3;strip~6x4"
    page = session_page(site, open_page, query=f"?t=20&trail=speed&layout={layout}", color_scheme=scheme)
    until(page, "() => document.querySelector('.of-chart .chart.own .value').textContent.length > 0")
    page.evaluate(f"{AXE.read_text('utf-8')};0")
    for name in ("Panels", "Scene"):
        page.get_by_role("button", name=name).click()
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert not found, [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]
        page.keyboard.press("Escape")


def test_a_layout_that_is_kept_in_the_store_is_there_for_another_browser(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, query="?layout=scene~6x8;strip~6x8")
    page.get_by_role("button", name="Panels").click()
    page.get_by_label("Save this layout as").fill("two")
    page.get_by_role("button", name="For all").click()
    page.get_by_text("kept in the store").wait_for()
    assert site.client.get("/api/page-views").json()["layouts"] == {"two": "scene~6x8;strip~6x8"}
    other = session_page(site, open_page, name="Storm")
    other.get_by_role("button", name="Panels").click()
    other.get_by_role("button", name="two", exact=True).click()
    other.locator(".of-strip").wait_for()
    other.get_by_role("button", name="Panels").click()
    other.get_by_role("button", name="Take the layout two out of the store").click()
    until(other, "() => !document.querySelector('.panel-menu').innerText.includes('for all')")
    assert site.client.get("/api/page-views").json()["layouts"] == {}
