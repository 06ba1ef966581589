"""Commands: queued, applied, and done or failed with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from sessionstore.simulation.errors import CommandRefused, ScenarioError
from sessionstore.simulation.mission.commands import COMMAND_TYPES, check, leader_of
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.running.launch import build_fleet
from sessionstore.simulation.running.scenarios import Group, Order, parse_scenario
from tests.simulation.flights import Flown, fly, scenario

UTILITY = (Group("quadcopter", 2), Group("hexacopter"))


def flight(*orders: Order, **options: object) -> Flown:
    return fly(scenario(**{"orders": orders, "fleet": UTILITY, "buildings": 1, **options}), checked=True)


def states(flown: Flown, number: int = 1) -> list[str]:
    return [line["status"] for line in flown.lines["commands"] if line["id"] == number]


def test_move_to_takes_the_drone_there_and_it_stays() -> None:
    flown = flight(Order(2.0, "move_to", "quadcopter-1", (-20.0, 15.0, 20.0)))
    assert states(flown) == ["queued", "applied", "done"]
    assert flown.fleet.roster.by_id["quadcopter-1"].position == pytest.approx((-20.0, 15.0, 20.0), abs=0.05)


def test_hover_stops_where_the_drone_is() -> None:
    flown = flight(Order(20.0, "hover", "QUADCOPTER-1"))
    places = [m["position"] for m in flown.lines["motion_history"] if m["drone"] == "quadcopter-1" and m["t"] > 26]
    assert states(flown) == ["queued", "applied", "done"]
    assert all(place == places[0] for place in places)


def test_follow_stays_near_the_leader_for_as_long_as_it_is_told() -> None:
    flown = flight(
        Order(10.0, "follow", "hexacopter-1", None, {"leader": "quadcopter-1", "duration_s": 40.0}),
        Order(12.0, "move_to", "quadcopter-1", (25.0, -25.0, 25.0)),
    )
    drones = flown.fleet.roster.by_id
    assert states(flown, 1) == ["queued", "applied", "done"]
    assert drones["hexacopter-1"].distance_to(drones["quadcopter-1"].position) < 8.0


def test_follow_takes_the_name_of_its_target_in_scenarios_and_from_python() -> None:
    file = {"fleet": [{"kind": "quadcopter", "count": 2}], "duration_s": 30,
            "commands": [{"at_s": 5, "type": "follow", "drone": "quadcopter-2", "target": "quadcopter-1"}]}  # fmt: skip
    (order,) = parse_scenario(file).orders
    assert order.target is None and order.args == {"leader": "quadcopter-1"}
    assert states(fly(parse_scenario(file))) == ["queued", "applied"]
    assert leader_of("follow", "Scout-1", {"duration_s": 5}) == (None, {"duration_s": 5, "leader": "Scout-1"})
    with pytest.raises(ScenarioError, match="three finite numbers"):
        build_fleet(
            parse_scenario({"commands": [{"at_s": 5, "type": "move_to", "drone": "s", "target": "quadcopter-1"}]})
        )


@pytest.mark.parametrize(
    ("fault", "reason"), [("link_loss", "link lost"), ("gps_loss", "GPS lost"), ("motor_loss", "motor loss")]
)
def test_a_command_that_was_broken_off_says_why(fault: str, reason: str) -> None:
    order = Order(10.0, "move_to", "hexacopter-1", (400.0, 0.0, 30.0))
    flown = flight(order, faults=(Fault(fault, 15.0, "hexacopter-1"),), duration_s=45.0)
    assert flown.lines["commands"][-1]["reason"] == f"broken off: {reason}"


def test_return_resume_spawn_and_retire() -> None:
    flown = flight(
        Order(10.0, "return", "quadcopter-1"),
        Order(40.0, "retire", "quadcopter-1"),
        Order(15.0, "spawn", "late", (20.0, 0.0, 25.0), {"kind": "scout"}),
        Order(20.0, "hover", "quadcopter-2"),
        Order(30.0, "resume", "quadcopter-2"),
    )
    drones = flown.fleet.roster.by_id
    assert [states(flown, n)[-1] for n in range(1, 6)] == ["done"] * 5
    assert drones["quadcopter-1"].mode == "retired"
    assert drones["late"].kind.name == "scout" and drones["late"].day.points > 100
    assert not [m for m in flown.lines["motion_history"] if m["drone"] == "quadcopter-1" and m["t"] > 40.1]
    assert drones["quadcopter-2"].duty == "role"


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (Order(2.0, "move_to", "nobody", (0.0, 0.0, 20.0)), "no drone"),
        (Order(2.0, "move_to", "quadcopter-1", (0.0, 0.0, 900.0)), "ceiling"),
        (Order(2.0, "move_to", "quadcopter-1", (-44.0, 0.0, 2.0)), "from a building"),
        (Order(2.0, "retire", "quadcopter-1"), "send it home first"),
        (Order(2.0, "follow", "quadcopter-1", None, {"leader": "quadcopter-1"}), "itself"),
        (Order(2.0, "follow", "quadcopter-1", None, {"leader": "nobody"}), "no drone"),
        (Order(2.0, "spawn", "quadcopter-1", None, {"kind": "scout"}), "of this name"),
        (Order(2.0, "spawn", "x", (-44.0, 0.0, 3.0), {"kind": "scout"}), "too near to a building"),
    ],
)
def test_a_command_that_cannot_be_carried_out_fails_with_the_reason(order: Order, reason: str) -> None:
    flown = flight(order, duration_s=6.0)
    last = flown.lines["commands"][-1]
    assert last["status"] == "failed" and reason in last["reason"]


def test_a_command_to_a_stuck_drone_fails_instead_of_being_forgotten() -> None:
    flown = flight(
        Order(5.0, "move_to", "quadcopter-1", (-20.0, 15.0, 20.0)), faults=(Fault("stuck", 4.0, "quadcopter-1"),)
    )
    assert states(flown) == ["queued", "applied", "failed"]
    assert "not moved" in flown.lines["commands"][-1]["reason"]


def test_a_command_to_a_drone_without_link_fails() -> None:
    flown = flight(Order(5.0, "hover", "quadcopter-1"), faults=(Fault("link_loss", 1.0, "quadcopter-1", 20.0),))
    assert "did not arrive" in flown.lines["commands"][-1]["reason"]


def test_a_command_that_is_overtaken_by_another_is_broken_off() -> None:
    flown = flight(
        Order(2.0, "move_to", "quadcopter-1", (-30.0, 30.0, 30.0)),
        Order(4.0, "move_to", "quadcopter-1", (30.0, -30.0, 30.0)),
    )
    assert states(flown, 1) == ["queued", "applied", "failed"]
    assert "broken off" in next(c["reason"] for c in flown.lines["commands"] if c.get("reason"))
    assert states(flown, 2)[-1] == "done"


@pytest.mark.parametrize(
    ("kind", "target", "args"),
    [
        ("dance", None, {}),
        ("move_to", None, {}),
        ("move_to", [1, 2], {}),
        ("move_to", [1, 2, float("nan")], {}),
        ("move_to", "home", {}),
        ("move_to", [True, False, True], {}),
        ("follow", None, {}),
        ("spawn", None, {"kind": "zeppelin"}),
    ],
)
def test_a_malformed_command_is_refused_at_once(kind: str, target: Any, args: dict[str, Any]) -> None:
    with pytest.raises(CommandRefused):
        check(kind, "quadcopter-1", target, args)


def test_the_known_command_types_are_those_of_the_issue() -> None:
    assert set(COMMAND_TYPES) >= {"move_to", "hover", "follow", "return", "spawn", "retire"}
