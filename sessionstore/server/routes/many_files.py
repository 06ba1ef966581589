"""Many sessions as one file: a bundle that another store can merge, or a ZIP with a file of a format for each.

A bundle is made while it is sent. Files of a format are made first, in staging, one session after the other; a session
that cannot be written stops the export, which names it.
Not here: one session (artifacts, foreign), packing on the command line (exchange.packing).
"""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

from marshmallow import fields, validate

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.exchange.bundle import ZIP, pack
from sessionstore.exchange.trees import FolderTree
from sessionstore.formats import exporting
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Stream
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session

MOST_BUNDLED = 10_000
MOST_WRITTEN = 200
BUNDLE = "bundle"
_CHUNK_BYTES = 1 << 20


class ExportBody(api_schemas.Strict):
    """Which sessions, and as what."""

    ids = fields.List(api_schemas.text(300), required=True, validate=validate.Length(min=1, max=MOST_BUNDLED))
    format = fields.String(
        load_default=BUNDLE, validate=validate.Length(min=1, max=64),
        metadata={"description": f"`{BUNDLE}`, or a format of /api/formats: a file of each session, in a ZIP."},
    )  # fmt: skip


def export_many(call: Call) -> Stream:
    """Return many sessions as one ZIP."""
    sessions = [call.context.exact(each) for each in dict.fromkeys(call.body["ids"])]
    kind = call.body["format"]
    called = f"{len(sessions)}-sessions{'' if kind == BUNDLE else f'-{kind}'}.zip"
    headers = {"content-disposition": f'attachment; filename="{called}"'}
    if kind == BUNDLE:
        return Stream(pack([FolderTree(each.folder) for each in sessions], ZIP), "application/zip", headers)
    if len(sessions) > MOST_WRITTEN:
        raise ApiProblem(400, "too-many", f"at most {MOST_WRITTEN} sessions are written as {kind} at once")
    extension = exporting.extension_of(kind)
    if not extension:
        raise ApiProblem(400, "not-a-file", f"the format {kind} is a folder: use `sessionstore export --to {kind}`")
    written = _written(call, sessions, kind, extension)
    headers["content-length"] = str(written.stat().st_size)
    return Stream(_parts(written), "application/zip", headers)


def _written(call: Call, sessions: list[Session], kind: str, extension: str) -> Path:
    """Write a file for each session into a ZIP in staging; nothing is left of it when one fails."""
    call.context.store.root.prepare()
    folder = call.context.store.root.staging / f"sent-{uuid.uuid4()}"
    files.make_dir(folder)
    path = folder / "sessions.zip"
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for session in sessions:
                made = _one(session, folder / f"session{extension}", kind)
                archive.write(made, f"{session.session_id}{extension}")
                files.remove(made)
    except BaseException:
        files.remove_tree(folder)
        raise
    return path


def _one(session: Session, path: Path, kind: str) -> Path:
    try:
        made = exporting.export_session(session, path, kind)
    except SessionStoreError as error:
        error.add_note(f"while {session.session_id} was written")
        raise
    if made.is_dir():
        raise ApiProblem(400, "not-a-file", f"{kind} gives a folder: use `sessionstore export --to {kind}`")
    return made


def _parts(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file; its folder is removed after the last of them, or when the client goes away."""
    try:
        with files.opened(path) as descriptor:
            while part := os.read(descriptor, _CHUNK_BYTES):
                yield part
    finally:
        files.remove_tree(path.parent)


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "POST", "/api/sessions/export", export_many, "Get many sessions as one file", "sessions",
            body=ExportBody(), body_optional=False, content_type="application/zip", problems=(400, 404, 409, 503, 507),
        ),
    ]  # fmt: skip
