"""Push and pull: sessions go to a remote store and come from one, as far as the other side lacks them by lineage.

A push of one session holds a claim that is made only where there is none, so that two pushes of it follow each other.
Its files are sent 16 at once, the record last; each is looked at afterwards; then the manifest gets an entry. Nothing
there is deleted, and a copy that diverged is never overwritten: it is reported, and a pull shows both. Interrupted
anywhere, it is completed by running it again: files that stand there already are not sent again.
Not here: a merge of what comes (exchange.merge), reading in place (remote.store).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from sessionstore.errors import Conflict, RemoteUnavailable, SessionStoreError
from sessionstore.exchange.compare import STREAM_SUFFIX, Copy, compare, compare_stream, read_copy, same_file
from sessionstore.exchange.merge import MergeReport, Outcome, merge
from sessionstore.exchange.remote import manifest
from sessionstore.exchange.remote.claims import Claim, claimed
from sessionstore.exchange.remote.opening import remote_source
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.exchange.remote.store import AT_ONCE, open_place, refuse
from sessionstore.exchange.remote.tree import RemoteTree
from sessionstore.exchange.sources import Progress, Total
from sessionstore.exchange.trees import FolderTree, Tree
from sessionstore.layout import DOCUMENT
from sessionstore.model import records
from sessionstore.query import Filter
from sessionstore.store import SessionStore
from sessionstore.store.folder_rows import MISSING_FOLDER, UNREADABLE


def pull(
    store: SessionStore,
    url: str,
    where: str | Filter | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Take the sessions of a remote store, or of a ZIP behind a URL, into this one; it is a merge.

    Raises: StoreNotFound, RemoteUnavailable, RemoteRefused; as :func:`sessionstore.exchange.merge.merge`.
    """
    return merge(store, remote_source(store, url), where, dry_run, progress)


def push(
    store: SessionStore,
    url: str,
    where: str | Filter | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Send to a remote store what it lacks of the sessions of this one. Run it again when it was interrupted.

    Raises: RemoteUnavailable, RemoteRefused: what was sent stays; ReadOnlyStore: the place is a ZIP.
    """
    place = open_place(url)
    if not isinstance(place, FsspecPlace):
        refuse(place.label)
    found, total = manifest.read(place), Total(progress)
    run = _Push(place, found[0] if found else {}, dry_run, total.add)
    report = MergeReport(place.label, dry_run)
    rows = [row for row in store.find(where, sort="created_at") if row.host is None]
    sent: dict[str, manifest.Entry] = {}
    try:
        for number, row in enumerate(rows):
            total.after(number, len(rows))
            if row.status in (UNREADABLE, MISSING_FOLDER):
                report.outcomes.append(Outcome(row.session_id, "skipped", None, row.problem or row.status))
                continue
            try:
                outcome, entry = run.session(FolderTree(store.root.folder(row.session_id)), row)
            except RemoteUnavailable:
                raise
            except SessionStoreError as error:
                outcome, entry = Outcome(row.session_id, "skipped", None, f"{type(error).__name__}: {error}"), None
            report.outcomes.append(outcome)
            if entry is not None and outcome.session_id is not None:
                sent[outcome.session_id] = entry
    finally:
        if not dry_run:
            manifest.add(place, sent)
    return report


class _Push:
    """One run towards one place."""

    def __init__(
        self, place: FsspecPlace, entries: dict[str, manifest.Entry], dry_run: bool, progress: Progress
    ) -> None:
        self._place, self._entries, self._dry_run, self._progress = place, entries, dry_run, progress

    def session(self, tree: FolderTree, row: records.SessionRow) -> tuple[Outcome, manifest.Entry | None]:
        """Send one session, and return what became of it and its entry. Raises: SessionStoreError."""
        ours = read_copy(tree)
        digests = {file: _digest(tree, file) for file in tree.sizes}
        known = self._entries.get(tree.name)
        if known is not None and known.files == digests and known.row.uuid == ours.record.uuid:
            return Outcome(tree.name, "same", tree.name), None
        if self._dry_run:
            return self._compared(ours)[0], None
        with claimed(self._place, tree.name) as claim:
            outcome, missing = self._compared(ours)
            if outcome.action in ("copied", "updated"):
                outcome.bytes = self._send(tree, missing, claim)
        if outcome.action in ("diverged", "ahead"):
            return outcome, None
        portable = manifest.portable(row, size=len(ours.data), mtime_ns=0)
        return outcome, manifest.Entry(portable, digests, ours.chain)

    def _compared(self, ours: Copy) -> tuple[Outcome, list[str]]:
        """Compare with what is there; return the outcome, and the files that are to be sent.

        Raises: Conflict: another session has this id there.
        """
        name = ours.tree.name
        remote = RemoteTree(self._place, name, self._entries.get(name), ours.tree)
        if DOCUMENT not in remote.sizes:  # new, or begun by a push that was interrupted
            missing = [file for file in ours.tree.sizes if not _stands(ours.tree, remote, file)]
            return Outcome(name, "copied", name), missing
        theirs = read_copy(remote)
        if theirs.root_uuid != ours.root_uuid:
            raise Conflict(f"another session is called {name} at {self._place.label}; give this folder another name")
        found = compare(theirs, ours)
        if found.relation == "behind":
            return Outcome(name, "updated", name), [
                file for file in ours.tree.sizes if _differs(remote, ours.tree, file)
            ]
        if found.relation == "diverged":
            return Outcome(name, "diverged", name, ", ".join(found.reasons[:3])), []
        return Outcome(name, "same" if found.relation == "same" else "ahead", name), []

    def _send(self, tree: FolderTree, missing: list[str], claim: Claim) -> int:
        """Send files, the record last; return the bytes. Raises: RemoteUnavailable, Conflict."""
        first = [file for file in missing if file != DOCUMENT]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            count = sum(pool.map(lambda file: self._send_file(tree, file), first))
        if tree.changed(DOCUMENT):
            raise Conflict(f"{tree.name} changed while it was sent; run the push again")
        claim.check()
        count += self._send_file(tree, DOCUMENT)
        self._check_sent(tree, missing)
        return count

    def _send_file(self, tree: FolderTree, file: str) -> int:
        self._place.send(str(tree.folder / file), f"{tree.name}/{file}")
        self._progress(tree.sizes[file])
        return tree.sizes[file]

    def _check_sent(self, tree: FolderTree, sent: list[str]) -> None:
        """Look at what stands there now. Raises: RemoteUnavailable: less than was sent."""
        stand = self._place.files(tree.name)
        for file in sent:
            size = stand[file].size if file in stand else 0
            if size < tree.sizes[file]:
                label = f"{self._place.label}/{tree.name}/{file}"
                raise RemoteUnavailable(f"{label} has {size} of {tree.sizes[file]} bytes after it was sent")


def _digest(tree: FolderTree, file: str) -> tuple[int, str]:
    """Return size and SHA-256 of a file. Raises: StoreUnusable."""
    found = sha256()
    for chunk in tree.chunks(file, 0, tree.sizes[file]):
        found.update(chunk)
    return tree.sizes[file], found.hexdigest()


def _stands(ours: Tree, remote: Tree, file: str) -> bool:
    return file in remote.sizes and same_file(ours, remote, file)


def _differs(remote: Tree, ours: Tree, file: str) -> bool:
    if file.endswith(STREAM_SUFFIX) and "/" not in file:
        return compare_stream(remote, ours, file) != "same"
    return file not in remote.sizes or not same_file(ours, remote, file)
