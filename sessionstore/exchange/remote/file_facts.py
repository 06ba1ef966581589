"""Size and version of a remote file: what changes when its content does.

Not here: where they come from (remote.places, remote.zipped).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size in bytes, and what changes when the content does; an empty version is not known."""

    size: int
    version: str


def facts_of(entry: Mapping[str, Any]) -> FileFacts:
    """Return size and version out of what fsspec says of a file."""
    mark = entry.get("ETag") or entry.get("etag") or entry.get("content_md5")
    mark = mark or entry.get("mtime") or entry.get("LastModified") or entry.get("created") or ""
    mark = mark.timestamp() if isinstance(mark, datetime) else mark
    size = int(entry.get("size") or 0)
    return FileFacts(size, f"{mark}/{size}" if mark else "")
