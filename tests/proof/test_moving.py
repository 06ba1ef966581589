"""Merge, unpack and pull under faults: killed or refused at any system call, without power, disk full, two at once."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.errors import StoreUnusable
from sessionstore.store import merge_log
from tests.proof import moving, operations, oracle, power
from tests.proof.crash_states import Disk, lay_out, tree_of
from tests.proof.moving import Scene
from tests.proof.syscalls import ERRORS, MUTATING, Server, calls_of, drain
from tests.proof.tally import tally
from tests.proof.test_full_disk import fill, tmpfs
from tests.proof.volumes import PROOF, fast_folder, need, need_root, volume

pytestmark = [pytest.mark.proof, pytest.mark.timeout(36000)]
WORLD = operations.World()
#: Which of the calls a fault is put at in CI: the placing of sessions is the same for all kinds.
EVERY = {"folder": 4, "bundle.tar.zst": 12, "url": 12} if PROOF == "ci" else {}


@pytest.fixture(scope="module")
def scenes() -> Iterator[dict[str, Scene]]:
    folder = fast_folder()
    found = {}
    for kind in ("folder", "bundle.tar.zst", "url"):
        (folder / kind).mkdir()
        found[kind] = moving.scene(folder / kind, kind)
    yield found
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    need_root()
    need("strace")
    folder = fast_folder()
    started = Server(folder)
    yield started
    started.close()
    shutil.rmtree(folder, ignore_errors=True)


def points(server: Server, scene: Scene, scratch: Path, kind: str) -> list[tuple[str, int]]:
    store = oracle.copy_tree(scene.base, scratch / "store")
    trial = server.run((), store, WORLD, ["-e", f"trace={MUTATING}"], move=scene.source)
    assert [words[0] for words in trial.said] == ["begin", "done"], trial.said
    calls = calls_of(trial, MUTATING)
    assert len(calls) > 60
    return calls[:: EVERY.get(kind, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "bundle.tar.zst", "url"])
def test_a_merge_killed_before_any_changing_syscall_is_completed_by_running_it_again(
    kind: str, server: Server, scenes: dict[str, Scene], scratch: Path
) -> None:
    scene = scenes[kind]
    with tally("T1 SIGKILL before each changing syscall of merge, unpack and pull") as count:
        for call, nth in points(server, scene, scratch, kind):
            store = oracle.copy_tree(scene.base, scratch / "store")
            options = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"]
            trial = server.run((), store, WORLD, options, move=scene.source)
            count(kills=trial.killed)
            done = bool(trial.said) and trial.said[-1][0] == "done"
            count.wrong += [f"{kind}: before {call} {nth}: {each}" for each in moving.judge(store, scene, done)]
    assert count.counts["kills"] >= 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "bundle.tar.zst"])
def test_an_error_at_any_changing_syscall_of_a_merge_is_reported_and_harmless(
    kind: str, server: Server, scenes: dict[str, Scene], scratch: Path
) -> None:
    scene = scenes[kind]
    with tally("T2 an error at each changing syscall of merge and unpack, from then on") as count:
        for call, nth in points(server, scene, scratch, kind):
            store = oracle.copy_tree(scene.base, scratch / "store")
            error = ERRORS.get(call, "EIO")
            options = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={nth}+"]
            trial = server.run((), store, WORLD, options, move=scene.source)
            count(errors=any("INJECTED" in line for line in trial.calls))
            wrong = [" ".join(words) for words in trial.said if words[0] == "untyped"]
            wrong += moving.judge(store, scene, trial.said[-1][:3] == ["done", "2", "0"])
            count.wrong += [f"{kind}: {call} {nth}+ {error}: {each} (said {trial.said})" for each in wrong]
    assert count.counts["errors"] >= 8


@pytest.mark.slow
def test_a_power_cut_within_a_merge_leaves_what_the_next_merge_completes(
    scenes: dict[str, Scene], scratch: Path
) -> None:
    """Any write or name that was not synced missing, torn or zeros, by the log of the write module."""
    scene, rng = scenes["folder"], random.Random(17)
    top = scratch / "disk"
    oracle.copy_tree(scene.base, top / "store")
    disk = Disk(top)
    files.observer = disk.hear
    try:
        with sessionstore.open(top / "store") as store:
            store.merge(scene.source)
    finally:
        files.observer = None
    known: set[int] = set()
    with tally("T3 any un-synced write or name missing, torn or zeros: a merge") as count:
        for upto in rng.sample(range(disk.events + 1), min(disk.events + 1, volume(60, 10**9))):
            states = list(disk.states(upto, rng))
            for nodes in rng.sample(states, min(len(states), volume(3, 10**9))):
                tree = tree_of(nodes)
                if hash(tree) in known:
                    continue
                known.add(hash(tree))
                lay_out(tree, scratch / "state")
                wrong = moving.judge(scratch / "state" / "store", scene, upto == disk.events, power=True)
                count.wrong += [f"before event {upto} of {disk.events}: {each}" for each in wrong]
        count(states=len(known))
    assert len(known) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "bundle.tar.zst", "url"])
def test_a_power_cut_on_ext4_within_a_merge_leaves_what_the_next_merge_completes(
    kind: str, server: Server, scenes: dict[str, Scene], scratch: Path
) -> None:
    need("mkfs.ext4")
    if not Path("/dev/loop-control").exists():
        pytest.skip("loop devices are missing")
    scene, rng, span_s = scenes[kind], random.Random(4), 0.1
    disk = power.LoopDisk("ext4", scratch / "loop")
    with disk.mounted(disk.master) as mount:
        oracle.copy_tree(scene.base, mount / "moved")
    with tally("T4 power cut, ext4 on a loop device: merge, unpack and pull") as count:
        for _ in range(volume(12 if kind == "folder" else 8, 300)):
            with disk.mounted(disk.fresh()) as mount:
                done = cut(server, disk, mount / "moved", scene, rng.uniform(0, span_s))
            span_s = max(0.005, span_s * (0.9 if done else 1.1))
            with disk.mounted(disk.image) as mount:
                count(cuts=1, within_a_merge=not done)
                count.wrong += moving.judge(mount / "moved", scene, done, power=True)
    assert count.counts["within_a_merge"] >= (3 if kind == "folder" else 2)


def cut(server: Server, disk: power.LoopDisk, store: Path, scene: Scene, after_s: float) -> bool:
    """Start a merge, cut the power after a while, end the process; return whether the merge said that it was done."""
    with server.started((), store, WORLD, move=scene.source) as (pid, go, report):
        os.write(go, b"g")
        select.select([], [], [], after_s)
        power._freeze(pid)
        disk.shut_down()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        server.ended()
        return any(words[0] == "done" for words in drain(report))


def test_a_full_disk_stops_a_merge_and_with_room_it_is_completed(scenes: dict[str, Scene], scratch: Path) -> None:
    need_root()
    scene = scenes["folder"]
    with tmpfs(scratch / "small", "size=4m") as small:
        store = oracle.copy_tree(scene.base, small / "store")
        for spare in (0, 1, 3, 8, 20, 50, 80):  # blocks that are free
            (small / "room").write_bytes(bytes(4096 * spare))
            fill(small)
            (small / "room").unlink()
            with sessionstore.open(store) as opened, contextlib.suppress(StoreUnusable):
                assert opened.merge(scene.source).count("skipped") == 0
            (small / "ballast").unlink()
        assert moving.judge(store, scene, done=False) == []


def test_a_merge_that_finds_the_disk_full_says_so_once(
    scenes: dict[str, Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scenes["folder"]
    store = sessionstore.open(oracle.copy_tree(scene.base, tmp_path / "store"))

    def full(path: object, *args: object, **options: object) -> None:
        raise StoreUnusable(28, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(files, "create", full)
        with pytest.raises(StoreUnusable, match="No space left"):
            store.merge(scene.source)
    assert moving.judge(store.root.path, scene, done=False) == []


def test_two_merges_at_once_follow_each_other(scenes: dict[str, Scene], tmp_path: Path) -> None:
    scene = scenes["folder"]
    other = sessionstore.open(tmp_path / "other")
    moving.lines(other.create("Elsewhere"), "log", 3)
    store = oracle.copy_tree(scene.base, tmp_path / "store")
    code = "import sys, sessionstore; sessionstore.open(sys.argv[1]).merge(sys.argv[2])"
    sources = [scene.source, scene.source, str(other.root.path)]
    running = [subprocess.Popen([sys.executable, "-c", code, str(store), source]) for source in sources]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    with sessionstore.open(store) as merged:
        assert moving.contents(merged) == {**scene.after, **moving.contents(other)}


def test_the_torn_end_of_an_update_is_cut_before_the_next_merge(scenes: dict[str, Scene], tmp_path: Path) -> None:
    scene = scenes["folder"]
    coming = scene.after[scene.updated]["log.jsonl"][len(scene.before[scene.updated]["log.jsonl"]) :]
    for tail in (b'{"n":99,"t', b"\0" * 300, coming[:500] + bytes(100), coming[:-1]):
        store = sessionstore.open(oracle.copy_tree(scene.base, tmp_path / f"store{len(tail)}"))
        place = store.root.folder(scene.updated) / "log.jsonl"

        def dies(*args: object, place: Path = place, tail: bytes = tail) -> None:
            with place.open("ab") as stream:
                stream.write(tail)
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sessionstore.exchange.place._append", dies)
            with pytest.raises(KeyboardInterrupt):
                store.merge(scene.source)
        assert merge_log.newest(store.root) is not None
        assert moving.judge(store.root.path, scene, done=False, power=True) == []
