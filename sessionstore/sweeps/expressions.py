"""Conditions and objectives of a sweep: arithmetic and comparisons over names with dots, and nothing else.

    totals.energy_used_wh / totals.windows_cleaned
    duration_s > 60 and weather.condition == "storm"

A name that a point does not have makes a condition false and an objective None; so does a division by zero.
Not here: the filter language of listings (query).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from sessionstore.errors import InvalidRecord

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "round": round}
_MAX_LENGTH = 1000


class _Missing(Exception):
    """A name that the values do not have."""


class Expression:
    """One parsed expression. Raises: InvalidRecord: it holds more than arithmetic, comparisons and names."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            if len(text) > _MAX_LENGTH:
                raise InvalidRecord(f"an expression has at most {_MAX_LENGTH} characters")
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as error:
            raise InvalidRecord(f"{text!r} is not an expression: {error}") from error
        self.names = sorted(_names_in(self._tree, text))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Return the value, or None when a name is missing or the arithmetic has no result."""
        try:
            return _value(self._tree, values)
        except (_Missing, ArithmeticError, TypeError, ValueError):
            return None

    def number(self, values: Mapping[str, Any]) -> float | None:
        """Return the value as a finite number, else None."""
        found = self(values)
        if (
            isinstance(found, bool)
            or not isinstance(found, int | float)
            or found != found
            or abs(found) == float("inf")
        ):
            return None
        return float(found)


def looked_up(values: Mapping[str, Any], path: str) -> Any:
    """Return the value under a name with dots: the key as it stands, else level by level. Raises: KeyError."""
    if path in values:
        return values[path]
    first, _, rest = path.partition(".")
    below = values[first]
    if not rest or not isinstance(below, Mapping):
        raise KeyError(path)
    return looked_up(below, rest)


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (above := _dotted(node.value)) is not None:
        return f"{above}.{node.attr}"
    return None


def _names_in(node: ast.AST, text: str) -> set[str]:
    """Return the names of an expression. Raises: InvalidRecord: a part of it is not allowed."""
    name = _dotted(node)
    if name is not None:
        return {name}
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | bool | None):
        return set()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        parts: list[ast.AST] = [*node.args, *node.keywords]
        allowed = not node.keywords
    else:
        parts = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        allowed = (
            (isinstance(node, ast.BinOp) and type(node.op) in _BINARY)
            or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd | ast.Not))
            or (isinstance(node, ast.Compare) and all(type(each) in _COMPARE for each in node.ops))
            or isinstance(node, ast.BoolOp | ast.List | ast.Tuple)
        )
    if not allowed:
        raise InvalidRecord(f"{text!r}: only names, numbers, texts, arithmetic, comparisons, and, or, not are allowed")
    return set().union(*(_names_in(each, text) for each in parts)) if parts else set()


def _value(node: ast.AST, values: Mapping[str, Any]) -> Any:
    name = _dotted(node)
    if name is not None:
        try:
            return looked_up(values, name)
        except KeyError as error:
            raise _Missing(name) from error
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, values)
        return not inner if isinstance(node.op, ast.Not) else -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BoolOp):
        parts = (_value(each, values) for each in node.values)
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.Compare):
        return _compared(node, values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _FUNCTIONS[node.func.id](*(_value(each, values) for each in node.args))
    assert isinstance(node, ast.List | ast.Tuple)
    return [_value(each, values) for each in node.elts]


def _compared(node: ast.Compare, values: Mapping[str, Any]) -> bool:
    left = _value(node.left, values)
    for step, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, values)
        if not _COMPARE[type(step)](left, right):
            return False
        left = right
    return True
