"""Runs commands in this process as their user types them."""

from __future__ import annotations

import pytest

from sessionstore import cli
from sessionstore.store import SessionStore


class Result:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(store: SessionStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SESSIONSTORE_DIR", str(store.root.path))

    def call(*arguments: str) -> Result:
        code = 0
        try:
            cli.main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
