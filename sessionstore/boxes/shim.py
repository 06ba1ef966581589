"""The shim: small files that let programs written for ``simulation.swarm.boxes`` go on, written into their folder.

Guarantees: each file only forwards to this package, and names it in its first line. Refuses: a file of that name with
other content; nothing is written then. Not here: the boxes themselves (boxes), the command (cli.shim).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import Conflict

BOXES = {
    "session_creator_box": "SessionCreatorBox",
    "session_db_box": "SessionDBBox",
    "session_buildings_box": "SessionBuildingsBox",
}
PROGRAMS = ("create_and_verify_db_session", "create_replayable_session", "run_session_batch")
LIVE = ("hmrs_simulation_live", "HMRSSimulationLive")
_HEAD = "# Written by `sessionstore shim`: forwards to the package sessionstore, which must be installed.\n"


def shim_files() -> Iterator[tuple[str, str]]:
    """Return each file of the shim, as path below the folder and content."""
    for folder in ("simulation", "simulation/swarm", "simulation/swarm/boxes"):
        yield f"{folder}/__init__.py", _HEAD
    for module, name in BOXES.items():
        yield f"simulation/swarm/boxes/{module}.py", _forward(f"sessionstore.boxes.{module}", name)
    yield f"simulation/{LIVE[0]}.py", _forward(f"sessionstore.simulation.{LIVE[0]}", LIVE[1])
    for program in PROGRAMS:
        source = f"sessionstore.simulation.{program}"
        yield f"simulation/{program}.py", _forward(source, "main") + '\nif __name__ == "__main__":\n    main()\n'


def _forward(module: str, name: str) -> str:
    return f'{_HEAD}from {module} import {name}\n\n__all__ = ["{name}"]\n'


def write_shim(folder: str | Path) -> list[Path]:
    """Write the shim below a folder; return the files that are new. Files that are there already stay as they are.

    Raises:
        Conflict: a file of that name has other content; nothing was written.
        StoreUnusable: the folder cannot be written.
    """
    root = Path(folder)
    wanted = [(root / path, content.encode()) for path, content in shim_files()]
    for path, content in wanted:
        if path.exists() and path.read_bytes() != content:
            raise Conflict(f"{path} is there with other content; move it away first (nothing was written)")
    new = [(path, content) for path, content in wanted if not path.exists()]
    for path, content in new:
        files.make_dirs(path.parent)
        files.put(path, content)
    return [path for path, _ in new]
