"""What users of the web page keep for each other: layouts of panels and views of the list, by name, in the store.

One file, ``.sessionstore/page-views.json``, changed under the lock of the store and replaced whole; it travels with the
store. Values are texts that the page understands (the address keeps the same); nothing else reads them.
Not here: what they mean (server.web), what one browser keeps for itself (server.web).
"""

from __future__ import annotations

from typing import Any

from sessionstore.disk import files
from sessionstore.errors import Corrupt, InvalidName, InvalidRecord
from sessionstore.layout import StoreRoot
from sessionstore.model import json_text

FILE = "page-views.json"
KINDS = ("layouts", "views")
MOST_NAMES = 200
MOST_CHARACTERS = 20_000
_LONGEST_NAME = 80


class PageViews:
    """Safe for threads and processes."""

    def __init__(self, root: StoreRoot) -> None:
        self._root = root
        self._path = root.private / FILE

    def read(self) -> dict[str, dict[str, str]]:
        """Return the texts by kind and name. Raises: Corrupt: the file is not what this class writes."""
        try:
            data, _ = files.read(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return {kind: {} for kind in KINDS}
        value: Any = json_text.parse(data, str(self._path))
        kept = {kind: value.get(kind, {}) for kind in KINDS} if isinstance(value, dict) else {}
        texts = [each for names in kept.values() if isinstance(names, dict) for each in names.values()]
        if len(kept) != len(KINDS) or not all(isinstance(each, dict) for each in kept.values()):
            raise Corrupt("expected an object with the objects " + " and ".join(KINDS), self._path, None, 1, 1)
        if not all(isinstance(each, str) for each in texts):
            raise Corrupt("expected texts by name", self._path, None, 1, 1)
        return kept

    def put(self, kind: str, name: str, text: str | None) -> None:
        """Keep a text under a name, durably; None takes the name out.

        Raises:
            InvalidName: no name; InvalidRecord: too many names, or too long a text.
            LockTimeout, Corrupt, StoreUnusable. Nothing was changed.
        """
        if kind not in KINDS or not name.strip() or len(name) > _LONGEST_NAME:
            raise InvalidName(f"a name has 1 to {_LONGEST_NAME} characters")
        if text is not None and len(text) > MOST_CHARACTERS:
            raise InvalidRecord(f"a layout or view has at most {MOST_CHARACTERS:,} characters")
        self._root.prepare()
        with self._root.locks.store():
            kept = self.read()
            kept[kind].pop(name, None)
            if text is not None:
                kept[kind][name] = text
            if len(kept[kind]) > MOST_NAMES:
                raise InvalidRecord(f"{MOST_NAMES} {kind} are kept; take one out first")
            files.put(self._path, json_text.layout({"format": 1, **kept}))
