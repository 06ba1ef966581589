"""A large file to S3 in parts, each sent once: an upload that was interrupted goes on with the parts that are missing.

S3 keeps the parts of an unfinished upload until it is completed or aborted, with the MD5 of each. A part counts as
sent when its MD5 is that of our bytes, so that parts of an older content are replaced.
Not here: retries (remote.faults), files of other protocols, which are sent whole (remote.places).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from typing import Any

from sessionstore.disk import files

#: A larger file is sent in parts of at least this size; S3 takes at most 10,000 of them, of 5 MiB or more.
PART_BYTES = 16 << 20
MAX_PARTS = 10_000
_AT_ONCE = 4

Attempt = Callable[[Callable[[], Any]], Any]


def send(fs: Any, path: str, local: str, attempt: Attempt) -> None:
    """Send a file in parts.

    Args:
        fs: the S3 file system of s3fs.
        attempt: runs one request with retries.
    """
    bucket, key, _ = fs.split_path(path)
    where = {"Bucket": bucket, "Key": key}
    size = os.path.getsize(local)
    part_bytes = max(PART_BYTES, -(-size // MAX_PARTS))
    upload, sent = _begun(fs, where, attempt)

    def part(number: int) -> dict[str, Any]:
        data = _read(local, (number - 1) * part_bytes, min(size, number * part_bytes))
        digest = md5(data, usedforsecurity=False).hexdigest()
        mark = sent.get(number)
        if mark != digest:
            options = {**where, "UploadId": upload, "PartNumber": number, "Body": data}
            mark = attempt(lambda: fs.call_s3("upload_part", **options))["ETag"].strip('"')
        return {"PartNumber": number, "ETag": f'"{mark}"'}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        parts = list(pool.map(part, range(1, -(-size // part_bytes) + 1)))
    done = {**where, "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    attempt(lambda: fs.call_s3("complete_multipart_upload", **done))
    fs.invalidate_cache(path)


def _begun(fs: Any, where: dict[str, str], attempt: Attempt) -> tuple[str, dict[int, str]]:
    """Return the newest unfinished upload of this key and the MD5 of its parts, or a new one."""
    asked = {"Bucket": where["Bucket"], "Prefix": where["Key"]}
    found = attempt(lambda: fs.call_s3("list_multipart_uploads", **asked)).get("Uploads") or []
    ours = [each for each in found if each["Key"] == where["Key"]]
    if not ours:
        made = attempt(lambda: fs.call_s3("create_multipart_upload", **where))
        return str(made["UploadId"]), {}
    upload = str(max(ours, key=lambda each: each["Initiated"])["UploadId"])
    parts: dict[int, str] = {}
    marker = 0
    while True:
        options = {**where, "UploadId": upload, "PartNumberMarker": marker}
        page = attempt(lambda given=options: fs.call_s3("list_parts", **given))  # type: ignore[misc]
        parts |= {int(each["PartNumber"]): str(each["ETag"]).strip('"') for each in page.get("Parts") or []}
        if not page.get("IsTruncated"):
            return upload, parts
        marker = int(page["NextPartNumberMarker"])


def _read(local: str, start: int, end: int) -> bytes:
    with os.fdopen(files.open_to_read(local), "rb") as source:
        source.seek(start)
        return source.read(end - start)
