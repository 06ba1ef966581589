"""What a call costs in borders: how often a trip goes from one file of the package into another.

Measured as the study of the house did: calls seen by ``sys.setprofile`` in a store of five sessions; a crossing is a
call out of one file of the package into another. The figures are bounds: a way that becomes longer is noticed.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import sessionstore
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.index.journal.file import Journal
from sessionstore.store import SessionStore

PACKAGE = str(Path(sessionstore.__file__).parent)
#: The longest way that is allowed, in crossings.
#: An append has 11, and one more where a sync is due.
#: Three more of an update, and of a PATCH, since a provenance that is known is neither parsed nor encoded again, and
#: plain values are copied in C: each spares more than it costs. Eight more since a text that is known is changed in its
#: lines, and not checked again: a fifth of all calls of an update are spared (tests/test_speed.py).
BOUNDS = {"motion.append": 12, "update": 41, "find at rest": 28, "find with a filter": 37, "PATCH": 91}


def crossings(call: Callable[[], Any]) -> Counter[str]:
    """Return how often a call crosses each border between two files of the package."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        callee, caller = frame.f_code.co_filename, frame.f_back.f_code.co_filename if frame.f_back else ""
        if event == "call" and callee != caller and callee.startswith(PACKAGE) and caller.startswith(PACKAGE):
            found[f"{caller[len(PACKAGE) + 1 :]} -> {callee[len(PACKAGE) + 1 :]} {frame.f_code.co_qualname}"] += 1

    gc.disable()  # what other tests left is not collected, and counted, meanwhile
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found


@pytest.fixture
def five(store: SessionStore) -> SessionStore:
    gc.collect()  # it may take a second, after which a clock is due
    for name in "ABCDE":
        with store.record(name, metadata={"pilot": name}, tags=["night"]) as session:
            for t_s in (0.0, 0.1):
                session.motion.append("scout-1", t_s=t_s, position_m=(0, 0, 5))
    store.find()
    return store


def patch_of(store: SessionStore) -> Callable[[], Any]:
    context = pytest.importorskip("sessionstore.server.context").Context(store)
    from sessionstore.server.http.operations import Call
    from sessionstore.server.routes.sessions import change_session

    call = Call(context, {"session_id": store.keys()[0]}, {}, {"notes": "looked at"})
    return lambda: change_session(call)


def way(name: str, store: SessionStore) -> Callable[[], Any]:
    if name == "motion.append":
        recorder = store.record("F").__enter__()
        recorder.motion.append("scout-1", t_s=0.0, position_m=(0, 0, 5))
        return lambda: recorder.motion.append("scout-1", t_s=0.1, position_m=(0, 0, 5))
    session = store.get("latest")
    ways: dict[str, Callable[[], Any]] = {
        "update": lambda: session.update(metadata={"pilot": "Ada"}),
        "find at rest": store.find,
        "find with a filter": lambda: store.find("session_name=A"),
    }
    return patch_of(store) if name == "PATCH" else ways[name]


@pytest.mark.parametrize("name", BOUNDS)
def test_a_way_is_no_longer_than_it_was(name: str, five: SessionStore) -> None:
    found = crossings(way(name, five))
    assert sum(found.values()) <= BOUNDS[name], "\n".join(f"{count} {each}" for each, count in found.most_common())


def test_a_detour_is_noticed(five: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = sum(crossings(five.find).values())
    changed = JournalIndex.snapshot
    monkeypatch.setattr(JournalIndex, "snapshot", lambda index: (index.health(), changed(index))[1])
    assert sum(crossings(five.find).values()) > straight


@pytest.mark.parametrize("verify", [True, False])
def test_a_listing_asks_the_journal_once(verify: bool, five: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()
    read = Journal.refresh

    def refresh(journal: Journal) -> bool:
        asked["read"] += 1
        return read(journal)

    monkeypatch.setattr(Journal, "refresh", refresh)
    for name in ("snapshot", "stamps", "active", "find", "version", "health"):
        original = getattr(JournalIndex, name)

        def counted(index: JournalIndex, *given: Any, name: str = name, original: Any = original) -> Any:
            asked[name] += 1
            return original(index, *given)

        monkeypatch.setattr(JournalIndex, name, counted)
    assert len(five.find("session_name=A", verify=verify)) == 1
    assert asked == {"snapshot": 1, "read": 1}
