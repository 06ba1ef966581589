"""Trajectories: a drone is where it has to be when it has to be there, by safe ways, or the reason is reported."""

from __future__ import annotations

import subprocess
import sys
from math import dist, hypot
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from sessionstore import SessionStore
from sessionstore.cli import group
from sessionstore.reruns.rerun import rerun
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.trajectory import Trajectory, simplified
from sessionstore.simulation.errors import ScenarioError
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.running.launch import build_fleet
from sessionstore.simulation.running.recordings import of_session
from sessionstore.simulation.running.scenarios import Group, Order, load_scenario, parse_scenario
from sessionstore.simulation.world.city import open_city, random_city
from tests.simulation.flights import Flown, fly, scenario

POINTS = [(20, 30, 0, 20), (26, 30, 30, 20), (30, 30, 30, 20), (40, 0, 30, 30)]
ROUND = Trajectory.waypoints("quadcopter-1", POINTS)


def flight(*trajectories: Trajectory, kind: str = "quadcopter", **options: Any) -> Flown:
    plan = {"fleet": (Group(kind),), "buildings": 0, "duration_s": 60.0, "trajectories": trajectories, **options}
    return fly(scenario(**plan), checked=True)


def places(flown: Flown, drone: str = "quadcopter-1") -> dict[float, tuple[float, float, float]]:
    return {m["t"]: tuple(m["position"]) for m in flown.lines["motion_history"] if m["drone"] == drone}


def messages(flown: Flown) -> list[str]:
    return [event["message"] for event in flown.events("trajectory")]


def test_a_drone_is_at_its_way_points_at_their_times_and_goes_home() -> None:
    flown = flight(ROUND)
    place = places(flown)
    for t, *where in POINTS:
        assert dist(place[float(t)], where) < 1.2, t  # corners are rounded, and it brakes before it stands
    assert dist(place[28.0], (30, 30, 20)) < 0.25 and place[28.0] == place[29.5]  # it waits there
    assert dist(place[23.0], (30, 15, 20)) < 1.2
    assert flown.fleet.roster.find("quadcopter-1").mode == "docked"
    assert flown.fleet.trajectories["quadcopter-1"].figures()["complete"] is True
    assert messages(flown)[-1].endswith("flown")


def test_a_circle_is_round_and_takes_its_time() -> None:
    flown = flight(Trajectory.circle("quadcopter-1", (0, 0, 30), 20, 5, turns=1, at_s=15.0))
    on_it = [p for t, p in places(flown).items() if 17 < t < 39]
    assert all(abs(hypot(x, y) - 20) < 0.1 and abs(z - 30) < 0.05 for x, y, z in on_it)
    assert dist(places(flown)[15.0 + 12.55], (-20, 0, 30)) < 1.0  # half the way round after half the time


@pytest.mark.parametrize("heading", ["t,x,y,z", "time,EAST_m,north_m,up_m,note", "\ufeffsim_time,east,north,altitude"])
def test_a_csv_file_is_a_trajectory(tmp_path: Path, heading: str) -> None:
    (tmp_path / "route.csv").write_text(f"{heading}\n20,30,0,20\n\n26,30,30,20\n", "utf-8")
    assert Trajectory.from_csv("a", tmp_path / "route.csv").points == ((20, 30, 0, 20), (26, 30, 30, 20))
    assert Trajectory.from_csv("a", tmp_path / "route.csv", at_s=5).points[1][0] == 11


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("a,b\n1,2\n", "heading", "no column 't'"),
        ("t,x,y,z\n1,2,3,4\n2,3,4\n", "line 3", "not four numbers"),
        ("t,x,y,z\n1,2,3,4\n2,3,4,high\n", "line 3", "not four numbers"),
        ("t,x,y,z\n1,2,3,4\n2,3,4,nan\n", "point 1", "finite"),
        ("t,x,y,z\n1,2,3,4\n1,3,4,5\n", "point 1", "not after"),
        ("t,x,y,z\n1,2,3,4\n", "points", "at least two"),
        ("", "heading", "no column"),
    ],
)
def test_a_csv_file_that_is_not_a_trajectory_is_refused_with_line_and_reason(
    tmp_path: Path, text: str, where: str, reason: str
) -> None:
    (tmp_path / "route.csv").write_text(text)
    with pytest.raises(ScenarioError, match=reason) as caught:
        Trajectory.from_csv("a", tmp_path / "route.csv")
    assert caught.value.field == where and "route.csv" in caught.value.path
    with pytest.raises(ScenarioError, match="No such file"):
        Trajectory.from_csv("a", tmp_path / "none.csv")


