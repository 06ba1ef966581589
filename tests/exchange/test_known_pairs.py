"""A pair that was compared before is not read again, and a change of any kind is noticed all the same."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.exchange import known_pairs
from sessionstore.exchange.known_pairs import KnownPairs
from sessionstore.exchange.trees import FolderTree
from sessionstore.store import SessionStore
from sessionstore.store.history import History
from tests.exchange.test_merge import appended, flown

KINDS = ["write", "rewrite", "append", "record", "artifact", "remove", "swap", "rename", "undo", "copy"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests wait for the next tick of the clock by themselves (:func:`tick`)."""
    monkeypatch.setattr(known_pairs, "_FINE_SETTLED_S", 0.0)
    monkeypatch.setattr(known_pairs, "SETTLED_S", 0.0)
    if not known_pairs.keeps_ctime(Path(tempfile.gettempdir())):
        pytest.skip("the file system for temporary files keeps no ctime that is known to be its own")


def tick(folder: Path) -> None:
    """Return when a file that changes now gets a later time than any before."""
    probe = folder / "probe"
    probe.write_bytes(b"")
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.write_bytes(b"")


def merged(here: SessionStore, there: SessionStore) -> None:
    tick(here.root.path.parent)
    here.merge(there.root.path)


def reads(here: SessionStore, there: SessionStore) -> list[str]:
    """Merge, and return the files that were read for it."""
    found: list[str] = []
    real = FolderTree.chunks
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FolderTree, "chunks", lambda tree, file, *args: found.append(file) or real(tree, file, *args))
        here.merge(there.root.path)
    return found


@pytest.fixture
def pair(tmp_path: Path) -> tuple[SessionStore, SessionStore]:
    here, there = sessionstore.open(tmp_path / "here"), sessionstore.open(tmp_path / "there")
    for name in ("One", "Two"):
        flown(there, name).artifacts.put("plot.txt", b"a plot")
    for _ in range(2):  # copied, then compared
        merged(here, there)
    return here, there


def test_an_unchanged_pair_is_not_read_again(pair: tuple[SessionStore, SessionStore]) -> None:
    here, there = pair
    assert reads(here, there) == []
    assert here.merge(there.root.path).count("same") == 2


def test_a_pair_where_ours_is_newer_is_not_read_again(pair: tuple[SessionStore, SessionStore]) -> None:
    here, there = pair
    appended(here.get("One"))
    merged(here, there)
    assert reads(here, there) == []
    assert [each.action for each in here.merge(there.root.path).outcomes] == ["ahead", "same"]


@pytest.mark.parametrize("side", [0, 1])
def test_a_hand_edit_that_keeps_size_and_time_is_noticed(pair: tuple[SessionStore, SessionStore], side: int) -> None:
    here, there = pair
    path = pair[side].get("One").path / "motion_history.jsonl"
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b"scout-1", b"scout-2"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (status.st_size, status.st_mtime_ns, status.st_ino)
    assert here.merge(there.root.path).count("diverged") == 1


