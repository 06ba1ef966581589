"""Moving an index between engines: byte for byte, resumable, and the store goes on with the new one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.cli.engines import engines, migrate
from sessionstore.errors import Conflict, IndexUnavailable
from sessionstore.index import SessionIndex, open_index
from sessionstore.index.migration import digest, move, own_rows
from sessionstore.index.sql.sqlite import SqliteIndex
from sessionstore.model.row import SessionRow
from tests.rows import a_row, rows

NASTY = {"a": [1, 1.0, -0.0, 2**70, 1e300, "\0", "ä\U0001f681", None, True], "z": 1, "b": {"per%cent": "\\u0000"}}


def many(count: int) -> list[SessionRow]:
    return [
        a_row(
            f"s{number:05}",
            rev=number + 1,
            created_at=f"2026-11-23T14:30:00.{number:06}Z",
            metadata={**NASTY, "n": number},
        )
        for number in range(count)
    ]


def test_there_and_back_again_is_the_same_file(tmp_path: Path, postgres_url: str) -> None:
    journal = open_index("journal:", tmp_path)
    journal.replace_all(many(1203))
    before = (tmp_path / "index.jsonl").read_bytes()
    chain = [journal, open_index("sqlite:", tmp_path), open_index(postgres_url, tmp_path)]
    chain += [open_index(f"sqlite:{tmp_path / 'back.db'}", tmp_path)]
    chain += [open_index(f"journal:{tmp_path / 'back.jsonl'}", tmp_path)]
    seen: list[tuple[int, int]] = []
    for source, target in itertools.pairwise(chain):
        moved = move(source, target, lambda done, total: seen.append((done, total)))
        assert moved.rows == moved.written == 1203 and moved.removed == 0
        assert moved.digest == digest(many(1203))
    assert (tmp_path / "back.jsonl").read_bytes() == before
    assert (0, 1203) in seen and (500, 1203) in seen and seen[-1] == (1203, 1203)
    assert move(chain[0], chain[1]).written == 0
    for each in chain:
        each.close()


@settings(max_examples=20)
@given(given_rows=st.lists(rows(), max_size=6, unique_by=lambda row: row.session_id))
def test_any_rows_come_through_every_engine_unchanged(
    tmp_path_factory: pytest.TempPathFactory, given_rows: list[SessionRow]
) -> None:
    root = tmp_path_factory.mktemp("rows")
    journal, sqlite = open_index("journal:", root), open_index("sqlite:", root)
    journal.replace_all(given_rows)
    before = journal.find()
    move(journal, sqlite)
    journal.replace_all([])
    move(sqlite, journal)
    assert digest(journal.find()) == digest(before)
    sqlite.close()


class Interrupted(SqliteIndex):
    """An engine whose process dies after so many writes."""

    left = 2

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        super().put(rows, exact)


def test_a_move_that_was_interrupted_goes_on_where_it_stopped(tmp_path: Path) -> None:
    from sessionstore.index.url import parse_url

    journal = open_index("journal:", tmp_path)
    journal.replace_all(many(1600))
    target = Interrupted(parse_url("sqlite:"), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        move(journal, target)
    target.close()
    again = open_index("sqlite:", tmp_path)
    assert len(again.stamps()) == 1000
    again.put([a_row("s00000", rev=7, size=99), a_row("stranger")], exact=True)
    moved = move(journal, again)
    assert (moved.rows, moved.written, moved.removed) == (1600, 601, 1)
    assert digest(own_rows(again)) == digest(many(1600))
    again.close()


class Restless:
    """A source that changes whenever it is read."""

    url = "journal:restless"

    def __init__(self, rounds: int) -> None:
        self.rounds, self.reads = rounds, 0

    def find(self, *_: Any) -> list[SessionRow]:
        self.reads += 1
        return [a_row("s", rev=min(self.reads, self.rounds))]


def test_a_source_that_changes_meanwhile_is_caught_up_with_or_refused(tmp_path: Path) -> None:
    target = open_index("sqlite:", tmp_path)
    source: Any = Restless(rounds=3)
    assert move(source, target).rows == 1 and target.find()[0].rev == 3
    with pytest.raises(Conflict, match="changed while it was moved"):
        move(Restless(rounds=99), target)  # type: ignore[arg-type]
    target.close()


class Forgetful(SqliteIndex):
    """An engine that loses the last digit of what it is given."""

    def find(self, *arguments: Any) -> list[SessionRow]:
        return [a_row(row.session_id, rev=row.rev, metadata={}) for row in super().find(*arguments)]


def test_a_target_that_does_not_keep_what_it_was_given_is_noticed(tmp_path: Path) -> None:
    from sessionstore.index.url import parse_url

    journal = open_index("journal:", tmp_path)
    journal.replace_all(many(3))
    with pytest.raises(Conflict):
        move(journal, Forgetful(parse_url("sqlite:"), tmp_path))


def run(command: Any, *arguments: str) -> Any:
    result = CliRunner().invoke(command, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def index_of(folder: Path) -> SessionIndex:
    with sessionstore.open(folder) as store:
        return store.index


def test_the_command_moves_the_index_and_the_store_goes_on_with_it(tmp_path: Path, postgres_url: str) -> None:
    folder = tmp_path / "store"
    with sessionstore.open(folder) as store:
        made = [store.create(f"n{number}", metadata={"n": number}).session_id for number in range(3)]
        store.rebuild()
        before = (folder / "index.jsonl").read_bytes()
    answer = json.loads(run(migrate, "--dir", str(folder), "--to", "sqlite:", "--json").stdout)
    assert answer["rows"] == answer["written"] == 3 and answer["from"].startswith("journal:")
    assert index_of(folder).url == f"sqlite:{folder / 'index.sqlite'}"
    run(migrate, "--dir", str(folder), "--to", postgres_url)
    assert index_of(folder).url.startswith("postgresql:")
    with sessionstore.open(folder) as store:
        made.append(store.create("on the server").session_id)
        assert {row.session_id for row in store.find()} == {row.session_id for row in store.index.find()} == set(made)
        store.delete(made.pop())
    (folder / "index.jsonl").unlink()
    assert "3 rows in journal:" in run(migrate, "--dir", str(folder), "--to", "journal:").stdout
    assert (folder / "index.jsonl").read_bytes() == before
    assert json.loads((folder / ".sessionstore" / "format.json").read_text()) == {"format": 1}


def test_a_store_can_be_moved_with_the_engine_in_its_folder(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "a") as store:
        store.create("x")
    run(migrate, "--dir", str(tmp_path / "a"), "--to", "sqlite:?keys=metadata.site")
    (tmp_path / "a").rename(tmp_path / "b")
    with sessionstore.open(tmp_path / "b") as store:
        assert store.index.url == f"sqlite:{tmp_path / 'b' / 'index.sqlite'}?keys=metadata.site"
        assert [row.session_name for row in store.find()] == ["x"]


def test_an_engine_that_is_gone_is_replaced_from_the_folders(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        store.create("x")
    gone = "postgresql://me:sEcret@127.0.0.1:1/x"
    arguments = ["--dir", str(tmp_path), "--to", "sqlite:"]
    with pytest.raises(IndexUnavailable, match="--from-folders") as caught:
        CliRunner().invoke(migrate, [*arguments, "--index", gone], catch_exceptions=False)
    assert "sEcret" not in str(caught.value)
    assert "1 rows" in run(migrate, *arguments, "--index", gone, "--from-folders").stdout
    assert index_of(tmp_path).url.startswith("sqlite:")


@pytest.mark.parametrize("keep", [True, False])
def test_no_password_is_written_or_printed(tmp_path: Path, postgres_url: str, keep: bool) -> None:
    with sessionstore.open(tmp_path) as store:
        store.create("x")
    with_password = postgres_url.replace("postgres@", "postgres:s3cret%2F@")
    result = run(migrate, "--dir", str(tmp_path), "--to", with_password, *(["--keep"] if keep else []))
    written = (tmp_path / ".sessionstore" / "format.json").read_text()
    assert ("postgresql" in written) != keep
    assert "s3cret" not in written + result.output


def test_rebuild_fills_any_engine_from_the_folders(tmp_path: Path, postgres_url: str) -> None:
    digests = set()
    with sessionstore.open(tmp_path) as store:
        for number in range(5):
            store.create(f"n{number}", metadata=NASTY)
    for url in ("journal:", "sqlite:", postgres_url):
        with sessionstore.open(tmp_path, url) as store:
            assert store.rebuild() == 5
            digests.add(digest(own_rows(store.index)))
    assert len(digests) == 1


def test_engines_shows_figures_and_forgets_stores(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("alpha", "beta"):
        monkeypatch.setenv("SESSIONSTORE_HOST", host)
        with sessionstore.open(tmp_path / host, postgres_url) as store:
            store.create("x")
    arguments = ["--dir", str(tmp_path / "beta"), "--index", postgres_url]
    facts = json.loads(run(engines, *arguments, "--json").stdout)
    assert facts["rows"] == facts["stores"] == 2
    assert [(each["host"], each["rows"]) for each in facts["registered"]] == [("alpha", 1), ("beta", 1)]
    text = run(engines, *arguments, "--forget", f"alpha:{tmp_path / 'alpha'}").stdout
    assert f"beta:{tmp_path / 'beta'}, 1 rows" in text and "alpha" not in text
    monkeypatch.setenv("SESSIONSTORE_HOST", "alpha")
    with sessionstore.open(tmp_path / "alpha", postgres_url) as store:  # it is there after all, and registers again
        assert len(store.find()) == 2 and store.notice is None
