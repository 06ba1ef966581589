"""The tag files of a bundle: a BagIt 1.0 bag (RFC 8493, SHA-256) and its RO-Crate 1.2 description.

The payload is ``data/``: session folders as they are, and ``ro-crate-metadata.json`` (profile Process Run Crate), which
says what ran, when, with which program and commit. Same sessions give the same bytes: the
present time is in none of them.
Not here: archives (exchange.bundle), checking a bundle (exchange.verify).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from sessionstore.model.record import FORMAT

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
CRATE = "ro-crate-metadata.json"
PAYLOAD = "data/"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"


def manifest(digests: Mapping[str, str]) -> bytes:
    """Return a manifest: one digest and name a line, sorted by name (RFC 8493, section 2.1.3)."""
    return "".join(f"{digests[name]}  {_escaped(name)}\n" for name in sorted(digests)).encode()


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def parsed_manifest(data: bytes) -> dict[str, str]:
    """Return the digests of a manifest by name. Raises: ValueError: a line is not a digest and a name."""
    found: dict[str, str] = {}
    for line in data.decode().splitlines():
        digest, _, name = line.partition(" ")
        name = name.lstrip(" *").replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
        if len(digest) != 64 or not name or name in found:
            raise ValueError(f"{line[:100]!r} is not a line of a manifest")
        found[name] = digest.lower()
    return found


def tag_files(digests: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Return the tag files of a bag by name, in the order in which they are written.

    Args:
        digests, sizes: SHA-256 and bytes of each payload file, by its name from the bag's root (``data/...``).
    """
    oxum = f"{sum(sizes.values())}.{len(sizes)}"
    tags = {
        "bag-info.txt": f"Payload-Oxum: {oxum}\nExternal-Description: sessions of a sessionstore\n".encode(),
        "bagit.txt": DECLARATION,
        "manifest-sha256.txt": manifest(digests),
    }
    return {**tags, "tagmanifest-sha256.txt": manifest({name: sha256(data).hexdigest() for name, data in tags.items()})}


class _Made(msgspec.Struct, gc=False):
    git: Any = None
    command: Any = None


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


def crate(records: Iterable[Described], files: Mapping[str, Mapping[str, int]]) -> bytes:
    """Return the RO-Crate description of sessions.

    Args:
        files: the files of each session with their sizes, by session id.
    """
    entities: list[dict[str, Any]] = []
    sessions, runs, conforms = [], [], {"@id": _PROFILE}
    latest = ""
    for record in records:
        latest = max(latest, record.updated_at)
        entities += _session_entities(record, files[record.session_id])
        sessions.append({"@id": f"{record.session_id}/"})
        runs.append({"@id": f"#run-{record.uuid}"})
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Simulation sessions",
        "description": f"{len(sessions)} recorded simulation sessions",
        "datePublished": latest or "1970-01-01T00:00:00Z",
        "license": "not stated",
        "conformsTo": conforms,
        "hasPart": sessions,
        "mentions": runs,
    }
    about = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.2"},
        "about": {"@id": "./"},
    }
    profile = {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    listed: list[dict[str, Any]] = [about, root, profile, *entities]
    unique = {entity["@id"]: entity for entity in listed}
    graph = {"@context": "https://w3id.org/ro/crate/1.2/context", "@graph": list(unique.values())}
    return msgspec.json.format(msgspec.json.encode(graph), indent=1) + b"\n"


def _session_entities(record: Described, files: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the entities of one session: its folder, its files, the run and the program."""
    folder, made = f"{record.session_id}/", record.provenance
    git: dict[str, Any] = made.git if isinstance(made.git, dict) else {}
    version = str(git.get("commit") or record.created_by or "unknown")
    command = made.command
    program = f"#program-{version.replace(' ', '-')}"
    run: dict[str, Any] = {
        "@id": f"#run-{record.uuid}",
        "@type": "CreateAction",
        "name": record.session_name or record.session_id,
        "instrument": {"@id": program},
        "result": {"@id": folder},
        "actionStatus": "http://schema.org/" + _action_status(record.status),
    }
    run |= {key: value for key, value in (("startTime", record.started_at), ("endTime", record.ended_at)) if value}
    if record.end_reason:
        run["description"] = record.end_reason
    parts = [{"@id": folder + name} for name in sorted(files)]
    return [
        {"@id": folder, "@type": "Dataset", "name": record.session_name or record.session_id, "hasPart": parts},
        *({"@id": folder + name, "@type": "File", "contentSize": str(size)} for name, size in sorted(files.items())),
        run,
        {
            "@id": program,
            "@type": "SoftwareApplication",
            "name": " ".join(map(str, command)) if isinstance(command, list) and command else "simulation",
            "softwareVersion": version,
        },
    ]


def _action_status(status: str) -> str:
    if status in ("completed", "stopped"):
        return "CompletedActionStatus"
    return "FailedActionStatus" if status == "failed" else "ActiveActionStatus"
