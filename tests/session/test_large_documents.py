"""A session.json beyond the limit is refused by its size before it is read; it costs no memory, and is not written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import InvalidRecord, UnsafeFile
from sessionstore.layout import DOCUMENT
from sessionstore.session import documents
from sessionstore.store import SessionStore

PROGRAM = """
import resource, sys
import sessionstore
from sessionstore.errors import UnsafeFile
store = sessionstore.open(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sorted(str(row.status) for row in store.find()))
for call in (lambda: store.get(sys.argv[2]).record, lambda: store.get(sys.argv[2]).update(notes="x")):
    try:
        call()
    except UnsafeFile as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux is missing: the memory is counted in its unit")
def test_a_session_json_of_200_mb_is_listed_and_refused_without_being_read(store: SessionStore) -> None:
    store.create("small")
    large = store.create("large")
    tables = json.loads((large.folder / DOCUMENT).read_bytes())
    tables["session"]["1"]["metadata"] = {"long": "x" * 200_000_000}
    (large.folder / DOCUMENT).write_text(json.dumps(tables))
    words = [sys.executable, "-c", PROGRAM, str(store.root.path), large.session_id]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    listed, first, second, grown_mb = done.stdout.splitlines()
    assert listed == "['created', 'unreadable']"
    assert "bytes; at most 33,554,432 are read" in first and "bytes; at most 33,554,432 are read" in second
    assert int(grown_mb) < 50


def test_an_update_or_a_table_beyond_the_limit_is_refused_and_changes_nothing(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create("x", metadata={"v": 1})
    monkeypatch.setattr(documents, "MAX_DOCUMENT_BYTES", 20_000)
    before = (session.folder / DOCUMENT).read_bytes()
    with pytest.raises(InvalidRecord, match="at most 20,000 are stored"):
        session.update(metadata={"long": "x" * 30_000})
    with pytest.raises(InvalidRecord, match="at most 20,000 are stored"):
        session.table("notes").insert({"long": "x" * 30_000})
    with pytest.raises(InvalidRecord, match="at most 20,000 are stored"):
        store.create("y", metadata={"long": "x" * 30_000})
    assert (session.folder / DOCUMENT).read_bytes() == before
    assert [row.session_name for row in store.find()] == ["x"]


def test_a_document_at_the_limit_is_read_and_one_byte_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sessionstore.open(tmp_path / "store")
    session = store.create("x")
    size = (session.folder / DOCUMENT).stat().st_size
    monkeypatch.setattr(documents, "MAX_DOCUMENT_BYTES", size)
    assert session.record.rev == 1
    monkeypatch.setattr(documents, "MAX_DOCUMENT_BYTES", size - 1)
    with pytest.raises(UnsafeFile):
        _ = session.record
