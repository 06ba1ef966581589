"""A real browser in front of a real server with a real flight; every test fails when the console shows an error."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip)")

from playwright import sync_api

import sessionstore
from sessionstore.server.context import Settings
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import Group, Scenario
from tests.server.conftest import Running, running_server
from tests.server.conftest import serve_with as serve_with

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


#: How long what a test waits for may take on a busy machine, in seconds.
PATIENCE_S = 60.0


def fly(folder: Path, name: str, seed: int = 1, duration_s: float = 40.0, **scenario: Any) -> str:
    """Record a flight as fast as it goes, and return its id."""
    given = {"buildings": 2, "fleet": (Group("scout", 1), Group("climber", 1)), **scenario}
    plan = Scenario(name=name).with_options(seed=seed, duration_s=duration_s, **given)
    live = HMRSSimulationLive(plan, training_sessions_dir=folder, session_name=name)
    session_id = live.run()
    live.session_db_box.close()
    return session_id


@pytest.fixture(scope="package")  # its loop would be in the way of tests that run one of their own
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two flights that differ in their seed; tests that change something copy it."""
    folder = tmp_path_factory.mktemp("flown") / "store"
    fly(folder, "Butterfly", seed=1)
    fly(folder, "Storm", seed=2)
    return folder


@pytest.fixture(scope="module")
def site(flown: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over a copy of the flights, for all tests of a module."""
    folder = tmp_path_factory.mktemp("site") / "store"
    shutil.copytree(flown, folder)
    yield from running_server(folder, Settings())


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open pages of which none may show an error on the console, but those that a test expects."""
    contexts: list[Any] = []
    problems: list[str] = []
    expected: list[str] = []

    def note(text: str) -> None:
        if not any(each in text for each in expected):
            problems.append(text)

    def start(url: str = "about:blank", expect: tuple[str, ...] = (), **options: Any) -> Any:
        expected.extend(expect)
        context = options.pop("browser", browser).new_context(
            viewport=options.pop("viewport", {"width": 1280, "height": 800}), **options
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: note(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: note(f"{error}"))
        page.on("dialog", lambda dialog: (note(f"a dialog: {dialog.message}"), dialog.dismiss()))
        if url != "about:blank":
            page.goto(url)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not problems, problems


PLAYER = "document.querySelector('session-view').player"


def session_page(
    site: Running, open_page: Callable[..., Any], name: str = "Butterfly", query: str = "", **more: Any
) -> Any:
    """Open a session and wait until all of it is loaded."""
    session_id = site.store.get(name).session_id
    page = open_page(f"{site.url}/session/{session_id}{query}", **more)
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def open_store(site: Running) -> Any:
    """Return a handle of its own to the store of a server, as another process would have."""
    return sessionstore.open(site.store.root.path)


def until(page: Any, expression: str, argument: Any = None, timeout_s: float = PATIENCE_S) -> None:
    """Wait until an expression holds, asked from outside: waiting inside needs eval, which the policy forbids.

    A view that is drawn anew has no player for a moment: a property of nothing does not hold yet.
    """
    deadline = time.monotonic() + timeout_s
    while not _holds(page, expression, argument):
        assert time.monotonic() < deadline, f"never held: {expression}"
        page.wait_for_timeout(20)  # asking again, not waiting for a time to pass


def _holds(page: Any, expression: str, argument: Any) -> bool:
    try:
        return bool(page.evaluate(expression, argument))
    except sync_api.Error as error:
        if "Cannot read properties of" not in error.message:
            raise
        return False