def test_files_that_changed_a_moment_ago_are_read_again(
    pair: tuple[SessionStore, SessionStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    monkeypatch.setattr(known_pairs, "_FINE_SETTLED_S", 3600.0)
    monkeypatch.setattr(known_pairs, "SETTLED_S", 3600.0)
    shutil.rmtree(here.root.private / known_pairs.FOLDER)
    here.merge(there.root.path)
    assert "motion_history.jsonl" in reads(here, there)


def test_a_damaged_or_older_file_of_pairs_is_made_again(pair: tuple[SessionStore, SessionStore]) -> None:
    here, there = pair
    (kept,) = (here.root.private / known_pairs.FOLDER).iterdir()
    whole = kept.read_bytes()
    for data in (b"", whole[:-9], bytes(len(whole)), whole.replace(b'"version":1', b'"version":0')):
        kept.write_bytes(data)
        assert reads(here, there) != []
        assert kept.read_bytes() == whole


def test_nothing_is_kept_where_the_file_system_has_no_ctime_of_its_own(
    pair: tuple[SessionStore, SessionStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    monkeypatch.setattr(known_pairs, "keeps_ctime", lambda folder: False)
    assert reads(here, there) != []


def test_a_filter_and_a_dry_run_give_the_same_answers(pair: tuple[SessionStore, SessionStore]) -> None:
    here, there = pair
    assert here.merge(there.root.path, "name=One").count("same") == 1
    assert here.merge(there.root.path, dry_run=True).count("same") == 2


def test_only_so_many_sources_are_kept(
    pair: tuple[SessionStore, SessionStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    monkeypatch.setattr(known_pairs, "MAX_SOURCES", 2)
    for number in range(4):
        shutil.copytree(there.root.path, tmp_path / f"there{number}")
        merged(here, sessionstore.open(tmp_path / f"there{number}"))
    assert len(list((here.root.private / known_pairs.FOLDER).iterdir())) == 2
    assert reads(here, sessionstore.open(tmp_path / "there3")) == []


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stores with two sessions, merged once."""
    top = tmp_path_factory.mktemp("begun")
    there = sessionstore.open(top / "1", sync="os")
    for name in ("One", "Two"):
        flown(there, name, 3).artifacts.put("plot.txt", b"a plot")
    sessionstore.open(top / "0", sync="os").merge(there.root.path)
    return top


NUMBERS = itertools.count()


def change(store: SessionStore, kind: str, which: int) -> None:
    """Change a session as its programs do, or as a hand does that leaves as few marks as it can."""
    rows = sorted(store.find(), key=lambda row: row.session_id)
    session = store.get(rows[which % len(rows)].session_id)
    stream, plot = session.path / "motion_history.jsonl", session.path / "artifacts" / "plot.txt"
    if kind == "append":
        appended(session)
    elif kind == "record":
        session.update(notes=str(next(NUMBERS)))
    elif kind == "undo":
        if History(store).changes():
            History(store).undo()
    elif kind == "copy":
        shutil.copytree(session.path, session.path.with_name(f"202601010000-Copy-{next(NUMBERS)}"))
    else:
        by_hand(kind, stream, plot)


def by_hand(kind: str, stream: Path, plot: Path) -> None:
    for path in (stream, plot):
        if not path.exists():
            continue
        status, data = path.stat(), path.read_bytes()
        other = data.replace(b"scout-1", b"scout-2").replace(b"plot", b"PLOT")
        if (kind == "write" and path == stream) or (kind == "rewrite" and path == plot):
            path.write_bytes(other)
        elif kind == "swap" and path == stream:
            path.with_name(".other").write_bytes(other)
            path.with_name(".other").replace(path)
        elif kind == "remove" and path == plot:
            path.unlink()
            continue
        elif kind == "artifact" and path == plot:
            path.with_name(f"more-{next(NUMBERS)}.txt").write_bytes(b"more")
        elif kind == "rename" and path == plot:
            path.rename(path.with_name("renamed.txt"))
            continue
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def answers(here: SessionStore, there: SessionStore) -> list[tuple[str, str, str | None]]:
    found = here.merge(there.root.path, dry_run=True).outcomes
    return [(each.source_id, each.action, each.session_id) for each in found]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example([("write", 1, 0)])
@example([("rewrite", 0, 1)])
@example([("swap", 1, 1), ("write", 1, 1)])
@given(STEPS)
def test_a_merge_that_remembers_answers_as_one_that_reads_all(begun: Path, steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory(dir=begun.parent) as folder:
        stores = [sessionstore.open(shutil.copytree(begun / side, Path(folder) / side), sync="os") for side in "01"]
        here, there = stores
        for kind, side, which in steps:
            merged(here, there)
            change(stores[side], kind, which)
            remembering = answers(here, there)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(KnownPairs, "find", lambda pairs, theirs: None)
                assert remembering == answers(here, there)
