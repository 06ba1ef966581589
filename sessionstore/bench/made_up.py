"""An S3 server that makes its answers up: a store of any size that takes no room, and a count of what it was asked.

``python -m sessionstore.bench.made_up SESSIONS STREAM_BYTES`` prints its port and serves until stdin ends. A session
has ten objects: the record, a stream of motion of STREAM_BYTES, and eight more. ListObjectsV2 and GET with ranges are
answered, and ``/counts`` (which sets them to zero). Every byte of a stream follows from its place.
Not here: what is measured with it (bench.growth).
"""

from __future__ import annotations

import json
import sys
import threading
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from sessionstore.bench.rows import a_row
from sessionstore.exchange.remote import manifest
from sessionstore.layout import DOCUMENT
from sessionstore.model import json_text
from sessionstore.session.stream_line import line_bytes

BUCKET, STORE, BARE = "growth", "fleet", "bare"
STREAMS = 8
#: The first number, chosen so that all lines have one length.
_FIRST = 1_000_000_000
_DATE = "2026-11-28T12:00:00.000Z"


class Fleet:
    """The objects of a store by their keys: sizes, and bytes of any range.

    Args:
        sessions: how many there are; below ``bare/`` stand as many without a manifest, at most 1,000.
    """

    def __init__(self, sessions: int, stream_bytes: int) -> None:
        self.rows = {row.session_id: row for row in (a_row(number) for number in range(sessions))}
        self.ids = sorted(self.rows, key=lambda each: f"{each}/")
        self.line_bytes = len(_line(0))
        self.sizes = {f"stream{number}.jsonl": 20 * self.line_bytes for number in range(STREAMS)}
        self.sizes["motion_history.jsonl"] = stream_bytes // self.line_bytes * self.line_bytes
        entries = _entries(self)
        self.manifest = {
            f"{manifest.FOLDER}/0-all{manifest.SUFFIX}": manifest.packed(manifest.Piece(manifest.FORMAT, entries)),
            f"{manifest.FOLDER}/0-all{manifest.ROWS_SUFFIX}": manifest.packed(manifest.rows_of(entries)),
        }

    def record(self, session_id: str) -> bytes:
        """Return a session.json."""
        row = self.rows[session_id]
        document = {
            "session_id": session_id, "uuid": row.uuid, "session_name": row.session_name, "format": 1, "rev": 1,
            "status": row.status, "workflow_state": row.workflow_state,
            "created_at": row.created_at, "updated_at": row.updated_at,
            "metadata": json.loads(bytes(row.raw_metadata)),
        }  # fmt: skip
        return json_text.layout({"session": {"1": document}})

    def object(self, key: str) -> tuple[int, str] | None:
        """Return size and ETag of an object, or None."""
        top, _, name = key.partition("/")
        session_id, _, file = name.partition("/")
        if name in self.manifest and top == STORE:
            size = len(self.manifest[name])
        elif session_id not in self.rows:
            return None
        elif file == DOCUMENT:
            size = len(self.record(session_id))
        elif file in self.sizes:
            size = self.sizes[file]
        else:
            return None
        return size, md5(f"{key}{size}".encode(), usedforsecurity=False).hexdigest()

    def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes of a range."""
        name = key.partition("/")[2]
        if name in self.manifest:
            return self.manifest[name][start:end]
        session_id, _, file = name.partition("/")
        if file == DOCUMENT:
            return self.record(session_id)[start:end]
        first = start // self.line_bytes
        lines = b"".join(_line(number) for number in range(first, -(-end // self.line_bytes)))
        return lines[start - first * self.line_bytes : end - first * self.line_bytes]

    def keys(self, top: str, after: str) -> list[str]:
        """Return up to some keys of a session or of the next ones, in order, behind a key."""
        ids = self.ids if top == STORE else self.ids[:1000]
        inside = after.removeprefix(f"{top}/")
        place = max(0, bisect_right(ids, inside, key=lambda each: f"{each}/") - 1)
        found: list[str] = sorted(f"{top}/{name}" for name in self.manifest) if top == STORE else []
        for session_id in ids[place : place + 200]:
            found += sorted(f"{top}/{session_id}/{file}" for file in (DOCUMENT, *self.sizes))
        return [key for key in found if key > after]


def _entries(fleet: Fleet) -> dict[str, manifest.Entry]:
    """Return the manifest of the whole store; its digests are as hard to compress as real ones."""
    entries = {}
    for session_id, row in fleet.rows.items():
        files = {file: (size, sha256(f"{session_id}{file}".encode()).hexdigest()) for file, size in fleet.sizes.items()}
        files[DOCUMENT] = (row.size, sha256(session_id.encode()).hexdigest())
        entries[session_id] = manifest.Entry(row, files, [sha256(row.uuid.encode()).hexdigest()[:16]])
    return entries


@lru_cache(maxsize=1 << 16)
def _line(number: int) -> bytes:
    """Return a line of motion; 100 a second, all of one length."""
    payload = b'{"drone":"scout-1","position":[%08.3f,%08.3f,%07.3f]}' % (
        1000 + number % 9973 / 11, 1000 + number % 9941 / 13, 100 + number % 97 / 7,
    )  # fmt: skip
    time_text = b"%.2f" % (_FIRST / 100 + number / 100)
    return line_bytes(payload, _FIRST + number, time_text, b"")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fleet: Fleet
    counts: ClassVar[dict[str, int]] = {"requests": 0, "bytes": 0}
    lock = threading.Lock()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/counts":
            with self.lock:
                data = json.dumps(self.counts).encode()
                self.counts.update(requests=0, bytes=0)
            self._answer(200, data, counted=False)
            return
        _, _, key = unquote(parts.path).lstrip("/").partition("/")
        if not key:
            self._answer(200, self._listing({name: each[0] for name, each in parse_qs(parts.query).items()}))
            return
        found = self.fleet.object(key)
        if found is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        (size, mark), wanted = found, self.headers.get("Range", "").removeprefix("bytes=")
        start, _, last = wanted.partition("-")
        low, high = int(start or 0), min(size, int(last) + 1) if last else size
        more = {"Content-Range": f"bytes {low}-{high - 1}/{size}"} if wanted else {}
        more |= {"ETag": f'"{mark}"', "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}
        if self.command == "HEAD":
            self._answer(200, b"", size, headers=more)
        else:
            self._answer(206 if wanted else 200, self.fleet.read(key, low, high), headers=more)

    do_HEAD = do_GET

    def _listing(self, asked: dict[str, str]) -> bytes:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        most = int(asked.get("max-keys", 1000))
        after = asked.get("continuation-token") or asked.get("start-after") or ""
        top = prefix.partition("/")[0]
        items: list[str] = []
        last, ended = max(after, prefix), False
        while len(items) < most and not ended:
            keys = self.fleet.keys(top, last) if top in (STORE, BARE) else []
            ended = True
            for key in keys:
                ended = False
                last = key
                if not key.startswith(prefix):
                    ended = key > prefix
                    if ended:
                        break
                    continue
                inner = key.removeprefix(prefix)
                if delimiter and delimiter in inner:
                    folder = prefix + inner.partition(delimiter)[0] + delimiter
                    last = folder + "\x7f"  # nothing of it again
                    items.append(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>")
                    break
                size, mark = self.fleet.object(key) or (0, "")
                items.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{_DATE}</LastModified>"
                    f"<ETag>&quot;{mark}&quot;</ETag><Size>{size}</Size></Contents>"
                )
                if len(items) >= most:
                    break
        more = "" if ended else f"<NextContinuationToken>{escape(last)}</NextContinuationToken>"
        head = f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(items)}</KeyCount>"
        truncated = f"<IsTruncated>{str(not ended).lower()}</IsTruncated>"
        return f"<ListBucketResult>{head}{truncated}{more}{''.join(items)}</ListBucketResult>".encode()

    def _answer(
        self,
        status: int,
        data: bytes,
        size: int | None = None,
        counted: bool = True,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if counted:
            with self.lock:
                self.counts["requests"] += 1
                self.counts["bytes"] += len(data)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if size is None else size))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main(sessions: str, stream_bytes: str) -> None:
    """Serve until stdin ends."""
    _Handler.fleet = Fleet(int(sessions), int(stream_bytes))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
