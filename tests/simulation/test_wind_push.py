"""Wind that pushes: an option; who can hold against it does, and who cannot drifts and says so."""

from __future__ import annotations

from math import dist, hypot
from typing import Any

import pytest

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.separation import least_distance_m
from sessionstore.simulation.drones.trajectory import Trajectory
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.mission.flight_figures import performance
from sessionstore.simulation.mission.wind_push import WindPush
from sessionstore.simulation.running.scenarios import Group, Order, parse_scenario
from tests.simulation.cities import box, tower, world_of
from tests.simulation.flights import ALL_KINDS, Flown, fly, scenario


def blown(**options: Any) -> Flown:
    return fly(scenario(**{"wind_pushes": True, "buildings": 2, "duration_s": 60.0, **options}))


def in_wind(kind: str, east_mps: float, seconds: float, *buildings: Any) -> tuple[Fleet, Drone]:
    """A hovering drone in an even wind from the west."""
    fleet = Fleet(world_of(*buildings) if buildings else world_of(tower("far", box(500, 500, 9, 9), 9.0)), "1", "calm",
                  wind_pushes=True)  # fmt: skip
    drone = fleet.roster.spawn(kind, position=(0.0, 0.0, 20.0))
    weather = fleet.weather

    def even() -> None:
        weather.mean_mps = weather.wind_mps = weather.east_mps = east_mps
        weather.north_mps = 0.0

    weather.step = even  # type: ignore[method-assign]
    even()
    push = fleet.wind_push
    assert isinstance(push, WindPush)
    for _ in range(round(20 * seconds)):
        weather.step()
        fleet.clock.advance()
        drone.advance()
        push.step(drone)
    return fleet, drone


def test_without_wind_a_hovering_drone_stays_where_it_is() -> None:
    _, drone = in_wind("quadcopter", 0.0, 5.0)
    assert drone.position == (0.0, 0.0, 20.0) and drone.accel_mps2 == drone.kind.accel_mps2


@pytest.mark.parametrize("kind", ["quadcopter", "scout", "climber", "tanker-mule", "ornithopter"])
def test_a_drone_holds_within_its_wind_limit_and_is_weaker_meanwhile(kind: str) -> None:
    fleet, drone = in_wind(kind, 4.0, 30.0)
    assert hypot(drone.x, drone.y) < 1.0 and drone.speed < 0.1
    assert drone.accel_mps2 < drone.kind.accel_mps2
    assert not [line for line in fleet.log.drain().get("events", []) if line["kind"] == "drift"]


@pytest.mark.parametrize(("kind", "wind"), [("ornithopter", 12.0), ("scout", 24.0), ("climber", 24.0)])
def test_a_drone_that_cannot_hold_drifts_with_the_wind_and_says_so(kind: str, wind: float) -> None:
    fleet, drone = in_wind(kind, wind, 30.0)
    assert drone.x > 5.0 and abs(drone.y) < 0.1 and 0.1 < drone.vx < wind
    (event,) = [line for line in fleet.log.drain()["events"] if line["kind"] == "drift"]
    assert event["level"] == "warning" and f"{wind} m/s" in str(event["message"])
    figures = performance(fleet)
    assert figures["drones"][drone.id]["drift_s"] > 25.0
    assert any("drifted for" in warning for warning in figures["totals"]["warnings"])


def test_a_drone_that_is_driven_into_a_building_is_lost() -> None:
    _, drone = in_wind("ornithopter", 15.0, 60.0, tower("wall", box(20, -20, 10, 40), 60.0))
    assert drone.mode == "lost" and "blown into a building" in drone.activity and drone.x < 20.0


def test_a_fleet_in_a_breeze_works_with_all_distances_kept_and_no_drift() -> None:
    def apart(fleet: Fleet) -> None:
        drones = [d for d in fleet.roster.drones if d.active]
        for i, one in enumerate(drones):
            assert all(dist(one.position, two.position) >= least_distance_m(one, two) for two in drones[i + 1 :])
            if one.mode == "flying" and "wall" not in one.activity:
                assert fleet.world.clearance_m(one.position, limit_m=4.0) >= 1.8

    plan = scenario(wind_pushes=True, condition="breeze", fleet=ALL_KINDS, duration_s=120.0)
    flown = fly(plan, apart)
    assert not flown.events("drift") and flown.fleet.crew.counts["found"] > 0
    assert flown.as_text() == fly(plan).as_text()  # repeatable
    assert flown.as_text() != fly(plan.with_options(wind_pushes=False)).as_text()


def test_commands_and_trajectories_are_carried_out_in_the_wind() -> None:
    orders = (Order(2.0, "move_to", "hexacopter-1", (-20.0, 15.0, 20.0)), Order(30.0, "hover", "hexacopter-1"))
    circle = Trajectory.circle("quadcopter-1", (0, 0, 40), 15, 4, at_s=15.0)
    flown = blown(condition="breeze", fleet=(Group("hexacopter"), Group("quadcopter")), orders=orders,
                  trajectories=(circle,), buildings=1)  # fmt: skip
    assert [line["status"] for line in flown.lines["commands"] if line["id"] == 1][-1] == "done"
    flew = flown.fleet.trajectories["quadcopter-1"]
    assert flew.complete and flew.off_m < 0.5


def test_the_option_is_in_scenario_files_and_in_the_hash() -> None:
    plan = parse_scenario({"weather": {"condition": "fresh", "pushes": True}})
    assert plan.wind_pushes and plan.fingerprint() != plan.with_options(wind_pushes=False).fingerprint()
