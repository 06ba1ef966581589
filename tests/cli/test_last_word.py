"""What a command says last agrees with its exit code; a folder that is not a store is refused by name."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import sessionstore
from sessionstore.cli import group
from sessionstore.errors import StoreNotFound
from sessionstore.maintenance.findings import Finding
from sessionstore.maintenance.repairs import plan
from sessionstore.store import SessionStore


def test_a_failed_repair_never_ends_healthy(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("flight")
    outcome = plan.Outcome(Finding("staging-left", "x", "left"), False, "StoreUnusable: full")
    monkeypatch.setattr(plan, "repair", lambda *given: [outcome])
    stray = store.root.quarantine_folder / "a~b~0~00000000"
    stray.write_bytes(b"x")  # a finding of severity info: the store itself is healthy
    options = ["doctor", "--fix", "--dir", str(store.root.path)]
    result = CliRunner().invoke(group, options)
    assert result.exit_code == 12
    assert result.output.splitlines()[-1].startswith("not healthy: 1 failed repair, 0 error"), result.output
    as_json = CliRunner().invoke(group, [*options, "--json"])
    assert as_json.exit_code == 12 and json.loads(as_json.stdout)["healthy"] is False


@pytest.mark.parametrize("command", ["migrate --to sqlite:", "rebuild", "doctor --fix", "verify"])
def test_an_existing_folder_without_a_store_is_refused_and_the_nearest_store_named(
    store: SessionStore, tmp_path: Path, command: str
) -> None:
    store.create("flight")
    (tmp_path / "stare").mkdir()
    result = CliRunner().invoke(group, [*command.split(), "--dir", str(tmp_path / "stare")])
    assert isinstance(result.exception, StoreNotFound)
    assert f"the nearest store is {store.root.path}" in str(result.exception)
    assert list((tmp_path / "stare").iterdir()) == []


def test_a_folder_renamed_by_hand_is_found_by_its_new_and_its_old_name(store: SessionStore) -> None:
    folder = store.create("Butterfly").folder
    folder.rename(folder.with_name("202611272052-Renamed"))
    for name in ("Renamed", "Butterfly", "202611272052-Renamed"):
        result = CliRunner().invoke(group, ["show", name, "--json", "--dir", str(store.root.path)])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["session_id"] == "202611272052-Renamed"


def test_an_older_python_is_refused_with_the_version_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(sessionstore.__file__).read_text()
    ast.parse(source, feature_version=(3, 7))  # or it would fail with a SyntaxError before it says why
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(ImportError, match=r"needs Python 3\.11 or newer; this is Python 3\.10"):
        exec(compile(source, "sessionstore", "exec"), {"__name__": "sessionstore"})


def test_pip_on_an_older_python_names_the_python_and_not_a_package() -> None:
    """Without the marker, pip 23 looks for the packages first, and ends with the versions of one of them."""
    project = tomllib.loads((Path(sessionstore.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert all(each.endswith("; python_version >= '3.11'") for each in project["dependencies"])
