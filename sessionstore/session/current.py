"""The session that ``sessionstore exec`` gives to the program that it runs.

The parent process owns the run: it beats, keeps the output and ends the session. The program adds its streams, its
figures and its files; its ``with`` block ends its writers, not the session.
Not here: starting the program (reruns.programs), a session of one's own (store.record).
"""

from __future__ import annotations

import os
from typing import Any, Self

from sessionstore.errors import SessionNotFound
from sessionstore.layout import StoreRoot
from sessionstore.session.recorder import Recorder

SESSION_VARIABLE = "SESSIONSTORE_SESSION"
#: The fact of a program that records into its session: the clock of the run follows its sim_time then.
ATTACHED = "attached"


class ProgramRecorder(Recorder):
    """A recorder beside the owner of the run."""

    def start(self, resume_at_s: float | None = None) -> Self:
        """Return itself: the run was started by its owner."""
        return self

    def finish(
        self,
        status: str = "completed",
        end_reason: str | None = None,
        duration_sim_s: float | None = None,
        performance_metrics: dict[str, Any] | None = None,
    ) -> None:
        """Close the writers and store the figures; the owner ends the session when the program has ended.

        Raises: as ``Session.update``; OutcomeUnknown of the streams.
        """
        with self._mutex:
            if self._finished:
                return
            self._ended.set()
            for writer in self._writers.values():
                writer.close()
            figures, _ = self._figures(performance_metrics or {})
            self.update(performance_metrics=figures)
            self._finished = True


def attached(root: StoreRoot, changed: Any) -> ProgramRecorder | None:
    """Return the session named by SESSIONSTORE_SESSION, to be recorded into; None when the variable is not set.

    Raises: SessionNotFound: the variable names a session that is not in this store.
    """
    session_id = os.environ.get(SESSION_VARIABLE)
    if not session_id:
        return None
    if not (root.folder(session_id) / "session.json").is_file():
        raise SessionNotFound(f"{SESSION_VARIABLE} names {session_id}, which is not in {root.path}")
    recorder = ProgramRecorder(root, session_id, changed)
    program = recorder.record.provenance.get("program")
    if isinstance(program, dict) and not program.get(ATTACHED):
        recorder.update(_note_attached)
    return recorder


def _note_attached(record: dict[str, Any]) -> None:
    record["provenance"]["program"][ATTACHED] = True
