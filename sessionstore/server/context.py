"""What all routes share: the store, its boxes, the live feeds, the simulations and the settings.

Everything comes in through the constructor, so that a test has a server of its own.
Not here: what the routes do with it (server.routes.sessions, server.routes.replays, simulation ...).
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread

from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.errors import SessionNotFound
from sessionstore.model import names
from sessionstore.server.flights.simulations import Simulations
from sessionstore.server.live.comparing import Comparing
from sessionstore.server.live.feeds import Feeds
from sessionstore.server.live.overviews import Summaries
from sessionstore.server.live.record_cache import DocumentCache
from sessionstore.server.live.record_values import RecordValues
from sessionstore.server.live.store_changes import Changes
from sessionstore.session import Session
from sessionstore.store import SessionStore

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5007


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is reached and by whom.

    Args:
        token: what callers must show; None only on a loopback address.
        hosts: further Host values that are answered (``name`` for any port, or ``name:port``).
        origins: pages of other origins that may call (``https://name:port``).
        index: the URL that the store was opened with, for the simulations' own processes.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    index: str | None = None


@dataclass(slots=True)
class Context:
    """The parts of one server."""

    store: SessionStore
    settings: Settings = field(default_factory=Settings)
    started_at: float = field(default_factory=time.time)
    verified_at: float = float("-inf")
    database: SessionDBBox = field(init=False)
    creator: SessionCreatorBox = field(init=False)
    buildings: SessionBuildingsBox = field(init=False)
    feeds: Feeds = field(init=False)
    documents: DocumentCache = field(init=False)
    changes: Changes = field(init=False)
    simulations: Simulations = field(init=False)
    comparing: Comparing = field(init=False)
    values: RecordValues = field(init=False)
    summaries: Summaries = field(default_factory=Summaries)

    def __post_init__(self) -> None:
        self.store.root.must_exist = False  # the page of a new store is empty, and its first run makes the folder
        self.database = SessionDBBox(store=self.store)
        self.creator = SessionCreatorBox(self.database)
        self.buildings = SessionBuildingsBox(self.database)
        self.feeds = Feeds(self.store)
        self.documents = DocumentCache()
        self.comparing = Comparing(self.store)
        self.changes = Changes(self.store, self.hidden, self._list_is_shown)
        self.values = RecordValues(self.store)
        self.simulations = Simulations(self.store, self.buildings, self.settings.index)

    async def close(self) -> None:
        """End what runs: the simulations, stored, and the live replies, so that the sockets close."""
        await anyio.to_thread.run_sync(self.simulations.close)
        self.changes.close()
        self.comparing.close()
        self.summaries.close()
        await self.feeds.close()

    def _list_is_shown(self) -> None:
        """Go on comparing files in the background, where all of them are not compared by each look."""
        if self.comparing.was_wanted:
            self.comparing.wanted()

    @property
    def hidden(self) -> tuple[str, ...]:
        """Paths that no error may show."""
        return (str(self.store.root.path), str(Path(self.store.root.path).resolve()))

    def find(self, key: str) -> Session:
        """Return the session with this id, uuid, name or unique beginning; ``latest`` is the newest.

        Raises: SessionNotFound, AmbiguousSession.
        """
        if not names.is_session_folder_name(key):
            raise SessionNotFound(f"no session can be called {key!r}")
        session = self.store.get(key)
        self._contained(session)
        return session

    def exact(self, session_id: str) -> Session:
        """Return the session with exactly this id: what changes or deletes must not guess.

        Raises: SessionNotFound.
        """
        session = self.find(session_id)
        if session_id != session.session_id and session_id != session.record.uuid:
            raise SessionNotFound(f"no session has the id {session_id!r}; the nearest is {session.session_id}")
        return session

    def _contained(self, session: Session) -> None:
        """Refuse a folder that is a link: it could lead anywhere."""
        if not stat.S_ISDIR(os.lstat(session.folder_text).st_mode):
            raise SessionNotFound(f"{session.session_id} is not a folder")
