"""The tag files of a bundle: a BagIt 1.0 bag (RFC 8493, SHA-256) and its RO-Crate 1.2 description.

The payload is ``data/``: session folders as they are, and ``ro-crate-metadata.json`` (profile Process Run Crate). Same
sessions give the same bytes: the present time is in none of them.
Not here: what is said of one run (exchange.run_crate), archives (exchange.bundle), checking a bundle (exchange.verify).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from sessionstore.exchange.run_crate import PROFILE, Described, session_entities

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
CRATE = "ro-crate-metadata.json"
PAYLOAD = "data/"


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


def crate(records: Iterable[Described], files: Mapping[str, Mapping[str, int]]) -> bytes:
    """Return the RO-Crate description of sessions.

    Args:
        files: the files of each session with their sizes, by session id.
    """
    entities: list[dict[str, Any]] = []
    sessions, runs, conforms = [], [], {"@id": PROFILE}
    latest = ""
    for record in records:
        latest = max(latest, record.updated_at)
        entities += session_entities(record, files)
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
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    listed: list[dict[str, Any]] = [about, root, profile, *entities]
    unique = {entity["@id"]: entity for entity in listed}
    graph = {"@context": "https://w3id.org/ro/crate/1.2/context", "@graph": list(unique.values())}
    return msgspec.json.format(msgspec.json.encode(graph), indent=1) + b"\n"
