"""A process forks while its threads use the SQLite index: the child is not left with a lock that no one frees."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from sessionstore.index import open_index
from sessionstore.index.sql import fork_gate
from sessionstore.index.sql.fork_gate import ForkGate
from tests.rows import a_row

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_a_fork_waits_for_the_threads_inside_and_keeps_others_outside() -> None:
    gate, order = ForkGate(), list[str]()
    entered, leave = threading.Event(), threading.Event()

    def call(name: str) -> None:
        with gate.inside(), gate.inside():
            entered.set()
            leave.wait()
        order.append(name)

    first = threading.Thread(target=call, args=("first",))
    first.start()
    entered.wait()
    fork = threading.Thread(target=lambda: (gate.before_fork(), order.append("fork")))
    fork.start()
    while not gate._forks:
        time.sleep(0.001)
    late = threading.Thread(target=call, args=("late",))
    late.start()
    assert order == []
    leave.set()
    first.join()
    fork.join()
    late.join(0.05)
    assert order == ["first", "fork"] and late.is_alive()
    gate.after_in_parent()
    late.join()
    assert order[-1] == "late"


def test_a_fork_within_a_call_waits_for_others_only_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_gate, "FORK_WAIT_S", 0.05)
    gate, leave, entered = ForkGate(), threading.Event(), threading.Event()

    def stay() -> None:
        with gate.inside():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait()
    with gate.inside():
        begun = time.monotonic()
        gate.before_fork()  # the other thread does not end: the fork is made all the same
        gate.after_in_parent()
    assert 0.04 < time.monotonic() - begun < 30
    leave.set()
    thread.join()


def test_children_of_a_process_whose_threads_are_busy_in_sqlite_do_not_hang(tmp_path: Path) -> None:
    """Without the gate about one child in ten waits for ever for the memory lock of SQLite."""
    index, stop = open_index("sqlite:", tmp_path), threading.Event()
    index.put([a_row(f"row-{number}") for number in range(50)])

    def busy() -> None:
        while not stop.is_set():
            with_own = open_index("sqlite:", tmp_path)
            with_own.find()
            with_own.close()
            index.find()

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            child = os.fork()
            if not child:
                os._exit(0 if len(index.find()) == 50 and open_index("sqlite:", tmp_path).version() else 1)
            deadline = time.monotonic() + 60
            while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.002)
            if ended == (0, 0):
                os.kill(child, 9)
                os.waitpid(child, 0)
            assert ended[0] == child and ended[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        index.close()
