"""A session's metadata, tags and data as Python mappings and sets: every change is one atomic, durable update.

Two programs that each add a key keep both: the change is applied to what is stored at that moment, under the session's
lock. Reading takes no lock and sees the file as it is now; what is returned is a copy, so that changing a nested list
changes nothing that is stored: set the key again.
Not here: which values are stored as what (model.values), the record as a whole (handle).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSet
from typing import TYPE_CHECKING, Any, TypeVar

from sessionstore.errors import InvalidRecord
from sessionstore.model import json_text, values

if TYPE_CHECKING:
    from sessionstore.session.documents import Tables
    from sessionstore.session.handle import Session

#: The table of session.json that holds ``session.data``: one document with the keys.
DATA_TABLE = "data"
Result = TypeVar("Result")
_ABSENT = object()


def _name(key: Any) -> str:
    """Return a key as it is stored: ``session.metadata[5]`` is the key "5". Raises: InvalidRecord: it has no text."""
    return key if type(key) is str else values.key_text(key, "a key")


class _Stored(MutableMapping[str, Any]):
    """A mapping whose methods each read, or change, the stored object in one step."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _now(self) -> dict[str, Any]:
        raise NotImplementedError

    def _edit(self, change: Callable[[dict[str, Any]], Result]) -> Result:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._now()!r})"

    def __eq__(self, other: object) -> bool:
        return self._now() == (other._now() if isinstance(other, _Stored) else other)

    __hash__ = None  # type: ignore[assignment]  # as of a dict

    def __getitem__(self, key: str) -> Any:
        return self._now()[_name(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __contains__(self, key: object) -> bool:
        try:
            return _name(key) in self._now()
        except InvalidRecord:
            return False

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, as it is now."""
        return self._now()

    def __setitem__(self, key: str, value: Any) -> None:
        name = _name(key)
        self._edit(lambda stored: stored.__setitem__(name, value))

    def __delitem__(self, key: str) -> None:
        name = _name(key)
        self._edit(lambda stored: stored.__delitem__(name))

    def update(self, *others: Any, **more: Any) -> None:
        """Set several keys in one step: all of them are stored, or none."""
        asked = dict(*others, **more)
        given = {_name(key): value for key, value in asked.items()}
        if len(given) < len(asked):
            raise InvalidRecord(f"two of the keys {list(asked)!r} become one text")
        if given:
            self._edit(lambda stored: stored.update(given))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a key; store the default first when there is none."""
        name = _name(key)
        return self._edit(lambda stored: stored.setdefault(name, default))

    def pop(self, key: str, default: Any = _ABSENT) -> Any:
        """Remove a key and return its value. Raises: KeyError: there is none, and no default."""
        name = _name(key)
        return self._edit(lambda stored: stored.pop(name) if default is _ABSENT else stored.pop(name, default))

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was added last and return it with its value. Raises: KeyError: there is none."""
        return self._edit(lambda stored: stored.popitem())

    def clear(self) -> None:
        """Remove all keys."""
        self._edit(lambda stored: stored.clear())

    def change(self, key: str, change: Callable[[Any], Any], default: Any = None) -> Any:
        """Replace the value of a key by what a function makes of it, in one step; return the new value.

        ``session.data.change("hits", lambda n: n + 1, 0)`` counts right for any number of processes.
        """

        name = _name(key)

        def apply(stored: dict[str, Any]) -> Any:
            stored[name] = change(stored.get(name, default))
            return stored[name]

        return self._edit(apply)


class Metadata(_Stored):
    """The metadata of a session's record; lists and filters see it (``metadata.pilot=Ada``)."""

    def _now(self) -> dict[str, Any]:
        return self._session.record.metadata

    def _edit(self, change: Callable[[dict[str, Any]], Result]) -> Result:
        result: list[Result] = []

        def apply(record: dict[str, Any]) -> None:
            result[:] = [change(record["metadata"])]

        self._session.update(apply)
        return result[0]


class Data(_Stored):
    """``session.data``: values of the program's own, in the table ``data`` of session.json; filters do not see it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._mine = threading.local()  # a batch belongs to the thread that began it

    @property
    def _batch(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = getattr(self._mine, "batch", None)
        return found

    def _now(self) -> dict[str, Any]:
        return self._batch if self._batch is not None else _document(self._session.tables())

    def _edit(self, change: Callable[[dict[str, Any]], Result]) -> Result:
        if self._batch is not None:
            return change(self._batch)
        result: list[Result] = []

        def apply(tables: Tables) -> None:
            stored = _document(tables)
            result[:] = [change(stored)]
            tables[DATA_TABLE] = {"1": json_text.plain(stored, DATA_TABLE)}

        self._session.update(edit_tables=apply)
        return result[0]

    @contextlib.contextmanager
    def batch(self) -> Iterator[dict[str, Any]]:
        """Collect the changes of a block and store them in one step at its end; an exception stores none of them.

        Only keys that the block changed are written: what other programs do to other keys meanwhile is kept.
        """
        before = json_text.plain(self._now(), DATA_TABLE)
        self._mine.batch = collected = json_text.plain(before, DATA_TABLE)
        try:
            yield collected
            after = json_text.plain(collected, DATA_TABLE)
        finally:
            self._mine.batch = None
        changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
        removed = before.keys() - after.keys()
        if changed or removed:
            self._edit(lambda stored: _apply_batch(stored, changed, removed))


def _apply_batch(stored: dict[str, Any], changed: dict[str, Any], removed: Iterable[str]) -> None:
    for key in removed:
        stored.pop(key, None)
    stored.update(changed)


def _document(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    table = tables.get(DATA_TABLE, {})
    if not table.keys() <= {"1"}:
        raise InvalidRecord(f"the table {DATA_TABLE!r} of session.json holds documents of another program")
    return dict(table.get("1", {}))


class Tags(MutableSet[str]):
    """The tags of a session, each change one atomic and durable update; they keep the order in which they came."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"Tags({self._session.record.tags!r})"

    def __contains__(self, tag: object) -> bool:
        return tag in self._session.record.tags

    def __iter__(self) -> Iterator[str]:
        return iter(self._session.record.tags)

    def __len__(self) -> int:
        return len(self._session.record.tags)

    def add(self, value: str) -> None:
        """Add a tag; one that is there already changes nothing."""
        self.update([value])

    def update(self, tags: Iterable[str]) -> None:
        """Add several tags in one step."""
        given = list(tags)
        self._edit(lambda now: now + [tag for tag in dict.fromkeys(given) if tag not in now])

    def discard(self, value: str) -> None:
        """Remove a tag; one that is not there changes nothing."""
        self._edit(lambda now: [tag for tag in now if tag != value])

    def clear(self) -> None:
        """Remove all tags."""
        self._edit(lambda now: [])

    def _edit(self, change: Callable[[list[str]], list[str]]) -> None:
        if change(self._session.record.tags) == self._session.record.tags:
            return  # looked at without the lock: a change that is not needed costs no revision

        def apply(record: dict[str, Any]) -> None:
            record["tags"] = change(record["tags"])

        self._session.update(apply)

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return set(it)  # the result of | & - is a plain set


__all__ = ["DATA_TABLE", "Data", "Metadata", "Tags"]
