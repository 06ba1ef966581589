"""What the page says of sessions while they run, or of whose record nothing is known yet: from their streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sessionstore
from sessionstore.model import liveness
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
GONE = {"pid": 4_000_000, "pid_started": 1}
FLYING: list[Any] = []


@pytest.fixture(scope="module")
def rovers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A store in which programs record that write their record at the end only: one flies, one was killed."""
    folder = tmp_path_factory.mktemp("rovers") / "store"
    store = sessionstore.open(folder)
    for name in ("Gate Runner: Été", "Killed rover"):
        recorder = store.record(name)
        for step in range(101):
            recorder.motion.append("rover", t_s=step * 0.5, position_m=(step, 0, 1))
        FLYING.append(recorder)
    killed = store.get("Killed rover")
    killed.update(owner={**liveness.here(), **GONE})
    yield from running_server(folder, Settings())


def line(page: Any, name: str) -> Any:
    return page.locator(".grid .line").filter(has_text=name)


def test_the_list_says_how_far_a_flying_and_a_killed_program_of_somebody_else_are(
    rovers: Running, open_page: Opener
) -> None:
    page = open_page(f"{rovers.url}/sessions")
    for name in ("Gate Runner", "Killed rover"):
        line(page, name).filter(has_text="50 s").wait_for()
        assert line(page, name).locator(".drones").inner_text() == "1"
        assert line(page, name).locator(".points").inner_text() == "101"
    FLYING[0].stream("motor").append({"rpm": 1}, 55.0)
    line(page, "Gate Runner").filter(has_text="55 s").wait_for()


def test_a_name_that_fits_is_not_cut_for_its_id(rovers: Running, open_page: Opener) -> None:
    page = open_page(f"{rovers.url}/sessions")
    line(page, "Gate Runner").wait_for()
    cut = """[...document.querySelectorAll('.grid .line .name a')].filter((each) => {
      const all = document.createRange();
      all.selectNodeContents(each);
      return all.getBoundingClientRect().width > each.getBoundingClientRect().width;
    }).map((each) => each.textContent)"""
    assert page.evaluate(cut) == []


def test_the_table_of_drones_keeps_its_speeds_while_the_next_answer_is_slow(rovers: Running, open_page: Opener) -> None:
    flying = next(each for each in rovers.store.find() if each.session_name.startswith("Gate"))
    page = open_page()
    page.goto(f"{rovers.url}/session/{flying.session_id}?t=2")
    page.wait_for_selector("session-view[data-ready=true]")
    assert page.evaluate("document.querySelector('session-view').player.t") == 2, "a link to a moment, while it flies"
    cell = page.locator(".drone-table .of-speed").last
    until(page, "() => [...document.querySelectorAll('.drone-table td.of-speed')].at(-1).textContent === '2.00 m/s'")
    assert page.locator(".drone-table .of-flown").last.is_hidden(), "nobody knows yet how far it flew"
    held: list[Any] = []
    page.route("**/moment?*", lambda route: held.append(route))
    page.keyboard.press("Space")
    until(page, "document.querySelector('session-view').player.seen > 3")
    assert re.fullmatch(r"≈ 2\.00 m/s", cell.inner_text()), "the last answer, marked as one of before"
    page.keyboard.press("Space")
    page.unroute("**/moment?*")
    until(page, "() => [...document.querySelectorAll('.drone-table td.of-speed')].at(-1).textContent === '2.00 m/s'")


def test_the_pages_of_the_server_have_the_places_of_the_page(rovers: Running, open_page: Opener) -> None:
    page = open_page(f"{rovers.url}/sessions")
    page.wait_for_selector("nav a")
    places = page.locator("nav[aria-label=Places] a").all_inner_texts()
    page.goto(f"{rovers.url}/docs")
    shown = page.locator("header nav a").all_inner_texts()
    assert [each for each in shown if each != "API"] == [each for each in places if each != "API"]


def test_a_comparison_heads_each_picture_with_the_name_as_typed(rovers: Running, open_page: Opener) -> None:
    ids = ",".join(each.session_id for each in rovers.store.find())
    page = open_page(f"{rovers.url}/compare?ids={ids}")
    page.get_by_role("heading", name="Gate Runner: Été").wait_for()
