"""What a reader left out or shows as edited: said on stderr, exit code 12.

Not here: finding it (session.stream_check), repairing it (maintenance).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from sessionstore.cli import text

if TYPE_CHECKING:
    from sessionstore.session import Session
    from sessionstore.session.stream_check import Remarks

#: As of doctor and verify: something is not as its writer left it.
NOT_WHOLE = 12
#: A summary reads no larger stream whole; ``verify`` does.
_SUMMARY_BYTES = 8 << 20


def report(session: Session, stream: str, remarks: Remarks) -> bool:
    """Print what was left out of one stream or edited in it; return whether there was something."""
    from sessionstore.session.stream_check import HIDING

    found = [remark for remark in remarks if remark.kind in HIDING or remark.kind in ("edited", "unverified")]
    for remark in found:
        effect = "left out" if remark.kind in HIDING else "shown as edited"
        click.echo(text.shown(f"{session.session_id}/{stream}: {remark}; {effect}"), err=True)
    return bool(found)


def report_all(sessions: Iterable[Session], all_sizes: bool = False) -> bool:
    """Print the remarks of every stream of sessions; return whether there was one.

    Args:
        all_sizes: also of streams that take seconds to read.
    """
    found = False
    for session in sessions:
        odd = [
            report(session, name, tape.remarks())
            for name, tape in session.tapes().items()
            if all_sizes or tape.size() <= _SUMMARY_BYTES
        ]
        if any(odd):
            where = f"{shlex.quote(session.session_id)} --dir {shlex.quote(str(session.folder.parent))}"
            click.echo(f"see: sessionstore verify {text.shown(where)}", err=True)
            found = True
    return found
