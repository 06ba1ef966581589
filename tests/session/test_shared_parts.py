"""The provenance that many documents share: recognised by its bytes, and never a way around what a full look finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import Corrupt
from sessionstore.model import json_text
from sessionstore.session import shared_parts
from sessionstore.store import SessionStore

PROVENANCE = {"command": ["fly"], "packages": {f"package-{n}": f"{n}.0" for n in range(20)}, "git": {"dirty": False}}


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared_parts, "_known", {})
    yield


@pytest.fixture
def updated(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a session that was changed, so that its provenance is known."""
    monkeypatch.setattr("sessionstore.model.provenance.gather", lambda **_: dict(PROVENANCE))
    store.create("first").update(notes="once")
    assert len(shared_parts._known) == 1
    return store.get("first").folder / "session.json"


def test_a_document_is_read_as_in_full_and_its_provenance_is_parsed_once(
    updated: Path, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("second")
    data = (store.get("second").folder / "session.json").read_bytes()
    in_full = json_text.parse(data, "")
    monkeypatch.setattr(json_text, "parse", None)
    assert shared_parts.parse(data, "") == in_full


def test_the_bytes_after_a_change_are_those_of_a_process_that_knows_nothing(updated: Path, store: SessionStore) -> None:
    path = store.create("second", metadata={"a": 1}).folder / "session.json"
    store.get("second").update(notes="x", workflow_state="A")
    assert path.read_bytes() == json_text.layout(json_text.parse(path.read_bytes(), ""))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"package-7": "7.0"', b'"package-6": "7.0"'),  # one key twice
        (b'"uuid":', b'"notes": "a", "uuid":'),  # the same beside it
        (b'"provenance": {', b'"provenance": {},\n      "provenance": {'),
        (b'"dirty": false', b'"dirty": fals'),
        (b'      "provenance": {', b'  "provenance": {'),
        (b'"command": ["fly"]', b'"command": ["\\ud800"]'),
    ],
)
def test_what_was_edited_by_hand_is_read_or_refused_as_in_full(updated: Path, old: bytes, new: bytes) -> None:
    data = updated.read_bytes().replace(old, new, 1)
    assert data != updated.read_bytes()

    def outcome(parse: Any) -> Any:
        try:
            return parse(data, "p")
        except Corrupt as error:
            return str(error)

    assert outcome(shared_parts.parse) == outcome(json_text.parse)


@pytest.mark.parametrize("own", [0, shared_parts.IN_ITS_PLACE])
def test_the_same_bytes_in_a_table_of_the_user_are_not_taken_for_the_provenance(updated: Path, own: int) -> None:
    data = updated.read_bytes()
    ((text, _),) = shared_parts._known.items()
    elsewhere = data.replace(b'      "provenance": ' + text, b'      "provenance": %d' % own).replace(
        b'\n  "workflow"', b'\n  "mine": {\n    "1": {\n      "provenance": ' + text + b'\n    }\n  },\n  "workflow"'
    )
    assert elsewhere.count(text) == 1
    found = shared_parts.parse(elsewhere, "")
    assert found == json_text.parse(elsewhere, "")
    assert found["session"]["1"]["provenance"] == own and found["mine"]["1"]["provenance"] == PROVENANCE


def test_a_program_that_changes_the_record_it_was_given_changes_no_other(updated: Path, store: SessionStore) -> None:
    record = store.get("first").update(notes="twice")
    record.provenance["packages"]["package-1"] = record.provenance["command"] = "mine"
    store.create("second").update(notes="x")
    assert store.get("first").update(notes="again").provenance == PROVENANCE
    assert store.get("second").record.provenance == store.get("first").record.provenance == PROVENANCE
