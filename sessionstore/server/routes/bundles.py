"""Bundles over HTTP: one is sent, what it holds and what a merge would do comes back; then it is merged, or dropped.

A bundle that was sent waits in staging; one that is not merged is removed with the leftovers of creations, after ten
minutes. Its checksums are verified before anything of it is visible.
Not here: the merge (exchange.merge), a session as a bundle (server.routes.artifacts), packing (exchange.packing).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
from marshmallow import fields, validate

from sessionstore.disk import files
from sessionstore.errors import SessionNotFound
from sessionstore.exchange.bundle import TAR_ZST, ZIP, form_of
from sessionstore.exchange.merge import MergeReport
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.store.history import History

TAG = "bundles"
MAX_BUNDLE_BYTES = 1 << 40
#: Sessions that a preview lists one by one.
MOST_LISTED = 1000
_PREFIX = "sent-"


class BundleQuery(api_schemas.Strict):
    """How the bundle is called."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=300))


class BundleReply(api_schemas.Open):
    """What a bundle holds, and what a merge of it would do or did."""

    bundle_id = fields.String(required=True)
    name = fields.String(required=True)
    counts = fields.Dict(required=True, metadata={"description": "Sessions by action: copied, updated, same ..."})
    sessions = fields.List(fields.Dict(), required=True, metadata={"description": f"The first {MOST_LISTED}."})
    bytes = fields.Integer(required=True)
    change_id = fields.String(required=True, allow_none=True, metadata={"description": "For the undo."})


async def send_bundle(call: Call) -> Reply:
    """Take a bundle in, verify it, and return what a merge would do; nothing becomes visible."""
    form = form_of(Path(call.query["name"]))
    if form is None:
        raise ApiProblem(400, "bad-bundle", f"a bundle is a {ZIP} or a {TAR_ZST}")
    bundle_id = str(uuid.uuid4())
    path = _folder(call, bundle_id) / f"bundle{form}"
    try:
        await _save(call, path)
        report = await anyio.to_thread.run_sync(lambda: call.context.store.merge(path, dry_run=True))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(files.remove_tree, path.parent)
        raise
    return _reply(report, bundle_id, call.query["name"])


async def _save(call: Call, path: Path) -> None:
    def begin() -> int:
        call.context.store.root.prepare()
        files.make_dir(path.parent)
        return files.open_to_append(path, durable=False)

    parts: AsyncIterator[bytes] = call.body
    descriptor = await anyio.to_thread.run_sync(begin)
    try:
        async for part in parts:
            await anyio.to_thread.run_sync(_write, descriptor, part, path)
    finally:
        os.close(descriptor)


def _write(descriptor: int, part: bytes, path: Path) -> None:
    with files.refusals(path):
        files.write_all(descriptor, part, path)


def merge_bundle(call: Call) -> Reply:
    """Merge a bundle that was sent; one undo takes it back."""
    path = _found(call)
    report = call.context.store.merge(path)
    files.remove_tree(path.parent)
    return _reply(report, call.path["bundle_id"], path.name)


def drop_bundle(call: Call) -> Reply:
    """Remove a bundle that was sent."""
    files.remove_tree(_found(call).parent)
    return json_reply({})


def undo_merge(call: Call) -> Reply:
    """Take a merge back."""
    change = History(call.context.store).undo(call.path["change_id"])
    return json_reply({"change_id": change.change_id})


def _folder(call: Call, bundle_id: str) -> Path:
    try:
        name = str(uuid.UUID(bundle_id))
    except ValueError as error:
        raise SessionNotFound(f"there is no bundle {bundle_id!r}") from error
    return call.context.store.root.staging / f"{_PREFIX}{name}"


def _found(call: Call) -> Path:
    for entry in files.entries(_folder(call, call.path["bundle_id"])):
        return Path(entry.path)
    raise SessionNotFound("this bundle is not here any more; send it again")


def _reply(report: MergeReport, bundle_id: str, name: str) -> Reply:
    listed = [
        {"session_id": each.source_id, "here": each.session_id, "action": each.action, "reason": each.reason}
        for each in report.outcomes
    ]
    counts: dict[str, int] = {}
    for each in report.outcomes:
        counts[each.action] = counts.get(each.action, 0) + 1
    answer: dict[str, Any] = {
        "bundle_id": bundle_id, "name": name, "counts": counts, "sessions": listed[:MOST_LISTED],
        "bytes": sum(each.bytes for each in report.outcomes), "change_id": report.change_id,
    }  # fmt: skip
    return json_reply(answer)


def operations() -> list[Operation]:
    """Return the routes of this module."""
    one = "/api/bundles/{bundle_id}"
    return [
        Operation(
            "POST", "/api/bundles", send_bundle, "Send a bundle, and see what a merge would do", TAG,
            query=BundleQuery(), upload=True, max_body=MAX_BUNDLE_BYTES, reply=BundleReply(), status=200,
            problems=(400, 409, 413, 415, 503, 507),
        ),
        Operation(
            "POST", one + "/merge", merge_bundle, "Merge a bundle that was sent", TAG, reply=BundleReply(),
            problems=(404, 409, 503, 507),
        ),
        Operation("DELETE", one, drop_bundle, "Drop a bundle that was sent", TAG, reply=api_schemas.ANY_REPLY,
                  problems=(404,)),
        Operation(
            "POST", "/api/merges/{change_id}/undo", undo_merge, "Take a merge back", TAG,
            reply=api_schemas.ANY_REPLY, problems=(404, 409, 503),
        ),
    ]  # fmt: skip
