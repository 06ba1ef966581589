"""The columns of one journal: found beside the store, made when they are missing, damaged or stale, and the rows of it.

    .sessionstore/columns/<journal>-heads.columns            one row a session (index.journal.heads)
    .sessionstore/columns/<journal>-<field>.columns          a field that was filtered or sorted by
    .sessionstore/columns/<journal>-words.columns            what a search for a word looks into

They are derived: a fault in them costs one reading of the journal. Where they cannot be written
(a read-only disk, another user's store) they are made in memory.
Not here: questions and answers (index.journal.pages).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from sessionstore.disk import files, filesystem
from sessionstore.errors import NotApplied, OutcomeUnknown
from sessionstore.index.journal import column_file, field_column, heads, text_column
from sessionstore.index.journal.behind import Behind
from sessionstore.index.journal.block import NOT_WHOLE, decode_rows, intern_rows
from sessionstore.index.journal.column_file import ColumnFile, Damaged, read_at
from sessionstore.index.journal.field_column import FieldColumn, Unsortable
from sessionstore.index.journal.heads import Heads
from sessionstore.index.journal.raw_tables import is_whole
from sessionstore.index.journal.text_column import TextColumn
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow
from sessionstore.query import MISSING
from sessionstore.query import Path as FieldPath

#: Below this many rows all of them are read and compared: that takes a few milliseconds.
MIN_ROWS = 1000
_ROW_BYTES = 400  # a row has more
#: At most this many bytes behind the columns (8 ms), or a fiftieth of the journal; with more they are made anew.
_BYTES_BEHIND = 2 << 20
_SHARE_BEHIND = 50
_SHARE_BEHIND_OPEN = 8  # of a process that has read them before
_MOST_FIELDS = 32
_RUN_BYTES = 1 << 20
_SUFFIX = ".columns"


class Columns:
    """The heads of a journal, the lines behind them, and columns of fields; of one state of the journal's file."""

    def __init__(self, path: Path, folder: Path, found: Heads, descriptor: int) -> None:
        self._descriptor = -1  # until the journal is known to be open
        self.heads, self.folder, self.path = found, folder, path
        self.behind = Behind(path, found, descriptor)
        with files.refusals(path):
            self._descriptor = os.dup(descriptor)
        self._fields: dict[FieldPath, FieldColumn | None] = {}
        self._words: TextColumn | None = None
        self._numbers: dict[int, int | None] = {}  # of the lines behind
        self._positions: dict[int, tuple[str, int]] = {}
        self._active: list[tuple[int, SessionRow]] | None = None

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def is_worth_using(self, opened: bool) -> bool:
        """Whether few bytes stand behind the columns; more of them where they have been read already."""
        share = _SHARE_BEHIND_OPEN if opened else _SHARE_BEHIND
        return self.behind.bytes_behind <= max(_BYTES_BEHIND, self.heads.end // share)

    def row(self, number: int) -> SessionRow:
        """Return a row, from its line. Raises: Damaged."""
        begin, length = self.heads.place(number)
        raw = read_at(self._descriptor, begin, length)
        try:
            (row,) = decode_rows(raw)
        except NOT_WHOLE as error:
            raise Damaged(f"no line of the journal: {error}") from error
        if not is_whole(raw[:-1]) or (row.size, row.mtime_ns) != self.heads.stamp(number):
            raise Damaged("a line of the journal is not what its columns say")
        intern_rows((row,))
        return row

    def active(self) -> list[tuple[int, SessionRow]]:
        """Return the rows that name an owner, with their numbers. Raises: Damaged."""
        if self._active is None:
            self._active = [(number, self.row(number)) for number in self.heads.active()]
        return self._active

    def numbers_of(self, doc_ids: Iterable[int]) -> dict[int, int | None]:
        """Return the row that each number of a line has here, or None. Raises: Damaged."""
        known, look = self._numbers, self.heads.number_of
        for doc_id in doc_ids:
            if doc_id not in known:
                known[doc_id] = look(doc_id)
        return {doc_id: known[doc_id] for doc_id in doc_ids}

    def position_of(self, doc_id: int, row: SessionRow) -> int:
        """Return before which row of the columns a later row stands. Raises: Damaged."""
        known = self._positions.get(doc_id)
        if known is not None and known[0] == row.created_at:
            return known[1]
        number = self._numbers.get(doc_id)
        if number is None or self.heads.created(number) != row.created_at:
            number = self.heads.position_of(row.created_at, row.session_id)
        self._positions[doc_id] = row.created_at, number
        return number

    # ------------------------------------------------------------ fields

    def field(self, path: FieldPath) -> FieldColumn | None:
        """Return the column of a field or metadata key, made now if need be; None: it has none. Raises: Damaged."""
        if path not in self._fields:
            self._fields[path] = self._opened(path) or self._made(path)
        return self._fields[path]

    def _opened(self, path: FieldPath) -> FieldColumn | None:
        with contextlib.suppress(Damaged):
            found = FieldColumn(ColumnFile.opened(self._file_of(path)), self.heads.count)
            if (found.base, found.path) == (self.heads.base, path):
                return found
        return None

    def make(self, paths: Iterable[FieldPath]) -> None:
        """Make the columns of some fields that are not there, with one reading of the journal. Raises: Damaged."""
        lacking = [path for path in dict.fromkeys(paths) if path not in self._fields]
        for path in lacking:
            if (found := self._opened(path)) is not None:
                self._fields[path] = found
        decoders: dict[FieldPath, Callable[[bytes], list[Any]]] = {}
        for path in lacking:
            if path not in self._fields:
                try:
                    decoders[path] = _lines_with(path)
                except Unsortable:
                    self._fields[path] = None
        if not decoders:
            return
        with gc_paused():
            values = self._of_lines(lambda data: list(zip(*[each(data) for each in decoders.values()], strict=True)))
            for number, path in enumerate(decoders):
                self._fields[path] = self._built(path, [value[number] for value in values])

    def _made(self, path: FieldPath) -> FieldColumn | None:
        with gc_paused(), contextlib.suppress(Unsortable):
            return self._built(path, self._of_lines(_lines_with(path)))
        return None

    def _built(self, path: FieldPath, values: list[Any]) -> FieldColumn | None:
        try:
            meta, sections = field_column.build(self.heads.base, path, values)
        except (Unsortable, OverflowError):
            return None
        self._write(self._file_of(path), meta, sections)
        return FieldColumn(ColumnFile.made(meta, sections), self.heads.count)

    def computed(self, path: FieldPath, values: Callable[[], list[Any]]) -> FieldColumn | None:
        """Return a column of values that rows do not hold, made now if need be; None: it has none. Raises: Damaged.

        Args:
            path: a name that no field has.
            values: gives them, one a row.
        """
        if path not in self._fields:
            self._fields[path] = self._opened(path) or self._built(path, values())
        return self._fields[path]

    def words(self) -> TextColumn:
        """Return what a search for a word looks into, made now if need be. Raises: Damaged."""
        if self._words is None:
            self._words = self._opened_words() or self._made_words()
        return self._words

    def _opened_words(self) -> TextColumn | None:
        with contextlib.suppress(Damaged):
            found = TextColumn(ColumnFile.opened(self._words_file), self.heads.count)
            if found.base == self.heads.base:
                return found
        return None

    def _made_words(self) -> TextColumn:
        with gc_paused():
            texts = self._of_lines(text_column.words_of)
            meta, sections = text_column.build(self.heads.base, texts)
        self._write(self._words_file, meta, sections)
        return TextColumn(ColumnFile.made(meta, sections), self.heads.count)

    def _write(self, path: Path, meta: dict[str, Any], sections: dict[str, bytes]) -> None:
        if may_write(self.folder):
            # It is made again by the next process; on a disk that cannot be written there is not even the folder.
            with contextlib.suppress(NotApplied, OutcomeUnknown, FileNotFoundError):
                column_file.write(path, meta, sections)
                _drop_oldest(self.folder, prefix_of(self.path))

    @property
    def _words_file(self) -> Path:
        return self.folder / f"{prefix_of(self.path)}{text_column.KIND}{_SUFFIX}"

    def _file_of(self, path: FieldPath) -> Path:
        return self.folder / f"{prefix_of(self.path)}{_digest('.'.join(path))}{_SUFFIX}"

    def _of_lines(self, decode: Callable[[bytes], list[Any]]) -> list[Any]:
        """Return what a function gives for the line of each row. Raises: Damaged, and as the function."""
        at, long = self.heads.numbers("at", "Q"), self.heads.numbers("long", "I")
        rows = sorted(range(self.heads.count), key=at.__getitem__)
        values: list[Any] = [None] * len(rows)
        begin = 0
        while begin < len(rows):
            end = begin + 1
            first = at[rows[begin]]
            stop = first + long[rows[begin]]
            while end < len(rows) and at[rows[end]] == stop and stop - first < _RUN_BYTES:
                stop += long[rows[end]]
                end += 1
            data = read_at(self._descriptor, first, stop - first)
            some = decode(data)
            if len(some) != end - begin or not all(map(is_whole, data.splitlines())):
                raise Damaged("lines of the journal are not what its columns say")
            for row, value in zip(rows[begin:end], some, strict=True):
                values[row] = value
            begin = end
        return values


def open_columns(path: Path, folder: Path, anew: bool = False) -> Columns | None:
    """Return the columns of a journal; None when it has few rows.

    Args:
        anew: those on disk are damaged.

    Raises: Damaged: the journal is, or has no place in columns; FileNotFoundError, StoreUnusable, UnsafeFile.
    """
    with files.opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size < MIN_ROWS * _ROW_BYTES:
            return None
        with contextlib.suppress(Damaged):
            if anew:
                raise Damaged("they were found to be")
            found = Heads(ColumnFile.opened(heads_file(path, folder)))
            allowed = max(_BYTES_BEHIND, found.end // _SHARE_BEHIND)
            if found.is_of(descriptor) and size - found.end <= allowed:
                return Columns(path, folder, found, descriptor)
        meta, sections = heads.build(descriptor, size)
        if meta["count"] < MIN_ROWS:
            return None
        if may_write(folder):
            with contextlib.suppress(NotApplied, OutcomeUnknown):  # they are made again by the next process
                _write_heads(path, folder, meta, sections)
        return Columns(path, folder, Heads(ColumnFile.made(meta, sections)), descriptor)


def _write_heads(path: Path, folder: Path, meta: dict[str, Any], sections: dict[str, bytes]) -> None:
    files.make_dir(folder, exist_ok=True)
    for entry in files.entries(folder):  # of other heads
        if entry.name.startswith(prefix_of(path)):
            files.remove(entry.path)
    column_file.write(heads_file(path, folder), meta, sections)


def heads_file(path: Path, folder: Path) -> Path:
    """Return where the heads of a journal are kept."""
    return folder / f"{prefix_of(path)}heads{_SUFFIX}"


def prefix_of(path: Path) -> str:
    """Return how the names of a journal's columns begin."""
    return f"{_digest(str(path))}-"


def may_write(folder: Path) -> bool:
    """Whether the store is there and our own: made by root, its owner could not replace them."""
    if not filesystem.is_ours(folder.parent):
        return False
    try:
        filesystem.refuse_unsafe(folder)
    except NotApplied:
        return False
    return True


def _drop_oldest(folder: Path, prefix: str) -> None:
    """Keep the number of fields bounded."""
    others = f"{prefix}heads{_SUFFIX}", f"{prefix}{text_column.KIND}{_SUFFIX}"
    found = [entry for entry in files.entries(folder) if entry.name.startswith(prefix) and entry.name not in others]
    if len(found) > _MOST_FIELDS:
        found.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
        for entry in islice(found, len(found) - _MOST_FIELDS):
            files.remove(entry.path)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _lines_with(path: FieldPath) -> Any:
    """Return a function that gives the value of one field from each line of some bytes."""
    name = "raw_metadata" if path[0] == "metadata" else path[0]
    (known,) = (each for each in msgspec.structs.fields(SessionRow) if each.name == name)
    kind: Any = Any
    default: Any = UNSET if len(path) > 1 or known.required else known.default
    if default is msgspec.NODEFAULT:  # a list or an object
        default = known.default_factory()
    try:
        for depth, key in enumerate(reversed(path)):
            given = default if depth == len(path) - 1 else UNSET
            kind = msgspec.defstruct("Only", [("value", kind, given)], rename={"value": key}, gc=False)
    except ValueError as error:  # msgspec refuses a key with quotes or control characters
        raise Unsortable from error
    line = msgspec.defstruct("Line", [("doc", kind)], gc=False)
    narrow: Any = msgspec.json.Decoder(line).decode_lines

    def decode(data: bytes) -> list[Any]:
        try:
            return [_inner(entry.doc, len(path)) for entry in narrow(data)]
        except msgspec.ValidationError:  # a value on the path is not an object
            return [row.get(path) for row in decode_rows(data)]
        except NOT_WHOLE as error:
            raise Damaged(str(error)) from error

    return decode


def _inner(found: Any, depth: int) -> Any:
    for _ in range(depth):
        if found is UNSET:
            return MISSING
        found = found.value
    return MISSING if found is UNSET else found
