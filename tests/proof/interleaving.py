"""Two operations on one session: one stopped at each of its system calls while the other runs whole.

The second runs from begin to end on a handle of its own, as another process would; then the first goes on. Which meets
a lock that the stopped one holds does not wait: it counts as refused, and runs again at the end.
After each pair: each acknowledged line is there once, a reading is a state that was, errors are named and true.
Not here: the operations (deeds), which pairs are run (test_interleavings), kills and errors of the disk (syscalls).
"""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import sessionstore
from sessionstore.disk import locks
from sessionstore.errors import LockTimeout, SessionStoreError
from sessionstore.layout import DOCUMENT
from sessionstore.session.stream_reader import Tape
from tests.proof.deeds import LINES, STREAM, Deed, Scene, known
from tests.proof.stopping import Stopped

#: How a session may be found at the beginning.
STATES = ("plain", "sealed", "left over", "in the trash")


def begin(folder: Path) -> dict[str, Scene]:
    """Make a store for each state that a session may be found in; return them by state."""
    made = {}
    for state in STATES:
        path = folder / state.replace(" ", "-")
        with sessionstore.open(path, sync="os") as store:
            run = store.record("A", sync="os")
            for number in range(LINES):
                run.stream(STREAM).append({"v": number, "text": "x" * 60}, t_s=number / 2)
            run.finish()
            store.create("B")
            session = store.get("A")
            if state in ("sealed", "left over"):
                session.seal()
            if state == "left over":
                session.tape(STREAM).path.touch()
            if state == "in the trash":
                store.delete("A")
            store.find()
        made[state] = Scene(path, run.session_id, state=state)
    return made


def run(template: Scene, folder: Path, first: Deed, second: Deed, at: int) -> tuple[Scene, list[str]]:
    """Run a pair on a copy of a store; return what came of it, and the calls of the first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    scene = Scene(folder / "store", template.session_id, state=template.state)
    shutil.copytree(template.path, scene.path)
    given = {1: first.before(scene, 1000), 2: second.before(scene, 2000)}
    done: list[bool] = []

    def other() -> None:
        with no_waiting():
            done.append(_do(scene, second, 2000, given[2]))

    stopped = Stopped(scene.path, at, other)
    with no_waiting(), stopped.watching():
        finished = _do(scene, first, 1000, given[1])
    if not finished:
        _do(scene, first, 1300, first.before(scene, 1200), again=True)
    if not (done and done[0]):
        _do(scene, second, 2300, second.before(scene, 2200), again=True)
    scene.wrong += judged(scene, first.moves or second.moves)
    return scene, stopped.calls


def _do(scene: Scene, deed: Deed, number: int, given: Any, again: bool = False) -> bool:
    """Do it; False: it met a lock, and has to be done again."""
    try:
        deed.run(scene, number, given)
    except LockTimeout as error:
        if again:
            scene.wrong.append(f"{deed.name}: a lock is still held: {error}")
        return False
    except SessionStoreError as error:
        scene.refused.append(f"{deed.name}: {type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  # what is raised raw is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        scene.wrong.append(
            f"{deed.name}: raw {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        )
    return True


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let locks that are held be refused at once."""

    def refuse(descriptor: int, path: str, timeout_s: float) -> None:
        if not locks._try_lock(descriptor):
            raise LockTimeout(f"{path} was not free")

    with mock.patch.object(locks, "_wait", refuse):
        yield


def judged(scene: Scene, moved: bool) -> list[str]:
    """Return what is wrong with a store after a pair; ``moved``: one of the two moved the session."""
    wrong: list[str] = []
    may_be_left = moved or scene.state == "left over"
    with sessionstore.open(scene.path) as store:
        places = _places(scene)
        if len(places) != 1 and not (scene.notes.get("merged") and places):
            return [f"the session is in {len(places)} places: {[str(each) for each in places]}"]
        wrong += _lines(places, scene)
        rows = {row.session_id: row for row in store.find()}
        for made in scene.notes.get("made", []):
            if made not in rows:
                wrong.append(f"{made} was made and is not listed")
        records = [store.get(each.name).record for each in places if each.parent == store.root.path]
        if any(row is None or row.rev != each.rev for each in records for row in [rows.get(each.session_id)]):
            wrong.append("the list does not show the session as it is")
        for key in scene.notes.get("keys", []):
            if records and not any(key in record.metadata for record in records):
                wrong.append(f"lost update: {key}")
        if not moved and (left := [str(each.relative_to(scene.path)) for each in scene.path.rglob(".tmp-*")]):
            wrong.append(f"left: {left}")  # of a folder that was moved, the process cannot know where it is
        for finding in store.doctor().findings:
            if finding.severity != "info" and not (may_be_left and finding.code == "seal-interrupted"):
                wrong.append(f"doctor: {finding.code} {finding.what}")
    return wrong


def _places(scene: Scene) -> list[Path]:
    found = [path.parent for path in scene.path.rglob(DOCUMENT) if "merge-" not in str(path)]
    return [each for each in found if _name_of(each) == "A"]


def _name_of(folder: Path) -> str | None:
    for row in json.loads((folder / DOCUMENT).read_text()).get("session", {}).values():
        return row.get("session_name")
    return None


def _lines(places: list[Path], scene: Scene) -> list[str]:
    """Return what is wrong with the lines; of several copies, which a merge may leave, one has an acknowledged line."""
    wrong: list[str] = []
    wanted, found = known(scene), set()
    for place in places:
        try:
            lines = list(Tape(place / f"{STREAM}.jsonl").read())
        except SessionStoreError as error:
            return [f"the stream cannot be read: {error}"]
        values = [line.data["v"] for line in lines]
        found |= set(values)
        if len(set(values)) < len(values):
            wrong.append(f"TWICE: {[each for each in set(values) if values.count(each) > 1][:6]}")
        if [line.n for line in lines] != list(range(len(lines))):
            wrong.append("the numbers have a gap or stand twice")
    if lost := [each for each in wanted if each not in found]:
        wrong.append(f"LOST {len(lost)} acknowledged lines: {lost[:4]} ...")
    if more := found - set(wanted) - set(scene.unknown):
        wrong.append(f"refused, and there all the same: {sorted(more)[:6]}")
    return wrong
