"""Other libraries as contestants: each as its own documentation uses it, and only those that are installed.

What a peer cannot do raises NotImplementedError, and it is left out of that case. Calls go through ``Any``, since most
bring no types.
Not here: the limit (limit), what is run (workloads).
"""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sessionstore.bench.systems import System, session_of


class Sqlite(System):
    """sqlite3 in WAL mode with synchronous=NORMAL: safe, but a power cut may take the last commits."""

    durable = False
    synchronous = "NORMAL"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.db = self._open()
        self.db.execute("CREATE TABLE IF NOT EXISTS s (id TEXT PRIMARY KEY, created TEXT, status TEXT, doc TEXT)")
        self.db.execute("CREATE TABLE IF NOT EXISTS log (doc TEXT)")

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.folder / "s.db", timeout=30, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={self.synchronous}")
        return db

    @staticmethod
    def _row(number: int) -> tuple[str, str, str, str]:
        record = session_of(number)
        key = f"{record['session_id']}-{os.getpid()}"
        return key, record["created_at"], record["status"], json.dumps(record)

    def fill(self, count: int) -> None:
        rows = [self._row(number) for number in range(count)]
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO s VALUES (?,?,?,?)", rows)
        self.db.execute("COMMIT")
        self.keys += [row[0] for row in rows]

    def create(self, number: int) -> None:
        row = self._row(number)
        self.db.execute("INSERT OR REPLACE INTO s VALUES (?,?,?,?)", row)
        self.keys.append(row[0])

    def change(self, number: int, **changes: Any) -> None:
        key = self.keys[number % len(self.keys)]
        self._change(key, lambda record: record.update(changes))

    def _change(self, key: Any, edit: Any) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        record = json.loads(self.db.execute("SELECT doc FROM s WHERE id=?", (key,)).fetchone()[0])
        edit(record)
        self.db.execute("UPDATE s SET status=?, doc=? WHERE id=?", (record["status"], json.dumps(record), key))
        self.db.execute("COMMIT")

    def count_up(self, key: Any) -> None:
        self._change(key, lambda record: record["metadata"].update(count=record["metadata"].get("count", 0) + 1))

    def counted(self, key: Any) -> int:
        text = self.db.execute("SELECT doc FROM s WHERE id=?", (key,)).fetchone()[0]
        return int(json.loads(text)["metadata"].get("count", 0))

    def append(self, record: dict[str, Any]) -> None:
        self.db.execute("INSERT INTO log VALUES (?)", (json.dumps(record),))

    def append_many(self, records: list[dict[str, Any]]) -> None:
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO log VALUES (?)", [(json.dumps(record),) for record in records])
        self.db.execute("COMMIT")

    def list_cold(self) -> int:
        return len(self._open().execute("SELECT id, created, status FROM s ORDER BY created").fetchall())

    def filter_cold(self) -> int:
        found = self._open().execute("SELECT id FROM s WHERE json_extract(doc, '$.metadata.num_drones')=5")
        return len(found.fetchall())

    def get(self, number: int) -> None:
        key = self.keys[number % len(self.keys)]
        assert self._open().execute("SELECT doc FROM s WHERE id=?", (key,)).fetchone()

    def close(self) -> None:
        self.db.close()


class SqliteFull(Sqlite):
    """sqlite3 in WAL mode with synchronous=FULL."""

    durable = True
    synchronous = "FULL"


class TinyDB(System):
    """TinyDB with its default storage: one JSON file, rewritten by every operation, not durable."""

    most = 10_000
    durable = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.db = self._open()
        self.log: Any = self.db.table("log")

    def _open(self) -> Any:
        return import_module("tinydb").TinyDB(self.folder / "db.json")

    def fill(self, count: int) -> None:
        self.keys += self.db.insert_multiple(session_of(number) for number in range(count))

    def create(self, number: int) -> None:
        self.keys.append(self.db.insert(session_of(number)))

    def change(self, number: int, **changes: Any) -> None:
        self.db.update(changes, doc_ids=[self.keys[number % len(self.keys)]])

    def count_up(self, key: Any) -> None:
        def add(record: dict[str, Any]) -> None:
            record["metadata"]["count"] = record["metadata"].get("count", 0) + 1

        self.db.update(add, doc_ids=[key])

    def counted(self, key: Any) -> int:
        return int(self._open().get(doc_id=key)["metadata"].get("count", 0))

    def append(self, record: dict[str, Any]) -> None:
        self.log.insert(record)

    def append_many(self, records: list[dict[str, Any]]) -> None:
        self.log.insert_multiple(records)

    def list_cold(self) -> int:
        return len(sorted(self._open().all(), key=lambda record: str(record["created_at"])))

    def filter_cold(self) -> int:
        where = import_module("tinydb").where
        return len(self._open().search(where("metadata")["num_drones"] == 5))

    def get(self, number: int) -> None:
        assert self._open().get(doc_id=self.keys[number % len(self.keys)])

    def close(self) -> None:
        self.db.close()


