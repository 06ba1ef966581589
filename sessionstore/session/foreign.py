"""A session to a file of another program, as a method of the session.

Not here: the formats (formats), pages and zips (cli.export).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from sessionstore.session.handle import Session


class Foreign:
    """What a session can be exported to."""

    def export(self, path: str | Path, to: str | None = None, options: dict[str, str] | None = None) -> Path:
        """Write the session to a file of another program and return its path; a file is never replaced.

        Args:
            to: the format, by default that of the extension (``sessionstore formats`` lists them).
            options: for the format.

        Raises: InvalidQuery, Conflict, InvalidRecord: as :func:`sessionstore.formats.exporting.export_session`.
        """
        from sessionstore.formats.exporting import export_session

        return export_session(cast("Session", self), Path(path), to, options)