def building(number: int = 0) -> tuple[float, float, float]:
    """The middle of a building of the town of these tests, and its roof."""
    city = random_city("7", 3)
    xs, ys = zip(*city.footprints[number].rings[0], strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, city.footprints[number].roof_m


X, Y, ROOF = building()


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([(30, 0, 0, 20), (60, X, Y, ROOF / 2)], "m from building-1; 2.4 m are needed"),
        ([(30, X, Y, ROOF / 2), (60, X, Y, ROOF + 10)], "inside building-1"),
        ([(30, X, Y, ROOF + 1), (60, X, Y, ROOF + 9)], "1.0 m from building-1"),
        ([(30, -2 * X, -2 * Y, ROOF / 2), (60, 2 * X, 2 * Y, ROOF / 2)], "from building-1"),  # only the leg is inside
        ([(30, 0, 0, 20), (60, 0, 0, -1)], "under the ground"),
        ([(30, 0, 0, 20), (200, 0, 0, 500)], "above the ceiling"),
        ([(30, 0, 0, 20), (31, 50, 0, 20)], "from 30 to 31 s it would fly 50.0 m/s; its limit is 10"),
        ([(30, 0, 0, 20), (32, 0, 0, 40)], "it would climb or sink 10.0 m/s"),
    ],
)
def test_what_cannot_be_flown_is_refused_at_once_with_the_reason(points: list[Any], reason: str) -> None:
    plan = scenario(fleet=(Group("quadcopter"),), trajectories=(Trajectory.waypoints("quadcopter-1", points),))
    with pytest.raises(ScenarioError, match="trajectory of quadcopter-1") as caught:
        build_fleet(plan)
    assert reason in caught.value.reason


def test_a_recorded_flight_through_a_building_is_refused_and_one_near_a_wall_is_flown_around_it() -> None:
    through = Trajectory("quadcopter-1", ((20, -X, -Y, 10), (50, X, Y, 10)), recorded=True)
    with pytest.raises(ScenarioError, match="inside building-1"):
        build_fleet(scenario(fleet=(Group("quadcopter"),), trajectories=(through,)))
    xs, ys = zip(*random_city("7", 3).footprints[0].rings[0], strict=True)
    near = [(15, max(xs) + 1, min(ys) - 20, 5), (17, max(xs) + 1, max(ys) + 20, 5)]  # faster than it can, too
    flown = flight(Trajectory("quadcopter-1", tuple(near), recorded=True), buildings=3)
    flew = flown.fleet.trajectories["quadcopter-1"]
    assert flew.complete and flew.left_out_m > max(ys) - min(ys) and flew.latest_s > 2.0


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ({"drone": "quadcopter-1"}, "trajectories[0]"),
        ({"drone": "quadcopter-1", "waypoints": POINTS, "csv": "a.csv"}, "trajectories[0]"),
        ({"drone": "quadcopter-1", "waypoints": [[1, 2, 3]]}, "trajectories[0].waypoints[0]"),
        ({"drone": "quadcopter-1", "circle": {"center": [0, 0, 9], "radius_m": 0, "speed_mps": 1}}, "radius_m"),
        ({"drone": "quadcopter-1", "csv": "none.csv"}, "none.csv: file"),
        ({"drone": "quadcopter-1", "recording": "First"}, "recording"),
        ({"drone": "scout-9", "waypoints": POINTS}, "trajectories[0].drone"),
        ({"waypoints": POINTS}, "trajectories[0].drone"),
    ],
)
def test_a_malformed_table_is_refused_with_its_place(table: dict[str, Any], field: str) -> None:
    points = {"waypoints": [list(p) for p in table["waypoints"]]} if "waypoints" in table else {}
    with pytest.raises(ScenarioError) as caught:
        parse_scenario({"fleet": [{"kind": "quadcopter"}], "trajectories": [{**table, **points}]}, "plan.toml")
    assert field in caught.value.field and "plan.toml" in caught.value.path
    with pytest.raises(ScenarioError, match="has a trajectory already"):
        build_fleet(scenario(fleet=(Group("quadcopter"),), trajectories=(ROUND, ROUND)))


