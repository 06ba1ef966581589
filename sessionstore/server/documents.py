"""The record of one session as the API shows it, with an entity tag; rendered once for each state of its files.

What is remembered is used only while inode, size and both times of the files are the same, and only when the file has
rested long enough that a change within one tick of the clock cannot hide. Runs in progress are looked at every time.
Not here: changing a record (sessions), lists (sessions).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessionstore import owner
from sessionstore.motion import MOTION_STREAM
from sessionstore.records import FINAL_STATUSES, INTERRUPTED
from sessionstore.root import DOCUMENT
from sessionstore.server.operations import Reply, encode
from sessionstore.session import Session

_RESTED_S = 0.1  # coarse clocks tick every 10 ms at most; ten times that is safe
_MOST_ENTRIES = 1000
_TAG = re.compile(r'(?:W/)?"([0-9]+)-([0-9a-f]{16})[a-z]*"')

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """The JSON of a record with what is computed at read time, and its entity tag."""

    body: bytes
    etag: str
    packed: bytes | None = None


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
        self._known: OrderedDict[str, tuple[Stamp | None, Stamp | None, Document]] = OrderedDict()
        self._mutex = threading.Lock()

    def render(self, session: Session) -> Document:
        """Return the record of a session as JSON. Raises: as ``Session.record``."""
        document_file, motion_file = session.folder / DOCUMENT, session.folder / f"{MOTION_STREAM}.jsonl"
        stamps = _stamp(document_file), _stamp(motion_file)
        with self._mutex:
            known = self._known.get(session.session_id)
        if known is not None and known[:2] == stamps:
            return known[2]
        record, status = session.read()
        described = describe(session, record.to_dict())
        flags = ("r" if described["replay_available"] else "") + ("i" if described["status"] == INTERRUPTED else "")
        reply = Reply(encode(described))
        reply.pack()
        document = Document(reply.body, f'"{record.rev}-{digest_of(status)}{flags}"', reply.packed)
        rested = time.time() - max(status.st_mtime, status.st_ctime) > _RESTED_S
        if stamps[0] == stamp_of(status) and rested and record.status in (*FINAL_STATUSES, "created"):
            self._remember(session.session_id, (*stamps, document))
        return document

    def known(self, folder: Path) -> Document | None:
        """Return what is remembered of a session when its files are unchanged: two stats, and no thread is needed."""
        entry = self._known.get(folder.name)
        if entry is None:
            return None
        unchanged = entry[:2] == (_stamp(folder / DOCUMENT), _stamp(folder / f"{MOTION_STREAM}.jsonl"))
        return entry[2] if unchanged and not folder.is_symlink() else None

    def _remember(self, session_id: str, entry: tuple[Stamp | None, Stamp | None, Document]) -> None:
        with self._mutex:
            self._known[session_id] = entry
            self._known.move_to_end(session_id)
            while len(self._known) > _MOST_ENTRIES:
                self._known.popitem(last=False)


def describe(session: Session, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with what is answered at read time: effective status, why, folder, replay_available."""
    runs = record["status"] in ("running", "paused")
    reason = owner.why_interrupted(record["owner"], session.last_beat()) if runs else None
    return {
        **record,
        "session_id": session.session_id,
        "status": INTERRUPTED if reason else record["status"],
        "problem": reason,
        "session_dir_path": str(session.folder),
        "replay_available": session.replay_available,
    }


def _stamp(path: os.PathLike[str]) -> Stamp | None:
    try:
        return stamp_of(os.stat(path, follow_symlinks=False))
    except OSError:
        return None
