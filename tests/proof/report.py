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
from tests.proof.operations import OPERATIONS

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

#: What an operation is called in the table, where its name alone does not say it.
NAMES = {
    "batch": "batch, create_many", "replace": "replace (If-Match)", "append_os": "append, sync=os",
    "burst": "appends under one lease", "seal": "seal a stream", "unseal": "unseal a stream",
    "torn_append": "append behind a torn line", "record": "a recorder's whole life",
    "page": "page, its columns made anew", "lose_index": "list without an index",
    "damage_index": "list with a damaged index", "opening": "opening the store",
    "migrate": "an SQLite index of an earlier version brought up to date",
}  # fmt: skip

Line = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Run the proof, print its table, write it into a file when asked to; return the exit code of the tests."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace what stands between the marks in FILE")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="run the tests in N processes")
    options = parser.parse_args(arguments)
    side_by_side = ["-n", str(options.processes), "--dist", "worksteal"] if options.processes > 1 else []
    start, ran_on = time.monotonic(), commit()  # before: somebody may go on working while it runs
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as figures:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *SUITE, *side_by_side, "-q", "-p", "no:cacheprovider", "-rs"],
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
    lines = list(lines)
    parts = (
        [f"Of these, within each operation:\n\n{by_operation(lines)}"] if any(line["parts"] for line in lines) else []
    )
    return "\n\n".join([table(lines), *parts, "\n".join([made, where, *left_out]), found.markdown()])


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


def by_operation(lines: Iterable[Line]) -> str:
    """Return one row an operation: how often it was killed, interrupted, refused, or lost its power."""
    counts: dict[str, Counter[str]] = {}
    for line in lines:
        for name, more in line["parts"].items():
            counts.setdefault(name, Counter()).update(more)
    heads = [head for head in ORDER if any(counter[head] for counter in counts.values())]
    rows = [
        f"| {NAMES.get(name, name.replace('_', ' '))} | "
        + " | ".join(f"{counts[name][head]:,}" for head in heads)
        + " |"
        for name in (*OPERATIONS, *sorted(counts.keys() - OPERATIONS.keys()))
        if name in counts
    ]
    return "\n".join([f"| operation | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|", *rows])


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