coordinates = st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(3, 50))


@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # shrinking flies for minutes
@given(
    seed=st.integers(0, 10**6),
    routes=st.lists(st.lists(coordinates, min_size=2, max_size=6), min_size=1, max_size=4),
    kinds=st.lists(st.sampled_from(["quadcopter", "scout", "hexacopter", "tanker-mule"]), min_size=4, max_size=4),
    hidden=st.integers(0, 3),
)
def test_any_trajectories_in_any_town_keep_all_distances_and_limits(
    seed: int, routes: list[list[tuple[float, float, float]]], kinds: list[str], hidden: int
) -> None:
    trajectories = []
    for number, route in enumerate(routes):
        kind, t, points = KINDS[kinds[number]], 8.0, []
        for before, here in zip([route[0], *route], route, strict=False):
            t += max(dist(before, here) / kind.cruise_mps, abs(here[2] - before[2]) / kind.climb_mps) + 0.1
            points.append((t, *here))
        trajectories.append(Trajectory.waypoints(f"drone-{number}", points))
    orders = tuple(Order(0.0, "spawn", f"drone-{n}", None, {"kind": kinds[n]}) for n in range(len(routes)))
    plan = scenario(seed=seed, buildings=3, hidden_buildings=hidden, fleet=(), orders=orders, duration_s=60.0,
                    trajectories=tuple(trajectories))  # fmt: skip
    try:
        build_fleet(plan)
    except ScenarioError:
        assume(False)
    fly(plan, checked=True)


def test_two_drones_on_one_line_against_each_other_keep_apart_and_both_arrive() -> None:
    flown = flight(
        Trajectory.waypoints("quadcopter-1", [(20, -30, 0, 20), (30, 30, 0, 20)]),
        Trajectory.waypoints("hexacopter-1", [(20, 30, 0, 20), (30, -30, 0, 20)]),
        fleet=(Group("quadcopter"), Group("hexacopter")),
        duration_s=90.0,
    )
    assert all(each.complete for each in flown.fleet.trajectories.values()), messages(flown)
    assert max(each.latest_s for each in flown.fleet.trajectories.values()) > 0.5  # they did meet


def test_a_hidden_building_on_the_way_is_flown_around() -> None:
    city = random_city("7", 0, 1)
    xs, ys = zip(*city.footprints[0].rings[0], strict=True)
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    k = 60 / hypot(x, y)
    ends = [(20, x - x * k, y - y * k, 6), (60, x + x * k, y + y * k, 6)]
    flown = flight(Trajectory.waypoints("quadcopter-1", ends), hidden_buildings=1, duration_s=100.0)
    flew = flown.fleet.trajectories["quadcopter-1"]
    assert flown.events("hidden_building") and flew.left_out_m > 10.0 and flew.complete
    assert any("around a building" in message for message in messages(flown))


def test_a_trajectory_that_was_broken_off_says_why_and_is_gone_on_with() -> None:
    flown = flight(
        Trajectory.waypoints("quadcopter-1", [(15, 0, 0, 20), (100, 100, 0, 20)]),
        faults=(Fault("link_loss", 20.0, "quadcopter-1", 40.0),),
        duration_s=150.0,
    )
    said = messages(flown)
    assert [m.rpartition(") ")[2] for m in said] == [
        "is at its beginning", "broken off: link lost", "goes on", "flown",
    ]  # fmt: skip
    assert flown.fleet.trajectories["quadcopter-1"].latest_s > 10.0


def test_a_trajectory_that_the_end_cuts_is_a_warning() -> None:
    from sessionstore.simulation.mission.flight_figures import performance

    figures = performance(flight(ROUND, duration_s=30.0).fleet)
    assert any("its trajectory was flown to" in warning for warning in figures["totals"]["warnings"])
    assert figures["drones"]["quadcopter-1"]["trajectory"]["complete"] is False


