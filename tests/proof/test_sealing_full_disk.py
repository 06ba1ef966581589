"""T5, T6 for sealed streams: a disk full at any point of sealing or unsealing, or a limit on the size of files.

Each refusal is one of ours and leaves the stream in the form that it had, whole, no file beside; with room, it works.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import StoreUnusable
from sessionstore.session import Session, sealing
from sessionstore.session.stream_source import sealed_path
from tests.proof.operations import STREAM
from tests.proof.tally import tally
from tests.proof.test_full_disk import tmpfs
from tests.proof.volumes import need_root

ROW = "T5, T6 sealing and unsealing: a disk full from any page on, a limit on the size of files at any byte"
PAGE = 4096
PAGES = 64  # of the disk
COUNT = 40
#: A line of half a page that no compression makes smaller than a third: a sealed stream of several pages.
_RANDOM = random.Random(1)
VALUES = [_RANDOM.randbytes(900).hex() for _ in range(COUNT)]


def ended_run(path: Path) -> Session:
    """Return a session that has ended, with one stream."""
    with sessionstore.open(path, sync="os") as store:
        with store.record("run") as run:
            run.stream(STREAM).extend({"v": value} for value in VALUES)
        return store.get("run")


def state_of(session: Session) -> tuple[str, list[str]]:
    """Return the form of the stream, and what is wrong with it: a line, its check, a file beside."""
    plain = session.stream_path(STREAM)
    forms = [form for form, path in (("plain", plain), ("sealed", sealed_path(plain))) if path.exists()]
    tape = session.tape(STREAM)
    wrong = [] if [line.data["v"] for line in tape.read()] == VALUES else ["the lines differ"]
    wrong += [] if tape.check().whole else ["its check is not whole"]
    wrong += [f"{each.name} is left" for each in session.folder.iterdir() if each.name.startswith(".tmp")]
    return "and ".join(forms), wrong


def attempt(deed: Callable[[], object]) -> str:
    """Return "done", "refused", or the error that is none of ours."""
    try:
        deed()
    except StoreUnusable:
        return "refused"
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
        return f"{type(error).__name__}: {error}"
    return "done"


def judged(session: Session, deed: Callable[[], object], before: str, after: str) -> tuple[str, list[str]]:
    """Try a deed; return what came of it, and what is wrong with the stream then."""
    said = attempt(deed)
    form, wrong = state_of(session)
    wanted = {"refused": before, "done": after}.get(said)
    if form != wanted:
        wrong.append(f"it said {said}, and the stream is {form}")
    return said, wrong


def exchanges(session: Session) -> Iterator[tuple[str, Callable[[], object], str, str]]:
    """Yield what is tried on the stream, in turn: its name, the deed, the form before and after."""
    path = session.stream_path(STREAM)
    yield "seal", lambda: sealing.seal_stream(path), "plain", "sealed"
    yield "unseal", lambda: sealing.unseal_stream(path), "sealed", "plain"


@contextlib.contextmanager
def room_of(disk: Path, pages: int) -> Iterator[None]:
    """Leave this many pages of the disk free."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(PAGE))
    os.truncate(ballast, max(0, ballast.stat().st_size // PAGE - pages) * PAGE)
    yield
    ballast.unlink()


@pytest.mark.proof
def test_a_disk_that_is_full_from_any_page_on_refuses_to_seal_and_unseal_and_takes_nothing(scratch: Path) -> None:
    need_root()
    with tally(ROW) as count, tmpfs(scratch / "small", f"size={PAGES * PAGE}") as small:
        session, refused = ended_run(small / "store"), 0
        for what, deed, before, after in exchanges(session):
            for pages in range(PAGES):
                with room_of(small, pages):
                    said, wrong = judged(session, deed, before, after)
                count(inputs=1)
                count.wrong += [f"{what} with {pages} pages: {each}" for each in wrong]
                refused += said == "refused"
                if said == "done":
                    break
            else:
                count.wrong.append(f"{what} was never done")
        assert refused > 10


@pytest.mark.proof
def test_an_append_that_must_unseal_on_a_full_disk_is_refused_and_the_sealed_stream_stays(scratch: Path) -> None:
    need_root()
    with tally(ROW) as count, tmpfs(scratch / "small", f"size={PAGES * PAGE}") as small:
        session = ended_run(small / "store")
        sealing.seal_stream(session.stream_path(STREAM))

        def append() -> None:
            with contextlib.closing(session.writer(STREAM, "full")) as writer:
                writer.append({"v": "one more"})

        with room_of(small, 2):
            said, wrong = judged(session, append, "sealed", "plain")
        count(inputs=1)
        count.wrong += [*wrong, *([] if said == "refused" else [f"it said {said}"])]
        append()
        found = [line.data["v"] for line in session.tape(STREAM).read()]
        count.wrong += [] if found == [*VALUES, "one more"] else ["after there was room again, lines differ"]


def _try_limits(session: Session) -> list[str]:
    """Seal and unseal under a limit on the size of files: at any byte of the new file too small, then large enough."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    wrong = []
    for what, deed, before, after in exchanges(session):
        said, limit, step = "", 0, 1777
        while said != "done" and limit < PAGES * PAGE:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            said, found = judged(session, deed, before, after)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            wrong += [f"{what} with a limit of {limit} bytes: {each}" for each in found]
            limit += step
        if said != "done" or limit < 5 * step:
            wrong.append(f"{what} said {said} at {limit} bytes")
    return wrong


def test_a_limit_of_the_size_of_files_refuses_to_seal_and_unseal_and_leaves_no_half_file(scratch: Path) -> None:
    session = ended_run(scratch / "store")
    with tally(ROW) as count:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, "\n".join(["tried", *_try_limits(session)]).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as told:
            first, *wrong = told.read().splitlines()
        os.waitpid(child, 0)
        count(inputs=1)
        assert first == "tried"
        count.wrong += [*wrong, *state_of(session)[1]]
