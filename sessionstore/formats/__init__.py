"""Foreign formats: one protocol for reading other programs' files as sessions and writing sessions for other programs.

    protocol    what a format is, and what an import reports     registry    which formats there are
    tables      CSV, JSON Lines, Parquet
    draft       a session being imported, all or nothing         importing   files into a store, once each

A third party adds a format with the entry point group ``sessionstore.formats``: a class that satisfies :class:`Format`.
Not here: the old system's folders (legacy), bundles and the offline page (session, server).
"""

from sessionstore.formats.draft import SessionDraft
from sessionstore.formats.exporting import export_session, export_sessions
from sessionstore.formats.importing import import_path
from sessionstore.formats.protocol import Format, ImportReport, Options, Readable, Together, TopicCount, Writable
from sessionstore.formats.registry import detect, find, formats

__all__ = [
    "Format",
    "ImportReport",
    "Options",
    "Readable",
    "SessionDraft",
    "Together",
    "TopicCount",
    "Writable",
    "detect",
    "export_session",
    "export_sessions",
    "find",
    "formats",
    "import_path",
]
