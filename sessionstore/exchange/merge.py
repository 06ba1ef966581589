"""Merging: sessions of another store, folder or bundle become sessions of this one, by what their copies prove.

    uuid not here       copied whole; the id is kept, or the next free one is taken
    same, ours ahead    nothing is written
    theirs ahead        only what is new is transferred; our old record is kept for the undo
    diverged            both are kept: theirs under a new id, ``merged_from`` names the original
    superseded          one of ours, of which another of ours has all and more, is moved away until the trash is emptied

A merge that was interrupted is completed by running it again. The source is never written. One undo takes a merge back.
A session that runs at the source is taken up to its last whole lines, and continued by the next merge.
Not here: how copies are compared (exchange.compare), the undo (store.merge_log), what a source is (exchange.sources).
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sessionstore.disk import files
from sessionstore.errors import Conflict, RemoteUnavailable, SessionStoreError, StoreUnusable
from sessionstore.exchange.compare import Comparison, Copy, compare, free_uuid, may_be_behind, read_copy
from sessionstore.exchange.known_pairs import KnownPairs, now_ns
from sessionstore.exchange.place import Placer
from sessionstore.exchange.remote.opening import remote_source
from sessionstore.exchange.sources import OfFolder, Progress, Source, Total, open_source
from sessionstore.exchange.trees import FolderTree, Tree
from sessionstore.index.filtering import select
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, SessionRow, to_row
from sessionstore.query import Filter, parse
from sessionstore.store import SessionStore, merge_log, merge_staging

Action = Literal["copied", "updated", "same", "ahead", "diverged", "superseded", "skipped"]
#: Sessions that are synced and named together.
BATCH = 128
#: What can be named as a source.
Given = str | Path | Source


@dataclass(slots=True)
class Outcome:
    """What became of one session of the source."""

    source_id: str
    action: Action
    session_id: str | None = None
    reason: str = ""
    bytes: int = 0


@dataclass(slots=True)
class MergeReport:
    """What a merge did, or would do.

    Attributes:
        change_id: for ``sessionstore undo``; None when nothing changed.
    """

    source: str
    dry_run: bool
    outcomes: list[Outcome] = field(default_factory=list)
    change_id: str | None = None

    def count(self, *actions: Action) -> int:
        """Return how many sessions had one of these actions."""
        return sum(outcome.action in actions for outcome in self.outcomes)

    @property
    def clean(self) -> bool:
        """Whether nothing diverged and nothing was left out."""
        return not self.count("diverged", "skipped")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


def merge(
    store: SessionStore,
    source: Given | Iterable[Given],
    where: str | Filter | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Take the sessions of one or several sources into a store, as one change.

    Args:
        source: a store, a session folder, a bundle, or a URL.
        where: take only sessions that match this filter.
        dry_run: compare only; nothing is written.
        progress: called with the number of bytes that were read.

    Raises:
        SessionNotFound, InvalidQuery, Corrupt, UnsafeFile: nothing was taken.
        StoreUnusable, LockTimeout, OutcomeUnknown: what was taken stays; run it again.
    """
    tree = parse(where, FILTER_FIELDS, FILTER_ALIASES) if isinstance(where, str) else where
    with contextlib.ExitStack() as cleanup:
        turn = _Turn(store, cleanup)
        given = _opened(store, source, turn, progress)
        report = MergeReport(given.label, dry_run)
        if dry_run:
            _Merge(store, report, None, progress).run(given, tree)
            return report
        turn.begin()
        placer = Placer(store, given.label)
        try:
            _Merge(store, report, placer, progress).run(given, tree)
        except BaseException:
            with contextlib.suppress(SessionStoreError):  # what was read whole stays; the first error is the cause
                placer.finish()
            raise
        placer.finish()
        report.change_id = placer.change_id
    return report


class _Turn:
    """The one merge that may run now: it begins when something is unpacked or written, and ends with the merge."""

    def __init__(self, store: SessionStore, cleanup: contextlib.ExitStack) -> None:
        self._store, self._cleanup, self._begun = store, cleanup, False

    def begin(self) -> None:
        if not self._begun:
            self._cleanup.enter_context(merge_staging.alone(self._store.root))
            self._begun = True
            if (log := merge_log.newest(self._store.root)) is not None:
                log.cut_torn_ends()

    def scratch(self) -> Path:
        """Return an empty folder that is removed at the end."""
        self.begin()
        folder = merge_staging.new_folder(self._store.root, merge_staging.UNPACKED)
        self._cleanup.callback(files.remove_tree, folder)
        return folder


