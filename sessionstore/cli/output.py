"""JSON on stdout, and what a terminal supports: width, colours, encoding.

Not here: how single values look (cli.text), progress bars (cli.progress).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: Any) -> None:
    """Print data, and nothing else, on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_ndjson(values: Iterable[Any]) -> None:
    """Print one JSON value per line on stdout."""
    for value in values:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def without_escapes() -> bool:
    """Whether the user wants no escape sequence at all (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def terminal_width() -> int | None:
    """Return the columns of the terminal on stdout, or None if stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def console(stderr: bool = False, **settings: Any) -> Console:
    """Return a rich console that heeds NO_COLOR: no colour, and no bold or dim either."""
    from rich.console import Console

    return Console(stderr=stderr, color_system=None if without_escapes() else "auto", **settings)


def restart_in_utf8() -> None:
    """Run this command again in UTF-8 mode where the locale would misread the names of files; the terminal keeps its
    encoding, and gets escapes for what it cannot show."""
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode or os.name == "nt":
        return
    shown = f"{sys.stdout.encoding}:backslashreplace"
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": shown}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def prepare_streams() -> None:
    """Make stdout and stderr accept any text: UTF-8 in a pipe, in a terminal its own encoding with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=stream.encoding if stream.isatty() else "utf-8", errors="backslashreplace")
