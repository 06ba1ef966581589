"""Files of other programs over HTTP: one is sent and imported, a session is exported; which formats there are.

A file that is sent stands in staging while it is read, under a name made safe; nothing of it is left there afterwards.
Imports run one after the other. A client names a file and a format, never a path.
Not here: what a format reads and writes (formats), bundles (bundles), the undo (bundles: ``/api/merges``).
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

import anyio
from marshmallow import fields, validate

from sessionstore.disk import files
from sessionstore.formats import ImportReport, exporting, registry
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, Stream, encode, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.store.history import History

TAG = "formats"
MAX_FILE_BYTES = 1 << 36
_PREFIX = "sent-"
_LONGEST_NAME = 120
_CHUNK_BYTES = 1 << 20
_OCTETS = "application/octet-stream"


class ImportQuery(api_schemas.Strict):
    """How the file is called, and how it is read."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=300))
    format = fields.String(validate=validate.Length(max=40), metadata={"description": "By default by content."})
    session_name = fields.String(validate=validate.Length(min=1, max=200))
    map = fields.String(validate=validate.Length(max=2000), metadata={"description": "Columns of a table."})
    dry_run = fields.Boolean(load_default=False)


class ImportReply(api_schemas.Open):
    """What came of a file: messages in and records out of each topic, and what was left out."""

    source = fields.String(required=True)
    format = fields.String(required=True)
    state = fields.String(required=True, metadata={"description": "imported, would import, or already there."})
    session_id = fields.String(required=True, allow_none=True)
    sessions = fields.List(fields.Dict(), metadata={"description": "Of a file that holds many: one report each."})
    topics = fields.Dict(required=True)
    problems = fields.List(fields.String(), required=True)
    change_id = fields.String(required=True, allow_none=True, metadata={"description": "For the undo."})


class FormatsReply(api_schemas.Open):
    """The formats, with the modules that each lacks and the command that installs them."""

    formats = fields.List(fields.Dict(), required=True)


def list_formats(call: Call) -> Reply:
    """Return which formats are read and written, and what is missing."""
    return json_reply({"formats": [each.to_dict() for each in registry.formats()]})


async def import_file(call: Call) -> Reply:
    """Take a file in and import it; one undo takes it back."""
    folder = call.context.store.root.staging / f"{_PREFIX}{uuid.uuid4()}"
    path = folder / safe_name(call.query["name"])
    try:
        await _save(call, path)
        report = await anyio.to_thread.run_sync(lambda: _import(call, path), limiter=_one_at_a_time())
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(files.remove_tree, folder)
    return report


@cache
def _one_at_a_time() -> anyio.CapacityLimiter:
    """Imports wait for one another: some read a file whole."""
    return anyio.CapacityLimiter(1)


async def _save(call: Call, path: Path) -> None:
    def begin() -> int:
        call.context.store.root.prepare()
        files.make_dir(path.parent)
        return files.open_to_append(path, durable=False)

    descriptor = await anyio.to_thread.run_sync(begin)
    try:
        async for part in call.body:
            await anyio.to_thread.run_sync(_write, descriptor, part, path)
    finally:
        os.close(descriptor)


def _write(descriptor: int, part: bytes, path: Path) -> None:
    with files.refusals(path):
        files.write_all(descriptor, part, path)


def _import(call: Call, path: Path) -> Reply:
    store, asked = call.context.store, call.query
    report = store.import_file(
        path, asked.get("format"), name=asked.get("session_name"), dry_run=asked["dry_run"], columns=asked.get("map")
    )
    if report.state in ("failed", "skipped"):
        damaged = report.state == "failed"
        raise ApiProblem(
            409 if damaged else 400, "corrupt" if damaged else "not-imported", _without_place(report, path)
        )
    made = [
        each.session_id
        for each in report.sessions or [report]
        if each.state == "imported" and each.session_id is not None
    ]
    change_id = History(store).merged(made, f"import {path.name}") if made else None
    answer = encode({**report.to_dict(), "source": path.name, "change_id": change_id})
    return Reply(answer.replace(f"{path.parent}{os.sep}".encode(), b""))


def _without_place(report: ImportReport, path: Path) -> str:
    return str(report.reason).replace(f"{path.parent}{os.sep}", "")


def safe_name(name: str) -> str:
    """Return a file name without folders and without characters that mean something; its extension stays."""
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[^\w.+() -]", "_", last).strip(". ") or "file"
    stem, dot, extension = kept.rpartition(".")
    if not dot or len(extension) > 20:
        return kept[:_LONGEST_NAME]
    return f"{stem[: _LONGEST_NAME - len(extension)]}.{extension}"


def export_format(call: Call) -> Stream:
    """Return a session as a file of another program."""
    session, name = call.context.find(call.path["session_id"]), call.path["format"]
    extension = exporting.extension_of(name)
    if not extension:
        raise ApiProblem(400, "not-a-file", f"the format {name} is a folder: use `sessionstore export --to {name}`")
    call.context.store.root.prepare()
    folder = call.context.store.root.staging / f"{_PREFIX}{uuid.uuid4()}"
    files.make_dir(folder)
    try:
        written = exporting.export_session(session, folder / f"session{extension}", name)
        if written.is_dir():
            raise ApiProblem(400, "not-a-file", f"{name} gives a folder: use `sessionstore export --to {name}`")
        size = written.stat().st_size
    except BaseException:
        files.remove_tree(folder)
        raise
    called = quote(f"{session.session_id}{extension}", safe="")
    headers = {"content-length": str(size), "content-disposition": f"attachment; filename*=UTF-8''{called}"}
    return Stream(_parts(written), _OCTETS, headers)


def _parts(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file; its folder is removed before the last of them, or when the client goes away."""
    try:
        with files.opened(path) as descriptor:
            part = os.read(descriptor, _CHUNK_BYTES)
            while after := os.read(descriptor, _CHUNK_BYTES):
                yield part
                part = after
    finally:
        files.remove_tree(path.parent)
    yield part


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation("GET", "/api/formats", list_formats, "List the formats of other programs", TAG, reply=FormatsReply()),
        Operation(
            "POST", "/api/imports", import_file, "Import a file of another program", TAG, query=ImportQuery(),
            upload=True, max_body=MAX_FILE_BYTES, reply=ImportReply(), status=200,
            problems=(400, 409, 413, 415, 503, 507),
        ),
        Operation(
            "GET", "/api/sessions/{session_id}/export/{format}", export_format, "Get a session as a file of a format",
            TAG, content_type=_OCTETS, problems=(400, 404, 409, 503, 507),
        ),
    ]  # fmt: skip
