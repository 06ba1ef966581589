"""Which columns of a table a statement can need, from the names in it; None: all of them.

Every name that may mean a column counts, whichever table it belongs to in the end: never too few. A star, a whole row,
a natural join and every other form that names columns without saying so needs all.
Not here: which sessions are read (analysis.narrowing), reading only these columns (analysis.some_columns).
"""

from __future__ import annotations

from typing import Any

from sessionstore.analysis.narrowing import nodes

#: Kinds of nodes that name each column that they read.
_NAMING = {
    "", "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION",
    "OPERATOR", "SUBQUERY", "TYPE", "WINDOW",
}  # fmt: skip
#: Nodes without such a kind: what a SELECT consists of.
_PARTS = {
    "BASE_TABLE", "DISTINCT_MODIFIER", "EMPTY", "JOIN", "LIMIT_MODIFIER", "ORDER_DEFAULT", "ORDER_MODIFIER",
    "SELECT_NODE", "SET_OPERATION_NODE", "SUBQUERY", "ASCENDING", "DESCENDING",
}  # fmt: skip


def column_names(tree: Any, table: str) -> frozenset[str] | None:
    """Return the names, in small letters, that may be columns of a table; None: it needs all columns."""
    parts = [node for node in nodes(tree) if not node.get("class")]  # the alias of an expression is no table
    tables = {str(node[key]).lower() for node in parts for key in ("table_name", "alias") if node.get(key)}
    others = _other_tables(tree, table.lower())
    found: set[str] = set()
    for node in nodes(tree):
        kind = node.get("class", "")
        if kind not in _NAMING or node.get("ref_type") == "NATURAL" or node.get("column_name_alias"):
            return None
        if kind == "" and isinstance(node.get("type"), str) and node["type"] not in _PARTS:
            return None
        found.update(str(name).lower() for name in node.get("using_columns") or ())
        if kind == "COLUMN_REF":
            path = [str(name).lower() for name in node["column_names"]]
            if path[-1] in tables and (len(path) == 1 or path[-2] not in tables):
                return None  # the name of a table stands for a whole row
            if len(path) == 1 or path[0] not in others:
                found.update(path)
    return frozenset(found)


def _other_tables(tree: Any, table: str) -> set[str]:
    """Return the names and aliases under which only other tables are read."""
    of: dict[str, set[str]] = {}
    for node in nodes(tree):
        if node.get("table_name"):
            name = str(node["table_name"]).lower()
            of.setdefault(str(node.get("alias") or name).lower(), set()).add(name)
    return {alias for alias, names in of.items() if table not in names}
