"""Hosts for the tests: network namespaces with host names, folders and cables of their own, on one bridge.

It needs root and the commands ``ip`` and ``unshare``; a test is skipped with the name of what is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Network:
    """A bridge and the addresses on it; tests that run side by side use different ones."""

    name: str
    subnet: str

    @property
    def server(self) -> str:
        """The address of this host on the bridge."""
        return f"{self.subnet}.1"


class Host:
    """A network namespace with a host name and a cable to the bridge, and a Python in it."""

    def __init__(self, network: Network, name: str, number: int, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._namespace = self._cable = f"{network.name}-{name}"
        for command in (
            f"ip netns add {self._namespace}",
            f"ip link add {self._cable} type veth peer name eth0 netns {self._namespace}",
            f"ip link set {self._cable} master {network.name}-br up",
            f"ip -n {self._namespace} addr add {network.subnet}.{number + 10}/24 dev eth0",
            f"ip -n {self._namespace} link set eth0 up",
            f"ip -n {self._namespace} link set lo up",
        ):
            subprocess.run(command.split(), check=True)
        inside = ["sh", "-c", 'hostname "$0" && exec "$@"', name, sys.executable, "-m", "tests.host_agent"]
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self._namespace, "unshare", "--uts", *inside],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
        )  # fmt: skip

    def run(self, code: str) -> None:
        self._send({"run": code})

    def tell(self, expression: str) -> Any:
        return self._send({"tell": expression})

    def _send(self, order: dict[str, str]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def cable(self, state: str) -> None:
        """Cut the cable (down) or mend it (up)."""
        subprocess.run(["ip", "link", "set", self._cable, state], check=True)

    def close(self) -> None:
        self._process.communicate(timeout=20)
        subprocess.run(["ip", "netns", "del", self._namespace], check=False)
        subprocess.run(["ip", "link", "del", self._cable], check=False, capture_output=True)


@contextlib.contextmanager
def connected(network: Network) -> Iterator[None]:
    """Make the bridge of a network, or skip the test."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("network namespaces need root, and the commands ip (iproute2) and unshare (util-linux)")
    bridge = f"{network.name}-br"
    made = subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no bridge can be made here: {made.stderr.strip()}")
    try:
        subprocess.run(["ip", "addr", "add", f"{network.server}/24", "dev", bridge], check=True)
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "del", bridge], check=True)
