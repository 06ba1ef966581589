"""``list``, ``show``, ``tail`` and ``set``: list, read and edit sessions.

Not here: deleting (cli.trash), recording (cli.run), checks (cli.maintenance).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from sessionstore.cli import text
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.errors import InvalidQuery, InvalidRecord
from sessionstore.query import MISSING

if TYPE_CHECKING:
    from sessionstore.model.records import SessionRecord, SessionRow
    from sessionstore.session import Session

_DEFAULT_LIMIT = 50
_COLUMNS = ("status", "session", "started", "planned", "simulated", "phase", "windows", "distance", "points", "note")


def _column(row: SessionRow, name: str) -> str:
    """Return one cell of the list, for a named column, a field or metadata.key."""
    made = _CELLS.get(name)
    if made is not None:
        return str(made(row))
    value = _value(row, name)
    if value is None:
        return "-"
    return text.shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _value(row: SessionRow, name: str) -> Any:
    """Return what a column shows, as it is stored: seconds, metres, counts; None when missing."""
    from sessionstore.model.records import FILTER_ALIASES, FILTER_FIELDS

    first, *keys = name.split(".")
    first = FILTER_ALIASES.get(first, _FIELD_OF.get(first, first))
    if first == "note":
        return _note(row)
    if first not in FILTER_FIELDS:
        known = ", ".join((*_COLUMNS, *FILTER_FIELDS))
        raise InvalidQuery(f"there is no column {name!r} (there are {known})")
    value = row.get((first, *keys))
    return None if value is MISSING else value


_FIELD_OF = {
    "session": "session_id", "started": "started_at", "planned": "duration_planned_s", "simulated": "duration_sim_s",
    "distance": "distance_m",
}  # fmt: skip


_CELLS: dict[str, Any] = {
    "status": lambda row: row.status,
    "session": lambda row: text.shown(row.session_id),
    "started": lambda row: text.when(row.started_at),
    "planned": lambda row: text.duration(row.duration_planned_s),
    "simulated": lambda row: text.duration(row.duration_sim_s),
    "phase": lambda row: text.shown(row.workflow_state),
    "windows": lambda row: text.count(row.windows_cleaned),
    "distance": lambda row: text.distance(row.distance_m),
    "points": lambda row: text.count(row.points),
    "note": lambda row: text.shown(_note(row)),
}


def _note(row: SessionRow) -> str:
    place = f"on {row.host}" + ("" if row.openable else ", not here") if row.host is not None else ""
    ended = row.end_reason if row.end_reason and row.end_reason != row.status else ""
    return "; ".join(part for part in (place, row.problem or ended) if part)


@click.command("list")
@click.argument("filters", nargs=-1)
@click.option("--sort", default="-created_at", show_default=True, help="A field or metadata.key; - for descending.")
@click.option("--limit", type=click.IntRange(min=0), help=f"Maximum rows; 0 = all (default {_DEFAULT_LIMIT}).")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Skip the first N rows.")
@click.option("--columns", help="Comma-separated: " + ", ".join(_COLUMNS) + ", any field, metadata.KEY.")
@click.option("--no-verify", is_flag=True, help="Trust the index; do not look for records that were edited by hand.")
@json_option
@store_options
def list_command(
    filters: tuple[str, ...],
    sort: str,
    limit: int | None,
    offset: int,
    columns: str | None,
    no_verify: bool,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """List sessions, the newest first.

    FILTERS are clauses such as status=failed, 'metadata.num_drones>5', name~butterfly, joined by and, or, not; a
    word by itself searches names, ids, tags and metadata.
    """
    from sessionstore.boxes.session_db_box import row_as_dict

    with open_store(folder, index) as store:
        rows = store.find(" ".join(filters), sort, verify=not no_verify)
        root, notice = store.root, store.notice
    if notice is not None:  # the index engine is unavailable: the answer is correct, but slow
        click.echo(text.shown(notice), err=True)
    most = limit if limit is not None else (0 if as_json else _DEFAULT_LIMIT)
    page = rows[offset : offset + most if most else None]
    named = [name.strip() for name in columns.split(",")] if columns else []
    if as_json:
        plain = [{name: _value(row, name) for name in named} if named else row_as_dict(store, row) for row in page]
        _print_json(plain)
        return
    if not rows:
        found = "no session matches" if filters else f"no sessions yet in {root.path}; record one: sessionstore run"
        click.echo(found, err=True)
        return
    names = named or _used(page)
    cells = [[_column(row, name) for name in names] for row in page]
    click.echo(text.table(names, cells, names.index("status") if "status" in names else None))
    if len(page) < len(rows):
        click.echo(f"{len(page):,} of {len(rows):,} sessions; --limit 0 shows all", err=True)


def _used(rows: list[SessionRow]) -> list[str]:
    """Return the default columns, the note only where there is one."""
    return [name for name in _COLUMNS if name != "note" or any(map(_note, rows))]


@click.command()
@click.argument("session", default="latest")
@json_option
@store_options
def show(session: str, as_json: bool, folder: str | None, index: str | None) -> None:
    """Show one session: its record, drones, phases and streams.

    SESSION is an id, its unique beginning, a uuid, its name, or latest.
    """
    with open_store(folder, index) as store:
        found = store.get(session)
        if as_json:
            from sessionstore.boxes.session_db_box import as_dict

            streams = {name: {"records": tape.count(), "bytes": tape.size()} for name, tape in found.tapes().items()}
            _print_json({**as_dict(found), "streams": streams, "transitions": found.transitions()})
            return
        for block in _blocks(found):
            click.echo(block)


def _blocks(session: Session) -> list[str]:
    record, status, reason = session.record, session.status, session.interrupted()
    planned = f" of {text.duration(record.duration_planned_s)}" if record.duration_planned_s is not None else ""
    facts = [
        ("status", click.style(status, fg=text.STATUS_COLOURS.get(status)) + (f": {reason}" if reason else "")),
        ("end reason", record.end_reason),
        ("phase", record.workflow_state),
        ("name", record.session_name),
        ("tags", ", ".join(record.tags)),
        ("notes", record.notes),
        ("created", f"{record.created_at}  (revision {record.rev}, {record.created_by})"),
        ("started", record.started_at),
        ("ended", record.ended_at),
        ("simulated", f"{text.duration(record.duration_sim_s)}{planned}"),
        ("wall time", None if record.duration_wall_s is None else text.duration(record.duration_wall_s)),
        ("buildings", f"{_known(record.num_buildings)} and {_known(record.num_invisible_buildings)} hidden"),
        ("metadata", json.dumps(record.metadata, ensure_ascii=False) if record.metadata else None),
        ("uuid", record.uuid),
        ("replay", "available" if session.replay_available else "not available: no drone has two motion points"),
        ("folder", str(session.folder)),
    ]
    lines = [click.style(text.shown(session.session_id), bold=True)]
    lines += [f"  {name:<11}{value if name == 'status' else text.shown(value)}" for name, value in facts if value]
    return ["\n".join(lines), *_drone_table(record), *_phase_table(session), *_stream_table(session)]


def _known(number: int | None) -> str:
    return "unknown" if number is None else str(number)


def _drone_table(record: SessionRecord) -> list[str]:
    figures = record.performance_metrics.get("drones") or {}
    kinds = {str(drone.get("id", "?")): str(drone.get("kind", "-")) for drone in record.drones}
    rows = []
    for name in {**kinds, **figures}:
        drone = figures.get(name, {})
        rows.append(
            (
                text.shown(name),
                text.shown(kinds.get(name, "-")),
                text.count(drone.get("points")),
                text.distance(drone.get("distance_m")),
                _speed(drone.get("mean_speed_mps")),
                _speed(drone.get("max_speed_mps")),
                "" if drone.get("moved", True) else "never moved",
            )
        )
    return ["\n" + text.table(("drone", "kind", "points", "distance", "mean", "max", ""), rows)] if rows else []


def _speed(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} m/s"


def _phase_table(session: Session) -> list[str]:
    moves = [move for move in session.transitions() if move.get("field") == "workflow_state"]
    rows = [
        (
            "-" if move.get("sim_time") is None else f"{move['sim_time']:.1f} s",
            text.shown(f"{move.get('old')} -> {move.get('new')}"),
            text.shown(str(move.get("reason") or "")),
        )
        for move in moves
    ]
    return ["\n" + text.table(("at", "phase", "reason"), rows)] if rows else []


def _stream_table(session: Session) -> list[str]:
    rows = []
    for name, tape in session.tapes().items():
        last = tape.last()
        rows.append(
            (
                name,
                "0" if last is None else text.count(last.n + 1),
                "-" if last is None else f"{last.t_s:.1f} s",
                text.size(tape.size()),
            )
        )
    return ["\n" + text.table(("stream", "records", "up to", "size"), rows)] if rows else []


@click.command()
@click.argument("session", default="latest")
@click.argument("stream", default="events")
@click.option("-f", "--follow", is_flag=True, help="Print new records until the session ends.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="Start N records from the end."
)
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they are stored.")
@store_options
def tail(
    session: str, stream: str, follow: bool, lines: int, as_json: bool, folder: str | None, index: str | None
) -> None:
    """Print the last records of a stream (log, events, motion_history, ...), and follow it with -f."""
    with open_store(folder, index) as store:
        found = store.get(session)
        tape = found.tape(stream)
        if not tape.exists():
            begun = ", ".join(found.tapes()) or "none"
            click.echo(f"the stream {stream} of {found.session_id} does not exist (there are: {begun})", err=True)
        start = tape.last_lines(lines)
        ended = lambda: not follow or found.status not in ("created", "running", "paused")  # noqa: E731
        for line in tape.follow(start, stop=ended):
            if as_json:
                sys.stdout.write(json.dumps({"n": line.n, "t": line.t_s, **line.data}, ensure_ascii=False) + "\n")
            else:
                click.echo(f"{line.t_s:>10.3f} s  {text.shown(_sentence(line.data))}")
            sys.stdout.flush()


def _sentence(data: dict[str, Any]) -> str:
    """Return a record for reading: level, kind and message first, the rest as key=value."""
    head = [str(data[key]) for key in ("level", "kind", "message") if data.get(key)]
    rest = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in data.items()
        if key not in ("level", "kind", "message")
    ]
    return "  ".join(head + rest)


@click.command("set")
@click.argument("session")
@click.option("--name", help="The new name; id and folder keep theirs.")
@click.option("--tag", "tags", multiple=True, help="Add a tag.")
@click.option("--untag", "untags", multiple=True, help="Remove a tag.")
@click.option("--notes", help="Replace the notes.")
@click.option("--meta", "meta", multiple=True, metavar="KEY=VALUE", help="Set metadata; VALUE is JSON, or text.")
@click.option("--unset", "unset", multiple=True, metavar="KEY", help="Remove metadata.")
@click.option("--if-rev", type=int, help="Only if the record still has this revision.")
@json_option
@store_options
def set_command(
    session: str,
    name: str | None,
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    notes: str | None,
    meta: tuple[str, ...],
    unset: tuple[str, ...],
    if_rev: int | None,
    as_json: bool,
    folder: str | None,
    index: str | None,
) -> None:
    """Edit name, tags, notes and metadata; exit code 5 if the record no longer has the revision --if-rev."""
    pairs = dict(_pair(each) for each in meta)
    if name is None and notes is None and not (tags or untags or pairs or unset):
        raise click.UsageError("nothing to change: give --name, --tag, --untag, --notes, --meta or --unset")

    def change(record: dict[str, Any]) -> None:
        if name is not None:
            record["session_name"] = name
        if notes is not None:
            record["notes"] = notes
        record["tags"] = [tag for tag in dict.fromkeys((*record["tags"], *tags)) if tag not in untags]
        record["metadata"] = {key: value for key, value in {**record["metadata"], **pairs}.items() if key not in unset}

    with open_store(folder, index) as store:
        found = store.get(session)
        record = store.edit(found.session_id, change, if_rev=if_rev)  # so that `undo` can take it back
        if as_json:
            _print_json(record.to_dict())
        else:
            click.echo(f"{text.shown(found.session_id)} is now at revision {record.rev}", err=True)


def _pair(text_given: str) -> tuple[str, Any]:
    key, equals, value = text_given.partition("=")
    if not equals or not key:
        raise InvalidRecord(f"--meta takes KEY=VALUE, not {text_given!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
