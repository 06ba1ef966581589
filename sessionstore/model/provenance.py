"""Where a session came from: code, command, interpreter, packages, machine. Data for people, never needed for reading.

Gathered once per process, since a git call costs milliseconds. Arguments that look like secrets are masked.
Not here: the process of a running session (model.liveness).
"""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from functools import lru_cache
from typing import Any

from sessionstore.model import json_text

_SECRET = re.compile(r"(?i)(token|password|passwd|secret|api-?key)")
_LOGIN = re.compile(r"(://[^/@\s:]*:)[^@\s]*@")  # postgresql://user:password@host
_GIT_TIMEOUT_S = 2.0
#: Input files up to this size are copied into a session, so that it can be run again on another machine.
MAX_COPY_BYTES = 50 << 20


def gather(
    seed: int | None = None, scenario_hash: str | None = None, function: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the provenance of a session that this process makes.

    Args:
        function: what was called with which parameters, of a point of a sweep.
    """
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        folder = ""
    found = _of_process(folder)
    given = {"seed": seed, "scenario_hash": scenario_hash, "function": function}
    if all(value is None for value in given.values()):
        return found
    return {**found, **{key: value for key, value in given.items() if value is not None}}


@lru_cache(maxsize=4)
def _of_process(folder: str) -> json_text.Fixed:
    facts = {
        "command": masked(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "packages": json_text.Fixed(_packages()),
        "folder": folder,
        "git": git_state(folder),
    }
    return json_text.Fixed(facts)


def masked(arguments: list[str]) -> list[str]:
    """Return a command line without what looks like a secret."""
    shown, hide_next = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET.search(name)) and argument.startswith("-")
        argument = _LOGIN.sub(r"\1***@", argument)
        shown.append("***" if hide_next else f"{name}=***" if secret and equals else argument)
        hide_next = secret and not equals
    return [text.encode("utf-8", "replace").decode() for text in shown]


def _packages() -> dict[str, str]:
    """Return name and version of each installed distribution."""
    from importlib.metadata import distributions

    found = {str(each.metadata["Name"]): each.version for each in distributions() if each.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def git_state(folder: str) -> dict[str, Any] | None:
    """Return commit, branch, folder within the repository, and dirty flag; None outside one or without git."""
    found = _run(folder, "rev-parse", "HEAD", "--abbrev-ref", "HEAD", "--show-prefix")
    if found is None:
        return None
    commit, branch, prefix = [*found.split("\n"), "", ""][:3]
    return {
        "commit": commit,
        "branch": branch,
        "folder": prefix.rstrip("/") or ".",
        "dirty": bool(_run(folder, "status", "--porcelain", "--untracked-files=no")),
    }


def _run(folder: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # provenance is data, not a reason to refuse a session
    return done.stdout


def diff(folder: str) -> str | None:
    """Return what differs from the commit in a working directory, for ``git apply``; None without git."""
    return _run(folder, "diff", "HEAD", "--binary")


def packages() -> dict[str, str]:
    """Return name and version of each installed distribution of this interpreter."""
    return _packages()
