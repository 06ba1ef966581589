"""Every disk that a power cut may leave, from the operation log of the write module.

The log is played on a model of a disk that promises nothing but fsync: at each point of it, any write that was not
synced may be missing, half there, or zeros, and any change of a directory that was not synced may be missing; each
choice is one crash state. Each distinct one is laid out as real files, opened, and judged.
Stricter than ext4 and XFS: what both keep in order (renames of one directory) is dropped in any combination here.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from tests.proof import operations, oracle
from tests.proof.operations import World

ROOT = 0
#: Up to this many combinations of what may be missing all are tried; beyond, each one alone and some by chance.
EXHAUSTIVE = 64
BY_CHANCE = 12


@dataclass
class Change:
    """One change of the disk, and from which event on it is durable."""

    at: int
    kind: str  # data, cut, link, unlink, move
    node: int
    arguments: tuple[Any, ...] = ()
    durable_at: float = float("inf")


@dataclass
class Node:
    """A file (bytes) or a directory (names)."""

    data: bytearray | None = None
    names: dict[str, int] = field(default_factory=dict)
    mtime_ns: int = 0

    def copy(self) -> Node:
        return Node(None if self.data is None else bytearray(self.data), dict(self.names), self.mtime_ns)


class Disk:
    """The files of a folder as the system sees them, and the log of what changed since it was last synced whole."""

    def __init__(self, top: Path) -> None:
        self.top = str(top)
        self.nodes: list[Node] = [Node()]
        self.changes: list[Change] = []
        self.events = 0
        self._load(top, ROOT)
        self.base = [node.copy() for node in self.nodes]

    def _load(self, folder: Path, node: int) -> None:
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            number = len(self.nodes)
            self.nodes[node].names[entry.name] = number
            if entry.is_dir(follow_symlinks=False):
                self.nodes.append(Node())
                self._load(Path(entry.path), number)
            else:
                data = Path(entry.path).read_bytes()
                self.nodes.append(Node(bytearray(data), {}, entry.stat().st_mtime_ns))

    # ------------------------------------------------------------ the log

    def hear(self, operation: str, path: str, payload: bytes | str | int | None) -> None:
        """Take in one operation of the write module; what lies outside the folder is not ours."""
        if path.startswith(self.top):
            getattr(self, "_" + operation)(path, payload)
            self.events += 1

    def _find(self, path: str) -> tuple[int, str, int | None]:
        """Return the node of the parent, the name in it, and the node of the path itself."""
        node, parts = ROOT, [part for part in path[len(self.top) :].split("/") if part]
        if not parts:
            return ROOT, "", ROOT
        for part in parts[:-1]:
            node = self.nodes[node].names[part]
        return node, parts[-1], self.nodes[node].names.get(parts[-1])

    def _do(self, kind: str, node: int, *arguments: Any) -> None:
        change = Change(self.events, kind, node, arguments)
        self.changes.append(change)
        apply(self.nodes, change)

    def _new(self, path: str, node: Node) -> None:
        parent, name, found = self._find(path)
        if found is None:
            self.nodes.append(node)
            self.base.append(Node(None if node.data is None else bytearray()))
            self._do("link", parent, name, len(self.nodes) - 1)

    def _open(self, path: str, payload: Any) -> None:
        self._new(path, Node(bytearray()))

    def _mkdir(self, path: str, payload: Any) -> None:
        self._new(path, Node())

    def _write(self, path: str, data: bytes) -> None:
        node = self._node(path)
        self._do("data", node, len(self.nodes[node].data or b""), bytes(data))

    def _node(self, path: str) -> int:
        found = self._find(path)[2]
        assert found is not None, f"{path} is written, and was never made"
        return found

    def _truncate(self, path: str, size: int) -> None:
        self._do("cut", self._node(path), size)

    def _fsync(self, path: str, payload: Any) -> None:
        node = self._node(path)
        self._settle(lambda change: change.node == node and change.kind in ("data", "cut"))

    def _fsync_dir(self, path: str, payload: Any) -> None:
        node = self._node(path)
        self._settle(
            lambda change: (
                change.kind in ("link", "unlink", "move")
                and node in (change.node, change.arguments[1] if change.kind == "move" else -1)
            )
        )

    def _settle(self, fits: Any) -> None:
        for change in self.changes:
            if change.durable_at > self.events and fits(change):
                change.durable_at = self.events

    def _rename(self, source: str, target: str) -> None:
        parent, name, node = self._find(source)
        new_parent, new_name, _ = self._find(target)
        assert node is not None, f"{source} is renamed, and was never made"
        if self.nodes[node].data is not None:
            self._remember_time(node, source)
        self._do("move", parent, name, new_parent, new_name, node)

    _replace = _rename

    def _remember_time(self, node: int, path: str) -> None:
        self.nodes[node].mtime_ns = self.base[node].mtime_ns = os.stat(path).st_mtime_ns

    def _utime(self, path: str, payload: Any) -> None:
        """Nothing: the time is read at the rename."""

    def _unlink(self, path: str, payload: Any) -> None:
        parent, name, node = self._find(path)
        if node is not None:
            self._do("unlink", parent, name)

    def _rmdir(self, path: str, payload: Any) -> None:
        """Remove a tree as the system does it: one entry after the other, from below."""
        parent, name, node = self._find(path)
        if node is None:
            return
        for inner in list(self.nodes[node].names):
            self._rmdir(f"{path}/{inner}", None)
            self.events += 1
        self._do("unlink", parent, name)

    # ------------------------------------------------------------ the states

    def states(self, upto: int, rng: random.Random) -> Iterator[list[Node]]:
        """Yield each disk that a power cut just before event ``upto`` may leave."""
        done = [change for change in self.changes if change.at < upto]
        pending = [number for number, change in enumerate(done) if change.durable_at >= upto]
        for choice in _choices([_fates(done[number]) for number in pending], rng):
            fate = dict(zip(pending, choice, strict=True))
            nodes = [node.copy() for node in self.base]
            for number, change in enumerate(done):
                apply(nodes, change, fate.get(number, "kept"))
            yield nodes


def _fates(change: Change) -> tuple[str, ...]:
    return ("kept", "dropped", "torn", "zeros") if change.kind == "data" else ("kept", "dropped")


def _choices(fates: list[tuple[str, ...]], rng: random.Random) -> Iterator[tuple[str, ...]]:
    total = 1
    for each in fates:
        total *= len(each)
    if total <= EXHAUSTIVE:
        yield from itertools.product(*fates)
        return
    all_kept, all_dropped = ["kept"] * len(fates), ["dropped"] * len(fates)
    yield tuple(all_kept)
    yield tuple(all_dropped)
    for number, each in enumerate(fates):
        for fate in each[1:]:
            yield (*all_kept[:number], fate, *all_kept[number + 1 :])
        yield (*all_dropped[:number], "kept", *all_dropped[number + 1 :])
    for _ in range(BY_CHANCE):
        yield tuple(rng.choice(each) for each in fates)


def apply(nodes: list[Node], change: Change, fate: str = "kept") -> None:
    """Play one change on a disk, as far as its fate lets it."""
    if fate == "dropped":
        return
    node = nodes[change.node]
    if change.kind == "data":
        offset, data = change.arguments
        data = data[: len(data) // 2] if fate == "torn" else bytes(len(data)) if fate == "zeros" else data
        assert node.data is not None
        node.data.extend(bytes(max(0, offset - len(node.data))))  # what was dropped in between reads as zeros
        node.data[offset : offset + len(data)] = data
    elif change.kind == "cut":
        assert node.data is not None
        del node.data[change.arguments[0] :]
    elif change.kind == "link":
        node.names[change.arguments[0]] = change.arguments[1]
    elif change.kind == "unlink":
        node.names.pop(change.arguments[0], None)
    else:
        name, new_parent, new_name, moved = change.arguments
        if node.names.get(name) == moved:
            del node.names[name]
        nodes[new_parent].names[new_name] = moved


Tree = tuple[tuple[str, bytes | None, int], ...]


def tree_of(nodes: list[Node], number: int = ROOT, path: str = "") -> Tree:
    """Return what can be reached: path, bytes (None for a directory) and time."""
    found: list[tuple[str, bytes | None, int]] = []
    for name, inner in sorted(nodes[number].names.items()):
        node = nodes[inner]
        data = None if node.data is None else bytes(node.data)
        found.append((f"{path}{name}", data, node.mtime_ns))
        if data is None:
            found += tree_of(nodes, inner, f"{path}{name}/")
    return tuple(found)


def lay_out(tree: Tree, top: Path) -> None:
    """Make the files of a state."""
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    for name, data, mtime_ns in tree:
        path = top / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
            if mtime_ns:
                os.utime(path, ns=(mtime_ns, mtime_ns))


@dataclass
class Verdict:
    """How many states there were, how many differed, and what was wrong with them."""

    states: int = 0
    distinct: int = 0
    wrong: list[str] = field(default_factory=list)


def enumerate_run(names: tuple[str, ...], base: Path, scratch: Path, begin: World, limit: int = 10**9) -> Verdict:
    """Perform a sequence on a copy of a store, and judge every crash state of it.

    Args:
        limit: at most so many distinct states, spread over the whole run.
    """
    top = scratch / "disk"
    oracle.copy_tree(base, top / "store")
    disk = Disk(top)
    spans: list[tuple[int, int, list[World]]] = []
    files.observer = disk.hear
    try:
        with operations.sessionstore.open(top / "store") as store:
            for number, operation, steps in operations.possible(names, begin):
                operation.hand(store)
                first = disk.events
                operation.perform(store, number)
                spans.append((first, disk.events, steps))
    finally:
        files.observer = None
    return judge_all(disk, spans, scratch / "state", limit, random.Random("/".join(names)))


def judge_all(
    disk: Disk, spans: list[tuple[int, int, list[World]]], place: Path, limit: int, rng: random.Random
) -> Verdict:
    """Lay out and judge every distinct crash state of a run (spans: first event, end, allowed states)."""
    verdict, known = Verdict(), set()
    for first, end, steps in spans:
        for upto in range(first, end + 1):
            allowed = steps if upto < end else steps[-1:]
            for nodes in disk.states(upto, rng):
                verdict.states += 1
                tree = tree_of(nodes)
                key = hash((tree, upto == end, first))
                if key in known or len(known) >= limit:
                    continue
                known.add(key)
                lay_out(tree, place)
                wrong = oracle.judge(place / "store", allowed, power=True)
                if wrong:
                    verdict.wrong.append(f"before event {upto} of {end}: {'; '.join(wrong)}")
    verdict.distinct = len(known)
    return verdict
