"""Checks of the column cache: columns that no longer fit their stream, damaged ones, those of no session; their size.

None of it can make an answer wrong: what does not fit is not read.
Not here: where the cache is and when it fits (store.column_files), making it (analysis.columns).
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.maintenance.checks.leftovers import temporary_files
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.store import column_files


def check_columns(examination: Examination) -> Iterator[Finding]:
    """Look at everything in the cache."""
    root, taken, saved, fitting = examination.root, 0, 0, 0
    if files.status(root.columns) is None:
        return
    for session_id in sorted(files.folder_names(root.columns)):
        yield from temporary_files(examination, files.entries(root.columns / session_id))
    for session_id, stream in column_files.cached(root):
        size = column_files.size_of(root, session_id, stream)
        taken += size
        wrong = _wrong(examination, session_id, stream)
        if wrong is not None:
            code, what = wrong
            where = examination.place(root.columns / session_id / stream)
            yield Finding(code, where, what, session_id, {"stream": stream})
            continue
        found = column_files.find(root, session_id, stream)
        fitting += found is not None
        saved += found.key.source.size - found.key.parquet.size if found is not None else 0
    if taken:
        what = f"{fitting} streams as columns, {taken / 1e6:,.1f} MB; a question reads {saved / 1e6:,.1f} MB less"
        yield Finding("columns-size", examination.place(root.columns), what)


def _wrong(examination: Examination, session_id: str, stream: str) -> tuple[str, str] | None:
    root = examination.root
    path = root.folder(session_id) / f"{stream}.jsonl"
    stamp = column_files.stamp_of(path)
    if stamp is None:
        return "columns-orphan", "columns of a stream that is not there"
    found = column_files.find(root, session_id, stream)
    if found is None:
        key = _key(examination, session_id, stream)
        if key is not None and key.source == stamp:
            return "columns-damaged", "the end of the file is not the one that was written"
        return "columns-stale", "the stream changed, or the making was interrupted"
    if not examination.deep:
        return None
    try:
        if column_files.file_crc32(found.path) != found.key.parquet.crc32:
            return "columns-damaged", "the bytes are not those that were written"
        overview = found.key.overview
        if overview is not None and column_files.file_crc32(found.overview_path) != overview.crc32:
            return "columns-damaged", "the bytes of the overview are not those that were written"
        if column_files.stream_crc32(path) != found.key.source_crc32:
            return "columns-stale", "the bytes of the stream changed, its times did not"
    except (SessionStoreError, OSError) as error:
        return "columns-damaged", str(error)
    return None


def _key(examination: Examination, session_id: str, stream: str) -> column_files.Key | None:
    try:
        return column_files.key_of(examination.root, session_id, stream)
    except (SessionStoreError, OSError):
        return None