def _opened(store: SessionStore, source: Given | Iterable[Given], turn: _Turn, progress: Progress | None) -> Source:
    """Return one source of all that were given; each is opened before any is taken."""
    found = []
    for each in [source] if isinstance(source, str | Path | Source) else list(source):
        if isinstance(each, str) and "://" in each:
            found.append(remote_source(store, each))
        elif isinstance(each, Source):
            found.append(each)
        else:
            found.append(open_source(each, turn.scratch, progress))
    if len(found) == 1:
        return found[0]
    return Source(", ".join(each.label for each in found), [tree for each in found for tree in each.trees])


@dataclass(slots=True)
class _Member:
    """A copy of a family that is here, or in a dry run would be: its id, its uuid and how it is read."""

    session_id: str
    uuid: str
    read: Callable[[], Copy]


class _Merge:
    """One run over the sessions of a source."""

    def __init__(
        self, store: SessionStore, report: MergeReport, placer: Placer | None, progress: Progress | None
    ) -> None:
        self._store, self._report, self._placer = store, report, placer
        self._total = Total(progress)
        self._progress = self._total.add
        self._families: dict[str, list[_Member]] = {}
        self._uuids: set[str] = set()
        self._pairs = KnownPairs(store.root)
        for row in store.find(sort="created_at") if store.root.private.is_dir() else ():
            if row.host is None and row.status not in ("missing", "unreadable"):
                self._joins(row.merged_uuid or row.uuid, self._member(row.session_id, row.uuid))

    def _member(self, session_id: str, uuid: str) -> _Member:
        folder = self._store.root.folder(session_id)
        return _Member(session_id, uuid, lambda: read_copy(FolderTree(folder)))

    def _joins(self, root_uuid: str, member: _Member) -> None:
        self._families.setdefault(root_uuid, []).append(member)
        self._uuids.add(member.uuid)

    def run(self, source: Source, where: Filter | None) -> None:
        """Take each session that matches.

        Raises: StoreUnusable, OutcomeUnknown, LockTimeout: of this store. RemoteUnavailable: the connection is lost.
        """
        for number, opener in enumerate(source.trees):
            self._total.after(number, len(source.trees))
            if where is None and isinstance(opener, OfFolder) and (known := self._known(opener.folder)) is not None:
                self._report.outcomes.append(known)
                continue
            began_ns = now_ns()
            try:
                tree = opener()
                theirs = read_copy(tree)
                if where is not None and not select([_row(theirs)], where):
                    continue
                outcome = self._take(theirs)
            except RemoteUnavailable:
                raise
            except SessionStoreError as error:
                if self._placer is not None and self._placer.broken(error):
                    raise
                self._report.outcomes.append(_left_out(opener, error))
                continue
            self._report.outcomes.append(outcome)
            for file, reason in theirs.tree.unsafe.items():
                left_out = Outcome(theirs.tree.name, "skipped", outcome.session_id, f"{file}: {reason}")
                self._report.outcomes.append(left_out)
            if len(self._families[theirs.root_uuid]) > 1:
                self._supersede(theirs.root_uuid)
            elif isinstance(opener, OfFolder):
                self._keep(opener.folder, theirs, outcome, began_ns)
            if self._placer is not None and self._placer.waiting >= BATCH:
                self._placer.finish()
        if self._placer is not None:
            self._pairs.save()

    def _known(self, folder: Path) -> Outcome | None:
        """Return the outcome for a folder of the source that was compared before; neither side changed since."""
        pair = self._pairs.find(folder)
        if pair is None or [each.session_id for each in self._families.get(pair.root_uuid, ())] != [pair.session_id]:
            return None
        return Outcome(folder.name, pair.relation, pair.session_id)

    def _keep(self, folder: Path, theirs: Copy, outcome: Outcome, began_ns: int) -> None:
        """Keep the answer of a comparison by which nothing was left out and nothing was written."""
        if outcome.action in ("same", "ahead") and outcome.session_id is not None and not theirs.tree.unsafe:
            self._pairs.keep(folder, outcome.action, outcome.session_id, theirs.root_uuid, began_ns)

    def _take(self, theirs: Copy) -> Outcome:
        """Compare a session with ours of the same origin, and do what follows."""
        name, total = theirs.tree.name, sum(theirs.tree.sizes.values())
        family = self._families.get(theirs.root_uuid, [])
        self._settle(family)
        diverged: list[str] = []
        behind: tuple[_Member, Copy] | None = None
        for member in family:
            ours, found = self._compared(member, theirs)
            self._progress(total)
            if found.relation in ("same", "ahead"):
                return Outcome(name, found.relation, member.session_id)
            if found.relation == "behind":
                behind = behind or (member, ours)
            else:
                diverged.append(f"{member.session_id}: {', '.join(found.reasons[:3])}")
        if behind is not None:
            session_id = behind[0].session_id
            count = self._placer.update(session_id, behind[1], theirs) if self._placer else 0
            return Outcome(name, "updated", session_id, "", count)
        uuid = free_uuid(theirs, self._uuids)
        session_id = self._placer.add(theirs, uuid, diverged=bool(diverged)) if self._placer else name
        self._progress(total)
        member = self._member(session_id, uuid)
        if self._placer is None:
            member.read = lambda: theirs
        self._joins(theirs.root_uuid, member)
        if diverged:
            return Outcome(name, "diverged", session_id, "; ".join(diverged), total)
        return Outcome(name, "copied", session_id, "", total)

    def _compared(self, member: _Member, theirs: Copy) -> tuple[Copy, Comparison]:
        """Return our copy, and how it stands to theirs. Raises: Conflict: it was moved meanwhile; StoreUnusable."""
        try:
            ours = member.read()
            return ours, compare(ours, theirs)
        except StoreUnusable as error:
            if error.errno != errno.ENOENT or not str(error.filename).startswith(self._store.root.text):
                raise
            raise Conflict(f"{member.session_id} changed while it was compared; run the merge again") from error

    def _settle(self, family: list[_Member]) -> None:
        """Give the sessions of a family that wait in staging their names, so that they can be read."""
        if family and self._placer is not None and self._placer.holds_back([each.session_id for each in family]):
            self._placer.finish()

    def _supersede(self, root_uuid: str) -> None:
        """Retire the copies of a family that another copy here has caught up with: it holds all that they hold.

        Copies that a person made (one uuid, no merge between) are left alone, and so is one that runs.
        """
        family = self._families[root_uuid]
        self._settle(family)
        try:
            copies = [(member, member.read()) for member in family]
            found = superseded(copies)
        except StoreUnusable as error:
            if error.errno != errno.ENOENT:
                raise
            return  # one was moved away at this moment: the next merge looks again
        read = {member.session_id: copy for member, copy in copies}
        for older, by in found:
            if self._placer is not None:
                try:
                    self._placer.retire(older.session_id, read[older.session_id])
                except Conflict:  # it runs, or was changed at this moment: the next merge looks again
                    continue
                family.remove(older)
            reason = f"{by.session_id} holds all of it"
            self._report.outcomes.append(Outcome(older.session_id, "superseded", by.session_id, reason))


