"""Which ids were given away this minute: one byte in a small file for each, so that no two creators get the same.

The file's name is a hash of what two ids share when some file system takes them for one (case, width, normal form), its
length the last number given: choosing the next id costs the same for the first and the ten-thousandth of a name.
Claims are only a help in choosing: that a folder is new is made sure by the rename that names it.
Not here: names and ids as such (names).
"""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timedelta

from sessionstore import files, names
from sessionstore.appending import AppendFile
from sessionstore.root import StoreRoot


def claim(root: StoreRoot, created: datetime, name: str | None) -> str:
    """Return a session id that nobody else gets, its folder not there yet.

    Raises: LockTimeout, StoreUnusable.
    """
    first = names.make_id(created, name)
    key = names.collision_key(first)
    label = f"{created:%Y%m%d%H%M}-{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}"
    counter = AppendFile(root.claims / label, durable=False)
    try:
        while True:
            taken = counter.lock()
            try:
                if taken == 0:
                    _sweep(root, created)
                number = counter.write(b".", taken)
            finally:
                counter.unlock()
            session_id = names.numbered(first, number)
            if not os.path.lexists(f"{root.text}/{session_id}"):
                return session_id
    finally:
        counter.close()


def _sweep(root: StoreRoot, now: datetime) -> None:
    """Remove the claims of minutes that are over: once a minute, since looking at ten thousand costs milliseconds."""
    kept = f"{now - timedelta(minutes=1):%Y%m%d%H%M}"
    if root.claims_swept == kept:
        return
    root.claims_swept = kept
    for entry in files.entries(root.claims):
        if entry.name[:12] < kept:
            files.remove(entry.path)
