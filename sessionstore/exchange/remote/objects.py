"""Small objects of S3: a listing of neighbouring folders by one request, and a put that is proved by its answer.

A put carries the MD5 of the bytes, which the service compares before it keeps them; the ETag of its answer is that MD5,
unless the service encrypts with a key of its own.
Not here: large files (remote.multipart), other protocols (remote.places).
"""

from __future__ import annotations

import base64
import errno
from collections.abc import Callable, Sequence
from hashlib import md5
from typing import Any

from sessionstore.errors import RemoteUnavailable
from sessionstore.exchange.remote.file_facts import FileFacts, facts_of

#: Objects of one answer (ListObjectsV2).
PAGE = 1000
SMALL_BYTES = 8 << 20
Attempt = Callable[[Callable[[], Any]], Any]


def below(fs: Any, base: str, folders: Sequence[str], attempt: Attempt) -> dict[str, dict[str, FileFacts]]:
    """Return the objects of those folders that the first page of a listing covers whole; of the others nothing.

    Args:
        fs: the S3 file system of s3fs.
        attempt: runs one request with retries.
    """
    bucket, prefix, _ = fs.split_path(f"{base}/")
    prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
    keys = {f"{prefix}{folder}/": folder for folder in folders}
    first = min(keys, key=str.encode).rstrip("/")
    asked = {"Bucket": bucket, "Prefix": prefix, "StartAfter": first, "MaxKeys": PAGE}
    page = attempt(lambda: fs.call_s3("list_objects_v2", **asked))
    found: dict[str, dict[str, FileFacts]] = {folder: {} for folder in folders}
    last = b""
    for each in page.get("Contents") or []:
        key = str(each["Key"])
        last = key.encode()
        folder, _, inner = key.removeprefix(prefix).partition("/")
        if folder in found and inner:
            found[folder][inner] = facts_of({**each, "size": each["Size"]})
    if page.get("IsTruncated"):  # a folder that the page may not have ended with is asked for by itself
        for key, folder in keys.items():
            if key.encode() + b"\xff" >= last:
                del found[folder]
    return found


def read_small(fs: Any, path: str) -> bytes | None:
    """Return a small object by one request; s3fs asks for the size of a whole one first. None: it is large, or empty.

    Raises: FileNotFoundError; what s3fs raises.
    """
    try:
        data = bytes(fs.cat_file(path, start=0, end=SMALL_BYTES))
    except OSError as error:
        if error.errno != errno.EINVAL:  # InvalidRange: no range of an empty object can be had
            raise
        return None
    return data if len(data) < SMALL_BYTES else None


def send(fs: Any, path: str, data: bytes, attempt: Attempt) -> bool:
    """Send bytes as one object; return whether the answer proves that the same bytes stand there.

    Raises: RemoteUnavailable: other bytes arrived.
    """
    bucket, key, _ = fs.split_path(path)
    digest = md5(data, usedforsecurity=False)
    checked = base64.b64encode(digest.digest()).decode()
    answer = attempt(lambda: fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, ContentMD5=checked))
    mark = str(answer.get("ETag") or "").strip('"').lower()
    if mark == digest.hexdigest():
        return True
    if len(mark) == 32 and "ServerSideEncryption" not in answer and "SSECustomerAlgorithm" not in answer:
        raise RemoteUnavailable(f"s3://{bucket}/{key}: other bytes arrived than were sent")
    return False
