"""Faults: what each does to a flight, and that the flight says so."""

from __future__ import annotations

import pytest

from sessionstore.simulation.mission.faults import FAULTS, Fault
from sessionstore.simulation.mission.flight_figures import end_reason, performance, warnings_of
from sessionstore.simulation.running.scenarios import Group
from tests.simulation.flights import Flown, fly, scenario


def flight(*faults: Fault, **options: object) -> Flown:
    return fly(scenario(**{"duration_s": 90.0, "faults": faults, **options}), checked=True)


def test_a_lost_drone_falls_gives_its_work_back_and_is_named_in_the_end_reason() -> None:
    flown = flight(Fault("drone_lost", 60.0, "climber-1"), duration_s=260.0)
    fleet = flown.fleet
    lost = fleet.roster.by_id["climber-1"]
    assert lost.mode == "lost" and lost.z == fleet.world.ground_m(lost.x, lost.y)
    assert all(f.claimed_by != "climber-1" for f in fleet.world.facades)
    assert end_reason(fleet, "completed") == "completed; drone lost: climber-1"
    assert fleet.roster.by_id["climber-2"].day.windows_cleaned > 0
    assert any("climber-1" in warning for warning in warnings_of(fleet))


def test_when_every_drone_is_lost_the_run_ends_as_failed() -> None:
    flown = flight(Fault("drone_lost", 8.5, "scout-1"), fleet=(Group("scout"),))
    assert flown.fleet.ended == ("failed", "drone lost: none is left")
    assert flown.fleet.clock.t_s == 8.5


def test_a_stuck_drone_is_noticed_and_shown_as_never_moved() -> None:
    flown = flight(Fault("stuck", 0.0, "scout-1"))
    assert flown.events("motionless")
    assert performance(flown.fleet)["drones"]["scout-1"]["zero_motion"]
    assert "scout-1 never moved" in warnings_of(flown.fleet)
    assert flown.fleet.crew.counts["found"] > 0  # the other scout took over its work


def test_a_hexacopter_limps_home_without_a_motor_and_a_scout_falls() -> None:
    fleet = (Group("hexacopter"), Group("scout"))
    flown = flight(
        Fault("motor_loss", 10.0, "hexacopter-1"), Fault("motor_loss", 10.0, "scout-1"), fleet=fleet
    )  # fmt: skip
    assert flown.fleet.roster.by_id["hexacopter-1"].mode == "docked"
    assert flown.fleet.roster.by_id["scout-1"].mode == "lost"


def test_a_drone_without_link_comes_home_and_its_messages_are_dropped() -> None:
    flown = flight(Fault("link_loss", 10.0, "scout-2", 40.0))
    assert any(e["drone"] == "scout-2" and e["reason"] == "link loss" for e in flown.events("return"))
    dropped = [m for m in flown.lines["communication"] if not m["delivered"]]
    assert dropped and all("scout-2" in (m["from"], m["to"]) for m in dropped)
    assert {m["dropped_because"] for m in dropped} == {"link down"}
    assert any(e.get("over") for e in flown.events("fault"))


def test_a_drone_without_gps_hovers_and_then_comes_home() -> None:
    flown = flight(Fault("gps_loss", 10.0, "scout-1"))
    lines = [m for m in flown.lines["motion_history"] if m["drone"] == "scout-1"]
    blind = [m for m in lines if m["t"] > 10.05]
    assert all(m["fix"] == "NO_FIX" and m["gps"] is None for m in blind)
    hover = [m["position"] for m in blind if 16.0 < m["t"] < 29.0]
    assert all(p == hover[0] for p in hover)
    assert any(e["drone"] == "scout-1" and e["reason"] == "gps loss" for e in flown.events("return"))


def test_an_early_end_says_when_and_why() -> None:
    flown = flight(Fault("early_end", 8.5))
    assert flown.fleet.ended == ("failed", "early end at 8.5 s (fault)")


def test_in_a_storm_nobody_flies_and_afterwards_everybody_goes_on() -> None:
    flown = flight(Fault("wind_storm", 30.0, duration_s=60.0), duration_s=200.0)
    storm = [m for m in flown.lines["motion_history"] if 65.0 < m["t"] < 89.0]
    assert {m["mode"] for m in storm} <= {"docked", "wall"}
    later = [m for m in flown.lines["motion_history"] if m["t"] > 100.0]
    assert any(m["mode"] == "flying" for m in later)
    assert any(w["wind_mps"] > 10 for w in flown.lines["weather"])


def test_scouts_stay_at_home_above_25_km_an_hour_while_others_fly() -> None:
    flown = flight(fleet=(Group("scout"), Group("hexacopter")), condition="fresh")
    winds = [w["wind_mps"] for w in flown.lines["weather"]]
    grounded = [m for m in flown.lines["motion_history"] if m["drone"] == "scout-1" and m["mode"] == "flying"]
    assert max(winds) > 6.9
    assert not grounded
    assert flown.fleet.roster.by_id["hexacopter-1"].day.distance_m > 100


def test_a_snag_is_reported_and_pauses_the_climber() -> None:
    fleet = (Group("climber"), Group("tanker-lifeline"))
    flown = flight(Fault("snag", 150.0, "tanker-lifeline-1", 4.0), fleet=fleet, duration_s=200.0, buildings=2)
    messages = [e["message"] for e in flown.events("snag")]
    assert any("snagged" in m for m in messages) and any("free" in m for m in messages)
    assert flown.fleet.supply.snags >= 1


@pytest.mark.parametrize("kind", [name for name, kind in FAULTS.items() if kind.needs_drone])
def test_a_fault_for_a_drone_that_is_not_there_is_a_warning_and_changes_nothing(kind: str) -> None:
    flown = fly(scenario(duration_s=5.0, faults=(Fault(kind, 1.0, "nobody"),)))
    assert "no effect" in flown.events("fault")[0]["message"]
    assert flown.fleet.ended is None
