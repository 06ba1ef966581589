"""Recordings without a position: other people's programs, with streams of their own only, whole and while they run."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, open_store, session_page, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]

#: A program that appends to one stream of its own for as long as its input is open.
APPENDS = """
import sys
import sessionstore
with sessionstore.open(sys.argv[1]).record("arm, live") as session:
    for step, _ in enumerate(iter(sys.stdin.readline, "")):
        session.stream("joints").append({"q": [step, -step], "grip": {"force": step * 2}}, step)
        print(step, flush=True)
"""


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("arm") / "store"
    store = sessionstore.open(folder)
    with store.record("arm") as session:
        session.artifacts.put("camera.png", b"no picture at all")
        for step in range(301):
            t = step / 10
            session.stream("joints").append({"q": [math.sin(t), math.cos(t)], "grip": {"force": t}, "a.b": t * 2}, t)
            session.stream("gps").append({"lat": 25.2 + t / 1e5, "lon": 55.27}, t)
        session.event("picked", "part 3", t_s=20.0)
    with store.record("short flight, long log") as session:
        session.motion.append("cart", 0.0, (0, 0, 0))
        session.motion.append("cart", 5.0, (5, 0, 0))
        session.stream("temperature").append({"value": 20.5}, 40.0)
    yield from running_server(folder, Settings())


def test_what_was_recorded_is_the_page_where_no_position_is(arm: Running, open_page: Opener) -> None:
    page = session_page(arm, open_page, "arm", query="?t=7.3")
    until(page, f"{PLAYER}.tape.end === 30 && {PLAYER}.t === 7.3")
    assert page.locator(".clock").inner_text() == "00:07.3 / 00:30.0"
    assert "drones" not in page.locator(".facts").inner_text()
    assert page.locator(".stage").is_hidden()
    assert page.get_by_role("tab", name="Drones").is_hidden()
    assert page.locator(".timeline").bounding_box()["height"] >= 28  # all of it is in its panel
    tops = "['.timeline', '.cell.of-time'].map((each) => document.querySelector(each).getBoundingClientRect().top)"
    timeline, panel = page.evaluate(tops)
    assert timeline >= panel
    until(page, "document.querySelector('.record.now')?.textContent.includes('lat 25.200073')")
    until(page, "document.querySelectorAll('.chart.own').length === 5")
    titles = [each.inner_text() for each in page.locator(".chart.own h3 .name").all()]
    assert titles == ["gps.lat", "joints.q.0, joints.q.1", "gps.lon", "joints.grip.force", "joints.a.b"]
    until(page, "document.querySelector('.chart.own .value').textContent === 'gps.lat 25.200073'")
    values = "[...document.querySelectorAll('.chart.own .value')].map((e) => e.textContent.trim())"
    until(page, f"{values}.at(-1) === 'joints.a.b 14.6'")  # a key that holds a dot
    page.get_by_role("button", name="Panels").click()
    page.get_by_role("button", name="3D", exact=True).click()
    assert page.locator(".stage").is_visible()


def test_no_digit_of_a_label_is_cut_off_and_no_two_are_the_same(arm: Running, open_page: Opener) -> None:
    page = session_page(arm, open_page, "arm", query="?charts=gps.lat")
    frame = "[...document.querySelector('session-view').charts.charts.values()].find((e) => e.spec === 'gps.lat')"
    until(page, f"Boolean({frame}?.figure)")
    marks, left = page.evaluate(
        f"(() => {{ const f = {frame}.frame(); return [f.marks[0].map((e) => e[1]), f.left]; }})()"
    )
    assert len(marks) > 2
    assert len(set(marks)) == len(marks)
    widest = page.evaluate(
        "(texts) => { const pen = document.createElement('canvas').getContext('2d');"
        " pen.font = '10px system-ui, sans-serif';"
        " return Math.max(...texts.map((each) => pen.measureText(each).width)); }",
        marks,
    )
    assert widest + 5 <= left


def test_streams_that_go_on_after_the_last_position_can_be_reached(arm: Running, open_page: Opener) -> None:
    page = session_page(arm, open_page, "short flight, long log", query="?t=40")
    assert page.locator(".stage").is_visible()
    until(page, f"{PLAYER}.t === 40")
    until(page, "getComputedStyle(document.querySelector('.stage canvas')).visibility === 'visible'")
    assert page.locator(".clock").inner_text() == "00:40.0 / 00:40.0"


def test_the_values_panel_has_the_streams_of_the_program(arm: Running, open_page: Opener) -> None:
    page = session_page(arm, open_page, "arm", query="?t=7.3&layout=values~6x8;media(camera.png)~6x8;time~12x2")
    until(page, "document.querySelector('.panel pre.json')?.textContent.includes('\"lat\": 25.200073')")
    assert f'"q": [{math.sin(7.3)}, {math.cos(7.3)}]' in page.locator(".panel pre.json").inner_text()
    until(
        page,
        "document.querySelector('.media')?.textContent === 'camera.png holds no picture that this browser can show.'",
    )


def test_a_live_program_without_positions_is_followed(arm: Running, open_page: Opener, tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDS, str(arm.store.root.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as program:
        assert program.stdin is not None
        assert program.stdout is not None

        def append(count: int) -> None:
            for _ in range(count):
                program.stdin.write("\n")
                program.stdout.readline()

        append(5)
        page = session_page(arm, open_page, "arm, live")
        until(page, "document.querySelector('.facts').textContent.includes('simulated 4')")
        append(20)
        until(page, "document.querySelector('.facts').textContent.includes('simulated 24 s')")
        until(page, f"{PLAYER}.tape.end === 24")
        until(page, "document.querySelector('.records .tools [role=status]')?.textContent === '25'")
        program.stdin.close()
        program.wait(20)
    page.wait_for_selector(".status.completed")
    until(page, f"{PLAYER}.tape.end === 24")


def test_programs_without_positions_are_compared_by_what_they_recorded(arm: Running, open_page: Opener) -> None:
    for name, gain in (("gain one", 1.0), ("gain two", 2.0), ("gain one again", 1.0)):
        with open_store(arm) as store, store.record(name) as session:
            for step in range(50):
                t = step / 10
                session.stream("servo").append({"q": [t, gain * t], "state": "on"}, t)
                session.event("tick", "of a clock", t_s=t, number=step)
    ids = ",".join(arm.store.get(name).session_id for name in ("gain one", "gain two", "gain one again"))
    page = open_page(f"{arm.url}/compare?ids={ids}&t=2")
    page.wait_for_selector("session-compare[data-ready=true]")
    told = page.locator(".first li").all_inner_texts()
    assert told[0].startswith("B differs from A: First difference at 0.1 s: both programs, servo.q.1 (A 0.1, B 0.2)")
    assert told[1].startswith("C is the same as A")
    assert all(each.is_hidden() for each in page.locator(".stage").all())
    charts = "[...document.querySelector('session-compare').charts.charts.values()]"
    chart = f"{charts}.find((e) => e.spec?.startsWith('servo.q'))"
    until(page, f"{chart}?.figure?.data.length === 6")
    shown = page.evaluate(f"{chart}.figure.data.map((each) => [each.name, {chart}.valueAt(each, 2)[0]])")
    assert {name.split()[-1] for name, _ in shown} == {"A", "B", "C"}
    assert sorted(value for _, value in shown) == [2, 2, 2, 2, 2, 4]


def test_an_event_with_a_message_shows_its_other_values_too(arm: Running, open_page: Opener) -> None:
    with open_store(arm) as store, store.record("eventful") as session:
        session.event("picked", "a part", t_s=1.0, part=7, bin={"row": 1})
        session.stream("battery").append({"level": 5}, 1.0)
    page = session_page(arm, open_page, "eventful", query="?tab=events&t=1")
    until(page, "document.querySelector('.record .text')?.textContent === 'a part · part 7 · bin {\"row\":1}'")
    page.get_by_role("tab", name="battery").click()
    until(page, "document.querySelector('.record .text')?.textContent === 'level 5'")


def test_charts_of_own_streams_stay_inside_a_phone(arm: Running, open_page: Opener) -> None:
    page = session_page(arm, open_page, "arm", viewport={"width": 390, "height": 844})
    until(page, "document.querySelectorAll('.chart.own').length === 5")
    rights = "[...document.querySelectorAll('.chart.own')].map((each) => each.getBoundingClientRect().right)"
    until(page, f"Math.max(...{rights}) > 0")
    assert max(page.evaluate(rights)) <= 390
