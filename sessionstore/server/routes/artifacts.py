"""Files of a session over HTTP: its artifacts one by one, and the whole folder as a bundle.

Only plain files inside the folder are ever opened: no link is followed, no FIFO waited for, and what a file is called
is data. Artifacts are sent as attachments; only pictures and videos, which hold no code, can be shown in place. Ranges
are answered, so that a broken download goes on and a video can be sought.
Not here: the bundle itself (exchange.bundle), single streams (server.routes.stream_records).
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import quote

from marshmallow import fields

from sessionstore.disk import files
from sessionstore.exchange.bundle import ZIP, pack
from sessionstore.exchange.trees import FolderTree
from sessionstore.model import names
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.ranges import asked_range, cut, parts_of, range_headers
from sessionstore.server.http.reply import Reply, Stream, json_reply
from sessionstore.server.live.record_cache import digest_of
from sessionstore.server.routes import api_schemas

TAG = "files"
_OCTETS = "application/octet-stream"
#: Shown in place: pictures and videos that hold no code (SVG and HTML do).
INLINE = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".avif": "image/avif", ".webm": "video/webm", ".mp4": "video/mp4", ".ogv": "video/ogg",
}  # fmt: skip
_SIZES: dict[str, int] = {}
_MOST_SIZES = 64


class ArtifactQuery(api_schemas.Strict):
    """Of one artifact."""

    inline = fields.Boolean(
        load_default=False, metadata={"description": "Show pictures and videos in place; all else is an attachment."}
    )


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
    """Return one artifact, whole or a range of it: as an attachment, or in place for pictures and videos."""
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
    status = os.fstat(descriptor)
    etag = f'"{digest_of(status)}"'
    kind = INLINE.get(Path(name).suffix.lower()) if call.query["inline"] else None
    headers = {
        "accept-ranges": "bytes",
        "content-length": str(status.st_size),
        "content-disposition": "inline" if kind else _attachment(name),
        "content-security-policy": "sandbox; default-src 'none'",
        "etag": etag,
    }
    try:
        wanted = asked_range(call.headers.get("range"), call.headers.get("if-range"), etag, status.st_size)
    except ApiProblem:
        os.close(descriptor)
        raise
    if wanted is None:
        return Stream(parts_of(descriptor), kind or _OCTETS, headers)
    partial = {**headers, **range_headers(*wanted, status.st_size)}
    os.lseek(descriptor, wanted[0], os.SEEK_SET)
    return Stream(cut(parts_of(descriptor), 0, wanted[1] - wanted[0]), kind or _OCTETS, partial, status=206)


def export_session(call: Call) -> Stream:
    """Return the folder of a session as a bundle."""
    tree = FolderTree(call.context.find(call.path["session_id"]).folder)
    etag = _folder_etag(tree)
    headers = {
        "accept-ranges": "bytes", "etag": etag, "content-disposition": _attachment(f"{tree.name}.zip"),
    }  # fmt: skip
    if (asked := call.headers.get("range")) is None:
        return Stream(pack([tree], ZIP), "application/zip", headers)
    total = _bundle_size(tree, etag)
    wanted = asked_range(asked, call.headers.get("if-range"), etag, total)
    if wanted is None:
        return Stream(pack([tree], ZIP), "application/zip", headers)
    partial = {**headers, **range_headers(*wanted, total)}
    return Stream(cut(pack([tree], ZIP), *wanted), "application/zip", partial, status=206)


def _folder_etag(tree: FolderTree) -> str:
    """Return the entity tag of a folder: the bundle of the same files is the same, byte for byte."""
    state = [(name, digest_of(os.lstat(tree.folder / name))) for name in tree.sizes]
    return f'"{hashlib.blake2b(repr(state).encode(), digest_size=12).hexdigest()}"'


def _bundle_size(tree: FolderTree, etag: str) -> int:
    """Return the size of the bundle: made once to be counted, remembered for the ranges that follow."""
    known = _SIZES.get(etag)
    if known is None:
        known = sum(map(len, pack([tree], ZIP)))
        _SIZES[etag] = known
        while len(_SIZES) > _MOST_SIZES:
            _SIZES.pop(next(iter(_SIZES)))
    return known


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
            query=ArtifactQuery(), problems=(400, 404, 409, 416),
        ),
        Operation(
            "GET", one + "/export", export_session, "Get the folder as a bundle", TAG, content_type="application/zip",
            problems=(404, 409, 416),
        ),
    ]  # fmt: skip
