"""What many processes saw, and the search for one order of all operations that explains it (linearizability).

A history is a list of operations on one object, each with the moments of its call and of its return on the monotonic
clock that all processes share, and with its answer; one without a return may have happened at any time later, or never.
The search is Wing and Gong's, with the states already tried remembered (Lowe): it takes any operation that was called
before every other pending one returned, plays it on the model, and goes back when the answer does not fit.
Not here: making histories (workers).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Done:
    """One operation: its name, argument and answer, and when it was called and returned (NEVER: not known)."""

    name: str
    argument: Any
    answer: Any
    called: float
    returned: float = NEVER


#: Plays an operation on a state: the next state, or None when the answer does not fit it.
Model = Callable[[Hashable, Done], Hashable | None]


def explains(history: list[Done], model: Model, state: Hashable) -> bool:
    """Whether some order of the operations, true to their moments, gives every answer that was given."""
    operations = sorted(history, key=lambda each: each.called)
    must = sum(1 for each in operations if each.returned != NEVER)
    tried: set[tuple[int, frozenset[int], Hashable]] = set()
    # Taken so far: all before `low`, and some beyond; and how many of those that must happen were taken.
    stack: list[tuple[int, frozenset[int], Hashable, int]] = [(0, frozenset(), state, 0)]
    while stack:
        low, beyond, state, count = stack.pop()
        if count == must:
            return True
        for number in _candidates(operations, low, beyond):
            following = model(state, operations[number])
            if following is None:
                continue
            key = (*_taken(low, beyond | {number}), following)
            if key not in tried:
                tried.add(key)
                stack.append((*key, count + (operations[number].returned != NEVER)))
    return False


def _taken(low: int, beyond: frozenset[int]) -> tuple[int, frozenset[int]]:
    while low in beyond:
        low += 1
    return low, frozenset(number for number in beyond if number > low)


def _candidates(operations: list[Done], low: int, beyond: frozenset[int]) -> list[int]:
    """Return what may come next: called before any other that is left returned."""
    found: list[int] = []
    first_return = NEVER
    for number in range(low, len(operations)):
        if number in beyond:
            continue
        if operations[number].called > first_return:
            break
        first_return = min(first_return, operations[number].returned)
        found.append(number)
    # Those that returned early come off the stack first: they are the likelier ones.
    return sorted(
        (number for number in found if operations[number].called <= first_return),
        key=lambda number: -operations[number].returned,
    )


# ---------------------------------------------------------------- models


def counter(state: Hashable, done: Done) -> Hashable | None:
    """Play a number: ``add`` answers the new value, ``read`` the present one."""
    value = state if isinstance(state, int) else 0
    if done.name == "add":
        return value + 1 if done.answer in (None, value + 1) else None
    return value if done.answer == value else None


def tape(state: Hashable, done: Done) -> Hashable | None:
    """Play a stream: ``append`` adds its argument, ``read`` answers how many there are and which is the last."""
    lines = state if isinstance(state, tuple) else ()
    if done.name == "append":
        return (*lines, done.argument)
    return lines if done.answer == (len(lines), lines[-1] if lines else None) else None


def existence(state: Hashable, done: Done) -> Hashable | None:
    """Play whether a session is there: delete and restore answer whether they did it, ``listed`` whether it is."""
    there = bool(state)
    if done.name == "listed":
        return there if done.answer == there else None
    wanted = done.name == "delete"  # what must be there for it to work
    if done.answer is False:
        return there if there != wanted else None
    return not wanted if there == wanted else (there if done.answer is None else None)
