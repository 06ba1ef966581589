"""Columns of a journal: pages equal the rows of all of it, and whatever is wrong with the files costs a reading."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionstore.index import Page, PageOrder
from sessionstore.index.filtering import parse_sort, select, sort_order
from sessionstore.index.journal import column_file, columns, heads, text_column
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.index.journal.pages import PageView
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, Owner, SessionRow, as_interrupted
from sessionstore.query import parse

WHERE = (
    "", "status=failed", "status=interrupted", "status!=failed", "metadata.n>1", "metadata.n!=2", "metadata.n=null",
    "metadata.mix=a", "metadata.mix!=a", "metadata.sub.k~X", "name~storm", "not name~storm", "name>=r", "distance_m>2",
    "distance_m<=2.5 and points=3", "points=3 or metadata.n=1", "rev>=2", "has metadata.n", "metadata.n~1",
    "created_at>2026-11-23T14:30:10Z", "created_at!=2026-11-23T14:30:10Z", "end_reason=x", "metadata.n in (1,2)",
    "metadata.big>3", "butter", "ÜX", "not storm", "a or metadata.n=1", "true", "3.5", "2026-1", "mix storm", "x",
    "\u1e9e", '"\x00"', "st\u0130", "stormnight", "tags=night", "has tags", "not tags~i", "has drones.scout",
    "drones.scout>1", "drones.scout=null",
)  # fmt: skip
SORT = (
    "-created_at", "created_at", "name", "-name", "distance_m", "-distance_m", "metadata.n", "-metadata.n",
    "metadata.mix", "-metadata.mix", "status", "-points", "-session_id", "tags", "-tags", "drones.scout",
)  # fmt: skip


@pytest.fixture(autouse=True)
def pages_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)


def row_of(rng: random.Random, number: int) -> SessionRow:
    status = rng.choice(["completed", "failed", "running", "created"])
    metadata: dict[str, Any] = {"n": rng.choice([None, 1, 2, 3.5, 7, -1])} if rng.random() < 0.8 else {}
    if rng.random() < 0.5:
        metadata |= {"mix": rng.choice(["a", "b", None, True, [1, 2], {"x": 1}]), "sub": {"k": rng.choice("üx")}}
    if number == 7:
        metadata["big"] = 2**60
    if number % 9 == 0:
        metadata["odd"] = {"a\0b": "st\u0130rm\1x", "deep": [["ÜX", {"y": "STRASSE"}], "stra\u00dfe", None, 1.0]}
    return SessionRow(
        session_id=f"2026-{number}", uuid=str(number), rev=rng.randrange(5), status=status, workflow_state="",
        created_at=f"2026-11-23T14:30:{rng.randrange(20):02d}.000000Z", updated_at="2026-11-23T14:30:00.000000Z",
        tags=rng.choice([[], [], ["night"], ["night", "wind"], ["x\0y"]]),
        drones=rng.choice([{}, {"scout": 1}, {"scout": 2}]),
        session_name=rng.choice([None, "Butterfly", "storm", f"r{number}"]), points=rng.choice([None, 3, 4]),
        distance_m=rng.choice([None, 1.5, 2.5, 1e6]), owner=Owner(pid=3) if status == "running" else None,
        raw_metadata=msgspec.Raw(msgspec.json.encode(metadata)), size=number, mtime_ns=number,
        end_reason=rng.choice([None, "x"]),
    )  # fmt: skip


def in_order(rows: dict[str, SessionRow]) -> list[SessionRow]:
    return sorted(rows.values(), key=lambda row: (row.created_at, row.session_id))


class Twin:
    """A journal with columns, and what it should hold."""

    def __init__(self, folder: Path, seed: int) -> None:
        (folder / ".sessionstore").mkdir()
        self.folder, self.rng, self.rows = folder, random.Random(seed), dict[str, SessionRow]()
        self.index = self.opened()
        self.write_anew()

    def opened(self) -> JournalIndex:
        return JournalIndex(self.folder / "index.jsonl", columns=self.folder / ".sessionstore" / "columns")

    def write_anew(self) -> None:
        found = [row_of(self.rng, number) for number in self.rng.sample(range(80), 60)]
        self.rows = {row.session_id: row for row in found}
        self.index.replace_all(in_order(self.rows))

    def change(self) -> None:
        if self.rng.random() < 0.7 or not self.rows:
            row = row_of(self.rng, self.rng.randrange(90))
            self.rows[row.session_id] = row
            self.index.put([row])
        else:
            gone = self.rng.choice(sorted(self.rows))
            del self.rows[gone]
            self.index.remove([gone])

    def view(self) -> PageView:
        found = self.index.page_view()
        assert found is not None
        return found

    def compare(self, where: str, sort: str) -> bool:
        """Compare one page with a listing of all rows; return whether the columns could answer."""
        rng, rows = self.rng, in_order(self.rows)
        why = {row.session_id: "gone" for row in rows if row.owner and rng.random() < 0.5}
        tree, order = parse(where, FILTER_FIELDS, FILTER_ALIASES) if where else None, sort_order(sort)
        shown = [as_interrupted(row, "gone") if row.session_id in why else row for row in rows]
        wanted = select(shown, tree)
        wanted = wanted if order is None else order(wanted)
        begin, limit, behind = rng.randrange(12), rng.choice([1, 5, 50, None]), None
        if wanted and rng.random() < 0.4:
            begin = rng.randrange(len(wanted)) + 1
            behind = wanted[begin - 1].session_id
        path, descending = parse_sort(sort)
        found = self.view().page(tree, PageOrder(path, descending, 0 if behind else begin, limit, behind), why)
        if found is None:
            return False
        assert found == Page(wanted[begin : None if limit is None else begin + limit], len(wanted), begin)
        return True

    def check(self) -> None:
        view, rows = self.view(), in_order(self.rows)
        assert {name: (stamp.size, stamp.mtime_ns) for name, stamp in view.stamps().items()} == {
            row.session_id: (row.size, row.mtime_ns) for row in rows
        }
        assert view.names() == self.rows.keys()
        assert {row.session_id for row in view.active()} == {row.session_id for row in rows if row.owner}
        assert view.heads() == [
            (row.session_id, row.status, row.created_at, row.points, row.distance_m) for row in rows
        ]
        assert view.find() == rows


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path, 1)


def random_life(twin: Twin, rounds: int) -> float:
    """Change a journal, and compare pages with all of it; return the share that the columns answered."""
    answered = asked = 0
    for _ in range(rounds):
        for _ in range(twin.rng.randrange(6)):
            twin.change()
        if twin.rng.random() < 0.2:
            twin.write_anew()
        if twin.rng.random() < 0.3:
            twin.index = twin.opened()
        if not twin.rows:
            continue
        twin.check()
        for where in WHERE:
            asked += 1
            answered += twin.compare(where, twin.rng.choice(SORT))
    return answered / asked


@pytest.mark.parametrize("behind", [0, 2 << 20])
def test_pages_are_those_of_all_rows_whatever_was_written(
    behind: int, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_BYTES_BEHIND", behind)  # 0: made anew after each change
    monkeypatch.setattr(text_column, "_ROWS_AT_ONCE", 16)
    assert random_life(twin, 15) > 0.8


def _forget_late_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PageView, "_put_since", lambda view: [])


def _keep_replaced_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    late = PageView._late
    monkeypatch.setattr(PageView, "_late", lambda view, why: (late(view, why)[0], []))


def _trust_any_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "identity_of", lambda descriptor, end: (1, 1, "00000000", "00"))


def _search_across_values(monkeypatch: pytest.MonkeyPatch) -> None:
    original = text_column._text
    monkeypatch.setattr(text_column, "_text", lambda doc: original(doc).replace(b"\0", b""))


def _search_in_one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    original = text_column._text
    monkeypatch.setattr(text_column, "_text", lambda doc: original(doc).replace(b"butterfly", b"Butterfly"))


def _search_every_second_row(monkeypatch: pytest.MonkeyPatch) -> None:
    found = text_column.bisect_right
    monkeypatch.setattr(text_column, "bisect_right", lambda *given: found(*given) | 1)


def _newest_first_among_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    ordered = columns.FieldColumn.ordered

    def reversed_groups(column: Any, mask: bytearray, descending: bool) -> Iterator[Any]:
        return iter(sorted(ordered(column, mask, descending), key=lambda one: -one[1]))

    monkeypatch.setattr(columns.FieldColumn, "ordered", reversed_groups)


@pytest.mark.parametrize(
    "plant",
    [
        _forget_late_rows,
        _keep_replaced_rows,
        _trust_any_journal,
        _newest_first_among_equals,
        _search_across_values,
        _search_in_one_case,
        _search_every_second_row,
    ],
)
def test_a_planted_fault_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, StopIteration, IndexError)):
        random_life(twin, 15)


# ------------------------------------------------------------ damage

FILES = 4  # heads, a field, a key, the words


def made(twin: Twin) -> list[Path]:
    """Make the heads, two columns and the words; return the files."""
    assert twin.compare("metadata.n>1 butter", "distance_m")
    return sorted((twin.folder / ".sessionstore" / "columns").iterdir())


def asked_anew(twin: Twin) -> None:
    """Ask all that can be asked, from a process that begins; a page may be refused once, never wrong."""
    twin.index = twin.opened()
    for _ in range(2):
        for where, sort in (("", "-created_at"), ("metadata.n>1", "distance_m"), ("storm", "-distance_m")):
            try:
                twin.compare(where, sort)
            except column_file.Damaged:
                twin.view().discard()
    twin.check()
    assert twin.compare("metadata.n>1", "distance_m")


def places(size: int) -> range:
    return range(0, size, max(1, size // 40))


def test_a_file_cut_anywhere_is_made_anew(twin: Twin) -> None:
    for number in range(FILES):
        for size in places(made(twin)[number].stat().st_size):
            path = made(twin)[number]
            path.write_bytes(path.read_bytes()[:size])
            asked_anew(twin)


def test_a_flipped_bit_anywhere_is_made_anew(twin: Twin) -> None:
    for number in range(FILES):
        for at in places(made(twin)[number].stat().st_size):
            path = made(twin)[number]
            data = bytearray(path.read_bytes())
            data[at] ^= 1 << twin.rng.randrange(8)
            path.write_bytes(data)
            asked_anew(twin)


def test_a_flipped_bit_that_is_not_looked_for_is_noticed(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_file, "crc32", lambda *_: 0)
    with pytest.raises(Exception):  # noqa: B017  wrong rows, or what wrong numbers lead to
        test_a_flipped_bit_anywhere_is_made_anew(twin)


def test_a_block_that_changes_after_it_was_checked_is_noticed_when_it_is_read_again(twin: Twin) -> None:
    path = next(each for each in made(twin) if each.name.endswith("heads.columns"))
    file = column_file.ColumnFile.opened(path)
    assert file.read("at", 0, 8)
    with path.open("r+b") as other:  # the same inode
        other.seek(-1, os.SEEK_END)
        other.write(b"\xff")
    file._recent.clear()
    with pytest.raises(column_file.Damaged, match="block 0 was changed"):
        file.read("at", 0, 8)


@pytest.mark.parametrize("spoilt", [b"", b"{}\n", b"garbage", b"\0" * 70_000])
def test_a_file_with_other_bytes_is_made_anew(spoilt: bytes, twin: Twin) -> None:
    for number in range(FILES):
        made(twin)[number].write_bytes(spoilt)
        asked_anew(twin)


def test_a_file_of_a_later_version_is_made_anew(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(column_file, "VERSION", column_file.VERSION + 1)
        made(twin)
    asked_anew(twin)


def test_columns_of_another_store_are_not_used(twin: Twin, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Twin(tmp_path / "other", 2)
    names = [path.name for path in made(twin)]
    for path, name in zip(made(other), names, strict=True):
        shutil.copy2(path, twin.folder / ".sessionstore" / "columns" / name)
    asked_anew(twin)


def test_a_journal_written_anew_in_place_or_copied_back_makes_columns_stale(twin: Twin) -> None:
    journal = twin.folder / "index.jsonl"
    before, rows = journal.read_bytes(), dict(twin.rows)
    made(twin)
    twin.write_anew()
    made(twin)
    journal.write_bytes(before)  # the same inode
    twin.rows = rows
    asked_anew(twin)


def test_columns_are_links_or_folders_and_nothing_is_followed(twin: Twin, tmp_path: Path) -> None:
    target = tmp_path / "target"
    for number in range(FILES):
        path = made(twin)[number]
        target.write_bytes(path.read_bytes())
        path.unlink()
        path.symlink_to(target)
        asked_anew(twin)
    assert target.is_file()


def test_what_cannot_be_written_is_read_all_the_same(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "may_write", lambda folder: False)
    asked_anew(twin)
    assert not (twin.folder / ".sessionstore" / "columns").exists()


def test_few_fields_are_kept(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_MOST_FIELDS", 2)
    for key in "abcd":
        assert twin.compare(f"metadata.{key}=1", "-created_at")
    assert len(list((twin.folder / ".sessionstore" / "columns").iterdir())) == 3


def test_a_page_reads_a_few_lines_of_the_journal(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    made(twin)
    read = []
    original = columns.read_at
    monkeypatch.setattr(columns, "read_at", lambda *given: (read.append(given), original(*given))[1])
    twin.index = twin.opened()
    found = twin.view().page(None, PageOrder(("created_at",), True, 0, 5), {})
    assert found is not None and len(found.rows) == 5 and len(read) == 5


def test_few_rows_have_no_columns(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1000)
    assert twin.opened().page_view() is None
    assert os.listdir(twin.folder / ".sessionstore") == []
