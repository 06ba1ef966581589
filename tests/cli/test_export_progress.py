"""The bar of an export: it counts the bytes of the streams, on a terminal, after a second."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from sessionstore.cli import group, output, progress
from sessionstore.formats.watched import WatchedSession
from sessionstore.store import SessionStore


def flown(store: SessionStore) -> Any:
    with store.record("flight", gps={"lat": 52.0, "lon": 4.3, "alt": 1.5}) as session:
        for step in range(3000):
            session.motion.append("drone", step / 10, (step / 7, 1.0, 5.0))
    return store.get("flight")


def test_a_watched_session_counts_each_byte_of_a_stream_once(store: SessionStore) -> None:
    session, done = flown(store), list[int]()
    lines = list(WatchedSession(session, done.append).tapes()["motion_history"].in_time())
    assert [line.data for line in lines] == [line.data for line in session.tape("motion_history").in_time()]
    assert sum(done) == lines[-1].end - lines[0].offset and len(done) > 2


def test_an_export_that_takes_longer_shows_how_much_how_fast_and_how_long(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flown(store)
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(output, "console", lambda stderr=False: terminal)
    monkeypatch.setattr(output, "without_escapes", lambda: False)
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    target = tmp_path / "flight.geojson"
    arguments = ["export", "flight", "--file", str(target), "--dir", str(store.root.path)]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(target.read_text())["features"]
    assert "exporting" in screen.getvalue() and "/s" in screen.getvalue() and " of " in screen.getvalue()
