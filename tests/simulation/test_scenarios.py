"""Scenario files: checked whole, with errors that name the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstore.simulation.errors import CityFileError, ScenarioError
from sessionstore.simulation.running.launch import build_fleet, man_fleet
from sessionstore.simulation.running.scenarios import Group, load_scenario, parse_scenario, ready_scenarios


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", sorted(ready_scenarios()))
def test_every_ready_scenario_loads_and_starts(name: str) -> None:
    plan = load_scenario(name)
    assert plan.name == name and plan.description
    fleet = build_fleet(plan)
    man_fleet(fleet, plan)
    fleet.tick()
    assert len(fleet.roster.drones) == sum(plan.counts().values())


def test_there_are_scenarios_for_all_that_the_issue_names() -> None:
    assert len(ready_scenarios()) >= 5
    faults = {fault.kind for name in ready_scenarios() for fault in load_scenario(name).faults}
    assert {"drone_lost", "stuck", "motor_loss", "link_loss", "gps_loss", "wind_storm"} <= faults


def test_a_city_path_is_relative_to_the_scenario_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[world]\ncity = "towns/delft.json"\n')
    assert load_scenario(path).city == str(tmp_path / "towns/delft.json")
    with pytest.raises(CityFileError, match=r"towns/delft\.json: file"):
        build_fleet(load_scenario(path))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("seed = 1.5", "seed"),
        ("durations_s = 5", "durations_s"),
        ("duration_s = -1", "duration_s"),
        ("[weather]\ncondition = 'hail'", "weather.condition"),
        ("[[fleet]]\nkind = 'zeppelin'", r"fleet\[0\].kind"),
        ("[[fleet]]\nkind = 'scout'\nbattery = 1.5", r"fleet\[0\].battery"),
        ("[[faults]]\nkind = 'stuck'\nat_s = 3", r"faults\[0\].drone"),
        ("[[faults]]\nkind = 'wind_storm'", r"faults\[0\].at_s"),
        ("[[faults]]\nkind = 'stuck'\nat_s = 3\ndrone = 'scout-9'", r"faults\[0\].drone: .*'scout-9', only scout-1"),
        ("duration_s = 5\n[[faults]]\nkind = 'wind_storm'\nat_s = 5", r"faults\[0\].at_s: .* the run ends at 5 s"),
        ("[[faults]]\nkind = 'wind_storm'\nat_s = 5\ndrone = 'scout-1'", r"faults\[0\].drone: .* no single drone"),
        ("[[commands]]\nat_s = 1\ntype = 'move_to'\ntarget = [1, 2]", r"commands\[0\].target"),
        ("[world]\nbase_position = [nan, 0, 0]", "world.base_position"),
        ("seed = ", "TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(ScenarioError, match=rf"mine\.toml: {field}"):
        load_scenario(write(tmp_path, text))


def test_a_missing_file_names_the_ready_ones() -> None:
    with pytest.raises(ScenarioError, match="first-flight"):
        load_scenario("no-such-scenario")


def test_a_malformed_command_is_found_before_the_start() -> None:
    plan = parse_scenario({"commands": [{"at_s": 1, "type": "move_to", "drone": "scout-1"}]})
    with pytest.raises(ScenarioError, match=r"move_to at 1\.0 s: needs a target"):
        build_fleet(plan)


def test_a_fault_may_strike_a_drone_that_joins_later() -> None:
    joins = {"at_s": 1, "type": "spawn", "args": {"kind": "scout"}}
    named = {**joins, "drone": "late-one"}
    faults = [{"kind": "stuck", "at_s": 3, "drone": name} for name in ("scout-3", "Late-One")]
    assert parse_scenario({"commands": [joins, named], "faults": faults}).drone_names()[-2:] == ["scout-3", "late-one"]


def test_the_fingerprint_covers_what_changes_the_bytes_and_nothing_else() -> None:
    plan = parse_scenario({"name": "a", "seed": 1})
    assert plan.fingerprint() == parse_scenario({"name": "b", "seed": 2}).fingerprint()
    assert plan.fingerprint() != plan.with_options(condition="storm").fingerprint()
    assert plan.fingerprint("one city") != plan.fingerprint("another")
    assert plan.fingerprint() != plan.with_options(fleet=(Group("scout"),)).fingerprint()
