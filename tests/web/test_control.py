"""The live simulation by hand: start, pause, spawn, command by a click, restart; a server that goes and comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, open_store, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
CONTROL = "document.querySelector('simulation-control')"


@pytest.fixture
def flying(serve_with: Callable[..., Running], open_page: Opener) -> Any:
    """A page where a flight of two scouts was started by hand, seen from above, and its server."""
    site = serve_with()
    page = open_page(f"{site.url}/control")
    page.get_by_label("Name", exact=True).fill("by hand")
    page.get_by_label("Rate (0 = fastest)").fill("4")
    page.get_by_label("climber").fill("0")
    page.get_by_label("overseer").fill("0")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Top", exact=True).click()
    until(page, f"{CONTROL}.player?.ready && {CONTROL}.player.state?.length === 2 && {CONTROL}.player.t > 2")
    return page, site


def commands(site: Running, kind: str) -> list[dict[str, Any]]:
    return [line.data for line in site.store.get("by hand").tape("commands").read() if line.data["command"] == kind]


def test_a_click_in_the_top_view_sends_the_chosen_drone_there_and_tells_the_outcome(flying: Any) -> None:
    page, site = flying
    page.get_by_label("Drone", exact=True).select_option("scout-2")
    page.evaluate(f"{CONTROL}.player.pick('scout-2')")
    box = page.locator(".stage").bounding_box()
    x, y = box["width"] * 0.5, box["height"] * 0.45
    wanted = page.evaluate(
        f"([x, y]) => {CONTROL}.player.stage.cameras.top.ground(x, y, {box['width']}, {box['height']})", [x, y]
    )
    page.mouse.click(box["x"] + x, box["y"] + y)
    row = page.locator(".outcomes tr").filter(has_text="move_to scout-2")
    row.filter(has_text="done").or_(row.filter(has_text="failed")).wait_for(timeout=60_000)
    sent = commands(site, "move_to")
    assert {each["drone"] for each in sent} == {"scout-2"}
    assert sent[0]["target"][:2] == pytest.approx(wanted, abs=0.6)


def test_without_a_chosen_drone_a_click_only_looks(flying: Any) -> None:
    page, site = flying
    page.evaluate(f"{CONTROL}.player.pick(null)")
    box = page.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] - 20)
    page.get_by_label("Command", exact=True).select_option("hover")
    page.get_by_role("button", name="Send").click()  # the orders come in turn: this one is the first that was sent
    page.locator(".outcomes tr").filter(has_text="hover").wait_for()
    until(page, f"{CONTROL}.commands.size === 1")
    assert commands(site, "move_to") == []


def test_a_spawned_drone_is_there_with_its_outcome_and_can_be_commanded(flying: Any) -> None:
    page, _ = flying
    page.get_by_label("Kind to spawn").select_option("tanker-mule")
    page.get_by_role("button", name="Spawn").click()
    row = page.locator(".outcomes tr").filter(has_text="spawn tanker-mule")
    row.wait_for()
    until(page, f"{CONTROL}.player.state.some((each) => each.kind === 'tanker-mule')")
    drone = page.get_by_label("Drone", exact=True)
    drone.locator("option", has_text="tanker-mule-1").wait_for(state="attached")
    drone.select_option("tanker-mule-1")
    page.get_by_label("Command", exact=True).select_option("hover")
    page.get_by_role("button", name="Send").click()
    told = page.locator(".outcomes tr").filter(has_text="hover tanker-mule-1")
    told.filter(has_text="done").or_(told.filter(has_text="failed")).wait_for(timeout=60_000)


def test_a_refused_command_says_why(flying: Any) -> None:
    page, _ = flying
    page.get_by_label("Drone", exact=True).select_option("scout-1")
    page.get_by_label("z in metres").fill("100000")
    page.get_by_role("button", name="Send").click()
    row = page.locator(".outcomes tr").filter(has_text="move_to scout-1").filter(has_text="failed")
    page.locator(".toast.error").or_(row).first.wait_for(timeout=30_000)


def test_restart_stores_the_flight_and_flies_it_again(flying: Any) -> None:
    page, site = flying
    first = page.locator(".control-state a").inner_text()
    page.get_by_role("button", name="Restart").click()
    until(
        page, f"old => document.querySelector('.control-state a')?.innerText !== old && {CONTROL}.player?.ready", first
    )
    page.locator(".control-state .status.running").wait_for()
    again = page.locator(".control-state a").inner_text()
    until(page, f"{CONTROL}.player.state?.length === 2 && {CONTROL}.player.t > 1")
    assert site.store.get(first).record.status == "stopped"
    one, other = (site.store.get(each).record for each in (first, again))
    assert one.provenance["seed"] == other.provenance["seed"] and one.uuid != other.uuid
    page.get_by_role("button", name="Stop and store").click()
    page.locator(".control-state .status.stopped").wait_for()
    assert site.store.get(again).record.status == "stopped"


def test_a_server_that_comes_back_is_followed_on_without_loss(tmp_path: Path, open_page: Opener) -> None:
    """The session is recorded by this process; what it writes while no server is there must arrive as well."""
    folder = tmp_path / "store"
    stack = contextlib.ExitStack()  # a server that goes on running would keep the tests from ending
    serving = stack.enter_context(contextlib.closing(running_server(folder, Settings())))
    site = next(serving)
    drones = [{"id": "a", "kind": "scout"}]
    with stack, open_store(site) as store, store.record("goes on", drones=drones) as session:

        def fly(begin: int, end: int) -> None:
            for tick in range(begin, end):
                session.motion.append("a", t_s=tick / 20, position_m=(tick / 20, 0, 5), battery=0.9)
            session.event("lap", f"lap at {end}", t_s=(end - 1) / 20)
            session.motion._stream.flush()

        fly(0, 40)
        page = open_page(f"{site.url}/session/{session.session_id}", expect=("ERR_", "Failed to load"))
        page.wait_for_selector("session-view[data-ready=true]")
        fly(40, 80)
        until(page, f"{PLAYER}.tape.end >= 3.95")
        assert next(serving, None) is None  # the server ends
        page.get_by_text("connection lost").wait_for()
        fly(80, 120)
        again = stack.enter_context(contextlib.closing(running_server(folder, Settings(), site.port)))
        next(again)
        fly(120, 160)
        until(page, f"{PLAYER}.tape.end >= 7.95")
        page.get_by_text("connection lost").wait_for(state="detached")
        times = page.evaluate(f"{PLAYER}.tape.tail.get('a').t")
        assert len(times) >= 81, "all since the break, and some before it: the first picture may hold the rest"
        assert times == pytest.approx([tick / 20 for tick in range(160 - len(times), 160)])
        page.get_by_role("tab", name="Events").click()
        page.locator(".record").filter(has_text="lap at 120").wait_for()
        assert page.locator(".record").filter(has_text="lap at 160").count() == 1
        session.finish()
        page.locator(".session-head .status.completed").wait_for()
