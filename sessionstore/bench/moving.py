"""M1 to M6: merging, packing, pushing and listing elsewhere, beside the tools that people copy with; lineage.

Each contestant starts from the same sessions (ten files each) and an empty place; removing what it made is not timed.
A tool that is not installed is left out with its name.
Not here: whether what arrives is right (tests/exchange), the other workloads (workloads, scale).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sessionstore
from sessionstore.bench import OURS
from sessionstore.bench.figures import Figure, Figures, Target, in_turn
from sessionstore.model import lineage

if TYPE_CHECKING:
    from sessionstore.bench.workloads import Bench
    from sessionstore.session import Session

STREAMS = 8
#: Pairs of updates in a round, and rounds in one of the plan, by which lineage is measured.
UPDATES, LINEAGE_ROUNDS = 60, 5
#: Sessions with one large stream each.
LARGE, LARGE_BYTES = 4, 16 << 20
#: Sessions that go to the S3 server of the tests, which takes some milliseconds a request.
PUSHED = 40
#: Names certificates for HTTPS; rclone refuses to start with it, and the server of the tests speaks plain HTTP.
_CA = "AWS_CA_BUNDLE"
_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
Work = Callable[[Path], object]


def moving(bench: Bench) -> None:
    """M1 to M6."""
    folder = bench.scratch / "moving"
    folder.mkdir(parents=True)
    try:
        count = bench.plan.moved
        source = folder / "source"
        made_sessions(source, count)
        _merge(bench, folder, source, count)
        _merge_again(bench, folder, source, count)
        _pack(bench, folder, source, count)
        _push(bench, folder)
        _list_elsewhere(bench, count * 10)
        _lineage(bench, folder)
    finally:
        shutil.rmtree(folder)


def made_sessions(path: Path, count: int) -> None:
    """Make sessions of ten files each."""
    with sessionstore.open(path, sync="os") as store:
        for number in range(count):
            session = store.create(f"Run {number}", metadata={"number": number})
            for stream in range(STREAMS):
                writer = session.writer(f"stream{stream}", "os")
                writer.extend({"v": each, "text": "x" * 60} for each in range(20))
                writer.close()
            session.artifacts.put("plot.bin", b"x" * 4000)


def compared(
    figures: Figures,
    workload: str,
    case: str,
    works: dict[str, Work],
    folder: Path,
    rounds: int,
    count: int,
    against: str,
    target: Target,
) -> None:
    """Let each contestant work into a new place, in turn; figures are sessions a second."""
    values: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            place = folder / "made"
            place.mkdir()
            begin = time.perf_counter()
            works[name](place)
            passed_s = time.perf_counter() - begin
            shutil.rmtree(place)
            if number:  # the first one warms up
                values[name].append(count / passed_s)
    for name in names:
        mine = {"against": against, "target": target} if name == OURS else {}
        figures.add(Figure(workload, case, name, "/s", values[name], count, **mine))  # type: ignore[arg-type]


def _run(*command: str, cwd: Path | None = None, without: str | None = None) -> None:
    """Run a program, if need be without one of our environment variables."""
    environment = {name: value for name, value in os.environ.items() if name != without}
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL, env=environment)


def _merge(bench: Bench, folder: Path, source: Path, count: int) -> None:
    def ours(place: Path) -> None:
        with sessionstore.open(place / "store") as store:
            store.merge(source)

    def copy(place: Path) -> None:
        _run("cp", "-a", str(source), str(place / "copy"))
        _run("sync", "-f", str(place / "copy"))

    target = Target("ratio", ">=", 0.8)
    works: dict[str, Work] = {"cp -a, synced": copy, OURS: ours}
    compared(bench.figures, "M1", "merge", works, folder, bench.plan.rounds, count, "cp -a, synced", target)


def _merge_again(bench: Bench, folder: Path, source: Path, count: int) -> None:
    place = folder / "again"
    with sessionstore.open(place) as store:
        store.merge(source)

    def listings() -> int:
        for each in (source, place):
            with sessionstore.open(each) as opened:
                opened.find()
        return count

    def again() -> int:
        with sessionstore.open(place) as opened:
            assert opened.merge(source).count("same") == count
        return count

    values = in_turn({"list both": listings, OURS: again}, bench.plan.rounds, _seconds)
    found = {name: Figure("M2", "merge again", name, "s", each, count) for name, each in values.items()}
    found[OURS].against, found[OURS].target = "list both", Target("ratio", "<=", 2.0)
    for figure in found.values():
        bench.figures.add(figure)
    shutil.rmtree(place)


def _seconds(operation: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    operation()
    return time.perf_counter() - begin


def _pack(bench: Bench, folder: Path, source: Path, count: int) -> None:
    """Small files, where each file costs, and large ones, where the bytes do; all are synced at the end.

    A bundle has the SHA-256 of each file; the tools stand there without and with it, the target is without.
    """
    large = folder / "large"
    made_large(large, LARGE, LARGE_BYTES)
    for case, store, number in (("", source, count), (", large streams", large, LARGE)):
        _pack_store(bench, folder, store, number, case)
    shutil.rmtree(large)


def made_large(path: Path, count: int, stream_bytes: int) -> None:
    """Make sessions of one large stream each."""
    with sessionstore.open(path, sync="os") as store:
        for number in range(count):
            writer = store.create(f"Large {number}").writer("stream", "os")
            for start in range(0, stream_bytes // 100, 1000):
                writer.extend({"v": each * 7919 % 100_003, "text": "x" * 60} for each in range(start, start + 1000))
            writer.close()


def _pack_store(bench: Bench, folder: Path, source: Path, count: int, what: str) -> None:
    def packed(name: str) -> Work:
        def work(place: Path) -> None:
            with sessionstore.open(source) as store:
                store.pack(place / name)

        return work

    parent, name = source.parent, source.name

    def zipped(place: Path) -> None:
        _run("zip", "-q", "-0", "-r", str(place / "a.zip"), name, cwd=parent)
        _run("sync", str(place / "a.zip"))

    def tarred(place: Path) -> None:
        _run("sh", "-c", f"tar -C '{parent}' -cf - '{name}' | zstd -q -3 -o '{place}/a.tar.zst'")
        _run("sync", str(place / "a.tar.zst"))

    def checked(work: Work) -> Work:
        def both(place: Path) -> None:
            _run("sh", "-c", f"find '{name}' -type f -print0 | xargs -0 sha256sum > '{place}/manifest'", cwd=parent)
            work(place)

        return both

    target = Target("ratio", ">=", 0.8)
    for case, needed, work, file in (
        ("pack a .zip", ("zip",), zipped, "a.zip"),
        ("pack a .tar.zst", ("tar", "zstd"), tarred, "a.tar.zst"),
    ):
        tool = " | ".join(needed) if len(needed) > 1 else "zip -0"
        if missing := [each for each in needed if shutil.which(each) is None]:
            bench.figures.left_out[tool] = f"{missing[0]} is not installed"
            continue
        works: dict[str, Work] = {f"{tool}, synced": work, OURS: packed(file)}
        if shutil.which("sha256sum"):
            works[f"sha256sum, {tool}, synced"] = checked(work)
        compared(bench.figures, "M3", case + what, works, folder, bench.plan.rounds, count, f"{tool}, synced", target)


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """An S3 server in a process of its own. Raises: ModuleNotFoundError."""
    for needed in ("moto", "s3fs"):
        importlib.import_module(needed)

    process = subprocess.Popen(
        [sys.executable, "-c", _S3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin and process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def _push(bench: Bench, folder: Path) -> None:
    try:
        with s3_server() as port:
            _push_to(bench, folder, port)
    except ModuleNotFoundError as error:
        bench.figures.left_out["s3fs.put"] = f"{error.name} is not installed"


def _push_to(bench: Bench, folder: Path, port: int) -> None:
    s3fs = importlib.import_module("s3fs")
    address = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        s3fs.S3FileSystem.clear_instance_cache()
        request = urllib.request.Request(f"{address}/bench", method="PUT")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).close()
        sent = folder / "sent"
        made_sessions(sent, PUSHED)
        number = iter(range(1_000_000))

        def ours(_: Path) -> None:
            with sessionstore.open(sent) as store:
                store.push(f"s3://bench/ours-{next(number)}")

        def theirs(_: Path) -> None:
            s3fs.S3FileSystem().put(str(sent), f"bench/theirs-{next(number)}", recursive=True, batch_size=16)

        works: dict[str, Work] = {"s3fs.put": theirs, OURS: ours}
        if shutil.which("rclone"):
            where = f":s3,env_auth,provider=Other,endpoint='{address}':bench/r"
            works["rclone"] = lambda _: _run("rclone", "copy", str(sent), f"{where}-{next(number)}", without=_CA)
        else:
            bench.figures.left_out["rclone"] = "rclone is not installed"
        target = Target("ratio", ">=", 0.8)
        compared(bench.figures, "M4", "push", works, folder, bench.plan.rounds, PUSHED, "s3fs.put", target)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _list_elsewhere(bench: Bench, count: int) -> None:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        bench.figures.left_out["list elsewhere"] = f"{error.name} is not installed"
        return
    from sessionstore.exchange.remote import manifest
    from sessionstore.exchange.remote.places import FsspecPlace

    url = "memory://bench-moving"
    with sessionstore.open(bench.scratch / "moving" / "one") as store:
        store.create("Run")
        store.push(url)
    place = FsspecPlace(url)
    found = manifest.read(place)
    assert found is not None
    (entry,) = found[0].values()
    manifest.add(place, {f"202601010000-Run-{number}": entry for number in range(count - 1)})

    def listed() -> int:
        with sessionstore.open(url) as remote:
            assert len(remote.find()) == count
        return count

    values = in_turn({OURS: listed}, bench.plan.rounds, _seconds)[OURS]
    bench.figures.add(Figure("M5", "list elsewhere", OURS, "s", values, count, None, Target("median", "<=", 3.0)))
    fsspec.filesystem("memory").rm("/bench-moving", recursive=True)


@contextlib.contextmanager
def without_lineage() -> Iterator[None]:
    """Let records keep no digests."""
    real = lineage.digest
    lineage.digest = lambda tables: "0" * 16
    try:
        yield
    finally:
        lineage.digest = real


def _lineage(bench: Bench, folder: Path) -> None:
    """Updates with and without lineage, in turn one by one, by their CPU time: what disturbs the machine hits both.

    Synced, as a store does by default; and not synced, which is the least that an update can cost.
    """
    _updates(bench, folder / "updated", {}, "update, by CPU", UPDATES // 4)
    _updates(bench, folder / "not-synced", {"sync": "os"}, "update, not synced, by CPU", UPDATES)


def _updates(bench: Bench, place: Path, options: dict[str, Any], case: str, pairs: int) -> None:
    values: dict[str, list[float]] = {"without lineage": [], OURS: []}
    with sessionstore.open(place, **options) as store:
        session = store.create("Run", metadata={"v": 0})
        for number in range(LINEAGE_ROUNDS * bench.plan.rounds + 1):
            passed = _pairs_of_updates(session, number, pairs)
            for name, seconds in zip(values, passed, strict=True):
                if number:  # the first round warms up
                    values[name].append(pairs / seconds)
    for name, each in values.items():
        mine = {"against": "without lineage", "target": Target("ratio", ">=", 0.95)} if name == OURS else {}
        bench.figures.add(Figure("M6", case, name, "/s", each, None, **mine))  # type: ignore[arg-type]


def _pairs_of_updates(session: Session, round_number: int, pairs: int) -> tuple[float, float]:
    """Return the CPU seconds of updates without lineage, and of as many with it; one of each makes a pair."""
    bare = full = 0.0
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 else (1, 0):
            with without_lineage() if which == 0 else contextlib.nullcontext():
                begin = time.thread_time()
                session.update(notes=f"{round_number} {pair} {which}")
                passed_s = time.thread_time() - begin
            if which == 0:
                bare += passed_s
            else:
                full += passed_s
    return bare, full
