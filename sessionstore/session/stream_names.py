"""The streams that this program writes, in one table, and the rules for the names of all others.

A name is letters, digits and underscores, and is one file on every operating system: names that Windows reserves, and
names that differ from an existing one only in case, are refused for new streams. Existing ones stay readable.
Not here: what a record holds (stream_record), which streams a session has (Session.tapes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sessionstore.errors import InvalidName
from sessionstore.model import names

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAX_LENGTH = 64
#: How the file of a stream ends, and that of a sealed one.
PLAIN, SEALED = ".jsonl", ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class StreamKind:
    """One stream: its title, the unit of its figures, where a page shows it, whether windows of it are thinned."""

    name: str
    title: str
    unit: str = ""
    tab: str = ""  # the stream in whose tab it is shown; a stream without one gets a tab of its own
    drawn: bool = False  # in the player and the charts, not as a table
    thinned: bool = False


MOTION, CLOCK, EVENTS, LOG = "motion_history", "clock", "events", "log"
COMMANDS, COMMUNICATION, METRICS, WEATHER = "commands", "communication", "metrics", "weather"
WINDOWS, DETECTIONS, TRAINING, TETHER = "windows", "detections", "ml_training", "tether"

KINDS = {
    kind.name: kind
    for kind in (
        StreamKind(MOTION, "Motion", "m", drawn=True, thinned=True),
        StreamKind(EVENTS, "Events", tab=EVENTS),
        StreamKind(COMMANDS, "Commands", tab=COMMANDS),
        StreamKind(COMMUNICATION, "Log", "dBm", tab=COMMUNICATION),
        StreamKind(LOG, "Program log", tab=COMMUNICATION),
        StreamKind(METRICS, "Metrics", "number", drawn=True, thinned=True),
        StreamKind(WEATHER, "Weather", "m/s", drawn=True),
        StreamKind(WINDOWS, "Windows", "m", drawn=True),
        StreamKind(CLOCK, "Clock", "UTC", drawn=True),
        StreamKind(DETECTIONS, "Detections"),
        StreamKind(TRAINING, "Training"),
        StreamKind(TETHER, "Tether", "N"),
    )
}
#: What a viewer that names no streams follows.
FOLLOWED = (MOTION, EVENTS, COMMANDS, COMMUNICATION, METRICS, WEATHER, WINDOWS, LOG)
#: The tabs on the page of a session, each with the streams in it.
TABS = {
    name: tuple(k.name for k in KINDS.values() if k.tab == name) for name, kind in KINDS.items() if kind.tab == name
}
#: The streams that stand in a tab with others or by themselves.
TABLED = tuple(kind.name for kind in KINDS.values() if kind.tab)
DRAWN = tuple(kind.name for kind in KINDS.values() if kind.drawn)


def kind_of(name: str) -> StreamKind:
    """Return what the table says of a stream; one that it does not name has a tab of its own under that name."""
    return KINDS.get(name) or StreamKind(name, name)


def stem_of(file: str) -> str | None:
    """Return the name of the stream that a file holds, plain or sealed; None: it holds none."""
    for suffix in (PLAIN, SEALED):
        if file.endswith(suffix):
            return file.removesuffix(suffix)
    return None


def files_of(files: Iterable[str]) -> list[str]:
    """Return the names of the streams among the files of a folder, sorted; plain and sealed are one stream."""
    return sorted({stem for file in files if (stem := stem_of(file)) is not None})


def is_stream_name(name: str) -> bool:
    """Whether a file of this name (without ``.jsonl``) is a stream; copies of sync programs and ``._x`` are not."""
    return _NAME.fullmatch(name) is not None


def check(name: str) -> str:
    """Return a name that can be read. Raises: InvalidName."""
    if not isinstance(name, str) or not is_stream_name(name):
        hint = f"; {suggested!r} would do" if isinstance(name, str) and (suggested := suggestion(name)) else ""
        raise InvalidName(f"a stream is named by letters, digits and underscores, at most 64, not {name!r}{hint}")
    return name


def check_new(name: str, existing: Iterable[str]) -> str:
    """Return a name under which a stream may be begun beside the existing ones.

    Raises: InvalidName: with a name that would do.
    """
    check(name)
    if names.sanitise(name) != name:
        raise InvalidName(f"Windows reserves the name {name!r}; {suggestion(name)!r} would do")
    for other in existing:
        if other != name and names.collision_key(other) == names.collision_key(name):
            raise InvalidName(f"the stream {other!r} exists, and some file systems take {name!r} for it; use {other!r}")
    return name


def suggestion(name: str) -> str | None:
    """Return a valid name near this one, or None."""
    kept = re.sub(r"[^A-Za-z0-9_]+", "_", names.sanitise(name)).strip("_")[: _MAX_LENGTH - 7]
    if not kept:
        return None
    kept = kept if kept[0].isalpha() else f"stream_{kept}"
    return kept if names.sanitise(kept) == kept else f"{kept}_"
