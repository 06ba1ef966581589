"""T3: after a power cut at any instant, whatever was not synced may be missing, torn or zeros: nothing promised is."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from tests.proof import breaking, crash_states, operations
from tests.proof.crash_states import Verdict, enumerate_run
from tests.proof.operations import OPERATIONS, World
from tests.proof.tally import CONTROLS, tally
from tests.proof.volumes import volume

#: A recorder's whole life has twice the states of all other operations together, so it stands in no sequence.
IN_SEQUENCES = [name for name in OPERATIONS if name != "record"]


def sequences(length: int, seed: int = 1) -> list[tuple[str, ...]]:
    """Return all sequences of a length that can be done whole, in an order that mixes them."""
    world = World({"A": operations.Model(), "B": operations.Model()})
    found = [
        names
        for names in itertools.product(IN_SEQUENCES, repeat=length)
        if len(list(operations.possible(names, world))) == length
    ]
    random.Random(seed).shuffle(found)
    return found


def run(runs: list[tuple[str, ...]], beginning: tuple[Path, World], scratch: Path, states: int) -> Verdict:
    """Judge the crash states of many sequences, until so many distinct states were seen."""
    total = Verdict()
    for names in runs:
        if total.distinct >= states:
            break
        verdict = enumerate_run(names, beginning[0], scratch, beginning[1])
        total.states += verdict.states
        total.distinct += verdict.distinct
        total.wrong += [f"{', '.join(names)}: {each}" for each in verdict.wrong]
    return total


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_power_cut_within_an_operation_leaves_before_or_after(
    name: str, beginning: tuple[Path, World], scratch: Path
) -> None:
    needed = {"restore": ("delete",), "empty_trash": ("delete",), "unseal": ("seal",)}.get(name, ())
    with tally("T3 any un-synced write or name missing, torn or zeros: single operations") as count:
        verdict = run([(*needed, name)], beginning, scratch, 10**9)
        count(states=verdict.distinct)
        count.within(name, states=verdict.distinct)
        count.wrong += verdict.wrong
    assert verdict.distinct >= 4


@pytest.mark.slow
@pytest.mark.timeout(36000)
@pytest.mark.parametrize("length", [2, 3])
def test_a_power_cut_within_sequences_of_two_and_three_keeps_what_was_acknowledged(
    length: int, beginning: tuple[Path, World], scratch: Path
) -> None:
    with tally(f"T3 the same: sequences of {length}") as count:
        verdict = run(sequences(length), beginning, scratch, volume(3_000, 500_000))
        count(states=verdict.distinct, found_by_as_many_ways=verdict.states)
        count.wrong += verdict.wrong
    assert verdict.distinct >= 3_000


def test_the_first_session_of_a_new_store_is_made_whole_or_not_at_all(scratch: Path) -> None:
    (scratch / "base").mkdir()
    verdict = enumerate_run(("create", "create"), scratch / "base", scratch, World())
    assert verdict.wrong == []
    assert verdict.distinct > 100


# ---------------------------------------------------------------- a checker that cannot fail proves nothing


@pytest.mark.parametrize(
    "broken, names",
    [
        (breaking.no_fsync, ("update",)),
        (breaking.no_fsync, ("append",)),
        (breaking.no_directory_fsync, ("create",)),
        (breaking.no_directory_fsync, ("update", "append")),
        (breaking.in_place, ("update",)),
        (breaking.unlink_first, ("update",)),
    ],
)
def test_the_enumeration_goes_red_when_the_protocol_is_broken(
    broken, names: tuple[str, ...], beginning: tuple[Path, World], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = crash_states.judge_all

    def judge_with_the_right_protocol(*arguments):
        monkeypatch.undo()
        return whole(*arguments)

    broken(monkeypatch.setattr)
    monkeypatch.setattr(crash_states, "judge_all", judge_with_the_right_protocol)
    with tally(CONTROLS) as count:
        count(controls=1)
        seen = enumerate_run(names, beginning[0], scratch, beginning[1]).wrong
        count.wrong += [] if seen else [f"nobody noticed {broken.__name__} in {names}"]
