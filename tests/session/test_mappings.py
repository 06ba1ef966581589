"""Metadata, tags and data as Python mappings: each change is one atomic, durable update, and loses no other key."""

from __future__ import annotations

import inspect
import pickle
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.errors import InvalidRecord
from sessionstore.session import Session
from sessionstore.store import SessionStore


@pytest.fixture
def session(store: SessionStore) -> Session:
    return store.create("Butterfly", metadata={"pilot": "Ada"}, tags=["a"])


def test_metadata_is_a_mapping_that_is_stored_at_once(session: Session, store: SessionStore) -> None:
    session.metadata["drones"] = 5
    session.metadata.update({"a": 1}, b=2)
    assert session.metadata.setdefault("a", 9) == 1 and session.metadata.setdefault("c", [1]) == [1]
    assert session.metadata.pop("b") == 2 and session.metadata.pop("b", None) is None
    with pytest.raises(KeyError):
        session.metadata.pop("b")
    with pytest.raises(KeyError):
        del session.metadata["b"]
    del session.metadata["a"]
    assert session.metadata == {"pilot": "Ada", "drones": 5, "c": [1]} == dict(store.get("Butterfly").metadata)
    assert session.metadata.change("drones", lambda n: n + 1) == 6 and "drones" in session.metadata
    assert [row.session_name for row in store.find("metadata.drones=6")] == ["Butterfly"]
    assert session.metadata.popitem() == ("c", [1]) and len(session.metadata) == 2
    session.metadata = {"x": 1}
    assert session.metadata == {"x": 1}


def test_a_metadata_value_that_is_refused_changes_nothing(session: Session) -> None:
    rev = session.record.rev
    with pytest.raises(InvalidRecord):
        session.metadata.update(good=1, bad=object())
    assert session.metadata == {"pilot": "Ada"} and session.record.rev == rev


def test_tags_are_a_set_that_is_stored_at_once(session: Session) -> None:
    session.tags.add("b")
    rev = session.record.rev
    session.tags.add("b")
    session.tags.discard("never there")
    assert session.record.rev == rev and session.record.tags == ["a", "b"]
    session.tags.update(["c", "a", "c"])
    session.tags.remove("b")
    with pytest.raises(KeyError):
        session.tags.remove("b")
    assert session.tags == {"a", "c"} and session.tags | {"d"} == {"a", "c", "d"}


def test_data_is_a_mapping_of_the_programs_own(session: Session) -> None:
    session["state"] = {"step": 1, "weights": [0.5]}
    session.data["n"] = None
    assert session["state"]["step"] == 1 and list(session) == ["state", "n"] and "n" in session
    del session["n"]
    assert session.data == {"state": {"step": 1, "weights": [0.5]}}
    with pytest.raises(KeyError):
        session["n"]
    with session.data.batch():
        session["a"] = 1
        session.data.update(b=2)
        del session["state"]
        assert Session(session._root, session.session_id).data.to_dict().keys() == {"state"}
    assert session.data == {"a": 1, "b": 2}
    rev = session.record.rev
    with pytest.raises(ZeroDivisionError), session.data.batch() as data:
        data["a"] = 1 / 0
    assert session.data == {"a": 1, "b": 2} and session.record.rev == rev
    assert session.tables()["data"] == {"1": {"a": 1, "b": 2}}


def test_a_batch_keeps_what_another_program_stored_meanwhile(session: Session) -> None:
    session["mine"] = 1
    with session.data.batch() as data:
        Session(session._root, session.session_id).data["theirs"] = 2
        data["mine"] = 3
    assert session.data == {"mine": 3, "theirs": 2}


def test_a_merge_keeps_what_is_not_given_and_removes_what_is_none(store: SessionStore) -> None:
    box = SessionDBBox(store=store)
    session_id = box.create_session("x", metadata={"a": 1, "b": {"c": 1, "d": 2}})["session_id"]
    record = box.update_session(session_id, metadata={"b": {"c": None, "e": 3}, "f": 4}, status="running", merge=True)
    assert record["metadata"] == {"a": 1, "b": {"d": 2, "e": 3}, "f": 4} and record["status"] == "running"
    assert box.update_session(session_id, metadata={"g": 5})["metadata"] == {"g": 5}
    with pytest.raises(InvalidRecord, match="colour"):
        box.update_session(session_id, colour={"a": 1}, merge=True)


WRITER = """
import sys, sessionstore
from sessionstore.boxes.session_db_box import SessionDBBox
folder, me = sys.argv[1], sys.argv[2]
store = sessionstore.open(folder, sync="os")
session, box = store.get("x"), SessionDBBox(store=store)
for number in range(8):
    session.metadata[f"{me}-{number}"] = number
    box.update_session("x", metadata={f"box-{me}-{number}": number}, merge=True)
    session.tags.add(f"{me}-{number}")
    session[f"{me}-{number}"] = number
    session.data.change("count", lambda n: n + 1, 0)
"""


