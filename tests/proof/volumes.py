"""How much is proven, chosen by ``PROOF``: ``ci`` (the default), ``whole`` (that of the report) or ``long``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

PROOF = os.environ.get("PROOF", "ci")
LONG = PROOF == "long"


def volume(ci: int, long: int) -> int:
    """Return the figure of this run."""
    return long if LONG else ci


def chosen(calls: list[tuple[str, int]], turn: int) -> list[tuple[str, int]]:
    """Return the system calls that a fault is put at: in CI one in three, since all of them take seven minutes."""
    return calls[turn % 3 :: 3] if PROOF == "ci" else calls


def fast_folder() -> Path:
    """Return a new folder in memory where there is one: a fault does not need a disk, and a disk is slow."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="proof-", dir=shared if os.access(shared, os.W_OK) else None))


def need_root() -> None:
    """Skip where this is not Linux and root."""
    if sys.platform != "linux":
        pytest.skip("Linux is missing")
    if os.geteuid() != 0:
        pytest.skip("root is missing")


def need(program: str) -> str:
    """Return the path of a program, or skip naming it."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"the program {program} is missing")
    return path
