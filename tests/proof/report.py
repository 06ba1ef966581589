"""The table of the proof: ``python -m tests.proof.report`` runs all, and prints what was tried and what went wrong.

``PROOF=long`` for the long figures. The exit code is that of the tests.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parents[2]
COMMAND = "python -m tests.proof.report"


def main() -> int:
    """Run the proof and print its table as Markdown."""
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as figures:
        environment = {**os.environ, "PROOF_FIGURES": figures.name}
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/proof", "-q", "-p", "no:cacheprovider", "-rs"],
            cwd=HERE, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        rows = [json.loads(line) for line in figures.read().splitlines()]
    print(_table(_summed(rows)))
    print(f"\n`PROOF={os.environ.get('PROOF', 'ci')} {COMMAND}`: {_machine()}; commit {_commit()}; ", end="")
    print(f"{time.monotonic() - start:.0f} s; exit code {done.returncode}.")
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return done.returncode


def _summed(rows: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Return one row a fault: those that come in parts are added up."""
    found: dict[str, tuple[str, int]] = {}
    for fault, tried, anomalies in rows:
        if fault in found and tried.split()[0].isdigit():
            number, rest = tried.split(maxsplit=1)
            before = int(found[fault][0].split()[0].replace(",", ""))
            tried, anomalies = f"{before + int(number):,} {rest}", anomalies + found[fault][1]
        found[fault] = (tried, anomalies)
    return sorted((fault, tried, anomalies) for fault, (tried, anomalies) in found.items())


def _table(rows: list[tuple[str, str, int]]) -> str:
    lines = ["| fault | tried | anomalies |", "|---|---|---|"]
    return "\n".join(lines + [f"| {fault} | {tried} | {anomalies} |" for fault, tried, anomalies in rows])


def _machine() -> str:
    cores = os.cpu_count()
    kind = subprocess.run(["stat", "-f", "-c", "%T", "/dev/shm"], capture_output=True, text=True).stdout.strip()
    return f"Linux {platform.release()}, {cores} cores, Python {platform.python_version()}, {kind}, ext4 and XFS"


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
