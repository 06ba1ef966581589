"""Push and pull: sessions go to a remote store and come from one, as far as the other side lacks them by lineage.

A push of a session holds a claim that is made only where there is none, so that two pushes of it follow each other.
Sessions go in batches: their claims and what stands there are asked for together, then their files are sent 16 at once,
then their records. S3 proves each file by the checksum in its answer; of others the size is looked at afterwards; then
the manifest gets an entry. Nothing there is deleted, and a copy that diverged is never overwritten: it is reported, and
a pull shows both. Interrupted anywhere, it is completed by running it again: files that stand there are not sent again.
Not here: a merge of what comes (exchange.merge), reading in place (remote.store).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5, sha256

from sessionstore.errors import Conflict, Corrupt, LockTimeout, RemoteUnavailable, SessionStoreError
from sessionstore.exchange.compare import STREAM_SUFFIX, Copy, compare, compare_stream, read_copy, same_file
from sessionstore.exchange.merge import MergeReport, Outcome, merge
from sessionstore.exchange.remote import manifest
from sessionstore.exchange.remote.claims import Claim, Watch, claimed
from sessionstore.exchange.remote.file_facts import FileFacts
from sessionstore.exchange.remote.opening import remote_source
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.exchange.remote.store import AT_ONCE, open_place, refuse
from sessionstore.exchange.remote.tree import RemoteTree
from sessionstore.exchange.sources import Progress, Total
from sessionstore.exchange.trees import FolderTree, Tree, read_whole
from sessionstore.layout import DOCUMENT
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter
from sessionstore.store import SessionStore
from sessionstore.store.folder_rows import MISSING_FOLDER, UNREADABLE

#: Sessions that are claimed and compared together; fewer when their files have more bytes than this.
BATCH, BATCH_BYTES = 16, 64 << 20


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
    report = MergeReport(place.label, dry_run)
    rows = [row for row in store.find(where, sort="created_at") if row.host is None]
    run = _Push(place, found[0] if found else {}, dry_run, total.add)
    try:
        for number, batch in _batches(store, rows):
            total.after(number, len(rows))
            report.outcomes += run.batch(batch)
    except BaseException:
        place.give_up()
        run.close()
        if run.sent:
            with contextlib.suppress(RemoteUnavailable):  # the first error counts; the next push adds them
                manifest.add(place.tried_once(), run.sent)
        raise
    run.close()
    if run.sent:
        manifest.add(place, run.sent)
    return report


def _batches(store: SessionStore, rows: list[SessionRow]) -> Iterator[tuple[int, list[SessionRow | _Job]]]:
    """Yield how many sessions came before, and sessions with their files; those without are as they are listed."""
    batch: list[SessionRow | _Job] = []
    size = before = 0
    for number, row in enumerate(rows):
        if row.status in (UNREADABLE, MISSING_FOLDER):
            batch.append(row)
        else:
            tree = FolderTree(store.root.folder(row.session_id))
            batch.append(_Job(row, tree))
            size += sum(tree.sizes.values())
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield before, batch
            batch, size, before = [], 0, number + 1
    if batch:
        yield before, batch


@dataclass(slots=True)
class _Job:
    """One session that may have to be sent: its files, and what became of it."""

    row: SessionRow
    tree: FolderTree
    ours: Copy | None = None
    digests: dict[str, tuple[int, str]] = field(default_factory=dict)
    outcome: Outcome | None = None
    missing: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.tree.name

    @property
    def copy(self) -> Copy:
        assert self.ours is not None, "the record was read before"
        return self.ours

    @property
    def is_sent(self) -> bool:
        return self.outcome is not None and self.outcome.action in ("copied", "updated")

    def fails(self, error: SessionStoreError) -> None:
        self.outcome = Outcome(self.name, "skipped", None, f"{type(error).__name__}: {error}")


class _Push:
    """One run towards one place.

    Attributes:
        sent: the entries of the sessions that stand there as they are here.
    """

    def __init__(
        self, place: FsspecPlace, entries: dict[str, manifest.Entry], dry_run: bool, progress: Progress
    ) -> None:
        self._place, self._entries, self._dry_run, self._progress = place, entries, dry_run, progress
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self.sent: dict[str, manifest.Entry] = {}

    def close(self) -> None:
        """End the threads; what waits is not begun."""
        self._pool.shutdown(cancel_futures=True)

    def batch(self, batch: list[SessionRow | _Job]) -> list[Outcome]:
        """Send what is missing there of some sessions, and return what became of each. Raises: RemoteUnavailable."""
        jobs = [each for each in batch if isinstance(each, _Job)]
        open_jobs = [job for job in jobs if self._is_open(job)]
        if self._dry_run:
            self._compare(open_jobs)
        elif open_jobs:
            with claimed(self._place, [job.name for job in open_jobs], self._pool) as claims:
                self._deliver([job for job in open_jobs if job.name in claims], claims)
            self._deliver_later([job for job in open_jobs if job.name not in claims])
        return [
            Outcome(each.session_id, "skipped", None, each.problem or each.status)
            if isinstance(each, SessionRow)
            else each.outcome or Outcome(each.name, "skipped")
            for each in batch
        ]

    def _is_open(self, job: _Job) -> bool:
        """Read the record and the digests; return whether the manifest does not already say that all is there."""
        try:
            job.ours = read_copy(job.tree)
            job.digests = {file: _digest(job.tree, file) for file in job.tree.sizes}
        except SessionStoreError as error:
            job.fails(error)
            return False
        known = self._entries.get(job.name)
        if known is not None and known.files == job.digests and known.row.uuid == job.copy.record.uuid:
            job.outcome = Outcome(job.name, "same", job.name)
        return job.outcome is None

    def _deliver_later(self, jobs: list[_Job]) -> None:
        """Send sessions that another push sends now, each once that is done with it. Raises: RemoteUnavailable."""
        watch = Watch(self._place)
        while jobs:
            for job in [job for job in jobs if watch.is_free(job.name)]:
                with claimed(self._place, [job.name], self._pool) as claims:
                    if job.name in claims:
                        self._deliver([job], claims)
                        jobs.remove(job)
            try:
                if jobs:
                    watch.pause(jobs[0].name)
            except LockTimeout as error:
                for job in jobs:
                    job.fails(error)
                return

    def _deliver(self, jobs: list[_Job], claims: dict[str, Claim]) -> None:
        """Send sessions whose claims are held, the records last. Raises: RemoteUnavailable."""
        self._compare(jobs)
        self._send([(job, file) for job in jobs if job.is_sent for file in job.missing if file != DOCUMENT])
        for job in jobs:
            if job.is_sent:
                try:
                    if job.tree.changed(DOCUMENT):
                        raise Conflict(f"{job.name} changed while it was sent; run the push again")
                    claims[job.name].check()
                except RemoteUnavailable:
                    raise
                except SessionStoreError as error:
                    job.fails(error)
        self._send([(job, DOCUMENT) for job in jobs if job.is_sent])
        self._check_sent([job for job in jobs if job.is_sent and job.unproved])
        for job in jobs:
            if job.outcome is not None and job.outcome.action in ("copied", "updated", "same"):
                row = manifest.portable(job.row, size=len(job.copy.data), mtime_ns=0)
                self.sent[job.name] = manifest.Entry(row, job.digests, job.copy.chain)

    def _compare(self, jobs: list[_Job]) -> None:
        """Compare sessions with what is there. Raises: RemoteUnavailable."""
        stand = self._place.files_of([job.name for job in jobs], self._pool) if jobs else {}
        for job in jobs:
            try:
                job.outcome, job.missing = self._compared(job.copy, stand[job.name])
            except RemoteUnavailable:
                raise
            except SessionStoreError as error:
                job.fails(error)

    def _compared(self, ours: Copy, stand: dict[str, FileFacts]) -> tuple[Outcome, list[str]]:
        """Compare with what is there; return the outcome, and the files that are to be sent.

        Raises: Conflict: another session has this id there.
        """
        name = ours.tree.name
        remote = RemoteTree(self._place, name, self._entries.get(name), ours.tree, stand)
        theirs = _record_there(remote, ours)
        if theirs is None:
            missing = [file for file in ours.tree.sizes if not _stands(ours.tree, remote, file, stand)]
            return Outcome(name, "copied", name), missing
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

    def _send(self, wanted: list[tuple[_Job, str]]) -> None:
        """Send files at once; a session of which one cannot be read here fails. Raises: RemoteUnavailable."""
        tries = [(job, file, self._pool.submit(self._send_file, job, file)) for job, file in wanted]
        for job, file, tried in tries:
            try:
                proved = tried.result()
            except RemoteUnavailable:
                for _, _, other in tries:
                    other.cancel()
                concurrent.futures.wait([other for _, _, other in tries])
                raise
            except SessionStoreError as error:
                job.fails(error)
                continue
            if not proved:
                job.unproved.append(file)
            if job.outcome is not None:
                job.outcome.bytes += job.tree.sizes[file]

    def _send_file(self, job: _Job, file: str) -> bool:
        tree, name = job.tree, f"{job.name}/{file}"
        if file == DOCUMENT:  # the one that was compared: an edit since then may speak of files that were not sent
            proved = self._place.send_data(job.copy.data, name)
        else:
            proved = self._place.send(str(tree.folder / file), name)
        self._progress(tree.sizes[file])
        return proved

    def _check_sent(self, jobs: list[_Job]) -> None:
        """Look at what stands there now of files whose answer proved nothing. Raises: RemoteUnavailable: it is less."""
        stand = self._place.files_of([job.name for job in jobs], self._pool) if jobs else {}
        for job in jobs:
            for file in job.unproved:
                facts = stand[job.name].get(file)
                size = facts.size if facts is not None else 0
                if size < job.tree.sizes[file]:
                    label = f"{self._place.label}/{job.name}/{file}"
                    raise RemoteUnavailable(f"{label} has {size} of {job.tree.sizes[file]} bytes after it was sent")


def _record_there(remote: RemoteTree, ours: Copy) -> Copy | None:
    """Return the session as it is there; None: it is new, or its push was cut before its record was there.

    Where files are not replaced at once (SFTP), a cut leaves an empty record, or the beginning of the one sent.
    Raises: Corrupt: the record there is another one, and damaged; RemoteUnavailable, and as :func:`read_copy`.
    """
    if DOCUMENT not in remote.sizes:
        return None
    try:
        return read_copy(remote)
    except Corrupt:
        if ours.data.startswith(read_whole(remote, DOCUMENT)):
            return None
        raise


def _digest(tree: FolderTree, file: str) -> tuple[int, str]:
    """Return size and SHA-256 of a file. Raises: StoreUnusable."""
    found = sha256()
    for chunk in tree.chunks(file, 0, tree.sizes[file]):
        found.update(chunk)
    return tree.sizes[file], found.hexdigest()


def _stands(ours: Tree, remote: Tree, file: str, stand: dict[str, FileFacts]) -> bool:
    """Whether a file stands there as it is here; by its MD5 where the service gives that, else it is read."""
    if file not in remote.sizes or remote.sizes[file] != ours.sizes[file]:
        return False
    mark = stand[file].version.partition("/")[0].strip('"')
    if len(mark) == 32:
        found = md5(usedforsecurity=False)
        for chunk in ours.chunks(file, 0, ours.sizes[file]):
            found.update(chunk)
        if found.hexdigest() == mark:
            return True
    return same_file(ours, remote, file)


def _differs(remote: Tree, ours: Tree, file: str) -> bool:
    if file.endswith(STREAM_SUFFIX) and "/" not in file:
        return compare_stream(remote, ours, file) != "same"
    return file not in remote.sizes or not same_file(ours, remote, file)
