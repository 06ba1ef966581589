"""A store as Python reads mappings: ``store["Butterfly"]``, ``in``, ``len``, iteration; and select-or-create.

Not here: making, deleting and recording sessions (store), listing with filters (catalog).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from sessionstore import late_imports
from sessionstore.errors import AmbiguousSession, SessionNotFound
from sessionstore.index import Page
from sessionstore.layout import StoreRoot
from sessionstore.model import json_text
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter
from sessionstore.session import Session
from sessionstore.store import open_runs
from sessionstore.store.catalog import Behind, Catalog
from sessionstore.store.folder_rows import MISSING_FOLDER
from sessionstore.store.foreign import Foreign
from sessionstore.store.moving import Moving
from sessionstore.store.swept import Swept


class StoreMapping(Foreign, Moving, Swept):
    """The part of :class:`~sessionstore.store.SessionStore` that works like a read-only mapping from id to session."""

    root: StoreRoot
    catalog: Catalog

    def get(self, key: str) -> Session:
        """Return a session by id, uuid, name or beginning."""
        raise NotImplementedError

    def find(self, where: Any = None, sort: str = "-created_at", limit: int | None = None) -> list[SessionRow]:
        """Return the rows that a filter fits."""
        raise NotImplementedError

    def create(self, name: str | None = None, **fields: Any) -> Session:
        """Make a session."""
        raise NotImplementedError

    def page(
        self,
        where: str | Filter | None = None,
        sort: str = "-created_at",
        limit: int = 50,
        offset: int = 0,
        verify: bool = True,
        behind: Behind | None = None,
    ) -> Page:
        """Return the rows of one page and how many sessions fit in all (``total``), at a cost that hardly grows.

        The rows that are shown are compared with their files. From 1,000 sessions on (journal engine) the others are
        not: ``compared_at`` says when they last were, :meth:`compare` does it now. See ``store.catalog.page``.

        Raises: InvalidQuery, StoreUnusable, StoreNotFound.
        """
        found = self.catalog.page(where, sort, limit, offset, verify, behind)
        return found._replace(rows=open_runs.completed(self.root, found.rows))

    def compare(self) -> float:
        """Compare every file with its row, so that pages know of all hand edits; return when it began (s since 1970).

        Raises: StoreUnusable, StoreNotFound.
        """
        began = time.time()
        if self.catalog.pages.compare_all() is None:  # a listing of all rows compares them
            self.catalog.find()
        return began

    def sql(self, query: str) -> Any:
        """Return the answer to one SELECT over all sessions as a DuckDB relation (``.df() .pl() .arrow() .show()``).

        Lines that cannot be trusted are left out; a warning counts them.

        Raises: InvalidQuery; ModuleNotFoundError: the extra is missing (``pip install 'sessionstore[analysis]'``).
        """
        import warnings

        answer = late_imports.ask()(self, query)
        if sentences := answer.left_out.sentences():
            warnings.warn("; ".join(sentences), stacklevel=2)
        return answer.relation

    def frame(
        self, where: Any = None, keys: list[str] | None = None, form: Literal["pandas", "arrow", "polars"] = "pandas"
    ) -> Any:
        """Return the sessions that a filter fits as a frame: the columns of the SQL table ``sessions``, or some.

        Raises: InvalidQuery; ModuleNotFoundError: the extra is missing (``pip install 'sessionstore[analysis]'``).
        """
        return late_imports.sessions_frame()(self.find(where), keys, form)

    def __bool__(self) -> bool:
        return True  # also when it is empty: a store is a place

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and self.get(key) is not None
        except AmbiguousSession:
            return True
        except SessionNotFound:
            return False

    def __getitem__(self, key: str) -> Session:
        return self.get(key)

    def _ipython_key_completions_(self) -> list[str]:
        rows = [row for row in self.find() if row.host is None and row.status != MISSING_FOLDER]
        return [name for row in rows for name in dict.fromkeys((row.session_name, row.session_id)) if name]

    def keys(self) -> list[str]:
        """Return the ids of all sessions of this store, newest first."""
        self.catalog.check_exists()
        if (heads := self.catalog.pages.heads()) is not None:
            return [session_id for session_id, status, *_ in reversed(heads) if status != MISSING_FOLDER]
        return [row.session_id for row in self.find() if row.host is None and row.status != MISSING_FOLDER]

    def values(self) -> Iterator[Session]:
        """Yield a handle to each session, newest first."""
        return map(self.catalog.session, self.keys())

    def items(self) -> Iterator[tuple[str, Session]]:
        """Yield the id of each session with a handle to it, newest first."""
        return ((key, self.catalog.session(key)) for key in self.keys())

    def session_for(self, params: Mapping[str, Any], name: str | None = None) -> Session:
        """Return the session with exactly these parameters (its metadata ``params``); make it when there is none.

        Processes that ask at the same time get the same session. Raises: as :meth:`create`; AmbiguousSession: several
        have them (folders were copied).
        """
        wanted = json_text.plain(params, "params")
        digest = hashlib.sha256(json_text.layout(_sorted(wanted))).hexdigest()[:32]
        self.root.prepare()
        with self.root.locks.session(f"params-{digest}"):
            found = [row for row in self.find(f'metadata.params_hash="{digest}"') if row.host is None]
            if len(found) > 1:
                raise AmbiguousSession(f"{len(found)} sessions have these parameters: {found[0].session_id} ...")
            if found:
                return self.catalog.session(found[0].session_id)
            return self.create(name, metadata={"params": wanted, "params_hash": digest})

    def _repr_html_(self) -> str:
        """Return the newest sessions as a table for notebooks."""
        import html

        shown = ("session_id", "status", "workflow_state", "duration_sim_s", "points")
        head = "".join(f"<th>{name}</th>" for name in shown)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(getattr(row, name)))}</td>" for name in shown) + "</tr>"
            for row in self.find(limit=20)
        )
        return f"<table><tr>{head}</tr>{body}</table>"


def _sorted(value: Any) -> Any:
    """Return plain data with its keys in order, so that equal parameters give equal bytes."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
