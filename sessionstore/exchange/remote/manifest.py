"""The manifest of a remote store: rows, sizes and checksums of its sessions, so that a listing needs few requests.

It stands beside the sessions in ``.sessionstore/manifest`` as compressed pieces. Each writer adds pieces of its own,
with names that are its alone, so that two writers at once lose nothing without any conditional write. A writer that
finds many pieces writes one that replaces them, and then removes them; a reader that meets the removal starts again.
Of two entries for one session the higher revision counts, then the larger one: streams only grow.
Not here: sending sessions (remote.push), a store without a manifest (remote.store).
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from sessionstore.errors import Corrupt, RemoteUnavailable
from sessionstore.exchange.remote.places import FsspecPlace, Place
from sessionstore.layout import PRIVATE
from sessionstore.model.instants import new_uuid
from sessionstore.model.row import SessionRow

FOLDER = f"{PRIVATE}/manifest"
SUFFIX, ROWS_SUFFIX = ".json.gz", ".rows.gz"
FORMAT = 1
#: A listing takes one request for the names and one a piece.
MAX_PIECES = 4
_READ_TRIES = 5
Result = TypeVar("Result")


class Entry(msgspec.Struct, gc=False):
    """One session: its row, the size and SHA-256 of each file, and its lineage."""

    row: SessionRow
    files: dict[str, tuple[int, str]]
    lineage: list[str] = []


class Piece(msgspec.Struct):
    """One piece: the names of the pieces that it replaces, and entries by folder."""

    format: int
    entries: dict[str, Entry]
    replaces: list[str] = []


class Listed(msgspec.Struct, gc=False):
    """What a listing needs of one session: its row, and the bytes of its files."""

    row: SessionRow
    bytes: int


class _Rows(msgspec.Struct):
    """The rows of a piece; it stands beside the piece, an eighth of its size, and may be missing."""

    format: int
    entries: dict[str, Listed]


AnyPiece = TypeVar("AnyPiece", Piece, _Rows)
_encoder, _decoder, _row_decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Piece), msgspec.json.Decoder(_Rows)


def read(place: Place) -> tuple[dict[str, Entry], list[str]] | None:
    """Return the entries by folder and the names of the pieces; None for a store without a manifest.

    Raises: Corrupt; RemoteUnavailable.
    """
    return _patiently(place, lambda names: (joined(_piece(place, name) for name in _pieces(names)), _pieces(names)))


def read_rows(place: Place) -> dict[str, SessionRow] | None:
    """Return the rows by folder; None for a store without a manifest. Raises: Corrupt; RemoteUnavailable."""
    found = _patiently(place, lambda names: _newest(_listed(place, name, names) for name in _pieces(names)))
    return None if found is None else {folder: each.row for folder, each in found.items()}


def _patiently(place: Place, read_all: Callable[[set[str]], Result]) -> Result | None:
    """Return what can be read of the files of a manifest; another writer may replace them meanwhile."""
    for _ in range(_READ_TRIES):
        names = set(place.files(FOLDER))
        if not _pieces(names):
            return None
        try:
            return read_all(names)
        except FileNotFoundError:  # another writer replaced a piece: its entries stand in a new one
            continue
    raise RemoteUnavailable(f"{place.label}: the manifest changes again and again; try again")


def _pieces(names: set[str]) -> list[str]:
    return sorted(name for name in names if name.endswith(SUFFIX))


def _rows_name(name: str) -> str:
    return name.removesuffix(SUFFIX) + ROWS_SUFFIX


def _piece(place: Place, name: str) -> Piece:
    return _decoded(place, name, _decoder)


def _listed(place: Place, name: str, names: set[str]) -> dict[str, Listed]:
    """Return the rows of a piece, out of the file beside it where there is one."""
    if (rows := _rows_name(name)) in names:
        return _decoded(place, rows, _row_decoder).entries
    return listed(_piece(place, name).entries)


def listed(entries: Mapping[str, Entry]) -> dict[str, Listed]:
    """Return what a listing needs of entries."""
    return {folder: Listed(each.row, _bytes(each)) for folder, each in entries.items()}


def _decoded(place: Place, name: str, decoder: msgspec.json.Decoder[AnyPiece]) -> AnyPiece:
    data = place.read(f"{FOLDER}/{name}")
    try:
        found = decoder.decode(gzip.decompress(data))
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise Corrupt(f"the manifest cannot be read: {error}", f"{place.label}/{FOLDER}/{name}") from None
    if found.format > FORMAT:
        raise Corrupt(f"manifest format {found.format}, this version reads {FORMAT}", f"{place.label}/{FOLDER}/{name}")
    return found


def _newest(pieces: Iterable[dict[str, Listed]]) -> dict[str, Listed]:
    found: dict[str, Listed] = {}
    for piece in pieces:
        if not found:
            found = piece
            continue
        for folder, each in piece.items():
            known = found.get(folder)
            if known is None or (each.row.rev, each.bytes) >= (known.row.rev, known.bytes):
                found[folder] = each
    return found


def joined(pieces: Iterable[Piece]) -> dict[str, Entry]:
    """Return the entries of all pieces, of each session the newest."""
    found: dict[str, Entry] = {}
    for piece in pieces:
        for folder, entry in piece.entries.items():
            known = found.get(folder)
            if known is None or _progress(entry) >= _progress(known):
                found[folder] = entry
    return found


def _progress(entry: Entry) -> tuple[int, int]:
    return entry.row.rev, _bytes(entry)


def _bytes(entry: Entry) -> int:
    return sum(size for size, _ in entry.files.values())


def add(place: FsspecPlace, entries: dict[str, Entry]) -> None:
    """Add entries as a piece of this writer, and join the pieces when there are many.

    Raises: RemoteUnavailable, RemoteRefused: what was there before still counts.
    """
    if entries:
        _write(place, entries, [])
    found = read(place)
    if found is not None and len(found[1]) >= MAX_PIECES:
        together, names = found
        _write(place, together, names)
        for name in names:
            place.remove(f"{FOLDER}/{name}")
            place.remove(f"{FOLDER}/{_rows_name(name)}")


def _write(place: FsspecPlace, entries: dict[str, Entry], replaces: list[str]) -> None:
    name = f"{int(time.time() * 1000):013x}-{new_uuid()}{SUFFIX}"
    place.put(f"{FOLDER}/{_rows_name(name)}", packed(rows_of(entries)))  # first: a piece without it is read whole
    place.put(f"{FOLDER}/{name}", packed(Piece(FORMAT, entries, replaces)))


def packed(piece: msgspec.Struct) -> bytes:
    """Return the bytes of a file of a manifest."""
    return gzip.compress(_encoder.encode(piece), 6, mtime=0)


def rows_of(entries: Mapping[str, Entry]) -> msgspec.Struct:
    """Return the rows that stand beside a piece of these entries."""
    return _Rows(FORMAT, listed(entries))


def portable(row: SessionRow, **changes: Any) -> SessionRow:
    """Return a row without what holds for one machine only."""
    return msgspec.structs.replace(row, host=None, store=None, copies=(), **changes)
