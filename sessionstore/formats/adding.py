"""What a second import adds to a session: lines its streams lack, new files, newer fields. Nothing of ours is removed.

Keys of the source replace those of an earlier import; keys, tags and notes that were added here stay. Streams come
first and the fingerprint last: an import that was killed is completed by the next one.
Not here: reading the source (the formats), sessions that are not here yet (draft).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import IllegalTransition
from sessionstore.formats import registry
from sessionstore.formats.draft import SessionDraft
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.session import Session
from sessionstore.session.mappings import DATA_TABLE
from sessionstore.session.stream_reader import Line, Tape

_encode = msgspec.json.Encoder(order="sorted").encode
#: Fields that the source gives anew.
_NEWER = ("started_at", "ended_at", "end_reason", "duration_sim_s", "duration_wall_s", "performance_metrics", "drones")


def is_same(session: Session, fingerprint: str) -> bool:
    """Whether a session holds all of a run, by the fingerprint of the last import."""
    source = session.record.provenance.get("imported_from")
    return isinstance(source, dict) and source.get("fingerprint") == fingerprint


def add_what_is_new(draft: SessionDraft, session: Session) -> list[str]:
    """Add to a session what a draft has more; return the problems.

    Raises: as ``Session.update`` and ``StreamWriter.append``; what was added before stays, and the next import goes on.
    """
    with session._root.locks.session(f"import-{draft.uuid}"):
        for name, staged in draft.staged_streams().items():
            _append(session, name, staged)
        record = draft.record()
        if session.record.status == "created" and record.status == "completed":
            session.update(status="running", reason="imported again")
        _copy_files(draft, session, record.artifacts)
        problems: list[str] = []
        try:
            _update(draft, session, record, with_status=True)
        except IllegalTransition as error:
            problems.append(f"the status stays: {error}")
            _update(draft, session, record, with_status=False)
        return problems


def _append(session: Session, name: str, staged: Path) -> None:
    writer = None
    try:
        for line in _new_lines(session.tape(name), Tape(staged)):
            writer = writer or session.writer(name)
            writer.append(line.data, line.t_s)
    finally:
        if writer is not None:
            writer.close()


def _new_lines(ours: Tape, theirs: Tape) -> Iterator[Line]:
    """Yield the lines of theirs that ours lacks: what follows where ours is its beginning, else by content."""
    left = list[Line]()
    before = ours.read() if ours.exists() else iter(())
    source = zip_longest(before, theirs.read())
    for our, their in source:
        if our is not None and their is not None and _content(our) == _content(their):
            continue
        if our is None and their is not None:
            yield their
            continue
        # Both go on and differ: from here on, by content.
        have: Counter[bytes] = Counter()
        for mine, other in [(our, their), *source]:
            if mine is not None:
                have[_content(mine)] += 1
            if other is not None:
                left.append(other)
        for line in left:
            if have[_content(line)] > 0:
                have[_content(line)] -= 1
            else:
                yield line
        return


def _content(line: Line) -> bytes:
    return hashlib.blake2b(_encode([line.t_s, line.data]), digest_size=12).digest()


def _copy_files(draft: SessionDraft, session: Session, artifacts: list[dict[str, Any]]) -> None:
    known = {each.get("name"): each.get("sha256") for each in session.record.artifacts}
    for artifact in artifacts:
        if known.get(artifact["name"]) == artifact["sha256"]:
            continue
        target = session.folder / "artifacts" / artifact["name"]
        files.make_dirs(target.parent)
        files.put(target, registry.chunks(draft.staged_artifact(artifact["name"])))


def _update(draft: SessionDraft, session: Session, new: Any, with_status: bool) -> None:
    streams = {name: tape.count() for name, tape in session.tapes().items()}
    theirs = draft.tables().get(DATA_TABLE, {}).get("1", {})

    def change(record: dict[str, Any]) -> None:
        for field in _NEWER:
            value = getattr(new, field)
            if value not in (None, [], {}):
                record[field] = value
        record["metadata"].update(new.metadata)
        record["tags"] = list(dict.fromkeys([*record["tags"], *new.tags]))
        record["notes"] = record["notes"] or new.notes
        names = {each["name"] for each in new.artifacts}
        others = [each for each in record["artifacts"] if each.get("name") not in names]
        record["artifacts"] = sorted([*others, *new.artifacts], key=lambda each: str(each.get("name")))
        if record["status"] in FINAL_STATUSES or new.status in FINAL_STATUSES:
            record["streams"] = {**record["streams"], **streams}
        if with_status:
            record["status"] = new.status
        record["provenance"] = {**record["provenance"], **new.provenance}

    def edit_tables(tables: Any) -> None:
        if theirs:
            table = tables.setdefault(DATA_TABLE, {})
            number = next(iter(table), "1")
            table[number] = {**table.get(number, {}), **theirs}

    session.update(change, reason="imported again", edit_tables=edit_tables)
