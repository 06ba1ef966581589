"""Eight processes at once: creating, updating, appending and listing for ten seconds, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest

import sessionstore

PROCESSES = 8
SECONDS = float(os.environ.get("SESSIONSTORE_TEST_HAMMER_S", "10"))


def _hammer(folder: Path, label: int, seconds: float, results: Queue[Any]) -> None:
    """Do all four things in turn, and tell what was acknowledged."""
    made, updates, lines, seen = [], 0, 0, 0
    with sessionstore.open(folder) as store:
        shared = store.get("shared")
        writer = shared.writer("log")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            made.append(store.create("same", metadata={"by": label}).session_id)
            shared.update(_count_up)
            updates += 1
            for _ in range(20):
                writer.append({"by": label, "i": lines})
                lines += 1
            listed = {row.session_id for row in store.find()}
            assert set(made) <= listed, "an acknowledged session is not listed"
            assert len(listed) >= seen, "a listing went back in time"
            seen = len(listed)
        writer.close()
    results.put((label, made, updates, lines))


def _count_up(record: dict[str, Any]) -> None:
    record["metadata"]["n"] += 1


@pytest.mark.slow
def test_eight_processes_lose_nothing_in_ten_seconds(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = sessionstore.open(folder)
    store.create("shared", metadata={"n": 0})
    context = multiprocessing.get_context("spawn")
    results: Queue[Any] = context.Queue()
    processes = [context.Process(target=_hammer, args=(folder, label, SECONDS, results)) for label in range(PROCESSES)]
    for process in processes:
        process.start()
    told = [results.get(timeout=SECONDS + 150) for _ in processes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES

    made = [session_id for _, ids, _, _ in told for session_id in ids]
    assert len(made) == len(set(made)), "two sessions share an id"
    with sessionstore.open(folder) as fresh:
        listed = {row.session_id: row for row in fresh.find()}
        assert set(listed) == set(made) | {fresh.get("shared").session_id}
        assert {row.status for row in listed.values()} == {"created"}
        shared = fresh.get("shared")
        assert shared.record.metadata["n"] == sum(updates for _, _, updates, _ in told)
        assert shared.tape("log").check().whole
        lines = list(shared.tape("log").read())
        for label, _, _, count in told:
            assert [line.data["i"] for line in lines if line.data["by"] == label] == list(range(count))
        index = (folder / "index.jsonl").read_bytes()
        fresh.rebuild()
        (folder / "index.jsonl").unlink()
        assert {row.session_id for row in fresh.find()} == set(listed) and index


def _create_one(folder: Path, barrier: Any, results: Queue[Any]) -> None:
    with sessionstore.open(folder) as store:
        barrier.wait()
        results.put(store.create("same").session_id)


def test_eight_processes_creating_one_name_at_once_get_eight_sessions(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    processes = [context.Process(target=_create_one, args=(tmp_path, barrier, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    made = {results.get(timeout=150) for _ in processes}
    for process in processes:
        process.join()
    with sessionstore.open(tmp_path) as store:
        assert len(made) == PROCESSES and {row.session_id for row in store.find()} == made
