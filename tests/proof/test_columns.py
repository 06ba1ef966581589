"""T10, T11 for the columns of pages: whatever is wrong with them, answers are those of the folders read one by one.

The columns are derived files, so no fault in them may change an answer, raise, or end a process. The oracle reads each
``session.json`` with the JSON of the standard library, and filters and sorts by itself.
Kills, errors and power cuts while they are made: the operation ``page`` (operations).
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

import sessionstore
from sessionstore.cli import main
from sessionstore.disk import filesystem
from sessionstore.errors import SessionStoreError
from sessionstore.index.journal import column_file, columns, heads
from sessionstore.store import SessionStore, column_groups
from tests.proof.oracle import copy_tree
from tests.proof.tally import CONTROLS, tally
from tests.proof.test_full_disk import fill, tmpfs
from tests.proof.volumes import PROOF, need_root

T10 = "T10 damaged columns of pages: cut at each byte, each byte changed, foreign, stale, copied, removed by hand"
COUNT = 12
FORK = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(autouse=True)
def pages_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)


def made(path: Path, count: int = COUNT, first: int = 0) -> Path:
    """Make a store whose sessions have numbers, texts and states, its index compacted."""
    rng = random.Random(count + first)
    with sessionstore.open(path, sync="os") as store:
        for number in range(first, first + count):
            store.create(
                f"run {number}", metadata={"n": rng.randrange(5), "site": rng.choice(["north", "süd", "east"])}
            )
        for number in range(first, first + count, 3):
            store.update(f"run {number}", notes=f"seen {number}")
        store.rebuild()
    return path


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("columns") / "store")


@pytest.fixture
def path(pristine: Path, scratch: Path) -> Path:
    return copy_tree(pristine, scratch / "store")


# ---------------------------------------------------------------- the oracle


def _name(record: dict[str, Any]) -> str:
    return str(record["session_name"])


QUESTIONS: tuple[tuple[str, Callable[[dict[str, Any]], bool], str, Callable[[dict[str, Any]], Any]], ...] = (
    ("", lambda found: True, "-created_at", lambda found: ""),
    ("metadata.n>2", lambda found: found["metadata"]["n"] > 2, "metadata.n", lambda found: found["metadata"]["n"]),
    ("metadata.site=süd", lambda found: found["metadata"]["site"] == "süd", "name", _name),
    (
        'SÜD "run 1"', lambda found: found["metadata"]["site"] == "süd" and "run 1" in _name(found), "-created_at",
        lambda found: "",
    ),
    ("rev=2", lambda found: found["rev"] == 2, "-created_at", lambda found: ""),
)  # fmt: skip


def folders(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records by id, read one by one, newest first."""
    found = {each.parent.name: json.loads(each.read_bytes())["session"]["1"] for each in path.glob("*/session.json")}
    ordered = sorted(found.items(), key=lambda item: (item[1]["created_at"], item[0]), reverse=True)
    return dict(ordered)


