"""The lock files of a store: one holder at a time, and free after release even if the system refuses to unlock.

A second :class:`Locks` opens the files anew, so that the system treats it like another process.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk.locks import Locks
from sessionstore.errors import LockTimeout, StoreUnusable

fcntl = pytest.importorskip("fcntl", reason="flock is missing: this is not a POSIX system")

RefuseToUnlock = Callable[[float], None]


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    return Locks(tmp_path / "locks", timeout_s=0.05)


@pytest.fixture
def others(tmp_path: Path) -> Locks:
    return Locks(tmp_path / "locks", timeout_s=0.05)


@pytest.fixture
def refuse_to_unlock(monkeypatch: pytest.MonkeyPatch) -> RefuseToUnlock:
    """Make the system refuse the next N unlocks."""

    def refuse(times: float) -> None:
        whole, left = fcntl.flock, times

        def flock(descriptor: int, operation: int) -> None:
            nonlocal left
            if operation == fcntl.LOCK_UN and left > 0:
                left -= 1
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            whole(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", flock)

    return refuse


def open_descriptors() -> set[tuple[str, str]]:
    """Return the number and the file of each open descriptor of this process."""
    if sys.platform != "linux":
        pytest.skip("/proc is missing")
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return found


times = pytest.mark.parametrize("times", [1, 2, float("inf")], ids=["once", "twice", "for ever"])


@times
def test_a_store_lock_that_the_system_refuses_to_unlock_is_free_for_others_at_once(
    locks: Locks, others: Locks, refuse_to_unlock: RefuseToUnlock, times: float
) -> None:
    refuse_to_unlock(times)
    with locks.store():
        pass
    with others.store():
        pass


@times
def test_a_process_whose_unlock_was_refused_takes_the_store_lock_again_and_excludes_others(
    locks: Locks, others: Locks, refuse_to_unlock: RefuseToUnlock, times: float
) -> None:
    refuse_to_unlock(times)
    for _ in range(3):
        with locks.store(), pytest.raises(LockTimeout), others.store():
            pass
    with others.store(), pytest.raises(LockTimeout), locks.store():
        pass


def test_a_refused_unlock_leaves_no_descriptor_open(locks: Locks, refuse_to_unlock: RefuseToUnlock) -> None:
    with locks.store():
        pass
    before = open_descriptors()
    refuse_to_unlock(1)
    with locks.store():
        pass
    assert open_descriptors() == before


def test_a_refused_unlock_closes_no_file_that_another_thread_opens_meanwhile(
    locks: Locks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A new file gets the lowest free number; filelock still unlocks and closes the number that it remembers."""
    whole, opened = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            opened.append(os.open(tmp_path / f"opened-{len(opened)}", os.O_RDWR | os.O_CREAT))
            if len(opened) == 1:
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        whole(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locks.store():
        pass
    assert len(opened) == 2
    for number, descriptor in enumerate(opened):
        assert os.path.samestat(os.fstat(descriptor), os.stat(tmp_path / f"opened-{number}"))
        os.close(descriptor)


@times
def test_deleting_and_restoring_go_on_after_an_unlock_was_refused(
    tmp_path: Path, refuse_to_unlock: RefuseToUnlock, times: float
) -> None:
    with sessionstore.open(tmp_path / "store") as store, sessionstore.open(tmp_path / "store") as other:
        first, second = store.create("first").session_id, store.create("second").session_id
        refuse_to_unlock(times)
        store.delete(first)
        store.restore(first)
        store.rebuild()
        store.delete(second)
        store.empty_trash()
        other.delete(first)
        assert store.find() == []


def test_the_store_lock_taken_twice_by_one_thread_is_free_after_the_outer_block_only(
    locks: Locks, others: Locks
) -> None:
    with locks.store():
        with locks.store():
            pass
        with pytest.raises(LockTimeout), others.store():
            pass
    with others.store():
        pass


def test_threads_of_one_process_exclude_each_other(locks: Locks) -> None:
    refused: list[LockTimeout] = []

    def enter() -> None:
        try:
            with locks.store():
                pass
        except LockTimeout as error:
            refused.append(error)

    with locks.store():
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(refused) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is missing")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("held", [False, True], ids=["free", "held by the parent"])
def test_a_forked_child_takes_the_store_lock_that_its_parent_knows_and_never_beside_it(
    locks: Locks, held: bool
) -> None:
    """The lock object of filelock belongs to the process that made it; each process makes its own."""
    with locks.store():
        if held:
            assert outcome_in_a_child(locks) == "refused"
    if not held:
        assert outcome_in_a_child(locks) == "entered"


def outcome_in_a_child(locks: Locks) -> str:
    """Fork a child that takes the store lock, and return whether it entered or was refused."""
    child = os.fork()
    if child == 0:
        _exit_with_outcome_of(locks)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "entered", 1: "refused"}.get(code, f"ended with {code}")


def _exit_with_outcome_of(locks: Locks) -> None:
    outcome = 2
    try:
        with locks.store():
            outcome = 0
    except LockTimeout:
        outcome = 1
    finally:
        os._exit(outcome)


def test_an_error_of_filelock_that_is_no_system_error_is_typed(locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def acquire(self: object, **options: object) -> None:
        raise RuntimeError("a state that is new in the next version")

    monkeypatch.setattr(filelock.BaseFileLock, "acquire", acquire)
    with pytest.raises(StoreUnusable, match=r"store\.lock"), locks.store():
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl is missing")
def test_ctrl_c_right_after_the_system_gave_the_store_lock_leaves_it_free_for_others(
    locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """filelock before 4.2.1 forgot the descriptor then, and the process kept the lock."""
    import fcntl

    flock, interrupted = fcntl.flock, list[int]()

    def interrupt(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not operation & fcntl.LOCK_UN and not interrupted:
            interrupted.append(descriptor)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", interrupt)
        with pytest.raises(KeyboardInterrupt), locks.store():
            pass
    assert interrupted
    assert outcome_in_a_child(locks) == "entered"
    with locks.store():
        assert outcome_in_a_child(locks) == "refused"
