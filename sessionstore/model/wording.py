"""Numbers with their nouns, as messages of all rooms write them.

Not here: values with units (cli.text), names of sessions (names).
"""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 line, 2 lines, 1,200 lines."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"
