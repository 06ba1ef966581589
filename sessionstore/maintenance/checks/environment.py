"""Checks of what a store stands on: its format, the file system, permission, space and the clock.

Not here: sessions (folders), the index (listing).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from sessionstore.disk import filesystem
from sessionstore.errors import Corrupt, NewerFormat, Unreadable
from sessionstore.maintenance.examination import Patient
from sessionstore.maintenance.findings import Finding
from sessionstore.model import records

#: Below these a recorder is about to fail, or has failed: a session of 300 s with 5 drones takes some 20 MB.
LOW_BYTES, OUT_BYTES, LOW_INODES = 1 << 30, 1 << 24, 1000
#: Clocks of hosts and disks differ a little; more than this is a wrong clock.
SKEW_S = 120.0


def check_format(patient: Patient) -> Iterator[Finding]:
    """Say whether this version may read the store at all."""
    try:
        patient.root.settings()
    except NewerFormat as error:
        yield Finding("format-newer", patient.place(error.path), error.reason)
    except (Corrupt, Unreadable) as error:
        yield Finding("format-unreadable", patient.place(error.path), str(error))


def check_file_system(patient: Patient) -> Iterator[Finding]:
    """Judge the file system by its type."""
    found = filesystem.of(patient.root.path)
    where = f"{found.mount or '.'} ({found.kind})"
    if found.safe is False:
        yield Finding("filesystem-unsafe", where, f"the store lies on {found.kind}")
    elif found.safe is None:
        yield Finding("filesystem-unknown", where, f"the store lies on {found.kind}")
    if found.read_only:
        yield Finding("filesystem-read-only", where, "it is mounted read-only")


def check_permission(patient: Patient) -> Iterator[Finding]:
    """Say which of the store's own folders cannot be written, unless the whole disk cannot: that is told already."""
    root = patient.root
    if filesystem.of(root.path).read_only:
        return
    for folder in (root.path, root.private, root.staging, root.trash, root.claims, root.quarantine_folder):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            yield Finding("not-writable", str(folder), "this user may not write here")


def check_space(patient: Patient) -> Iterator[Finding]:
    """Say when bytes or inodes run out."""
    if not patient.root.path.is_dir() or not hasattr(os, "statvfs"):
        return
    free = os.statvfs(patient.root.path)
    left = free.f_bavail * free.f_frsize
    if left < LOW_BYTES:
        yield Finding("space-out" if left < OUT_BYTES else "space-low", ".", f"{left / 1e6:,.0f} MB are free")
    if free.f_files and free.f_favail < LOW_INODES:
        yield Finding("inodes-low", ".", f"{free.f_favail} inodes are free")


def check_clock(patient: Patient) -> Iterator[Finding]:
    """Say when this machine's clock lies before what the store already holds."""
    if not patient.newest:
        return
    ahead_s = records.instant(patient.newest).timestamp() - time.time()
    if ahead_s > SKEW_S:
        yield Finding("clock-behind", ".", f"the newest record is {ahead_s:,.0f} s in the future ({patient.newest})")
