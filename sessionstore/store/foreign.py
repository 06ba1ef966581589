"""Files of other programs into a store, and sessions out of it, as methods of the store.

Not here: formats and reports (formats).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore import late_imports

if TYPE_CHECKING:
    from sessionstore.late_imports import ImportReport
    from sessionstore.session import Session


class Foreign:
    """What a store can import, and several sessions in one file."""

    def import_file(
        self,
        path: str | Path,
        as_format: str | None = None,
        *,
        name: str | None = None,
        dry_run: bool = False,
        columns: str | None = None,
        options: dict[str, str] | None = None,
    ) -> ImportReport:
        """Import a file or folder of another program as a session; the same content is imported once.

        Args:
            as_format: by default what the content shows.
            name: of the session, by default that in the file or of the file.
            dry_run: read everything, write nothing.
            columns: of a table, such as ``x=px,y=py``.
            options: further options of the format.

        Returns: a report with the messages in and records out of each topic; ``state`` says what became of it.

        Raises: InvalidRecord: no such file or no known format. InvalidQuery: no such format, or it lacks a module.
        """
        given: dict[str, Any] = {**(options or {}), **({"map": columns} if columns else {})}
        return late_imports.import_path()(self, Path(path), as_format, given, name, dry_run)

    def export(self, sessions: Iterable[Session], path: str | Path, to: str | None = None, **options: str) -> Path:
        """Write several sessions to one file of another program and return its path (one: ``session.export``).

        Args:
            sessions: such as ``map(store.get, store.keys())``.
            to: the format, by default that of the extension: those that hold several are geojson, gpx, kml and czml.

        Raises:
            InvalidQuery: no such format, it lacks a module, or it holds one session a file. Conflict: the path exists.
            InvalidRecord: a session lacks what the format needs.
        """
        return late_imports.export_sessions()(list(sessions), path, to, options)
