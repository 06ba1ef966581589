"""W15 and W16: the system calls of one operation, and a listing while four processes write.

A count of calls is exact at any load. It is the difference of two runs under ``strace`` over the difference of their
operations, so that what a process does at its start and end is not in it. Where there is no strace, W15 is left out.
Not here: rates (workloads).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import sessionstore
from sessionstore.bench import LIMIT, LIMIT_DURABLE, OURS, OURS_OS, OURS_SQLITE
from sessionstore.bench.figures import Figure, duration
from sessionstore.bench.generate import fill_store
from sessionstore.bench.processes import run_workers
from sessionstore.bench.workloads import Bench

COUNTED = (LIMIT, LIMIT_DURABLE, OURS, OURS_OS, OURS_SQLITE, "signac")
#: How many operations the two runs do.
FEW, MORE = 5, 25
SYNCS = ("fsync", "fdatasync", "syncfs")
_WRITERS = 4


def calls(bench: Bench) -> None:
    """W15: system calls, and syncs among them, of a create and of an update."""
    if shutil.which("strace") is None:
        bench.figures.left_out["system calls"] = "strace is not installed"
        return
    for op in ("create", "update"):
        for name in (each for each in COUNTED if each in bench.systems):
            made = [_counted(bench, name, op, number) for number in (FEW, MORE)]
            few, more = ({"all": sum(found.values()), **found} for found in made)
            for what, of in (("system calls", ("all",)), ("syncs", SYNCS), ("pages of a database", ("pwrite64",))):
                value = sum(more.get(each, 0) - few.get(each, 0) for each in of) / (MORE - FEW)
                value = value / 2 if of == ("pwrite64",) else value  # a frame is a head and a page
                if value or what != "pages of a database":
                    bench.figures.add(Figure("W15", f"{op}: {what}", name, "calls", [value], None, LIMIT_DURABLE))


def _counted(bench: Bench, name: str, op: str, number: int) -> dict[str, int]:
    """Return how often a process with this number of operations makes each system call."""
    folder = bench.folder("calls")
    options = json.dumps({"system": name, "folder": str(folder / "store"), "op": op, "count": number})
    worker = [sys.executable, "-m", "sessionstore.bench.worker", "calls", options]
    counts = folder / "counts"
    command = ["strace", "-f", "-qq", "-c", "-o", str(counts), *worker]
    subprocess.run(command, input="go\n", text=True, check=True, stdout=subprocess.DEVNULL)
    return counts_in(counts.read_text())


def counts_in(table: str) -> dict[str, int]:
    """Return the calls in what ``strace -c`` wrote, by name."""
    found: dict[str, int] = {}
    for line in table.splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
            found[fields[-1]] = int(fields[3])
    return found


def busy(bench: Bench) -> None:
    """W16: one process lists a store, alone, and while four others create sessions in it."""
    size = max(each for each in bench.plan.sizes)
    folder = bench.folder("busy")
    fill_store(folder, size)
    with sessionstore.open(folder) as store:
        store.find()
        alone = [duration(store.find) for _ in range(bench.plan.rounds)]
        while_written: list[float] = []
        found: list[dict[str, Any]] = []
        options = [_writer(folder, number, bench.plan.storm_s) for number in range(_WRITERS)]
        writers = Thread(target=lambda: found.extend(run_workers("storm", options)))
        writers.start()
        while writers.is_alive():
            begin = len(store)
            seconds = duration(store.find)
            if len(store) > begin:  # they write by now
                while_written.append(seconds)
        writers.join()
        done = sum(each["done"] for each in found)
        lost = size + done - len(store.find())
    bench.figures.add(Figure("W16", "list, warm", "alone", "s", alone, size))
    if while_written:
        figure = Figure("W16", "list, warm", f"while {_WRITERS} write", "s", while_written, size, "alone")
        figure.lost, figure.errors = lost, sum(each["errors"] for each in found)
        bench.figures.add(figure)


def _writer(folder: Path, number: int, seconds: float) -> dict[str, Any]:
    return {
        "system": OURS, "folder": str(folder), "key": None, "seconds": seconds, "number": 10_000_000 + number * 100_000,
        "op": "create",
    }  # fmt: skip
