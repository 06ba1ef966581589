"""`sessionstore run` and `scenarios` as a newcomer types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sessionstore.cli.run import run, scenarios
from sessionstore.simulation.errors import ScenarioError
from sessionstore.store import SessionStore


def typed(store: SessionStore, *arguments: str) -> Result:
    return CliRunner().invoke(run, ["--dir", str(store.root.path), *arguments])


def test_the_run_of_the_issue_cleans_windows_twice_with_the_same_bytes(store: SessionStore, data: Path) -> None:
    line = ["--city", str(data / "rotterdam_subset.json"), "--scout", "2", "--climber", "2", "--overseer", "1",
            "--duration", "300", "--seed", "7"]  # fmt: skip
    results = [typed(store, *line, "--json") for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0]
    one, two = (json.loads(result.stdout) for result in results)
    assert one["performance_metrics"]["totals"]["windows_cleaned"] >= 5
    assert one["performance_metrics"]["totals"]["verify_loops_back"] >= 1
    motion = [(Path(each["session_dir_path"]) / "motion_history.jsonl").read_bytes() for each in (one, two)]
    assert motion[0] == motion[1] and len(motion[0]) > 100_000


@pytest.mark.slow
def test_every_kind_of_drone_cleans_delft_through_all_phases(store: SessionStore, data: Path) -> None:
    kinds = [
        "scout",
        "climber",
        "tanker-mule",
        "tanker-lifeline",
        "overseer",
        "quadcopter",
        "hexacopter",
        "ornithopter",
    ]
    counts = [text for kind in kinds for text in (f"--{kind}", "2" if kind in ("scout", "climber") else "1")]
    result = typed(store, "--city", str(data / "delft.json"), *counts, "--duration", "600", "--seed", "7", "--json")
    totals = json.loads(result.stdout)["performance_metrics"]["totals"]
    assert totals["windows_cleaned"] >= 8
    assert totals["verify_loops_back"] >= 1
    assert all(seconds > 0 for seconds in totals["phases_s"].values())


def test_the_summary_tells_each_drones_day(store: SessionStore) -> None:
    result = typed(store, "--duration", "20", "--buildings", "2")
    assert result.exit_code == 0
    for word in ("scout-1", "climber-2", "overseer-1", "phases: SCAN", "Wh", "berth", "session 2"):
        assert word in result.stdout
    assert "never moved" in result.stdout  # twenty seconds are too short for the climbers


def test_without_options_two_scouts_two_climbers_and_an_overseer_fly(store: SessionStore) -> None:
    result = typed(store, "--duration", "2", "--json")
    assert set(json.loads(result.stdout)["performance_metrics"]["drones"]) == {
        "scout-1", "scout-2", "climber-1", "climber-2", "overseer-1",
    }  # fmt: skip


def test_a_fault_on_the_command_line_strikes(store: SessionStore) -> None:
    result = typed(store, "--duration", "30", "--fault", "early_end@8.5", "--fault", "stuck@1+3:scout-1", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["status"], told["duration_sim_s"]) == ("failed", 8.5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "stuck@1"],
        ["--fault", "meteor@1:scout-1"],
        ["--fault", "stuck@1.2.3:scout-1"],
        ["--scout", "0", "--climber", "0", "--overseer", "0"],
        ["--buildings", "3", "--city", "x.json"],
        ["--weather", "hail"],
        ["--duration", "0"],
    ],
)
def test_wrong_options_are_usage_errors_and_make_no_session(store: SessionStore, arguments: list[str]) -> None:
    assert typed(store, *arguments).exit_code == 2
    assert list(store.find()) == []


@pytest.mark.parametrize("fault", ["stuck@1:scout-7", "stuck@99:scout-1", "wind_storm@1:scout-1"])
def test_a_fault_that_could_never_strike_is_refused_and_makes_no_session(store: SessionStore, fault: str) -> None:
    result = typed(store, "--duration", "30", "--fault", fault)
    assert isinstance(result.exception, ScenarioError) and list(store.find()) == []


def test_options_lie_over_the_scenario(store: SessionStore) -> None:
    result = typed(store, "--scenario", "first-flight", "--climber", "1", "--scout", "0", "--duration", "1", "--json")
    told = json.loads(result.stdout)
    assert set(told["performance_metrics"]["drones"]) == {"climber-1", "overseer-1"}
    assert told["session_id"].endswith("-first-flight")


def test_scenarios_are_listed_with_what_they_are_about() -> None:
    text = CliRunner().invoke(scenarios, []).stdout
    rows = json.loads(CliRunner().invoke(scenarios, ["--json"]).stdout)
    assert "bad-day" in text and "first-flight" in text
    assert {"name", "description", "duration_s", "fleet", "weather", "faults"} == set(rows[0])


def _town_without_heights(folder: Path) -> Path:
    ring = [[4.0, 52.0], [4.0002, 52.0], [4.0002, 52.0001], [4.0, 52.0001], [4.0, 52.0]]
    feature = {
        "type": "Feature",
        "properties": {"building": "yes"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path = folder / "town.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
    return path


@pytest.mark.parametrize("option", [("--default-height", "12"), ("--default-levels", "4")])
def test_a_default_height_is_flown_with_and_what_it_replaced_is_counted(
    store: SessionStore, tmp_path: Path, option: tuple[str, str]
) -> None:
    result = typed(store, "--city", str(_town_without_heights(tmp_path)), "--duration", "2", "--scout", "1", *option)
    assert result.exit_code == 0, result.output
    assert "replaced in the city file: 1 " in result.stdout and "12 m taken" in " ".join(result.stdout.split())


def test_default_heights_exclude_each_other_and_need_a_city(store: SessionStore) -> None:
    assert typed(store, "--default-height", "12").exit_code == 2
    assert typed(store, "--city", "x.json", "--default-height", "12", "--default-levels", "4").exit_code == 2


@pytest.mark.parametrize("line", ["default_height_m = 12", "default_levels = 4"])
def test_a_scenario_file_sets_the_default_height(tmp_path: Path, line: str) -> None:
    from sessionstore.simulation.running.launch import load_city
    from sessionstore.simulation.running.scenarios import load_scenario

    _town_without_heights(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(f'[world]\ncity = "town.geojson"\n{line}\n', "utf-8")
    house = load_city(load_scenario(path)).footprints[0]
    assert house.roof_m - house.ground_m == 12.0
    path.write_text(f"[world]\n{line}\n", "utf-8")
    with pytest.raises(ScenarioError, match=r"world\.default_.*needs a city"):
        load_scenario(path)
