"""The page for anybody: attempts of a resumed run, no invented columns, touch, long and right-to-left names, paper."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, session_page, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
LONG = "رحلة " + "averylongnamewithoutanyblank" * 5

#: A program that stops without a word after 60 s of simulation.
KILLED = """
import os, sys
import sessionstore
session = sessionstore.open(sys.argv[1]).record("crashed")
for step in range(61):
    session.motion.append("probe", step, (step, 0, 5))
    session.stream("own").append({"value": step}, step)
print(session.session_id, flush=True)
os._exit(9)
"""


@pytest.fixture(scope="module")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("anybody") / "store"
    store = sessionstore.open(folder)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True, check=False)
    with store.start(killed.stdout.strip(), resume_at_s=30) as session:
        for step in range(30, 41):
            session.motion.append("probe", step, (30, step - 30, 5))
            session.stream("own").append({"value": -step}, step)
    with store.record("many streams") as session:
        for step in range(7):
            session.stream(f"topic_{step}").append({"value": step}, 1.0)
    with store.record(LONG) as session:
        for step in range(100):
            session.motion.append("d" * 60, t_s=step / 10, position_m=(step / 10, 0.0, 1.0))
    yield from running_server(folder, Settings())


def test_the_attempts_of_a_resumed_run_can_be_chosen(anybody: Running, open_page: Opener) -> None:
    page = session_page(anybody, open_page, "crashed", query="?t=35&charts=own.value&tab=stream-own")
    choice = page.get_by_label("Attempt")
    assert choice.locator("option").all_inner_texts() == ["Attempt 1 of 2", "Attempt 2 of 2, resumed at 00:30.0"]
    until(page, f"{PLAYER}.tape.at('probe', 35)?.y === 5")
    until(page, "() => [...document.querySelectorAll('.record.now')].some((e) => e.textContent.includes('value -35'))")
    value = "document.querySelector('session-view').charts.charts.get('own:own.value')?.figure?.data[0].y.at(-1)"
    until(page, f"{value} === -40")
    choice.select_option("0")
    page.wait_for_url("**attempt=0**")
    page.wait_for_selector("session-view[data-ready=true]")
    until(page, f"{PLAYER}.tape.at('probe', 35)?.x === 35 && {PLAYER}.tape.end === 60")
    until(page, f"{value} === 60")
    until(page, "() => [...document.querySelectorAll('.record.now')].some((e) => e.textContent.includes('value 35'))")
    of_page = page.evaluate("document.querySelector('session-view').source.moment(35)")
    assert of_page["drones"]["probe"]["position"] == [35, 0, 5]


def test_many_streams_of_a_program_stand_in_one_tab_with_a_choice(anybody: Running, open_page: Opener) -> None:
    page = session_page(anybody, open_page, "many streams", query="?tab=stream-topic_6")
    until(page, "() => document.querySelector('.record')?.textContent.includes('value 6')")
    choice = page.get_by_label("Stream", exact=True)
    assert choice.input_value() == "topic_6"
    assert choice.locator("option").all_inner_texts() == [f"topic_{step} · 1" for step in range(7)]
    page.get_by_role("tab", name="JSON").click()
    page.get_by_role("tab", name="Streams (7)").click()
    choice.select_option("topic_3")
    page.wait_for_url("**tab=stream-topic_3**")
    until(page, "() => document.querySelector('.record')?.textContent.includes('value 3')")
    assert page.get_by_role("tab", name="Streams (7)").get_attribute("aria-selected") == "true"


def test_a_table_has_no_columns_that_nobody_recorded(anybody: Running, site: Running, open_page: Opener) -> None:
    page = session_page(anybody, open_page, LONG)
    heads = page.locator(".drone-table thead th[scope=col]")
    shown = [each for each in heads.all() if each.is_visible()]
    assert [each.inner_text() for each in shown] == ["Drone", "Height", "Speed", "Flown"]
    assert "buildings" not in page.locator(".facts").inner_text()
    charts = [each.inner_text() for each in page.locator(".chart h3").all() if each.is_visible()]
    assert [each.split("\n")[0] for each in charts] == ["Altitude (m)", "Speed (m/s)", "Distance to base (m)"]
    fleet = session_page(site, open_page, query="?t=20")
    until(fleet, "() => document.querySelectorAll('.drone-table:not(.no-link):not(.no-mode):not(.no-cleaned)').length")


@pytest.mark.parametrize(("width", "height"), [(640, 400), (390, 844), (1280, 800)])
def test_long_and_right_to_left_names_stay_inside_the_window(
    anybody: Running, open_page: Opener, width: int, height: int
) -> None:
    page = session_page(anybody, open_page, LONG, viewport={"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = "document.querySelector('session-view').scrollWidth <= document.querySelector('session-view').clientWidth"
    assert page.evaluate(inside)
    assert page.locator("h1").evaluate("node => getComputedStyle(node).direction") == "rtl"
    boxes = page.evaluate(
        "[...document.querySelectorAll('.session-head button')].map((e) => e.getBoundingClientRect().toJSON())"
    )
    assert all(box["left"] >= 0 and box["right"] <= width for box in boxes if box["width"])


def test_two_fingers_zoom_the_picture(anybody: Running, open_page: Opener) -> None:
    page = session_page(anybody, open_page, LONG, viewport={"width": 390, "height": 844}, has_touch=True)
    box = page.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def send(kind: str, half: float | None) -> None:
        points = [] if half is None else [{"x": x - half, "y": y, "id": 1}, {"x": x + half, "y": y, "id": 2}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    before = page.evaluate(f"{PLAYER}.stage.cameras['3d'].distance")
    send("touchStart", 30)
    for half in (40, 60, 90):
        send("touchMove", half)
    send("touchEnd", None)
    after = page.evaluate(f"{PLAYER}.stage.cameras['3d'].distance")
    assert after == pytest.approx(before / 3, rel=0.1), "the fingers are three times as far apart"
    assert page.evaluate(f"{PLAYER}.stage.fingers.size") == 0


def test_what_is_printed_has_the_picture_and_no_buttons(anybody: Running, open_page: Opener) -> None:
    page = session_page(anybody, open_page, LONG, query="?t=5")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    until(page, "() => document.querySelector('img.paper')?.naturalWidth > 100")
    assert page.locator(".transport").is_hidden() and page.get_by_role("button", name="Edit").is_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("img.paper").count() == 0
