"""Processes of a measurement: started, released at the same time, and asked for their results.

Not here: what they do (worker).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_LONGEST_S = 600.0


def run_workers(task: str, options: Sequence[dict[str, Any]], rest: float = _LONGEST_S) -> list[dict[str, Any]]:
    """Run one worker for each of the options, all at once, and return what each found.

    Raises:
        subprocess.SubprocessError: a worker failed; its words are in the message.
    """
    started = [_start(task, each) for each in options]
    try:
        for process in started:
            _wait_ready(process)
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [_result(process, rest) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _start(task: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sessionstore.bench.worker", task, json.dumps(options)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:  # a library may greet on stdout
        if line.strip() == "ready":
            return
    raise subprocess.SubprocessError(f"a worker did not begin: {process.communicate()[1][-2000:]}")


def _result(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    out, words = process.communicate(timeout=seconds)
    if process.returncode:
        raise subprocess.SubprocessError(f"a worker failed: {words[-2000:]}")
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found
