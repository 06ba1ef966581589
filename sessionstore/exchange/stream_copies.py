"""Copies of a stream at a place that a person names: a store, a session folder, a bundle, or a file.

Nothing is written there. Only copies of the same session are offered (by uuid, or by the name of the folder where a
record cannot be read). Not here: which of their lines are believed (maintenance.repairs.old_lines).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import SessionNotFound, SessionStoreError
from sessionstore.exchange.sources import open_source
from sessionstore.exchange.trees import Tree, read_whole
from sessionstore.layout import DOCUMENT
from sessionstore.maintenance.repairs.choices import CopiesOf
from sessionstore.maintenance.repairs.old_lines import StreamCopy
from sessionstore.maintenance.repairs.stream_copies import identities, identity_of
from sessionstore.model.records import read_record
from sessionstore.session import Session, stream_source
from sessionstore.session.documents import tables_of
from sessionstore.session.sealed_form import SUFFIX
from sessionstore.store import SessionStore, merge_staging


@contextlib.contextmanager
def copies_at(store: SessionStore, places: Iterable[str | Path]) -> Iterator[list[CopiesOf]]:
    """Yield what finds the copies at each place; what must be unpacked first is in staging for as long as that.

    Raises: SessionNotFound: there is nothing; Corrupt, UnsafeFile: a bundle that cannot be trusted; LockTimeout: a
        merge into this store runs.
    """
    unpacked: list[Path] = []
    with contextlib.ExitStack() as cleanup:

        def scratch() -> Path:
            if not unpacked:
                cleanup.enter_context(merge_staging.alone(store.root))
            folder = merge_staging.new_folder(store.root, merge_staging.UNPACKED)
            cleanup.callback(files.remove_tree, folder)
            unpacked.append(folder)
            return folder

        yield [_copies_at(place, scratch) for place in places]


def _copies_at(place: str | Path, scratch: Callable[[], Path]) -> CopiesOf:
    path = Path(place).expanduser().absolute()
    if path.is_file() and ".jsonl" in path.name:
        data = _bytes_of(path)
        return lambda session, name: iter([StreamCopy(str(place), lambda: data)] if name in path.name else [])
    trees = [opener() for opener in open_source(path, scratch).trees]
    if not trees:
        raise SessionNotFound(f"there are no sessions in {path}")

    def found(session: Session, name: str) -> Iterator[StreamCopy]:
        identity = identity_of(session)
        for tree in trees:
            theirs = _identities_of(tree)
            related = bool(identity & theirs) if identity and theirs else tree.name == session.session_id
            if related and name in tree.sizes:
                yield StreamCopy(str(place), lambda tree=tree: _stream(tree, name), bool(identity & theirs))  # type: ignore[misc]

    return found


def _bytes_of(path: Path) -> bytes:
    """Return the lines of a file, plain or sealed. Raises: Corrupt, UnsafeFile, StoreUnusable."""
    if not path.name.endswith(SUFFIX):
        return files.read(path)[0]
    with stream_source.opened_sealed(path) as sealed:
        return sealed.read_at(sealed.size, 0)


def _identities_of(tree: Tree) -> frozenset[str]:
    try:
        data = read_whole(tree, DOCUMENT)
        return identities(read_record(tables_of(data, DOCUMENT), data, DOCUMENT, tree.name))
    except (SessionStoreError, KeyError):
        return frozenset()  # a record that cannot be read


def _stream(tree: Tree, name: str) -> bytes:
    try:
        return read_whole(tree, name)
    except SessionStoreError:
        return b""  # it went away, or is damaged there
