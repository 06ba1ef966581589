"""A role sees no more of its fleet than its view names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from sessionstore.simulation.mission import roles, views
from sessionstore.simulation.mission.fleet import Fleet
from tests.simulation.flights import ALL_KINDS, fly, scenario

PLAN = scenario(fleet=ALL_KINDS, duration_s=40.0)
Role = Callable[..., Any]


class Only:
    """A fleet with nothing but the members of a view."""

    def __init__(self, fleet: Fleet, view: type) -> None:
        self._fleet, self._names = fleet, members(view)

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"{name} is not in the view")
        return getattr(self._fleet, name)


def members(view: type) -> set[str]:
    own = [vars(each) for each in view.__mro__ if each.__module__ == views.__name__]
    return {name for each in own for name in (*each, *each.get("__annotations__", ())) if not name.startswith("_")}


def view_of(role: Role) -> type:
    return getattr(views, inspect.signature(role).parameters["fleet"].annotation)  # type: ignore[no-any-return]


def behind_its_view(role: Role) -> Role:
    return lambda fleet, drone: role(Only(fleet, view_of(role)), drone)


def test_every_role_flies_the_same_behind_its_own_view(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fly(PLAN).as_text()
    for name, role in roles.ROLES.items():
        monkeypatch.setitem(roles.ROLES, name, behind_its_view(role))
    assert fly(PLAN).as_text() == whole


def test_a_view_is_narrow() -> None:
    sizes = {name: len(members(view_of(role))) for name, role in roles.ROLES.items()}
    assert max(sizes.values()) <= 11 and sizes["lifeline"] <= 7, sizes


def test_a_member_that_is_not_in_the_view_is_refused() -> None:
    fleet: Any = Only(fly(scenario(duration_s=0.05)).fleet, views.Flying)
    assert fleet.clock.ticks == 1
    with pytest.raises(AttributeError, match="roster is not in the view"):
        assert fleet.roster
