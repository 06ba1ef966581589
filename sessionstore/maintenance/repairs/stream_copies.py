"""Where copies of a stream are, without being named: beside it, in quarantine, in the trash, in other sessions, in git.

Nothing is written, and a copy that cannot be read is passed over. The lines of a copy are believed by their checksums
alone (old_lines). Not here: copies at a place that a person names (exchange.stream_copies).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.layout import StoreRoot
from sessionstore.maintenance.repairs import quarantine
from sessionstore.maintenance.repairs.old_lines import StreamCopy
from sessionstore.model import foreign_names
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import origin
from sessionstore.session import Session, stream_source
from sessionstore.store import SessionStore, trash

_COMMITS = 50
_GIT_TIMEOUT_S = 30.0
#: git reads what is there: it takes no lock, asks for no password, fetches nothing.
_GIT_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}


def copies_here(store: SessionStore, session: Session, name: str) -> Iterator[StreamCopy]:
    """Yield the copies of the stream file ``name`` of a session, the nearest first."""
    root = store.root
    yield from _beside(session, name)
    for piece in quarantine.pieces(root):
        if piece.source == f"{session.session_id}{os.sep}{name}":
            yield StreamCopy("quarantine", lambda path=piece.path: _read(path))  # type: ignore[misc]
    identity = identity_of(session)
    for entry in trash.entries(root):
        yield from _of_session(Session(StoreRoot(entry.folder.parent), entry.session_id), name, identity, "trash")
    for other in _related_sessions(store, session) if identity else ():
        yield from _of_session(other, name, identity, f"session {other.session_id}")
    yield from _of_git(session.folder, name)


def _related_sessions(store: SessionStore, session: Session) -> Iterator[Session]:
    """Yield the sessions of this host that may be copies: of one uuid or origin, or made at the same instant."""
    record = session.record
    known = {*identities(record), session.session_id, record.created_at}
    for row in store.find():
        related = known & {row.uuid, row.merged_from, row.created_at}
        if related and row.host is None and row.session_id != session.session_id:
            yield store.catalog.session(row.session_id)


def identity_of(session: Session) -> frozenset[str]:
    """Return the uuids of a session and of the sessions that it is a copy of; nothing when its record is broken."""
    try:
        return identities(session.record)
    except SessionStoreError:
        return frozenset()


def identities(record: SessionRecord) -> frozenset[str]:
    """Return the uuids by which copies of one session know each other."""
    copied = record.provenance.get("copied_from")
    of_copy = copied.get("uuid") if isinstance(copied, dict) else None
    known = (record.uuid, origin(record.merged_from or {})[1], of_copy)
    return frozenset(uuid for uuid in known if isinstance(uuid, str) and uuid)


def _beside(session: Session, name: str) -> Iterator[StreamCopy]:
    """Yield conflict copies of sync programs, and backups of editors (name~, name.bak, name.orig, #name#)."""
    for entry in files.entries(session.folder):
        conflict = foreign_names.conflict_of(entry.name)
        is_backup = foreign_names.is_foreign(entry.name) and name in entry.name
        if entry.is_file(follow_symlinks=False) and ((conflict is not None and conflict[0] == name) or is_backup):
            yield StreamCopy(entry.name, lambda path=entry.path: _read(path))  # type: ignore[misc]


def _of_session(other: Session, name: str, identity: frozenset[str], label: str) -> Iterator[StreamCopy]:
    path = other.folder / name
    if identity & identity_of(other) and stream_source.status(path) is not None:
        yield StreamCopy(label, lambda: _read_stream(path), same_session=True)


def _read_stream(path: Path) -> bytes:
    """Return the bytes of a stream, plain or sealed; nothing where it cannot be read."""
    try:
        with stream_source.opened(path) as source:
            return source.bytes_at(stream_source.size(path), 0)
    except (SessionStoreError, OSError):
        return b""


def _read(path: Path | str) -> bytes:
    try:
        return files.read(path)[0]
    except (SessionStoreError, OSError):
        return b""


# ---------------------------------------------------------------- git


def _of_git(folder: Path, name: str) -> Iterator[StreamCopy]:
    """Yield the stream as it is staged, and as it was in the newest commits."""
    git = shutil.which("git")
    if git is None or not any(os.path.lexists(each / ".git") for each in (folder, *folder.parents)):
        return
    yield StreamCopy("git (staged)", lambda: _git(git, folder, "cat-file", "blob", f":./{name}"))
    commits = _git(git, folder, "rev-list", f"--max-count={_COMMITS}", "HEAD", "--", name)
    for commit in commits.decode("ascii", "replace").split():
        yield StreamCopy(
            f"git {commit[:10]}",
            lambda commit=commit: _git(git, folder, "cat-file", "blob", f"{commit}:./{name}"),  # type: ignore[misc]
        )


def _git(git: str, folder: Path, *arguments: str) -> bytes:
    """Return what git prints; nothing when it refuses."""
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *arguments],
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT_S,
            env={**os.environ, **_GIT_ENVIRONMENT},
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout
