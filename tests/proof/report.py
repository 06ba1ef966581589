"""The table of the proof: ``python -m tests.proof.report`` runs all of it once and prints what was tried as Markdown.

    python -m tests.proof.report                      print it
    python -m tests.proof.report --write sessionstore/docs/promises.md    and put it between the marks of that file
    PROOF=long python -m tests.proof.report           the long figures

Every number is counted while the tests run (see tally); what was skipped is named, and what failed fails the command.
The bugs that all this found stand in found. Not here: the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.proof import found

HERE = Path(__file__).parents[2]
COMMAND = "python -m tests.proof.report"
PROOF = os.environ.get("PROOF", "whole")
BEGIN, END = "<!-- proof -->", "<!-- /proof -->"
#: What is run: the proof itself, and the repairs of the doctor under the same faults.
SUITE = ("tests/proof", "tests/maintenance/test_repairs_power.py")
#: Counts in the order in which they are told.
ORDER = (
    *("cuts", "kills", "stops", "errors", "interrupts", "states", "processes", "operations"),
    *("inputs", "programs", "steps", "cases", "controls"),
)

Line = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Run the proof, print its table, write it into a file when asked to; return the exit code of the tests."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace what stands between the marks in FILE")
    options = parser.parse_args(arguments)
    start, ran_on = time.monotonic(), commit()  # before: somebody may go on working while it runs
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as figures:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *SUITE, "-q", "-p", "no:cacheprovider", "-rs"],
            cwd=HERE, env={**os.environ, "PROOF": PROOF, "PROOF_FIGURES": figures.name}, capture_output=True, text=True,
        )  # fmt: skip
        lines = [json.loads(line) for line in figures.read().splitlines()]
    text = document(lines, done.stdout, time.monotonic() - start, done.returncode, ran_on)
    print(text)
    if options.write is not None:
        options.write.write_text(replaced(options.write.read_text(), text))
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return done.returncode


def document(lines: Iterable[Line], output: str, seconds: float, code: int, ran_on: str) -> str:
    """Return table, sources and bugs as Markdown."""
    verdict = "all tests passed" if code == 0 else f"tests FAILED (exit code {code})"
    made = f"Made by `PROOF={PROOF} {COMMAND}` in {seconds / 60:.0f} min, {verdict}."
    where = f"{machine()}; commit {ran_on}, {time.strftime('%Y-%m-%d')}."
    skipped = sorted(set(re.findall(r"^SKIPPED \[\d+\] \S+ (.*)$", output, re.MULTILINE)))
    left_out = [f"Left out: {'; '.join(skipped)}."] if skipped else []
    return "\n\n".join([table(lines), "\n".join([made, where, *left_out]), found.markdown()])


def table(lines: Iterable[Line]) -> str:
    """Return one row a fault, its parts added up, and their sum."""
    counts: dict[str, Counter[str]] = {}
    measured: dict[str, dict[str, str]] = {}
    anomalies: Counter[str] = Counter()
    for line in lines:
        row = line["row"]
        counts.setdefault(row, Counter()).update(line["counts"])
        measured.setdefault(row, {}).update(line["measured"])
        anomalies[row] += line["anomalies"]
    added = sum(counts.values(), Counter())
    total = Counter({name: added[name] for name in ORDER})
    rows = [f"| {row} | {_told(counts[row], measured[row])} | {anomalies[row]} |" for row in sorted(counts, key=_place)]
    whole = f"| **all** | {_told(total, {})} | {sum(anomalies.values())} |"
    return "\n".join(["| fault | tried | anomalies |", "|---|---|---|", *rows, whole])


def _place(row: str) -> tuple[int, str]:
    number = re.match(r"T(\d+)", row)
    return (int(number[1]) if number else 99, row)


def _told(counts: Counter[str], measured: dict[str, str]) -> str:
    known = [name for name in ORDER if counts[name]]
    others = [name for name in counts if name not in ORDER]
    told = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in [*known, *others]]
    return ", ".join([*told, *(f"{name} {value}" for name, value in measured.items())])


def replaced(text: str, new: str) -> str:
    """Return a text with another table between its marks. Raises: SystemExit: it has no marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"the file must hold {BEGIN} and {END} once each")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{new}\n{END}{rest.partition(END)[2]}"


def machine() -> str:
    """Return kernel, cores, Python and file systems."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", "/dev/shm"], capture_output=True, text=True).stdout.strip()
    python = f"Python {platform.python_version()}"
    return f"Linux {platform.release()}, {os.cpu_count()} cores, {python}, {kind}; power cuts on ext4 and XFS"


def commit() -> str:
    """Return what is checked out, and whether it was changed."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
