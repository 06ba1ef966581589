"""Real session folders, changed at random: every reader and the doctor answer quickly, and touch nothing foreign.

Each turn changes one file of a recorded session, or puts a foreign one beside it. Not here: single loaders (test_fuzz).
"""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import SessionStoreError
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs.plan import repair
from tests.proof.mutations import mutated
from tests.proof.volumes import fast_folder, volume

pytestmark = [pytest.mark.slow, pytest.mark.timeout(36000)]
LIMIT_S = 2.0
#: Names of other programs, and of people.
FOREIGN = [
    *("._motion_history.jsonl", ".DS_Store", "motion_history (1).jsonl", "session 2.json", "notes.txt", "log.jsonl~"),
    *("motion_history.sync-conflict-20261123-143000-ABCDEFG.jsonl", "picture.png", "events.jsonl.orig"),
]
AT_ROOT = ["lost+found/x", "@eaDir/x", "my notes/x", "a?b/x", "notes.txt", ".git/HEAD"]


def recorded(place: Path) -> Path:
    """Record a session as a user does, and return its folder."""
    with sessionstore.open(place, sync="os") as store, store.record("flight", metadata={"pilot": "Ada"}) as session:
        for step in range(12):
            session.motion.append("scout-1", t_s=step * 0.1, position_m=(step, 0, 5))
            session.log(f"step {step}")
        session.event("landed", drone="scout-1")
    return session.folder


def on_time(what: str, call: Callable[[], object]) -> None:
    """Run a call: within the limit, and with an answer or a typed error."""
    begin = time.process_time()
    with contextlib.suppress(SessionStoreError):
        call()
    assert time.process_time() - begin < LIMIT_S, what


def read_all(root: Path) -> None:
    """Open, list and read every stream that the session shows."""
    with sessionstore.open(root, sync="os") as store:
        for row in store.find():
            for tape in store.get(row.session_id).tapes().values():
                tape.last()
                list(tape.read(damaged="skip"))


def foreign_files(rng: random.Random, root: Path, folder: Path, data: bytes) -> dict[Path, bytes]:
    """Put one or two files of other programs there, and return them with their bytes."""
    wanted = [folder / rng.choice(FOREIGN), root / rng.choice(AT_ROOT)]
    found = {path: mutated(rng, data) for path in rng.sample(wanted, rng.randrange(1, 3))}
    for path, content in found.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return found


def test_random_mutations_of_real_folders_never_hang_crash_or_cost_a_foreign_file() -> None:
    rng, place = random.Random(1623), fast_folder()
    root = place / "store"
    folder = recorded(root)
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    turns = volume(10_000, 1_000_000)
    repaired = 0
    try:
        for turn in range(turns):
            path = rng.choice(sorted(kept))
            changed = mutated(rng, kept[path])
            path.write_bytes(changed)
            on_time(f"turn {turn}: reading", lambda: read_all(root))
            if turn % 10 == 0:
                on_time(f"turn {turn}: doctor --quick", lambda: examine(root, deep=False))
                on_time(f"turn {turn}: doctor", lambda: examine(root))
            if turn % 50 == 0:
                repaired += fixed_in_a_copy(rng, root, place / "copy", folder.name, changed)
            path.write_bytes(kept[path])
    finally:
        shutil.rmtree(place)
    assert repaired > turns / 200, repaired


def fixed_in_a_copy(rng: random.Random, root: Path, copy: Path, session_id: str, data: bytes) -> int:
    """Repair a copy of the store with foreign files in it, which must stay as they are; return the repairs."""
    shutil.copytree(root, copy)
    try:
        foreign = foreign_files(rng, copy, copy / session_id, data)
        outcomes: list[object] = []
        on_time("doctor --fix", lambda: outcomes.extend(repair(examine(copy).findings, copy)))
        for path, content in foreign.items():
            assert path.is_file() and path.read_bytes() == content, path
        return len(outcomes)
    finally:
        shutil.rmtree(copy)
