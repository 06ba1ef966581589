"""What a format is: a name, a test whether a file is one, and reading or writing or both.

    class Trajectories:
        name, about = "xyz", "trajectories of the XYZ planner"
        extensions, requires = (".xyz",), ("numpy",)

        def sniff(self, head, path):                 # content decides; the extension may only raise the confidence
            return 0.9 if head.startswith(b"XYZ1") else 0.0

        def read(self, path, into, options):
            report = ImportReport(str(path), self.name)
            for row in rows_of(path):
                into.motion.append(row.drone, t_s=row.t, position_m=row.enu)
                report.count("pose")
            return report

The constructor takes no arguments and imports nothing heavy: libraries are imported inside ``read`` and ``write``.
Not here: which formats there are (registry), where records go (draft).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft
    from sessionstore.session import Session

#: Options of the command line as text, such as {"map": "x=px,y=py", "zone": "UTC"}; a format ignores other names.
Options = Mapping[str, str]
State = Literal["imported", "would import", "updated", "would update", "already there", "skipped", "failed"]


@dataclass(slots=True)
class TopicCount:
    """Messages of one topic: read from the file, stored as records, and the stream that holds them."""

    messages_in: int = 0
    records_out: int = 0
    stream: str = ""


@dataclass(slots=True)
class ImportReport:
    """The result of one import: nothing is dropped without being counted here.

    Attributes:
        problems: what is damaged or was left out. notes: what was guessed, which a user may want to correct.
        sessions: of a place that holds many, the report of each.
    """

    source: str
    format: str
    state: State = "would import"
    session_id: str | None = None
    reason: str | None = None
    topics: dict[str, TopicCount] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sessions: list[ImportReport] = field(default_factory=list)

    def count(self, topic: str, messages_in: int = 1, records_out: int = 1, stream: str = stream_names.MOTION) -> None:
        """Add messages of a topic; ``records_out`` 0 for a message that was not stored."""
        counted = self.topics.setdefault(topic, TopicCount(stream=stream))
        counted.messages_in += messages_in
        counted.records_out += records_out

    def take(self, part: Part, report: ImportReport) -> None:
        """Add the report of one session of a place that holds many."""
        report.source = f"{self.source}#{part.key}"
        self.sessions.append(report)
        for topic, counted in report.topics.items():
            self.count(topic, counted.messages_in, counted.records_out, counted.stream)
        if report.state in ("failed", "skipped"):
            self.problems.append(f"{part.name} ({part.key}): {report.reason}")
        self.problems += [f"{part.name} ({part.key}): {problem}" for problem in report.problems]
        self.notes += [f"{part.name} ({part.key}): {note}" for note in report.notes]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


@runtime_checkable
class Format(Protocol):
    """What all formats have.

    Attributes:
        name: the word for ``--as`` and ``--to``, lower case.
        about: one line for ``sessionstore formats``.
        extensions: with the dot, lower case; () for folders.
        requires: modules that must be importable, such as ("pyarrow",).

    A format of this package may name the extra that installs them (``extra``, by default ``formats``).
    """

    name: str
    about: str
    extensions: tuple[str, ...]
    requires: tuple[str, ...]

    def sniff(self, head: bytes, path: Path) -> float:
        """Return the confidence, 0.0 to 1.0, that a path has this format.

        Args:
            head: the first 4,096 bytes of the file; empty for a folder.
        """
        ...


@runtime_checkable
class Readable(Format, Protocol):
    """A format that can be imported."""

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a file or folder into a draft: sim_time from the first sample on, ENU metres, SI units.

        Raises:
            InvalidRecord: it cannot be used (with what to do); Corrupt: it is damaged before the first record.
        """
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """One session of a place that holds many.

    Attributes:
        key: names it for ever, wherever the place is moved to; its uuid is made of it.
        name: for people.
        fingerprint: changes when the run has changed; cheap to make, such as sizes and times of files.
        handle: what the format itself needs to read it.
    """

    key: str
    name: str
    fingerprint: str
    handle: Any = None


@runtime_checkable
class Collection(Format, Protocol):
    """A format whose files or folders hold many sessions. A second import adds what is new."""

    def parts(self, path: Path, options: Options, report: ImportReport) -> Iterator[Part]:
        """Yield the sessions; what is left out goes into the report. Raises: as ``Readable.read``."""
        ...

    def read_part(self, path: Path, part: Part, into: SessionDraft, options: Options) -> ImportReport:
        """Read one session into a draft; its streams only grow from import to import. Raises: as ``Readable.read``."""
        ...


@runtime_checkable
class Writable(Format, Protocol):
    """A format that sessions can be exported to."""

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write a session to a file or folder, and return what was written.

        Raises: Conflict: it exists; InvalidRecord: this session lacks what the format needs (with what).
        """
        ...


@runtime_checkable
class Partitioned(Writable, Protocol):
    """A format that writes a session as several files below a folder, beside those of other sessions."""

    def write_partitions(self, session: Session, folder: Path) -> Iterator[Path]:
        """Write a session below a folder, and yield the files. Raises: as :meth:`Writable.write`."""
        ...


@runtime_checkable
class Together(Writable, Protocol):
    """A format that holds several sessions in one file."""

    def write_together(self, sessions: Sequence[Session], path: Path, options: Options) -> Path:
        """Write sessions to one file. Raises: as :meth:`Writable.write`."""
        ...
