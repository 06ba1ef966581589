"""The record of one session as the API shows it, with an entity tag; rendered once for each state of its files.

What is remembered is used only while inode, size and both times of the files are the same, and only when the file has
rested long enough that a change within one tick of the clock cannot hide. Runs in progress are looked at every time.
Not here: changing a record (server.routes.sessions), lists (server.routes.sessions).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sessionstore.layout import DOCUMENT
from sessionstore.model import liveness
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import INTERRUPTED
from sessionstore.playback.observed import observed
from sessionstore.server.http.reply import Reply, encode
from sessionstore.session import Session
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.sealed_form import SUFFIX

_RESTED_S = 0.1  # coarse clocks tick every 10 ms at most; ten times that is safe
_MOST_ENTRIES = 1000
_TAG = re.compile(r'(?:W/)?"([0-9]+)-([0-9a-f]{16})[a-z]*(?:-gzip)?"')

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    """A rendered record, and the state of the files that it was made of."""

    folder: str
    files: tuple[str, str]
    stamps: tuple[Stamp | None, Stamp | None]
    reply: Reply

    def holds(self) -> bool:
        """Whether the files are the same still."""
        return self.stamps == (_stamp(self.files[0]), _stamp(self.files[1]))


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what changes when a file does."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def digest_of(status: os.stat_result) -> str:
    """Return the part of an entity tag that stands for one state of session.json."""
    return hashlib.blake2b(repr(stamp_of(status)).encode(), digest_size=8).hexdigest()


def parse_etag(text: str) -> tuple[int, str] | None:
    """Return revision and digest of an entity tag that this module made, or None."""
    found = _TAG.fullmatch(text.strip())
    return (int(found[1]), found[2]) if found else None


class DocumentCache:
    """Renders records; safe for threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._shown: OrderedDict[str, tuple[int, set[str]]] = OrderedDict()
        self._mutex = threading.Lock()

    def render(self, session: Session, read: tuple[SessionRecord, os.stat_result] | None = None) -> Reply:
        """Return the record of a session as JSON, with its entity tag. Raises: as ``Session.record``.

        Args:
            read: the record and the status of its file, when they are at hand.
        """
        folder = session.folder_text
        files = f"{folder}/{DOCUMENT}", f"{folder}/{MOTION_STREAM}.jsonl"
        stamps = _stamp(files[0]), _stamp(files[1])
        with self._mutex:
            known = self._known.get(session.session_id)
        if known is not None and known.files == files and known.stamps == stamps:
            return known.reply
        record, status = session.read() if read is None else read
        self._note_shown(session.session_id, record.rev, digest_of(status))
        described = describe(session, record.to_dict())
        flags = ("r" if described["replay_available"] else "") + ("i" if described["status"] == INTERRUPTED else "")
        reply = Reply(encode(described), etag=f'"{record.rev}-{digest_of(status)}{flags}"')
        reply.pack()
        rested = time.time() - max(status.st_mtime, status.st_ctime) > _RESTED_S
        if stamps[0] == stamp_of(status) and rested and record.status in (*FINAL_STATUSES, "created"):
            self._remember(session.session_id, _Known(folder, files, stamps, reply))
        return reply

    def known(self, session_id: str) -> Reply | None:
        """Return what is remembered of a session when its files are unchanged: three stats, and no thread is needed."""
        known = self._known.get(session_id)
        if known is None or not known.holds():
            return None
        return None if os.path.islink(known.folder) else known.reply

    def _note_shown(self, session_id: str, rev: int, digest: str) -> None:
        with self._mutex:
            known_rev, digests = self._shown.get(session_id, (rev, set()))
            self._shown[session_id] = (rev, {*(digests if known_rev == rev else ()), digest})
            self._shown.move_to_end(session_id)
            while len(self._shown) > _MOST_ENTRIES:
                self._shown.popitem(last=False)

    def only_state_of(self, session_id: str, rev: int, status: os.stat_result) -> bool:
        """Whether this is the only state of session.json that revision ``rev`` was shown with.

        A hand edit leaves the revision as it is: the same number then stands for two contents, and a client that
        names only the number may mean either. The answer False is given once; the client reads again.
        """
        with self._mutex:
            known_rev, digests = self._shown.get(session_id, (rev, set()))
            if known_rev != rev or not digests or digests == {digest_of(status)}:
                return True
            del self._shown[session_id]
            return False

    def _remember(self, session_id: str, entry: _Known) -> None:
        with self._mutex:
            self._known[session_id] = entry
            self._known.move_to_end(session_id)
            while len(self._known) > _MOST_ENTRIES:
                self._known.popitem(last=False)


def describe(session: Session, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with what is answered at read time: effective status, why, folder, replay_available."""
    runs = record["status"] in ("running", "paused")
    reason = liveness.why_interrupted(record["owner"], session.last_beat()) if runs else None
    return {
        **record,
        **observed(session, record),
        "session_id": session.session_id,
        "status": INTERRUPTED if reason else record["status"],
        "problem": reason,
        "session_dir_path": session.folder_text,
        "replay_available": session.replay_available,
    }


def _stamp(path: str) -> Stamp | None:
    try:
        return stamp_of(os.lstat(path))
    except FileNotFoundError:
        return None if path.endswith(DOCUMENT) else _stamp_of_sealed(path)
    except OSError:
        return None


def _stamp_of_sealed(path: str) -> Stamp | None:
    try:
        return stamp_of(os.lstat(path + SUFFIX))
    except OSError:
        return None
