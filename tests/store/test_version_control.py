"""A store in git: what is derived stays out, line ends stay, and reading changes no tracked file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

import sessionstore
from sessionstore.cli import group
from sessionstore.maintenance.doctor import examine
from sessionstore.store import SessionStore

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def tracked_store(store: SessionStore) -> Path:
    """Return the root of a store with one session, an edit, and all that git takes committed."""
    with store.record("flight") as session:
        session.motion.append("scout-1", t_s=0.1, position_m=(1, 0, 5))
    store.get("flight").update(notes="calm")
    root = store.root.path
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "a flight")
    return root


def test_only_sessions_settings_and_history_are_tracked(store: SessionStore) -> None:
    root = tracked_store(store)
    session_id = store.get("flight").session_id
    tracked = set(git(root, "ls-files").splitlines())
    at_top = {".gitattributes", ".gitignore", ".sessionstore/format.json"}
    assert {each for each in tracked if not each.startswith(session_id)} - {".sessionstore/history.jsonl"} == at_top
    assert f"{session_id}/session.json" in tracked


def test_reading_changes_no_tracked_file(store: SessionStore) -> None:
    root = tracked_store(store)
    for command in ("list", "show flight", "tail flight", "doctor", "verify", "history", "summary", "rebuild"):
        CliRunner().invoke(group, [*command.split(), "--dir", str(root)])
    with sessionstore.open(root) as again:
        list(again.get("flight").tape("motion_history").read())
    assert git(root, "status", "--porcelain") == ""


def test_a_clone_is_a_store_that_takes_records_and_keeps_its_line_ends(store: SessionStore, tmp_path: Path) -> None:
    root = tracked_store(store)
    subprocess.run(
        ["git", "-c", "core.autocrlf=true", "clone", "-q", str(root), str(tmp_path / "clone")],
        check=True,
        capture_output=True,
    )
    for path in store.get("flight").folder.glob("*.json*"):
        copy = tmp_path / "clone" / path.relative_to(root)
        assert copy.read_bytes() == path.read_bytes()
    with sessionstore.open(tmp_path / "clone") as clone:
        with clone.record("second"):
            pass
        assert {row.session_name for row in clone.find()} == {"flight", "second"}
    assert examine(tmp_path / "clone").healthy


def test_files_of_the_user_are_kept_and_none_is_a_finding_or_a_session(store: SessionStore) -> None:
    (store.root.path / ".gitignore").write_text("mine\n")
    store.create("flight")
    assert (store.root.path / ".gitignore").read_text() == "mine\n"
    assert (store.root.path / ".gitattributes").read_text().splitlines()[1:] == ["*.jsonl -text", "session.json -text"]
    (store.root.path / ".gitattributes").unlink()
    store.create("second")
    assert not (store.root.path / ".gitattributes").exists()  # taken away by the user
    assert store.root.session_ids() == {row.session_id for row in store.find()}
    assert not any(".git" in finding.where for finding in examine(store.root.path).findings)
