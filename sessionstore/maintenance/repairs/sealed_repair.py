"""Repairs of sealed streams: what an interrupted seal left, damaged members, a damaged index.

The file as it is goes to quarantine where lines are lost or two files differ. Of a stream that lost a member the rest
becomes a plain stream, in which the lost bytes are one damaged line.
Not here: finding (checks.sealed_streams), the steps of sealing (session.sealing), damaged lines (stream_repair).
"""

from __future__ import annotations

from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.errors import Conflict
from sessionstore.layout import StoreRoot
from sessionstore.session import sealing, stream_source


def end_interrupted(root: StoreRoot, sealed: Path) -> str:
    """Leave one of two forms of a stream: the plain one, which is what readers show.

    Raises: SessionGone, UnsafeFile, LockTimeout, StoreUnusable: nothing changed. OutcomeUnknown.
    """
    plain = _plain_of(sealed)
    if files.status(plain) is None or files.status(sealed) is None:
        return "there is one of them by now"
    try:
        sealing.unseal_stream(plain, root.durable)
        return "removed: the plain stream holds all of it"
    except Conflict:
        lock = AppendFile(sealed, missing=sealing.gone)
        lock.lock()
        try:
            root.quarantine(sealed, 0, files.read(sealed)[0])
            sealing.remove_sealed(plain, lock)
        finally:
            lock.unlock()
            lock.close()
        return "moved to quarantine: the plain stream, which is read, holds other lines"


def make_plain(root: StoreRoot, sealed: Path) -> str:
    """Make a plain stream of what is whole of a damaged sealed one.

    Raises: as :func:`end_interrupted`; Corrupt: it is no sealed stream.
    """
    if files.status(sealed) is None:
        return "it is plain by now"
    root.quarantine(sealed, 0, files.read(sealed)[0])
    sealing.unseal_stream(_plain_of(sealed), root.durable, salvage=True)
    return "what is whole is a plain stream; the damaged file is in quarantine"


def write_index(root: StoreRoot, sealed: Path) -> str:
    """Seal a stream again whose index is damaged; no line of it is.

    Raises: as :func:`make_plain`.
    """
    with stream_source.opened_sealed(sealed) as found:
        if found.index.found_again is None:
            return "it is whole by now"
    plain = _plain_of(sealed)
    sealing.unseal_stream(plain, root.durable)
    sealing.seal_stream(plain, root.durable)
    return "sealed again, with its index"


def _plain_of(sealed: Path) -> Path:
    return sealed.with_suffix("")
