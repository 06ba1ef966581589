"""One file or folder into a store: the format is found by content, and the same content is imported once.

Not here: several files and the command line (cli), what a format reads (the formats).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid5

from sessionstore.errors import InvalidRecord, SessionStoreError
from sessionstore.formats import registry
from sessionstore.formats.draft import SessionDraft, known_session
from sessionstore.formats.protocol import ImportReport, Options, Readable
from sessionstore.store import SessionStore

#: Names the uuids that are made of content (RFC 9562, version 5).
NAMESPACE = UUID("6f1d4c4e-3c0e-5b7a-9d55-0a6c7f0c1e2d")


def import_path(
    store: SessionStore,
    path: Path,
    as_format: str | None = None,
    options: Options | None = None,
    session_name: str | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Import one file or folder as one session, once: its uuid is made of its content.

    Args:
        as_format: by default the one with the highest confidence.
        options: for the format.
        session_name: by default the name that the file gives, else the name of the file.
        dry_run: read everything, write nothing.

    Returns: a report, also of what cannot be imported (``state`` skipped or failed, with the reason).

    Raises: InvalidQuery: no such format, or it lacks a module. StoreUnusable: the store cannot be written.
    """
    if not os.path.lexists(path):
        raise InvalidRecord(f"{path} does not exist")
    found = registry.detect(path) if as_format is None else registry.find(as_format)
    report = ImportReport(str(path), found.name)
    if not isinstance(found, Readable):
        report.state, report.reason = "skipped", f"the format {found.name} cannot be read, only written"
        return report
    try:
        fingerprint = fingerprint_of(path)
        uuid = str(uuid5(NAMESPACE, fingerprint))
        if (known := known_session(store, uuid)) is not None:
            report.state, report.session_id = "already there", known
            return report
        with SessionDraft(store, uuid, dry_run) as draft:
            draft.source = {"name": path.name, "format": found.name, "fingerprint": fingerprint}
            report = found.read(path, draft, options or {})
            if session_name is not None:
                draft.set(session_name=session_name)
            elif not draft.has("session_name"):
                draft.set(session_name=path.stem)
            draft.source.update(imported_at=datetime.now(UTC).isoformat(), problems=list(report.problems))
            if dry_run:
                draft.record()
            else:
                report.session_id = draft.commit()
            report.state = "would import" if dry_run else "imported"
    except InvalidRecord as error:
        report.state, report.reason = "skipped", str(error)
    except (SessionStoreError, OSError) as error:
        report.state, report.reason = "failed", f"{type(error).__name__}: {error}"
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, MemoryError) as error:
        # What damaged content led a library to.
        report.state, report.reason = "failed", f"Corrupt: {path.name} is damaged ({type(error).__name__}: {error})"
    return report


def fingerprint_of(path: Path) -> str:
    """Return a hash of the content: of a file its bytes; of a folder its name, and name and bytes of each file."""
    if not path.is_dir():
        return _digest(path)
    lines = [path.name, *(f"{inner.relative_to(path).as_posix()}:{_digest(inner)}" for inner in _plain_files(path))]
    return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _digest(path: Path) -> str:
    digest = sha256()
    for part in registry.chunks(path):
        digest.update(part)
    return digest.hexdigest()


def _plain_files(folder: Path) -> Iterator[Path]:
    for place, inner, found in os.walk(folder):
        inner.sort()
        yield from (Path(place, name) for name in sorted(found) if _is_plain(Path(place, name)))


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
