"""A function that a sweep called: called again with the recorded parameters, into a session of its own.

It is imported from where it was; the new session is no point of the sweep. A function of a script, a lambda or a
closure cannot be imported, and is refused.
Not here: calling and recording it (sweeps.programs), comparing both (reruns.agreement).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessionstore.errors import InvalidRecord
from sessionstore.reruns.programs import sha256_of
from sessionstore.session import Session
from sessionstore.store import SessionStore
from sessionstore.sweeps.programs import FunctionProgram, imported


def changes_of(function: Mapping[str, Any]) -> list[str]:
    """Return what is missing or has changed of a function since it was called, a sentence each."""
    if not function.get("file"):
        return []
    path = Path(function["file"])
    if not path.is_file():
        return [f"file {path} of the function is missing"]
    return [] if sha256_of(path)[0] == function["sha256"] else [f"file {path} of the function has changed"]


def called_again(store: SessionStore, facts: Mapping[str, Any], name: str | None, marks: Mapping[str, Any]) -> Session:
    """Call the function of a point again, in the folder in which it ran, and return the new session.

    Raises: InvalidRecord: it cannot be imported. What the function raises is in its session, which has failed.
    """
    function = facts["function"]
    if not function.get("place"):
        reason = "it is of a script, a prompt or another function, so it cannot be imported: put it into a module"
        raise InvalidRecord(f"{function.get('name')} is not called again: {reason}, or run the sweep again")
    program = FunctionProgram(imported(function["place"]), function["name"])
    program.check(function["parameters"])
    begun: list[str] = []
    with contextlib.ExitStack() as stack:
        if Path(facts.get("folder") or "").is_dir():
            stack.enter_context(contextlib.chdir(facts["folder"]))
        try:
            program.record(store, name or function["name"], marks, function["parameters"], begun.append)
        except Exception:  # once it has begun, its session is marked failed and holds the traceback
            if not begun:
                raise
    return store.get(begun[0])
