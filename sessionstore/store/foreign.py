"""Files of other programs into a store, as a method of the store.

Not here: formats and reports (formats).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore import late_imports

if TYPE_CHECKING:
    from sessionstore.late_imports import ImportReport


class Foreign:
    """What a store can import."""

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
