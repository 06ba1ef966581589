"""What every proof starts from: a folder in memory and a store with two sessions, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof import operations
from tests.proof.operations import World
from tests.proof.volumes import fast_folder


@pytest.fixture
def scratch() -> Iterator[Path]:
    """An empty folder in memory."""
    folder = fast_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def beginning() -> Iterator[tuple[Path, World]]:
    """The store that runs are made on copies of, and its model."""
    folder = fast_folder()
    yield folder / "base", operations.begin(folder / "base")
    shutil.rmtree(folder, ignore_errors=True)
