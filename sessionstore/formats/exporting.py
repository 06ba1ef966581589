"""Sessions out of the store, to a file of another program: one each, or several in one where the format allows it.

A file that exists is never replaced; what fails leaves no file with the name of a whole one.
Not here: what a format writes (the formats), pages and zips (cli.export).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore.errors import Conflict, InvalidQuery
from sessionstore.formats import registry
from sessionstore.formats.protocol import Options, Partitioned, Together, Writable

if TYPE_CHECKING:
    from sessionstore.session import Session


def export_session(session: Session, path: str | Path, to: str | None = None, options: Options | None = None) -> Path:
    """Write a session to a file; ``to`` is the format, by default that of the extension. Return the path.

    Raises:
        InvalidQuery: no such format, it cannot be written, or it lacks a module (with the command that installs it).
        Conflict: the path exists. InvalidRecord: the session lacks what the format needs.
    """
    path = Path(path)
    return _writable(path, to).write(session, path, options or {})


def export_sessions(
    sessions: Sequence[Session], path: str | Path, to: str | None = None, options: Options | None = None
) -> Path:
    """Write several sessions to one file. Return the path.

    Raises: as :func:`export_session`; InvalidQuery also for a format that holds one session a file.
    """
    path = Path(path)
    found = _writable(path, to)
    if len(sessions) == 1:
        return found.write(sessions[0], path, options or {})
    if not isinstance(found, Together):
        able = ", ".join(each.name for each in registry.formats() if isinstance(each.format, Together))
        raise InvalidQuery(f"a file of the format {found.name} holds one session; several fit into {able}")
    if not sessions:
        raise InvalidQuery("there is no session to export")
    return found.write_together(sessions, path, options or {})


def _writable(path: Path, to: str | None) -> Writable:
    found = registry.find(to or _by_extension(path))
    if not isinstance(found, Writable):
        raise InvalidQuery(f"the format {found.name} cannot be written, only read")
    if os.path.lexists(path) and found.extensions:
        raise Conflict(f"{path} exists already and was not changed")
    return found


def export_partitions(session: Session, folder: Path, to: str) -> Iterator[Path] | None:
    """Write a session as files below a folder, and yield them; None: a file of the format holds the session.

    Raises: as :func:`export_session`.
    """
    found = registry.find(to)
    return found.write_partitions(session, folder) if isinstance(found, Partitioned) else None


def extension_of(name: str) -> str:
    """Return the extension of the files of a format, or "" for folders. Raises: InvalidQuery."""
    return next(iter(registry.find(name).extensions), "")


def _by_extension(path: Path) -> str:
    writable = [each for each in registry.formats() if each.writes and each.format is not None]
    for each in writable:
        if each.format is not None and path.suffix.lower() in each.format.extensions:
            return each.name
    raise InvalidQuery(f"{path.name}: name the format, one of {', '.join(each.name for each in writable)}")
