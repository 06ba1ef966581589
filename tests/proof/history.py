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
    """Whether some order of the operations, true to their moments, gives every answer that was given.

    Those without a return are kept apart: left among the others, each would keep all that came after it "out of order",
    and the states to remember would fill any memory.
    """
    must = sorted((each for each in history if each.returned != NEVER), key=lambda each: each.called)
    maybe = sorted((each for each in history if each.returned == NEVER), key=lambda each: each.called)
    # Taken so far: of must all before `low` and some beyond; of maybe some.
    start = (0, frozenset[int](), frozenset[int](), state)
    tried, stack = {start}, [start]
    while stack:
        low, beyond, used, state = stack.pop()
        if low == len(must):
            return True
        for following in _following(must, maybe, model, low, beyond, used, state):
            if following not in tried:
                tried.add(following)
                stack.append(following)
    return False


State = tuple[int, frozenset[int], frozenset[int], Hashable]


def _following(
    must: list[Done],
    maybe: list[Done],
    model: Model,
    low: int,
    beyond: frozenset[int],
    used: frozenset[int],
    state: Hashable,
) -> list[State]:
    """Return what may come next; what was called before any other that is left returned, the likeliest last."""
    found: list[State] = []
    numbers, first_return = _open(must, low, beyond)
    for number, each in enumerate(maybe):
        twin = any(other not in used and _same(maybe[other], each) for other in range(number))
        if number not in used and each.called <= first_return and not twin:
            following = model(state, each)
            if following is not None and following != state:
                found.append((low, beyond, used | {number}, following))
    for number in sorted(numbers, key=lambda number: -must[number].returned):
        following = model(state, must[number])
        if following is None:
            continue
        step = (*_taken(low, beyond | {number}), used, following)
        if following == state:
            return [step]  # what fits and changes nothing may as well come now: no order is lost
        found.append(step)
    return found


def _same(one: Done, other: Done) -> bool:
    """Whether two operations without a return are one as good as the other (the earlier one goes first)."""
    return (one.name, one.argument) == (other.name, other.argument)


def _taken(low: int, beyond: frozenset[int]) -> tuple[int, frozenset[int]]:
    while low in beyond:
        low += 1
    return low, frozenset(number for number in beyond if number > low)


def _open(must: list[Done], low: int, beyond: frozenset[int]) -> tuple[list[int], float]:
    """Return which were called before any other that is left returned, and when that is."""
    found: list[int] = []
    first_return = NEVER
    for number in range(low, len(must)):
        if number in beyond:
            continue
        if must[number].called > first_return:
            break
        first_return = min(first_return, must[number].returned)
        found.append(number)
    return [number for number in found if must[number].called <= first_return], first_return


# ---------------------------------------------------------------- models


def counter(state: Hashable, done: Done) -> Hashable | None:
    """Play a number: ``add`` answers the new value, ``read`` the present one."""
    value = state if isinstance(state, int) else 0
    if done.name == "add":
        return value + 1 if done.answer in (None, value + 1) else None
    return value if done.answer == value else None


def tape(state: Hashable, done: Done) -> Hashable | None:
    """Play a stream: ``append`` adds its argument, ``read`` answers how many there are and which is the last."""
    count, last = state if isinstance(state, tuple) and state else (0, None)
    if done.name == "append":
        return count + 1, done.argument
    return (count, last) if done.answer == (count, last) else None


def existence(state: Hashable, done: Done) -> Hashable | None:
    """Play whether a session is there: delete and restore answer whether they did it, ``listed`` whether it is."""
    there = bool(state)
    if done.name == "listed":
        return there if done.answer == there else None
    wanted = done.name == "delete"  # what must be there for it to work
    if done.answer is False:
        return there if there != wanted else None
    return not wanted if there == wanted else (there if done.answer is None else None)
