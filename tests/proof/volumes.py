"""How much is proven: the figures of the short run (CI) and of the long one, chosen by ``PROOF=long``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

LONG = os.environ.get("PROOF", "ci") == "long"


def volume(ci: int, long: int) -> int:
    """Return the figure of this run."""
    return long if LONG else ci


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
