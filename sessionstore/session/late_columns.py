"""Columns at the end of a run, in a store whose setting ``columns`` is ``end``; they never cost the run its end.

Not here: making them (analysis.columns), the setting (cli.columns_cache).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sessionstore import late_imports
from sessionstore.errors import SessionStoreError

if TYPE_CHECKING:
    from sessionstore.session.handle import Session

_logger = logging.getLogger(__name__)


def make_at_end(session: Session) -> None:
    """Make the columns of a session that has ended, where the store asks for it; a failure is a warning in the log."""
    try:
        if (session.root.settings() or {}).get("columns") != "end":
            return
        late_imports.make_columns()(session)
    except (SessionStoreError, OSError, ModuleNotFoundError) as error:
        _logger.warning("%s: no columns were made: %s", session.session_id, error)
