"""SIGKILL, or an error, at each system call of an operation: real processes, by strace.

A server process imports everything once and forks a child per trial; the child waits until strace is attached, so that
calls are counted from the operation on, then performs its steps and tells each one (begin, acknowledged, refused) with
``writev``, which nothing else here uses and no fault is injected into. The store is judged afterwards by this process.
Not here: what the steps are (operations), what is right (oracle).
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sessionstore.errors import OutcomeUnknown, SessionStoreError
from sessionstore.maintenance import doctor
from sessionstore.maintenance.findings import Finding
from sessionstore.maintenance.repairs import plan
from sessionstore.store import SessionStore
from tests.proof import breaking, moving, operations
from tests.proof.operations import World
from tests.sqlite_versions import as_version

#: What changes the disk; a process is killed just before one of them.
MUTATING = (
    "write,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "ftruncate,truncate,utimensat,flock"
)
#: What may fail besides: opening, looking and reading.
ALSO_FAILING = "openat,newfstatat,read,pread64,getdents64"
#: What the child itself tells and waits with: no call of ours.
HARNESS_CALLS = ("readv", "writev", "exit_group")
#: Which error each call gets; the others get EIO.
ERRORS = {"write": "ENOSPC", "mkdir": "ENOSPC", "openat": "EMFILE", "flock": "ENOLCK"}
_CALL = re.compile(r"^(?:\[?\w* ?\d+\]? +)?(\w+)\(")
_TIMEOUT_S = 60.0


def serve() -> None:
    """Fork one child per request line on standard input; the child's report goes to the pipe named in it."""
    with tempfile.TemporaryDirectory() as folder:  # everything is imported before the first trial
        store = operations.sessionstore.open(folder)
        for number, operation, _ in operations.possible(tuple(operations.OPERATIONS), operations.begin(Path(folder))):
            operation.perform(store, number)
        as_version(2, Path(folder) / "index.sqlite", [])
        operations.BESIDE["migrate"].perform(store, 0)
        moving.warm(Path(folder))
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(request)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(status, flush=True)


def _child(request: dict) -> None:
    go, report = os.open(request["go"], os.O_RDONLY), os.open(request["report"], os.O_WRONLY)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server leaves Ctrl-C to the test
    world = operations.world_from(request["world"])
    path = Path(request["store"])
    findings = doctor.examine(path).findings if request["repair"] else []  # looking is not what is tried
    os.writev(report, [b"r"])  # from here on a tracer may count
    os.readv(go, [bytearray(1)])

    def tell(*words: object) -> None:
        os.writev(report, [(" ".join(map(str, words)) + "\n").encode()])

    try:
        if request["repair"]:
            _repair(findings, path, tell)
        store = _opened(path, tell, request["attempts"])
        if request["move"]:
            _move(store, request["move"], tell)
        for number, operation, _ in operations.possible(tuple(request["names"]), world):
            try:
                operation.hand(store)
            except OSError:  # the fault hit the hand, not us
                tell("skipped", number)
                break
            if not _attempted(store, number, operation, request["attempts"], tell):
                break
    except KeyboardInterrupt:
        tell("interrupted")
        _go_on(path, tell)
    except BaseException as error:  # noqa: BLE001  # this is what the trial is about: an error that is not typed
        place = traceback.extract_tb(error.__traceback__)[-1]
        tell("untyped", type(error).__name__, f"{Path(place.filename).name}:{place.lineno} {str(error)[:200]!r}")
    os._exit(0)


def _go_on(path: Path, tell: Callable[..., None]) -> None:
    """Work on in a process that was interrupted: a lock that it still holds would keep a second handle out."""
    try:
        with operations.sessionstore.open(path) as store:
            store.root.locks._timeout_s = 0.2
            store.get("B").update(notes="after Ctrl-C")
            store.delete(store.create("probe").session_id)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the trial looks for
        tell("untyped", "after Ctrl-C", f"{type(error).__name__}: {str(error)[:200]}")


def _repair(findings: list[Finding], path: Path, tell: Callable[..., None]) -> None:
    """Mend what was found; tell each repair that was done, and what was refused."""
    try:
        for outcome in plan.repair(findings, path):
            tell("repaired" if outcome.repaired else "unrepaired", outcome.finding.code, outcome.what)
        tell("done", 0)
    except SessionStoreError as error:
        tell("refused", 0, type(error).__name__)
    os._exit(0)


def _move(store: SessionStore, source: str, tell: Callable[..., None]) -> None:
    """Merge a source into the store; tell that it was done, or what refused it."""
    tell("begin", 2)
    try:
        report = store.merge(source)
        tell("done", 2, report.count("skipped"))
    except SessionStoreError as error:
        tell("refused", 2, type(error).__name__)
    os._exit(0)


def _opened(path: Path, tell: Callable[..., None], attempts: int) -> SessionStore:
    for _ in range(attempts):
        try:
            return operations.sessionstore.open(path)
        except SessionStoreError as error:
            tell("refused", 0, type(error).__name__)
    os._exit(0)


def _attempted(
    store: SessionStore, number: int, operation: operations.Operation, attempts: int, tell: Callable[..., None]
) -> bool:
    for attempt in range(attempts):
        tell("begin", number)
        try:
            operation.perform(store, number)
        except OutcomeUnknown as error:
            tell("unknown", number, type(error).__name__)
            return False
        except SessionStoreError as error:
            tell("refused", number, type(error).__name__, attempt)
        else:
            tell("done", number, attempt)
            return True
    return False


