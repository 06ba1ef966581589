"""The oracle: before or after, and acknowledged changes kept; then the store must simply work on.

It opens the store as the next process would, reads everything that a person can ask for, and compares it with the
states that the model allows. What it finds wrong it returns as sentences; none means that the promise was kept.
Not here: which states are allowed (operations).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import sessionstore
from sessionstore.errors import Corrupt, SessionStoreError
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.proof.operations import STREAM, TABLE, Model, World, pages_of_few_rows

#: What is asked of pages, as (filter, order).
_QUESTIONS = (("", "-created_at"), ("metadata.v>=1", "session_name"), ("status=created", "-metadata.v"))


def seen(store: SessionStore) -> tuple[World, list[str]]:
    """Return what the store holds, and everything in it that contradicts itself."""
    live: dict[str, Model] = {}
    wrong: list[str] = []
    for row in store.find():
        if row.status in ("missing", "unreadable"):
            wrong.append(f"{row.session_id} is listed as {row.status}: {row.problem}")
            continue
        session = store.get(row.session_id)
        record = session.record
        name = record.session_name or row.session_id
        if name in live:
            wrong.append(f"{name} is there twice")
        if (row.rev, row.uuid, row.decoded_metadata()) != (record.rev, record.uuid, record.metadata):
            wrong.append(f"{name}: the list shows revision {row.rev}, the file has {record.rev}")
        if row.status not in (record.status, "interrupted"):
            wrong.append(f"{name}: the list shows {row.status}, the file {record.status}")
        live[name] = _model(session)
    trash = {}
    for entry in store.trash():
        session = Session(StoreRoot(entry.folder.parent), entry.session_id)
        trash[session.record.session_name or ""] = _model(session)
    on_disk = store.root.session_ids()
    if len(on_disk) != len(live):
        wrong.append(f"{len(on_disk)} folders, {len(live)} sessions")
    return World(live, trash), wrong


def _model(session: Session) -> Model:
    record, tables = session.record, session.tables()
    rows = tuple(document["v"] for document in tables.get(TABLE, {}).values())
    lines: list[int] = []
    damaged = False
    try:
        lines += (line.data["v"] for line in session.tape(STREAM).read())
    except Corrupt:
        damaged = True
    value, buildings = record.metadata.get("v", 0), len(tables.get("scene", {}))
    return Model(value, record.status, rows, tuple(lines), buildings, damaged=damaged)


def judge(path: Path, allowed: list[World], *, power: bool, afterwards: bool = True) -> list[str]:
    """Return what is wrong with a store after a fault.

    Args:
        allowed: the states that the operation in flight may be seen in, first to last; one state when none was.
        power: whether lines above their floor may be missing; a kill may take none.
        afterwards: whether to go on working with the store, too.
    """
    try:
        with sessionstore.open(path) as store:
            found, wrong = seen(store)
            wrong += _compare(found, allowed, power)
            wrong += pages_that_differ(store)
            if afterwards and not wrong:
                wrong += _go_on(store, found)
        return wrong
    except (SessionStoreError, OSError, AssertionError, LookupError) as error:
        return [f"{type(error).__name__}: {error}"]


def pages_that_differ(store: SessionStore) -> list[str]:
    """Return what a page, a name or a count says otherwise than all rows, which are compared with their files."""
    wrong = []
    with pages_of_few_rows():
        for where, sort in _QUESTIONS:
            rows, page = store.find(where, sort), store.page(where, sort)
            if (page.rows, page.total) != (rows, len(rows)):
                shown = [(row.session_id, row.rev) for row in page.rows]
                wrong.append(f"the page {where!r} by {sort} shows {shown}, all rows {len(rows)} sessions")
        for row in store.find():
            if row.session_name and store.get(row.session_name).session_id != row.session_id:
                wrong.append(f"{row.session_name} is another session by the columns")
        if sorted(store.keys()) != sorted(row.session_id for row in store.find()):
            wrong.append("the columns know other sessions")
    return wrong


def _compare(found: World, allowed: list[World], power: bool) -> list[str]:
    first, last = allowed[0], allowed[-1]
    if not any(_shape(found) == _shape(state) for state in allowed):
        return [f"found {_shape(found)}, expected {' or '.join(str(_shape(state)) for state in allowed)}"]
    wrong = []
    for place in ("live", "trash"):
        for name, model in getattr(found, place).items():
            before = first.live.get(name) or first.trash.get(name) or Model()
            after = last.live.get(name) or last.trash.get(name) or before
            least = before.floor if power else len(before.lines)
            if model.damaged and not power:
                wrong.append(f"{name}: a line is damaged")
            if model.lines != after.lines[: len(model.lines)]:
                wrong.append(f"{name}: lines {model.lines} are no prefix of {after.lines}")
            elif len(model.lines) < least:
                wrong.append(f"{name}: {len(model.lines)} lines, {least} were acknowledged")
            elif model.status == "completed" and len(model.lines) < after.floor:
                wrong.append(f"{name}: it says completed, lines are missing")
    return wrong


def _shape(world: World) -> dict[str, Any]:
    """Return all but the lines, which are compared as prefixes."""
    return {
        place: {
            name: (model.value, model.status, model.rows, model.buildings)
            for name, model in sorted(getattr(world, place).items())
        }
        for place in ("live", "trash")
    }


def _go_on(store: SessionStore, found: World) -> list[str]:
    """Work on with the store: create, update, insert, append, delete, list; nothing may fail or disturb the rest."""
    store.create("after", metadata={"v": 0})
    expected = {"after": Model()}
    for name, model in found.live.items():
        session = store.get(name)
        session.update(metadata={"v": 77})
        session.table(TABLE).insert({"v": 77})
        writer = session.writer(STREAM, "os")
        writer.append({"v": 77})
        writer.close()
        expected[name] = replace(model, value=77, rows=(*model.rows, 77), lines=(*model.lines, 77))
    for name in list(found.live)[:1]:
        store.delete(store.get(name).session_id)
        del expected[name]
    again, wrong = seen(store)
    wrong += pages_that_differ(store)
    wrong = [f"afterwards: {each}" for each in wrong]
    for name, model in found.live.items():
        if model.damaged and name in again.live:  # a bad line stays where it is; only a bad end is cut
            expected[name] = replace(expected[name], lines=again.live[name].lines, damaged=again.live[name].damaged)
            if again.live[name].lines[: len(model.lines)] != model.lines:
                wrong.append(f"afterwards: {name} lost lines")
    if again.live != expected:
        wrong.append(f"afterwards: {again.live}, expected {expected}")
    return wrong


def sessions_by_hand(path: Path) -> Iterable[str]:
    """Yield the folders that hold a document, as a person would find them."""
    return (each.parent.name for each in path.glob(f"*/{DOCUMENT}"))


def copy_tree(source: Path, target: Path) -> Path:
    """Return a fresh copy of a store (times kept, so that the index still fits)."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target, symlinks=True))
