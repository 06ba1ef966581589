"""A small file or folder of each format that can be imported, and copies of it that are cut or damaged."""

from __future__ import annotations

import random
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sessionstore
from tests.conftest import DATA
from tests.formats.autopilot_logs import write_bin, write_tlog
from tests.formats.bags import write_pose_bag
from tests.old_folders import FIXTURES as OLD

TRACKERS = Path(__file__).parents[2] / "fixtures" / "trackers"
#: What damage often is, in texts and in binary files.
_PIECES = (
    b"\0", b"\xff" * 4, b"\n", b'"', b",", b";", b"{", b"]", b"nan", b"1e308", b"-1", b"9" * 25, b"\xef\xbb\xbf", b"\r",
    b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"null", b"1790000000", b"\xc3\x28", b"../../x", b"2026-13-45T99:00:00",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """What is imported, and the files of it that are damaged."""

    format: str
    path: Path
    files: tuple[Path, ...]


def _rows(count: int = 60) -> list[str]:
    return [f"{n / 10},d{n % 2},{n},{n / 3:.4f},5.0,{1 - n / 100}" for n in range(count)]


def _csv(folder: Path) -> Path:
    path = folder / "flight.csv"
    path.write_text("time,drone,x,y,z,battery\n" + "\n".join(_rows()) + "\n")
    return path


def _jsonl(folder: Path) -> Path:
    path = folder / "flight.jsonl"
    lines = [f'{{"t":{n / 10},"drone":"d","position":[{n},0.5,5],"wind":{{"speed":{n}}}}}' for n in range(60)]
    path.write_text("\n".join(lines) + "\n")
    return path


def _parquet(folder: Path) -> Path:
    pytest.importorskip("pyarrow")
    import pyarrow.csv
    import pyarrow.parquet as pq

    path = folder / "flight.parquet"
    pq.write_table(pyarrow.csv.read_csv(_csv(folder)), path, row_group_size=20)
    return path


def _ulog(folder: Path) -> Path:
    pytest.importorskip("pyulog")
    path = folder / "flight.ulg"
    path.write_bytes((DATA / "px4_flight_small.ulg").read_bytes()[:150_000])
    return path


def _mcap(folder: Path) -> Path:
    pytest.importorskip("mcap")
    pytest.importorskip("foxglove")
    (folder / "store").mkdir()
    with sessionstore.open(folder / "store") as store:
        with store.record("fly", gps={"lat": 52.0, "lon": 4.3, "alt": 1.5}) as session:
            for n in range(50):
                session.motion.append("d", n / 10, (n, 1, 5))
            session.log("wind", t_s=3.0)
        return Path(store.get("fly").export(folder / "flight.mcap", "mcap"))


def _bag(folder: Path) -> Path:
    write_pose_bag(folder / "bag")
    return folder / "bag"


def _dataflash(folder: Path) -> Path:
    pytest.importorskip("pymavlink")
    write_bin(folder / "flight.bin", 3.0)
    return folder / "flight.bin"


def _tlog(folder: Path) -> Path:
    pytest.importorskip("pymavlink")
    write_tlog(folder / "flight.tlog", 3.0)
    return folder / "flight.tlog"


def _legacy(folder: Path) -> Path:
    return Path(shutil.copytree(OLD / "good", folder / "202512131946-Old"))


def _packed(name: str, inside: str) -> Callable[[Path], Path]:
    def unpack(folder: Path) -> Path:
        with tarfile.open(TRACKERS / f"{name}.tar.xz") as packed:
            packed.extractall(folder, filter="data")
        return folder / inside

    return unpack


def _mlflow_run(folder: Path) -> Path:
    pytest.importorskip("yaml")
    store = _packed("mlflow-2.22-folders", "mlruns")(folder)
    (meta,) = [path for path in store.glob("*/*/meta.yaml") if "run_name: child-5-0" in path.read_text()]
    return meta.parent


def _mlflow_database(folder: Path) -> Path:
    """The 3.x database with four of its runs."""
    import contextlib
    import sqlite3

    path = _packed("mlflow-3.17-sqlite", "mlflow.db")(folder)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as opened:
        kept = "SELECT run_uuid FROM runs ORDER BY start_time LIMIT 4"
        for table in ("metrics", "latest_metrics", "params", "tags"):
            opened.execute(f"DELETE FROM {table} WHERE run_uuid NOT IN ({kept})")
        opened.execute(f"DELETE FROM runs WHERE run_uuid NOT IN ({kept})")
        tables = {"runs", "metrics", "params", "tags", "experiments", "inputs", "datasets"}
        for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if name not in tables and not name.startswith("sqlite_"):
                opened.execute(f"DROP TABLE {name}")
        opened.execute("VACUUM")
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "ulog": _ulog, "mcap": _mcap, "rosbag": _bag,
    "dataflash": _dataflash, "tlog": _tlog, "legacy": _legacy,
    "mlflow folders": _mlflow_run, "mlflow database": _mlflow_database,
    "signac": _packed("signac-2.4-sacred-0.8", "project"), "sacred": _packed("signac-2.4-sacred-0.8", "runs"),
}  # fmt: skip


def sample(name: str, folder: Path) -> Sample:
    """Make the sample of a format; skip without its library."""
    folder.mkdir()
    path = MAKERS[name](folder)
    inside = tuple(sorted(each for each in path.rglob("*") if each.is_file())) if path.is_dir() else (path,)
    return Sample(name.partition(" ")[0], path, inside)


def cut(data: bytes, parts: int) -> Iterator[bytes]:
    """Yield the beginnings of a file, a part longer each time."""
    for part in range(parts):
        yield data[: len(data) * part // parts]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a file with bytes changed, pieces put in, stretches removed, repeated or exchanged."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8, 20))):
        place = chance.randrange(len(changed) + 1)
        length = min(chance.choice((1, 2, 4, 16, 200)), len(changed) - place)
        kind = chance.randrange(5)
        if kind == 0 and length:
            changed[place] = chance.randrange(256)
        elif kind == 1:
            piece = chance.choice(_PIECES)
            changed[place : place + chance.choice((0, len(piece)))] = piece
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = changed[place : place + length]
        elif length:
            other = chance.randrange(len(changed))
            changed[place : place + length] = changed[other : other + length]
    return bytes(changed)
