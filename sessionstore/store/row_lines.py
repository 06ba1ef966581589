"""The lines that an index holds of all sessions, read from their folders, by several processes where that pays.

A folder is read and its line made without knowledge of any other, so a part of the folders is given to forked children,
whose lines come back through pipes; what a child did not send is read here. A child reads, writes to its pipe alone,
and ends with its parent: when the pipe has no reader any more. Only a process of one thread is forked.
Not here: what a folder says (store.folder_rows), the lines (index), putting them into the index (store.catalog).
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from sessionstore.index.lined import Line
from sessionstore.model.row import SessionRow
from sessionstore.store.folder_rows import FolderRows

#: From this many sessions on another process saves more than it costs (some milliseconds, more in a large program).
WORTH_SHARING = 4000
_MOST_PROCESSES = 4
_AT_ONCE = 500  # sessions; their lines fit a pipe of this size
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # fcntl.F_SETPIPE_SZ, Linux
_END = (0).to_bytes(8, "little")

LineOf = Callable[[SessionRow], bytes]


def read_lines(folders: FolderRows, names: Sequence[str], line_of: LineOf) -> list[Line]:
    """Return the line of each session among the folders, in no order. Raises: as ``FolderRows.read``."""
    count = _processes(len(names))
    parts = [names[number::count] for number in range(count)]
    found: list[Line] = []
    others: list[_Other] = []
    try:
        for part in parts[1:]:
            others.append(_Other(folders, part, line_of, others))
        for lines in _in_pieces(folders, parts[0], line_of):
            found += lines
            for other in others:
                other.receive()
        for other in others:
            found += other.lines_of_all()
    finally:
        for other in others:
            other.end()
    return found


def _processes(sessions: int) -> int:
    """Return how many processes read: one where a fork is not certainly safe, or does not pay."""
    if sessions < WORTH_SHARING or not hasattr(os, "sched_getaffinity"):
        return 1
    try:
        threads = len(os.listdir("/proc/self/task"))  # also those that Python does not know
    except OSError:
        return 1
    return 1 if threads > 1 else min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)


def _in_pieces(folders: FolderRows, names: Sequence[str], line_of: LineOf) -> Iterator[list[Line]]:
    for begin in range(0, len(names), _AT_ONCE):
        rows = folders.read_found(names[begin : begin + _AT_ONCE])
        yield [(row.created_at, row.session_id, line_of(row)) for row in rows]


class _Other:
    """A child that reads a part of the folders, and what came of it so far."""

    def __init__(self, folders: FolderRows, names: Sequence[str], line_of: LineOf, earlier: list[_Other]) -> None:
        self._folders, self._names, self._line_of = folders, names, line_of
        self._lines: list[Line] = []
        self._bytes = bytearray()  # of lists that have not come as a whole
        self._whole = False  # the child said that it sent all
        self._from, to = os.pipe()
        with contextlib.suppress(OSError):
            _enlarge(to)
        try:
            self._pid = os.fork()
        except OSError:  # no process to be had: it is read here
            self._pid = 0
            os.close(to)
            return
        if self._pid == 0:
            self._read_as_child(to, [self._from, *(other._from for other in earlier)])
        os.close(to)
        os.set_blocking(self._from, False)

    def _read_as_child(self, to: int, not_ours: list[int]) -> NoReturn:
        """Send lists of lines, then the mark of the end; when it fails, nothing of the parent's program is run."""
        status = 1
        try:
            for descriptor in not_ours:
                os.close(descriptor)  # else a pipe whose reader died would go on to have one
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)  # what the program does then is done by the parent
            gc.disable()
            for lines in _in_pieces(self._folders, self._names, self._line_of):
                data = marshal.dumps(lines)
                _send(to, len(data).to_bytes(8, "little"), data)
            _send(to, _END)
            status = 0
        finally:
            os._exit(status)

    def receive(self) -> None:
        """Take in what is in the pipe; without a wait unless :meth:`lines_of_all` waits."""
        while self._pid and not self._whole:
            try:
                part = os.read(self._from, _PIPE_BYTES)
            except BlockingIOError:
                return
            if not part:
                return
            self._bytes += part
            self._take_whole_lists()

    def _take_whole_lists(self) -> None:
        begin, data = 0, self._bytes
        while len(data) - begin >= len(_END):
            end = begin + len(_END) + int.from_bytes(data[begin : begin + len(_END)], "little")
            if end == begin + len(_END):
                self._whole = True
            elif end > len(data):
                break
            else:
                self._lines += marshal.loads(data[begin + len(_END) : end])
            begin = end
        del data[:begin]

    def lines_of_all(self) -> list[Line]:
        """Wait for the child and return all lines; those of a child that ended early are read anew, here."""
        if self._pid:
            os.set_blocking(self._from, True)
            self.receive()
        if self._whole:
            return self._lines
        return [line for lines in _in_pieces(self._folders, self._names, self._line_of) for line in lines]

    def end(self) -> None:
        """Close the pipe, end the child, and leave no trace of it in the table of processes."""
        os.close(self._from)
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # the program ignores SIGCHLD
                os.waitpid(self._pid, 0)


def _enlarge(pipe: int) -> None:
    import fcntl

    fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_BYTES)


def _send(pipe: int, *parts: bytes) -> None:
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(pipe, view) :]