def differences(store: SessionStore) -> list[str]:
    """Return how pages, names, counts and heads differ from the folders."""
    wrong, records = [], folders(store.root.path)
    for where, fits, sort, key in QUESTIONS:
        wanted = [name for name, record in records.items() if fits(record)]
        if sort[0] != "-":  # equal ones stand oldest first
            wanted.reverse()
            wanted.sort(key=lambda name: key(records[name]))
        page = store.page(where, sort, limit=7)
        shown = [(row.session_id, row.rev, row.session_name, row.decoded_metadata()) for row in page.rows]
        right = [
            (name, records[name]["rev"], records[name]["session_name"], records[name]["metadata"])
            for name in wanted[:7]
        ]
        if (shown, page.total) != (right, len(wanted)):
            wrong.append(f"{where} by {sort}: {page.total} sessions {shown}, not {len(wanted)} {right}")
    for name, record in list(records.items())[:: len(records) // COUNT]:
        for text in (record["session_name"], record["uuid"], name):
            if (found := store.get(text).session_id) != name:
                wrong.append(f"{text} is {found}, not {name}")
    groups, total = column_groups.groups(store.catalog, "", "metadata.site", ("metadata.n",))
    counted = {group.value: (group.count, group.figures["metadata.n"].sum) for group in groups}
    if (counted, total) != (by_site(records), len(records)):
        wrong.append(f"groups {counted} of {total}, not {by_site(records)}")
    if store.keys() != list(records):
        wrong.append(f"it has {store.keys()}, not {list(records)}")
    return wrong


def by_site(records: dict[str, dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return of each site how many sessions there are, and the sum of their numbers."""
    found: dict[str, tuple[int, int]] = {}
    for record in records.values():
        count, total = found.get(record["metadata"]["site"], (0, 0))
        found[record["metadata"]["site"]] = count + 1, total + record["metadata"]["n"]
    return found


def judged(path: Path) -> list[str]:
    """Return what is wrong with the answers of the next process, asked twice, before and after files are compared."""
    try:
        with sessionstore.open(path) as store:
            wrong = differences(store)
            store.compare()
            return wrong + differences(store)
    except Exception as error:  # noqa: BLE001  # whatever it is, no fault in a derived file may raise
        return [f"{type(error).__name__}: {error}"]


def column_files(path: Path) -> list[Path]:
    """Return the files of columns, and the note of what agreed; made when they are not there."""
    assert judged(path) == []
    found = sorted((path / ".sessionstore" / "columns").iterdir())
    assert len(found) >= 4, found
    return found


# ---------------------------------------------------------------- damage


def spoilt(data: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield what a disk makes of a file: in the whole proof at every byte."""
    step = 1 if PROOF != "ci" else 61
    for size in range(rng.randrange(step), len(data), step):
        yield f"cut at {size}", data[:size]
        yield f"byte {size} changed", data[:size] + bytes([data[size] ^ rng.randrange(1, 256)]) + data[size + 1 :]
    for size in (1, 16, 4096):
        yield f"{size} zeros at the end", data[:-size] + bytes(min(size, len(data)))
        yield f"{size} zeros behind", data + bytes(size)
    yield "nothing", b""
    yield "twice", data + data
    yield "another file", b'{"columns":1}\n' + bytes(100)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_damage_of_every_column_file_leaves_every_answer_as_it_is(path: Path) -> None:
    rng = random.Random(1)
    with tally(T10) as count:
        for number in range(len(column_files(path))):
            file = column_files(path)[number]
            whole = file.read_bytes()
            for what, data in spoilt(whole, rng):
                file.write_bytes(data)
                count(inputs=1)
                count.wrong += [f"{file.name}: {what}: {each}" for each in judged(path)]
                if not file.exists():  # columns of other heads are removed
                    column_files(path)
                file.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_damage_by_chance_of_the_columns_of_many_sessions_leaves_every_answer_as_it_is(scratch: Path) -> None:
    path, rng = made(scratch / "store", 400), random.Random(2)
    with tally(T10) as count:
        for _ in range(60 if PROOF == "ci" else 600):
            file = rng.choice(column_files(path))
            data = bytearray(file.read_bytes())
            for _ in range(rng.choice((1, 1, 3))):
                at = rng.randrange(len(data))
                data[at : at + rng.choice((1, 8, 4096))] = rng.choice((b"", b"\0" * 8, rng.randbytes(3)))
            file.write_bytes(data)
            count(inputs=1)
            count.wrong += [f"{file.name}: {each}" for each in judged(path)[:3]]


def test_a_file_that_is_changed_while_it_is_open_leaves_every_answer_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are read again when many were read since: they are checked again."""
    monkeypatch.setattr(column_file, "_MOST_RECENT", 0)
    with tally(T10) as count:
        for file in column_files(path):
            whole, step = file.read_bytes(), 23
            for at in range(0, len(whole), step):
                with sessionstore.open(path) as store:
                    store.page(limit=2)
                    file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])  # the same inode
                    count(inputs=1)
                    try:
                        count.wrong += [f"{file.name}: byte {at}: {each}" for each in differences(store)]
                    except Exception as error:  # noqa: BLE001
                        count.wrong.append(f"{file.name}: byte {at}: {type(error).__name__}: {error}")
                if not file.exists():
                    column_files(path)
                file.write_bytes(whole)


def test_columns_of_another_byte_order_version_or_count_are_made_anew(path: Path) -> None:
    """Each with checksums that are right."""
    with tally(T10) as count:
        for what, change in _foreign().items():
            for file in column_files(path):
                line, _, rest = file.read_bytes().partition(b"\n")
                if not file.name.endswith(".columns"):
                    continue
                header = json.loads(line)
                del header["c"]
                change(header)
                text = json.dumps(header, separators=(",", ":")).encode()
                file.write_bytes(b'%s,"c":"%08x"}\n' % (text[:-1], crc32(text[:-1])) + rest)
                count(inputs=1)
                count.wrong += [f"{file.name}: {what}: {each}" for each in judged(path)]


def _foreign() -> dict[str, Callable[[dict[str, Any]], None]]:
    def of_meta(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
        return lambda header: header["meta"].update({name: value}) if name in header["meta"] else None

    def shorter(header: dict[str, Any]) -> None:
        header["sections"] = {name: [begin, length // 2] for name, (begin, length) in header["sections"].items()}

    def one_byte_less(header: dict[str, Any]) -> None:
        header["sections"] = {name: [at, max(0, size - 1)] for name, (at, size) in header["sections"].items()}

    def swapped(header: dict[str, Any]) -> None:
        names = list(header["sections"])
        header["sections"] = dict(zip(names, reversed(header["sections"].values()), strict=True))

    other = "big" if sys.byteorder == "little" else "little"
    return {
        "another byte order": lambda header: header.update(order=other),
        "a later version": lambda header: header.update(columns=2),
        "an earlier version": lambda header: header.update(columns=0),
        "no sections": lambda header: header.update(sections={}),
        "shorter sections": shorter, "sections of odd sizes": one_byte_less, "sections swapped": swapped,
        **{f"count {value!r}": of_meta("count", value) for value in (0, -1, 5, 10**9, "12", None, 1.5, True)},
        **{f"{name} {value!r}": of_meta(name, value)
           for name in ("end", "statuses", "newest", "names_sum", "base", "kind", "path", "first", "last", "inode")
           for value in (0, -1, "zz", None, [], [["x"]])},
    }  # fmt: skip


# ---------------------------------------------------------------- stale, copied, replaced


def test_columns_behind_a_journal_that_went_on_was_compacted_or_put_back_are_stale(path: Path, scratch: Path) -> None:
    with tally(T10) as count:
        column_files(path)
        backup = copy_tree(path, scratch / "backup")
        with sessionstore.open(path) as store:
            store.create("late", metadata={"n": 4, "site": "east"})
            store.get("run 3").update(lambda record: record["metadata"].update(n=0))
            store.delete("run 1")
        for what in ("went on", "compacted", "put back in place", "columns put back"):
            if what == "compacted":
                with sessionstore.open(path) as store:
                    store.rebuild()
            elif what == "put back in place":  # cp -a backup/. store/: the same inodes, the same times
                column_files(path)
                for name in [each for each in path.iterdir() if each.is_dir() and each.name[0] != "."]:
                    shutil.rmtree(name)
                subprocess.run(["cp", "-a", f"{backup}/.", str(path)], check=True)
            elif what == "columns put back":
                with sessionstore.open(path) as store:
                    store.get("run 5").update(lambda record: record["metadata"].update(n=1))
                theirs, ours = (f"{each}/.sessionstore/columns" for each in (backup, path))
                subprocess.run(["cp", "-a", f"{theirs}/.", ours], check=True)
            count(inputs=1)
            count.wrong += [f"{what}: {each}" for each in judged(path)]


def test_a_journal_replaced_by_one_of_the_same_size_time_and_inode_is_another(path: Path) -> None:
    """As a tool does that writes a file back in place and sets its time."""
    journal, kept = path / "index.jsonl", path.with_name("kept")

    def changed(number: int) -> None:
        with sessionstore.open(path) as store:
            store.get("run 4").update(lambda record: record["metadata"].update(n=number))
            store.rebuild()

    changed(1)
    column_files(path)
    status, before = journal.stat(), journal.read_bytes()
    kept.hardlink_to(journal)
    changed(3)
    after = journal.read_bytes()
    assert len(after) == len(before) and after != before
    with tally(T10) as count:
        with kept.open("r+b") as file:
            file.write(after)
        os.utime(kept, ns=(status.st_atime_ns, status.st_mtime_ns))
        kept.replace(journal)
        assert (journal.stat().st_ino, journal.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
        count(inputs=1)
        count.wrong += judged(path)


def test_columns_copied_between_stores_and_stores_that_change_places_are_kept_apart(path: Path, scratch: Path) -> None:
    other = made(scratch / "other", COUNT, first=100)
    with tally(T10) as count:
        mine, theirs = column_files(path), column_files(other)
        for source, target in [*zip(theirs, mine, strict=False), *zip(mine, theirs, strict=False)]:
            shutil.copy2(source, target)
            count(inputs=1)
        count.wrong += judged(path) + judged(other)
        column_files(path), column_files(other)
        for one, two in ((path, scratch / "aside"), (other, path), (scratch / "aside", other)):
            one.rename(two)
        count(inputs=2)
        count.wrong += judged(path) + judged(other)
        copied = copy_tree(path, scratch / "copied")
        with sessionstore.open(path) as store:
            store.update("run 103", notes="changed in one of them")
        count(inputs=1)
        count.wrong += judged(copied) + judged(path)


# ---------------------------------------------------------------- hands

HANDS: dict[str, Callable[[Path], object]] = {
    "the folder is a file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
    "the folder is a link": lambda folder: (folder.rename(folder.with_name("x")), folder.symlink_to("x")),
    "the folder is a link to nothing": lambda folder: (shutil.rmtree(folder), folder.symlink_to("nowhere")),
    "the folder is a FIFO": lambda folder: (shutil.rmtree(folder), os.mkfifo(folder)),
    "the files are folders": lambda folder: [(each.unlink(), each.mkdir()) for each in list(folder.iterdir())],
    "the files are full folders": lambda folder: [
        (each.unlink(), each.mkdir(), (each / "x").touch()) for each in list(folder.iterdir())
    ],
    "the files are FIFOs": lambda folder: [(each.unlink(), os.mkfifo(each)) for each in list(folder.iterdir())],
    "the files are links to themselves": lambda folder: [
        (each.unlink(), each.symlink_to(each.name)) for each in list(folder.iterdir())
    ],
    "other files stand beside": lambda folder: [(folder / f"{name}-heads.columns").touch() for name in ("", "x", "é")],
    "all is removed": lambda folder: shutil.rmtree(folder),
}


@pytest.mark.parametrize("what", HANDS)
def test_hands_in_the_folder_of_columns_change_no_answer(what: str, path: Path) -> None:
    with tally(T10) as count:
        column_files(path)
        with sessionstore.open(path) as store:
            assert differences(store) == []
            HANDS[what](path / ".sessionstore" / "columns")
            count(inputs=1)
            count.wrong += differences(store)
            store.create("another", metadata={"n": 3, "site": "east"})
            count.wrong += differences(store)
        count.wrong += judged(path) + judged(path)


@pytest.mark.parametrize("instant", ["1e300", "-1e300", "1e12", "-5", "0.5", "NaN", "null", '"x"', "[]"])
def test_an_instant_of_comparing_that_no_clock_has_ends_no_listing(
    instant: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    column_files(path)
    note = path / ".sessionstore" / "columns" / "agreement.json"
    fields = json.loads(note.read_bytes())
    note.write_text(json.dumps(fields | {"compared_at": 0}).replace('"compared_at": 0', f'"compared_at": {instant}'))
    main(["list", "--dir", str(path), "-n", "5"])
    assert "run-11" in capsys.readouterr().out
    assert judged(path) == []


# ---------------------------------------------------------------- processes


def _ask_until(path: Path, stop: Path) -> None:
    """Ask pages until told to stop; exit 0 only when each answer was right."""
    asked = 0
    while not stop.exists():
        with sessionstore.open(path) as store:
            for _ in range(5):
                if wrong := differences(store):
                    print(wrong, file=sys.stderr)
                    os._exit(3)
                asked += 1
        if asked > 5:
            stop.with_suffix(f".asked-{os.getpid()}").touch()
    os._exit(0 if asked > 5 else 4)


def run_beside(
    path: Path, processes: int, deed: Callable[[], None], target: Callable[..., None] = _ask_until
) -> list[int]:
    """Let processes ask while something is done to the files; return how they ended."""
    stop = path.with_suffix(".stop")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=target, args=(path, stop)) for _ in range(processes)]
    for child in children:
        child.start()
    try:
        deed()
    finally:
        stop.touch()
    for child in children:
        child.join(60)
        if child.is_alive():
            child.kill()
    return [child.exitcode if child.exitcode is not None else 99 for child in children]


def shorten_and_spoil(path: Path, seconds: float, readers: int) -> int:
    """Shorten, lengthen, replace and remove column files, again and again; return how often.

    It takes longer on a machine on which the readers have not asked by then.
    """
    rng, done, begun = random.Random(3), 0, time.monotonic()
    folder = path / ".sessionstore" / "columns"

    def is_enough() -> bool:
        asked = len(list(path.parent.glob(f"{path.stem}.asked-*")))
        return time.monotonic() > begun + (seconds if asked == readers and done > 20 else 90)

    while not is_enough():
        for file in sorted(folder.iterdir()) if folder.exists() else ():
            try:
                whole = file.read_bytes()
                kind = rng.randrange(4)
                if kind == 0:
                    os.truncate(file, rng.randrange(len(whole) + 1))
                elif kind == 1:
                    file.unlink()
                elif kind == 2:
                    with file.open("r+b") as opened:
                        opened.seek(rng.randrange(len(whole) + 1))
                        opened.write(rng.randbytes(20))
                else:
                    os.truncate(file, len(whole) + 5000)
                done += 1
            except (OSError, ValueError):  # it is being replaced
                continue
        time.sleep(0.005)
    return done


@FORK
@pytest.mark.slow
def test_files_that_are_shortened_while_processes_read_them_end_none_and_change_no_answer(
    path: Path,
) -> None:
    with tally(T10) as count:
        done: list[int] = []
        column_files(path)
        ended = run_beside(path, 3, lambda: done.append(shorten_and_spoil(path, 3.0, 3)))
        count(inputs=done[0])
        count.wrong += [] if ended == [0, 0, 0] else [f"the readers ended with {ended}"]
    assert done[0] > 20


def _ask_a_map(path: Path, stop: Path) -> None:
    """Read the heads of a store through a map of the file, as the columns did once."""
    faulthandler.disable()  # its end is what is wanted
    found = columns.heads_file(path / "index.jsonl", path / ".sessionstore" / "columns")
    with found.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        (path / "mapped").touch()
        end = time.monotonic() + 50
        while time.monotonic() < end:  # and not only until it is stopped: it may be served late
            view[-1]
    os._exit(0)


@FORK
def test_a_file_that_is_mapped_and_shortened_ends_the_process_and_the_proof_sees_it(path: Path) -> None:
    def shorten() -> None:
        while not (path / "mapped").exists():
            time.sleep(0.005)
        for file in column_files(path):
            os.truncate(file, 0)

    with tally(CONTROLS) as count:
        count(controls=1)
        column_files(path)
        ended = run_beside(path, 1, shorten, _ask_a_map)
        count.wrong += [] if ended == [-signal.SIGBUS] else [f"the process ended with {ended}"]


def _first_page(path: Path, stop: Path) -> None:
    while not stop.exists():
        pass
    with sessionstore.open(path) as store:
        wrong = differences(store)
    print(wrong, file=sys.stderr) if wrong else None
    os._exit(3 if wrong else 0)


@FORK
@pytest.mark.slow
def test_processes_that_make_the_columns_at_once_have_the_same_answers_and_leave_whole_files(path: Path) -> None:
    with tally(T10) as count:
        for _ in range(8):
            shutil.rmtree(path / ".sessionstore" / "columns", ignore_errors=True)
            ended = run_beside(path, 6, lambda: time.sleep(0.1), _first_page)
            path.with_suffix(".stop").unlink()
            count(processes=6)
            count.wrong += [] if ended == [0] * 6 else [f"the processes ended with {ended}"]
            folder = path / ".sessionstore" / "columns"
            count.wrong += [f"{each.name} is left" for each in folder.iterdir() if each.name.startswith(".tmp")]
            heads.Heads(column_file.ColumnFile.opened(columns.heads_file(path / "index.jsonl", folder)))
            count.wrong += judged(path)


# ---------------------------------------------------------------- places where they cannot be written


def test_a_full_disk_and_a_read_only_one_change_no_answer(path: Path, scratch: Path) -> None:
    need_root()
    with tally(T10) as count, tmpfs(scratch / "small", "size=1m") as small:
        store = copy_tree(path, small / "store")
        shutil.rmtree(store / ".sessionstore" / "columns", ignore_errors=True)
        fill(small)
        count(inputs=1)
        count.wrong += [f"full: {each}" for each in judged(store)]
        (small / "ballast").unlink()
        column_files(store)
        for keeping in (True, False):
            if not keeping:
                shutil.rmtree(store / ".sessionstore" / "columns")
            subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
            count(inputs=1)
            count.wrong += [f"read-only, columns {keeping}: {each}" for each in judged(store)]
            subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
        count.wrong += judged(store)


def test_on_a_network_file_system_no_columns_are_written_and_old_ones_give_no_wrong_answer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    column_files(path)
    with sessionstore.open(path) as store:
        store.get("run 2").update(lambda record: record["metadata"].update(n=4))
    monkeypatch.setattr(filesystem, "_of_device", lambda device, place: filesystem.FileSystem("nfs4", "/", False))
    before = {each.name: each.read_bytes() for each in (path / ".sessionstore" / "columns").iterdir()}
    with tally(T10) as count:
        count(inputs=2)
        count.wrong += judged(path)
        shutil.copytree(path / next(iter(folders(path))), path / "202611231430-copied")
        document = path / "202611231430-copied" / "session.json"
        document.write_text(document.read_text().replace('"run 11"', '"copied"'))
        with sessionstore.open(path) as store, pytest.raises(SessionStoreError):
            store.create("refused")
        for each in (path / ".sessionstore" / "columns").iterdir():
            if each.suffix == ".columns" and each.read_bytes() != before.get(each.name):
                count.wrong.append(f"{each.name} was written")


# ---------------------------------------------------------------- a checker that cannot fail proves nothing


def _checks_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_file, "crc32", lambda *_: 0)


def test_a_block_that_is_not_checked_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _checks_no_block(monkeypatch)
    monkeypatch.setattr(sys.modules[__name__], "PROOF", "ci")  # one byte in 61 is enough
    monkeypatch.delenv("PROOF_FIGURES", raising=False)
    with pytest.raises(AssertionError):
        test_every_damage_of_every_column_file_leaves_every_answer_as_it_is(path)
    monkeypatch.undo()
    with tally(CONTROLS) as count:
        count(controls=1)
