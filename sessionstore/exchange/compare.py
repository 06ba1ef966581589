"""How two copies of one session stand to each other: same, ahead, behind or diverged; proved by their content.

The record decides by its lineage. Streams only grow, so a stream that is a prefix of the other's, in whole lines, is
behind. Artifacts follow the record; where the records are the same, more artifacts are ahead, and other bytes under one
name are a divergence. What cannot be proved is diverged.
Not here: the digests of a record (model.lineage), what is done with the answer (exchange.merge).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from sessionstore.exchange.trees import Tree, read_whole
from sessionstore.layout import DOCUMENT
from sessionstore.model import lineage
from sessionstore.model.lineage import Relation
from sessionstore.model.record import SessionRecord
from sessionstore.model.records import read_record
from sessionstore.session.documents import Tables, tables_of

STREAM_SUFFIX = ".jsonl"


@dataclass(slots=True)
class Copy:
    """One copy of a session: its files, its record and its tables."""

    tree: Tree
    record: SessionRecord
    tables: Tables
    data: bytes

    @property
    def chain(self) -> list[str]:
        """The lineage of the record, and the digest of its present content."""
        return [*self.record.lineage, lineage.digest(self.tables)]

    @property
    def root_uuid(self) -> str:
        """The uuid under which copies of this session are compared: that of the session it was merged from."""
        origin = self.record.merged_from or {}
        return str(origin.get("uuid") or self.record.uuid)


@dataclass(slots=True)
class Comparison:
    """How our copy stands to theirs, and why."""

    relation: Relation
    reasons: list[str] = field(default_factory=list)


def read_copy(tree: Tree) -> Copy:
    """Return a copy with its record. Raises: Corrupt, NewerFormat, StoreUnusable."""
    data = read_whole(tree, DOCUMENT)
    path = f"{tree.name}/{DOCUMENT}"
    tables = tables_of(data, path)
    return Copy(tree, read_record(tables, data, path, tree.name), tables, data)


def compare(ours: Copy, theirs: Copy) -> Comparison:
    """Return how our copy stands to theirs: ``behind`` means that theirs has what ours has, and more.

    Raises: StoreUnusable: a file could not be read.
    """
    record = lineage.relation(ours.chain, theirs.chain)
    votes: list[tuple[Relation, str]] = [(record, f"the record is {record}")]
    for name in sorted(_streams(ours.tree) | _streams(theirs.tree)):
        relation = compare_stream(ours.tree, theirs.tree, name)
        votes.append((relation, f"{name} is {relation}"))
    if record == "same":
        votes += _artifacts(ours.tree, theirs.tree)
    directions = {relation for relation, _ in votes} - {"same"}
    reasons = [reason for relation, reason in votes if relation != "same"]
    if not directions:
        return Comparison("same")
    if len(directions) > 1:
        return Comparison("diverged", reasons)
    return Comparison(directions.pop(), reasons)


def _is_stream(name: str) -> bool:
    return name.endswith(STREAM_SUFFIX) and "/" not in name


def _streams(tree: Tree) -> set[str]:
    return {name for name in tree.sizes if _is_stream(name)}


def compare_stream(ours: Tree, theirs: Tree, name: str) -> Relation:
    """Return how our stream stands to theirs; one that was not begun is empty."""
    size, other = ours.sizes.get(name, 0), theirs.sizes.get(name, 0)
    common = min(size, other)
    if common and not _equal(ours.chunks(name, 0, common), theirs.chunks(name, 0, common)):
        return "diverged"
    if size == other:
        return "same"
    if common and not _ends_a_line(ours if size < other else theirs, name, common):
        return "diverged"
    return "behind" if size < other else "ahead"


def _ends_a_line(tree: Tree, name: str, size: int) -> bool:
    return b"".join(tree.chunks(name, size - 1, size)) == b"\n"


def _artifacts(ours: Tree, theirs: Tree) -> Iterator[tuple[Relation, str]]:
    """Yield how other files stand to each other, where the records are the same."""
    left, right = _others(ours), _others(theirs)
    for name in sorted(left | right):
        if name not in right:
            yield "ahead", f"{name} is only here"
        elif name not in left:
            yield "behind", f"{name} is only there"
        elif not same_file(ours, theirs, name):
            yield "diverged", f"{name} differs"


def _others(tree: Tree) -> set[str]:
    return set(tree.sizes) - _streams(tree) - {DOCUMENT}


def same_file(ours: Tree, theirs: Tree, name: str) -> bool:
    """Whether both trees hold the same bytes under a name."""
    if ours.sizes[name] != theirs.sizes[name]:
        return False
    return _equal(ours.chunks(name, 0, ours.sizes[name]), theirs.chunks(name, 0, theirs.sizes[name]))


def _equal(left: Iterable[bytes], right: Iterable[bytes]) -> bool:
    return _hashed(left) == _hashed(right)


def _hashed(chunks: Iterable[bytes]) -> bytes:
    found = blake2b(digest_size=32)
    for chunk in chunks:
        found.update(chunk)
    return found.digest()


def free_uuid(copy: Copy, taken: Container[str]) -> str:
    """Return the uuid of a copy where others are taken: its own, else that of a branch."""
    if copy.record.uuid not in taken:
        return copy.record.uuid
    number = 0
    while (found := _branch_uuid(copy, number)) in taken:  # a branch that went on under the uuid of this content
        number += 1
    return found


def _branch_uuid(copy: Copy, number: int) -> str:
    """Return the uuid of a diverged copy: the same for the same content, in the time order of the original."""
    again = f" {number}" if number else ""
    seed = blake2b(f"{copy.root_uuid} {copy.record.uuid} {copy.chain[-1]}{again}".encode(), digest_size=10)
    for name in sorted(_streams(copy.tree)):
        seed.update(_hashed(copy.tree.chunks(name, 0, copy.tree.sizes[name])))
    digits = copy.root_uuid.replace("-", "")[:12] + seed.hexdigest()
    value = int(digits, 16) & ~(0xF << 76) | (7 << 76)
    value = value & ~(0b11 << 62) | (0b10 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def may_be_behind(older: Copy, other: Copy) -> bool:
    """Whether :func:`compare` could find that the other holds all of this copy; records and sizes alone say no."""
    if lineage.relation(older.chain, other.chain) not in ("same", "behind"):
        return False
    return all(size <= other.tree.sizes.get(name, 0) for name, size in older.tree.sizes.items() if _is_stream(name))


def merged_document(copy: Copy, uuid: str, origin: dict[str, Any]) -> Tables:
    """Return the tables of a copy with a uuid and a note of its origin."""
    (key, document), *_ = copy.tables["session"].items()
    return {**copy.tables, "session": {key: {**document, "merged_from": origin or None, "uuid": uuid}}}
