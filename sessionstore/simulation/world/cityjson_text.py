"""The JSON documents of a CityJSON file: one, or one per line of a CityJSONSeq with its header first.

Guarantees that no object of a city is lost by a name that stands twice: both are kept, and that is counted. Refuses
what is not JSON, not CityJSON, of an unknown version, or a sequence without its header, each with its place.
Not here: what the objects mean (cityjson).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from sessionstore.simulation.errors import CityFileError

VERSIONS = ("1.0", "1.1", "2.0")


def parse_json(path: Path, text: str, where: str = "", repeated: Repeated | None = None) -> Any:
    """JSON out of a text. Raises: CityFileError for all that is not JSON.

    Args:
        repeated: gets what is there twice under one key; objects of a city are kept both, of other values the last.
    """
    try:
        return json.loads(text, object_pairs_hook=None if repeated is None else repeated.object_of)
    except json.JSONDecodeError as error:
        place = where or f"line {error.lineno}"
        raise CityFileError(str(path), f"{place} column {error.colno}", error.msg) from error
    except (RecursionError, ValueError) as error:  # nested too deep, a number of thousands of digits
        raise CityFileError(str(path), where or "JSON", str(error)[:200]) from error


class Repeated:
    """Keys that one JSON object has twice: counted by kind, and no object of a city is lost by them."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """The object of these pairs; the second object of a name is entered under "name-2"."""
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        found = {}
        for key, value in pairs:
            if key not in found:
                found[key] = value
            elif _is_city_object(value) and _is_city_object(found[key]):
                number = next(n for n in count(2) if f"{key}-{n}" not in found)
                found[f"{key}-{number}"] = value
                self._note("name that two objects share")
            else:
                found[key] = value
                self._note("key that is there twice: the last value taken")
        return found

    def _note(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _is_city_object(value: object) -> bool:
    return isinstance(value, dict) and "type" in value and not value.keys().isdisjoint(("geometry", "attributes"))


def documents_of(path: Path, text: str, repeated: Repeated) -> Iterator[dict[str, Any]]:
    """One document for a .json file, one per line for a sequence, whose first line is the header."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not lines[0].rstrip().endswith("}") or not _is_json(lines[0]):
        document = _checked(path, parse_json(path, text, "", repeated))
        if document["type"] == "CityJSONFeature":
            raise CityFileError(str(path), "line 1", "a sequence without its header (CityJSON with the transform)")
        yield document
        return
    for number, line in enumerate(lines, 1):
        document = _checked(path, parse_json(path, line, f"line {number}", repeated))
        if number == 1 and document["type"] == "CityJSONFeature":
            raise CityFileError(str(path), "line 1", "a sequence without its header (CityJSON with the transform)")
        yield document


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _checked(path: Path, document: object) -> dict[str, Any]:
    if not isinstance(document, dict) or document.get("type") not in ("CityJSON", "CityJSONFeature"):
        raise CityFileError(str(path), "type", "neither CityJSON nor CityJSONFeature")
    version = document.get("version", VERSIONS[-1])
    if document["type"] == "CityJSON" and str(version)[:3] not in VERSIONS:
        raise CityFileError(str(path), "version", f"{str(version)[:40]!r} is not one of {', '.join(VERSIONS)}")
    return document
