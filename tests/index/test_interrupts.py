"""Ctrl-C at any line of a listing, as in a notebook: the next one is right, and compacts nothing away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sessionstore.bench.rows import a_row
from sessionstore.index.journal import row_journal
from sessionstore.index.journal.engine import JournalIndex, by_creation
from sessionstore.index.journal.file import Journal
from sessionstore.index.journal.tinydb_storage import JournalDatabase

INTERRUPTED = (
    "journal/engine.py", "journal/row_journal.py", "journal/file.py", "journal/raw_tables.py", "journal/block.py",
    "disk/append_file.py",
)  # fmt: skip
BEFORE = [a_row(number) for number in range(5)]
AFTER = by_creation([a_row(1, rev=2), *BEFORE[2:], a_row(7)])


def interrupted(action: Callable[[], object], at: int) -> bool:
    """Run an action with Ctrl-C at its n-th line of the journal; return whether it came so far."""
    left = at

    def line(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        left -= event == "line"
        if event == "line" and left == 0:
            raise KeyboardInterrupt
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename.endswith(INTERRUPTED) else None

    traced = sys.gettrace()
    sys.settrace(call)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(traced)
    return False


def changed(index: JournalIndex) -> None:
    index.put([a_row(1, rev=2), a_row(7)])
    index.remove([BEFORE[0].session_id])


def made_anew(index: JournalIndex) -> None:
    changed(index)
    index.compact()


def written_by_an_earlier_version(index: JournalIndex) -> None:
    changed(index)
    Journal(index._journal.path, sync=False).compact()  # no block


def to_be_compacted(index: JournalIndex) -> None:
    changed(index)
    index.put([a_row(7)] * 20)


def cases(happens: Callable[[JournalIndex], None], folder: Path) -> Iterator[tuple[int, JournalIndex, Path]]:
    """Yield a reader that was interrupted at one line after the other, and its file."""
    for at in range(1, 1000):
        path = folder / f"{at}.jsonl"
        JournalIndex(path).replace_all(BEFORE)
        JournalDatabase(path).table("other").insert({"a": 1})
        reader = JournalIndex(path)
        assert reader.find() == BEFORE
        happens(JournalIndex(path))
        if not interrupted(reader.find, at):
            return
        yield at, reader, path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what was being made just then
@pytest.mark.parametrize("happens", [changed, made_anew, written_by_an_earlier_version, to_be_compacted])
def test_who_is_interrupted_at_any_line_lists_the_same_afterwards(
    happens: Callable[[JournalIndex], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 6)
    seen = 0
    for at, reader, path in cases(happens, tmp_path):
        seen += 1
        assert reader.find() == AFTER and reader.stamps().keys() == {row.session_id for row in AFTER}, at
        JournalIndex(path).put([a_row(7)])
        reader.compact()
        assert reader.find() == JournalIndex(path).find() == AFTER, at
        assert JournalDatabase(path).table("other").all() == [{"a": 1}], at
        reader.close()
    assert seen > 60
