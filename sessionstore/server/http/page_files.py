"""The files of the web page: read once, served from memory by their exact names, so that no path leads elsewhere.

What the page shows stands in its address, so the addresses of its places all give ``index.html``.
Not here: the page itself (the folder ``web``), the policy for scripts (security).
"""

from __future__ import annotations

import functools
import mimetypes
from pathlib import Path

from sessionstore.server.http import page_constants
from sessionstore.server.http.reply import Reply, content_etag

WEB_FOLDER = Path(__file__).parents[1] / "web"
#: The first part of the addresses that the page handles by itself.
PAGES = ("", "sessions", "session", "compare", "sweeps", "control", "query", "trash")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


class WebFiles:
    """All files below one folder, each with its type, entity tag and compressed form."""

    def __init__(self, folder: Path = WEB_FOLDER) -> None:
        self._files: dict[str, Reply] = {}
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                self.add("/" + path.relative_to(folder).as_posix(), path.read_bytes(), path.suffix)
        self.add(page_constants.ADDRESS, page_constants.module_text().encode(), ".js")

    def add(self, address: str, body: bytes, suffix: str) -> None:
        """Serve these bytes at this address too (such as plotly.js out of its wheel)."""
        kind = _TYPES.get(suffix) or mimetypes.guess_type("x" + suffix)[0] or "application/octet-stream"
        reply = Reply(body, content_type=kind, etag=content_etag(body))
        reply.pack()
        self._files[address] = reply

    def find(self, path: str) -> Reply | None:
        """Return the reply for an address, or None."""
        found = self._files.get(path)
        if found is None and path.split("/")[1:2] and path.split("/")[1] in PAGES and "." not in path.split("/")[1]:
            found = self._files.get("/index.html")
        return found


@functools.lru_cache(maxsize=1)
def web_files() -> WebFiles:
    """Return the files of the page, read once."""
    return WebFiles()
