"""Layouts and views that a store keeps for all: whole files, names and texts within bounds, damage is said."""

from __future__ import annotations

import json

import pytest

from sessionstore.errors import Corrupt, InvalidName, InvalidRecord
from sessionstore.store import SessionStore
from sessionstore.store.page_views import FILE, MOST_NAMES, PageViews


def test_what_one_keeps_another_reads_and_takes_out(store: SessionStore) -> None:
    PageViews(store.root).put("layouts", "two", "scene~6x8;strip~6x8")
    PageViews(store.root).put("views", "storms", "q=name~storm")
    other = PageViews(store.root)
    assert other.read() == {"layouts": {"two": "scene~6x8;strip~6x8"}, "views": {"storms": "q=name~storm"}}
    other.put("layouts", "two", None)
    assert PageViews(store.root).read()["layouts"] == {}


def test_a_store_without_the_file_keeps_nothing_and_gets_no_file_by_reading(store: SessionStore) -> None:
    assert PageViews(store.root).read() == {"layouts": {}, "views": {}}
    assert not (store.root.private / FILE).exists()


@pytest.mark.parametrize(("kind", "name"), [("layouts", " "), ("layouts", "n" * 81), ("others", "one")])
def test_a_name_that_is_none_is_refused(store: SessionStore, kind: str, name: str) -> None:
    with pytest.raises(InvalidName):
        PageViews(store.root).put(kind, name, "text")


def test_too_much_is_refused_and_changes_nothing(store: SessionStore) -> None:
    kept = PageViews(store.root)
    with pytest.raises(InvalidRecord, match="characters"):
        kept.put("views", "long", "x" * 20_001)
    kept.put("views", "one", "a")
    text = (store.root.private / FILE).read_text()
    many = {"views": dict.fromkeys(map(str, range(MOST_NAMES)), "a"), "layouts": {}}
    (store.root.private / FILE).write_text(json.dumps(many))
    with pytest.raises(InvalidRecord, match="take one out first"):
        kept.put("views", "one more", "a")
    assert "one more" not in (store.root.private / FILE).read_text() and "one" in text


@pytest.mark.parametrize("text", ["{", "[]", '{"views": []}', '{"layouts": {"a": 1}}'])
def test_a_damaged_file_is_said_and_kept(store: SessionStore, text: str) -> None:
    store.root.prepare()
    (store.root.private / FILE).write_text(text)
    with pytest.raises(Corrupt):
        PageViews(store.root).read()
    with pytest.raises(Corrupt):
        PageViews(store.root).put("views", "one", "a")
    assert (store.root.private / FILE).read_text() == text
