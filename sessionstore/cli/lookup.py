"""From what a user types to a session: id, name, path, stdin; a name that does not exist is explained.

Not here: the rules of ids and names (store.get).
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore.errors import AmbiguousSession, SessionNotFound, StoreNotFound

if TYPE_CHECKING:
    from sessionstore.model.row import SessionRow
    from sessionstore.session import Session
    from sessionstore.store import SessionStore


def keys_of(given: Iterable[str]) -> list[str]:
    """Return the keys of a command line, each once; ``-`` stands for the lines of stdin.

    A line is an id or a name, or a JSON object with ``session_id`` (``list --ndjson``).
    """
    found: dict[str, None] = {}
    for key in given:
        found.update(dict.fromkeys(_stdin_keys() if key == "-" else [key]))
    return list(found)


def _stdin_keys() -> list[str]:
    return [_line_key(line.strip()) for line in sys.stdin if line.strip()]


def _line_key(line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        facts = json.loads(line)
    except ValueError:
        return line
    return str(facts.get("session_id") or facts.get("session") or line)


def find_session(store: SessionStore, key: str, elsewhere: bool = False) -> Session:
    """Return the session that a key names: as ``store.get``, by the path of its folder, or in another case.

    Args:
        elsewhere: also take the path of a session folder outside the store.

    Raises: SessionNotFound, with near names and the trash; AmbiguousSession.
    """
    try:
        return store.get(key)
    except (AmbiguousSession, StoreNotFound):
        raise
    except SessionNotFound as error:
        if (session := _by_path(store, key, elsewhere)) is not None:
            return session
        rows = store.find()
        same = [row for row in rows if key.casefold() in _names(row, str.casefold)]
        if len(same) == 1:
            return store.get(same[0].session_id)
        raise SessionNotFound(f"{error}{hint(store, key, rows)}") from error


def _by_path(store: SessionStore, key: str, elsewhere: bool) -> Session | None:
    path = Path(key).expanduser()
    if not (path / "session.json").is_file():
        name = key.rstrip("/\\")
        return store.get(name) if name != key and name in store.root.session_ids() else None
    return session_at(path) if elsewhere or path.resolve().parent == store.root.path.resolve() else None


def session_at(path: Path) -> Session:
    """Return the session of a folder anywhere. Raises: SessionNotFound: it holds no session.json."""
    from sessionstore.layout import StoreRoot
    from sessionstore.session import Session

    path = path.expanduser().resolve()
    if not (path / "session.json").is_file():
        raise SessionNotFound(f"{path} is not a session folder: it has no session.json")
    return Session(StoreRoot(path.parent), path.name)


def _names(row: SessionRow, change: type[str] | object = str) -> list[str]:
    fold = change if callable(change) else str
    return [fold(name) for name in (row.session_id, row.session_name) if name]


def hint(store: SessionStore, key: str, rows: list[SessionRow]) -> str:
    """Return what a user may have meant by a key that names no session: near names, or an entry of the trash."""
    from difflib import get_close_matches

    for entry in store.trash():
        if key in (entry.session_id, entry.session_id.partition("-")[2]):
            named = f" --dir {shlex.quote(str(store.root.path))}"
            return f"; {entry.session_id} is in the trash: sessionstore restore {shlex.quote(entry.session_id)}{named}"
    folded = {name.casefold(): name for row in rows for name in _names(row)}
    near = [folded[name] for name in get_close_matches(key.casefold(), list(folded), 3, 0.6)]
    return f"; did you mean {', '.join(near)}?" if near else ""
