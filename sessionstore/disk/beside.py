"""A new file that is written beside the one whose place it shall take, with its access rights and its mtime.

It is durable before it is returned; who asked for it gives it its name, or removes it.
Not here: a file that is replaced in one step (files.put), which steps follow (session.sealing).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.reading import TEMP_PREFIX
from sessionstore.disk.sharing import keep_access


def create_beside(path: Path, data: Iterable[bytes], like: os.stat_result, *, sync: bool = True) -> Path:
    """Write a temporary file beside a path, and return its own path.

    Args:
        like: the status of the file whose access rights and mtime it gets.

    Raises: FileNotFoundError: there is no such directory; StoreUnusable, and what ``data`` raises: no file is left.
    """
    temporary = path.with_name(f"{TEMP_PREFIX}{os.getpid():x}-{os.urandom(4).hex()}")
    try:
        files.create(temporary, data, sync=False, mode=like.st_mode & 0o666 or 0o600)
        descriptor = files.open_to_append(temporary, durable=False)
        try:
            with files.refusals(temporary):
                keep_access(descriptor, like)
                files.note("utime", temporary, like.st_mtime_ns)
                os.utime(temporary, ns=(like.st_mtime_ns, like.st_mtime_ns))
                if sync:
                    files.sync_file(descriptor, temporary)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(temporary)
        raise
    return temporary