def test_the_same_trajectories_give_the_same_bytes_and_another_hash_than_none() -> None:
    plan = scenario(fleet=(Group("quadcopter"), Group("scout")), trajectories=(ROUND,), buildings=2, duration_s=30.0)
    assert fly(plan).as_text() == fly(plan).as_text()
    other = Trajectory.waypoints("quadcopter-1", [*POINTS, (60, 0, 0, 30)])
    hashes = {plan.with_options(trajectories=each).fingerprint() for each in ((), (ROUND,), (other,))}
    assert len(hashes) == 3


@settings(max_examples=30)
@given(st.lists(coordinates, min_size=2, max_size=40))
def test_a_simplified_track_stays_within_its_tolerance(route: list[tuple[float, float, float]]) -> None:
    points = [(float(t), *place) for t, place in enumerate(route)]
    kept = simplified(points, 0.5)
    assert kept[0] == points[0] and kept[-1] == points[-1] and set(kept) <= set(points)
    for t, *place in points:
        before = max(p for p in kept if p[0] <= t)
        after = min(p for p in kept if p[0] >= t)
        share = (t - before[0]) / (after[0] - before[0]) if after[0] > before[0] else 0.0
        assert dist(place, [a + (b - a) * share for a, b in zip(before[1:], after[1:], strict=True)]) <= 0.5 + 1e-9


# ------------------------------------------------------------ recorded flights


@pytest.fixture
def flown_store(store: SessionStore) -> SessionStore:
    plan = scenario(duration_s=60.0, fleet=(Group("scout", 2), Group("climber")))
    HMRSSimulationLive(plan, training_sessions_dir=store.root.path, session_name="First").run()
    return store


def run(store: SessionStore, *arguments: str) -> Any:
    return CliRunner().invoke(group, ["run", "--dir", str(store.root.path), "-q", *arguments])


def test_a_recorded_flight_is_flown_again_by_another_drone_in_its_town(flown_store: SessionStore) -> None:
    assert run(flown_store, "--fly-again", "First:scout-2", "--hexacopter", "1", "--name", "Again").exit_code == 0
    first, again = flown_store.get("First"), flown_store.get("Again")
    assert [row["name"] for row in again.tables()["scene"].values()] == [
        row["name"] for row in first.tables()["scene"].values()
    ]
    figures = again.record.performance_metrics["drones"]["hexacopter-1"]["trajectory"]
    assert figures["complete"] and figures["source"] == f"{first.session_id}:scout-2" and figures["off_m"] < 0.3
    assert again.record.metadata["trajectories"] == {"hexacopter-1": figures["source"]}
    theirs = {line.t_s: line.data["position"] for line in first.tape("motion_history").in_time()
              if line.data["drone"] == "scout-2" and line.data["mode"] == "flying"}  # fmt: skip
    ours = {line.t_s: line.data["position"] for line in again.tape("motion_history").in_time()}
    apart = sorted(dist(place, ours[t]) for t, place in theirs.items() if t > 15.0 and t in ours)
    assert len(apart) > 300 and apart[len(apart) // 2] < 0.5 and apart[-1] < 6.0


def test_without_a_fleet_a_drone_of_the_recorded_kind_flies_and_a_pilot_may_be_named(flown_store: SessionStore) -> None:
    assert run(flown_store, "--fly-again", "First:climber-1", "--name", "Kind").exit_code == 0
    assert [drone["kind"] for drone in flown_store.get("Kind").record.drones] == ["climber"]
    arguments = ("--quadcopter", "2", "--duration", "40", "--name", "Two")
    two = ("--fly-again", "First:scout-1=quadcopter-2", "--fly-again", "First:scout-2")
    assert run(flown_store, *two, *arguments).exit_code == 0
    flew = flown_store.get("Two").record.metadata["trajectories"]
    assert {name: source.partition(":")[2] for name, source in flew.items()} == {
        "quadcopter-2": "scout-1", "quadcopter-1": "scout-2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--fly-again", "First"], "SESSION:DRONE"),
        (["--fly-again", "Second:scout-1"], "Second"),
        (["--fly-again", "First:scout-9"], "did not fly in this session; there are"),
        (["--fly-again", "First:scout-1=scout-9", "--scout", "1"], "no drone 'scout-9'"),
        (["--fly-again", "First:scout-1", "--fly-again", "First:scout-2", "--scout", "1"], "no drone of the fleet"),
    ],
)
def test_a_flight_that_cannot_be_flown_again_is_refused_and_makes_no_session(
    flown_store: SessionStore, arguments: list[str], reason: str
) -> None:
    result = run(flown_store, *arguments)
    assert result.exit_code != 0 and reason in " ".join((result.output + str(result.exception)).split())
    assert len(flown_store.find()) == 1


