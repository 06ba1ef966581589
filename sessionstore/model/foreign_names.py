"""Names that other programs leave in folders: sync programs, operating systems, editors. Pure functions, one list.

A file or folder with such a name is never a stream and never a session, and nothing of ours moves or changes it.
Not here: what a conflict copy differs in (maintenance.checks.foreign_files), names of ours (names).
"""

from __future__ import annotations

import re

#: Folders that operating systems and NAS boxes make at the root of a disk or a share; compared without case.
SYSTEM_FOLDERS = frozenset(
    (
        *("lost+found", "system volume information", "@eadir", "$recycle.bin", "__macosx", "recycler", "found.000"),
        *("@recycle", "#recycle", "@tmp", "#snapshot", "lost.dir", "network trash folder", "temporary items"),
        *("__pycache__", "node_modules", "desktop.ini", "thumbs.db", "@sharebin", "@recently-snapshot"),
    )
)
#: Conflict copies: the program, and a pattern of the name without its extension.
_CONFLICTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Syncthing", re.compile(r"(?P<stem>.+)\.sync-conflict-\d{8}-\d{6}(?:-\w+)?")),
    ("Dropbox or Nextcloud", re.compile(r"(?P<stem>.+) \([^()]*conflict(?:ed)? copy[^()]*\)", re.IGNORECASE)),
    ("Dropbox", re.compile(r"(?P<stem>.+) \((?:case|unicode encoding|selective sync) conflict[^()]*\)", re.IGNORECASE)),
    ("Nextcloud or ownCloud", re.compile(r"(?P<stem>.+)_conflict-\d{8}-\d{6}")),
    ("Resilio", re.compile(r"(?P<stem>.+)\.Conflict")),
    ("Seafile", re.compile(r"(?P<stem>.+) \(SFConflict [^()]*\)")),
    ("iCloud", re.compile(r"(?P<stem>.+) [2-9]")),
    ("Google Drive, Windows or macOS", re.compile(r"(?P<stem>.+) \(\d{1,3}\)")),
    ("macOS or Windows", re.compile(r"(?P<stem>.+)(?: copy(?: \d+)?| - Copy(?: \(\d+\))?)")),
    ("OneDrive", re.compile(r"(?P<stem>\w+)-[A-Za-z][A-Za-z0-9-]{1,62}(?:-\d+)?")),
)
#: Files of operating systems, sync programs and editors.
_LEFT = re.compile(
    r"\._.*|\.DS_Store|Icon\r?|Thumbs\.db|desktop\.ini|~\$.*|.*~|#.*#|\.#.*|.*\.sw[a-p]|.*\.(?:orig|rej|bak|part|crdownload)"
    r"|\.fuse_hidden.*|\.nfs[0-9a-f]+|.*\.!sync|~syncthing~.*|\.syncthing\..*|\.sync_.*\.db.*|\.owncloudsync\.log.*|.*@SynoEAStream",
    re.IGNORECASE | re.DOTALL,
)
_EXTENSIONS = (".jsonl", ".json")


def is_system_folder(name: str) -> bool:
    """Whether a folder at the root of a store belongs to the operating system or a NAS."""
    return name.casefold() in SYSTEM_FOLDERS


def conflict_of(name: str) -> tuple[str, str] | None:
    """Return the name of the original file and the program, when a JSON or stream file is a conflict copy."""
    for extension in _EXTENSIONS:
        if name.endswith(extension):
            stem = name.removesuffix(extension)
            for program, pattern in _CONFLICTS:
                if (found := pattern.fullmatch(stem)) is not None:
                    return f"{found['stem']}{extension}", program
            return None
    return None


def is_foreign(name: str) -> bool:
    """Whether a file in a session's folder is another program's: a conflict copy, a system or an editor file."""
    return _LEFT.fullmatch(name) is not None or conflict_of(name) is not None
