"""What every test starts from: an empty store of its own, and an environment that names no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import sessionstore
from sessionstore.disk import files
from sessionstore.store import SessionStore

# Shared machines stall for seconds: a deadline would test the neighbours. Nor is a run red because inputs were left out
# more often than usual, by chance. Where changes are judged the inputs are the same in each run, so that none is
# refused for what another one brought in; everywhere else each run draws new ones.
settings.register_profile(
    "default",
    deadline=None,
    derandomize="SESSIONSTORE_TEST_FIXED" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("default")

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SESSIONSTORE_DIR", "SESSIONSTORE_INDEX", "SESSIONSTORE_HOST", "DB_HOST", "DB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(files, "observer", None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    (tmp_path / "store").mkdir()  # a named folder that does not exist is a mistake (StoreNotFound)
    with sessionstore.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """One minute that does not end while a test runs."""
    minute = datetime(2026, 11, 23, 14, 30, 15, tzinfo=UTC)

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return minute

    monkeypatch.setattr("sessionstore.store.creation.datetime", Frozen)
    return minute


@pytest.fixture
def data() -> Path:
    """The folder of real inputs beside the project."""
    if not DATA.is_dir():
        pytest.skip(f"the folder of real inputs is missing: {DATA}")
    return DATA


#: These make bridges between network namespaces: a browser beside them ends its requests (ERR_NETWORK_CHANGED).
NETWORK = (
    "tests/web/",
    "tests/test_several_hosts.py",
    "tests/exchange/test_moving_hosts.py",
    "tests/sweeps/test_cluster.py",
)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a file's tests to one process (its fixtures are made once), and all that watch or change the network."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc,unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "network" if file.startswith(NETWORK) else file

    return Scheduling(config, log)


from tests.postgres_server import postgres_url, shared_postgres  # noqa: E402,F401 fixtures for every test
