"""The figures of the API, measured against real servers: ``python -m sessionstore.bench.api [--quick]``.

    get       GET one session, beside a bare starlette route that returns the same bytes, in turns
    list      the first page of 10,000 sessions
    live      50 viewers of a session recorded at 20 Hz, while GETs go on: delay of each record, CPU of the server
    memory    the server's memory over 100,000 requests

Every figure stands beside its target; quote ratios, since machines differ.
Not here: the store without HTTP (bench of the package), tests (tests/server).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import sessionstore
from sessionstore.store import SessionStore

VIEWERS, RATE_HZ = 50, 20
_SINCE_BOOT_HZ = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = open(sys.argv[2], "rb").read()
async def get(request): return Response(body, media_type="application/json")
uvicorn.run(Starlette(routes=[Route("/api/sessions/{session_id}", get)]), port=int(sys.argv[1]), log_level="warning",
            access_log=False, http="h11", loop="asyncio", ws="none")
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    target: float
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target


@dataclass(frozen=True, slots=True)
class Process:
    """A server that was started here."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _SINCE_BOOT_HZ

    def memory_mb(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[Process]:
    """Run a server while the block lasts; ``{port}`` in an argument becomes a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, *(each.replace("{port}", str(port)) for each in arguments)])
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield Process(port, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def our_server(store: SessionStore) -> contextlib.AbstractContextManager[Process]:
    """Run ``sessionstore serve`` on a store."""
    return started("-m", "sessionstore", "serve", "--port", "{port}", "--dir", str(store.root.path))


class Client:
    """One connection that is kept, as cheap as the standard library allows."""

    def __init__(self, server: Process) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def get(self, path: str) -> bytes:
        """Return the body of a GET; anything but 200 is an error."""
        self._connection.request("GET", path)
        reply = self._connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise click.ClickException(f"{path}: {reply.status} {body[:200]!r}")
        return body

    def seconds(self, path: str, times: int) -> list[float]:
        """Return how long each of ``count`` GETs took."""
        found = []
        for _ in range(times):
            began = time.perf_counter()
            self.get(path)
            found.append(time.perf_counter() - began)
        return found


def bench_get(store: SessionStore, scratch: Path, rounds: int) -> list[Figure]:
    """Compare GET of one session with a bare route."""
    with store.record("one") as session:
        for tick in range(200):
            session.motion.append("scout-1", t_s=tick / 20, position_m=(tick, 0, 5))
    path = f"/api/sessions/{session.session_id}"
    with our_server(store) as ours:
        mine = Client(ours)
        body = scratch / "body"
        body.write_bytes(mine.get(path))
        (scratch / "bare.py").write_text(_BARE)
        with started(str(scratch / "bare.py"), "{port}", str(body)) as bare:
            other = Client(bare)
            mine.seconds(path, 300), other.seconds(path, 300)
            cpu_s = ours.cpu_s(), bare.cpu_s()
            pairs = [
                (statistics.median(mine.seconds(path, 100)), statistics.median(other.seconds(path, 100)))
                for _ in range(rounds)
            ]
            used_s = ours.cpu_s() - cpu_s[0], bare.cpu_s() - cpu_s[1]
    ratio = statistics.median(one / two for one, two in pairs)
    ours_us, bare_us = (1e6 * statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ours_cpu_us, bare_cpu_us = (1e6 * used / (100 * rounds) for used in used_s)
    return [
        Figure("GET one session, to a bare route", ratio, "times", 1.5, f"{ours_us:.0f} us, bare {bare_us:.0f} us"),
        Figure("CPU of the server for it, to a bare route", used_s[0] / used_s[1], "times", 1.5,
               f"{ours_cpu_us:.0f} us, bare {bare_cpu_us:.0f} us"),
    ]  # fmt: skip


def bench_list(store: SessionStore, sessions: int) -> list[Figure]:
    """Measure the first page of many sessions."""
    for number in range(sessions - len(store.find())):
        store.create(f"s{number % 100}", metadata={"number": number})
    with our_server(store) as ours:
        client = Client(ours)
        client.seconds("/api/sessions?limit=50", 3)
        times = client.seconds("/api/sessions?limit=50", 40)
    value = 1000 * statistics.median(times)
    return [Figure(f"first page of {sessions:,} sessions", value, "ms", 20.0, f"slowest {1000 * max(times):.1f} ms")]


def bench_live(store: SessionStore, seconds: float) -> list[Figure]:
    """Measure 50 viewers of a session that is recorded at 20 Hz, while GETs go on."""
    recorder = store.record("watched")
    address = f"/api/sessions/{recorder.session_id}/live?streams=motion_history&offset=end"
    with our_server(store) as ours:
        stop = threading.Event()
        delays: list[float] = []
        viewers = threading.Thread(target=lambda: asyncio.run(_view_all(ours.port, address, delays, stop)))
        viewers.start()
        getter = threading.Thread(target=_get_on, args=(ours, f"/api/sessions/{recorder.session_id}", stop))
        getter.start()
        time.sleep(2)
        cpu_s, began = ours.cpu_s(), time.monotonic()
        _record(recorder, seconds)
        cores = (ours.cpu_s() - cpu_s) / (time.monotonic() - began)
        time.sleep(0.5)
        stop.set()
        getter.join()
        recorder.finish()
        viewers.join()
    expected = VIEWERS * int(seconds * RATE_HZ)
    p99 = 1000 * sorted(delays)[int(0.99 * len(delays))]
    note = f"{len(delays):,} of {expected:,} records, median {1000 * statistics.median(delays):.1f} ms"
    return [
        Figure(f"{VIEWERS} viewers at {RATE_HZ} Hz, delay p99", p99, "ms", 50.0, note),
        Figure("their records that did not arrive", expected - len(delays), "", 0),
        Figure("CPU of the server meanwhile", cores, "cores", 0.25, "20 GETs a second go on"),
    ]


def _record(recorder: Any, seconds: float) -> None:
    began = time.monotonic()
    for tick in range(int(seconds * RATE_HZ)):
        time.sleep(max(0.0, began + tick / RATE_HZ - time.monotonic()))
        point = {"drone": "scout-1", "position": [tick / 20, 0, 5], "wall": time.monotonic()}
        recorder.motion.extend([point], t_s=tick / RATE_HZ)


def _get_on(server: Process, path: str, stop: threading.Event) -> None:
    client = Client(server)
    while not stop.wait(1 / 20):
        client.get(path)


async def _view_all(port: int, address: str, delays: list[float], stop: threading.Event) -> None:
    async def view() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        writer.write(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        try:
            while line := await reader.readline():
                if line.startswith(b'data: [{"n"'):
                    now = time.monotonic()
                    delays.extend(now - record["wall"] for record in json.loads(line[6:]))
                elif line == b"event: end\n":
                    return
        finally:
            writer.close()

    await asyncio.gather(*(view() for _ in range(VIEWERS)))


def bench_memory(store: SessionStore, requests: int) -> list[Figure]:
    """Measure how memory grows over many requests of several kinds."""
    session_id = store.find(limit=1)[0].session_id
    paths = [f"/api/sessions/{session_id}", "/api/sessions?limit=20", f"/api/sessions/{session_id}/streams", "/docs"]
    paths = [f"/api/sessions/{session_id}"] * 16 + paths[1:]
    with our_server(store) as ours:
        client = Client(ours)
        for number in range(requests // 10):
            client.get(paths[number % len(paths)])
        early = ours.memory_mb()
        for number in range(requests - requests // 10):
            client.get(paths[number % len(paths)])
        late = ours.memory_mb()
    note = f"{early:.1f} MB after {requests // 10:,} requests, {late:.1f} MB after {requests:,}"
    return [Figure("memory grown over the requests", late - early, "MB", 2.0, note)]


def show(figures: list[Figure]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
                        f"sessionstore {sessionstore.__version__}")  # fmt: skip
    for name in ("what", "measured", "target", "", "more"):
        table.add_column(name, overflow="fold")
    for each in figures:
        measured, target = f"{each.value:.2f} {each.unit}", f"at most {each.target:g} {each.unit}"
        table.add_row(each.what, measured, target, "met" if each.met else "MISSED", each.note)
    Console().print(table)


@click.command()
@click.option("--quick", is_flag=True, help="Fewer sessions and requests: a minute instead of some.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(quick: bool, as_json: bool) -> None:
    """Measure the API, and exit 1 when a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with sessionstore.open(scratch / "few") as few, sessionstore.open(scratch / "many") as many:
            figures = bench_get(few, scratch, 5 if quick else 20)
            figures += bench_live(few, 5 if quick else 20)
            figures += bench_memory(few, 10_000 if quick else 100_000)
            figures += bench_list(many, 1000 if quick else 10_000)
    if as_json:
        click.echo(json.dumps([{"what": each.what, "value": each.value, "unit": each.unit, "target": each.target,
                                "met": each.met, "note": each.note} for each in figures], indent=1))  # fmt: skip
    else:
        show(figures)
    sys.exit(0 if all(each.met for each in figures) else 1)


if __name__ == "__main__":
    main()
