"""What the RO-Crate of a bundle says of one session, by the profile Process Run Crate 0.5.

The run is a CreateAction: its program (command, commit, interpreter, system), its inputs (files with SHA-256, the seed,
the parameters of a sweep), its result (the folder of the session), when it ran, how it ended and which variables of the
environment it had. The folder of a rerun names the session that it is based on.
Not here: the crate as a whole, the bag (exchange.bag).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import msgspec

from sessionstore.model.record import FORMAT

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
Entity = dict[str, Any]


class _Made(msgspec.Struct, gc=False):
    git: Any = None
    command: Any = None
    seed: Any = None
    python: Any = None
    platform: Any = None
    inputs: Any = None
    program: Any = None
    function: Any = None


class _Metadata(msgspec.Struct, gc=False):
    rerun_of: Any = None
    sweep: Any = None


class Described(msgspec.Struct, gc=False):
    """What the description says of one session; of its record nothing else is decoded, a fifth of the time."""

    uuid: str
    status: str
    updated_at: str
    session_id: str = ""
    format: int = FORMAT
    session_name: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    end_reason: str | None = None
    created_by: str = ""
    provenance: _Made = msgspec.field(default_factory=_Made)
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Document(msgspec.Struct, gc=False):
    session: dict[str, Described]


_decoder = msgspec.json.Decoder(_Document)


def described(data: bytes, session_id: str) -> Described | None:
    """Return what is said of a session, out of the bytes of its session.json; None where it cannot be read."""
    try:
        (found,) = _decoder.decode(data).session.values()
    except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: not one record
        return None
    found.session_id = session_id  # the name of the folder
    return found if found.format <= FORMAT else None


def session_entities(record: Described, files: Mapping[str, Mapping[str, int]]) -> list[Entity]:
    """Return the entities of one session: its folder, its files, the run, the program, what went in.

    Args:
        files: the files of each session of the bundle with their sizes, by session id.
    """
    folder, mine = f"{record.session_id}/", files[record.session_id]
    named = {folder + name: {"@type": "File", "contentSize": str(size)} for name, size in sorted(mine.items())}
    dataset: Entity = {"@id": folder, "@type": "Dataset", "name": record.session_name or record.session_id}
    dataset["hasPart"] = [{"@id": name} for name in named]
    given, elsewhere = [], []
    for each in _inputs(record, folder):
        if each["@id"] in named:  # a copy of it is in the session
            named[each["@id"]] |= {"name": each["name"], "sha256": each["sha256"]}
        else:
            each |= {"@id": f"#input-{each['sha256'][:16]}", "@type": "CreativeWork"}
            elsewhere.append(each)
        given.append(each["@id"])
    first = record.metadata.rerun_of
    if isinstance(first, str):
        dataset["isBasedOn"] = {"@id": f"{first}/" if first in files else f"#session-{quote(first)}"}
        if first not in files:
            elsewhere.append({"@id": f"#session-{quote(first)}", "@type": "CreativeWork", "name": first})
    parameters, environment = list(_parameters(record)), list(_environment(record))
    program, *needed = _program(record)
    run = _run(record, folder, program["@id"], [*given, *(each["@id"] for each in parameters)], environment)
    parts = [{"@id": name, **facts} for name, facts in named.items()]
    return [dataset, *parts, run, program, *needed, *elsewhere, *parameters, *environment]


def _run(record: Described, folder: str, program: str, given: list[str], environment: list[Entity]) -> Entity:
    run: Entity = {
        "@id": f"#run-{record.uuid}",
        "@type": "CreateAction",
        "name": record.session_name or record.session_id,
        "instrument": {"@id": program},
        "result": {"@id": folder},
        "actionStatus": "http://schema.org/" + _action_status(record.status),
    }
    run |= {key: value for key, value in (("startTime", record.started_at), ("endTime", record.ended_at)) if value}
    if record.end_reason:
        run["error" if record.status == "failed" else "description"] = record.end_reason
    if given:
        run["object"] = [{"@id": each} for each in dict.fromkeys(given)]
    if environment:
        run["environment"] = [{"@id": each["@id"]} for each in environment]
    return run


def _program(record: Described) -> list[Entity]:
    """Return the program of a run, and its interpreter."""
    made = record.provenance
    outside, function = _mapping(made.program), _mapping(made.function)
    version = str(_mapping(made.git).get("commit") or record.created_by or "unknown")
    command = outside.get("command") or made.command
    name = " ".join(map(str, command)) if isinstance(command, list) and command else "simulation"
    name = str(function.get("place") or function.get("name") or name)
    key = sha256(f"{version} {name} {made.python} {made.platform}".encode()).hexdigest()[:16]
    program: Entity = {"@id": f"#program-{key}", "@type": "SoftwareApplication", "name": name}
    program["softwareVersion"] = version
    if isinstance(made.platform, str):
        program["operatingSystem"] = made.platform
    if not isinstance(made.python, str):
        return [program]
    python = {"@type": "SoftwareApplication", "name": "Python", "softwareVersion": made.python}
    program["softwareRequirements"] = {"@id": f"#python-{quote(made.python)}"}
    return [program, {"@id": f"#python-{quote(made.python)}", **python}]


def _inputs(record: Described, folder: str) -> Iterator[Entity]:
    """Yield the files that a run read, each by its copy in the session."""
    made = record.provenance
    for each in (*_list(_mapping(made.program).get("inputs")), *_list(made.inputs)):
        facts = _mapping(each)
        if isinstance(facts.get("sha256"), str):
            name = f"{folder}artifacts/{facts.get('artifact')}"
            yield {"@id": name, "name": str(facts.get("path")), "sha256": facts["sha256"]}


def _parameters(record: Described) -> Iterator[Entity]:
    """Yield the seed, and the parameters of a point of a sweep."""
    made = record.provenance
    given = _mapping(_mapping(record.metadata.sweep).get("parameters") or _mapping(made.function).get("parameters"))
    seed = {} if made.seed is None else {"seed": made.seed}
    yield from _values({**seed, **given}, f"#parameter-{record.uuid}-")


def _environment(record: Described) -> Iterator[Entity]:
    kept = _mapping(_mapping(record.provenance.program).get("environment"))
    yield from _values(kept, f"#environment-{record.uuid}-")


def _values(given: Mapping[str, Any], head: str) -> Iterator[Entity]:
    for name in sorted(given):
        value = given[name]
        text = value if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()
        yield {"@id": head + quote(name, safe=""), "@type": "PropertyValue", "name": name, "value": text}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _action_status(status: str) -> str:
    if status in ("completed", "stopped"):
        return "CompletedActionStatus"
    return "FailedActionStatus" if status == "failed" else "ActiveActionStatus"
