"""A store and a source that have a session of each kind for a merge, and what may be left of an interrupted one.

The kinds: new (one with an artifact), newer there (record, two streams, an artifact), diverged, superseded, the same.
After a fault a session is as it was or as it will be; only one that is being updated may be between: its streams are
prefixes of what they will be. A merge that is run again ends where an uninterrupted one ends, and its undoing (of both)
gives back what was there.
Not here: how the fault is made (syscalls, crash_states, power).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import sessionstore
from sessionstore.errors import NotApplied
from sessionstore.exchange.remote.transfer import push
from sessionstore.session import Session
from sessionstore.store import SessionStore
from sessionstore.store.history import History

Files = dict[str, dict[str, bytes]]


@dataclass(frozen=True)
class Scene:
    """A store, the source of a merge into it, and the files of the store before and after."""

    base: Path
    source: str
    before: Files
    after: Files
    updated: str


def contents(store: SessionStore) -> Files:
    """Return the files of all sessions that are listed."""
    return {row.session_id: files_of(store.root.folder(row.session_id)) for row in store.find()}


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".tmp-"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def lines(session: Session, stream: str, count: int) -> None:
    """Append lines to a stream."""
    writer = session.writer(stream, "os")
    writer.extend({"v": number, "text": "x" * 50} for number in range(count))
    writer.close()


def scene(folder: Path, kind: str = "folder") -> Scene:
    """Make a scene; the source is a ``folder``, ``bundle.zip``, ``bundle.tar.zst`` or a ``url``."""
    here, there = sessionstore.open(folder / "base"), sessionstore.open(folder / "there")
    for name in ("Newer", "Diverged", "Caught", "Same"):
        lines(there.create(name), "log", 3)
    here.merge(there.root.path)
    lines(here.get("Caught"), "log", 1)
    there.update("Caught", notes="there")
    here.merge(there.root.path)  # "Caught" has a branch beside it ...
    branch = here.find('merged_from~"Caught"')[0].session_id
    lines(here.get(branch), "log", 1)  # ... which now holds all of it
    here.update("Diverged", notes="here")
    there.update("Diverged", notes="there")
    newer = there.get("Newer")
    newer.update(notes="later")
    lines(newer, "log", 3000)
    lines(newer, "other", 2)
    newer.artifacts.put("late.txt", b"late")
    new = there.create("New")
    lines(new, "log", 3)
    new.artifacts.put("plot.txt", b"a plot")
    source = _source(there, folder, kind)
    before = contents(here)
    trial = sessionstore.open(shutil.copytree(folder / "base", folder / "trial"))
    report = trial.merge(source)
    assert {each.action for each in report.outcomes} == {
        "copied", "updated", "same", "ahead", "diverged", "superseded",
    } - ({"ahead"} if not report.count("ahead") else set()), report.outcomes  # fmt: skip
    return Scene(folder / "base", source, before, contents(trial), newer.session_id)


def _source(there: SessionStore, folder: Path, kind: str) -> str:
    if kind == "folder":
        return str(there.root.path)
    if kind == "url":
        url = (folder / "remote").as_uri()
        assert push(there, url).clean
        return url
    there.pack(folder / kind)
    return str(folder / kind)


def warm(folder: Path) -> None:
    """Import all that a merge of any kind needs, as far as it is installed."""
    needs = {"folder": "os", "bundle.tar.zst": "zstandard", "url": "fsspec"}
    for kind in (kind for kind, module in needs.items() if find_spec(module)):
        (folder / kind).mkdir()
        scene(folder / kind, kind)


def judge(path: Path, found: Scene, done: bool, power: bool = False) -> list[str]:
    """Return what is wrong with a store after a fault.

    Args:
        done: whether the merge said that it was done.
        power: whether the power was cut: an appended end that was not synced may hold anything.
    """
    with sessionstore.open(path) as store:
        wrong = _half_visible(store, found, power)
        if done and contents(store) != found.after:
            wrong.append("it said that it was done, and something is missing")
        report = store.merge(found.source)
        if report.count("skipped"):
            wrong.append(f"run again: {[each.reason for each in report.outcomes if each.action == 'skipped']}")
        if contents(store) != found.after:
            wrong.append(f"run again: {_difference(contents(store), found.after)}")
        if left := [each.name for each in store.root.staging.iterdir() if not each.name.startswith("dead-")]:
            wrong.append(f"run again: left in staging: {left}")
        wrong += _undone(store, found)
    return wrong


def _undone(store: SessionStore, found: Scene) -> list[str]:
    while contents(store) != found.before:  # the interrupted merge and the one that completed it
        try:
            History(store).undo()
        except NotApplied as error:
            return [f"undo: {type(error).__name__}: {error}; {_difference(contents(store), found.before)}"]
    return []


def _half_visible(store: SessionStore, found: Scene, power: bool) -> list[str]:
    wrong = [f"{row.session_id} is {row.status}" for row in store.find() if row.status in ("missing", "unreadable")]
    for session_id in store.root.session_ids():
        files = files_of(store.root.folder(session_id))
        before, after = found.before.get(session_id), found.after.get(session_id)
        if files in (before, after):
            continue
        if session_id != found.updated or before is None or after is None:
            wrong.append(f"{session_id} is half there")
            continue
        for name, data in files.items():
            states: list[bytes | None] = [before.get(name), after.get(name)]
            if name.endswith(".jsonl"):
                start = before.get(name, b"")
                if not data.startswith(start) or (not power and not after[name].startswith(data)):
                    wrong.append(f"{session_id}/{name} is not a prefix")
            elif data not in states:
                wrong.append(f"{session_id}/{name} is neither old nor new")
    return wrong


def _difference(left: Files, right: Files) -> str:
    return "; ".join(
        f"{each}: {_files(left.get(each), right.get(each))}"
        for each in sorted(set(left) | set(right))
        if left.get(each) != right.get(each)
    )


def _files(left: dict[str, bytes] | None, right: dict[str, bytes] | None) -> str:
    if left is None or right is None:
        return "missing" if left is None else "additional"
    return ", ".join(name for name in sorted(set(left) | set(right)) if left.get(name) != right.get(name))
