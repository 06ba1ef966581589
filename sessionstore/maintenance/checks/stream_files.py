"""Checks of the streams of one session: damage, edits by hand, foreign bytes, records that are missing.

One finding for each kind and file. A session that is being recorded may end with an incomplete line, and what a person
accepted stays accepted: neither is a fault.
Not here: the record of the session (session_folders), repairs (maintenance.repairs).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import Corrupt, NewerFormat, SessionStoreError, UnsafeFile
from sessionstore.maintenance.checks import accepted, sealed_streams
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.model.record import SessionRecord
from sessionstore.model.wording import counted
from sessionstore.session import Session, stream_identity, stream_names
from sessionstore.session.stream_reader import Damage, StreamCheck, Tape

_REMARKS = {
    "edited": "stream-edited",
    "reordered": "stream-changed",
    "repeated": "stream-changed",
    "blank": "stream-line-ends",
    "line-ends": "stream-line-ends",
    "byte-order-mark": "stream-line-ends",
    "encoding": "stream-line-ends",
    "no-last-newline": "stream-line-ends",
    "lfs-pointer": "stream-pointer",
}


def check_streams(
    examination: Examination, session: Session, entries: dict[str, os.DirEntry[str]], live: bool
) -> Iterator[Finding]:
    """Read every stream of a session whole."""
    for stem in stream_names.files_of(entries):
        name = f"{stem}{stream_names.PLAIN}"
        path, where = session.folder / name, f"{session.session_id}/{name}"
        sealed = entries.get(f"{stem}{stream_names.SEALED}")
        try:
            if sealed is not None:
                yield from sealed_streams.check(session, Path(sealed.path), path, name in entries)
            result = Tape(path).check()
        except (Corrupt, NewerFormat):
            continue  # not a sealed stream: it has its finding
        except UnsafeFile as error:
            yield Finding("unsafe-file", where, error.reason, session.session_id)
            continue
        except OSError as error:
            yield Finding("unreadable-file", where, error.strerror or str(error), session.session_id)
            continue
        entry = entries.get(name) or sealed
        found = None if entry is None else files.status(entry.path)  # None: sealed or unsealed since it was listed
        if found is not None and found.st_nlink > 1:
            yield Finding("file-shared", where, "it has a second name (a hard link)", session.session_id)
        examination.report.streams += 1
        examination.report.lines += result.lines
        yield from _damage(session, where, stem, result, live)
        yield from _remarks(session, where, stem, result)


def _damage(session: Session, where: str, stream: str, result: StreamCheck, live: bool) -> Iterator[Finding]:
    """Turn what cannot be read, and what is missing, into findings."""
    tail = [each for each in result.damaged if each.offset >= result.good_end]
    inner = [each for each in result.damaged if not each.whole and each.offset < result.good_end]
    torn = sum(each.end - each.offset for each in tail) + result.torn_bytes
    if torn and not live:
        what = f"{torn} bytes after the last whole record"
        yield Finding("stream-torn", where, what, session.session_id, {"offset": result.good_end, "bytes": torn})
    if inner:
        first = f"{'the first ' if len(inner) > 1 else ''}at {_place(session, stream, inner[0].offset)}"
        what = f"{counted(len(inner), 'damaged line')}, {first}: {inner[0].reason}"
        data = {"ranges": [[each.offset, each.end] for each in inner]}
        yield Finding("stream-damaged", where, what, session.session_id, data)
    yield from _gaps(session, where, stream, [each for each in result.damaged if each.whole])


def _place(session: Session, stream: str, offset: int) -> str:
    """Return a place in a stream as editors and as programs name it."""
    return f"line {session.tape(stream).line_at(offset):,}, byte {offset}"


def _gaps(session: Session, where: str, stream: str, places: list[Damage]) -> Iterator[Finding]:
    known = accepted.gaps(session, stream) if places else set()
    for code in ("stream-gap", "stream-repaired"):
        found = [each for each in places if (each.expected in known) == (code == "stream-repaired")]
        if found:
            number = f"in {len(found)} places, first at " if len(found) > 1 else ""
            facts = {"offset": found[0].offset, "places": [[each.offset, each.expected] for each in found]}
            what = f"{number}{_place(session, stream, found[0].offset)}: {found[0].reason}"
            yield Finding(code, where, what, session.session_id, facts)


def _remarks(session: Session, where: str, stream: str, result: StreamCheck) -> Iterator[Finding]:
    if result.unverified:
        verb = "has" if result.unverified == 1 else "have"
        what = f"{result.unverified} of {counted(result.lines, 'line')} {verb} no checksum"
        yield Finding("stream-unverified", where, what, session.session_id)
    for remark in result.remarks:
        if remark.kind not in _REMARKS:
            continue
        code = _REMARKS[remark.kind]
        if code == "stream-changed" and accepted.count(session, stream, remark.kind) == remark.count:
            code = "stream-accepted"
        facts = {"kind": remark.kind, "count": remark.count, "offset": remark.offset}
        what = remark.text_at(f"at {_place(session, stream, remark.offset)}")
        yield Finding(code, where, what, session.session_id, facts)


def foreign_streams(session: Session, record: SessionRecord) -> Iterator[Finding]:
    """Yield the streams that belong to another session than the record, unless only their last record was edited."""
    tapes = session.tapes()
    for name, reason in stream_identity.foreign_streams(record, tapes).items():
        end = stream_identity.end_of(tapes[name]) if name in tapes else None
        if end is None or not accepted.is_last(session, name, end[1]):
            yield Finding("stream-foreign", f"{session.session_id}/{name}.jsonl", reason, session.session_id)


def short_streams(session: Session, record: SessionRecord) -> Iterator[Finding]:
    """Yield the streams that hold less than their run ended with, unless that was accepted."""
    for name, wanted in record.streams.items():
        try:
            count = Tape(session.folder / f"{name}.jsonl").count()
        except (SessionStoreError, OSError):
            continue  # it has its own finding
        if isinstance(wanted, int) and count < wanted and not accepted.is_short(session, name, wanted - count):
            what = f"{count} of the {wanted} records that the run ended with"
            facts = {"missing": wanted - count}
            yield Finding("stream-short", f"{session.session_id}/{name}.jsonl", what, session.session_id, facts)
