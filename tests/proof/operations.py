"""One list of operations, each with its model: what it does to a store, and which states it allows while it runs.

A model is what a person would say the store holds: sessions by the name they were given, each with a value, a status,
table rows and stream lines, and the same for the trash. An operation that was acknowledged left the model's next state;
one that was cut short left the state before, the state after, or one that the operation names as a step between.
Not here: how the fault is made (crash_states, syscalls, power), how a store is compared with a model (oracle).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import sessionstore
from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.disk import files
from sessionstore.index import open_index
from sessionstore.index.journal import columns
from sessionstore.session import Session, sealing, stream_lease
from sessionstore.session.stream_lease import LeasedWriter
from sessionstore.store import SessionStore
from sessionstore.store.history import History

STREAM, TABLE = "samples", "notes"


@dataclass(frozen=True)
class Model:
    """One session as it should be.

    Args:
        floor: how many of the lines must survive a power cut (all must survive a kill).
        damaged: whether a bad line follows the lines (what was not synced may come back in any state).
    """

    value: int = 0
    status: str = "created"
    rows: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()
    buildings: int = 0
    floor: int = 0
    damaged: bool = False


@dataclass(frozen=True)
class World:
    """All sessions as they should be, by name."""

    live: dict[str, Model] = field(default_factory=dict)
    trash: dict[str, Model] = field(default_factory=dict)

    def put(self, name: str, model: Model) -> World:
        """Return the world with this session live."""
        return World({**self.live, name: model}, self.trash)

    def change(self, name: str, **changes: Any) -> World:
        """Return the world with a live session changed."""
        return self.put(name, replace(self.live[name], **changes))

    def move(self, name: str, *, to_trash: bool) -> World:
        """Return the world with a session thrown away or brought back."""
        live, trash = dict(self.live), dict(self.trash)
        source, target = (live, trash) if to_trash else (trash, live)
        target[name] = source.pop(name)
        return World(live, trash)


@dataclass(frozen=True)
class Operation:
    """One thing that is done to a store.

    Args:
        perform: does it; gets the store and a number that no other step of this run has.
        steps: the states it may be seen in from its first to its last; the last is the acknowledged one. None when it
            cannot be done in this world.
        hand: what a crash or a hand did to the files before it; not a write of ours.
    """

    name: str
    perform: Callable[[SessionStore, int], object]
    steps: Callable[[World, int], list[World] | None]
    hand: Callable[[SessionStore], None] = lambda store: None


def _session(store: SessionStore, name: str) -> Session:
    return store.get(name)


def _on(name: str, **changes: Callable[[Model, int], Any]) -> Callable[[World, int], list[World] | None]:
    """Return the steps of an operation that changes one live session at once."""

    def steps(world: World, number: int) -> list[World] | None:
        if name not in world.live:
            return None
        model = world.live[name]
        return [world, world.change(name, **{key: make(model, number) for key, make in changes.items()})]

    return steps


def _append(sync: str, count: int = 1) -> Callable[[SessionStore, int], None]:
    def perform(store: SessionStore, number: int) -> None:
        writer = _session(store, "A").writer(STREAM, sync)  # type: ignore[arg-type]
        if count == 1:
            writer.append({"v": number})
        else:
            writer.extend({"v": number * 10 + each} for each in range(count))
        writer.close()

    return perform


def _appended(durable: bool, count: int = 1) -> Callable[[World, int], list[World] | None]:
    def steps(world: World, number: int) -> list[World] | None:
        if "A" not in world.live:
            return None
        model = world.live["A"]
        new = (number,) if count == 1 else tuple(number * 10 + each for each in range(count))
        lines = model.lines + new
        return [world, world.change("A", lines=lines, floor=len(lines) if durable else model.floor)]

    return steps


def _burst(store: SessionStore, number: int) -> None:
    """Append as a recorder does, which keeps the lock of its stream from one append to the next."""
    pause_s, stream_lease._BURST_S = stream_lease._BURST_S, 1e9
    try:
        writer = LeasedWriter(_session(store, "A").stream_path(STREAM), "os")
        for each in range(3):
            writer.append({"v": number * 10 + each})
        writer.close()
    finally:
        stream_lease._BURST_S = pause_s


def _seal(store: SessionStore, number: int) -> None:
    sealing.seal_stream(_session(store, "A").stream_path(STREAM))


def _unseal(store: SessionStore, number: int) -> None:
    sealing.unseal_stream(_session(store, "A").stream_path(STREAM))


def _burst_steps(world: World, number: int) -> list[World] | None:
    if "A" not in world.live:
        return None
    lines = world.live["A"].lines
    new = tuple(number * 10 + each for each in range(3))
    return [world.change("A", lines=lines + new[:count]) for count in range(4)]


def _tear(store: SessionStore) -> None:
    """Leave what a killed writer leaves: half a line."""
    for path in store.root.path.glob(f"*-A/{STREAM}.jsonl"):
        torn = b'{"n":7,"t":0.0,"v":99'
        _tell(("write", path, torn), ("fsync", path))
        with path.open("ab") as stream:
            stream.write(torn)


def _record(store: SessionStore, number: int) -> None:
    with store.record(f"run{number}", sync="full") as run:
        run.stream(STREAM).append({"v": number})


def _recorded(world: World, number: int) -> list[World]:
    name = f"run{number}"
    one = (number,)
    return [
        world,
        world.put(name, Model()),
        world.put(name, Model(status="running")),
        world.put(name, Model(status="running", lines=one)),
        world.put(name, Model(status="running", lines=one, floor=1)),
        world.put(name, Model(status="failed")),
        world.put(name, Model(status="failed", lines=one, floor=1)),
        world.put(name, Model(status="completed", lines=one, floor=1)),
    ]


def _moved(name: str, *, to_trash: bool) -> Callable[[World, int], list[World] | None]:
    def steps(world: World, number: int) -> list[World] | None:
        source, target = (world.live, world.trash) if to_trash else (world.trash, world.live)
        return [world, world.move(name, to_trash=to_trash)] if name in source and name not in target else None

    return steps


def _emptied(world: World, number: int) -> list[World] | None:
    if not world.trash:
        return None
    found, left = [world], dict(world.trash)
    for name in world.trash:
        del left[name]
        found.append(World(world.live, dict(left)))
    return found


def _edit_and_undo(store: SessionStore, number: int) -> None:
    """Change by hand, noted in the history, and take it back."""
    history = History(store)
    history.edit("A", metadata={"v": number})
    history.undo()


def _edited_and_undone(world: World, number: int) -> list[World] | None:
    return [world, world.change("A", value=number), world] if "A" in world.live else None


@contextmanager
def pages_of_few_rows() -> Iterator[None]:
    """Let pages be read from columns however few sessions there are."""
    before = columns.MIN_ROWS, columns._ROW_BYTES
    columns.MIN_ROWS = columns._ROW_BYTES = 1
    try:
        yield
    finally:
        columns.MIN_ROWS, columns._ROW_BYTES = before


def _page(store: SessionStore, number: int) -> None:
    """Ask for a page: the columns of the journal and of two fields are made."""
    with pages_of_few_rows():
        store.page("metadata.v>=0", sort="session_name", limit=5)


def _lose_columns(store: SessionStore) -> None:
    folder = store.root.private / "columns"
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        _tell(("unlink", path))
        path.unlink()


def _migrate(store: SessionStore, number: int) -> None:
    """Open an SQLite index; that of an earlier version is brought up to date."""
    with closing(open_index("sqlite:", store.root.path)) as index:
        index.find()


def _compact(store: SessionStore, number: int) -> None:
    store.find()  # an index that was lost or damaged is whole again
    store.index.compact()  # type: ignore[attr-defined]


def _lose_index(store: SessionStore) -> None:
    path = store.root.path / "index.jsonl"
    _tell(("unlink", path), ("fsync_dir", path.parent))
    path.unlink(missing_ok=True)


def _damage_index(store: SessionStore) -> None:
    path = store.root.path / "index.jsonl"
    if path.exists():
        damaged = b"#" + path.read_bytes()[1:]
        _tell(("truncate", path, 0), ("write", path, damaged), ("fsync", path))
        path.write_bytes(damaged)


def _tell(*events: tuple[Any, ...]) -> None:
    """Tell the observer what a hand does to the disk: it is the fault, not a write of ours."""
    for event in events:
        files.note(*event)


def _unchanged(world: World, number: int) -> list[World]:
    return [world]


def _both_made(world: World, number: int) -> list[World]:
    """Return the worlds within a batch of two: names come one after the other, and any of them may reach the disk."""
    one, other = (world.put(f"n{number}{each}", Model()) for each in "ab")
    return [world, one, other, one.put(f"n{number}b", Model())]


OPERATIONS = {
    each.name: each
    for each in (
        Operation(
            "create",
            lambda store, number: store.create(f"n{number}", metadata={"v": 0}),
            lambda world, number: [world, world.put(f"n{number}", Model())],
        ),
        Operation(
            "batch",
            lambda store, number: store.create_many(
                {"name": f"n{number}{each}", "metadata": {"v": 0}} for each in "ab"
            ),
            _both_made,
        ),
        Operation(
            "update",
            lambda store, number: _session(store, "A").update(lambda record: record["metadata"].update(v=number)),
            _on("A", value=lambda model, number: number),
        ),
        Operation(
            "replace",
            lambda store, number: store.replace(
                "B", {"metadata": {"v": number}}, if_rev=_session(store, "B").record.rev
            ),
            _on("B", value=lambda model, number: number),
        ),
        Operation(
            "insert",
            lambda store, number: _session(store, "A").table(TABLE).insert({"v": number}),
            _on("A", rows=lambda model, number: (*model.rows, number)),
        ),
        Operation(
            "buildings",
            lambda store, number: SessionBuildingsBox(SessionDBBox(store=store)).save_buildings(
                _session(store, "B").session_id, [{"name": f"b{each}"} for each in range(number % 3 + 1)]
            ),
            _on("B", buildings=lambda model, number: number % 3 + 1),
        ),
        Operation("append", _append("full"), _appended(durable=True)),
        Operation("append_os", _append("os"), _appended(durable=False)),
        Operation("extend", _append("full", 3), _appended(durable=True, count=3)),
        Operation("burst", _burst, _burst_steps),
        Operation("seal", _seal, _on("A", floor=lambda model, number: len(model.lines))),
        # Of a plain stream it does nothing; in a sealed one every line was durable before.
        Operation("unseal", _unseal, _on("A", floor=lambda model, number: model.floor)),
        Operation("torn_append", _append("full"), _appended(durable=True), _tear),
        Operation("record", _record, _recorded),
        Operation("delete", lambda store, number: store.delete("A"), _moved("A", to_trash=True)),
        Operation("restore", lambda store, number: store.restore(_trashed(store, "A")), _moved("A", to_trash=False)),
        Operation("empty_trash", lambda store, number: store.empty_trash(), _emptied),
        Operation("edit_undo", _edit_and_undo, _edited_and_undone),
        Operation("rebuild", lambda store, number: store.rebuild(), _unchanged),
        Operation("compact", _compact, _unchanged),
        Operation("page", _page, _unchanged, _lose_columns),
        Operation("lose_index", lambda store, number: store.find(), _unchanged, _lose_index),
        Operation("damage_index", lambda store, number: store.find(), _unchanged, _damage_index),
    )
}


#: What has a proof of its own, and stands in no sequence: by what it starts from, not by the store of all others.
BESIDE = {each.name: each for each in (Operation("migrate", _migrate, _unchanged),)}


def _trashed(store: SessionStore, name: str) -> str:
    return next(entry.session_id for entry in store.trash() if entry.session_id.endswith(f"-{name}"))


def begin(path: Path) -> World:
    """Make the store that every run starts from (two sessions with some history), and return its model."""
    with sessionstore.open(path) as store:
        for name in ("A", "B"):
            session = store.create(name, metadata={"v": 0})
            with_lines = session.writer(STREAM, "full")
            with_lines.append({"v": 1})
            with_lines.close()
            session.table(TABLE).insert({"v": 1})
        store.find()
    model = Model(rows=(1,), lines=(1,), floor=1)
    return World({"A": model, "B": model})


def world_to(world: World) -> dict[str, Any]:
    """Return a world as plain data, for another process."""
    return asdict(world)


def world_from(data: dict[str, Any]) -> World:
    """Return the world that :func:`world_to` gave."""

    def models(found: dict[str, Any]) -> dict[str, Model]:
        return {
            name: Model(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
            for name, fields in found.items()
        }

    return World(models(data["live"]), models(data["trash"]))


def may_stop_between(number: int, names: tuple[str, ...]) -> bool:
    """Whether a refused operation may leave one of its steps behind: those that are made of several."""
    return names[number - 2] in ("record", "empty_trash", "edit_undo", "batch", "burst")


def possible(names: tuple[str, ...], world: World) -> Iterator[tuple[int, Operation, list[World]]]:
    """Yield number, operation and steps of those of a sequence that can be done, each in the world before it."""
    for number, name in enumerate(names, 2):
        operation = OPERATIONS.get(name) or BESIDE[name]
        steps = operation.steps(world, number)
        if steps is not None:
            yield number, operation, steps
            world = steps[-1]
