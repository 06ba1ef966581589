"""``sessionstore tail``: the end of a stream, and its new records.

Not here: one session as a whole (cli.show), how streams are read (session.stream_reader).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.completion import complete_sessions, complete_streams
from sessionstore.cli.lookup import find_session
from sessionstore.cli.options import open_store, store_options
from sessionstore.errors import SessionNotFound
from sessionstore.query.checks import suggestion

if TYPE_CHECKING:
    from sessionstore.session import Session

_OPEN = ("created", "running", "paused")


@click.command()
@click.argument("session", default="latest", shell_complete=complete_sessions)
@click.argument("stream", default="events", shell_complete=complete_streams)
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

    Exit code 3 if the stream does not exist; with -f, a session that is still open may begin it later.
    """
    with open_store(folder, index) as store:
        found = find_session(store, session, elsewhere=True)
        tape = found.tape(stream)
        if not tape.exists() and not (follow and found.status in _OPEN):
            raise SessionNotFound(_no_stream(found, stream))
        ended = lambda: not follow or found.status not in _OPEN  # noqa: E731
        for line in tape.follow(tape.last_lines(lines) if lines else 0, stop=ended):
            if as_json:
                sys.stdout.write(json.dumps({"n": line.n, "t": line.t_s, **line.data}, ensure_ascii=False) + "\n")
            else:
                click.echo(f"{line.t_s:>10.3f} s  {text.shown(_sentence(line.data))}")
            sys.stdout.flush()


def _no_stream(session: Session, stream: str) -> str:
    names = list(session.tapes())
    hint = suggestion(stream, names) or f" (there are: {', '.join(names) or 'none'})"
    return f"the stream {stream} of {session.session_id} does not exist{hint}"


def _sentence(data: dict[str, Any]) -> str:
    """Return a record for reading: level, kind and message first, the rest as key=value."""
    head = [str(data[key]) for key in ("level", "kind", "message") if data.get(key)]
    rest = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in data.items()
        if key not in ("level", "kind", "message")
    ]
    return "  ".join(head + rest)
