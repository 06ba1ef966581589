"""The collector rests while rows are made, and only then: who lists again and again keeps no garbage by it."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Iterator

import pytest

from sessionstore.model import gc_pause
from sessionstore.model.gc_pause import gc_paused
from sessionstore.store import SessionStore


class Loop:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def everything_was_looked_through() -> Iterator[None]:
    gc.collect()
    yield
    gc.enable()


def is_young() -> bool:
    """Whether garbage that was made before a rest is found without going through all that is old."""
    found = weakref.ref(Loop())
    with gc_paused():
        pass
    gc.collect(1)
    return found() is None


def test_garbage_stays_young_over_a_listing_that_read_nothing(store: SessionStore) -> None:
    store.create("run")
    store.find()
    gc.collect()
    found = weakref.ref(Loop())
    store.find()
    gc.collect(1)  # older garbage waits for a look at everything, which listing after listing put off for ever
    assert found() is None


def test_what_was_made_counts_as_old_once_between_two_looks_at_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_pause, "_FREEZE_FROM", -1)
    assert [is_young() for _ in range(3)] == [False, True, True]
    gc.collect()
    assert not is_young()


def test_it_works_again_after_an_error_and_stays_at_rest_for_who_had_stopped_it() -> None:
    with pytest.raises(ZeroDivisionError), gc_paused():
        assert not gc.isenabled()
        _ = 1 / 0
    assert gc.isenabled()
    gc.disable()
    with gc_paused():
        pass
    assert not gc.isenabled()


def test_it_works_again_whichever_of_two_threads_leaves_last() -> None:
    for first_leaves_first in (True, False):
        rests = [gc_paused(), gc_paused()]
        for rest in rests:
            rest.__enter__()
        for rest in rests if first_leaves_first else reversed(rests):
            rest.__exit__(None, None, None)
        assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_it_works_in_a_child_that_was_forked_while_another_thread_made_rows() -> None:
    inside, done = threading.Event(), threading.Event()

    def make_rows() -> None:
        with gc_paused():
            inside.set()
            done.wait()

    thread = threading.Thread(target=make_rows)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if gc.isenabled() else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gc.isenabled()
