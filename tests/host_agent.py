"""A program on another host of the tests: runs the Python that it is sent, line by line, and answers in JSON.

Started as ``python -m tests.host_agent``; each line on stdin is {"run": code}, or {"tell": expression}.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import sessionstore


def main() -> None:
    known: dict[str, Any] = {"sessionstore": sessionstore}
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {"value": None}
        try:
            if "run" in order:
                exec(order["run"], known)
            else:
                answer["value"] = eval(order["tell"], known)
        except Exception:  # noqa: BLE001 the test that sent it shows it
            answer["error"] = traceback.format_exc()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
