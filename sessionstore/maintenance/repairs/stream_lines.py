"""Rewriting lines of a stream: foreign bytes around records, edits that a person accepts or takes back.

The whole file goes to quarantine first; then it is written anew and renamed. A line that is not known to be right
stays as it is, and so does a record whose writing was interrupted.
Not here: cutting what cannot be read (stream_repair), what the old lines were (proven_lines, old_lines).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.layout import StoreRoot
from sessionstore.maintenance.checks import accepted
from sessionstore.maintenance.repairs import notes, old_lines
from sessionstore.maintenance.repairs.old_lines import Restored, StreamCopy
from sessionstore.maintenance.repairs.proven_lines import checked, proven, text_of
from sessionstore.model.wording import counted
from sessionstore.session import Session
from sessionstore.session.sealing import file_to_append, unsealed_to_append
from sessionstore.session.stream_line import BYTE_ORDER_MARK, CHECKSUM, Line, Mark, parse_line

_CHECKSUM_AT_END = re.compile(rb',\s*"c"\s*:\s*"[^"]*"\s*\}\s*$')


def restore_line_ends(root: StoreRoot, path: Path) -> int:
    """Undo what another program did around the records: line ends, byte order mark, character set, blank lines.

    Returns how many lines changed.

    Raises: LockTimeout, SessionGone, UnsafeFile, StoreUnusable: nothing changed. OutcomeUnknown.
    """
    return _rewrite(root, path, lambda lines: [kept for raw in lines for kept in _without_foreign_bytes(raw)])


def accept_edits(root: StoreRoot, session: Session, path: Path) -> str | None:
    """Accept what a person did to a stream: edited lines get the checksum of their present content, and session.json
    notes lines that were deleted or reordered. Return what was done; None when there is nothing to accept.

    Raises: as :func:`restore_line_ends` and ``Session.update``; a second try goes on.
    """
    unsealed_to_append(path)
    data = text_of(files.read(path)[0]) if files.status(path) is not None else b""
    lines = [_with_checksum(raw) for raw in _lines_of(data)[0]]
    rows = list(_explained(session, path.stem, lines))
    if lines and lines[-1] != _lines_of(data)[0][-1]:
        rows.append({"stream": path.stem, "kind": accepted.LAST, "last": lines[-1][-10:-2].decode()})
    notes.note(session, rows, "changed by hand, and accepted")  # first: what is not explained is a fault for ever
    changed = _rewrite(root, path, lambda lines: [_with_checksum(raw) for raw in lines])
    have, are = "has" if changed == 1 else "have", "is" if len(rows) == 1 else "are"
    parts = (
        [f"{counted(changed, 'edited line')} {have} a new checksum; the old file is in quarantine"] if changed else []
    )
    parts += [f"{counted(len(rows), 'change')} {are} noted in session.json"] if rows else []
    return "; ".join(parts) or None


def take_old(root: StoreRoot, path: Path, copies: Iterable[StreamCopy], recorded: int | None) -> Restored | None:
    """Take the recorded lines back, from the stream itself and from copies; None when there is nothing to take back.

    Args:
        recorded: how many records the run ended with; None: not known.

    Raises: as :func:`restore_line_ends`.
    """
    found: list[Restored] = []

    def change(lines: list[bytes]) -> list[bytes]:
        found.append(old_lines.take_back(lines, copies, recorded))
        return found[0].lines

    unsealed_to_append(path)
    if files.status(path) is None:
        if not recorded:
            return None
        change([])
        if found[0].lines:
            files.create(path, b"".join(line + b"\n" for line in found[0].lines))
            files.sync_dir(path.parent)
    else:
        _rewrite(root, path, change)
    return found[0] if found[0].taken or found[0].left else None


def _rewrite(root: StoreRoot, path: Path, change: Callable[[list[bytes]], list[bytes]]) -> int:
    """Write a stream anew with other lines, under its lock, a sealed one as a plain one; return how many changed."""
    unsealed_to_append(path)
    if files.status(path) is None:
        return 0
    stream = file_to_append(path)
    stream.lock()
    try:
        data, _ = files.read(path)
        before, torn = _lines_of(text_of(data))
        after = change(before)
        whole = b"".join(line + b"\n" for line in after) + torn
        if whole == data:
            return 0
        root.quarantine(path, 0, data)
        files.put(path, whole)
        return max(len(set(after).difference(before)), 1)
    finally:
        stream.unlock()
        stream.close()


def _lines_of(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines, and what follows the last newline when it is not a whole record."""
    *lines, rest = data.split(b"\n")
    if not rest:
        return lines, b""
    if isinstance(parse_line(rest, 0), Line | Mark):
        return [*lines, rest], b""
    return lines, rest


def _without_foreign_bytes(raw: bytes) -> list[bytes]:
    if not raw.strip(b" \t\r\n"):
        return []
    if (line := proven(raw)) is not None:
        return [line]
    kept = raw.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r")
    return [kept if isinstance(parse_line(kept, 0), Line | Mark) else raw]


def _with_checksum(raw: bytes) -> bytes:
    """Return an edited line with the checksum of its content, in the layout that readers check."""
    found = parse_line(raw, 0)
    if not isinstance(found, Line) or found.remark != "edited":
        return raw
    if (line := proven(raw)) is not None:
        return line  # only its layout was changed
    head = _CHECKSUM_AT_END.sub(b"", raw)
    if head == raw:
        data = msgspec.json.decode(raw)
        del data[CHECKSUM]
        head = msgspec.json.encode(data)[:-1]
    return b'%b,"c":"%08x"}' % (head, zlib.crc32(head))


def _explained(session: Session, stream: str, lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the rows that explain what is missing, reordered or repeated in a stream."""
    check = checked(lines)
    known = accepted.gaps(session, stream)
    for first, then, _ in check.numbers.gaps:
        if first not in known:
            yield {"stream": stream, "expected": first, "found": then}
    for kind in ("reordered", "repeated"):
        if kind in check.remarks and accepted.count(session, stream, kind) != check.remarks[kind].count:
            yield {"stream": stream, "kind": kind, "count": check.remarks[kind].count}
    wanted = session.record.streams.get(stream)
    short = wanted - check.numbers.expected if isinstance(wanted, int) else 0
    if short > 0 and not accepted.is_short(session, stream, short):
        yield {"stream": stream, "kind": accepted.SHORT, "count": short}
