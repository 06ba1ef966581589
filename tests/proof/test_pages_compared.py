"""T10, T11 for pages: whatever programs and hands do, each answer is that of a full comparison of the folders.

Random deeds (hands edit, copy with old times, rename and remove folders; columns are damaged, removed and put back from
an earlier state), then random filters, orders and places, asked of handles that stay open, of a new one, of the command
line and of the HTTP API by its cursors. The comparison is a listing of all rows by a process without columns, and a
copy of the folders alone, whose index is made anew. Files of records that were edited are compared before the question:
a page promises no more of rows that it does not show.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra api is not installed")

import sessionstore
from sessionstore.cli import main
from sessionstore.errors import SessionStoreError
from sessionstore.index.journal.pages import PageView
from sessionstore.model.row import SessionRow
from sessionstore.server.context import Settings
from sessionstore.store import SessionStore, column_groups, open_runs, pages
from sessionstore.store.grouping import Group, grouped
from tests.proof.operations import pages_of_few_rows
from tests.proof.tally import CONTROLS, tally
from tests.proof.volumes import PROOF, volume
from tests.rows import KEYS, NUMBERS, TEXTS
from tests.server.conftest import Running, running_server

ROW = "T10, T11 pages by API, command line and handles, compared with all folders"
ROUNDS = 15 if PROOF == "ci" else volume(150, 3_000)
TAGS = ("night", "Day", "ä", "5")
FIELDS = ("status", "session_name", "session_id", "points", "distance_m", "created_at", "rev", "tags", "notes")
PATHS = (*FIELDS, "metadata.a", "metadata.b", "metadata.a.b", "metadata.ä", "metadata.0", "metadata")
GROUPED_BY = ("status", "day", "tags", "metadata.a", "metadata.b", "metadata.a.b", "session_name", "points")
OPERANDS = ("5", "5.5", "1", "0", "true", "null", "a", "A", "night", "SS", "failed", "interrupted", '"5"', "ä", "東京")
Question = tuple[str, str, int, int]
Answer = list[tuple[Any, ...]]


def _shown(row: SessionRow) -> tuple[Any, ...]:
    metadata = json.dumps(row.decoded_metadata(), sort_keys=True)
    return row.session_id, row.rev, row.status, metadata, tuple(row.tags or ())


def _clause(rng: random.Random, depth: int = 0) -> str:
    kind = rng.random()
    if depth < 2 and kind < 0.25:
        return f"({_clause(rng, depth + 1)} {rng.choice(('and', 'or'))} {_clause(rng, depth + 1)})"
    if depth < 2 and kind < 0.33:
        return f"not ({_clause(rng, depth + 1)})"
    if kind < 0.4:
        return rng.choice(("run", "night", "a", "ä", "5"))
    path, value = rng.choice(PATHS), rng.choice(OPERANDS)
    if kind < 0.48:
        return f"{path} in ({value}, {rng.choice(OPERANDS)})"
    return f"{path}{rng.choice(('=', '!=', '<', '<=', '>', '>=', '~'))}{value}"


def _question(rng: random.Random) -> Question:
    where = "" if rng.random() < 0.25 else _clause(rng)
    sort = rng.choice(("-created_at", rng.choice(("", "-")) + rng.choice(PATHS[:-1])))
    return where, sort, rng.choice((1, 3, 7, 50)), rng.choice((0, 0, 2, 9))


class Scene:
    """A store, two handles that stay open, a server, and what is done to them by chance."""

    def __init__(self, scratch: Path, served: Running, rng: random.Random) -> None:
        self.scratch, self.path, self.served, self.rng = scratch, scratch / "store", served, rng
        self.open = [served.store, sessionstore.open(self.path, sync="os")]
        self.done: list[str] = []
        for _ in range(14):
            self.create()

    @property
    def store(self) -> SessionStore:
        return self.rng.choice(self.open)

    @property
    def columns(self) -> Path:
        return self.path / ".sessionstore" / "columns"

    def some(self) -> Path:
        """Return the folder of a session."""
        return self.rng.choice(sorted(each.parent for each in self.path.glob("2*/session.json")))

    def values(self) -> dict[str, Any]:
        odd = (None, True, [], [1, 2], {}, {"b": 5}, {"b": "x"})
        few = [each for each in NUMBERS if abs(each) < 2**64]
        kinds = (odd, few, TEXTS[:12], (1, 5, 5.5, "a", "A"))
        return {
            self.rng.choice(KEYS[:6]): self.rng.choice(self.rng.choice(kinds)) for _ in range(self.rng.randrange(4))
        }

    # ------------------------------------------------------------ programs

    def create(self) -> None:
        name = self.rng.choice((None, f"run {self.rng.randrange(50)}", "ä"))
        self.store.create(name, metadata=self.values(), tags=self.rng.sample(TAGS, self.rng.randrange(3)))

    def batch(self) -> None:
        self.store.create_many({"name": "batch", "metadata": self.values()} for _ in range(3))

    def update(self) -> None:
        status = self.rng.choice(("completed", "failed", "stopped"))
        self.store.get(self.some().name).update(metadata=self.values(), status=status)

    def delete(self) -> None:
        self.store.delete(self.some().name)

    def restore(self) -> None:
        for entry in self.store.trash()[:1]:
            self.store.restore(entry.session_id)

    def rebuild(self) -> None:
        self.store.rebuild()

    # ------------------------------------------------------------ hands

    def edit(self) -> None:
        """Edit a record, with the time that it had or a very old one; then let some process compare all files."""
        path = self.some() / "session.json"
        document, status = json.loads(path.read_bytes()), path.stat()
        changes = self.rng.choice(({"metadata": self.values()}, {"session_name": "edited"}, {"status": "failed"}))
        document["session"]["1"].update(changes)
        beside = path.with_name("beside")
        beside.write_text(json.dumps(document, indent=2))
        os.utime(beside, ns=(0, self.rng.choice((status.st_mtime_ns, 10**18))))
        beside.replace(path)
        self.store.compare()

    def copy(self) -> None:
        """Copy a folder as `cp -a` does, and give the store's folder an old time, as rsync does."""
        target = self.path / f"2020010100{self.rng.randrange(10, 60)}-copied-{len(self.done)}"
        subprocess.run(["cp", "-a", str(self.some()), str(target)], check=True)
        if self.rng.random() < 0.5:
            os.utime(self.path, (1.5e9, 1.5e9))

    def rename(self) -> None:
        self.some().rename(self.path / f"202001010000-renamed-{len(self.done)}")

    def remove(self) -> None:
        shutil.rmtree(self.some())

    def spoil(self) -> None:
        """Change a byte of some column files."""
        for file in self.columns.iterdir() if self.columns.exists() else ():
            if (data := bytearray(file.read_bytes())) and self.rng.random() < 0.5:
                data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
                file.write_bytes(data)

    def keep(self) -> None:
        with suppress(FileNotFoundError):
            shutil.copytree(self.columns, self.scratch / f"kept-{len(self.done)}")

    def put_back(self) -> None:
        """Put columns back that were kept, or none."""
        shutil.rmtree(self.columns, ignore_errors=True)
        if kept := sorted(self.scratch.glob("kept-*")):
            subprocess.run(["cp", "-a", str(self.rng.choice(kept)), str(self.columns)], check=True)

    def something(self) -> None:
        """Do one of these; a refusal is as good as nothing."""
        often = (self.create, self.update, self.update, self.edit, self.copy, self.put_back, self.spoil)
        seldom = (self.batch, self.delete, self.restore, self.rebuild, self.rename, self.keep, self.keep)
        deeds: tuple[Callable[[], None], ...] = (*often, *often, *seldom, self.remove)
        deed = self.rng.choice(deeds)
        self.done.append(deed.__name__)
        with suppress(SessionStoreError):
            deed()

    # ------------------------------------------------------------ questions

    def answers(self, question: Question) -> Iterator[tuple[str, Answer, int]]:
        """Yield who answered, what, and how many sessions there are by that."""
        where, sort, limit, offset = question
        with closing(sessionstore.open(self.path)) as new:
            for who, store in (("a handle", self.open[0]), ("another", self.open[1]), ("a new one", new)):
                page = store.page(where, sort, limit, offset)
                yield who, [_shown(row) for row in page.rows], page.total

    def by_api(self, question: Question) -> tuple[Answer, int]:
        """Return all sessions, by cursors, and how many the last page says there are."""
        where, sort, limit, _ = question
        query, found, answer = {"sort": sort, "limit": limit, "where": where}, [], {"next_cursor": ""}
        while (cursor := answer["next_cursor"]) is not None:
            reply = self.served.client.get("/api/sessions", params={**query, **({"cursor": cursor} if cursor else {})})
            assert reply.status_code == 200, reply.text
            answer = reply.json()
            found += [(row["session_id"], row["rev"], row["status"]) for row in answer["sessions"]]
        return found, answer["total"]

    def by_command(self, question: Question, capsys: pytest.CaptureFixture[str]) -> Answer:
        where, sort, limit, offset = question
        capsys.readouterr()
        words = [*([where] if where else []), f"--sort={sort}", f"-n{limit}", f"--offset={offset}", "--json"]
        assert not main(["list", "--dir", str(self.path), *words])
        return [(row["session_id"], row["rev"], row["status"]) for row in json.loads(capsys.readouterr().out)]

    def from_folders(self, where: str, sort: str) -> Answer:
        """Return what a store says that has these folders alone."""
        shutil.rmtree(self.scratch / "bare", ignore_errors=True)
        (self.scratch / "bare").mkdir()
        folders = [str(each) for each in self.path.glob("2*")]
        subprocess.run(["cp", "-a", *folders, str(self.scratch / "bare")], check=True)
        with sessionstore.open(self.scratch / "bare") as store:
            return [_shown(row) for row in store.find(where, sort)]


