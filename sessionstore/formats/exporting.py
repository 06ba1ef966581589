"""One session out of the store, to a file of another program.

A file that exists is never replaced; what fails leaves no file with the name of a whole one.
Not here: what a format writes (the formats), pages and zips (cli.export).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore.errors import Conflict, InvalidQuery
from sessionstore.formats import registry
from sessionstore.formats.protocol import Options, Writable

if TYPE_CHECKING:
    from sessionstore.session import Session


def export_session(session: Session, path: Path, to: str | None = None, options: Options | None = None) -> Path:
    """Write a session to a file; ``to`` is the format, by default that of the extension. Return the path.

    Raises:
        InvalidQuery: no such format, it cannot be written, or it lacks a module. Conflict: the path exists.
        InvalidRecord: the session lacks what the format needs.
    """
    path = Path(path)
    found = registry.find(to or _by_extension(path))
    if not isinstance(found, Writable):
        raise InvalidQuery(f"the format {found.name} cannot be written, only read")
    if os.path.lexists(path) and found.extensions:
        raise Conflict(f"{path} exists already and was not changed")
    return found.write(session, path, options or {})


def extension_of(name: str) -> str:
    """Return the extension of the files of a format, or "" for folders. Raises: InvalidQuery."""
    return next(iter(registry.find(name).extensions), "")


def _by_extension(path: Path) -> str:
    writable = [each for each in registry.formats() if each.writes and each.format is not None]
    for each in writable:
        if each.format is not None and path.suffix.lower() in each.format.extensions:
            return each.name
    raise InvalidQuery(f"{path.name}: name the format, one of {', '.join(each.name for each in writable)}")
