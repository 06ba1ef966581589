"""One file of a session, opened without a server: what somebody else's program recorded is all in it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two recordings of programs that are not ours: one with positions and no velocity, one of numbers only."""
    folder = tmp_path_factory.mktemp("others") / "store"
    store = sessionstore.open(folder)
    bookmark = {"id": "b1", "t": 12.0, "text": "the third gate"}
    with store.record("Gate Runner: Été", metadata={"bookmarks": [bookmark]}, notes="new props") as run:
        for step in range(301):
            t = step / 10
            run.motion.append("rover", t_s=t, position_m=(t, 5 * math.sin(t / 3), 0.5), battery=1 - t / 35)
            run.stream("motor").append({"rpm": 1000 + step, "state": "run"}, t)
        run.event("gate", t_s=4.0, margin_m=0.4)
        run.stream("log").append({"level": "warning", "message": "close to the gate"}, 4.5)
    with store.record("Only numbers") as run:
        for step in range(100):
            run.stream("reactor").append({"power": 10 + step}, step / 10)
    yield from running_server(folder, Settings())


def exported(others: Running, open_page: Opener, tmp_path: Any, name: str) -> Any:
    page = open_page()
    page.context.set_offline(True)
    file = tmp_path / "one.html"
    file.write_bytes(others.client.get(f"/api/sessions/{others.store.get(name).session_id}/export.html").content)
    page.goto(file.as_uri())
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def tab(page: Any, name: str) -> Any:
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel")


def test_an_exported_page_shows_all_that_a_strangers_program_recorded(
    others: Running, open_page: Opener, tmp_path: Any
) -> None:
    page = exported(others, open_page, tmp_path, "Gate Runner: Été")
    assert page.title() == "Gate Runner: Été · sessionstore"
    assert page.locator("h1").inner_text().startswith("Gate Runner: Été "), "the name as typed, the id second"
    assert "new props" in page.locator(".facts").inner_text()
    page.keyboard.press("5")
    session_id = others.store.get("Gate Runner: Été").session_id
    speed = others.client.get(f"/api/sessions/{session_id}/moment?t=15").json()["drones"]["rover"]["speed"]
    until(
        page,
        "(text) => document.querySelector('.drone-table tbody .of-speed').textContent === text",
        f"{speed:.2f} m/s",
    )
    assert "margin_m 0.4" in tab(page, "Events").inner_text()
    assert "close to the gate" in tab(page, "Log").inner_text()
    assert "state run" in tab(page, "motor").inner_text()
    marks = tab(page, "Marks").inner_text()
    assert "the third gate" in marks and "battery low" in marks
    page.get_by_label("Chart any field").fill("motor.rpm")
    page.keyboard.press("Enter")
    page.locator(".chart.own").filter(has_text=re.compile("motor.rpm 1,?150")).wait_for()


def test_an_exported_page_of_numbers_has_charts_and_no_empty_scene(
    others: Running, open_page: Opener, tmp_path: Any
) -> None:
    page = exported(others, open_page, tmp_path, "Only numbers")
    assert page.locator(".stage").is_hidden() and page.get_by_role("tab", name="Drones").count() == 0
    assert "power 10" in page.get_by_role("tabpanel").inner_text(), "its own stream is open"
    page.locator(".chart.own").filter(has_text="reactor.power").wait_for()
    assert page.locator(".facts").inner_text().startswith("simulated 9.9 s")
