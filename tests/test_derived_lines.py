"""Derived lines: each against its definition, written the slow way."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.playback.derived_lines import difference, moving_mean, norm, rate

_numbers = st.floats(-1e6, 1e6)
_lines = st.lists(st.tuples(st.integers(0, 40).map(lambda n: n / 4), _numbers), max_size=30).map(
    lambda pairs: sorted(pairs, key=lambda pair: pair[0])
)


@given(line=_lines, window_s=st.sampled_from((0.25, 1.0, 3.0, 100.0)))
def test_a_moving_mean_is_the_mean_of_the_window_up_to_each_moment(
    line: list[tuple[float, float]], window_s: float
) -> None:
    for index, (t_s, value) in enumerate(moving_mean(line, window_s)):
        held = [each for at_s, each in line[: index + 1] if at_s > t_s - window_s]
        assert value == pytest.approx(math.fsum(held) / len(held), abs=1e-6)


@given(line=_lines)
def test_a_rate_is_the_change_for_each_second_and_equal_moments_have_none(line: list[tuple[float, float]]) -> None:
    expected = [(b[0], (b[1] - a[1]) / (b[0] - a[0])) for a, b in itertools.pairwise(line) if b[0] > a[0]]
    assert rate(line) == expected


def test_a_difference_is_linear_between_points_and_ends_with_the_other_line() -> None:
    line = [(0.0, 1.0), (1.0, 2.0), (1.5, 3.0), (2.0, 5.0), (3.0, 0.0)]
    other = [(1.0, 10.0), (2.0, 20.0)]
    assert difference(line, other) == [(1.0, -8.0), (1.5, -12.0), (2.0, -15.0)]
    assert difference(line, []) == []


def test_a_length_needs_numbers_only() -> None:
    assert norm([3, 4]) == 5.0
    assert [norm(each) for each in ([], [1, None], [True, 1], 3.0, "ab", None)] == [None] * 6