class Signac(System):
    """signac: a folder a job, the record in its job document; not durable."""

    most = 10_000
    durable = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.project = import_module("signac").init_project(str(folder))
        self._log = self.project.open_job({"log": True}).init()

    def _open(self) -> Any:
        return import_module("signac").get_project(str(self.folder))

    def create(self, number: int) -> None:
        job = self.project.open_job({"number": number, "pid": os.getpid()}).init()
        job.document.update(session_of(number))
        self.keys.append(job.id)

    def change(self, number: int, **changes: Any) -> None:
        self.project.open_job(id=self.keys[number % len(self.keys)]).document.update(changes)

    def count_up(self, key: Any) -> None:
        document = self.project.open_job(id=key).document
        document["count"] = document.get("count", 0) + 1

    def counted(self, key: Any) -> int:
        return int(self._open().open_job(id=key).document.get("count", 0))

    def append(self, record: dict[str, Any]) -> None:
        entries = self._log.document.setdefault("log", [])
        entries.append(record)

    def append_many(self, records: list[dict[str, Any]]) -> None:
        self._log.document.setdefault("log", []).extend(records)

    def list_cold(self) -> int:
        heads = [(str(job.document.get("created_at")), job.document.get("status")) for job in self._open()]
        return len(sorted(heads))

    def filter_cold(self) -> int:
        return len(self._open().find_jobs({"doc.metadata.num_drones": 5}))

    def get(self, number: int) -> None:
        assert self._open().open_job(id=self.keys[number % len(self.keys)]).document()


class Sacred(System):
    """Sacred's FileStorageObserver: a folder a run; not durable."""

    most = 1_000
    durable = False

    def _observer(self) -> Any:
        return import_module("sacred.observers").FileStorageObserver(str(self.folder))

    def create(self, number: int) -> None:
        record = session_of(number)
        observer = self._observer()
        experiment = {"name": "flight", "base_dir": str(self.folder), "sources": [], "dependencies": []}
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        observer.started_event(
            experiment, "run", {"hostname": "bench"}, now, record["metadata"], {"record": record}, None
        )
        self.keys.append(observer)

    def change(self, number: int, **changes: Any) -> None:
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.keys[number % len(self.keys)].heartbeat_event(changes, "", now, None)

    def _runs(self) -> list[Any]:
        return [json.loads(path.read_bytes()) for path in self.folder.glob("[0-9]*/run.json")]

    def list_cold(self) -> int:
        return len(sorted(run["start_time"] for run in self._runs()))

    def filter_cold(self) -> int:
        return sum(run["meta"]["record"]["metadata"]["num_drones"] == 5 for run in self._runs())

    def get(self, number: int) -> None:
        assert json.loads(Path(self.keys[number % len(self.keys)].dir, "run.json").read_bytes())


