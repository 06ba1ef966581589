"""Stores behind a URL and in a ZIP are read where they lie; a write is refused, and little is transferred."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

import sessionstore
from sessionstore import cli, errors
from sessionstore.disk import reading
from sessionstore.exchange.archives import ZipWriter
from sessionstore.exchange.bundle import write_bundle
from sessionstore.exchange.remote import zipped
from sessionstore.exchange.remote.blocks import BlockCache
from sessionstore.exchange.remote.faults import shown
from sessionstore.exchange.remote.store import RemoteStore
from sessionstore.exchange.trees import FolderTree
from sessionstore.store import SessionStore


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SESSIONSTORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def fleet(store: SessionStore) -> SessionStore:
    for number in range(3):
        with store.record(f"Flight {number}", metadata={"number": number}) as session:
            for step in range(20):
                session.motion.append("scout-1", t_s=step / 10, position_m=(step, number, 5))
            session.artifacts.put("plot.txt", f"plot {number}")
    return store


@pytest.fixture
def bundle(fleet: SessionStore, tmp_path: Path) -> Path:
    trees = [FolderTree(fleet.root.folder(row.session_id)) for row in fleet.find()]
    write_bundle(list(trees), tmp_path / "runs.zip")
    return tmp_path / "runs.zip"


@pytest.fixture
def memory(fleet: SessionStore) -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    for row in fleet.find():
        fs.put(str(fleet.root.folder(row.session_id)), f"/fleet/{row.session_id}", recursive=True)
    yield "memory://fleet"
    fs.rm("/fleet", recursive=True)


class _Ranges(SimpleHTTPRequestHandler):
    """Files with ranges, as every web server gives them; counts the bytes that it sends."""

    sent = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data, wanted = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        status, start, end = 200, 0, len(data)
        if wanted:
            status, start, end = 206, int(wanted[1]), int(wanted[2]) + 1 if wanted[2] else len(data)
        part = data[start:end]
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        self.end_headers()
        type(self).sent += len(part)
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(bundle: Path) -> Iterator[str]:
    _Ranges.sent = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *each: _Ranges(*each, directory=str(bundle.parent)))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/runs.zip"
    server.shutdown()
    thread.join()
    server.server_close()


def same_sessions(remote: SessionStore, fleet: SessionStore) -> None:
    """Everything that is read there equals what is read here."""
    assert [row.session_id for row in remote.find()] == [row.session_id for row in fleet.find()]
    assert [row.metadata for row in remote.find("metadata.number >= 1")] == [{"number": 2}, {"number": 1}]
    for row in fleet.find():
        there, here = remote.get(row.session_id), fleet.get(row.session_id)
        assert there.record == here.record and there.tables() == here.tables()
        assert {name: tape.count() for name, tape in there.tapes().items()} == {
            name: tape.count() for name, tape in here.tapes().items()
        }
        assert [line.data for line in there.tape("motion_history").in_time(0.5, 1.0)] == [
            line.data for line in here.tape("motion_history").in_time(0.5, 1.0)
        ]
        assert there.artifacts.read("plot.txt") == here.artifacts.read("plot.txt")


@pytest.mark.parametrize("kind", ["memory", "bundle", "web", "file"])
def test_a_store_elsewhere_reads_like_the_one_here(
    kind: str, fleet: SessionStore, request: pytest.FixtureRequest
) -> None:
    url = f"file://{fleet.root.path}" if kind == "file" else str(request.getfixturevalue(kind))
    with sessionstore.open(url) as remote:
        same_sessions(remote, fleet)
        assert remote.get("latest").session_id == fleet.get("latest").session_id
        folder = remote.root.path
    assert not folder.exists() and not [path for path in reading.elsewhere if path.startswith(str(folder))]


def test_a_write_to_a_store_elsewhere_is_refused(memory: str) -> None:
    with sessionstore.open(memory) as remote:
        session = remote.get("latest")
        for write in (
            lambda: remote.create("New"),
            lambda: remote.delete("latest"),
            lambda: remote.rebuild(),
            lambda: remote.start(session.session_id),
            lambda: remote.empty_trash(),
            lambda: remote.restore("x"),
            lambda: remote.edit("latest", notes="x"),
            lambda: session.update(notes="x"),
            lambda: session.writer("motion_history"),
            lambda: session.artifacts.put("a.txt", "a"),
            lambda: session.data.update(a=1),
            lambda: session.table("mine").insert({"a": 1}),
        ):
            with pytest.raises(errors.ReadOnlyStore):
                write()
        assert session.record.notes == "" or session.record.notes is None


def test_a_session_elsewhere_pickles_as_its_url(memory: str) -> None:
    with sessionstore.open(memory) as remote:
        session = remote.get("latest")
        copy = pickle.loads(pickle.dumps(session))
        assert copy == session
        copy._store.close()


def test_a_window_in_the_middle_of_a_long_stream_transfers_little(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create("Long")
    writer = session.writer("probe", "os")
    for t in range(1200):  # 100 records a moment, 10 s apart
        writer.extend([{"filler": "x" * 300}] * 100, t_s=t * 10.0)
    writer.close()
    size = session.tape("probe").size()
    assert size > 40_000_000
    read, fs = [0], fsspec.filesystem("file")
    plain = type(fs).cat_file

    def counted(self: object, *args: object, **options: object) -> bytes:
        data = plain(self, *args, **options)
        read[0] += len(data)
        return bytes(data)

    monkeypatch.setattr(type(fs), "cat_file", counted)
    with sessionstore.open(f"file://{store.root.path}") as remote:
        lines = list(remote.get("latest").tape("probe").in_time(6000.0, 6010.0))
    assert len(lines) == 200 and read[0] < 5_000_000
    before = read[0]
    with sessionstore.open(f"file://{store.root.path}") as remote:  # from the cache
        assert len(list(remote.get("latest").tape("probe").in_time(6000.0, 6010.0))) == 200
    assert read[0] - before < 100_000


def test_a_file_that_changes_while_it_is_read_is_noticed(memory: str) -> None:
    with sessionstore.open(memory) as remote:
        session = remote.get("latest")
        fsspec.filesystem("memory").pipe_file(f"/fleet/{session.session_id}/motion_history.jsonl", b"other\n")
        with pytest.raises(errors.RemoteUnavailable, match="changed while it was read"):
            list(session.tape("motion_history").read())


def test_what_is_not_there_has_its_error(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreNotFound):
        sessionstore.open(str(tmp_path / "none.zip"))
    with sessionstore.open("memory://nothing") as remote, pytest.raises(errors.StoreNotFound, match="memory://nothing"):
        remote.find()
    with pytest.raises(errors.RemoteUnavailable):
        sessionstore.open("nonsense://somewhere")
    (tmp_path / "bad.zip").write_bytes(b"PK not a zip")
    with pytest.raises(errors.Corrupt, match="not a readable ZIP"):
        sessionstore.open(str(tmp_path / "bad.zip"))


def test_a_password_in_a_url_is_not_shown() -> None:
    assert "secret" not in shown("sftp://me:secret@host/x") and "me" in shown("sftp://me:secret@host/x")
    assert shown("https://host/runs.zip?X-Amz-Signature=secret") == "https://host/runs.zip"
    with pytest.raises(errors.RemoteUnavailable) as caught:
        RemoteStore("http://me:secret@127.0.0.1:9/runs.zip")
    assert "secret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_the_cache_keeps_its_bound_and_notices_damage(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path / "blocks", limit_bytes=100_000)
    for number in range(50):
        cache.put(f"k{number}", bytes([number]) * 10_000)
    kept = [path for path in (tmp_path / "blocks").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) <= 130_000
    assert cache.get("k49") == bytes([49]) * 10_000
    for path in kept:
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert cache.get("k49") is None


@pytest.mark.parametrize("command", [["list", "--json"], ["show", "latest"], ["tail", "latest", "motion_history"]])
def test_commands_read_a_zip(command: list[str], bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--dir", str(bundle)])
        raise SystemExit(0)
    assert ended.value.code == 0 and capsys.readouterr().out


def test_a_command_that_writes_to_a_zip_exits_with_8(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["set", "latest", "--notes", "x", "--dir", str(bundle)])
    assert ended.value.code == 8 and capsys.readouterr().err.startswith("ReadOnlyStore")


@pytest.mark.slow
def test_a_zip_of_10000_sessions_is_listed_filtered_shown_and_followed_where_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading one session of it transfers its list of members and some blocks, not the sessions."""
    with sessionstore.open(tmp_path / "one") as one:
        with one.record("Run", metadata={"number": 0}) as session:
            for step in range(20):
                session.motion.append("scout-1", t_s=step / 10, position_m=(step, 0, 5))
        folder = one.root.folder(session.session_id)
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    writer = ZipWriter()
    with (tmp_path / "fleet.zip").open("wb") as archive:
        for number in range(10_000):
            name = f"202601010000-Run-{number:05}"
            record = files["session.json"].replace(session.session_id.encode(), name.encode())
            record = record.replace(b'"number": 0', f'"number": {number}'.encode())
            for file, data in {**files, "session.json": record}.items():
                writer.add(f"{name}/{file}", data)
            for part in writer.take():
                archive.write(part)
        writer.close()
        for part in writer.take(all_of_it=True):
            archive.write(part)
    size = (tmp_path / "fleet.zip").stat().st_size
    url = str(tmp_path / "fleet.zip")
    read, real = [0], zipped._local

    def counting(path: Path) -> tuple[zipped.ReadRange, zipped.FileFacts]:
        read_range, facts = real(path)

        def counted(start: int, end: int) -> bytes:
            read[0] += end - start
            return read_range(start, end)

        return counted, facts

    monkeypatch.setattr(zipped, "_local", counting)
    with sessionstore.open(url) as store:
        listing = read[0]
        assert store.get("202601010000-Run-05000").record.metadata == {"number": 5000}
        assert len(list(store.get("202601010000-Run-05000").tape("motion_history").read())) == 20
        assert listing < size / 10 and read[0] - listing < 2_000_000
        assert [row.session_id for row in store.find("metadata.number=7777")] == ["202601010000-Run-07777"]
        assert len(store.find()) == 10_000
    for command in (["show", "202601010000-Run-00042"], ["tail", "202601010000-Run-00042", "motion_history"]):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--dir", url])
            raise SystemExit(0)
        assert ended.value.code in (0, None) and capsys.readouterr().out
