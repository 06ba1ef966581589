"""A hundred drones for long: opened, sought, played at a hundredfold, with every extreme in the charts and flat memory.

In CI ten minutes of flight (1.2 million points); with PROOF=long the whole hour (7.2 million), played for ten minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import CHROMIUM, FLAGS, PLAYER, session_page, until
from tests.web.long_flight import (
    SPIKE_CHARGE,
    SPIKE_DRONE,
    SPIKE_HEIGHT_M,
    SPIKE_SPEED_MPS,
    LongFlight,
    record_long_flight,
)

pytestmark = [pytest.mark.web, pytest.mark.slow, pytest.mark.timeout(1800)]
Opener = Callable[..., Any]
LONG = os.environ.get("PROOF") == "long"
FLIGHT = LongFlight(duration_s=3600.0 if LONG else 600.0)
PLAYED_S = 600.0 if LONG else 20.0
HEAP = "(() => { gc(); return performance.memory.usedJSHeapSize / 1e6; })()"


@pytest.fixture(scope="module")
def long_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("long") / "store"
    with sessionstore.open(folder) as store:
        record_long_flight(store, FLIGHT)
    yield from running_server(folder, Settings())


@pytest.fixture(scope="module")
def frank_browser(browser: Any) -> Iterator[Any]:
    """A browser that tells how much memory it uses."""
    flags = [*FLAGS, "--js-flags=--expose-gc", "--enable-precise-memory-info"]
    launched = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    yield launched
    launched.close()


def curve(page: Any, figure: str) -> list[float]:
    found = page.evaluate(
        """([figure, drone]) => document.querySelector('session-view').charts.charts.get(figure).figure.data
          .find((each) => each.name === drone).y""",
        [figure, SPIKE_DRONE],
    )
    return list(found)


def test_a_long_flight_opens_seeks_and_plays_with_flat_memory_and_all_extremes(
    long_site: Running, frank_browser: Any, open_page: Opener, record_property: Callable[..., None]
) -> None:
    began = time.monotonic()
    page = open_page(browser=frank_browser)
    page.goto(f"{long_site.url}/session/{long_site.store.get(FLIGHT.name).session_id}", wait_until="commit")
    until(page, "document.querySelector('session-view')?.player?.frames.drawn > 0", timeout_s=60)
    first_picture_s = time.monotonic() - began
    page.wait_for_selector("session-view[data-ready=true]")
    until(page, "document.querySelector('.charts [role=status]').textContent.includes('minima')", timeout_s=300)
    exact_s = time.monotonic() - began
    assert max(curve(page, "altitude")) == SPIKE_HEIGHT_M
    assert max(curve(page, "speed")) == pytest.approx(SPIKE_SPEED_MPS, abs=0.01)
    assert min(curve(page, "battery")) == pytest.approx(100 * SPIKE_CHARGE)
    seeks = [seek(page, FLIGHT.duration_s * share) for share in (0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4)]
    heaps = play(page)
    record_property("long_flight", [first_picture_s, exact_s, *seeks, *heaps])
    print(
        f"{FLIGHT.drones} drones, {FLIGHT.duration_s:.0f} s: first picture {first_picture_s:.1f} s, every extreme "
        f"{exact_s:.0f} s, seeks {[round(each, 2) for each in seeks]} s, heap {[round(each) for each in heaps]} MB"
    )
    assert max(heaps[len(heaps) // 2 :]) < 1.3 * max(heaps[: len(heaps) // 2]) + 4
    assert max(heaps) < 100
    assert page.evaluate(f"{PLAYER}.tape.windows.size") <= 12


def seek(page: Any, t_s: float) -> float:
    """Return how long it takes until the place of every drone is known finely at a moment."""
    began = time.monotonic()
    page.evaluate(f"{PLAYER}.seek({t_s})")
    fine = "each.start <= t && each.end > t && each.end - each.start <= 20"
    until(page, f"t => [...{PLAYER}.tape.windows.values()].some((each) => {fine})", t_s, timeout_s=60)
    return time.monotonic() - began


def play(page: Any) -> list[float]:
    """Play in a loop at a hundredfold and at a twentyfold in turn, so that windows come and go; return the heaps."""
    page.evaluate(f"{PLAYER}.seek(0); {PLAYER}.loop = true; {PLAYER}.play()")
    heaps, began = [], time.monotonic()
    while time.monotonic() - began < PLAYED_S or len(heaps) < 8:
        page.evaluate(f"{PLAYER}.setRate({100 if len(heaps) % 2 else 20})")
        before = page.evaluate(f"{PLAYER}.frames.drawn")
        until(page, f"{PLAYER}.frames.drawn > {before} + 30", timeout_s=60)
        heaps.append(float(page.evaluate(HEAP)))
    return heaps


def test_the_whole_flight_is_never_fetched(long_site: Running, open_page: Opener) -> None:
    page = open_page()
    asked: list[tuple[str, int]] = []
    page.on("response", lambda reply: asked.append((reply.url, int(reply.headers.get("content-length", 0)))))
    page.goto(f"{long_site.url}/session/{long_site.store.get(FLIGHT.name).session_id}?t=100")
    page.wait_for_selector("session-view[data-ready=true]")
    until(page, f"{PLAYER}.tape.windows.size > 0")
    size = long_site.store.get(FLIGHT.name).tape("motion_history").size()
    tracks = [length for url, length in asked if "/track?" in url]
    assert tracks and sum(tracks) < size / 20
    page_bytes = sum(length for url, length in asked if "/api/" not in url)
    assert page_bytes < 300_000  # before charts, as it comes over the wire


def test_a_zoomed_chart_shows_the_spike_where_it_was(long_site: Running, open_page: Opener) -> None:
    page = session_page(long_site, open_page, FLIGHT.name)
    until(page, "document.querySelector('.charts [role=status]').textContent.includes('minima')", timeout_s=300)
    low, high = FLIGHT.spike_s - FLIGHT.duration_s / 8, FLIGHT.spike_s + FLIGHT.duration_s / 8
    charts = "document.querySelector('session-view').charts"
    altitude = f"{charts}.charts.get('altitude').figure"
    page.evaluate(f"{charts}.zoom([{low}, {high}])")
    until(page, f"{altitude}.layout.xaxis.range[0] > {low} - 1", timeout_s=60)
    trace = page.evaluate(f"drone => {altitude}.data.find((each) => each.name === drone)", SPIKE_DRONE)
    assert max(trace["y"]) == SPIKE_HEIGHT_M
    assert trace["x"][trace["y"].index(SPIKE_HEIGHT_M)] == pytest.approx(FLIGHT.spike_s, abs=0.001)
