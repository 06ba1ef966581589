"""Which engine serves a store, and what of its URL may be seen."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import sessionstore
from sessionstore.boxes.fallback import create_with_fallback
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.errors import IndexUnavailable, InvalidName, InvalidQuery, OutcomeUnknown
from sessionstore.index import choose_url, open_index
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.index.url import kept_url, parse_url, show_url
from sessionstore.model.provenance import masked

DB = {"DB_HOST": "db", "DB_PORT": "5433", "DB_NAME": "my fleet", "DB_USER": "me", "DB_PASSWORD": "a/b@c"}


def test_the_url_is_the_argument_then_the_environment_then_the_store_then_the_database_variables() -> None:
    environment, settings = {**DB, "SESSIONSTORE_INDEX": "sqlite:e.db"}, {"index": "sqlite:f.db"}
    assert choose_url("sqlite:a.db", environment, settings) == "sqlite:a.db"
    assert choose_url(None, environment, settings) == "sqlite:e.db"
    assert choose_url(None, DB, settings) == "sqlite:f.db"
    assert choose_url(None, DB, {}) == "postgresql://me:a%2Fb%40c@db:5433/my%20fleet"
    assert choose_url(None, {}, {}) is None
    assert choose_url(None, {"DB_HOST": "::1"}, {}) == "postgresql://[::1]:5432/sessions"


def test_a_password_comes_from_the_environment_and_an_explicit_one_stays() -> None:
    kept = {"index": "postgresql://me@db/fleet"}
    assert choose_url(None, {"DB_PASSWORD": "p@w"}, kept) == "postgresql://me:p%40w@db/fleet"
    assert choose_url("postgresql://me:own@db/x", {"DB_PASSWORD": "p"}, {}) == "postgresql://me:own@db/x"
    assert choose_url("sqlite:", {"DB_PASSWORD": "p"}, {}) == "sqlite:"


def test_a_store_asks_the_environment_and_the_box_does_so_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONSTORE_INDEX", "sqlite:")
    with sessionstore.open(tmp_path) as store:
        assert store.index.url == f"sqlite:{tmp_path / 'index.sqlite'}"
    box = SessionDBBox(training_sessions_dir=tmp_path)
    assert box.store.index.url.startswith("sqlite:") and box.health()["engine"] == "sqlite"
    box.close()
    assert list(tmp_path.iterdir()) == []


def test_a_url_is_taken_apart() -> None:
    url = parse_url("postgresql://m%40e:p%2Fw@[::1]:5433/fl%20eet?timeout_s=0.5&pool=2&sslmode=require&keys=metadata.a")
    assert (url.user, url.password, url.host, url.port, url.path) == ("m@e", "p/w", "::1", 5433, "fl eet")
    assert (url.timeout_s, url.pool, url.keys, dict(url.driver)) == (
        0.5,
        2,
        (("metadata", "a"),),
        {"sslmode": "require"},
    )
    assert parse_url("sqlite:///var/x.db").path == parse_url("sqlite:/var/x.db").path == "/var/x.db"
    assert parse_url("sqlite:x.db?timeout_s=1").path == "x.db" and parse_url("sqlite:").path == ""
    assert parse_url("postgresql:///fleet?host=/run/pg").driver == {"host": "/run/pg"}


def test_a_journal_elsewhere_belongs_to_the_store_that_wrote_it_first(tmp_path: Path) -> None:
    shared = f"journal:{tmp_path / 'shared' / 'fleet.jsonl'}"
    with sessionstore.open(tmp_path / "one", shared) as one, sessionstore.open(tmp_path / "two", shared) as two:
        first = one.create("first").session_id
        second, steps = two.create_with_report("second")  # opened before anybody had it
        assert steps["index"].status == "pending" and str(tmp_path / "one") in str(steps["index"].reason)
        assert [row.session_id for row in two.find()] == [second.session_id] and "a journal holds one store" in str(
            two.notice
        )
        assert [(row.session_id, row.status) for row in one.find()] == [(first, "created")] and one.notice is None
    with pytest.raises(InvalidQuery, match=r"is the index of the store .*one: a journal holds one store"):
        sessionstore.open(tmp_path / "two", shared)
    with sessionstore.open(tmp_path / "one", shared) as again:
        assert again.find()[0].session_id == first


def test_the_own_journal_of_another_store_is_refused(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "one") as one:
        one.create("first")
    with pytest.raises(InvalidQuery, match="is the index of the store"):
        sessionstore.open(tmp_path / "two", f"journal:{tmp_path / 'one' / 'index.jsonl'}")


def test_a_store_that_moved_keeps_its_journal_elsewhere(tmp_path: Path) -> None:
    url = f"journal:{tmp_path / 'fleet.jsonl'}"
    with sessionstore.open(tmp_path / "old", url) as store:
        store.create("first")
    (tmp_path / "old").rename(tmp_path / "new")
    with sessionstore.open(tmp_path / "new", url) as store:
        store.create("second")
        assert len(store.find()) == 2 and store.notice is None
    assert (tmp_path / "fleet.jsonl.store").read_text() == f"{tmp_path / 'new'}\n"


@pytest.mark.parametrize(
    "url",
    ["sqlite:?timeout_s=-1", "sqlite:?timeout_s=nan", "sqlite:?timeout_s=x", "sqlite:?keys=status",
     "sqlite:?keys=metadata.a'b",
     "postgresql://h:port/x", "postgresql://h/x?schema=A;drop", "postgresql://h/x?pool=0.5", "postgresql://[::1/x"],
)  # fmt: skip
def test_a_url_that_is_wrong_is_refused_without_being_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery) as caught:
        open_index(url, tmp_path)
    assert url not in str(caught.value)


def test_what_is_shown_of_a_url_holds_no_secret_and_opens_the_same() -> None:
    assert show_url("postgresql://me:s3cret@db:5/x?sslmode=require") == "postgresql://me@db:5/x?sslmode=require"
    assert show_url("postgresql://db/x?password=s3cret&user=me&sslpassword=s3cret") == "postgresql://db/x?user=me"
    assert show_url("postgresql:///x?host=/run/pg") == "postgresql:///x?host=/run/pg"
    assert "s3cret" not in repr(parse_url("postgresql://me:s3cret@db/x?password=s3cret"))


@given(
    password=st.text(st.characters(exclude_categories=["Cs"]), min_size=8), place=st.sampled_from(["login", "query"])
)
def test_no_password_survives_in_a_message(password: str, place: str) -> None:
    from urllib.parse import quote

    coded = quote(password, safe="")
    form = "postgresql://me:{}@db/x" if place == "login" else "postgresql://me@db/x?password={}"
    text = form.format(coded)
    url = parse_url(text)
    # A password that the rest of the message has in it anyway ("postgres", "password") stands there still.
    rest = f"FATAL: *** is wrong; {form.format('***')}"
    assume(password not in rest and coded not in rest)
    assert coded not in show_url(text)
    assert password not in url.hide(f"FATAL: {password} is wrong; {text}")
    assert coded not in url.hide(text)


def test_a_password_that_is_a_word_of_its_address_is_shown_at_its_place_no_more() -> None:
    assert show_url("postgresql://me:postgres@db/x") == "postgresql://me@db/x"
    url = parse_url("postgresql://me:postgres@db/x")
    assert url.hide("FATAL: postgres is wrong; postgresql://me:postgres@db/x") == (
        "FATAL: *** is wrong; ***ql://me:***@db/x"
    )


def test_a_command_line_with_a_password_ismasked_in_the_provenance() -> None:
    line = ["run", "--index", "postgresql://me:s3cret@db/x", "--index=postgresql://me:s3cret@db/x", "--dir", "a:b@c"]
    assert masked(line) == [
        "run",
        "--index",
        "postgresql://me:***@db/x",
        "--index=postgresql://me:***@db/x",
        "--dir",
        "a:b@c",
    ]


def test_what_is_kept_of_a_url_opens_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kept_url("sqlite:x.db?keys=metadata.a") == f"sqlite:{tmp_path / 'x.db'}?keys=metadata.a"
    assert (kept_url("sqlite:"), kept_url("journal:")) == ("sqlite:", None)
    assert (kept_url("sqlite"), kept_url("journal")) == ("sqlite:", None)
    assert kept_url("postgresql://me:s3cret@db/x") == "postgresql://me@db/x"


class PluginIndex(JournalIndex):
    """An engine of a third party."""


def plugin(url: str, root: Path) -> PluginIndex:
    return PluginIndex(root / url.partition(":")[2])


def registered(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    points = EntryPoints([EntryPoint("plug", value, "sessionstore.index_engines")])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points.select(group=group))


def test_third_parties_add_engines_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, "tests.index.test_index_url:plugin")
    with sessionstore.open(tmp_path, "plug:rows.jsonl") as store:
        store.create("x")
        assert isinstance(store.index, PluginIndex) and len(store.find()) == 1
    assert (tmp_path / "rows.jsonl").is_file()
    with pytest.raises(
        InvalidQuery, match=r"no index engine is called 'nope' \(there are journal:, sqlite:, postgresql:, plug:"
    ):
        open_index("nope:x", tmp_path)


def test_a_plugin_that_cannot_be_imported_costs_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, "tests.no_such_module:plugin")
    with sessionstore.open(tmp_path, "plug:x") as store:
        _, steps = store.create_with_report("x")
        assert steps["index"].status == "pending" and "no_such_module" in str(steps["index"].reason)
        assert len(store.find()) == 1 and store.notice is not None
        for call in (store.index.health, store.index.version, lambda: store.index.replace_all([])):
            with pytest.raises(IndexUnavailable):
                call()


def test_the_journal_alone_imports_no_database() -> None:
    code = (
        "import sys, tempfile, sessionstore\n"
        "store = sessionstore.open(tempfile.mkdtemp()); store.create('x'); store.find()\n"
        "print([name for name in ('sqlite3', 'psycopg', 'urllib.parse', 'decimal') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sqlite3" not in done.stdout and "psycopg" not in done.stdout, done.stdout


# ---------------------------------------------------------------- the fallback of the boxes


class Broken(SessionCreatorBox):
    """A creator box with a bug."""

    error: Exception = RuntimeError("plug-in is broken")

    def create_session(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise self.error


def test_a_creator_box_that_raises_leads_to_the_database_box_and_the_record_says_so(tmp_path: Path) -> None:
    database = SessionDBBox(training_sessions_dir=tmp_path)
    well = create_with_fallback(SessionCreatorBox(database).create_session, database, "well", {"n": 1}, num_buildings=2)
    assert well["success"] and not well["fallback_used"]
    creator = Broken(database)
    result = create_with_fallback(
        creator.create_session, database, "run 1", {"n": 2}, num_buildings=3, base_position=None
    )
    assert result.keys() - well.keys() == {"fallback_reason"} and result["success"] and result["fallback_used"]
    assert result["directory"] == result["record"] == result["index"] == {"status": "done", "reason": None}
    record = database.get_session(result["session_id"])
    assert record["num_buildings"] == 3 and record["session_name"] == "run 1"
    assert record["metadata"] == {"n": 2, "fallback_used": True, "fallback_reason": "RuntimeError: plug-in is broken"}
    assert [row["session_id"] for row in database.search("metadata.fallback_used=true")] == [result["session_id"]]
    creator.error = ValueError("a lone \ud800 surrogate")
    assert create_with_fallback(creator.create_session, database)["fallback_used"]
    assert database.count() == 3


@pytest.mark.parametrize("error", [InvalidName("no"), OutcomeUnknown("it may be there")])
def test_what_the_store_refuses_is_not_tried_by_another_door(tmp_path: Path, error: Exception) -> None:
    database = SessionDBBox(training_sessions_dir=tmp_path)
    creator = Broken(database)
    creator.error = error
    with pytest.raises(type(error)):
        create_with_fallback(creator.create_session, database, "x")
    assert database.count() == 0


def test_the_name_of_an_engine_alone_is_its_default_place_and_no_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, file in (("sqlite", "index.sqlite"), ("journal", "index.jsonl")):
        with sessionstore.open(tmp_path / "store", index=name) as store:
            store.create("A")
        assert (tmp_path / "store" / file).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
