"""Which sessions a query can need, from its conditions: of all others no file is opened.

A condition counts when it stands (joined by AND) in the WHERE of the SELECT that reads the stream, and names only
``session_id``, or columns of ``sessions`` that is joined on ``session_id`` (inner join). Every other form reads all
sessions: never too few.
Not here: running the query (analysis.query).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

SESSIONS = "sessions"


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a syntax tree, from the top."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def table_names(tree: Any) -> set[str]:
    """Return the names of all tables that a statement reads."""
    return {str(node["table_name"]) for node in nodes(tree) if node.get("table_name")}


def has_condition(tree: Any) -> bool:
    """Whether a SELECT of a statement has a WHERE, without which :func:`conditions` finds nothing."""
    return any(node.get("where_clause") is not None for node in nodes(tree))


def conditions(tree: Any, name: str, session_columns: set[str]) -> list[dict[str, Any]] | None:
    """Return one condition on ``sessions`` for each place that reads a table; None: at least one place reads all."""
    places = sum(str(node.get("table_name", "")).lower() == name.lower() for node in nodes(tree))
    found = []
    for node in nodes(tree):
        if node.get("type") == "SELECT_NODE":
            found += _of_select(node, name.lower(), session_columns)
    return found if len(found) == places else None


def _of_select(node: dict[str, Any], name: str, session_columns: set[str]) -> list[dict[str, Any]]:
    tables = _inner_tables(node.get("from_table") or {})
    here = [table for table in tables or () if table["table_name"].lower() == name]
    if not tables or len(here) != 1 or node.get("where_clause") is None:
        return []
    alias = (here[0]["alias"] or name).lower()
    joined = _joined_sessions(node["from_table"], tables)
    parts = [part for part in _conjuncts(node["where_clause"]) if _fits(part, alias, joined, session_columns, tables)]
    if not parts:
        return []
    return [{"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "children": parts}]


def _inner_tables(tree: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the tables of a FROM; None when it holds anything but tables and inner joins with USING."""
    if tree.get("type") == "BASE_TABLE":
        return None if tree.get("column_name_alias") or tree.get("schema_name") else [tree]
    if tree.get("type") != "JOIN" or tree.get("join_type") != "INNER" or tree.get("ref_type") != "REGULAR":
        return None
    left, right = _inner_tables(tree["left"]), _inner_tables(tree["right"])
    return None if left is None or right is None else left + right


def _joined_sessions(tree: dict[str, Any], tables: list[dict[str, Any]]) -> str | None:
    """Return the alias of ``sessions`` when every join of the FROM is by USING (session_id)."""
    joins = [node for node in nodes(tree) if node.get("type") == "JOIN"]
    sessions = [table for table in tables if table["table_name"].lower() == SESSIONS]
    if len(sessions) != 1 or any(join.get("using_columns") != ["session_id"] for join in joins):
        return None
    return str(sessions[0]["alias"] or SESSIONS).lower()


def _conjuncts(tree: dict[str, Any]) -> list[dict[str, Any]]:
    if tree.get("type") == "CONJUNCTION_AND":
        return [part for child in tree["children"] for part in _conjuncts(child)]
    return [tree]


def _fits(
    part: dict[str, Any], alias: str, joined: str | None, session_columns: set[str], tables: list[dict[str, Any]]
) -> bool:
    """Whether a condition depends on the session alone; subqueries and functions of chance do not count."""
    if any(node.get("class") in ("SUBQUERY", "PARAMETER", "WINDOW", "LAMBDA") for node in nodes(part)):
        return False
    if any(node.get("class") == "FUNCTION" and node.get("function_name") not in _PURE for node in nodes(part)):
        return False
    references = [node["column_names"] for node in nodes(part) if node.get("class") == "COLUMN_REF"]
    alone = len(tables) == 1 or joined is not None
    return bool(references) and all(_names_session(path, alias, joined, session_columns, alone) for path in references)


_PURE = {"~~", "!~~", "~~*", "!~~*", "prefix", "suffix", "contains", "lower", "upper", "starts_with", "like_escape"}


def _names_session(path: list[str], alias: str, joined: str | None, session_columns: set[str], alone: bool) -> bool:
    names = [each.lower() for each in path]
    if names[-1] == "session_id" and len(names) <= 2:
        return names[0] == alias or names[0] == joined or (len(names) == 1 and alone)
    if joined is None or names[-1] not in session_columns:
        return False
    return len(names) == 1 or (len(names) == 2 and names[0] == joined)


def sessions_query(condition: dict[str, Any], template: str) -> str:
    """Return the serialised query for the sessions that fit; ``template`` is a SELECT of session_id with a WHERE."""
    tree = json.loads(template)
    wanted = copy.deepcopy(condition)
    for node in nodes(wanted):
        if node.get("class") == "COLUMN_REF":
            node["column_names"] = node["column_names"][-1:]
    tree["statements"][0]["node"]["where_clause"] = wanted
    return json.dumps(tree)
