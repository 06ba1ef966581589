"""Two recorded numbers against each other: values of the same moments, thinned to what a picture can show."""

from __future__ import annotations

import math

import pytest

from sessionstore.server.routes.xy_plots import GRID, on_grid, paired
from tests.server.conftest import Running


def record(site: Running, name: str, steps: int = 100) -> str:
    with site.store.record(name) as run:
        for step in range(steps):
            t_s = step / 10
            run.stream("motor").append({"rpm": 100.0 * step, "load": step**2}, t_s)
            if step % 5 == 0:
                run.motion.append("rover", t_s=t_s, position_m=(float(step), -2.0 * step, 1.0))
    return str(run.session_id)


def test_values_of_one_stream_are_of_the_same_record(served: Running) -> None:
    session = record(served, "one")
    got = served.client.get(f"/api/sessions/{session}/xy?x=motor.rpm&y=motor.load").json()
    (line,) = got["lines"]
    assert got["thinned"] == "no" and len(line["t"]) == 100
    assert all(y == (x / 100) ** 2 and t == x / 1000 for t, x, y in zip(line["t"], line["x"], line["y"], strict=True))


def test_of_two_streams_the_last_value_of_x_at_the_moment_of_y_counts(served: Running) -> None:
    session = record(served, "two")
    got = served.client.get(f"/api/sessions/{session}/xy?x=motion_history.position.0&y=motor.rpm&start=1&end=2").json()
    (line,) = got["lines"]
    assert line["t"][0] == 1.0 and line["t"][-1] == 2.0
    assert all(x == int(t * 10 + 1e-6) // 5 * 5 for t, x in zip(line["t"], line["x"], strict=True))
    swapped = served.client.get(f"/api/sessions/{session}/xy?x=motor.rpm&y=motion_history.position.0").json()
    assert [each["name"] for each in swapped["lines"]] == ["rover"]


@pytest.mark.parametrize("wrong", ["x=motor&y=motor.load", "x=nothing.a&y=motor.load", "y=motor.load"])
def test_a_field_that_is_none_is_refused(served: Running, wrong: str) -> None:
    session = record(served, "three")
    assert served.client.get(f"/api/sessions/{session}/xy?{wrong}").status_code in (400, 404)


def test_a_long_line_is_thinned_to_what_shows() -> None:
    circle = [(step / 100, math.cos(step / 1e3), math.sin(step / 1e3)) for step in range(50_000)]
    kept = on_grid(circle)
    assert len(kept) < 6000
    for axis in (1, 2):
        values = [point[axis] for point in kept]
        assert max(values) > 1 - 2 / GRID and min(values) < -1 + 2 / GRID


def test_what_is_no_number_has_no_point() -> None:
    nan, steps = float("nan"), [float(step) for step in range(GRID * 2)]
    line = [(t_s, nan if t_s % 2 else t_s) for t_s in steps]
    points = paired({"a": line}, {"a": line})["a"]
    assert len(points) == GRID and on_grid(points) == points


def test_a_value_before_the_first_x_has_no_point() -> None:
    assert paired({"a": [(1.0, 5.0)]}, {"a": [(0.5, 1.0), (1.5, 2.0)]}) == {"a": [(1.5, 5.0, 2.0)]}