def test_a_scenario_names_a_recording_by_its_folder_or_in_the_store(flown_store: SessionStore, tmp_path: Path) -> None:
    first = flown_store.get("First")
    (tmp_path / "again.toml").write_text(
        f'duration_s = 20\n[world]\ncity = "{first.folder}"\n[[fleet]]\nkind = "quadcopter"\n'
        '[[trajectories]]\ndrone = "quadcopter-1"\nrecording = "First:scout-1"\nat_s = 12\n'
    )
    live = HMRSSimulationLive(load_scenario(tmp_path / "again.toml"), training_sessions_dir=flown_store.root.path)
    by_name = live.scenario.trajectories[0]
    assert by_name.points[0][0] == 12.0 and by_name.recorded
    folder = Trajectory("quadcopter-1", recorded=True, recording=f"{first.folder}:scout-1", at_s=12.0)
    plan = load_scenario(tmp_path / "again.toml").with_options(trajectories=(folder,))
    other = HMRSSimulationLive(plan, training_sessions_dir=tmp_path / "other")
    assert other.scenario.trajectories[0].points == by_name.points
    assert other.scenario.fingerprint() == live.scenario.fingerprint()
    assert of_session(first, "SCOUT-1").points[0][0] < by_name.points[0][0]


def test_the_town_of_a_session_is_a_city_with_its_hidden_buildings_and_origin(
    store: SessionStore, data: Path, tmp_path: Path
) -> None:
    plan = scenario(duration_s=1.0, hidden_buildings=1)
    live = HMRSSimulationLive(plan, training_sessions_dir=store.root.path)
    live.run()
    town, own = open_city(store.get(live.session_id).folder), live.fleet.world.city
    assert [f.name for f in town.footprints] == [f.name for f in own.footprints]
    assert [f.hidden for f in town.footprints] == [f.hidden for f in own.footprints]
    for one, two in zip(town.footprints, own.footprints, strict=True):
        assert one.roof_m == pytest.approx(two.roof_m, abs=1e-3)
        assert all(dist(p, q) < 2e-3 for p, q in zip(one.rings[0], two.rings[0], strict=True))
    assert town.sha256 == open_city(store.get(live.session_id).folder).sha256 != ""


def test_a_flight_in_the_town_of_a_session_is_run_again_also_when_that_session_is_gone(
    flown_store: SessionStore,
) -> None:
    assert run(flown_store, "--fly-again", "First:scout-2", "--hexacopter", "1", "--name", "Again").exit_code == 0
    first, again = flown_store.get("First"), flown_store.get("Again")
    flown_store.delete(first.session_id)
    third = rerun(flown_store, again, name="Third")
    points = [[line.data for line in each.tape("motion_history").read()] for each in (again, third)]
    assert points[0] == points[1] and len(points[0]) > 300


def test_the_ready_scenario_flies_way_points_a_circle_and_a_csv() -> None:
    flown = fly(load_scenario("trajectories"), checked=True)
    assert all(each.complete and each.latest_s < 2.0 for each in flown.fleet.trajectories.values())
    assert len(flown.fleet.trajectories) == 3


def test_the_csv_of_the_ready_scenario_is_in_the_package() -> None:
    program = "from sessionstore.simulation.running.scenarios import load_scenario; load_scenario('trajectories')"
    subprocess.run([sys.executable, "-c", program], check=True)