@dataclass
class Trial:
    """What a child said, and how it ended."""

    said: list[list[str]] = field(default_factory=list)
    killed: bool = False
    calls: list[str] = field(default_factory=list)


class Server:
    """The process that forks the children of all trials."""

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir(exist_ok=True)
        self._scratch = scratch
        self._process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-m", "tests.proof.syscalls"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
        )
        self._read()
        for name in ("go", "report"):
            os.mkfifo(scratch / name)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_TIMEOUT_S)
        self._process.stdout.close()

    def run(
        self,
        names: tuple[str, ...],
        store: Path,
        world: World,
        strace: list[str] | None,
        attempts: int = 1,
        repair: bool = False,
        move: str = "",
    ) -> Trial:
        """Perform a sequence in a new process under strace.

        Args:
            strace: its options; None runs without.
            attempts: how often an operation that was refused is tried again.
            repair: in place of a sequence, repair what the doctor finds.
            move: in place of a sequence, merge this source.
        """
        with self.started(names, store, world, attempts, repair, move) as (pid, go, report):
            log = self._scratch / "strace.log"
            tracer = None if strace is None else _attach(pid, log, strace)
            os.write(go, b"g")
            status = int(self._read())
            if tracer is not None:
                tracer.wait(_TIMEOUT_S)
            said = drain(report)
        calls = [] if strace is None else log.read_text(errors="replace").splitlines()
        return Trial(said, os.WIFSIGNALED(status), calls)

    def ended(self) -> int:
        """Wait for the child, and return how it ended."""
        return int(self._read())

    @contextmanager
    def started(
        self,
        names: tuple[str, ...],
        store: Path,
        world: World,
        attempts: int = 1,
        repair: bool = False,
        move: str = "",
    ) -> Iterator[tuple[int, int, int]]:
        """Fork a child that waits for a byte; give its number, the pipe for that byte, and the one that it tells to."""
        report = os.open(self._scratch / "report", os.O_RDWR | os.O_NONBLOCK)
        go = os.open(self._scratch / "go", os.O_RDWR)
        try:
            request = {
                "names": names,
                "store": str(store),
                "world": operations.world_to(world),
                "attempts": attempts,
                "repair": repair,
                "move": move,
                "go": str(self._scratch / "go"),
                "report": str(self._scratch / "report"),
            }
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            pid = int(self._read())
            select.select([report], [], [], _TIMEOUT_S)
            assert os.read(report, 1) == b"r"
            yield pid, go, report
        finally:
            os.close(report)
            os.close(go)


def drain(report: int) -> list[list[str]]:
    """Return what a child has told so far."""
    data = b""
    while select.select([report], [], [], 0)[0]:
        data += os.read(report, 1 << 16)
    return [line.split(" ", 3) for line in data.decode().splitlines()]


def _attach(pid: int, log: Path, options: list[str]) -> subprocess.Popen[bytes]:
    tracer = subprocess.Popen(
        ["strace", "-q", "-y", "-o", str(log), *options, "-p", str(pid)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        while _tracer_of(pid) == 0:
            if tracer.poll() is not None:
                assert tracer.stderr is not None
                raise RuntimeError(f"strace ended: {tracer.stderr.read().decode()}")
            select.select([], [], [], 0.001)
    finally:
        if tracer.stderr is not None:
            tracer.stderr.close()
    return tracer


def _tracer_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0


def calls_of(trial: Trial, names: str) -> list[tuple[str, int]]:
    """Return each traced call (of these names, or "all") as its name and the how-manieth of that name, from 1."""
    wanted, counts, found = set(names.split(",")), {}, []
    for line in trial.calls:
        match = _CALL.match(line)
        if match and (names == "all" or match[1] in wanted):
            counts[match[1]] = counts.get(match[1], 0) + 1
            found.append((match[1], counts[match[1]]))
    return found


def allowed_after(trial: Trial, names: tuple[str, ...], world: World) -> tuple[list[World], list[str]]:
    """Return the states that the store may be in after what a child said, and what was wrong with what it said."""
    wrong = [" ".join(words) for words in trial.said if words[0] == "untyped"]
    allowed = [world]
    open_steps: list[World] = []
    steps_of = {number: steps for number, _, steps in operations.possible(names, world)}
    for words in trial.said:
        if words[0] == "begin":
            open_steps = _extend(allowed, steps_of[int(words[1])])
        elif words[0] == "done":
            allowed, open_steps = steps_of[int(words[1])][-1:], []
        elif words[0] == "refused" and int(words[1]):
            open_steps = []
            if not operations.may_stop_between(int(words[1]), names):
                continue
            allowed = _extend(allowed, steps_of[int(words[1])])
        elif words[0] == "unknown":
            allowed, open_steps = _extend(allowed, steps_of[int(words[1])]), []
    return (open_steps or allowed), wrong


def in_flight(trial: Trial, names: tuple[str, ...]) -> str:
    """Return the operation that a child had begun last."""
    begun = [int(words[1]) for words in trial.said if words[0] == "begin"]
    return names[begun[-1] - 2] if begun else "opening"


def _extend(allowed: list[World], steps: list[World]) -> list[World]:
    return [*allowed, *(step for step in steps if step not in allowed)]


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the test that runs this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    ignore_interrupts()
    breaking.break_by_environment()
    serve()
