"""What every proof starts from: a folder in memory and a store with two sessions, made once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proof import operations
from tests.proof.operations import World
from tests.proof.volumes import LONG, fast_folder


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long runs out unless they are asked for."""
    if not LONG:
        left = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@pytest.fixture
def figure() -> Callable[..., None]:
    """Tell the report what was tried, how much of it, and how many anomalies there were."""

    def tell(fault: str, tried: str, anomalies: int) -> None:
        if path := os.environ.get("PROOF_FIGURES"):
            with open(path, "a") as file:
                file.write(json.dumps([fault, tried, anomalies]) + "\n")

    return tell
