"""Moving on the command line: what merge, pack, unpack and verify print, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import sessionstore
from tests.exchange.test_merge import flown


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    with sessionstore.open(tmp_path / "laptop") as store:
        flown(store)
    return tmp_path / "laptop"


class Done(NamedTuple):
    exit_code: int
    stdout: str
    output: str


def run(*arguments: str | Path) -> Done:
    command = [sys.executable, "-m", "sessionstore", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stdout + done.stderr)


def test_a_store_is_merged_shown_and_taken_back(laptop: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    trial = run("merge", laptop, "--dir", lab, "--dry-run")
    assert trial.exit_code == 0 and "would be copied" in trial.output and not lab.exists()
    done = run("merge", laptop, "--dir", lab)
    assert done.exit_code == 0 and "1 new" in done.output and "sessionstore undo" in done.output
    assert "1 same" in run("merge", laptop, "--dir", lab).output
    assert run("undo", "--dir", lab).exit_code == 0
    assert json.loads(run("list", "--dir", lab, "--json").stdout) == []


def test_copies_that_diverged_exit_12_and_both_are_listed(laptop: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    run("merge", laptop, "--dir", lab)
    run("set", "Butterfly", "--notes", "here", "--dir", lab)
    run("set", "Butterfly", "--notes", "there", "--dir", laptop)
    done = run("merge", laptop, "--dir", lab, "--json")
    (outcome,) = json.loads(done.stdout)[0]["outcomes"]
    assert done.exit_code == 12 and outcome["action"] == "diverged"
    assert len(json.loads(run("list", "--dir", lab, "--json").stdout)) == 2


@pytest.mark.parametrize("name", ["fleet.zip", "fleet.tar.zst", "fleet"])
def test_a_bundle_is_packed_verified_and_unpacked(laptop: Path, tmp_path: Path, name: str) -> None:
    bundle, lab = tmp_path / name, tmp_path / "lab"
    assert "1 sessions" in run("pack", "-o", bundle, "--dir", laptop).output
    verified = run("verify", bundle)
    assert verified.exit_code == 0 and "every checksum is right" in verified.output
    assert run("unpack", bundle, "--dir", lab).exit_code == 0
    assert "Butterfly" in run("list", "--dir", lab).output


def test_a_damaged_bundle_exits_with_its_reason(laptop: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "fleet.zip"
    run("pack", "Butterfly", "-o", bundle, "--dir", laptop)
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("sessions/data/extra.txt", "extra")
    assert run("verify", bundle).exit_code == 12
    refused = run("unpack", bundle, "--dir", tmp_path / "lab")
    assert refused.exit_code == 9 and "not in the manifest" in refused.output


def test_a_source_that_does_not_exist_exits_3(tmp_path: Path) -> None:
    assert run("merge", tmp_path / "mistyped", "--dir", tmp_path / "lab").exit_code == 3
