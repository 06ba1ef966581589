"""The first records of a stream as a table for notebooks.

Not here: reading them (stream_reader), frames of a whole stream (analysis.frames).
"""

from __future__ import annotations

import html
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionstore.session.stream_reader import Tape

_SHOWN = 10


def table(tape: Tape) -> str:
    """Return the first records as HTML."""
    first = [line.to_json() for line in itertools.islice(tape.read(damaged="skip"), _SHOWN)]
    names = list(dict.fromkeys(name for record in first for name in record))
    titles = {"n": "n", "t": "sim_time"}
    head = "".join(f"<th>{html.escape(titles.get(name, name))}</th>" for name in names)
    cells = ("".join(f"<td>{html.escape(str(record.get(name, '')))}</td>" for name in names) for record in first)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    about = f"{html.escape(tape.path.stem)}: {tape.count():,} records, {tape.size():,} bytes"
    return f"<table><caption>{about}</caption><tr>{head}</tr>{body}</table>"
