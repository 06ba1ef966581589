"""What an engine may offer further: its rows as lines, which any process can make; a rebuild then uses all cores.

Not here: what every engine does (index), who reads the folders (store.row_lines).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sessionstore.model.row import SessionRow

#: When a session was created, its id, and the line that an index holds of it.
Line = tuple[str, str, bytes]


@runtime_checkable
class Lined(Protocol):
    """What an engine may offer further: a row is one line of it, which any process can make without the others."""

    def version(self) -> object:
        """As ``SessionIndex.version``."""
        ...

    def line_of(self, row: SessionRow) -> bytes:
        """Return the line of a row."""
        ...

    def replace_lines(self, lines: list[Line], since: object) -> bool:
        """Hold exactly these rows afterwards, or what was there before.

        Args:
            since: the version before the first of the rows was read.

        Returns: whether no row was put or removed since then.

        Raises: as :meth:`SessionIndex.put`.
        """
        ...
