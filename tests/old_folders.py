"""Folders of the old system for tests: the fixtures, made ones, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sessionstore.legacy.importer import Imported, import_legacy
from sessionstore.session import Session
from sessionstore.store import SessionStore

FIXTURES = Path(__file__).parents[1] / "fixtures" / "legacy"


def imported(store: SessionStore, place: Path, zone: str | None = None, dry_run: bool = False) -> dict[str, Imported]:
    return {Path(each.folder).name: each for each in import_legacy(store, place, zone, dry_run)}


def old_folder(tmp_path: Path, name: str = "202512131946-Old", **content: Any) -> Path:
    """Make a folder of the old system; the keys are file names without .json."""
    folder = tmp_path / "old" / name
    folder.mkdir(parents=True)
    for key, value in content.items():
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        (folder / f"{key}.json").write_bytes(data)
    return folder


def motion(session: Session) -> list[tuple[float, dict[str, Any]]]:
    return [(line.t_s, line.data) for line in session.tape("motion_history").read()]
