"""``sessionstore tail``: the end of a stream, and its new records.

Not here: one session as a whole (cli.show), how streams are read (session.stream_reader).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import output, text
from sessionstore.cli.completion import complete_sessions, complete_streams
from sessionstore.cli.lookup import find_session
from sessionstore.cli.options import open_store, store_options
from sessionstore.cli.remarks import NOT_WHOLE, report
from sessionstore.errors import SessionNotFound
from sessionstore.query.checks import suggestion
from sessionstore.session import stream_names
from sessionstore.session.stream_check import Remarks

if TYPE_CHECKING:
    from sessionstore.session import Session
    from sessionstore.session.stream_reader import Line, Tape

_OPEN = ("created", "running", "paused")


@click.command()
@click.argument("session", default="latest", shell_complete=complete_sessions)
@click.argument("stream", default=stream_names.EVENTS, shell_complete=complete_streams)
@click.option("-f", "--follow", is_flag=True, help="Print new records until the session ends.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True,
    help="Start N records from the end; 0 = all.",
)  # fmt: skip
@click.option("--json", "--ndjson", "as_json", is_flag=True, help="Print one JSON object per line.")
@store_options
def tail(
    session: str, stream: str, follow: bool, lines: int, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Print the last records of a stream (log, events, motion_history, ...), and follow it with -f.

    Exit code 3 if the stream does not exist (with -f, a session that is still open may begin it later), 12 if records
    are damaged and left out, or were edited by hand.
    """
    with open_store(folder, index) as store:
        found = find_session(store, session, elsewhere=True)
        tape = found.tape(stream)
        if not tape.exists() and not (follow and found.status in _OPEN):
            raise SessionNotFound(_no_stream(found, stream))
        remarks = Remarks()
        for line in _records(found, tape, lines, follow, remarks):
            if as_json:
                output.print_ndjson([_plain(line)])
            else:
                click.echo(_sentence(line))
            sys.stdout.flush()
        if report(found, stream, remarks):
            sys.exit(NOT_WHOLE)


def _records(session: Session, tape: Tape, lines: int, follow: bool, remarks: Remarks) -> Iterator[Line]:
    """Yield the last records, then the new ones; collect what is edited or damaged."""
    position = tape.last_lines(lines) if lines else 0
    for line in tape.read(position, damaged="skip", remarks=remarks):
        position = line.end
        yield line
    if not follow:
        return
    for line in tape.follow(position, stop=lambda: session.status not in _OPEN):
        remarks.of(line)
        yield line


def _plain(line: Line) -> dict[str, Any]:
    """Return the record as stored; a record without a time has null."""
    facts = line.to_json()
    return {**facts, "t": None} if line.t_s != line.t_s else facts


def _no_stream(session: Session, stream: str) -> str:
    names = list(session.tapes())
    hint = suggestion(stream, names) or f" (there are: {', '.join(names) or 'none'})"
    return f"the stream {stream} of {session.session_id} does not exist{hint}"


def _sentence(line: Line) -> str:
    """Return a record for reading: time, level, kind and message first, the rest as key=value."""
    head = [str(line.data[key]) for key in ("level", "kind", "message") if line.data.get(key)]
    rest = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in line.data.items()
        if key not in ("level", "kind", "message")
    ]
    mark = "  (edited)" if line.remark in ("edited", "unverified") else ""
    moment = f"{line.t_s:>10.3f} s" if line.t_s == line.t_s else f"{'-':>12}"
    return f"{moment}  {text.shown('  '.join(head + rest))}{mark}"
