"""A filter in words: what the search field of the page shows as understood.

Not here: parsing and meaning (query), lists (sessions).
"""

from __future__ import annotations

import json

from marshmallow import Schema, fields, validate

from sessionstore.model.records import FILTER_ALIASES, FILTER_FIELDS
from sessionstore.query import And, Compare, Filter, Has, Not, Or, Path, Search, parse
from sessionstore.server.http.operations import Call, Operation, Reply, json_reply
from sessionstore.server.routes import api_schemas

_WORDS = {"=": "is", "!=": "is not", "<": "<", "<=": "≤", ">": ">", ">=": "≥", "~": "holds"}


class FilterQuery(api_schemas.Strict):
    """Of an explanation."""

    where = fields.String(required=True, validate=validate.Length(max=4096))


class FilterReply(Schema):
    """A filter in words."""

    where = fields.String(required=True)
    understood = fields.String(required=True)


def describe(tree: Filter | None) -> str:
    """Return what a filter asks for, in words; brackets where the grouping matters."""
    if tree is None:
        return "every session"
    if isinstance(tree, Compare):
        value = tree.value if isinstance(tree.value, str) else json.dumps(tree.value)
        return f"{_path(tree.path)} {_WORDS[tree.operator]} {_quoted(value)}"
    if isinstance(tree, Has):
        return f"has {_path(tree.path)}"
    if isinstance(tree, Search):
        return f"{_quoted(tree.text, always=True)} in id, name, tags or metadata"
    if isinstance(tree, Not):
        return f"not ({describe(tree.clause)})"
    word, inner = (" and ", Or) if isinstance(tree, And) else (" or ", And)
    return word.join(f"({describe(each)})" if isinstance(each, inner) else describe(each) for each in tree.clauses)


def _path(path: Path) -> str:
    return ".".join(path).replace("_", " ") if path[0] != "metadata" else ".".join(path)


def _quoted(text: str, always: bool = False) -> str:
    return f"“{text}”" if always or not text or any(each in text for each in ' ()"=<>~') else text


def explain_filter(call: Call) -> Reply:
    """Say how a filter is understood."""
    where = call.query["where"]
    return json_reply({"where": where, "understood": describe(parse(where, FILTER_FIELDS, FILTER_ALIASES))})


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/filter", explain_filter, "Say how a filter is understood", "sessions", query=FilterQuery(),
            reply=FilterReply(), problems=(400,),
        ),
    ]  # fmt: skip
