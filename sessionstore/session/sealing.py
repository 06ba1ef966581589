"""Sealing the streams of an ended session, and unsealing them: a sixth of the disk, every reading as before.

Each step leaves one whole readable stream, whenever the process is killed or the power goes: the new file is written
beside, synced, read back and compared; then it gets its name, durably; only then the old file is removed. Where both
are there, the plain one counts, and the next seal, unseal or doctor removes the other.
Appending to a sealed stream unseals it first. Writers of the plain file are kept out while it is exchanged: who waited
for its lock finds it gone, and unseals. Who looked before and makes the plain file after finds it left over, under its
lock, before the first byte is written. A stream is sealed as it is, damaged lines and all.
Not here: the form of the file (sealed_form), reading it (stream_source), which sessions are chosen (cli.seal).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.disk.beside import create_beside
from sessionstore.disk.reading import stamp_of
from sessionstore.errors import Conflict, Corrupt, NewerFormat, OutcomeUnknown, SessionGone, UnsafeFile
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.session.sealed_file import SealedFile
from sessionstore.session.sealed_form import MEMBER_BYTES, sealed
from sessionstore.session.stream_check import KINDS
from sessionstore.session.stream_source import (
    FileBytes,
    Source,
    is_sealed,
    left_over,
    opened_sealed,
    plain_status,
    sealed_path,
    status,
)

if TYPE_CHECKING:
    from sessionstore.session.handle import Session

#: A smaller stream stays as it is: a file takes a block of the disk anyway.
SMALLEST_BYTES = 4096
_ROUNDS = 100
_WAIT_S = 120.0  # for another process that unseals the same stream


@dataclass(frozen=True, slots=True)
class SealedStream:
    """One stream: the bytes of its lines, the bytes of its file, whether it is sealed, whether that was done now."""

    stream: str
    plain_bytes: int
    stored_bytes: int
    sealed: bool
    changed: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def seal(session: Session, progress: Callable[[int], None] | None = None) -> list[SealedStream]:
    """Seal the streams of a session that has ended (also by a crash), and return how each stands now.

    Args:
        progress: called with bytes of lines as they are sealed.

    Raises:
        Conflict: it has not ended, or a stream is being written.
        Corrupt: a pointer of Git LFS is in the place of a stream. SessionGone, StoreUnusable, UnsafeFile, LockTimeout.
            The streams before that one are sealed, all others as they were.
    """
    check_ended(session)
    return [_of(tape.path, _sealed_now(tape.path, session, progress)) for tape in session.tapes().values()]


def _sealed_now(path: Path, session: Session, progress: Callable[[int], None] | None) -> bool:
    found = plain_status(path)
    if found is not None and found.st_size < SMALLEST_BYTES and files.status(sealed_path(path)) is None:
        return False
    return seal_stream(path, session.root.durable, progress)


def unseal(session: Session) -> list[SealedStream]:
    """Make the streams of a session plain again, and return how each stands now.

    Raises: as :func:`unseal_stream`; the streams before that one are plain, all others as they were.
    """
    return [_of(tape.path, unseal_stream(tape.path, session.root.durable)) for tape in session.tapes().values()]


def states(session: Session) -> list[SealedStream]:
    """Return how each stream of a session stands. Raises: as ``Tape.size``."""
    return [_of(tape.path, False) for tape in session.tapes().values()]


def check_ended(session: Session) -> None:
    """Raises: Conflict: the session has not ended."""
    status = session.record.status
    if status not in FINAL_STATUSES and session.interrupted() is None:
        raise Conflict(f"{session.session_id} is {status}: only a session that has ended is sealed")


def _of(path: Path, changed: bool) -> SealedStream:
    for _ in range(_ROUNDS):  # each one, it was sealed or unsealed between two looks
        plain = plain_status(path)
        if plain is not None:
            return SealedStream(path.stem, plain.st_size, plain.st_size, False, changed)
        with contextlib.suppress(FileNotFoundError), opened_sealed(sealed_path(path)) as found:
            return SealedStream(path.stem, found.size, found.raw.size(), True, changed)
        if status(path) is None:
            break
    raise SessionGone(f"{path} is gone")


# ---------------------------------------------------------------- one stream


def seal_stream(path: Path, durable: bool = True, progress: Callable[[int], None] | None = None) -> bool:
    """Put the sealed form of a stream in its place; False: it was sealed already.

    Raises:
        Conflict: it is being written; Corrupt: its content is not here; SessionGone, UnsafeFile, LockTimeout,
        StoreUnusable: the plain stream is as it was.
        OutcomeUnknown: both are there, and the plain one counts.
    """
    for _ in range(_ROUNDS):  # each one, another process sealed or unsealed it meanwhile
        try:
            with files.opened(path) as descriptor:
                _seal_open(descriptor, path, durable, progress)
                return True
        except (FileNotFoundError, SessionGone):
            if is_sealed(path):
                return False
            if status(path) is None:
                break
    raise SessionGone(f"{path} is gone")


def _seal_open(descriptor: int, path: Path, durable: bool, progress: Callable[[int], None] | None) -> None:
    seen = os.fstat(descriptor)
    _check_plain(descriptor, seen, path)
    raw = FileBytes(descriptor)
    beside = create_beside(path, sealed(_chunks(raw, seen.st_size, progress)), seen, sync=durable)
    with _removed_unless_placed(beside):
        _prove(beside, raw, seen.st_size)
        _exchange(path, beside, seen, durable)


def _check_plain(descriptor: int, seen: os.stat_result, path: Path) -> None:
    """Raises: Corrupt, UnsafeFile: what may not be sealed."""
    if Source(descriptor).pointer:
        raise Corrupt(f"{KINDS['lfs-pointer']}; it was not sealed", path, 0)
    if seen.st_nlink > 1:
        raise UnsafeFile("it has a second name (a hard link), by which it would stay as it is", str(path))


def _chunks(raw: FileBytes | SealedFile, size: int, progress: Callable[[int], None] | None = None) -> Iterator[bytes]:
    for start in range(0, size, MEMBER_BYTES):
        chunk = raw.read_at(min(MEMBER_BYTES, size - start), start)
        yield chunk
        if progress is not None:
            progress(len(chunk))


def _prove(beside: Path, plain: FileBytes, size: int) -> None:
    """Read a sealed file back and compare each byte of its lines. Raises: StoreUnusable: it differs."""
    with files.opened(beside) as descriptor:
        written = SealedFile(FileBytes(descriptor), beside)
        if written.index.found_again is not None or written.size != size:
            raise Conflict(f"{beside.parent.name}: a stream changed while it was sealed")
        pairs = zip(_chunks(written, size), _chunks(plain, size), strict=True)
        if not all(ours == theirs for ours, theirs in pairs) or written.damaged:
            raise Conflict(f"{beside.parent.name}: a stream changed while it was sealed, or the disk is damaged")


def _exchange(path: Path, beside: Path, seen: os.stat_result, durable: bool) -> None:
    """Give the sealed file its name and remove the plain one, while no process can append."""
    lock = AppendFile(path, missing=gone, left_over=left_over)
    try:
        lock.lock()
        try:
            if stamp_of(os.fstat(lock.descriptor)) != stamp_of(seen):
                raise Conflict(f"{path} is being written; seal it when its writer has ended")
            target = sealed_path(path)
            _remove_interrupted(path, target)
            files.rename_new(beside, target)
            if durable:
                _prove_named(path)
            files.remove(path)
            if durable:
                _prove_named(path)
        finally:
            lock.unlock()
    finally:
        lock.close()


def _remove_interrupted(path: Path, target: Path) -> None:
    """Remove what a seal that was interrupted left: the plain stream, which counted, holds all of it.

    Raises: Conflict: it is another file, or holds other lines. StoreUnusable, UnsafeFile. Nothing was removed.
    """
    try:
        with files.opened(target) as descriptor:
            held = holds(path, descriptor)
    except FileNotFoundError:
        return
    except (Corrupt, NewerFormat) as error:
        raise Conflict(f"{target} is there, and no sealed stream: {error.reason}; move it away first") from error
    if not held:
        raise Conflict(f"{path} and {target.name} differ: `sessionstore doctor --fix` decides")
    files.remove(target)


def gone(path: Path | str) -> None:
    """Refuse to make a file that another process removed meanwhile. Raises: FileNotFoundError."""
    raise FileNotFoundError(f"{path} is gone")


def unseal_stream(path: Path, durable: bool = True, salvage: bool = False) -> bool:
    """Put the plain form of a stream in its place; False: it was plain already.

    Args:
        salvage: what a damaged member lost becomes a line of zeros; else such a stream is refused.

    Raises:
        Corrupt: a member is damaged, or it is no sealed stream; LockTimeout, SessionGone, UnsafeFile, StoreUnusable:
        the sealed stream is as it was.
        Conflict: a plain stream is there that does not hold all of the sealed one: both are as they were.
        OutcomeUnknown: both are there, and the plain one counts.
    """
    for _ in range(_ROUNDS):  # each one, another process sealed it meanwhile
        if files.status(sealed_path(path)) is None:
            if status(path) is None:
                break
            return False
        try:
            if _unsealed(path, durable, salvage):
                return True
        except (FileNotFoundError, SessionGone):
            continue  # another process unsealed it, or sealed it again
    raise SessionGone(f"{path} is gone")


def _unsealed(path: Path, durable: bool, salvage: bool) -> bool:
    """Put the plain form in its place and remove the sealed one; False: it was sealed again meanwhile."""
    source = sealed_path(path)
    lock = AppendFile(source, missing=gone, timeout_s=_WAIT_S)
    try:
        lock.lock()
        try:
            with files.refusals(source):
                if _no_plain(path):
                    _place_plain(path, lock.descriptor, durable, salvage)
                elif not holds(path, lock.descriptor):
                    raise Conflict(f"{path} and {source.name} differ: `sessionstore doctor --fix` decides")
            if not remove_sealed(path, lock):
                return False
            if durable:
                _prove_named(path)
        finally:
            lock.unlock()
    finally:
        lock.close()
    return True


def _no_plain(path: Path) -> bool:
    """Whether there is no plain file that counts; one that is left over is removed, under its lock."""
    plain = AppendFile(path, missing=gone, left_over=left_over)
    try:
        plain.lock()
        plain.unlock()
        return False
    except SessionGone:
        return True
    finally:
        plain.close()


def remove_sealed(path: Path, sealed_file: AppendFile) -> bool:
    """Remove the sealed form beside a plain stream; False: another process sealed it anew.

    Under the lock of the plain one, since who seals holds it from the new name to the removal of the plain file.

    Args:
        sealed_file: the locked sealed file.

    Raises: SessionGone: the plain one is gone; LockTimeout, UnsafeFile, StoreUnusable. Nothing was removed.
    """
    plain = AppendFile(path, missing=gone, left_over=left_over)
    try:
        plain.lock()
        try:
            if not sealed_file.is_in_place():
                return False
            files.remove(sealed_path(path))
        finally:
            plain.unlock()
    finally:
        plain.close()
    return True


def _place_plain(path: Path, descriptor: int, durable: bool, salvage: bool) -> None:
    found = SealedFile(FileBytes(descriptor), sealed_path(path))
    if (damaged := found.check()) and not salvage:
        first = damaged[0]
        what = f"member {first.number}: {first.reason}; `sessionstore doctor --fix` keeps the rest"
        raise Corrupt(what, sealed_path(path), found.index.members[first.number].start)
    beside = create_beside(path, _chunks(found, found.size), os.fstat(descriptor), sync=durable)
    with _removed_unless_placed(beside), files.opened(beside) as written:
        if not _same(_chunks(FileBytes(written), found.size), _chunks(found, found.size)):
            raise Conflict(f"{path.name}: what was written reads back otherwise; is the disk damaged?")
        try:
            files.rename_new(beside, path)
        except FileExistsError as error:
            if plain_status(path) is None:
                raise FileNotFoundError(f"{path} was left over meanwhile") from error  # another round
            raise Conflict(f"{path} was made by another program meanwhile") from error
        if durable:
            _prove_named(path)


def _prove_named(path: Path) -> None:
    """Make the names in the folder of a stream durable.

    Raises: SessionGone: the folder was moved; wherever it is, one form of the stream is whole. OutcomeUnknown.
    """
    try:
        files.prove_renamed(path.parent)
    except OutcomeUnknown as error:
        if files.is_folder(path.parent):
            raise
        raise SessionGone(f"{path.parent} is gone") from error


def holds(path: Path, sealed_descriptor: int) -> bool:
    """Whether a plain stream begins with all that its sealed form holds. Raises: Corrupt, UnsafeFile, StoreUnusable."""
    found = SealedFile(FileBytes(sealed_descriptor), sealed_path(path))
    if found.check():
        return False
    with files.opened(path) as descriptor:
        plain = FileBytes(descriptor)
        return plain.size() >= found.size and _same(_chunks(plain, found.size), _chunks(found, found.size))


def _same(ours: Iterable[bytes], theirs: Iterable[bytes]) -> bool:
    return all(left == right for left, right in zip(ours, theirs, strict=True))


def unsealed_to_append(path: Path | str) -> None:
    """Unseal a stream that is to be appended to and is not there as a plain file. Raises: as :func:`unseal_stream`."""
    if is_sealed(path):
        unseal_stream(Path(path))


def file_to_append(path: Path, durable: bool = True, pinned: bool = False) -> AppendFile:
    """Return the file of a stream, plain by the time that it is locked; see :class:`AppendFile`."""
    return AppendFile(path, durable=durable, pinned=pinned, missing=unsealed_to_append, left_over=left_over)


@contextlib.contextmanager
def _removed_unless_placed(beside: Path) -> Iterator[None]:
    """Remove a file that was written beside when it did not get its name."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(beside)
        raise
