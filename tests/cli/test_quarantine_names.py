"""The quarantine has one way, ``quarantine``; ``trash quarantine`` is its older name and does the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sessionstore.store import SessionStore


def test_the_quarantine_is_listed_and_emptied_by_both_names_with_right_plurals(
    store: SessionStore, run: Callable[..., Any]
) -> None:
    store.create("x")
    for number in range(2):
        store.root.quarantine(store.root.path / "x" / "log.jsonl", number, b"bytes")
    pieces = [json.loads(run(*words, "--json").out) for words in (("quarantine", "list"), ("trash", "quarantine"))]
    assert pieces[0] == pieces[1] and len(pieces[0]) == 2
    assert run("quarantine", "list").err == "2 pieces\n"
    assert run("quarantine", "empty", "--older-than", "1d", "--yes").err == "nothing to remove\n"
    done = run("quarantine", "empty", "--yes")
    assert done.code == 0 and done.err.startswith("removed 2 pieces (") and not list(store.root.quarantined())
    store.root.quarantine(store.root.path / "x" / "log.jsonl", 5, b"bytes")
    assert run("quarantine", "list").err == "1 piece\n"
    assert run("trash", "quarantine", "--empty", "--yes").err.startswith("removed 1 piece (")
    assert run("quarantine", "list").err == "0 pieces\n"
