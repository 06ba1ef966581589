"""One session as one HTML file that works without a server: the same page, with its data inside.

The modules of the page stand in an import map as data addresses, the data in a block of JSON that no markup can end;
the file asks nothing of any network. A long flight is thinned until it fits (:data:`POINTS` for each drone).
Not here: the page (web), what it shows (playback.charts, tracks).
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from sessionstore.model.json_text import utc_text
from sessionstore.playback.charts import figures
from sessionstore.playback.downsample import Find, stretch, summary_of
from sessionstore.playback.overview import Summary
from sessionstore.playback.replay import KEPT_OF_A_SLICE, Replay, last_moment_s
from sessionstore.server.http import page_constants
from sessionstore.server.http.page_files import WEB_FOLDER
from sessionstore.server.http.reply import encode
from sessionstore.server.routes.alerts import alerts_of
from sessionstore.server.routes.field_series import numeric_fields, series
from sessionstore.server.routes.tracks import columns_of, facades
from sessionstore.session import Session, stream_names

#: Of each drone and of each chart: a flight of five minutes keeps about ten points a second.
POINTS = 3000
_MOST_RECORDS = 5000
_MOST_FIELDS = 100  # numbers of the streams that the program named itself, and of its metrics, which can be charted
_FIELD_POINTS = 500
_STYLES = ("tokens.css", "page.css", "list.css", "session.css")
_IMPORT = re.compile(r"""(from\s+|import\()(['"])(\.{1,2}/[^'"]+)\2""")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data:; connect-src 'none'"
)


def page_of(session: Session, look: Find = summary_of) -> bytes:
    """Return the HTML file of a session. Raises: as ``Session.record``."""
    record = session.record
    modules = _modules()
    imports = json.dumps({"imports": {name: _address(text) for name, text in modules.items()}})
    styles = "\n".join((WEB_FOLDER / name).read_text("utf-8") for name in _STYLES)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_escaped(record.session_name or record.session_id)} · sessionstore</title>",
        f"<style>{styles}</style>",
        f'<script type="importmap">{_inert(imports)}</script>',
        f'<script type="application/json" id="data">{_inert(encode(_data(session, look)).decode())}</script>',
        '</head><body><main id="place"></main>',
        '<script type="module">import "page/app/exported.js";</script>',
        "</body></html>\n",
    ]
    return "\n".join(parts).encode()


def _data(session: Session, look: Find) -> dict[str, Any]:
    made: list[Summary | None] = []

    def find(asked: Session) -> Summary | None:
        made[:] = made or [look(asked)]  # one reading serves the tracks and the charts
        return made[0]

    window = stretch(session, None, None, POINTS // KEPT_OF_A_SLICE, max_points=POINTS, find=find)
    rows = list(session.tables().get("scene", {}).values())
    scene = {
        "base_position": session.record.base_position,
        "buildings": [each for each in rows if each.get("kind") == "building"],
        "ground": [each for each in rows if each.get("kind") == "ground"],
        "max_time": Replay(session).bounds()[1],
        "end_time": last_moment_s(session),
    }
    record = {**session.record.to_dict(), "status": session.status, "problem": session.interrupted(), "owner": None}
    return {
        "exported_at": utc_text(datetime.now(UTC)),
        "record": record,
        "transitions": session.transitions(),
        "scene": scene,
        "facades": facades(session),
        "track": {
            "start": window.start_s,
            "end": window.end_s,
            "max_time": scene["max_time"],
            "thinned": window.thinned,
            "drones": {name: columns_of(points) for name, points in window.history.items()},
        },
        "alerts": alerts_of(session),
        "figures": figures(session, points=1000, find=find),
        "series": _series(session),
        "streams": {name: _records(session, name) for name in (*stream_names.TABLED, *own_streams(session))},
    }


def _series(session: Session) -> dict[str, dict[str, Any]]:
    """Return a figure of each number of the streams that the program named itself, by stream and field."""
    found: dict[str, dict[str, Any]] = {}
    for name in (*own_streams(session), *(each for each in [stream_names.METRICS] if session.tape(each).exists())):
        for field in numeric_fields(session.tape(name))[: _MOST_FIELDS - sum(map(len, found.values()))]:
            query = {"stream": name, "field": field, "points": _FIELD_POINTS}
            found.setdefault(name, {})[field] = series(session, query)
    return found


def own_streams(session: Session) -> list[str]:
    """Return the streams that the recording program named itself."""
    return [name for name in session.tapes() if name not in (*stream_names.TABLED, *stream_names.DRAWN)]


def _records(session: Session, name: str) -> list[dict[str, Any]]:
    tape = session.tape(name)
    lines = tape.read(tape.last_lines(_MOST_RECORDS), damaged="skip")
    return [line.to_json() for line in lines]


def _modules() -> dict[str, str]:
    """Return the page's modules by the names that an import map knows them by."""
    found = {f"page{page_constants.ADDRESS}": page_constants.module_text()}
    for path in sorted(WEB_FOLDER.rglob("*.js")):
        folder = path.parent

        def renamed(match: re.Match[str]) -> str:
            target = (folder / match[3]).resolve().relative_to(WEB_FOLDER.resolve())  # noqa: B023  # used at once
            return f"{match[1]}{match[2]}page/{target.as_posix()}{match[2]}"

        name = f"page/{path.relative_to(WEB_FOLDER).as_posix()}"
        found[name] = _IMPORT.sub(renamed, path.read_text("utf-8"))
    return found


def _address(text: str) -> str:
    return "data:text/javascript;base64," + base64.b64encode(text.encode()).decode()


def _inert(text: str) -> str:
    """Return JSON in which nothing can end the block or begin a comment."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
