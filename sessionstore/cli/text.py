"""Values as a terminal shows them: always with a unit; control characters are escaped.

Not here: colours of a status (server.routes.sessions), JSON (options).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

STATUS_COLOURS = {
    "running": "green",
    "paused": "yellow",
    "completed": None,
    "stopped": None,
    "created": "cyan",
    "failed": "red",
    "interrupted": "red",
    "unreadable": "red",
    "missing": "yellow",
}


def shown(text: str) -> str:
    """Return text with control, bidi and invisible characters escaped: a name cannot forge a line or a colour."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else _escape(char)
        for char in text
    )


def _escape(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def cells(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.category(char) == "Mn" for char in text)


def duration(seconds: float | None) -> str:
    """Return 4 min 12 s; a dash when unknown."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def distance(metres: float | None) -> str:
    """Return 312 m or 3.2 km; a dash when unknown."""
    if metres is None:
        return "-"
    return f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.1f} km"


def count(number: int | None) -> str:
    """Return 84,210; a dash when unknown."""
    return "-" if number is None else f"{number:,}"


def size(number: int) -> str:
    """Return 12 kB; powers of 1000, as disks count."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def when(instant: str | None) -> str:
    """Return a UTC instant in this machine's zone, to the minute."""
    if not instant:
        return "-"
    from sessionstore.model.instants import instant as parse

    return f"{parse(instant).astimezone():%Y-%m-%d %H:%M}"


def ago(moment: datetime, now: datetime) -> str:
    """Return the time since a moment, as 5 min 3 s ago."""
    return f"{duration(max(0.0, (now - moment).total_seconds()))} ago"


def cut(text: str, width: int) -> str:
    """Return a text of at most this many columns, cut in the middle."""
    if cells(text) <= width:
        return text
    head = (width - 3 + 1) // 2
    return _first(text, head) + "..." + _first(text[::-1], width - 3 - head)[::-1]


def _first(text: str, width: int) -> str:
    end = 0
    while end < len(text) and cells(text[: end + 1]) <= width:
        end += 1
    return text[:end]


def _fitted(widths: list[int], width: int) -> list[int]:
    """Return the widths of columns that fit a terminal: the widest give way, down to 12."""
    fitted = list(widths)
    while sum(fitted) + 2 * (len(fitted) - 1) > width and max(fitted) > 12:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def table(
    head: Sequence[str], rows: Sequence[Sequence[Any]], colour: int | None = None, width: int | None = None
) -> str:
    """Return aligned columns; column ``colour`` is coloured as a status.

    Args:
        width: the columns of the terminal; long cells are cut in the middle so that a row fits.

    A list of 10,000 sessions must print in 0.3 s, which a table with boxes cannot do.
    """
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max([cells(name), *(cells(row[number]) for row in texts)]) for number, name in enumerate(head)]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        widths = _fitted(widths, width)
        texts = [[cut(cell, each) for cell, each in zip(row, widths, strict=True)] for row in texts]
    lines = ["  ".join(_padded(name, each) for name, each in zip(head, widths, strict=True)).rstrip()]
    for row in texts:
        parts = [_padded(cell, each) for cell, each in zip(row, widths, strict=True)]
        if colour is not None and (paint := STATUS_COLOURS.get(row[colour])):
            parts[colour] = click.style(parts[colour], fg=paint)
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))
