"""A session whose streams say how far they were read, for the progress of an export.

Not here: what an export writes (the formats), the bar (cli.progress).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sessionstore.session import Session
from sessionstore.session.stream_reader import Line, Tape

_EVERY_BYTES = 1 << 16


class WatchedSession(Session):
    """The same session; ``done`` is called with each number of bytes that was read of its streams."""

    def __init__(self, session: Session, done: Callable[[int], None]) -> None:
        self.__dict__.update(session.__dict__)
        self._done = done

    def tape(self, name: str) -> Tape:
        """Return one stream. Raises: InvalidName."""
        return _WatchedTape(super().tape(name), self._done)

    def tapes(self) -> dict[str, Tape]:
        """Return the streams that have been begun, by name."""
        return {name: _WatchedTape(tape, self._done) for name, tape in super().tapes().items()}


class _WatchedTape(Tape):
    def __init__(self, tape: Tape, done: Callable[[int], None]) -> None:
        self.__dict__.update(tape.__dict__)
        self._done = done

    def read(self, *args: Any, **options: Any) -> Iterator[Line]:
        """Yield lines, as ``Tape.read`` does."""
        read = 0
        for line in super().read(*args, **options):
            read += line.end - line.offset
            if read >= _EVERY_BYTES:
                self._done(read)
                read = 0
            yield line
        self._done(read)
