"""What every proof starts from: a folder in memory and a store with two sessions, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof import operations
from tests.proof.operations import World
from tests.proof.tally import Tally, tell
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Count each case of a test that names its row; one that failed is an anomaly, one that was skipped is nothing."""
    report = yield
    marker = item.get_closest_marker("row")
    if marker is not None and call.when == "call" and not report.skipped:
        count = Tally()
        count(cases=1)
        tell(marker.args[0], count, unexpected=report.failed)
    return report
