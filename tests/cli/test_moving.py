"""``merge``, ``pack``, ``unpack`` and ``verify FILE`` as their user types them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

import sessionstore
from sessionstore.errors import Conflict, SessionNotFound
from sessionstore.store import SessionStore
from tests.cli.conftest import Result
from tests.exchange.test_merge import contents, flown

Run = Callable[..., Result]


@pytest.fixture
def there(tmp_path: Path) -> SessionStore:
    return sessionstore.open(tmp_path / "there")


def test_a_merge_of_two_sources_is_one_change_and_one_undo_takes_it_back(
    run: Run,
    store: SessionStore,
    there: SessionStore,
    tmp_path: Path,
) -> None:
    flown(there)
    other = sessionstore.open(tmp_path / "other")
    flown(other, "Moth")
    sources = (str(there.root.path), str(other.root.path))
    preview = run("merge", *sources, "--dry-run", "--json")
    assert [each["action"] for each in json.loads(preview.out)["outcomes"]] == ["copied", "copied"]
    assert store.find() == []
    done = run("merge", *sources)
    assert done.code == 0 and done.out.count("copied") == 3 and "sessionstore undo" in done.err
    assert len(store.find()) == 2
    assert run("undo").code == 0 and store.find() == []


def test_a_divergence_exits_with_12_and_names_both(
    run: Run,
    store: SessionStore,
    there: SessionStore,
) -> None:
    session = flown(there)
    store.merge(there.root.path)
    session.update(notes="there")
    store.get("Butterfly").update(notes="here")
    done = run("merge", str(there.root.path))
    (copy,) = store.find(f'merged_from="{session.session_id}"')
    assert done.code == 12 and "diverged" in done.out and copy.session_id in done.out
    shown = run("show", copy.session_id)
    assert "merged from" in shown.out and session.record.uuid in shown.out
    assert "merged_from" in run("show", copy.session_id, "--json").out


@pytest.mark.parametrize("name", ["fleet.zip", "fleet.tar.zst", "fleet"])
def test_pack_verify_unpack(run: Run, store: SessionStore, there: SessionStore, tmp_path: Path, name: str) -> None:
    flown(store)
    flown(store, "Moth")
    path = tmp_path / name
    would = run("pack", "--where", "name=Moth", "-o", str(path), "--dry-run", "--json")
    assert would.code == 0 and json.loads(would.out)["dry_run"] and not path.exists()
    packed = run("pack", "--where", "name=Moth", "-o", str(path), "--json")
    assert json.loads(packed.out) == json.loads(would.out) | {"dry_run": False}
    assert packed.code == 0 and len(json.loads(packed.out)["sessions"]) == 1
    for more in ((), ("--dry-run",)):
        again = run("pack", "Moth", "-o", str(path), *more)
        assert again.code == 5 and "not changed" in again.err
    verified = run("verify", str(path), "--json")
    assert verified.code == 0 and json.loads(verified.out)[0]["whole"]
    assert run("unpack", str(path), "--dir", str(there.root.path)).code == 0
    assert contents(there) == {key: files for key, files in contents(store).items() if "Moth" in key}


@pytest.mark.parametrize("name", ["fleet.zip", "fleet.tar.zst", "fleet"])
def test_a_bundle_with_a_wrong_byte_is_reported_and_not_taken(
    run: Run,
    store: SessionStore,
    there: SessionStore,
    tmp_path: Path,
    name: str,
) -> None:
    flown(store)
    path = tmp_path / name
    store.pack(path)
    target = next(path.rglob("motion_history.jsonl")) if path.is_dir() else path
    data = bytearray(target.read_bytes())
    place = data.find(b"scout-1") if b"scout-1" in data else len(data) // 2
    data[place] ^= 1
    target.write_bytes(data)
    result = run("verify", str(path))
    assert result.code == 12 and "damaged" in result.out
    assert run("unpack", str(path), "--dir", str(there.root.path)).code == 9
    assert not there.root.path.exists() or there.find() == []


@pytest.mark.parametrize("tag", ["bagit.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"])
@pytest.mark.parametrize("name", ["fleet.zip", "fleet.tar.zst"])
def test_a_bundle_that_lost_a_tag_is_damaged_not_one_without_checksums(
    run: Run, store: SessionStore, there: SessionStore, tmp_path: Path, name: str, tag: str
) -> None:
    flown(store)
    store.pack(tmp_path / "fleet")
    (tmp_path / "fleet" / tag).unlink()
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(each for each in (tmp_path / "fleet").rglob("*") if each.is_file()):
                archive.write(file, f"sessions/{file.relative_to(tmp_path / 'fleet')}")
    else:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            tar.add(tmp_path / "fleet", "sessions")
        path.write_bytes(zstandard.compress(plain.getvalue()))
    assert run("verify", str(path)).code == 12
    assert run("unpack", str(path), "--dir", str(there.root.path)).code == 9
    assert not there.root.path.exists() or there.find() == []


def test_the_export_of_one_session_is_a_bundle(
    run: Run, store: SessionStore, there: SessionStore, tmp_path: Path
) -> None:
    session = flown(store)
    (session.folder / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(session.folder / "pipe.json")
    with (session.folder / "motion_history.jsonl").open("ab") as stream:
        stream.write(b'{"n":3,"torn')
    run("export", "Butterfly", "--zip", "--to", str(tmp_path))
    path = tmp_path / f"{session.session_id}.zip"
    assert run("verify", str(path)).code == 0
    assert there.merge(path).count("copied") == 1
    copy = there.get("Butterfly").folder
    assert not (copy / "link.json").exists() and not (copy / "pipe.json").exists()
    assert (copy / "motion_history.jsonl").read_bytes().endswith(b"}\n")


def test_a_session_whose_record_is_damaged_is_packed_and_a_merge_leaves_it_out(
    store: SessionStore, there: SessionStore, tmp_path: Path
) -> None:
    session = flown(store)
    (session.folder / "session.json").write_text("{")
    assert store.pack(tmp_path / "broken.zip").sessions == [session.session_id]
    with zipfile.ZipFile(tmp_path / "broken.zip") as archive:
        assert archive.read(f"sessions/data/{session.session_id}/session.json") == b"{"
    (outcome,) = there.merge(tmp_path / "broken.zip").outcomes
    assert outcome.action == "skipped" and "Corrupt" in outcome.reason


def test_nothing_to_pack_and_a_taken_name_are_errors_and_nothing_is_left(store: SessionStore, tmp_path: Path) -> None:
    flown(store)
    with pytest.raises(SessionNotFound):
        store.pack(tmp_path / "none.zip", where="name=Moth")
    (tmp_path / "taken").mkdir()
    with pytest.raises(Conflict):
        store.pack(tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "taken"]


def test_a_bundle_needs_no_extra(store: SessionStore, tmp_path: Path) -> None:
    session_id = store.create("Packed").session_id
    without = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('starlette', 'uvicorn', 'apispec', 'anyio', 'fsspec', 'zstandard')))\n"
        "from sessionstore.cli import main; main(sys.argv[1:])"
    )
    for arguments in (
        ["export", "--zip", "Packed", "--dir", str(store.root.path), "--to", str(tmp_path / "out")],
        ["unpack", str(tmp_path / "out" / f"{session_id}.zip"), "--dir", str(tmp_path / "other")],
    ):
        done = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_dry_run_writes_nothing_and_a_missing_source_exits_3(
    run: Run, store: SessionStore, there: SessionStore, tmp_path: Path
) -> None:
    flown(there)
    new = tmp_path / "new"
    trial = run("merge", str(there.root.path), "--dir", str(new), "--dry-run")
    assert trial.code == 0 and "would be copied" in trial.out and not new.exists()
    assert run("merge", str(tmp_path / "mistyped")).code == 3
    done = run("merge", str(there.root.path))
    assert "sessionstore undo " in done.err and len(store.find()) == 1
    assert "1 the same" in run("merge", str(there.root.path)).out
