"""Very long flights over HTTP: samples at once, every extreme as soon as the summary is made."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.playback import downsample as stretches
from sessionstore.server.context import Settings
from sessionstore.server.live.overviews import KEPT, Summaries
from tests.server.conftest import Running, running_server
from tests.server.conftest import serve_with as serve_with
from tests.web.long_flight import SPIKE_DRONE, SPIKE_HEIGHT_M, LongFlight, record_long_flight

FLIGHT = LongFlight(duration_s=60.0, drones=8)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("long") / "store"
    with sessionstore.open(folder) as store:
        record_long_flight(store, FLIGHT)
    yield from running_server(folder, Settings())


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "MOST_BYTES_FOLDED", 0)
    monkeypatch.setattr("sessionstore.server.routes.tracks._MOST_BYTES", 0)
    monkeypatch.setattr("sessionstore.server.routes.offline_page.stretch", partial(stretches.stretch, most_bytes=0))


def until(get: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := get()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def track(site: Running, **query: Any) -> dict[str, Any]:
    return dict(site.client.get("/api/sessions/hour/track", params={"points": 40, **query}).json())


def test_samples_come_at_once_and_the_extremes_when_the_summary_is_made(site: Running) -> None:
    first = track(site)
    assert first["thinned"] == "sampled" and len(first["drones"]) == FLIGHT.drones
    second = until(lambda: (found := track(site))["thinned"] == "extremes" and found)
    heights = second["drones"][SPIKE_DRONE]["p"][2::3]
    assert max(heights) == SPIKE_HEIGHT_M and len(heights) <= 40
    part = track(site, start=FLIGHT.spike_s - 1, end=FLIGHT.spike_s + 1)
    assert part["thinned"] == "extremes" and max(part["drones"][SPIKE_DRONE]["p"][2::3]) == SPIKE_HEIGHT_M


def test_an_exported_page_waits_for_the_extremes(tmp_path: Path, serve_with: Callable[..., Running]) -> None:
    with sessionstore.open(tmp_path / "long") as store:
        record_long_flight(store, FLIGHT)
    site = serve_with(tmp_path / "long")
    page = site.client.get("/api/sessions/hour/export.html")
    assert page.status_code == 200 and '"thinned":"extremes"' in page.text and '"sampled"' not in page.text


def test_a_summary_whose_making_is_killed_is_made_when_asked_again(site: Running) -> None:
    session = site.store.get("hour")
    summaries = Summaries()
    real = subprocess.Popen.communicate

    def killed(process: subprocess.Popen[bytes], *given: Any) -> Any:
        process.kill()
        return real(process)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", killed)
        assert summaries.wait(session) is None
        summaries.close()
    again = Summaries()
    found = again.wait(session)
    assert found is not None and again.find(session) is found
    again.close()


def test_a_file_that_was_cut_is_summed_up_anew_and_one_that_grew_far_too(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        session = store.get(record_long_flight(store, LongFlight(duration_s=10.0, drones=2)))
        summaries = Summaries()
        first = summaries.wait(session)
        path = session.tape("motion_history").path
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:100]))
        assert summaries.find(session) is None
        second = summaries.wait(session)
        assert first is not None and second is not None and second.order.high < first.order.high
        path.write_bytes(b"".join(lines))
        assert summaries.find(session) is second  # what was added is read from the file meanwhile
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sessionstore.server.live.overviews._GROWN_BYTES", 0)
            assert summaries.find(session) is second
            grown = until(lambda: (found := summaries.find(session)) is not second and found)
        assert grown.order.high == first.order.high
        summaries.close()


def test_only_a_few_summaries_are_kept(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        summaries = Summaries()
        for number in range(KEPT + 2):
            flight = LongFlight(name=f"flight-{number}", duration_s=1.0, drones=1)
            assert summaries.wait(store.get(record_long_flight(store, flight))) is not None
        assert len(summaries._found) == KEPT
        summaries.close()