def differences(scene: Scene, question: Question, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return how answers differ from a full comparison."""
    where, sort, limit, offset = question
    found = list(scene.answers(question))
    api, api_total = scene.by_api(question)
    listed = scene.by_command(question, capsys)
    by = scene.rng.choice(GROUPED_BY)
    groups = column_groups.groups(scene.store.catalog, where, by)
    with sessionstore.open(scene.path) as store:
        wanted = [_shown(row) for row in store.find(where, sort)]
        grouping = open_runs.completed(store.root, store.find(where))
        has_missing = any(row.status == "missing" for row in store.find())
    page, short = wanted[offset : offset + limit], [row[:3] for row in wanted]
    wrong = [f"{who}: {total} {rows}" for who, rows, total in found if (rows, total) != (page, len(wanted))]
    wrong += [f"API: {api_total} {api}"] if (api, api_total) != (short, len(wanted)) else []
    wrong += [f"list: {listed}"] if listed != short[offset : offset + limit] else []
    if _plain(groups[0]) != _plain(grouped(grouping, by)) or groups[1] != len(wanted):
        wrong.append(f"groups by {by} of {groups[1]}: {_plain(groups[0])}, wanted {_plain(grouped(grouping, by))}")
    if not has_missing and (bare := scene.from_folders(where, sort)) != wanted:
        wrong.append(f"the folders alone: {bare}")
    return [f"{question} after {scene.done[-8:]}: {each}, wanted {len(wanted)} {page}" for each in wrong]


def _plain(groups: list[Group]) -> list[dict[str, Any]]:
    return [group.to_dict() for group in groups]


@contextmanager
def scene_of(scratch: Path, seed: int) -> Iterator[Scene]:
    server = running_server(scratch / "store", Settings())
    try:
        yield Scene(scratch, next(server), random.Random(seed))
    finally:
        server.close()


def asked(scratch: Path, seed: int, rounds: int, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Do and ask; return how often was asked, and what was wrong."""
    questions, wrong = 0, []
    with pages_of_few_rows(), scene_of(scratch, seed) as scene:
        for _ in range(rounds):
            for _ in range(scene.rng.randrange(1, 4)):
                scene.something()
            for _ in range(2):
                question = _question(scene.rng)
                try:
                    with sessionstore.open(scene.path) as store:
                        store.find(question[0], question[1], verify=False, limit=1)
                except SessionStoreError:
                    continue  # an order or a filter that is refused
                wrong += differences(scene, question, capsys)
                questions += 1
            if wrong:
                break
        scene.open[1].close()
    return questions, wrong


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_each_page_is_that_of_a_full_comparison_whatever_programs_and_hands_did(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "SETTLED_S", 0.1)  # so that names are believed now and then
    with tally(ROW) as count:
        questions, wrong = asked(scratch, 1, ROUNDS, capsys)
        count(inputs=questions)
        count.wrong += wrong
    assert questions > ROUNDS


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "names are not compared": lambda patch: patch.setattr(pages.StorePages, "_check_names", lambda self, view: None),
    "late rows are not hidden": lambda patch: patch.setattr(PageView, "_late", lambda self, _: (self._put_since(), [])),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", FAULTS)
def test_a_wrong_page_is_noticed(
    what: str, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[what](monkeypatch)
    with tally(CONTROLS) as count:
        count(controls=1)
        try:
            wrong = asked(scratch, 1, 60, capsys)[1]
        except (SessionStoreError, AssertionError) as error:
            wrong = [str(error)]
        count.wrong += [] if wrong else [f"nobody noticed that {what}"]