def test_eight_processes_that_each_add_keys_lose_none(store: SessionStore) -> None:
    session = store.create("x")
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.root.path), str(number)]) for number in range(8)
    ]
    assert [child.wait(timeout=120) for child in children] == [0] * 8
    assert len(session.metadata) == 128 and len(session.tags) == 64
    assert len(session.data) == 65 and session["count"] == 64


def test_handles_are_equal_by_uuid_and_pickle_by_store_and_id(session: Session, store: SessionStore) -> None:
    again = pickle.loads(pickle.dumps(session))
    assert again == session == store.get("Butterfly") and len({again, session, store.get("latest")}) == 1
    assert session != store.create("other") and session != "Butterfly"
    again.metadata["through"] = "pickle"
    assert [row.session_name for row in store.find("metadata.through=pickle", verify=False)] == ["Butterfly"]
    with pickle.loads(pickle.dumps(store)) as other:
        assert other.root.path == store.root.path and other.index.url == store.index.url
        assert [row.session_name for row in other.find()] == ["other", "Butterfly"]
    with store.record("run") as recorder:
        assert type(pickle.loads(pickle.dumps(recorder))) is Session


def test_a_session_says_what_people_ask_for(store: SessionStore) -> None:
    with store.record("Storm") as session:
        session.motion.append("a", t_s=0, position_m=(0, 0, 0))
        session.motion.append("a", t_s=2, position_m=(1, 0, 0))
    assert (session.name, session.duration_s, session.path) == ("Storm", 2.0, session.folder)
    assert session.metrics["totals"]["points"] == 2 and session.uuid == session.record.uuid


def test_a_store_is_read_like_a_mapping(session: Session, store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = sessionstore.open(tmp_path / "empty")
    assert len(empty) == 0 and list(empty) == [] and bool(empty)
    assert len(store) == 1 and "Butterfly" in store and "Moth" not in store and 5 not in store
    assert store["Butterfly"] == session and list(store) == store.keys() == [session.session_id]
    assert list(store.values()) == [session] and list(store.items()) == [(session.session_id, session)]
    with pytest.raises(KeyError) as caught:
        store["Moth"]
    assert str(caught.value).startswith("no session is called")


@pytest.mark.parametrize("name", ["metadata", "data"])
def test_a_key_that_is_not_text_is_the_key_of_its_text(store: SessionStore, name: str) -> None:
    """What was set under 5 is found, replaced and removed under 5, and under "5"."""
    mapping = getattr(store.create("x"), name)
    mapping[5] = "a"
    mapping[5] = "b"
    assert mapping[5] == mapping["5"] == "b" and 5 in mapping and (5, 6) not in mapping and list(mapping) == ["5"]
    mapping.update({5: "c", True: "d"})
    assert mapping.setdefault(5, "e") == "c" and mapping.change(5, lambda text: text + "!") == "c!"
    assert mapping.pop(5) == "c!" and mapping.pop(5, None) is None
    del mapping[True]
    assert mapping == {}
    for refused in (lambda: mapping.update({5: 1, "5": 2}), lambda: mapping.__setitem__((5, 6), 1)):
        with pytest.raises(InvalidRecord):
            refused()


def _members(kind: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    "name", ["SessionStore", "Session", "Recorder", "Database", "metadata", "data", "tags", "artifacts"]
)
def test_help_hints_and_completion_show_all_of_it(store: SessionStore, name: str) -> None:
    kind = getattr(sessionstore, name) if name[0].isupper() else type(getattr(store.create("x"), name))
    shown = pydoc.plain(pydoc.render_doc(kind))
    for member, value in _members(kind).items():
        assert member in shown and member in dir(kind)
        if isinstance(value, type) or not (callable(value) or isinstance(value, property)):
            continue
        ours = getattr(value, "fget", value)
        if not getattr(ours, "__module__", "").startswith("sessionstore"):
            continue  # of the mappings and sets of Python, whose hints are those of the type checker
        assert inspect.getdoc(ours), f"{name}.{member} has no help"
        assert "return" in inspect.get_annotations(ours), f"{name}.{member} has no hint of its result"


def test_a_shell_for_python_completes_keys(session: Session, store: SessionStore) -> None:
    session["checkpoint"] = 1
    session.metadata["site"] = "tower"
    session.artifacts.put("plan.txt", "x")
    completer = lambda each: each._ipython_key_completions_()  # noqa: E731
    assert completer(session) == completer(session.data) == ["checkpoint"]
    assert "site" in completer(session.metadata) and completer(session.artifacts) == ["plan.txt"]
    assert completer(store) == ["Butterfly", session.session_id]


def test_the_package_names_its_own_and_nothing_of_python() -> None:
    assert {"open", "register_type", "Session", "SessionNotFound"} <= set(dir(sessionstore))
    assert not {"os", "sys", "Any", "Path"} & set(dir(sessionstore))
    assert all(getattr(sessionstore, name) is not None for name in dir(sessionstore))
    assert (Path(sessionstore.__file__).parent / "py.typed").is_file()
