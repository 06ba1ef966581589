"""The pure simulation as a whole: repeatable, safe, and it gets its work done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstore.simulation.drones.drone import TICK_HZ
from sessionstore.simulation.drones.kinds import KINDS, RESERVE
from sessionstore.simulation.mission.commands import Command
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.running.scenarios import Group, Order
from tests.simulation.cities import box, tower, world_of
from tests.simulation.flights import ALL_KINDS, fly, launch, scenario


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_says_the_same_and_another_one_does_not(seed: int) -> None:
    plan = scenario(seed=seed, fleet=ALL_KINDS, duration_s=40.0, hidden_buildings=1)
    assert fly(plan).as_text() == fly(plan).as_text()
    assert fly(plan).as_text() != fly(scenario(seed=seed + 10, fleet=ALL_KINDS, duration_s=40.0)).as_text()


def test_another_process_with_another_hash_seed_says_the_same() -> None:
    program = (
        "import hashlib\nfrom tests.simulation.flights import *\n"
        "plan = scenario(fleet=ALL_KINDS, duration_s=30.0)\n"
        "print(hashlib.sha256(fly(plan).as_text().encode()).hexdigest())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(answers) == 1


FLYERS = ("scout", "overseer", "quadcopter", "hexacopter")
groups = st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=10)


@settings(max_examples=12)
@given(kinds=groups, seed=st.integers(0, 10**6), buildings=st.integers(0, 6), hidden=st.integers(0, 2),
       storm=st.booleans())  # fmt: skip
def test_drones_keep_apart_from_each_other_and_from_buildings_within_their_limits(
    kinds: list[str], seed: int, buildings: int, hidden: int, storm: bool
) -> None:
    faults = (Fault("wind_storm", 20.0, duration_s=10.0),) if storm else ()
    plan = scenario(
        seed=seed, buildings=buildings, hidden_buildings=hidden, fleet=tuple(Group(k) for k in kinds),
        duration_s=45.0, faults=faults,
    )  # fmt: skip
    fly(plan, checked=True)


def test_a_crowd_in_one_place_keeps_apart() -> None:
    orders = tuple(Order(1.0, "move_to", f"quadcopter-{i}", (30.0 + i % 2, 30.0, 14.0 + i / 10)) for i in range(1, 13))
    plan = scenario(buildings=0, fleet=(Group("quadcopter", 12),), orders=orders, duration_s=40.0)
    flown = fly(plan, checked=True)
    assert sum(d.day.blocked_s for d in flown.fleet.roster.drones) > 1.0  # they did meet


def test_all_four_phases_pass_windows_become_clean_and_verify_loops_back() -> None:
    flown = fly(scenario(duration_s=300.0, seed=7, buildings=4), checked=True)
    fleet = flown.fleet
    assert fleet.mission.loops_back >= 1
    assert all(fleet.mission.entries[phase] >= 1 for phase in ("SCAN", "PLAN", "EXECUTE", "VERIFY"))
    assert fleet.crew.counts["cleaned"] >= 8
    cleaned = flown.events("window_cleaned")
    assert all(event["dirt_after"] < event["dirt_before"] for event in cleaned)
    assert all(12 < event["time_s"] < 60 for event in cleaned)
    assert sum(fleet.mission.durations_s().values()) == pytest.approx(300.0)


def test_everyone_lands_with_a_fifth_of_the_battery_recharges_and_goes_on() -> None:
    fleet_plan = (Group("scout", 1, 0.24), Group("climber", 1, 0.26), Group("overseer", 1, 0.27))
    flown = fly(scenario(duration_s=1300.0, fleet=fleet_plan, condition="calm"))
    returns = [event for event in flown.events("return") if event["reason"] == "battery"]
    assert {event["drone"] for event in returns} >= {"scout-1", "overseer-1"}
    for event in [e for e in returns if e["t"] < 1200.0]:
        docked = [e for e in flown.events("docked") if e["drone"] == event["drone"] and e["t"] >= event["t"]]
        assert docked and RESERVE <= docked[0]["battery"] < event["battery"] < RESERVE + 0.05
    ready = {event["drone"]: event for event in flown.events("ready")}
    assert ready["scout-1"]["battery"] >= 0.95 and ready["overseer-1"]["battery"] >= 0.95
    after = [line for line in flown.lines["motion_history"] if line["drone"] == "overseer-1"]
    assert any(line["mode"] == "flying" and line["t"] > ready["overseer-1"]["t"] for line in after)


@settings(max_examples=3)
@given(seed=st.integers(0, 10**6), condition=st.sampled_from(["calm", "light", "breeze"]))
def test_missions_land_with_a_fifth_of_the_battery_in_any_town_and_wind(seed: int, condition: str) -> None:
    far = tuple(Order(1.0, "move_to", f"{kind}-1", (150.0, -40.0 + 20 * i, 30.0)) for i, kind in enumerate(FLYERS))
    plan = scenario(seed=seed, condition=condition, fleet=tuple(Group(kind, 1, 0.26) for kind in FLYERS), orders=far,
                    duration_s=130.0)  # fmt: skip
    flown = fly(plan)
    landings = {event["drone"]: event["battery"] for event in reversed(flown.events("docked"))}
    returned = {event["drone"] for event in flown.events("return") if event["reason"] == "battery"}
    assert returned
    assert all(RESERVE <= landings[name] < RESERVE + 0.05 for name in returned & landings.keys())


def test_a_lifeline_turns_back_for_its_battery_although_it_feeds_a_climber() -> None:
    plan = scenario(fleet=(Group("climber"), Group("tanker-lifeline", 1, 0.26)), duration_s=300.0, buildings=2)
    flown = fly(plan)
    assert any(
        event["drone"] == "tanker-lifeline-1" and event["reason"] == "battery" for event in flown.events("return")
    )
    assert flown.fleet.roster.find("tanker-lifeline-1").battery.charge > RESERVE


def test_a_climber_calls_the_mule_below_a_fifth_and_gets_a_cartridge_in_under_15_seconds() -> None:
    plan = scenario(fleet=(Group("climber"), Group("tanker-mule")), duration_s=420.0, buildings=2)

    def start_low(fleet) -> None:  # type: ignore[no-untyped-def]
        if fleet.clock.ticks == 0:
            fleet.roster.find("climber-1").fluid_l = 0.75

    flown = fly(plan, start_low, checked=True)
    swaps = flown.events("swap")
    assert swaps and all(event["time_s"] < 15.0 for event in swaps)
    assert flown.fleet.roster.find("tanker-mule-1").day.swaps == len(swaps)
    calls = [m for m in flown.lines["communication"] if m["type"] == "FLUID"]
    assert calls and calls[0]["data"]["fluid"] < 0.2


def test_the_lifeline_keeps_its_tether_between_10_and_20_newton_and_feeds_the_climber() -> None:
    plan = scenario(fleet=(Group("climber"), Group("tanker-lifeline")), duration_s=300.0, buildings=2)
    flown = fly(plan, checked=True)
    tensions = [line["tension_n"] for line in flown.lines["tether"]]
    assert len(tensions) > 200
    assert all(10.0 <= tension <= 20.0 for tension in tensions)
    climber = flown.fleet.roster.find("climber-1")
    assert climber.battery.charge > 0.999
    assert climber.day.returns.get("fluid", 0) == 0


def test_a_hidden_building_is_found_and_never_flown_through() -> None:
    orders = (Order(1.0, "move_to", "quadcopter-1", (140.0, 0.0, 14.0)),)
    plan = scenario(buildings=0, hidden_buildings=12, fleet=(Group("quadcopter"),), orders=orders, duration_s=60.0)
    flown = fly(plan, checked=True)
    assert flown.events("hidden_building")
    assert flown.lines["commands"][-1]["status"] == "done"


def test_a_base_elsewhere_moves_the_berths_with_it() -> None:
    fleet = launch(scenario(base_position=(200.0, -100.0, 7.0)))
    assert fleet.roster.drones[0].position == (200.0, -100.0, 12.0)


def test_the_first_scout_spawns_five_metres_above_the_base() -> None:
    assert launch(scenario()).roster.find("SCOUT-1").position == (0.0, 0.0, 5.0)


def test_two_drones_never_share_a_name_or_a_place() -> None:
    from sessionstore.simulation.errors import CommandRefused

    fleet = launch(scenario())
    with pytest.raises(CommandRefused, match="of this name"):
        fleet.roster.spawn("scout", "Scout-1")
    with pytest.raises(CommandRefused, match="too near to another drone"):
        fleet.roster.spawn("scout", "twin", position=(0.3, 0.0, 5.0))
    with pytest.raises(CommandRefused, match="unknown kind"):
        fleet.roster.spawn("zeppelin")
    assert [d.id for d in fleet.roster.drones] == ["scout-1", "scout-2", "climber-1", "climber-2", "overseer-1"]


def test_who_hovers_in_the_way_of_a_climber_makes_room() -> None:
    plan = scenario(fleet=(Group("climber"), Group("hexacopter")), buildings=1, duration_s=160.0)

    def in_the_way(fleet: Fleet) -> None:
        climber = fleet.roster.find("climber-1")
        if fleet.clock.ticks == 59 * TICK_HZ:
            fleet.submit(Command(3, "hover", "climber-1", at_s=fleet.clock.t_s))
        if fleet.clock.ticks == 60 * TICK_HZ:
            assert climber.facade is not None
            spot = climber.facade.off_wall(climber.position, 2.2)
            fleet.submit(Command(1, "move_to", "hexacopter-1", spot, at_s=fleet.clock.t_s))
        if fleet.clock.ticks == 90 * TICK_HZ:
            fleet.submit(Command(2, "return", "climber-1", at_s=fleet.clock.t_s))

    flown = fly(plan, in_the_way, checked=True)
    assert [line["status"] for line in flown.lines["commands"]] == ["queued", "applied", "done"] * 3
    assert flown.fleet.roster.find("climber-1").mode == "docked"


@pytest.mark.slow
@pytest.mark.parametrize("city", ["rotterdam_subset.json", "delft.json"])
def test_in_a_real_city_nobody_blocks_the_work_for_long(data: Path, city: str) -> None:
    counts = {"scout": 2, "climber": 4, "tanker-mule": 1, "tanker-lifeline": 1, "overseer": 2}
    fleet = tuple(Group(kind, count) for kind, count in counts.items())
    flown = fly(scenario(city=str(data / city), fleet=fleet, duration_s=600.0), checked=True)
    assert flown.fleet.crew.counts["cleaned"] >= 12
    assert flown.fleet.mission.loops_back >= 1
    assert max(drone.day.blocked_s for drone in flown.fleet.roster.drones) < 200.0


def test_over_rising_ground_the_level_rises_with_it() -> None:
    hill = [tower(f"h{i}", box(60.0 + 40 * i, 0, 10, 10), 12.0 + 60 * i, ground_m=60.0 * i) for i in range(4)]
    fleet = Fleet(world_of(*hill), "1")
    drone = fleet.roster.spawn("quadcopter")
    path = fleet.plan(drone, (180.0, 20.0, 200.0))
    assert min(point[2] for point in path) >= 180.0 + 12.0
    assert fleet.plan(drone, (20.0, 20.0, 6.0))[-1] == (20.0, 20.0, 6.0)
