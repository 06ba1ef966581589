"""The proof that sessions need no fixed place: a copy elsewhere is read as if on another machine, and says the same.

The copy has another path; a process of its own reads it with another working directory, home, time zone and
host name and no variable that names a store, and ends when it opens anything of the original. What it reads
is compared with the original, field by field and stream by stream; then the copy is changed and read back.
Not here: checking checksums (session_folders).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError, UnsafeFile
from sessionstore.layout import StoreRoot
from sessionstore.model import json_text, names
from sessionstore.session import Session

_CHUNK = 1 << 20
_VARIABLES = ("SESSIONSTORE_DIR", "SESSIONSTORE_INDEX", "DB_HOST")


@dataclass(slots=True)
class Moved:
    """What became of one session elsewhere: whether it reads the same and can be changed; else what differs."""

    session_id: str
    same: bool
    differs: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


def verify_moved(
    root: StoreRoot, session_ids: Iterable[str], progress: Callable[[int, int], None] | None = None
) -> list[Moved]:
    """Copy sessions elsewhere, read them there, and say whether they are the same.

    The copy is made in the system's temporary folder and removed again.

    Raises: StoreUnusable: there is no room for the copy.
    """
    wanted = sorted(session_ids)
    results = []
    with tempfile.TemporaryDirectory(prefix="sessionstore-moved-") as place:
        for number, session_id in enumerate(wanted, 1):
            elsewhere = Path(place) / f"another disk {number}" / "store"
            results.append(_verify_one(root, session_id, elsewhere))
            files.remove_tree(elsewhere.parent)
            if progress is not None:
                progress(number, len(wanted))
    return results


def _verify_one(root: StoreRoot, session_id: str, elsewhere: Path) -> Moved:
    files.make_dirs(elsewhere)
    unsafe = list(copy_folder(root.folder(session_id), elsewhere / session_id))
    if unsafe:
        return Moved(session_id, False, [f"{name}: not a plain file, was not copied" for name in unsafe])
    names_lost = list(_lost_names(session_id, root.folder(session_id)))
    here, there = describe(Session(root, session_id)), _read_elsewhere(elsewhere, session_id, root.path)
    differs = [key for key in sorted(here.keys() | there.keys()) if here.get(key) != there.get(key)]
    differs = [f"{key}: {there['error']}" if key == "error" else key for key in differs]
    differs += names_lost
    return Moved(session_id, not differs, differs)


def _lost_names(session_id: str, folder: Path) -> Iterator[str]:
    """Yield what some operating system would not keep under its name, or would store as one file with another."""
    if not names.is_portable_path(session_id):
        yield f"{session_id}: not a name on every operating system"
    seen: dict[str, str] = {}
    for place, folders, found in os.walk(folder):
        for name in sorted((*folders, *found)):
            path = os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")
            other = seen.setdefault(names.collision_key(path), path)
            if other != path:
                yield f"{path}: one file with {other} on macOS and Windows"
            elif not names.is_portable_path(name):
                yield f"{path}: not a name on every operating system"


def copy_folder(source: Path, target: Path) -> Iterator[str]:
    """Copy a folder and all plain files below it; yield the names of what is neither a file nor a folder.

    Raises: StoreUnusable: a part may be there.
    """
    files.make_dir(target, exist_ok=True)
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from copy_folder(Path(entry.path), target / entry.name)
            continue
        try:
            files.put(target / entry.name, _parts_of(entry.path), sync=False)
        except UnsafeFile:
            yield entry.name


def _parts_of(path: str) -> Iterator[bytes]:
    descriptor = files.open_to_read(path)
    try:
        while part := os.read(descriptor, _CHUNK):
            yield part
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------- what a session says


def describe(session: Session) -> dict[str, Any]:
    """Return all that a reader gets from a session, streams and artifacts as digests."""
    try:
        said: dict[str, Any] = {
            "record": session.record.to_dict(),
            "tables": session.tables(),
            "replay_available": session.replay_available,
        }
    except (SessionStoreError, OSError) as error:
        return {"error": type(error).__name__}
    for name, tape in session.tapes().items():
        digest, count = hashlib.sha256(), 0
        try:
            for line in tape.read(damaged="skip"):
                digest.update(json.dumps([line.n, line.t_s, line.data], ensure_ascii=False).encode("utf-8", "replace"))
                count += 1
        except (SessionStoreError, OSError) as error:
            said[f"stream {name}"] = type(error).__name__
            continue
        said[f"stream {name}"] = [count, digest.hexdigest()]
    normal: dict[str, Any] = json.loads(json.dumps(said))
    return normal


# ---------------------------------------------------------------- elsewhere


def _read_elsewhere(elsewhere: Path, session_id: str, original: Path) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    environment |= {"HOME": str(elsewhere.parent), "TZ": "Pacific/Kiritimati", "SESSIONSTORE_FORCE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, str(elsewhere), session_id, os.path.realpath(original)],
        cwd=elsewhere.parent, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"error": done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]}
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def main(elsewhere: str, session_id: str, original: str) -> None:
    """Read a copied session in this process, which must not open the original; change it; print what it says."""
    import socket

    import sessionstore

    def stranger() -> str:
        return "another-machine"

    socket.gethostname = stranger
    _forbid(original)
    with sessionstore.open(elsewhere) as store:
        (row,) = store.find()
        session = store.get(row.session_id)
        said = describe(session)
        if "error" not in said:
            session.update(notes=session.record.notes + " read elsewhere")
            writer = session.writer("verify_probe")
            writer.append({"kind": "probe"})
            writer.close()
            if not session.record.notes.endswith(" read elsewhere") or session.tape("verify_probe").count() != 1:
                said["error"] = "what was written there could not be read back"
    sys.stdout.buffer.write(json_text.layout(said))


def _forbid(original: str) -> None:
    """Stop this process when it opens or lists anything of the original store."""
    inside = original.rstrip("/") + "/"

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove") and arguments:
            path = arguments[0]
            if isinstance(path, str | os.PathLike) and (os.path.realpath(os.fspath(path)) + "/").startswith(inside):
                sys.stderr.write(f"the copy needs {os.fspath(path)!r} of the original\n")
                os._exit(1)

    sys.addaudithook(watch)


if __name__ == "__main__":
    main(*sys.argv[1:4])
