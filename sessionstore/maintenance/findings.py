"""What an examination reports: one finding for each fault, and the catalogue of all kinds of faults.

A finding names the place, the fact, why it matters and the command that repairs it. ``error`` means that data is lost
or at risk, ``warning`` that something will cause trouble later, ``info`` that it is worth knowing.
Not here: finding (maintenance.checks), repairing (maintenance.repairs).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the catalogue: severity, why it matters, what repairs it.

    In ``repair``, {path} is the place, quoted for a shell, and {dir} the options that name the store.
    """

    severity: Severity
    why: str
    repair: str
    fixable: bool = False


_FIX = "sessionstore doctor --fix{dir}"
_EMPTY = "sessionstore trash empty{dir}"
_BACK = "put it back, or edit the record"
_UPGRADE = "pip install -U sessionstore"
_OLD = "take the old lines from a copy: sessionstore doctor --take old{dir} (--from BACKUP)"
_CHOICE = f"accept it: sessionstore doctor --accept-edits{{dir}}; or {_OLD}"

CATALOGUE: dict[str, Kind] = {
    # ---- the ground
    "format-newer": Kind("error", "an older version would misread it, so it is left alone", _UPGRADE),
    "format-unreadable": Kind("error", "without it the store cannot be opened", _FIX, True),
    "filesystem-unsafe": Kind(
        "error",
        "locks may hold on one machine only: two writers would overwrite each other unnoticed",
        "move the store to a local disk (SESSIONSTORE_FORCE=1 if only one host ever writes)",
    ),
    "filesystem-unknown": Kind(
        "info", "it is not known whether its locks can be trusted", "keep the store to one host"
    ),
    "filesystem-read-only": Kind("info", "sessions can be read, not recorded", "mount it read-write"),
    "not-writable": Kind("warning", "sessions can be read, not recorded or changed", "chmod u+rwX {path}"),
    "space-low": Kind("warning", "a recorder that finds the disk full stops storing", _EMPTY),
    "space-out": Kind("error", "nothing can be stored", _EMPTY),
    "inodes-low": Kind("warning", "each session needs some files; without inodes none can be made", _EMPTY),
    "clock-behind": Kind(
        "warning", "new sessions would sort before old ones, and heartbeats look recent", "set the clock (timedatectl)"
    ),
    "time-ahead": Kind(
        "warning", "a run that crashed would look alive until that moment", "set the clock, then: touch {path}"
    ),
    # ---- the index
    "index-damaged": Kind("error", "listings rebuild it from the folders each time until it is repaired", _FIX, True),
    "index-away": Kind(
        "warning",
        "listings read the folders, which is slower; new rows are delivered later",
        "start the engine",
    ),
    "index-behind": Kind("info", "the next listing reads the folder anew by itself", "sessionstore list{dir}", True),
    "row-absent": Kind("info", "the next listing adopts the folder by itself", "sessionstore list{dir}", True),
    "journal-outgrown": Kind(
        "info",
        "a process that begins reads a journal as a whole (0.6 s and 170 MB at 100,000 sessions), a database not",
        "sessionstore migrate --to sqlite:{dir}",
    ),
    "sqlite-outgrown": Kind(
        "info",
        "one process writes at a time, on one host; a server takes them from many",
        "sessionstore migrate --to postgresql://user@host/name{dir}",
    ),
    "folder-missing": Kind(
        "warning",
        "it was removed by hand, or its disk is not mounted; the row is all that is left",
        "put the folder back, or drop the row: sessionstore rebuild{dir}",
    ),
    "uuid-twice": Kind("warning", "the two would be taken for one session when stores are merged", _FIX, True),
    # ---- a session
    "document-missing": Kind(
        "error", "without session.json the folder has no record; the streams are whole", _FIX, True
    ),
    "document-unreadable": Kind(
        "error",
        "the session is listed as unreadable; its streams can still be read",
        "repair the line in an editor, or rebuild the record from index and streams: "
        "sessionstore doctor --fix --salvage{dir}",
    ),
    "document-newer": Kind("error", "it was written by a newer version and is left alone", _UPGRADE),
    "unsafe-file": Kind(
        "error",
        "links, pipes and devices are never followed: a copied folder could point anywhere",
        "put the plain file in its place",
    ),
    "unreadable-file": Kind("error", "what cannot be read cannot be checked or replayed", "chmod u+r {path}"),
    "interrupted": Kind("warning", "its status is running, and its process is gone", _FIX, True),
    "suspended": Kind(
        "info",
        "its process is alive and gives no heartbeat: it is stopped, or blocked; nothing is lost",
        "continue it (kill -CONT, or fg), or end it",
    ),
    "silent": Kind(
        "warning",
        "no heartbeat for a while; its process is not visible from here and may be suspended",
        "wait, or end that process; after an hour of silence: sessionstore doctor --fix{dir}",
    ),
    "stream-torn": Kind(
        "warning",
        "its process died while it wrote a record; readers stop before it",
        _FIX,
        True,
    ),
    "stream-damaged": Kind(
        "error",
        "reading stops there with an error; the lines after it are whole",
        f"correct it in an editor; or {_OLD}; or move the lines to quarantine: {_FIX}",
        True,
    ),
    "seal-interrupted": Kind(
        "warning", "the plain stream is read; the sealed one takes room, and may be an older state", _FIX, True
    ),
    "seal-damaged": Kind(
        "error",
        "what its members lost reads as a damaged line; all other members are read",
        f"take the file from a copy; or keep what is whole as a plain stream: {_FIX}",
        True,
    ),
    "seal-index": Kind("warning", "its index is found again by each reader, which costs time", _FIX, True),
    "seal-foreign": Kind("error", "it cannot be read as a stream", "gunzip {path}"),
    "stream-edited": Kind(
        "error",
        "a value is not the one that was recorded: a person changed it, or the disk did; readers show it, marked",
        f"accept it (a new checksum): sessionstore doctor --accept-edits{{dir}}; or {_OLD}",
    ),
    "stream-changed": Kind(
        "warning", "another program or a person changed the file; all of it is read, and appending goes on", _CHOICE
    ),
    "stream-line-ends": Kind(
        "warning",
        "another program changed bytes around the records (line ends, blank lines, a byte order mark, the character "
        "set); all records are read; --fix rewrites only these",
        _FIX,
        True,
    ),
    "conflict-copy": Kind(
        "warning",
        "a sync program kept two versions of one file; the copy is never read",
        "keep the file: sessionstore doctor --take ours{dir}; or the copy: sessionstore doctor --take theirs{dir}",
    ),
    "stream-not-portable": Kind(
        "warning", "it is lost or refused when the folder is copied to another system", "rename the file"
    ),
    "stream-pointer": Kind("error", "the content of the stream is not on this machine", "git lfs pull"),
    "stream-foreign": Kind(
        "error",
        "two sessions were mixed: the record is of the one, the stream of the other",
        "take the folder of each session from its copy or backup",
    ),
    "stream-gap": Kind(
        "error",
        "records are missing: lines were deleted, or two files were mixed",
        _CHOICE,
    ),
    "stream-short": Kind(
        "warning", "the run ended with more records than there are: some were cut off or removed", _CHOICE
    ),
    "stream-repaired": Kind("info", "lines are missing that a repair moved to quarantine, or a person accepted", "-"),
    "stream-accepted": Kind("info", "lines stand in another order than they were recorded; a person accepted it", "-"),
    "file-shared": Kind(
        "warning",
        "appending to it is refused, since the other name would show the same records",
        "cp -p {path} {path}.own && mv {path}.own {path}",
    ),
    "stream-unverified": Kind(
        "info",
        "lines without checksum were written by hand or by another program; all of them are read",
        "nothing; or take lines out that were inserted between recorded ones: sessionstore doctor --take old{dir}",
    ),
    "artifact-missing": Kind("warning", "the record lists it, the folder does not hold it", _BACK),
    "artifact-changed": Kind("warning", "it is not the file that was stored", _BACK),
    "folder-link": Kind("warning", "links are never followed, so it is not listed", "{repair}"),
    "folder-hidden": Kind("warning", "a session that no listing shows", "{repair}"),
    "folder-nested": Kind("warning", "a session that no listing shows; it was copied one level too deep", "{repair}"),
    "folder-not-portable": Kind("warning", "copying it to Windows fails or changes its name", "{repair}"),
    "folder-empty": Kind("info", "an empty folder with the name of a session", _FIX, True),
    "folder-foreign": Kind("info", "it is not a session: neither a record nor a stream", "move it out of the store"),
    "folder-legacy": Kind("info", "it has the layout of the old system", "sessionstore import-legacy {path}{dir}"),
    # ---- leftovers
    "temp-left": Kind(
        "info",
        "a write that was not acknowledged was interrupted; the file beside it is whole",
        _FIX,
        True,
    ),
    "staging-left": Kind("info", "a creation that was not acknowledged was interrupted", _FIX, True),
    "trash-hollow": Kind("info", "a deletion was interrupted before the move; the session is in its place", _FIX, True),
    "trash-size": Kind(
        "info",
        "deleted sessions use space until the trash is emptied",
        "sessionstore trash empty --older-than 30d{dir}",
    ),
    "columns-stale": Kind(
        "info", "they are not read; the next question makes them again", f"remove them: {_FIX}", True
    ),
    "columns-damaged": Kind("warning", "they are not read; the stream beside them is the truth", _FIX, True),
    "columns-orphan": Kind("info", "no question reads them", _FIX, True),
    "columns-size": Kind(
        "info", "a cache, which questions make and may be deleted at any moment", "sessionstore columns --delete{dir}"
    ),
    "quarantine-size": Kind(
        "info",
        "bytes that repairs removed are kept until they are deleted",
        "sessionstore quarantine empty --older-than 30d{dir}",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; ``data`` is what its repair needs, as plain values."""

    code: str
    where: str
    what: str
    session_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Its entry in the catalogue."""
        return CATALOGUE[self.code]

    @property
    def severity(self) -> Severity:
        """error, warning or info."""
        return self.kind.severity

    def repair(self, store: str, options: str = "") -> str:
        """Return the command that can be pasted, or the manual step.

        Args:
            store: its folder, which places are relative to.
            options: those that name this store, with a leading blank.
        """
        return self.kind.repair.format(
            repair=self.data.get("repair", "rename or move it"),
            path=shlex.quote(os.path.join(store, self.where)),
            dir=options,
        )

    def to_dict(self, store: str, options: str = "") -> dict[str, Any]:
        """Return plain data for ``--json``. Args: as :meth:`repair`."""
        facts, repair = asdict(self), self.repair(store, options)
        more = {"severity": self.severity, "why": self.kind.why, "repair": repair, "fixable": self.kind.fixable}
        return {"code": facts.pop("code"), **more, **facts}


@dataclass(slots=True)
class Report:
    """What an examination found, and how much it looked at.

    Args:
        options: what names this store on the command line, where it was named: `` --dir X --index Y``.
    """

    store: str
    deep: bool
    sessions: int = 0
    streams: int = 0
    lines: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    options: str = ""

    @property
    def healthy(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return all(finding.severity == "info" for finding in self.findings)

    def count(self, severity: Severity) -> int:
        """Return how many findings are this bad."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {
            "store": self.store,
            "healthy": self.healthy,
            "deep": self.deep,
            "sessions": self.sessions,
            "streams": self.streams,
            "lines": self.lines,
            "seconds": round(self.seconds, 3),
            "counts": {severity: self.count(severity) for severity in SEVERITIES},
            "findings": [finding.to_dict(self.store, self.options) for finding in self.findings],
        }


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by severity, then place."""
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), finding.where, finding.code))
