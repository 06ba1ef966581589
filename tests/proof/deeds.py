"""What a person or a program does to one session, for pairs of two at once, and what was acknowledged to whom.

Not here: how one is stopped while another runs (stopping), how the store is judged afterwards (interleaving).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import sessionstore
from sessionstore.errors import OutcomeUnknown
from sessionstore.layout import DOCUMENT
from sessionstore.maintenance.repairs.plan import repair
from sessionstore.session import Session, stream_lease
from sessionstore.session.stream_lease import LeasedWriter
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore

LINES = 60
STREAM = "samples"


@dataclass
class Scene:
    """One store while a pair runs: what was acknowledged, what may be there, what was seen wrong."""

    path: Path
    session_id: str
    acknowledged: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    state: str = ""

    @property
    def store(self) -> SessionStore:
        """Return a handle of its own, which waits for no lock."""
        store = sessionstore.open(self.path, sync="os")
        store.root.locks._timeout_s = 0.0
        return store

    @property
    def stream(self) -> Path:
        """The path of the stream."""
        return self.path / self.session_id / f"{STREAM}.jsonl"

    def writes(self, values: list[int], write: Callable[[], object]) -> None:
        """Write, and keep what it says."""
        try:
            write()
        except OutcomeUnknown:
            self.unknown += values
            raise
        self.acknowledged += values

    def saw(self, values: list[int], least: list[int]) -> None:
        """Judge a reading: what was acknowledged before it is there, each line once, in the order of each writer."""
        if len(set(values)) < len(values):
            self.wrong.append(f"a reader saw a line twice: {values[-6:]}")
        if (missing := set(least) - set(values)) and not _of_gone(values, self):
            self.wrong.append(f"a reader missed {len(missing)} acknowledged lines, saw {len(values)}")

    def taken(self, store: SessionStore, least: list[int]) -> None:
        """Judge a copy that was taken of the session."""
        rows = [row for row in store.find() if row.session_name == "A"]
        if len(rows) != 1:
            self.wrong.append(f"{len(rows)} copies were taken")
            return
        self.saw([line.data["v"] for line in store.get(rows[0].session_id).tape(STREAM).read()], least)
        problems = [each.code for each in store.doctor().findings if each.severity != "info"]
        if problems:
            self.wrong.append(f"the copy that was taken has {problems}")


@dataclass(frozen=True)
class Deed:
    """What a person or a program does; ``before`` prepares it while nothing else runs."""

    name: str
    run: Callable[[Scene, int, Any], object]
    before: Callable[[Scene, int], Any] = lambda scene, number: None
    moves: bool = False  # the session is elsewhere afterwards
    changes_files: bool = True


def _of_gone(values: list[int], scene: Scene) -> bool:
    """Whether a reader found nothing since the session is elsewhere by now."""
    return not values and not (scene.path / scene.session_id).exists()


def known(scene: Scene) -> list[int]:
    return [*range(LINES), *scene.acknowledged]


def _open_writer(scene: Scene, number: int) -> StreamWriter:
    writer = StreamWriter(scene.stream, "os")
    if scene.stream.parent.exists():
        scene.writes([number], lambda: writer.append({"v": number}, t_s=100.0))
    return writer


def _lease(scene: Scene, number: int) -> LeasedWriter:
    writer = LeasedWriter(scene.stream, "os")
    if scene.stream.parent.exists():
        for each in (number, number + 1):
            scene.writes([each], lambda each=each: writer.append({"v": each}, t_s=100.0))  # type: ignore[misc]
    return writer


def _append(writer: StreamWriter, scene: Scene, number: int) -> None:
    try:
        for each in (number + 5, number + 6):
            scene.writes([each], lambda each=each: writer.append({"v": each}, t_s=100.0))  # type: ignore[misc]
    finally:
        writer.close()


def _extend(scene: Scene, number: int, _: Any) -> None:
    writer, new = StreamWriter(scene.stream, "full"), [number, number + 1, number + 2]
    try:
        scene.writes(new, lambda: writer.extend([{"v": each} for each in new], t_s=101.0))
    finally:
        writer.close()


def _attempt(scene: Scene, number: int, _: Any) -> None:
    writer = StreamWriter(scene.stream, "os")
    try:
        writer.begin_attempt(20.0)
        scene.writes([number], lambda: writer.append({"v": number}, t_s=21.0))
    finally:
        writer.close()


def _read(scene: Scene, number: int, _: Any) -> None:
    least = known(scene)
    scene.saw([line.data["v"] for line in Tape(scene.stream).read()], least)


def _tail(scene: Scene, number: int, _: Any) -> None:
    least = known(scene)
    scene.saw([line.data["v"] for line in Tape(scene.stream).follow(stop=lambda: True)], least)


def _last(scene: Scene, number: int, _: Any) -> None:
    last = Tape(scene.stream).last()
    if last is None or last.n + 1 < LINES:
        scene.wrong.append(f"the last line is {last}")


def _count(scene: Scene, number: int, _: Any) -> None:
    least = len(known(scene))
    if (found := Tape(scene.stream).count()) < least:
        scene.wrong.append(f"{found} lines are counted, {least} were acknowledged")


def _in_time(scene: Scene, number: int, _: Any) -> None:
    found = [line.data["v"] for line in Tape(scene.stream).in_time(from_s=5.0, to_s=9.5)]
    if found != list(range(10, 20)):
        scene.wrong.append(f"a window of 5 to 9.5 s holds {found}")


def _columns(scene: Scene, number: int, _: Any) -> None:
    least = known(scene)
    scene.saw([int(value) for value in Tape(scene.stream).columns("v")["v"]], least)


def _tapes(scene: Scene, number: int, _: Any) -> None:
    if STREAM not in Session(scene.store.root, scene.session_id).tapes():
        scene.wrong.append("the stream is not listed")


def _pack(scene: Scene, number: int, _: Any) -> None:
    least, bundle = known(scene), scene.path.parent / f"bundle{number}.zip"
    scene.store.pack(bundle)
    taken = sessionstore.open(scene.path.parent / f"from-bundle{number}", sync="os")
    taken.merge(bundle)
    scene.taken(taken, least)


def _merge_out(scene: Scene, number: int, _: Any) -> None:
    least = known(scene)
    taken = sessionstore.open(scene.path.parent / f"other{number}", sync="os")
    report = taken.merge(scene.path)
    if any(outcome.action == "skipped" for outcome in report.outcomes):
        scene.refused.append(f"merge out: {[outcome.reason for outcome in report.outcomes]}")
        return
    scene.taken(taken, least)


def _newer_copy(scene: Scene, number: int) -> Path:
    """A copy of the store in which the session has gone on, made while nothing runs."""
    there = scene.path.parent / f"there{number}"
    shutil.copytree(scene.path, there)
    if (there / scene.session_id).exists():
        store = sessionstore.open(there, sync="os")
        session = store.get(scene.session_id)
        writer = session.writer(STREAM, "os")
        for each in (number, number + 1):
            writer.append({"v": each}, t_s=100.0)
        scene.unknown += [number, number + 1]
        writer.close()
        session.update(notes=f"later {number}")
        store.close()
    return there


def _merge_in(scene: Scene, number: int, there: Path) -> None:
    report = scene.store.merge(there)
    scene.refused += [f"merge in: {outcome.action} {outcome.reason}" for outcome in report.outcomes]
    scene.notes["merged"] = True


def _hand_edit(scene: Scene, number: int, _: Any) -> None:
    """Edit session.json as an editor does: read, write beside, rename."""
    path = scene.path / scene.session_id / DOCUMENT
    with suppress(FileNotFoundError):
        text = path.read_text().replace('"notes": ""', f'"notes": "by hand {number}"')
        beside = path.with_name("edited~")
        beside.write_text(text)
        beside.replace(path)
        scene.notes["keys"] = [key for key in scene.notes.get("keys", []) if f'"{key}"' in text]  # the hand's own doing


def _rename(scene: Scene, number: int, _: Any) -> None:
    with suppress(FileNotFoundError):
        os.rename(scene.path / scene.session_id, scene.path / f"202601010000-Renamed{number}")


def _copy(scene: Scene, number: int, _: Any) -> None:
    with suppress(FileNotFoundError, shutil.Error):
        shutil.copytree(scene.path / scene.session_id, scene.path.parent / f"copy{number}")


def _batch(scene: Scene, number: int, _: Any) -> None:
    with scene.store.batch() as batch:
        for each in range(3):
            batch.create(f"b{number}", metadata={"v": each})
    scene.notes.setdefault("made", []).extend(batch.session_ids)


def _create(scene: Scene, number: int, _: Any) -> None:
    session = scene.store.create(f"c{number}", metadata={"v": number})
    scene.notes.setdefault("made", []).append(session.session_id)


def _update(scene: Scene, number: int, _: Any) -> None:
    scene.store.get(scene.session_id).update(lambda record: record["metadata"].update({f"k{number}": number}))
    scene.notes.setdefault("keys", []).append(f"k{number}")


def _record(scene: Scene, number: int, _: Any) -> None:
    with mock.patch.object(stream_lease, "_BURST_S", 1e9), scene.store.record(f"r{number}", sync="os") as run:
        for each in range(4):
            run.stream(STREAM).append({"v": each}, t_s=float(each))
    lines = [line.data["v"] for line in scene.store.get(run.session_id).tape(STREAM).read()]
    if lines != [0, 1, 2, 3]:
        scene.wrong.append(f"a run recorded {lines}")
    scene.notes.setdefault("made", []).append(run.session_id)


def _fix(scene: Scene, number: int, _: Any) -> None:
    report = scene.store.doctor()
    for outcome in repair(report.findings, scene.path):
        scene.refused.append(f"fix: {outcome.finding.code} {outcome.what}")


def _delete_and_restore(scene: Scene, number: int, _: Any) -> None:
    store = scene.store
    store.delete(scene.session_id)
    store.restore(scene.session_id)


def _find(scene: Scene, number: int, _: Any) -> None:
    rows = scene.store.find()
    for row in rows:
        if row.status in ("unreadable",):
            scene.wrong.append(f"{row.session_id} is listed as {row.status}: {row.problem}")
    for made in scene.notes.get("made", []):
        if made not in {row.session_id for row in rows}:
            scene.wrong.append(f"{made} is not listed")


def _seal(scene: Scene, number: int, _: Any) -> None:
    scene.store.get(scene.session_id).seal()


def _unseal(scene: Scene, number: int, _: Any) -> None:
    scene.store.get(scene.session_id).unseal()


DEEDS = {
    deed.name: deed
    for deed in (
        Deed("append", lambda scene, number, _: _append(StreamWriter(scene.stream, "os"), scene, number)),
        Deed("append open", lambda scene, number, writer: _append(writer, scene, number), _open_writer),
        Deed("append leased", lambda scene, number, writer: _append(writer, scene, number), _lease),
        Deed("extend", _extend),
        Deed("attempt", _attempt),
        Deed("seal", _seal),
        Deed("unseal", _unseal),
        Deed("fix", _fix),
        Deed("delete", lambda scene, number, _: scene.store.delete(scene.session_id), moves=True),
        Deed("restore", lambda scene, number, _: scene.store.restore(scene.session_id), moves=True),
        Deed("delete and restore", _delete_and_restore, moves=True),
        Deed("rename", _rename, moves=True),
        Deed("copy", _copy),
        Deed("merge in", _merge_in, _newer_copy),
        Deed("merge out", _merge_out),
        Deed("pack", _pack),
        Deed("read", _read),
        Deed("tail", _tail),
        Deed("last", _last),
        Deed("count", _count),
        Deed("in time", _in_time),
        Deed("columns", _columns),
        Deed("tapes", _tapes),
        Deed("batch", _batch),
        Deed("create", _create),
        Deed("update", _update),
        Deed("record", _record),
        Deed("hand edit", _hand_edit),
        Deed("compact", lambda scene, number, _: scene.store.index.compact()),  # type: ignore[attr-defined]
        Deed("rebuild", lambda scene, number, _: scene.store.rebuild()),
        Deed("find", _find),
    )
}
