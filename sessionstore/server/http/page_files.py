"""The files of the web page: read once, served from memory by their exact names, so that no path leads elsewhere.

What the page shows stands in its address, so the addresses of its places all give ``index.html``, with the modules of
the place named in its head: a browser asks for all of them at once instead of one level of imports after another.
Not here: the page itself (the folder ``web``), the policy for scripts (security).
"""

from __future__ import annotations

import functools
import mimetypes
import posixpath
import re
from pathlib import Path

from sessionstore.server.http import page_constants
from sessionstore.server.http.reply import Reply, content_etag

WEB_FOLDER = Path(__file__).parents[1] / "web"
#: The first part of the addresses that the page handles by itself.
PAGES = ("", "sessions", "session", "compare", "sweeps", "control", "query", "trash")
_INDEX, _PRELOADS, _MAIN = "/index.html", "<!-- preloads -->\n", "/app/main.js"
_IMPORTED = re.compile(r"""(?:\bfrom|^import) '(\.[^']+)'""", re.M)
_PLACE = re.compile(r"""^ *(\w+): \[.*import\('\./(\w+\.js)'\)""", re.M)
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
        self._pages = self._made_pages()

    def _made_pages(self) -> dict[str, Reply]:
        """Return the page of each place, with the modules that the place begins with in its head."""
        index = self._files.get(_INDEX)
        if index is None:
            return {}
        text = index.body.decode()
        found = {}
        for place, module in _PLACE.findall(self._text(_MAIN)):
            links = (f'<link rel="modulepreload" href="{each}">\n' for each in self.modules_of(_MAIN, f"/app/{module}"))
            body = text.replace(_PRELOADS, "".join(links)).encode()
            found[place] = Reply(body, content_type=_TYPES[".html"], etag=content_etag(body))
            found[place].pack()
        return found

    def modules_of(self, *entries: str) -> list[str]:
        """Return the addresses of modules and of all that they import at once."""
        found: dict[str, None] = {}
        waiting = list(entries)
        for address in waiting:
            if address not in found and address in self._files:
                found[address] = None
                folder = posixpath.dirname(address)
                waiting += [
                    posixpath.normpath(posixpath.join(folder, n)) for n in _IMPORTED.findall(self._text(address))
                ]
        return list(found)

    def _text(self, address: str) -> str:
        return self._files[address].body.decode()

    def add(self, address: str, body: bytes, suffix: str) -> None:
        """Serve these bytes at this address too (such as plotly.js out of its wheel)."""
        kind = _TYPES.get(suffix) or mimetypes.guess_type("x" + suffix)[0] or "application/octet-stream"
        reply = Reply(body, content_type=kind, etag=content_etag(body))
        reply.pack()
        self._files[address] = reply

    def find(self, path: str) -> Reply | None:
        """Return the reply for an address, or None."""
        found = self._files.get(path)
        place = path.split("/")[1] if "/" in path else None
        if found is None and place in PAGES:
            found = self._pages.get(place or "sessions") or self._files.get(_INDEX)
        return found


@functools.lru_cache(maxsize=1)
def web_files() -> WebFiles:
    """Return the files of the page, read once."""
    return WebFiles()
