"""Which of two copies of a record descends from the other, proved from the copies alone; no clock decides.

A record keeps the digests of its earlier contents, oldest first (``lineage``): each change of content appends the
digest of the content before it. A copy descends from another when its chain of digests holds the other's chain.
The list is bounded; its two oldest digests fold into one, so that a copy older than the list counts as diverged.
Fields that a running recorder rewrites every few seconds, and what a merge writes, are not part of the content.
Not here: streams and artifacts (exchange.compare), what is done with the answer (exchange.merge).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from sessionstore.model.json_text import Fixed

Relation = Literal["same", "ahead", "behind", "diverged"]
#: Digests that a record keeps.
KEPT = 32
#: Marks a digest that stands for several.
FOLDED = "~"
#: Fields of the record that are not part of its content.
VOLATILE = frozenset(
    {"rev", "updated_at", "lineage", "session_id", "uuid", "merged_from", "progress", "duration_sim_s", "created_by"}
)
_encode = msgspec.json.Encoder().encode


def digest(tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the digest of the content of a session.json, 16 hexadecimal digits."""
    content: dict[str, Any] = {name: table for name, table in tables.items() if name != "session" and table}
    fixed: Fixed | None = None
    for document in tables["session"].values():
        content["session"] = {key: value for key, value in document.items() if key not in VOLATILE}
        if isinstance(provenance := document.get("provenance"), Fixed):
            fixed = provenance
    try:
        if fixed is not None:  # most of the bytes, and encoded before
            content["session"] = {**content["session"], "provenance": fixed.encoded()}
        encoded = _encode(content)
    except OverflowError:  # an integer of more than 64 bits
        encoded = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return blake2b(encoded, digest_size=8).hexdigest()


def extended(lineage: Sequence[str], before: str) -> list[str]:
    """Return a lineage with the digest of one more earlier content."""
    if lineage and lineage[-1] == before:
        return list(lineage)
    longer = [*lineage, before]
    while len(longer) > KEPT:
        longer[:2] = [FOLDED + blake2b("".join(longer[:2]).encode(), digest_size=8).hexdigest()]
    return longer


def continued(lineage: Sequence[str], tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return the lineage of a record whose content is about to change from what these tables hold."""
    return extended(lineage, digest(tables))


def note_change(before: Mapping[str, Any], after: dict[str, Any]) -> None:
    """Add the digest of the content before a change to the record after it, when the content differs."""
    earlier = digest(before)
    if digest(after) == earlier:
        return
    for document in after["session"].values():
        document["lineage"] = extended(document.get("lineage") or [], earlier)


def relation(ours: Sequence[str], theirs: Sequence[str]) -> Relation:
    """Return how our content stands to theirs.

    Args:
        ours, theirs: the lineage of each, and the digest of its present content as the last item.
    """
    if ours[-1] == theirs[-1]:
        return "same"
    ahead, behind = _descends(ours, theirs), _descends(theirs, ours)
    if ahead == behind:  # neither, or a content that came back: both chains hold the other's end
        return "diverged"
    return "ahead" if ahead else "behind"


def _descends(younger: Sequence[str], older: Sequence[str]) -> bool:
    """Whether one chain continues another: it holds the other's last digest, with the same digests before it."""
    for place, digest_there in enumerate(younger[:-1]):
        if digest_there == older[-1] and _agree(younger[:place], older[:-1]):
            return True
    return False


def _agree(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether two lists of earlier digests are one history, read from their ends up to the first folded digest."""
    for one, other in zip(reversed(left), reversed(right), strict=False):
        if one.startswith(FOLDED) or other.startswith(FOLDED):
            return True
        if one != other:
            return False
    return len(left) == len(right)
