"""What a function is, as a hash: its source without comments, and that of what it uses from its own module.

A function that changed gives other points, which are run; an edit of a comment, or of the list of parameters beside
it, gives the same ones. Libraries count by their name alone. Not here: the hash of a point (definition).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

_PLAIN = (int, float, str, bytes, bool, type(None))


def of_function(function: Callable[..., Any]) -> str:
    """Return the hash of a function: 32 hexadecimal digits."""
    parts = list(_parts(function, set()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, as a person writes it."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    if _is_plain(value):
        yield repr(value)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        yield f"partial {value.args!r} {sorted(value.keywords.items())!r}"
        yield from _parts(value.func, seen)
    elif isinstance(value, types.MethodType):
        yield f"method of {value.__self__!r}" if isinstance(value.__self__, _PLAIN) else "method"
        yield from _parts(value.__func__, seen)
    elif isinstance(value, types.FunctionType):
        yield _source(value)
        yield f"{value.__defaults__!r} {value.__kwdefaults__!r}" if _is_plain(value.__defaults__) else "defaults"
        for name, used in _used(value):
            yield name
            yield from _parts(used, seen)
    elif isinstance(value, type):
        yield _source(value)
        for method in vars(value).values():
            if isinstance(method, types.FunctionType):
                yield from _parts(method, seen)
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}"


def _used(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function uses of its module and of the functions around it, by name."""
    for name in sorted(_names(function.__code__) & function.__globals__.keys()):
        value = function.__globals__[name]
        own = getattr(value, "__module__", None) == function.__module__
        if _is_plain(value) or (own and isinstance(value, types.FunctionType | type | functools.partial)):
            yield name, value
        else:  # a library
            yield f"{name} is {getattr(value, '__module__', '')}.{getattr(value, '__name__', '')}", None
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


def _names(code: types.CodeType) -> set[str]:
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(each) for key, each in value.items())
    return isinstance(value, _PLAIN)


def _source(value: Any) -> str:
    """Return the source without comments and spacing; of a function typed at a prompt, its code."""
    try:
        text = textwrap.dedent(inspect.getsource(value))
        return ast.unparse(ast.parse(text))
    except (OSError, TypeError, SyntaxError):
        code = getattr(value, "__code__", None)
        return repr(value) if code is None else f"{code.co_code.hex()} {_constants(code)}"


def _constants(code: types.CodeType) -> str:
    return " ".join(
        f"{each.co_code.hex()} {_constants(each)}" if isinstance(each, types.CodeType) else repr(each)
        for each in code.co_consts
    )
