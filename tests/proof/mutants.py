"""Faults planted in the code, each of which a test must catch.

    python -m tests.proof.mutants [part of a name]

Each fault is planted in a copy of the project, and the test that it names runs there; a fault is caught when that test
fails. The unchanged copy must pass the same tests, or a catch would prove nothing. Exits 1 when one is not caught.
Not here: bytes changed by chance (mutations), protocols broken at run time (breaking).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[2]
_FAILED = 1  # of pytest: tests ran, and some failed


class Mutant(NamedTuple):
    """One fault: the code that it replaces, which is there once, and the test that fails with it."""

    name: str
    file: str
    code: str
    fault: str
    test: str


_PLANTED = "tests/proof/test_planted_faults.py::"

MUTANTS = (
    Mutant(
        "a batch waits for 5 s in place of 200 ms",
        "sessionstore/session/stream_sync.py",
        "_BATCH_S = 0.1 ",
        "_BATCH_S = 5.0 ",
        _PLANTED + "test_a_batch_is_synced_within_its_time",
    ),
    Mutant(
        "a lock file deleted by hand is not noticed",
        "sessionstore/disk/locks.py",
        "if _names(path, descriptor):",
        "if True:",
        _PLANTED + "test_who_waited_for_a_lock_file_that_was_deleted_by_hand_does_not_hold_it",
    ),
    Mutant(
        "the trash is emptied before the rows are removed",
        "sessionstore/store/store.py",
        "            self.index.remove({entry.session_id for entry in due})\n"
        "            for entry in due:\n"
        "                trash.discard(self.root, entry.folder.parent)\n",
        "            for entry in due:\n"
        "                trash.discard(self.root, entry.folder.parent)\n"
        "            self.index.remove({entry.session_id for entry in due})\n",
        _PLANTED + "test_the_trash_is_kept_while_the_rows_cannot_be_removed",
    ),
    Mutant(
        "SQLite does not sync",
        "sessionstore/index/sql/sqlite.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        _PLANTED + "test_sqlite_syncs_each_transaction",
    ),
    Mutant(
        "deleting takes no lock of the session",
        "sessionstore/store/store.py",
        "with self.root.locks.store(), self.root.locks.session(session_id):\n            entry = trash.throw_away",
        "with self.root.locks.store():\n            entry = trash.throw_away",
        _PLANTED + "test_deleting_waits_for_the_session_s_lock",
    ),
    Mutant(
        "ids are reserved without a lock",
        "sessionstore/store/id_reservations.py",
        "        try:\n            return self._file.lock()\n",
        "        try:\n            self._file._open()\n            return os.fstat(self._file.descriptor).st_size\n",
        _PLANTED + "test_a_reservation_of_an_id_waits_for_the_lock_of_its_file",
    ),
    Mutant(
        "a token is compared in variable time",
        "sessionstore/server/http/security.py",
        'hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())',
        'one.encode("utf-8", "surrogateescape") == other.encode()',
        _PLANTED + "test_a_token_is_compared_in_constant_time",
    ),
    Mutant(
        "a run does not wait for a full disk",
        "sessionstore/session/full_disk.py",
        "        if not is_full(error):\n            raise error\n        if not self.refused:",
        "        if True:\n            raise error\n        if not self.refused:",
        "tests/session/test_full_disk.py::test_a_disk_full_for_three_seconds_ends_no_run_and_loses_and_doubles_nothing",
    ),
    Mutant(
        "a write that was cut short is not taken back",
        "sessionstore/disk/append_file.py",
        "files.truncate(self.descriptor, size, self._text_path)  # a short write must not become a torn line",
        "pass",
        _PLANTED + "test_a_write_that_was_cut_short_is_taken_back_at_once",
    ),
    Mutant(
        "a document of any size is read",
        "sessionstore/session/documents.py",
        "        return files.read(path, MAX_DOCUMENT_BYTES)\n",
        "        return files.read(path)\n",
        "tests/session/test_large_documents.py::test_a_document_at_the_limit_is_read_and_one_byte_more_is_refused",
    ),
    Mutant(
        "an update beyond the limit is written",
        "sessionstore/session/documents.py",
        "    if len(data) > MAX_DOCUMENT_BYTES:\n",
        "    if False:\n",
        "tests/session/test_large_documents.py::test_an_update_or_a_table_beyond_the_limit_is_refused_and_changes_nothing",
    ),
)


def is_caught(mutant: Mutant) -> bool:
    """Plant a fault in a copy, and return whether its test fails there; without the fault it must pass."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as place:
        copy = Path(place) / "project"
        ignored = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".axe")
        shutil.copytree(HERE, copy, ignore=ignored)
        if _run(copy, mutant.test) != 0:
            raise AssertionError(f"{mutant.test} fails without a fault")
        path = copy / mutant.file
        path.write_text(path.read_text("utf-8").replace(mutant.code, mutant.fault), "utf-8")
        return _run(copy, mutant.test) == _FAILED


def _run(copy: Path, test: str) -> int:
    words = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(words, cwd=copy, env=environment, capture_output=True, timeout=120).returncode


def main() -> int:
    """Plant each fault, say whether it was caught, and return the exit code."""
    part, missed = "".join(sys.argv[1:2]), 0
    for mutant in MUTANTS:
        if part in mutant.name:
            caught = is_caught(mutant)
            missed += not caught
            print("caught" if caught else "MISSED", mutant.name, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
