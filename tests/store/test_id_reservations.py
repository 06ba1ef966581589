"""Id reservations: which id a session gets, whatever hands, signals and full disks do to the file of the minute."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.errors import (
    StoreUnusable,
)
from sessionstore.model import names
from sessionstore.store import SessionStore
from sessionstore.store.id_reservations import IdReservations


def test_an_id_is_not_given_again_after_its_session_was_deleted_and_several_handles_agree(
    store: SessionStore, frozen: datetime
) -> None:
    with sessionstore.open(store.root.path) as other:
        made = [other.create(name).session_id for name in "xxyxy"]
    assert made == [f"202611231430-{name}" for name in ("x", "x-2", "y", "x-3", "y-2")]
    store.delete(made[3])
    assert [store.create(name).session_id[-3:] for name in "xy"] == ["x-4", "y-3"]
    assert [path.name for path in store.root.claims.iterdir()] == ["202611231430"]


@pytest.mark.parametrize("left", [b"", b"\xff" * 7, b"\n" * 60, None])
def test_claims_that_are_torn_or_gone_cost_no_session(
    store: SessionStore, frozen: datetime, left: bytes | None
) -> None:
    store.create("x")
    (file,) = store.root.claims.iterdir()
    kept = file.read_bytes()
    file.unlink() if left is None else file.write_bytes(left if left == b"" else kept + left)
    with sessionstore.open(store.root.path) as other:
        made = [each.create("x").session_id for each in (other, store, other)]
    assert made == ["202611231430-x-2", "202611231430-x-3", "202611231430-x-4"]


def test_claims_of_minutes_that_are_over_are_removed(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = IdReservations(store.root)
    store.root.prepare()
    for minute in (30, 31, 32, 33):
        claims.reserve(datetime(2026, 11, 23, 14, minute, tzinfo=UTC), "x")
    assert sorted(path.name for path in store.root.claims.iterdir()) == ["202611231432", "202611231433"]
    claims.close()


def test_a_handle_that_is_closed_while_another_thread_chooses_an_id_costs_no_session(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = threading.Thread(target=store.close)

    def closed_meanwhile(write: Callable[..., int]) -> Callable[..., int]:
        def written(self: AppendFile, *arguments: Any) -> int:
            if self.path.parent == store.root.claims and closing.ident is None:
                closing.start()
                closing.join(0.1)
            return write(self, *arguments)

        return written

    for way in ("write", "write_unlocked"):
        monkeypatch.setattr(AppendFile, way, closed_meanwhile(getattr(AppendFile, way)))
    assert store.create("x").record.session_name == "x"
    closing.join()


def test_a_claim_that_could_not_be_written_skips_no_number(
    store: SessionStore, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(operation: str, path: str, payload: object) -> None:
        if operation == "write" and os.path.dirname(path) == str(store.root.claims):
            raise OSError(errno.ENOSPC, "the disk is full")

    with sessionstore.open(store.root.path) as other:
        made = [each.create("x").session_id for each in (store, other, other)]
    for _ in range(3):
        monkeypatch.setattr(files, "observer", full)
        with pytest.raises(StoreUnusable):
            store.create("x")
        monkeypatch.setattr(files, "observer", None)
    made.append(store.create("x").session_id)
    assert made == ["202611231430-x", *(f"202611231430-x-{number}" for number in (2, 3, 4))]


@pytest.mark.parametrize(
    "typed",
    [
        ["scan", "scan", "Scan-2", "SCAN-2", "scan-3", "Scan"],
        ["Scan-2", "scan", "scan", "SCAN-2", "scan-2-2", "scan"],
        ["scan", "SCAN", "sCan-2", "scan-2-2", "Scan-2-2-2", "Scan-1", "scan"],
        [None, "2", None, "\N{FULLWIDTH DIGIT TWO}", "3", "3", None],
    ],
)
def test_a_name_that_ends_like_a_number_gets_an_id_that_no_file_system_takes_for_another(
    store: SessionStore, frozen: datetime, typed: list[str | None]
) -> None:
    with sessionstore.open(store.root.path) as other:
        made = [each.create(name).session_id for name, each in zip(typed, [store, other] * 4, strict=False)]
    assert len({names.collision_key(session_id) for session_id in made}) == len(typed)
    assert [record.session_name for record in (store.get(name).record for name in made)] == typed


@pytest.mark.parametrize("hand", ["claims removed", "staging removed", "a folder in the claims", "a claim in use"])
def test_hands_in_the_claims_stop_no_creator(
    store: SessionStore, frozen: datetime, monkeypatch: pytest.MonkeyPatch, hand: str
) -> None:
    """Neither a handle that has made sessions before nor a new one, which begins with removing what is over."""
    store.create("x")
    (store.root.claims / "202001010000").write_bytes(b"")
    if hand == "claims removed":
        shutil.rmtree(store.root.claims)
    elif hand == "staging removed":
        shutil.rmtree(store.root.staging)
    elif hand == "a folder in the claims":
        (store.root.claims / "2020-kept").mkdir()
    else:
        unlink = os.unlink

        def refuse_to_remove(path: str) -> None:
            if path.endswith("202001010000"):
                raise PermissionError(13, "another process has it open")  # as Windows says
            unlink(path)

        monkeypatch.setattr(os, "unlink", refuse_to_remove)
    with sessionstore.open(store.root.path) as other:
        made = [each.create("x").session_id for each in (store, other)]
    assert made == ["202611231430-x-2", "202611231430-x-3"]


def test_a_signal_handler_may_close_the_store_while_an_id_is_chosen(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled, made = [0], list[str]()

    def handler(operation: str, path: str, payload: object) -> None:
        if operation == "write" and not handled[0] and os.path.dirname(path) == str(store.root.claims):
            handled[0] += 1
            store.close()

    store.create("before")
    monkeypatch.setattr(files, "observer", handler)
    thread = threading.Thread(target=lambda: made.append(store.create("x").record.session_name or ""), daemon=True)
    thread.start()
    thread.join(10)
    assert (handled, made) == ([1], ["x"])


@pytest.mark.parametrize("first", ["locked", "unlocked"])
def test_a_creator_without_the_lock_and_one_with_it_never_get_ids_that_a_file_system_may_take_for_one(
    store: SessionStore, frozen: datetime, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Between the look at the file and the write of one creator comes the write of another."""
    store.create("other")
    with sessionstore.open(store.root.path) as beside:
        beside.create("other")
        mine, theirs = store._creator._reservations, beside._creator._reservations
        way = "write" if first == "locked" else "write_unlocked"
        write, ids = getattr(AppendFile, way), list[str]()

        def interleaved(self: AppendFile, *arguments: Any) -> int:
            monkeypatch.setattr(AppendFile, way, write)
            ids.append(theirs.reserve(frozen, "fLIGHT", look=False))
            return int(write(self, *arguments))

        monkeypatch.setattr(AppendFile, way, interleaved)
        ids.append(mine.reserve(frozen, "Flight", look=first == "locked"))
        ids += [each.reserve(frozen, "flight", look=False) for each in (mine, theirs)]
    assert len({names.collision_key(each) for each in ids}) == 4, ids


def test_a_torn_line_sends_creators_to_the_lock_which_mends_it(store: SessionStore, frozen: datetime) -> None:
    made = [store.create("x").session_id]
    (file,) = store.root.claims.iterdir()
    with file.open("ab") as torn:
        torn.write(b"torn")
    made += [store.create("x").session_id for _ in range(3)]
    assert len(set(made)) == 4 and file.stat().st_size % 25 == 0