class MLflow(System):
    """MLflow on SQLite: its file store is deprecated."""

    most = 100

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import_module("logging").getLogger("alembic").setLevel("WARNING")
        self.client = self._open()
        self._experiment = self.client.create_experiment(f"bench-{os.urandom(4).hex()}", str(folder / "artifacts"))

    def _open(self) -> Any:
        return import_module("mlflow").MlflowClient(f"sqlite:///{self.folder}/mlflow.db")

    def create(self, number: int) -> None:
        record = session_of(number)
        tags = {key: json.dumps(value) for key, value in record.items()}
        tags["num_drones"] = str(record["metadata"]["num_drones"])
        self.keys.append(self.client.create_run(self._experiment, tags=tags).info.run_id)

    def change(self, number: int, **changes: Any) -> None:
        for key, value in changes.items():
            self.client.set_tag(self.keys[number % len(self.keys)], key, json.dumps(value))

    def append(self, record: dict[str, Any]) -> None:
        if not self.keys:
            self.create(0)
        self.client.log_metric(self.keys[0], "y", record["data"]["y"])

    def list_cold(self) -> int:
        return len(self._open().search_runs([self._experiment], max_results=50_000))

    def filter_cold(self) -> int:
        return len(self._open().search_runs([self._experiment], "tags.num_drones = '5'", max_results=50_000))

    def get(self, number: int) -> None:
        assert self._open().get_run(self.keys[number % len(self.keys)])


class DiskCache(System):
    """diskcache: a dictionary in SQLite, synchronous=NORMAL."""

    most = 10_000
    durable = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cache = self._open()

    def _open(self) -> Any:
        return import_module("diskcache").Cache(str(self.folder))

    def create(self, number: int) -> None:
        key = f"{number}-{os.getpid()}"
        self.cache[key] = session_of(number)
        self.keys.append(key)

    def change(self, number: int, **changes: Any) -> None:
        key = self.keys[number % len(self.keys)]
        with self.cache.transact():
            self.cache[key] = {**self.cache[key], **changes}

    def count_up(self, key: Any) -> None:
        with self.cache.transact():
            record = self.cache[key]
            record["metadata"]["count"] = record["metadata"].get("count", 0) + 1
            self.cache[key] = record

    def counted(self, key: Any) -> int:
        return int(self._open()[key]["metadata"].get("count", 0))

    def append(self, record: dict[str, Any]) -> None:
        self.cache.push(record, prefix="log")

    def list_cold(self) -> int:
        cache = self._open()
        return len(sorted(str(cache[key]["created_at"]) for key in cache))

    def filter_cold(self) -> int:
        cache = self._open()
        return sum(cache[key]["metadata"]["num_drones"] == 5 for key in cache)

    def get(self, number: int) -> None:
        assert self._open()[self.keys[number % len(self.keys)]]

    def close(self) -> None:
        self.cache.close()


class Trackio(System):
    """trackio: metrics and configurations in one SQLite file a project."""

    most = 100

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ.setdefault("TRACKIO_DIR", str(folder))
        self.storage = import_module("trackio.sqlite_storage").SQLiteStorage
        self._project = f"bench-{os.urandom(4).hex()}"

    def create(self, number: int) -> None:
        key = f"flight-{number}-{os.getpid()}"
        self.storage.bulk_log(self._project, key, [{"status": "created"}], config=session_of(number))
        self.keys.append(key)

    def change(self, number: int, **changes: Any) -> None:
        self.storage.bulk_log(self._project, self.keys[number % len(self.keys)], [changes])

    def append(self, record: dict[str, Any]) -> None:
        self.append_many([record])

    def append_many(self, records: list[dict[str, Any]]) -> None:
        self.storage.bulk_log(self._project, "log", records)

    def list_cold(self) -> int:
        return len(self.storage.get_all_run_configs(self._project))

    def filter_cold(self) -> int:
        configs = self.storage.get_all_run_configs(self._project)
        return sum((config or {}).get("metadata", {}).get("num_drones") == 5 for config in configs.values())

    def get(self, number: int) -> None:
        assert self.storage.get_run_config(self._project, self.keys[number % len(self.keys)])


#: Name in the tables, the module that must be installed, the contestant.
PEERS: dict[str, tuple[str, type[System]]] = {
    "sqlite3 NORMAL": ("sqlite3", Sqlite),
    "sqlite3 FULL": ("sqlite3", SqliteFull),
    "tinydb": ("tinydb", TinyDB),
    "signac": ("signac", Signac),
    "sacred": ("sacred", Sacred),
    "mlflow sqlite": ("mlflow", MLflow),
    "diskcache": ("diskcache", DiskCache),
    "trackio": ("trackio", Trackio),
}


def installed() -> dict[str, type[System]]:
    """Return the contestants whose library is there."""
    return {name: made for name, (module, made) in PEERS.items() if find_spec(module) is not None}
