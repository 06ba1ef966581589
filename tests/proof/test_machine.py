"""T13: any program of operations, crashes, copies and hand edits, held against a model after every step.

A crash is a state of the disk that a power cut may leave at a random instant within the next operation; the machine
then goes on with what it finds, as the next process would.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import sessionstore
from sessionstore.disk import files
from sessionstore.store import SessionStore
from tests.proof import crash_states, operations, oracle
from tests.proof.crash_states import Disk
from tests.proof.operations import OPERATIONS, World
from tests.proof.tally import Tally, tally
from tests.proof.volumes import fast_folder, volume

#: What reaches the disk of the crash model: a recorder's thread would write at its own times.
NAMES = [name for name in OPERATIONS if name != "record"]


class StoreMachine(RuleBasedStateMachine):
    """One store, one model; each rule is a thing that programs, people or the power do."""

    store: SessionStore
    count = Tally()

    @initialize()
    def begin(self) -> None:
        self.count(programs=1)
        self.folder = fast_folder()
        self.path = self.folder / "disk" / "store"
        self.world = operations.begin(self.path)
        self.number = 1
        self.store = sessionstore.open(self.path)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self, name: str) -> list[World] | None:
        self.number += 1
        return OPERATIONS[name].steps(self.world, self.number)

    @rule(name=st.sampled_from(NAMES))
    def operate(self, name: str) -> None:
        if (steps := self._steps(name)) is not None:
            OPERATIONS[name].hand(self.store)
            OPERATIONS[name].perform(self.store, self.number)
            self.world = steps[-1]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = sessionstore.open(self.path)

    @rule(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32))
    def crash(self, name: str, seed: int) -> None:
        """Lose power within an operation, and go on with what is left."""
        if (steps := self._steps(name)) is None:
            return
        rng = random.Random(seed)
        OPERATIONS[name].hand(self.store)
        disk = Disk(self.path.parent)
        files.observer = disk.hear
        try:
            OPERATIONS[name].perform(self.store, self.number)
        finally:
            files.observer = None
        self.store.close()
        states = list(disk.states(rng.randrange(disk.events + 1), rng))
        crash_states.lay_out(crash_states.tree_of(rng.choice(states)), self.path.parent)
        wrong = oracle.judge(self.path, steps, power=True, afterwards=False)
        assert wrong == []
        self.count(states=1)
        self.store = sessionstore.open(self.path)
        self.world, _ = oracle.seen(self.store)
        self.world = _all_durable(self.world)

    @rule()
    def copy(self) -> None:
        """Go on with a copy of the whole store elsewhere; the old place is gone."""
        self.store.close()
        elsewhere = self.folder / f"disk-{self.number}-{len(os.listdir(self.folder))}" / "store"
        shutil.copytree(self.path, elsewhere)
        shutil.rmtree(self.path)
        self.path = elsewhere
        self.store = sessionstore.open(self.path)

    @precondition(lambda self: "A" in self.world.live)
    @rule(value=st.integers(-(2**70), 2**70))
    def hand_edit(self, value: int) -> None:
        """Change the record in an editor."""
        path = self.store.get("A").folder / "session.json"
        old = self.world.live["A"].value
        text = path.read_text()
        assert f'"v": {old}' in text
        path.write_text(text.replace(f'"metadata": {{"v": {old}}}', f'"metadata": {{"v": {value}}}'))
        self.world = self.world.change("A", value=value)

    @precondition(lambda self: "B" in self.world.live and "A" in self.world.live)
    @rule()
    def rename(self) -> None:
        """Give a folder another name by hand and take it back: a listing in between sees the other name."""
        folder = self.store.get("B").folder
        os.rename(folder, folder.with_name("by-hand"))
        assert {row.session_id for row in self.store.find("name=B")} >= {"by-hand"}
        os.rename(folder.with_name("by-hand"), folder)
        for row in self.store.find():
            if row.status == "missing":
                self.store.index.remove([row.session_id])

    @invariant()
    def holds(self) -> None:
        self.count(steps=1)
        found, wrong = oracle.seen(self.store)
        assert wrong == []
        assert _plain(found) == _plain(self.world)


def _plain(world: World) -> Any:
    return {
        place: {name: (m.value, m.status, m.rows, m.lines, m.buildings) for name, m in getattr(world, place).items()}
        for place in ("live", "trash")
    }


def _all_durable(world: World) -> World:
    """After a restart what is there was read from the disk, so nothing of it can be lost again."""

    def settled(models: dict[str, operations.Model]) -> dict[str, operations.Model]:
        return {name: operations.replace(model, floor=len(model.lines)) for name, model in models.items()}

    return World(settled(world.live), settled(world.trash))


@pytest.mark.slow
@pytest.mark.timeout(36000)
def test_any_program_of_operations_crashes_copies_and_edits_keeps_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with tally("T13 any program of operations, crashes, copies, edits by hand, renames") as count:
        monkeypatch.setattr(StoreMachine, "count", count)
        run_state_machine_as_test(
            StoreMachine,
            settings=settings(
                max_examples=volume(200, 5_000),
                stateful_step_count=volume(50, 100),
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=volume(1, 0) == 1,
            ),
        )
