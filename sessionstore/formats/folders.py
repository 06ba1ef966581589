"""Files and folders of other programs: which files are in one, and a hash of their content.

Links, devices and sockets are passed over: a folder from elsewhere does not name files outside of it.
Not here: what is in them (each format).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from sessionstore.formats import registry


def fingerprint_of(path: Path) -> str:
    """Return a hash of the content: of a file its bytes; of a folder its name, and name and bytes of each file."""
    if not path.is_dir():
        return _digest(path)
    lines = [path.name, *(f"{inner.relative_to(path).as_posix()}:{_digest(inner)}" for inner in plain_files(path))]
    return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _digest(path: Path) -> str:
    digest = sha256()
    for part in registry.chunks(path):
        digest.update(part)
    return digest.hexdigest()


def plain_files(folder: Path) -> Iterator[Path]:
    """Yield the plain files below a folder, sorted within each folder."""
    for place, inner, found in os.walk(folder):
        inner.sort()
        yield from (Path(place, name) for name in sorted(found) if _is_plain(Path(place, name)))


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def quick_fingerprint(folder: Path) -> str:
    """Return a hash of the names, sizes and times of the files below a folder, without reading them."""
    digest = sha256()
    for path in plain_files(folder):
        found = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}:{found.st_size}:{found.st_mtime_ns}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
