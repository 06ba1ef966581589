"""``sessionstore show`` and ``info``: one session, its record, drones, phases and streams.

Not here: lists (cli.list), records of a stream (cli.tail).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import click

from sessionstore.cli import output, text
from sessionstore.cli.completion import complete_sessions
from sessionstore.cli.list import OPEN
from sessionstore.cli.lookup import find_session, session_at
from sessionstore.cli.options import json_option, open_store, store_options
from sessionstore.cli.remarks import NOT_WHOLE, report_all

if TYPE_CHECKING:
    from sessionstore.model.record import SessionRecord
    from sessionstore.model.row import SessionRow
    from sessionstore.session import Session
    from sessionstore.session.stream_reader import Tape


@click.command()
@click.argument("session", default="latest", shell_complete=complete_sessions)
@json_option
@store_options
def show(session: str, as_json: bool, folder: str | None, index: str | None) -> None:
    """Show one session: its record, drones, phases and streams.

    SESSION is an id, its unique beginning, a uuid, its name, the path of its folder, or latest. Exit code
    12 if records of a stream are damaged or were edited by hand.
    """
    with open_store(folder, index) as store:
        found = find_session(store, session, elsewhere=True)
        _print(found, as_json, store.find(f'metadata.rerun_of="{found.session_id}"'))


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=FilePath))
@json_option
def info(path: FilePath, as_json: bool) -> None:
    """Show the session in a folder anywhere, inside or outside a store."""
    _print(session_at(path), as_json)


def _print(session: Session, as_json: bool, reruns: Sequence[SessionRow] = ()) -> None:
    if not as_json:
        for block in _blocks(session, reruns):
            click.echo(block)
        _exit(session)
        return
    from sessionstore.boxes.session_db_box import as_dict

    streams = {name: {"records": tape.count(), "bytes": tape.size()} for name, tape in session.tapes().items()}
    output.print_json({**as_dict(session), "streams": streams, "transitions": session.transitions()})
    _exit(session)


def _exit(session: Session) -> None:
    if report_all([session]):
        sys.exit(NOT_WHOLE)


def _blocks(session: Session, reruns: Sequence[SessionRow]) -> list[str]:
    record, status, reason = session.record, session.status, session.interrupted()
    planned = f" of {text.duration(record.duration_planned_s)}" if record.duration_planned_s is not None else ""
    facts = [
        ("status", click.style(status, fg=text.STATUS_COLOURS.get(status)) + (f": {reason}" if reason else "")),
        ("end reason", record.end_reason if record.end_reason != record.status else None),
        ("phase", record.workflow_state),
        ("name", record.session_name),
        ("tags", ", ".join(record.tags)),
        ("notes", record.notes),
        ("created", f"{record.created_at}  (revision {record.rev}, {record.created_by})"),
        ("merged from", _origin(record)),
        ("rerun of", record.metadata.get("rerun_of")),
        ("reruns", ", ".join(map(_rerun, reruns))),
        ("started", record.started_at),
        ("ended", record.ended_at),
        ("simulated", f"{text.duration(_simulated(session, record, status))}{planned}"),
        ("wall time", None if record.duration_wall_s is None else text.duration(record.duration_wall_s)),
        ("buildings", _buildings(record)),
        ("metadata", json.dumps(record.metadata, ensure_ascii=False) if record.metadata else None),
        ("uuid", record.uuid),
        ("replay", "available" if session.replay_available else "not available: no drone has two motion points"),
        ("folder", str(session.folder)),
    ]
    lines = [click.style(text.shown(session.session_id), bold=True)]
    lines += [f"  {name:<11}{value if name == 'status' else text.shown(value)}" for name, value in facts if value]
    return ["\n".join(lines), *_drone_table(record), *_phase_table(session), *_stream_table(session)]


def _simulated(session: Session, record: SessionRecord, status: str) -> float | None:
    """Return the seconds of the record; of an open run whose record does not say them, those of its streams."""
    if record.duration_sim_s is not None or status not in OPEN:
        return record.duration_sim_s
    from sessionstore.playback.observed import reach

    far = reach(session.tapes())
    return None if far is None else far.duration_sim_s


def _origin(record: SessionRecord) -> str | None:
    """Return what a merge noted: the id there; of a diverged copy the session of which it is another version."""
    noted = record.merged_from or {}
    if not noted:
        return None
    name = noted.get("session_id") or "an unknown session"
    if noted.get("uuid"):
        return f"{name}, of which it is another version (uuid {noted['uuid']}, revision {noted.get('rev')})"
    return f"{name}{', which was running' if noted.get('running') else ''}"


def _rerun(row: SessionRow) -> str:
    return f"{row.session_id} ({row.metadata.get('rerun_agrees', 'not compared')})"


def _buildings(record: SessionRecord) -> str | None:
    shown, hidden = record.num_buildings, record.num_invisible_buildings
    return f"{_known(shown)} and {_known(hidden)} hidden" if shown != 0 or hidden else None


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
                "" if drone.get("moved", True) else "not called" if drone.get("idle") else "never moved",
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
            text.shown(f"{move.get('old') or '-'} -> {move.get('new')}"),
            text.shown(str(move.get("reason") or "")),
        )
        for move in moves
    ]
    return ["\n" + text.table(("at", "phase", "reason"), rows)] if rows else []


def _stored(tape: Tape) -> str:
    """Return what a sealed stream takes of the disk."""
    from sessionstore.session import stream_source

    found = stream_source.status(tape.path) if stream_source.is_sealed(tape.path) else None
    return "" if found is None else f" (sealed: {text.size(found.st_size)})"


def _stream_table(session: Session) -> list[str]:
    rows = []
    for name, tape in session.tapes().items():
        last = tape.last()
        rows.append(
            (
                name,
                "0" if last is None else text.count(last.n + 1),
                "-" if last is None else f"{last.t_s:.1f} s",
                text.size(tape.size()) + _stored(tape),
            )
        )
    return ["\n" + text.table(("stream", "records", "up to", "size"), rows)] if rows else []
