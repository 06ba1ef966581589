"""The ids reserved in this minute, one line each in a small file, so that two creators never get the same id.

The file is named by the minute, a line is a hash of what two ids share when some file system takes them for one (case,
width, normal form), and the next number of a name is how often its line stands there. A creator reads on from where it
stopped: choosing costs the same for the first and the ten-thousandth id, and makes no file.
On a local file system a line is appended without a lock: the kernel puts appends one behind the other, and the number
is how often the line stands before the end of one's own. An unusual case (a torn or edited file, a number that was
typed as a name and is taken, a name that turned out to be taken) goes under the lock of the file.
A reservation only chooses a number, and some numbers stay unused; the exclusive rename of the new folder decides.
Not here: the form of names and ids (model.names).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections import Counter
from datetime import datetime, timedelta

from sessionstore.disk import files, filesystem
from sessionstore.disk.append_file import AppendFile, renewed_after_fork
from sessionstore.errors import SessionGone, StoreUnusable
from sessionstore.layout import StoreRoot
from sessionstore.model import names

_DIGEST_BYTES = 12
_LINE_BYTES = 2 * _DIGEST_BYTES + 1
_NUMBERED = re.compile(r"(.+)-([2-9]|[1-9][0-9]+)")


class IdReservations:
    """The id reservations of one store; safe for threads and processes."""

    def __init__(self, root: StoreRoot) -> None:
        self._root = root
        self._minute = ""
        self._file = AppendFile(root.claims, durable=False)
        self._counts: Counter[bytes] = Counter()
        self._read_to = (0, 0)  # which file of this minute (it may be deleted by hand), and up to which byte
        self._unlocked = False  # whether lines may be appended without the lock
        self._mutex = threading.RLock()  # a signal handler may close the store during a reservation
        self._reserving = False
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Replace locks and counts that another thread of the parent may have held, and close the parent's file: open,
        it would stay locked after the parent was killed.
        """
        self._file.close()
        self._mutex, self._reserving, self._read_to = threading.RLock(), False, (0, 0)

    def reserve(self, created: datetime, name: str | None, look: bool = True) -> str:
        """Reserve and return a session id.

        Args:
            look: whether its folder must not exist yet; else the rename finds out, and another one is asked for.

        Raises: LockTimeout, StoreUnusable.
        """
        minute = names.minute_of(created)
        first = names.id_of(minute, name)
        while True:
            with self._mutex:
                self._reserving = True
                try:
                    self._go_to(minute, created)
                    number = None if look else self._next_unlocked(first)
                    if number is None:
                        number = self._next(first)
                finally:
                    self._reserving = False
            session_id = names.numbered(first, number)
            if not look or not os.path.lexists(f"{self._root.text}/{session_id}"):
                return session_id

    def close(self) -> None:
        """Close the file; the next reservation opens it again."""
        with self._mutex:  # a reservation of another thread would go on with a descriptor that another file has by then
            if not self._reserving:  # by this very thread, interrupted by a signal
                self._file.close()

    def _go_to(self, minute: str, now: datetime) -> None:
        if minute != self._minute:
            self._file.close()
            self._file = AppendFile(self._root.claims / minute, durable=False)
            self._minute, self._read_to = minute, (0, 0)
            self._sweep(f"{now - timedelta(minutes=1):%Y%m%d%H%M}")
            self._unlocked = os.name != "nt" and filesystem.is_local(self._root.claims)

    def _next_unlocked(self, first: str) -> int | None:
        """Append a line and return its number; None: the case is unusual, and the line stays unused."""
        if not self._unlocked:
            return None
        line = _line_of(first)
        try:
            end = self._file.write_unlocked(line)
        except (SessionGone, StoreUnusable):  # the folder was removed by hand, or the disk is full: as the lock says
            return None
        if end % _LINE_BYTES:  # behind a torn line
            return None
        self._read_on(end - _LINE_BYTES)
        number = self._counts[line] = self._counts[line] + 1
        self._read_to = (self._file.opened, end)
        return number if number == self._free(first, number) else None

    def _next(self, first: str) -> int:
        line, size = _line_of(first), self._lock()
        try:
            while True:
                self._read_on(size)
                number = self._free(first, self._counts[line] + 1)
                torn = -size % _LINE_BYTES  # an edited file or a full disk: an incomplete line reserves nothing
                end = self._file.write(b"\n" * torn + line * (number - self._counts[line]), size)
                size = self._file.end() if self._unlocked else end
                if size == end:
                    break  # else another creator has appended in between: the lines are read, and count as taken
        finally:
            self._file.unlock()
        self._counts[line] = number
        self._read_to = (self._file.opened, end)
        return number

    def _free(self, first: str, number: int) -> int:
        """Return the next number of a name; one whose id was typed as a name (``scan-2``) is passed over."""
        if number == 1 and (typed := _NUMBERED.fullmatch(first)) and self._counts[_line_of(typed[1])] >= int(typed[2]):
            number = 2
        while number > 1 and self._counts[_line_of(names.numbered(first, number))]:
            number += 1
        return number

    def _lock(self) -> int:
        try:
            return self._file.lock()
        except SessionGone:  # only this folder was removed, by hand
            files.make_dirs(self._root.claims)
            return self._file.lock()

    def _read_on(self, size: int) -> None:
        """Count the lines that others added; a replaced file is counted anew."""
        opened, begin = self._read_to
        if opened != self._file.opened or size < begin:
            self._counts.clear()
            begin = 0
        whole = size - size % _LINE_BYTES
        if begin < whole:
            with files.refusals(self._file.path):
                os.lseek(self._file.descriptor, begin, os.SEEK_SET)  # pread is not there on Windows
                data = os.read(self._file.descriptor, whole - begin)
            self._counts.update(data[at : at + _LINE_BYTES] for at in range(0, len(data), _LINE_BYTES))
        self._read_to = (self._file.opened, whole)  # also when writing fails: what is counted must not count twice

    def _sweep(self, kept: str) -> None:
        """Remove the files of earlier minutes; leftovers are harmless (made by hand, or open on Windows)."""
        with contextlib.suppress(StoreUnusable):
            for entry in files.entries(self._root.claims):
                if entry.name[:12] < kept:
                    with contextlib.suppress(StoreUnusable):
                        files.remove(entry.path)


def _line_of(session_id: str) -> bytes:
    digest = hashlib.blake2b(names.collision_key(session_id).encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return b"%s\n" % digest.encode()
