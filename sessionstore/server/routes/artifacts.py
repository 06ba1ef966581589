"""Files of a session over HTTP: its artifacts one by one, and the whole folder as a zip.

Only plain files inside the folder are ever opened: no link is followed, no FIFO waited for, and what a file is called
is data. Artifacts are sent as attachments, so that a hostile one is saved and never shown.
Not here: the zip itself (bundle), single streams (streams).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote

from sessionstore.disk import files
from sessionstore.model import names
from sessionstore.server.http.operations import Call, Operation, Reply, Stream, json_reply
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.routes import api_schemas
from sessionstore.session.bundle import chunks, plain_files, zip_parts

TAG = "files"
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
    return Stream(chunks(descriptor), _OCTETS, headers)


def export_session(call: Call) -> Stream:
    """Return the folder of a session as a zip."""
    session = call.context.find(call.path["session_id"])
    listed = list(plain_files(session))
    headers = {"content-disposition": _attachment(f"{session.session_id}.zip")}
    return Stream(zip_parts(session, listed), "application/zip", headers)


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
            "GET", one + "/artifacts", list_artifacts, "List the artifacts", TAG, reply=api_schemas.ANY_REPLY,
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
