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
from collections.abc import Iterable
from typing import Any

import msgspec

from sessionstore.errors import Corrupt, RemoteUnavailable
from sessionstore.exchange.remote.places import FsspecPlace, Place
from sessionstore.layout import PRIVATE
from sessionstore.model.instants import new_uuid
from sessionstore.model.row import SessionRow

FOLDER = f"{PRIVATE}/manifest"
SUFFIX = ".json.gz"
FORMAT = 1
#: A listing takes one request for the names and one a piece.
MAX_PIECES = 4
_READ_TRIES = 5


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


_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Piece)


def read(place: Place) -> tuple[dict[str, Entry], list[str]] | None:
    """Return the entries by folder and the names of the pieces; None for a store without a manifest.

    Raises: Corrupt; RemoteUnavailable.
    """
    for _ in range(_READ_TRIES):
        names = sorted(name for name in place.files(FOLDER) if name.endswith(SUFFIX))
        if not names:
            return None
        try:
            return joined([_piece(place, name) for name in names]), names
        except FileNotFoundError:  # another writer replaced a piece: its entries stand in a new one
            continue
    raise RemoteUnavailable(f"{place.label}: the manifest changes again and again; try again")


def _piece(place: Place, name: str) -> Piece:
    data = place.read(f"{FOLDER}/{name}")
    try:
        found = _decoder.decode(gzip.decompress(data))
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise Corrupt(f"the manifest cannot be read: {error}", f"{place.label}/{FOLDER}/{name}") from None
    if found.format > FORMAT:
        raise Corrupt(f"manifest format {found.format}, this version reads {FORMAT}", f"{place.label}/{FOLDER}/{name}")
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
    return entry.row.rev, sum(size for size, _ in entry.files.values())


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


def _write(place: FsspecPlace, entries: dict[str, Entry], replaces: list[str]) -> None:
    name = f"{int(time.time() * 1000):013x}-{new_uuid()}{SUFFIX}"
    data = gzip.compress(_encoder.encode(Piece(FORMAT, entries, replaces)), 6, mtime=0)
    place.put(f"{FOLDER}/{name}", data)


def portable(row: SessionRow, **changes: Any) -> SessionRow:
    """Return a row without what holds for one machine only."""
    return msgspec.structs.replace(row, host=None, store=None, copies=(), **changes)