def _left_out(opener: Callable[[], Tree], error: SessionStoreError) -> Outcome:
    name = ""
    with contextlib.suppress(SessionStoreError):
        name = opener().name
    return Outcome(name, "skipped", None, f"{type(error).__name__}: {error}")


def superseded(copies: list[tuple[_Member, Copy]]) -> list[tuple[_Member, _Member]]:
    """Return the members of a family that are behind another one, each with that one; of two equal ones the later."""
    found: list[tuple[_Member, _Member]] = []
    left = list(copies)
    for older in reversed(copies):  # of two that are the same, the one that was here first stays
        for other in left:
            if other is older or not (_is_branch(older[1]) or _is_branch(other[1])):
                continue
            if may_be_behind(older[1], other[1]) and compare(older[1], other[1]).relation in ("same", "behind"):
                found.append((older[0], other[0]))
                left.remove(older)
                break
    return found


def _is_branch(copy: Copy) -> bool:
    """Whether a merge made this copy beside another one."""
    return bool((copy.record.merged_from or {}).get("uuid"))


def _row(copy: Copy) -> SessionRow:
    return to_row(copy.record, _Status(len(copy.data)))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Status:
    """The size of a file that is not on this disk."""

    st_size: int
    st_mtime_ns: int = 0
    st_ctime_ns: int = 0
