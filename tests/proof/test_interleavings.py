"""Each pair of operations on one session: one stopped at each call on the store, the other run whole in that moment.

In CI, the pairs in which something was lost once at each of their calls, and every other pair at one call;
``PROOF=whole``: each pair at each call.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof.deeds import DEEDS, STREAM, Scene
from tests.proof.interleaving import begin, run
from tests.proof.volumes import PROOF, fast_folder

pytestmark = [pytest.mark.proof, pytest.mark.skipif(sys.platform != "linux", reason="Linux is missing")]

#: State, the operation that is stopped, the one that runs then, and what the calls name at which it is stopped.
_LOST_ONCE = (
    ("sealed", "append", "seal", ""),
    ("left over", "append", "delete", ""),
    ("left over", "read", "unseal", ""),
    ("left over", "tail", "unseal", ""),
    ("plain", "seal", "append", STREAM),
    ("sealed", "unseal", "seal", STREAM),
    ("sealed", "unseal", "append", STREAM),
    ("plain", "merge in", "update", f"A/{STREAM}"),
    ("plain", "merge in", "append", f"A/{STREAM}"),
    ("plain", "merge in", "delete", "compared"),
    ("sealed", "pack", "update", "A/session.json"),
    ("plain", "pack", "seal", "A"),
)
_READ = ("read", "tail", "last", "count", "in time", "columns", "tapes", "merge out", "pack", "find")
_OF_STREAM = ("append", "append open", "append leased", "extend", "attempt", "seal", "unseal", "fix", "merge in")
_OTHER = ("update", "hand edit", "batch", "create", "record", "compact", "rebuild")
_MOVE = ("delete", "delete and restore", "rename", "copy")


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, Scene]]:
    folder = fast_folder()
    yield begin(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _wrong(
    template: Scene, scratch: Path, names: tuple[str, str], every: int = 1, only: int | None = None, of: str = ""
) -> list[str]:
    """Run a pair at each call that names something, or only at one of them; return what was wrong."""
    first, second = (DEEDS[name] for name in names)
    scene, calls = run(template, scratch / "pair", first, second, -1)
    places = [(at, call) for at, call in enumerate(calls) if of in call]
    assert places, f"{names} is stopped nowhere: {calls}"
    places = places[::every] if only is None else [places[only % len(places)]]
    found = list(scene.wrong)
    for at, call in places:
        scene, _ = run(template, scratch / "pair", first, second, at)
        found += [f"at {at} {call}: {each}" for each in scene.wrong]
    return found


@pytest.mark.parametrize(("state", "first", "second", "of"), _LOST_ONCE)
def test_nothing_is_lost_where_something_was_lost_once(
    stores: dict[str, Scene], scratch: Path, state: str, first: str, second: str, of: str
) -> None:
    assert _wrong(stores[state], scratch, (first, second), of=of) == []


@pytest.mark.parametrize("first", [*_OF_STREAM, *_READ, *_OTHER, *_MOVE])
def test_an_operation_that_another_one_comes_into_keeps_every_line(
    stores: dict[str, Scene], scratch: Path, first: str
) -> None:
    found = []
    for number, second in enumerate([*_OF_STREAM, *_OTHER, *_MOVE] if PROOF != "ci" else _few(first)):
        for turn, state in enumerate(("plain", "sealed", "left over")):
            if PROOF != "ci":
                found += _wrong(stores[state], scratch, (first, second))
            elif (number + len(first)) % 3 == turn:
                found += _wrong(stores[state], scratch, (first, second), only=7 * number + 5 * len(first))
    assert found == []


def _few(first: str) -> list[str]:
    """Return the operations that come into this one in CI."""
    if first in _READ:
        return ["seal", "merge in", "delete and restore"]
    return ["append leased", "seal", "delete", "update"] if first in _OF_STREAM else ["seal", "delete", "compact"]


@pytest.mark.parametrize("second", ["append", "seal", "delete", "rebuild", "batch", "merge in"])
def test_a_session_is_brought_back_while_another_operation_runs(
    stores: dict[str, Scene], scratch: Path, second: str
) -> None:
    assert _wrong(stores["in the trash"], scratch, ("restore", second), every=1 if PROOF != "ci" else 9) == []
