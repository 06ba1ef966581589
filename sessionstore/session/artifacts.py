"""``session.artifacts``: files of a session by name, in its folder ``artifacts``, listed in the record with SHA-256.

A file is put whole or not at all: readers see the old one or the new one. It is written in parts, so its size does not
matter. The file comes before its entry in the record; removing goes the other way. Names are portable: what would be
another file, or none, on macOS or Windows is refused with a name that is not.
Not here: serving them (server.routes.artifacts), checking them (maintenance).
"""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from sessionstore.disk import files
from sessionstore.errors import Conflict, InvalidRecord, SessionGone
from sessionstore.model import names

if TYPE_CHECKING:
    from sessionstore.session.handle import Session

FOLDER = "artifacts"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file: its name, size in bytes, SHA-256 (hexadecimal), media type and place."""

    name: str
    size: int
    sha256: str | None
    media_type: str
    path: Path


class Artifacts(Mapping[str, Artifact]):
    """The artifacts that the record of a session lists; a mapping from name to :class:`Artifact`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder = session.folder / FOLDER

    def __repr__(self) -> str:
        return f"Artifacts({sorted(self)})"

    def __iter__(self) -> Iterator[str]:
        return (each["name"] for each in self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __getitem__(self, name: str) -> Artifact:
        for entry in self._entries():
            if entry["name"] == name:
                return self._artifact(entry)
        raise KeyError(name)

    def list(self) -> Sequence[Artifact]:
        """Return the artifacts in the order in which they were put."""
        return [self._artifact(entry) for entry in self._entries()]

    def open(self, name: str) -> BinaryIO:
        """Open the bytes of an artifact for reading. Raises: KeyError, UnsafeFile, StoreUnusable."""
        return self._opened(name)

    def _opened(self, name: str) -> BinaryIO:
        try:
            return os.fdopen(files.open_to_read(self[name].path), "rb")
        except FileNotFoundError as error:
            raise KeyError(name) from error

    def read(self, name: str) -> bytes:
        """Return the bytes of an artifact. Raises: as :meth:`open`."""
        with self._opened(name) as stream:
            return stream.read()

    def put(self, name: str, source: Any) -> Artifact:
        """Store a file under a name, in place of an earlier one; it is durable when this returns.

        Args:
            name: a plain file name such as ``plot.png``.
            source: a path, bytes, text (as UTF-8), an open binary file, a matplotlib figure (in the format that the
                name ends with), a plotly figure (``.html`` or ``.json``), or a numpy array (``.npy``).

        Raises:
            InvalidName, InvalidRecord, Conflict (the name differs from another one in case only), SessionGone,
            StoreUnusable: the earlier file is still there. OutcomeUnknown.
        """
        names.check_file_name(name)
        self._check_taken(name)
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for part in _parts(name, source):
                digest.update(part)
                size += len(part)
                yield part

        if not files.is_folder(self._session.folder):
            raise SessionGone(f"there is no folder {self._session.folder}")
        files.make_dirs(self._folder)
        files.put(self._folder / name, counted())
        entry = {"name": name, "bytes": size, "sha256": digest.hexdigest(), "media_type": _media_type(name)}
        self._enter(name, entry)
        return self._artifact(entry)

    def put_file(self, source: Any, name: str | None = None) -> Artifact:
        """Store a file under its own name or another one; here a text is a path, as in MLflow. Raises: as :meth:`put`.

        What is not a path (bytes, a figure ...) needs a name.
        """
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        if name is None and path is None:
            raise InvalidRecord(f"an artifact that is not a file needs a name: {type(source).__name__}")
        return self.put(name or path.name, source if path is None else path)  # type: ignore[union-attr]

    def delete(self, name: str) -> None:
        """Remove an artifact: its entry, then its file. Raises: KeyError; as ``Session.update``."""
        if name not in self:
            raise KeyError(name)
        self._enter(name, None)
        files.remove(self._folder / name)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __setitem__(self, name: str, source: Any) -> None:
        self.put(name, source)

    def _entries(self) -> Sequence[dict[str, Any]]:
        return [each for each in self._session.record.artifacts if isinstance(each.get("name"), str)]

    def _artifact(self, entry: dict[str, Any]) -> Artifact:
        name, size = entry["name"], entry.get("bytes", entry.get("size", 0))
        return Artifact(name, size, entry.get("sha256"), _media_type(name), self._folder / name)

    def _check_taken(self, name: str) -> None:
        key = names.collision_key(name)
        for other in self:
            if other != name and names.collision_key(other) == key:
                raise Conflict(f"{name!r} and the artifact {other!r} are one file on macOS and Windows")

    def _enter(self, name: str, entry: dict[str, Any] | None) -> None:
        def change(record: dict[str, Any]) -> None:
            others = [each for each in record["artifacts"] if each.get("name") != name]
            record["artifacts"] = others if entry is None else [*others, entry]

        self._session.update(change)


def _media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _parts(name: str, source: Any) -> Iterator[bytes]:
    """Yield the bytes of what was given. Raises: InvalidRecord, StoreUnusable."""
    if isinstance(source, str):
        source = source.encode()
    if isinstance(source, bytes | bytearray | memoryview):
        yield bytes(source)
    elif isinstance(source, os.PathLike):
        try:
            with open(source, "rb") as stream:
                yield from _read(stream)
        except OSError as error:
            raise InvalidRecord(f"the artifact {name!r} cannot be read from {os.fspath(source)}: {error}") from error
    elif hasattr(source, "read"):
        yield from _read(source)
    else:
        yield _rendered(name, source)


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    while part := stream.read(_CHUNK):
        if not isinstance(part, bytes):
            raise InvalidRecord("an artifact is read from a file that is open in binary mode")
        yield part


def _rendered(name: str, source: Any) -> bytes:
    """Return the bytes of a figure or an array. Raises: InvalidRecord: it is neither."""
    ending = name.rpartition(".")[2].lower()
    if hasattr(source, "savefig"):
        target = io.BytesIO()
        source.savefig(target, format=ending if "." in name else "png")
        return target.getvalue()
    if hasattr(source, "to_plotly_json"):
        if ending not in ("html", "json"):
            raise InvalidRecord(f"a plotly figure is stored as .html or .json, not as {name!r}")
        return str(source.to_html() if ending == "html" else source.to_json()).encode()
    if hasattr(source, "__array_interface__") or hasattr(source, "__array__"):
        import numpy

        target = io.BytesIO()
        numpy.save(target, numpy.asarray(source), allow_pickle=False)
        return target.getvalue()
    raise InvalidRecord(f"an artifact is a path, bytes, text, an open file, a figure or an array, not {source!r:.80}")
