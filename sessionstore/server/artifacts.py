"""Files of a session over HTTP: its artifacts one by one, and the whole folder as a zip.

Only plain files inside the folder are ever opened: no link is followed, no FIFO waited for, and what a file is called
is data. Artifacts are sent as attachments, so that a hostile one is saved and never shown.
Not here: import of zips (care), single streams (streams).
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sessionstore import files, names
from sessionstore.errors import UnsafeFile
from sessionstore.server import schemas
from sessionstore.server.errors import ApiProblem
from sessionstore.server.operations import Call, Operation, Reply, Stream, json_reply
from sessionstore.session import Session

TAG = "files"
_CHUNK = 1 << 16
_OCTETS = "application/octet-stream"


def list_artifacts(call: Call) -> Reply:
    """Return the artifacts of a session."""
    session = call.context.find(call.path["session_id"])
    folder = session.folder / "artifacts"
    found = []
    if _is_folder(folder):
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            if entry.is_file(follow_symlinks=False):
                found.append({"name": entry.name, "bytes": entry.stat(follow_symlinks=False).st_size})
    return json_reply({"session_id": session.session_id, "artifacts": found, "recorded": session.record.artifacts})


def get_artifact(call: Call) -> Stream:
    """Return one artifact as an attachment."""
    session = call.context.find(call.path["session_id"])
    name = call.path["name"]
    folder = session.folder / "artifacts"
    missing = ApiProblem(404, "no-artifact", "the session has no such artifact")
    if not names.is_session_folder_name(name) or not _is_folder(folder):
        raise missing
    try:
        descriptor = files.open_to_read(folder / name)
    except FileNotFoundError as error:
        raise missing from error
    headers = {
        "content-length": str(os.fstat(descriptor).st_size),
        "content-disposition": _attachment(name),
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return Stream(_chunks(descriptor), _OCTETS, headers)


def export_session(call: Call) -> Stream:
    """Return the folder of a session as a zip."""
    session = call.context.find(call.path["session_id"])
    listed = list(plain_files(session))
    headers = {"content-disposition": _attachment(f"{session.session_id}.zip")}
    return Stream(zip_parts(session, listed), "application/zip", headers)


def plain_files(session: Session) -> Iterator[str]:
    """Yield the names of the plain files of a session, relative to its folder; links and the like are left out."""
    for folder, inner, found in os.walk(session.folder, followlinks=False):
        inner.sort()
        for name in sorted(found):
            if name.startswith(".tmp-"):
                continue  # a document that is being replaced just now
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield os.path.relpath(path, session.folder)


def zip_parts(session: Session, listed: list[str]) -> Iterator[bytes]:
    """Yield a zip of these files, compressed as it goes: nothing is held as a whole, nothing goes to disk.

    A stream that still grows is taken up to its last whole line at this moment.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name in listed:
            try:
                descriptor = files.open_to_read(session.folder / name)
            except (FileNotFoundError, UnsafeFile):
                continue  # replaced or removed since it was listed
            info = zipfile.ZipInfo(f"{session.session_id}/{name.replace(os.sep, '/')}")
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as target:
                for chunk in _chunks(descriptor, whole_lines=name.endswith(".jsonl")):
                    target.write(chunk)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


class _Pipe(io.RawIOBase):
    """What zipfile writes to: it cannot be sought, and is emptied as it fills."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _chunks(descriptor: int, whole_lines: bool = False) -> Iterator[bytes]:
    """Yield the bytes that an open file has now, not what is appended meanwhile; closes it."""
    try:
        left = os.fstat(descriptor).st_size
        rest = b""
        while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK))):
            left -= len(chunk)
            if whole_lines:
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                chunk = whole + newline
            if chunk:
                yield chunk
    finally:
        os.close(descriptor)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _attachment(name: str) -> str:
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\' else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def operations() -> list[Operation]:
    """Return the routes of this module."""
    one = "/api/sessions/{session_id}"
    return [
        Operation(
            "GET", one + "/artifacts", list_artifacts, "List the artifacts", TAG, reply=schemas.ANY_REPLY,
            problems=(404, 409),
        ),
        Operation(
            "GET", one + "/artifacts/{name}", get_artifact, "Get an artifact", TAG, content_type=_OCTETS,
            problems=(404, 409),
        ),
        Operation(
            "GET", one + "/export", export_session, "Get the folder as a zip", TAG, content_type="application/zip",
            problems=(404, 409),
        ),
    ]  # fmt: skip
