"""The log and the events: level, search by text and expression, kind, drone, follow, jump to a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, open_store, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("talk") / "store"
    with sessionstore.open(folder).record("talk") as session:
        for step in range(300):
            t_s = step / 10
            drone = "ab"[step % 2]
            session.motion.append(drone, t_s=t_s, position_m=(t_s, step % 2, 1.0))
            level = "error" if step == 250 else "debug" if step % 3 == 0 else "info"
            session.log(f"step {step} of {drone}", t_s=t_s, level=level, drone=drone)
            if step % 10 == 0:
                session.event("gate" if step % 20 else "pit stop", t_s=t_s, drone=drone, number=step)
    yield from running_server(folder, Settings())


def opened(site: Running, open_page: Opener, query: str) -> Any:
    page = open_page(f"{site.url}/session/{site.store.get('talk').session_id}{query}")
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def told(page: Any, text: str) -> None:
    until(page, "(text) => document.querySelector('.panel .tools [role=status]').textContent === text", text)


def test_the_log_is_filtered_by_level_text_expression_and_drone(talk: Running, open_page: Opener) -> None:
    page = opened(talk, open_page, "?tab=communication")
    told(page, "300")
    page.get_by_label("Level").select_option("info")
    told(page, "200 of 300")
    page.get_by_label("Drone", exact=True).select_option("b")
    told(page, "100 of 300")
    page.get_by_label("Search log").fill("/step 2[0-4]\\d /")
    told(page, "16 of 300")
    page.get_by_label("Level").select_option("error")
    told(page, "0 of 300")
    page.get_by_label("Drone", exact=True).select_option("")
    page.get_by_label("Search log").fill("STEP 25")
    told(page, "1 of 300")
    page.locator(".record.error mark", has_text="step 25").wait_for()
    page.get_by_label("Search log").fill("/(/")
    assert page.get_by_label("Search log").get_attribute("aria-invalid") == "true"


def test_enter_jumps_to_the_next_match_and_the_list_follows(talk: Running, open_page: Opener) -> None:
    page = opened(talk, open_page, "?tab=communication&t=5")
    told(page, "300")
    search = page.get_by_label("Search log")
    search.fill("/step (120|250) /")
    told(page, "2 of 300")
    search.press("Enter")
    assert page.evaluate(f"{PLAYER}.t") == 12.0
    search.press("Enter")
    assert page.evaluate(f"{PLAYER}.t") == 25.0
    until(page, "() => document.querySelector('.record.now')?.textContent.includes('step 250')")
    search.press("Shift+Enter")
    assert page.evaluate(f"{PLAYER}.t") == 12.0


def test_events_are_filtered_by_kind_and_drone(talk: Running, open_page: Opener) -> None:
    page = opened(talk, open_page, "?tab=events")
    told(page, "30")
    page.get_by_label("Kind", exact=True).select_option("pit stop")
    told(page, "15 of 30")
    assert page.get_by_label("Drone", exact=True).is_hidden(), "all are of one drone"


def test_a_recording_without_levels_and_commands_offers_neither(site: Running, open_page: Opener) -> None:
    store = open_store(site)
    with store.record("Ten lines") as session:
        session.motion.append("rover", t_s=1.0, position_m=(1, 0, 1))
        session.event("gate_passed", t_s=1.0)
        session_id = session.session_id
    page = open_page(f"{site.url}/session/{session_id}")
    page.wait_for_selector("session-view[data-ready=true]")
    page.get_by_role("tab", name="Events").click()
    page.locator(".record").filter(has_text="gate_passed").wait_for()
    assert page.get_by_label("Level").is_hidden()
    until(page, "document.querySelector('[data-tab=commands]').hidden")
    page.keyboard.press("ArrowRight")  # passes over what is not shown
    assert page.get_by_role("tab", name="Log").get_attribute("aria-selected") == "true"
    page.goto("about:blank")
    store.delete(session_id)
