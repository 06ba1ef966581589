"""What only a person decides: which side of a conflict copy stays, and whether an edit is accepted or taken back.

Not here: repairs that need no decision (plan), how old lines are found (old_lines, stream_copies).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Literal

from sessionstore.errors import NotApplied, SessionStoreError
from sessionstore.maintenance.findings import Finding
from sessionstore.maintenance.repairs import conflict_copies, stream_lines
from sessionstore.maintenance.repairs.old_lines import StreamCopy, left_text
from sessionstore.maintenance.repairs.plan import Outcome, tried
from sessionstore.maintenance.repairs.stream_copies import copies_here
from sessionstore.session import Session
from sessionstore.store import SessionStore

Choice = Literal["ours", "theirs", "old"]
#: Returns the copies of one stream file of a session at a place that the person named.
CopiesOf = Callable[[Session, str], Iterator[StreamCopy]]
#: Findings that accepting ends, and those for which there may be old lines.
ACCEPTABLE = frozenset(("stream-edited", "stream-gap", "stream-changed", "stream-short"))
_MAY_HAVE_OLD = ACCEPTABLE | {"stream-damaged", "stream-unverified", "stream-line-ends"}


def resolve_by_choice(
    store: SessionStore,
    findings: Iterable[Finding],
    take: Choice | None,
    accept_edits: bool,
    named_copies: Iterable[CopiesOf] = (),
) -> list[Outcome]:
    """Do what a person decided for these findings: one outcome for each conflict copy and each stream.

    Args:
        named_copies: copies for ``take="old"``, looked through before those of the store itself.
    """
    known = list(findings)
    outcomes = []
    if take in ("ours", "theirs"):
        for finding in known:
            if finding.code == "conflict-copy":
                outcomes.append(tried(finding, lambda each: conflict_copies.take(store, each, take)))
    if take == "old":
        outcomes += _each_stream(known, _MAY_HAVE_OLD, lambda each: _old(store, each, list(named_copies)))
    if accept_edits:
        outcomes += _each_stream(known, ACCEPTABLE, lambda each: _accepted(store, each))
    return outcomes


class _NothingToDo(Exception):
    """The stream needs no decision."""


def _each_stream(findings: list[Finding], codes: frozenset[str], step: Callable[[Finding], str]) -> Iterator[Outcome]:
    first = {finding.where: finding for finding in reversed(findings) if finding.code in codes}
    for where in sorted(first):
        try:
            yield tried(first[where], step)
        except _NothingToDo:
            continue


def _accepted(store: SessionStore, finding: Finding) -> str:
    session = store.catalog.session(str(finding.session_id))
    done = stream_lines.accept_edits(store.root, session, store.root.path / finding.where)
    if done is None:
        raise _NothingToDo
    return done


def _old(store: SessionStore, finding: Finding, named: list[CopiesOf]) -> str:
    """Take the old lines of one stream. Raises: NotApplied: some are in no copy; the others were taken back."""
    session, path = store.catalog.session(str(finding.session_id)), store.root.path / finding.where
    looked: list[str] = []

    def copies() -> Iterator[StreamCopy]:
        found = [find(session, path.name) for find in named]
        for copy in chain(*found, copies_here(store, session, path.name)):
            looked.append(copy.label)
            yield copy

    restored = stream_lines.take_old(store.root, path, copies(), _recorded(session, path.stem))
    if restored is None:
        raise _NothingToDo
    parts = [restored.taken_text()] if restored.taken else []
    if restored.left:
        raise NotApplied("; ".join([*parts, left_text(restored.left, looked)]))
    return parts[0]


def _recorded(session: Session, stream: str) -> int | None:
    """Return how many records the run ended with, as session.json says."""
    try:
        count = session.record.streams.get(stream)
    except SessionStoreError:
        return None
    return count if isinstance(count, int) else None
