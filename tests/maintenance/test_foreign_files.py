"""Nothing is moved, emptied or quarantined because another program or a person touched it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sessionstore.cli import group
from sessionstore.errors import SessionStoreError
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.findings import Finding
from sessionstore.maintenance.repairs import quarantine
from sessionstore.maintenance.repairs.plan import repair
from sessionstore.model.foreign_names import conflict_of, is_foreign
from sessionstore.store import SessionStore


def recorded(store: SessionStore, name: str = "flight") -> Path:
    with store.record(name, metadata={"pilot": "Ada"}) as session:
        for step in range(20):
            session.motion.append("scout-1", t_s=step * 0.1, position_m=(step, 0, 5))
    return session.folder


def found(store: SessionStore) -> dict[str, Finding]:
    return {finding.code: finding for finding in examine(store.root.path).findings}


def fix(store: SessionStore) -> None:
    repair(examine(store.root.path).findings, store.root.path)


def doctor(store: SessionStore, *options: str) -> Result:
    return CliRunner().invoke(group, ["doctor", "--dir", str(store.root.path), *options])


def plain_files(folder: Path) -> dict[str, bytes]:
    own = (".sessionstore", "index.jsonl")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not str(path.relative_to(folder)).startswith(own)
    }


COPIES = {
    "session (Ada's conflicted copy 2026-11-23).json": "session.json",
    "session (conflicted copy 2026-11-23 143000).json": "session.json",
    "session_conflict-20261123-143000.json": "session.json",
    "session.sync-conflict-20261123-143000-ABCDEFG.json": "session.json",
    "session-DESKTOP-AB12CD3.json": "session.json",
    "session 2.json": "session.json",
    "motion_history (1).jsonl": "motion_history.jsonl",
    "motion_history.sync-conflict-20261123-143000-ABCDEFG.jsonl": "motion_history.jsonl",
}


@pytest.mark.parametrize("name", COPIES)
def test_a_conflict_copy_is_never_a_stream_never_touched_and_a_finding(store: SessionStore, name: str) -> None:
    folder = recorded(store)
    streams = set(store.get("flight").tapes())
    (folder / name).write_bytes((folder / COPIES[name]).read_bytes())
    before = plain_files(store.root.path)
    assert conflict_of(name) is not None and conflict_of(name)[0] == COPIES[name]  # type: ignore[index]
    assert "both are the same" in found(store)["conflict-copy"].what
    assert is_foreign(name) and set(store.get("flight").tapes()) == streams
    fix(store)
    assert plain_files(store.root.path) == before


@pytest.mark.parametrize("name", ["session.json", "motion_history.jsonl", "scout_2.jsonl", "a_conflict.jsonl"])
def test_a_name_of_ours_is_not_foreign(name: str) -> None:
    assert not is_foreign(name)


def test_a_conflict_copy_says_what_differs_and_either_can_be_taken(store: SessionStore) -> None:
    folder = recorded(store)
    document, copy = folder / "session.json", folder / "session 2.json"
    for side, pilot in (("ours", "Ada"), ("theirs", "Grace")):
        copy.write_text(document.read_text().replace("Ada", "Grace"))
        what = found(store)["conflict-copy"].what
        assert "metadata.pilot: 'Ada' (file), 'Grace' (copy)" in what
        result = doctor(store, "--take", side)
        assert result.exit_code == 0, result.output
        assert store.get("flight").record.metadata["pilot"] == pilot and not copy.exists()
    assert len(list(quarantine.pieces(store.root))) == 2


def test_a_copy_that_does_not_parse_is_not_taken(store: SessionStore) -> None:
    folder = recorded(store)
    (folder / "session 2.json").write_text("{")
    before = plain_files(store.root.path)
    assert doctor(store, "--take", "theirs").exit_code == 12
    assert plain_files(store.root.path) == before


def test_files_of_operating_systems_are_left_alone(store: SessionStore) -> None:
    folder = recorded(store)
    for name in ("._motion_history.jsonl", ".DS_Store", "Thumbs.db", "desktop.ini", "._session.json", "log.jsonl~"):
        (folder / name).write_bytes(b"\0\5\26\7 not ours")
    before = plain_files(store.root.path)
    assert examine(store.root.path).healthy
    assert "._motion_history" not in store.get("flight").tapes()
    fix(store)
    assert plain_files(store.root.path) == before


@pytest.mark.parametrize(
    "name", ["lost+found", "System Volume Information", "@eaDir", "$RECYCLE.BIN", "__MACOSX", "my notes", ".git"]
)
def test_a_folder_at_the_root_that_is_not_ours_is_never_moved(store: SessionStore, name: str) -> None:
    recorded(store)
    (store.root.path / name).mkdir()
    assert doctor(store, "--fix").exit_code == 0
    assert (store.root.path / name).is_dir()
    assert [row.session_name for row in store.find()] == ["flight"]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "CRLF"),
        (lambda data: b"\xef\xbb\xbf" + data, "byte order mark"),
        (lambda data: data[:-1], "last newline"),
    ],
    ids=["CRLF", "BOM", "no last newline"],
)
def test_foreign_line_ends_are_reported_and_only_they_are_rewritten(
    store: SessionStore, changed: Any, kind: str
) -> None:
    path = recorded(store) / "motion_history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(changed(whole))
    finding = found(store)["stream-line-ends"]
    assert kind in finding.what and path.read_bytes() == changed(whole)
    assert len(list(store.get("flight").tape("motion_history").read())) == 20
    result = doctor(store, "--fix")
    assert result.exit_code == 0 and "quarantine list" in result.output, result.output
    assert path.read_bytes() == whole
    (piece,) = quarantine.pieces(store.root)
    assert piece.path.read_bytes() == changed(whole)


def test_a_pointer_of_git_lfs_is_named_and_never_emptied(store: SessionStore) -> None:
    path = recorded(store) / "motion_history.jsonl"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
    path.write_bytes(pointer)
    assert "stream-pointer" in found(store)
    fix(store)
    assert path.read_bytes() == pointer


def test_an_edited_line_is_accepted_with_a_new_checksum(store: SessionStore) -> None:
    path = recorded(store) / "motion_history.jsonl"
    path.write_bytes(path.read_bytes().replace(b"[7.0,", b"[7.5,").replace(b"[7,", b"[7.5,"))
    assert "accept-edits" in found(store)["stream-edited"].repair(str(store.root.path))
    edited = path.read_bytes()
    fix(store)
    assert path.read_bytes() == edited  # not without being asked
    result = doctor(store, "--accept-edits")
    assert result.exit_code == 0, result.output
    assert "stream-edited" not in found(store)
    assert [line.data["position"][0] for line in store.get("flight").tape("motion_history").read()][7] == 7.5


def test_a_linked_a_hidden_a_nested_and_an_unportable_session_are_reported_with_a_command(
    store: SessionStore, tmp_path: Path
) -> None:
    folder = recorded(store)
    shutil.copytree(folder, tmp_path / "elsewhere")
    (store.root.path / "linked").symlink_to(tmp_path / "elsewhere")
    root = os.fsencode(store.root.path)
    for name in (b".hidden", b"two\nlines", b"not\xffutf8", b"202611231430-outer/inner", b"run:1", b"a?b", b"CON"):
        shutil.copytree(os.fsencode(folder), os.path.join(root, name))
    kinds: dict[str, list[Finding]] = {}
    for finding in examine(store.root.path).findings:
        kinds.setdefault(finding.code, []).append(finding)
    assert [len(kinds[f"folder-{kind}"]) for kind in ("link", "hidden", "nested", "not-portable")] == [1, 3, 1, 3]
    for code in ("folder-link", "folder-hidden", "folder-nested", "folder-not-portable"):
        for finding in kinds[code]:
            subprocess.run(["bash", "-c", finding.repair(str(store.root.path))], check=True)
    left = {finding.code for finding in examine(store.root.path).findings}
    assert not left & {"folder-link", "folder-hidden", "folder-nested", "folder-not-portable"}
    assert [row.session_name for row in store.find()].count("flight") == 9


def test_streams_that_some_system_cannot_store_are_reported_with_a_new_name(store: SessionStore) -> None:
    folder = recorded(store)
    for name in ("Loss", "loss", "con"):
        (folder / f"{name}.jsonl").write_text('{"v":1}\n')
    told = [each.what for each in examine(store.root.path).findings if each.code == "stream-not-portable"]
    assert len(told) == 2 and any("'con_2'" in what for what in told) and any("'loss_2'" in what for what in told)


def test_the_quarantine_gives_bytes_back_and_replaces_nothing(store: SessionStore) -> None:
    path = recorded(store) / "motion_history.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"n":20,"t')
    fix(store)
    arguments = ["quarantine", "list", "--json", "--dir", str(store.root.path)]
    (piece,) = json.loads(CliRunner().invoke(group, arguments).output)
    name = Path(piece["file"]).name
    restore = ["quarantine", "restore", name, "--dir", str(store.root.path)]
    assert CliRunner().invoke(group, restore).exit_code == 0
    assert path.with_name("motion_history.jsonl.restored").read_bytes() == b'{"n":20,"t'
    again = CliRunner().invoke(group, restore)
    assert isinstance(again.exception, SessionStoreError) and "exists" in str(again.exception)


@pytest.mark.parametrize("command", ["doctor", "doctor --fix", "verify", "training", "rebuild"])
@pytest.mark.parametrize("place", ["absent", "any"])
def test_a_path_without_a_store_is_an_error_and_stays_as_it_is(tmp_path: Path, command: str, place: str) -> None:
    (tmp_path / "any").mkdir()
    (tmp_path / "any" / "notes.txt").write_text("mine")
    before = sorted(map(str, tmp_path.rglob("*")))
    result = CliRunner().invoke(group, [*command.split(), "--dir", str(tmp_path / place)])
    assert isinstance(result.exception, SessionStoreError) and "store" in str(result.exception)
    assert sorted(map(str, tmp_path.rglob("*"))) == before
