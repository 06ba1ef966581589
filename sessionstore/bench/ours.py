"""Our own engines and sync modes as contestants: nothing but the public face of the package.

Not here: how stores are filled (generate), the other contestants (limit, peers).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import sessionstore
from sessionstore.bench import generate
from sessionstore.bench.systems import System, metadata_of
from sessionstore.session import stream_names
from sessionstore.session.stream_writer import StreamWriter


class Ours(System):
    """A store with the default index, durable."""

    index = "journal:"
    sync: Literal["full", "os"] = "full"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = self._open()
        self._log: StreamWriter | None = None

    def _open(self) -> sessionstore.SessionStore:
        return sessionstore.open(self.folder, self.index, sync=self.sync)

    def fill(self, count: int) -> None:
        self.keys += generate.fill_store(self.folder, count, self.index)
        self.store.find(limit=1)

    def create(self, number: int) -> None:
        session = self.store.create(f"Flight {number}", metadata=metadata_of(number), num_buildings=number % 5)
        self.keys.append(session.session_id)

    def create_many(self) -> int:
        """Make a thousand sessions in one batch; return their number."""
        numbers = range(len(self.keys), len(self.keys) + 1000)
        made = self.store.create_many(
            {"name": f"Flight {number}", "metadata": metadata_of(number), "num_buildings": number % 5}
            for number in numbers
        )
        self.keys += [session.session_id for session in made]
        return len(made)

    def change(self, number: int, **changes: Any) -> None:
        self.store.get(self.keys[number % len(self.keys)]).update(**changes)

    def count_up(self, key: Any) -> None:
        def add(record: dict[str, Any]) -> None:
            record["metadata"]["count"] = record["metadata"].get("count", 0) + 1

        self.store.get(key).update(add)

    def counted(self, key: Any) -> int:
        return int(self.store.get(key).record.metadata.get("count", 0))

    def append(self, record: dict[str, Any]) -> None:
        self._writer().append(record)

    def append_many(self, records: list[dict[str, Any]]) -> None:
        self._writer().extend(records)

    def _writer(self) -> StreamWriter:
        if self._log is None:
            self._log = self.store.create("log").writer(stream_names.COMMUNICATION, self.sync)
        return self._log

    def list_cold(self) -> int:
        with self._open() as store:
            return len(store.find())

    def filter_cold(self) -> int:
        with self._open() as store:
            return len(store.find("metadata.num_drones=5"))

    def get(self, number: int) -> None:
        with self._open() as store:
            assert store.get(self.keys[number % len(self.keys)]).record

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
        self.store.close()


class OursOS(Ours):
    """A store that leaves the disk to the system: what peers without fsync promise."""

    sync: Literal["full", "os"] = "os"
    durable = False


class OursSqlite(Ours):
    """A store with the SQLite index."""

    index = "sqlite:"
