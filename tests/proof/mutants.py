"""Faults planted in the code, each of which a test must catch: plants them in copies of the project, one at a time.

    python -m tests.proof.mutants                    plant all, print a table
    python -m tests.proof.mutants SQLite If-Match    those with one of these words in their name
    python -m tests.proof.mutants --sample 5         as many as CI plants for this commit

The test that a fault names must pass in the unchanged copy, or a catch would prove nothing, and must fail with the
fault. Exits 1 when one was missed. Not here: the faults (mutant_list), bytes changed by chance (mutations), protocols
broken at run time (breaking).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from tests.proof.mutant_list import MUTANTS, Mutant

HERE = Path(__file__).parents[2]
_FAILED = 1  # of pytest: tests ran, and some failed
_LIMIT_S, _ALL_LIMIT_S = 300.0, 1800.0
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".axe", ".mypy_cache", ".pytest_cache", ".ruff_cache")
Verdict = Literal["caught", "missed", "skipped"]


class Outcome(NamedTuple):
    """What became of one fault; ``skipped``: its test cannot run here (no PostgreSQL, say)."""

    mutant: Mutant
    verdict: Verdict
    seconds: float


class Copy:
    """A copy of the project to plant faults in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copytree(HERE, folder, ignore=_NOT_COPIED)

    def run(self, tests: Sequence[str], limit_s: float = _LIMIT_S) -> subprocess.CompletedProcess[str]:
        """Run tests in this copy, and of this copy."""
        options = ["-q", "-x", "-rs", "-p", "no:cacheprovider", "-p", "no:schemathesis", "--timeout=100"]
        words = [sys.executable, "-B", "-m", "pytest", *options, *tests]
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        return subprocess.run(words, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=limit_s)

    def plant(self, mutant: Mutant) -> Outcome:
        """Plant a fault, run its test, and take the fault out again."""
        path, start = self._folder / mutant.file, time.monotonic()
        before = path.read_text("utf-8")
        path.write_text(before.replace(mutant.code, mutant.fault), "utf-8")
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
        verdict: Verdict = "missed"
        try:
            done = self.run([mutant.test])
            if done.returncode == _FAILED:
                verdict = "caught"
            elif done.returncode == 0 and "SKIPPED" in done.stdout:
                verdict = "skipped"
        except subprocess.TimeoutExpired:
            pass  # it hangs: no test has failed
        finally:
            path.write_text(before, "utf-8")
        return Outcome(mutant, verdict, time.monotonic() - start)


def plant(mutants: Sequence[Mutant], at_once: int = 2) -> Iterator[Outcome]:
    """Plant faults in copies, several at once, and yield what became of each, in their order.

    Raises: AssertionError: a test fails without a fault.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(min(at_once, len(mutants))):
            copies.put(Copy(Path(place) / str(number) / "project"))
        check_without_faults(mutants, copies)

        def one(mutant: Mutant) -> Outcome:
            copy = copies.get()
            try:
                return copy.plant(mutant)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(at_once) as threads:
            yield from threads.map(one, mutants)


def check_without_faults(mutants: Sequence[Mutant], copies: queue.SimpleQueue[Copy]) -> None:
    """Run all tests that these faults name, in a copy without one. Raises: AssertionError: one fails."""
    copy = copies.get()
    done = copy.run(sorted({mutant.test for mutant in mutants}), _ALL_LIMIT_S)
    copies.put(copy)
    if done.returncode:
        raise AssertionError(f"without a fault: {done.stdout[-3000:]}")


def seed_of_commit() -> str:
    """Return the commit of this checkout; without git a digest of the package's text."""
    words = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    with_git = subprocess.run(words, capture_output=True, text=True) if shutil.which("git") else None
    if with_git is not None and with_git.returncode == 0:
        return with_git.stdout.strip()
    digest = hashlib.sha256()
    for path in sorted((HERE / "sessionstore").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sample(count: int, seed: str) -> list[Mutant]:
    """Return some of the faults, the same ones for the same commit."""
    return random.Random(seed).sample(MUTANTS, count)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return one row a fault, and how many of all were caught."""
    rows = ["| fault | file | caught by | verdict | s |", "|---|---|---|---|---|"]
    for mutant, verdict, seconds in outcomes:
        file = mutant.file.removeprefix("sessionstore/")
        test = mutant.test.removeprefix("tests/")
        rows.append(f"| {mutant.name} | `{file}` | `{test}` | {verdict} | {seconds:.0f} |")
    caught = sum(outcome.verdict == "caught" for outcome in outcomes)
    return "\n".join([*rows, "", f"{caught} of {len(outcomes)} planted faults were caught."])


def main(arguments: list[str] | None = None) -> int:
    """Plant the faults that are asked for, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "words", nargs="*", help="plant the faults with one of these words in their name; by default all"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="plant as many, chosen by the commit")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="copies of the project to work in")
    options = parser.parse_args(arguments)
    chosen = sample(options.sample, seed_of_commit()) if options.sample else list(MUTANTS)
    chosen = [each for each in chosen if not options.words or any(word in each.name for word in options.words)]
    outcomes = []
    for outcome in plant(chosen, options.at_once):
        outcomes.append(outcome)
        print(f"{outcome.verdict:8}{outcome.mutant.name}", file=sys.stderr, flush=True)
    print(table(outcomes))
    return 1 if any(outcome.verdict == "missed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
