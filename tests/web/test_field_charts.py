"""A chart of any field of a recording that somebody else's program made: its values are those of the stream."""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
VIEW = "document.querySelector('session-view')"
STEPS = 3000
DRAWN = "(key) => Boolean(document.querySelector('session-view')?.charts?.charts.get('own:' + key)?.figure)"

HOVERED = (
    "() => [...document.querySelectorAll('.chart.own .value')].every((each) => /^00:\\d\\d/.test(each.textContent))"
)
ONE_RANGE = f"""() => {{
  const shown = [...{VIEW}.charts.charts.values()].filter((each) => !each.node.hidden);
  return {VIEW}.charts.range !== null && new Set(shown.map((each) => JSON.stringify(each.range))).size === 1;
}}"""


def rpm(step: int) -> float:
    return 1000.0 + step % 97 + (5000.0 if step == 1501 else 0.0)  # one spike among thousands


def record(folder: Path, name: str, more: float = 0.0) -> None:
    with sessionstore.open(folder).record(name) as session:
        for step in range(STEPS):
            t_s = step / 50
            session.stream("motor").append({"rpm": rpm(step) + more, "load": [step / 100, 3.0, 4.0]}, t_s)
            if step % 10 == 0:
                session.motion.append("rover", t_s=t_s, position_m=(t_s, 0.0, 1.0))


@pytest.fixture(scope="module")
def motor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("motor") / "store"
    record(folder, "first")
    record(folder, "second", more=25.0)
    yield from running_server(folder, Settings())


def opened(site: Running, open_page: Opener, query: str = "") -> Any:
    size = {"width": 1280, "height": 1500}  # picker and charts in sight: a drag does not scroll
    page = open_page(f"{site.url}/session/{site.store.get('first').session_id}{query}", viewport=size)
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def drag(page: Any, what: Any, onto: Any) -> None:
    """Drag as a hand does: in small steps first, for a drag begins with the first of them."""
    what.hover()
    page.mouse.down()
    box = what.bounding_box()
    for step in (4, 8, 12):
        page.mouse.move(box["x"] + 20 + step, box["y"] + step)
    box = onto.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60, steps=4)
    page.mouse.up()


def chart(key: str) -> str:
    return f"{VIEW}.charts.charts.get('own:{key}')"


def test_a_field_is_found_by_name_and_another_is_dragged_onto_its_chart(motor: Running, open_page: Opener) -> None:
    page = opened(motor, open_page)
    field = page.get_by_label("Chart any field")
    field.fill("rpm mot")
    page.get_by_role("option", name="motor.rpm", exact=True).wait_for()
    field.press("Enter")
    until(page, DRAWN, "motor.rpm")
    field.fill("load.0")
    drag(page, page.get_by_role("option", name="motor.load.0"), page.locator(".chart.own"))
    until(page, f"() => {chart('motor.rpm')}.lines.length === 2 && {chart('motor.rpm')}.figure.data.length === 2")
    assert page.evaluate(f"{chart('motor.rpm')}.axes.length") == 2, "0 to 30 beside 1000 to 6000: an axis of its own"
    page.wait_for_url("**charts=motor.rpm%2Bmotor.load.0%3A2**")
    again = open_page(page.url)
    until(again, DRAWN, "motor.rpm+motor.load.0:2")


def test_the_values_at_random_moments_are_those_of_the_stream_though_the_line_is_thinned(
    motor: Running, open_page: Opener
) -> None:
    page = opened(motor, open_page, "?charts=motor.rpm")
    until(page, DRAWN, "motor.rpm")
    drawn = chart("motor.rpm")
    assert page.evaluate(f"{drawn}.thinned")
    assert max(page.evaluate(f"{drawn}.figure.data[0].y")) == rpm(1501), "no spike is lost"
    random.seed(7)
    for _ in range(25):
        t_s = random.uniform(0, (STEPS - 1) / 50)  # moments to look at
        page.evaluate(f"(t) => {drawn}.askValues(t)", t_s)
        found = page.evaluate(f"(t) => {drawn}.recorded(t, {drawn}.figure.data[0])", t_s)
        assert found == rpm(math.floor(t_s * 50 + 1e-9))


def test_derived_values_are_computed_from_every_record(motor: Running, open_page: Opener) -> None:
    page = opened(motor, open_page, "?charts=norm(motor.load),rate(motor.load.0),mean1(motor.rpm)&t=20")
    for key in ("norm(motor.load)", "rate(motor.load.0)", "mean1(motor.rpm)"):
        until(page, DRAWN, key)
    last = page.evaluate(f"{chart('norm(motor.load)')}.figure.data[0].y.at(-1)")
    assert last == pytest.approx(math.hypot((STEPS - 1) / 100, 3, 4))
    rates = page.evaluate(f"{chart('rate(motor.load.0)')}.figure.data[0].y")
    assert rates == pytest.approx([0.5] * len(rates)), "0.01 in each 0.02 s"
    mean = page.evaluate(f"{chart('mean1(motor.rpm)')}.figure.data[0].y.at(-1)")
    assert mean == pytest.approx(sum(map(rpm, range(STEPS - 50, STEPS))) / 50)


def test_the_difference_of_two_sessions_is_that_of_their_records(motor: Running, open_page: Opener) -> None:
    other = motor.store.get("second").session_id
    page = opened(motor, open_page, "?charts=motor.rpm")
    until(page, DRAWN, "motor.rpm")
    page.get_by_label("More of this chart").click()
    page.get_by_label("Minus the session").fill(other)
    page.get_by_label("Minus the session").press("Enter")
    until(page, f"() => {chart('motor.rpm')}.figure.data[0]?.y.every((each) => Math.abs(each + 25) < 1e-9)")
    until(page, "(id) => decodeURIComponent(decodeURIComponent(location.search)).includes(`~${id}`)", other)


def test_zooming_in_one_zooms_all_and_hovering_shows_the_value_in_all(motor: Running, open_page: Opener) -> None:
    page = opened(motor, open_page, "?charts=motor.rpm,motor.load.1")
    until(page, DRAWN, "motor.load.1")
    canvas = page.locator(".chart.own canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    until(page, HOVERED)
    assert page.locator(".chart.own").first.locator(".chart-tip").is_visible()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 60, box["y"] + 40, steps=3)
    page.mouse.up()
    until(page, ONE_RANGE)
    from_s, to_s = page.evaluate(f"{VIEW}.charts.range")
    assert 25 < from_s < to_s < 45


def test_a_chart_is_taken_away_as_png_svg_and_csv(motor: Running, open_page: Opener) -> None:
    page = opened(motor, open_page, "?charts=motor.rpm")
    until(page, DRAWN, "motor.rpm")
    found: dict[str, bytes] = {}
    for name in ("Picture (PNG)", "Picture (SVG)", "Every value (CSV)"):
        page.get_by_label("More of this chart").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert "motor-rpm" in download.value.suggested_filename
        found[name] = Path(download.value.path()).read_bytes()
    assert found["Picture (PNG)"].startswith(b"\x89PNG") and len(found["Picture (PNG)"]) > 10_000
    assert found["Picture (SVG)"].startswith(b"<svg") and b"motor.rpm" in found["Picture (SVG)"]
    rows = list(csv.DictReader(io.StringIO(found["Every value (CSV)"].decode())))
    assert [float(row["value"]) for row in rows] == [rpm(step) for step in range(STEPS)], "nothing is thinned"
