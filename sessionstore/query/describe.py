"""A filter in words: the reading that ``list --explain`` and the page show.

Not here: reading a filter (query.parser).
"""

from __future__ import annotations

import json

from sessionstore.query.tree import And, Between, Compare, Filter, Has, Match, Not, Or, Path, Scalar

_WORDS = {"=": "is", "!=": "is not", "<": "<", "<=": "≤", ">": ">", ">=": "≥", "~": "contains"}


def describe(tree: Filter | None) -> str:
    """Return what a filter selects, in words; brackets where the grouping matters."""
    if tree is None:
        return "every session"
    if isinstance(tree, And | Or):
        return _group(tree)
    if isinstance(tree, Not):
        return f"not ({describe(tree.clause)})"
    return _clause(tree)


def _group(tree: And | Or) -> str:
    if isinstance(tree, Or) and (listed := _list(tree)):
        return listed
    word, inner = (" and ", Or) if isinstance(tree, And) else (" or ", And)
    return word.join(f"({describe(each)})" if isinstance(each, inner) else describe(each) for each in tree.clauses)


def _list(tree: Or) -> str:
    """Return ``status is one of a, b``, or ``x is null or missing``, for the trees of these notations."""
    values = [each.value for each in tree.clauses if isinstance(each, Compare) and each.operator == "="]
    path = tree.clauses[0].path if isinstance(tree.clauses[0], Compare) else ()
    if tree.clauses == (Compare(path, "=", None), Not(Has(path))):
        return f"{_path(path)} is null or missing"
    if len(values) < len(tree.clauses) or any(getattr(each, "path", None) != path for each in tree.clauses):
        return ""
    return f"{_path(path)} is one of {', '.join(map(_value, values))}"


def _clause(tree: Compare | Between | Match | Has | object) -> str:
    if isinstance(tree, Compare):
        return f"{_path(tree.path)} {_WORDS[tree.operator]} {_value(tree.value)}"
    if isinstance(tree, Between):
        return f"{_path(tree.path)} is between {_value(tree.low)} and {_value(tree.high)}"
    if isinstance(tree, Match):
        return f"{_path(tree.path)} matches /{tree.pattern}/" + (" ignoring case" if tree.ignore_case else "")
    if isinstance(tree, Has):
        return f"has {_path(tree.path)}"
    return f"“{getattr(tree, 'text', '')}” in id, name, tags or metadata"


def _path(path: Path) -> str:
    if path[0] != "metadata":
        return ".".join(path).replace("_", " ")
    return ".".join(f'"{key}"' if any(sign in key for sign in '. "') else key for key in path)


def _value(value: Scalar) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"“{text}”" if not text or any(sign in text for sign in ' ()"=<>~') else text
