"""The place Sweeps in a browser: plots, filter by brushing, the table over seeds, points to compare, live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from sessionstore.store import SessionStore
from sessionstore.sweeps.definition import Definition, Point, numbered
from sessionstore.sweeps.folder import SweepFolder
from tests.server.conftest import Running, running_server
from tests.web.conftest import until
from tests.web.test_pages import AXE

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


def record(store: SessionStore, point: Point, status: str = "completed") -> None:
    """Make the session of a point, as a worker does."""
    mark = {"id": "glider", "number": point.number, "point": point.key, "parameters": point.parameters}
    with store.record(f"glider {point.number}", metadata={"sweep": mark}) as run:
        run.motion.append("g-1", t_s=0, position_m=(0, 0, 5))
        height = 90.0 - point.parameters["wind"] + point.parameters["seed"]
        run.finish(status, performance_metrics={"totals": {"height_m": height}})


@pytest.fixture
def glider(tmp_path: Path) -> Iterator[tuple[Running, list[Point]]]:
    """A sweep of 12 points of which the last one waits."""
    wanted = Definition(
        name="glider", program="glide", fingerprint="f", maximise="height_m",
        grid={"wind": [0, 5, 10], "load": ["empty", "<b>full"]}, seeds=[0, 2],
    )  # fmt: skip
    with sessionstore.open(tmp_path / "store") as store:
        points = numbered(wanted.parameter_sets(), "f")
        SweepFolder(store.root, "glider").keep(wanted, points)
        for point in points[:-1]:
            record(store, point, "failed" if point.number == 1 else "completed")
    yield from ((running, points) for running in running_server(tmp_path / "store", Settings()))


def test_a_sweep_is_shown_filtered_and_compared_and_grows_while_it_runs(
    glider: tuple[Running, list[Point]], open_page: Opener
) -> None:
    running, points = glider
    page = open_page(f"{running.url}/sweeps")
    page.get_by_role("link", name="glider").click()
    page.locator(".sweep-heat td", has_text="86").first.wait_for()  # wind 5: mean of 85 and 87
    assert page.locator(".sweep").get_by_text("11 of 12", exact=True).is_visible()
    best, second = (row.split("\t") for row in page.locator(".sweep table.plain tbody tr").all_inner_texts()[:2])
    assert best[:5] == ["0", "empty", "1", "1", "92"]  # one of its two points failed
    assert second[:5] == ["0", "<b>full", "2", "", "91 ± 12.7"]

    record(running.store, points[-1])
    page.locator(".sweep").get_by_text("12 of 12", exact=True).wait_for()

    box = page.locator(".sweep-parallel canvas").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 225)  # the lower end of the first axis: wind 0
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 150, steps=3)
    page.mouse.up()
    page.get_by_text("4 of 12 points are kept by the filter").wait_for()
    page.get_by_role("button", name="Points").click()
    assert page.locator(".sweep table.plain tbody tr").count() == 4
    assert page.get_by_role("button", name="Compare").is_disabled()
    for number in (2, 3):
        page.get_by_label(f"Select point {number}").check()
    page.get_by_role("button", name="Compare").click()
    page.locator("session-compare h1").wait_for()
    assert page.url.count("glider-") == 2

    page.goto(f"{running.url}/sweeps/glider?view=points&metric=height_m&x=height_m")
    page.get_by_role("link", name="point 5", exact=True).click()
    page.locator("session-view").wait_for()
    assert "glider-5" in page.url


def test_a_sweep_that_is_not_there_and_a_store_without_any_are_explained(
    glider: tuple[Running, list[Point]], open_page: Opener, tmp_path: Path
) -> None:
    page = open_page(f"{glider[0].url}/sweeps/nothing", expect=("404",))
    page.get_by_text("no sweep is called 'nothing'; the sweeps here: glider").wait_for()
    for running in running_server(tmp_path / "empty", Settings()):
        page = open_page(f"{running.url}/sweeps")
        page.get_by_text("No sweeps yet").wait_for()
        page.close()  # before its server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_sweeps(
    glider: tuple[Running, list[Point]], open_page: Opener, scheme: str
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm install --no-save --prefix .axe axe-core)")
    found = []
    for place in ("/sweeps", "/sweeps/glider", "/sweeps/glider?view=points"):
        page = open_page(f"{glider[0].url}{place}", color_scheme=scheme)
        until(page, "() => !!document.querySelector('sweep-place table')")
        page.evaluate(AXE.read_text("utf-8"))
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for each in result["violations"]:
            if each["impact"] in ("serious", "critical"):
                found.append((place, each["id"], [node["html"][:160] for node in each["nodes"][:3]]))
    assert not found, "\n".join(map(str, found))
