"""The phases and their refused moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.simulation.errors import IllegalTransition
from sessionstore.simulation.mission.phases import ALLOWED, PHASES, Mission


@given(st.lists(st.sampled_from(PHASES), max_size=30))
def test_only_the_moves_of_the_plan_happen_and_refused_ones_change_nothing(wishes: list[str]) -> None:
    mission = Mission(0.05)
    legal = {("SCAN", "PLAN"), ("PLAN", "EXECUTE"), ("EXECUTE", "VERIFY"), ("VERIFY", "SCAN"), ("VERIFY", "EXECUTE")}
    for wish in wishes:
        before = (mission.phase, dict(mission.entries), mission.loops_back)
        if (mission.phase, wish) in legal:
            mission.move_to(wish)
            assert mission.phase == wish
        else:
            with pytest.raises(IllegalTransition):
                mission.move_to(wish)
            assert (mission.phase, mission.entries, mission.loops_back) == before


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_time_in_phases_adds_up_to_the_time_of_the_run(stays: list[int]) -> None:
    mission = Mission(0.05)
    for stay in stays:
        for _ in range(stay):
            mission.count_tick()
        mission.move_to(ALLOWED[mission.phase][0])
    assert sum(mission.durations_s().values()) == pytest.approx(0.05 * sum(stays))


def test_a_refusal_says_what_would_be_allowed() -> None:
    with pytest.raises(IllegalTransition, match="SCAN cannot become VERIFY; allowed: PLAN"):
        Mission(0.05).move_to("VERIFY")
