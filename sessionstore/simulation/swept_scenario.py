"""A scenario with parameters, as a sweep flies it: ``weather.condition``, ``fleet.scout``, ``seed``, any field by dots.

The flight is the one that ``run`` makes of the same scenario, byte by byte.
Not here: which points a sweep has (sweeps.definition), scenarios themselves (simulation.running.scenarios).
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.errors import ScenarioError
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import Scenario, load_scenario, parse_scenario, ready_scenarios
from sessionstore.store import SessionStore

#: Short names of parameters.
_SHORT = {"weather": "weather.condition", "wind_pushes": "weather.pushes", "city": "world.city"}
_SHORT |= {"buildings": "world.buildings", "hidden_buildings": "world.hidden_buildings"}
_SHORT |= {"batch_per_climber": "mission.batch_per_climber"}


class SweptScenario:
    """A scenario by its path, its ready name, or as a mapping laid out as in a file.

    Raises: ScenarioError.
    """

    def __init__(self, given: str | os.PathLike[str] | Mapping[str, Any], source: str = "sweep") -> None:
        if isinstance(given, Mapping):
            self.base, self.source = copy.deepcopy(dict(given)), source
            self.label = f"scenario {self.base.get('name') or Path(source).stem}"
        else:
            path = _path_of(given)
            scenario = load_scenario(path)  # names what is wrong with it
            self.base, self.source = tomllib.loads(path.read_text("utf-8")), str(path)
            self.base.setdefault("name", scenario.name)
            self.label = f"scenario {scenario.name}"
        self.fingerprint = self._fingerprint()

    def _fingerprint(self) -> str:
        scenario = parse_scenario(self.base, self.source)
        content = asdict(scenario)
        for name in ("name", "description", "city"):
            del content[name]
        for trajectory in content["trajectories"]:
            del trajectory["source"]
        found = scenario.fingerprint(_sha256(scenario.city))
        text = json.dumps([found, content], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters that no scenario has. Raises: ScenarioError."""
        self.scenario(parameters)

    def scenario(self, parameters: Mapping[str, Any]) -> Scenario:
        """Return the scenario with these parameters. Raises: ScenarioError."""
        data = copy.deepcopy(self.base)
        for name, value in parameters.items():
            _put(data, _SHORT.get(name, name), value, self.source)
        return parse_scenario(data, self.source)

    def record(
        self,
        store: SessionStore,
        name: str,
        metadata: Mapping[str, Any],
        parameters: Mapping[str, Any],
        begun: Callable[[str], None],
    ) -> None:
        """Fly with these parameters and record it. Raises: as the flight."""
        box = SessionDBBox(store=store)
        live = HMRSSimulationLive(self.scenario(parameters), session_name=name, metadata=metadata, session_db_box=box)
        begun(live.session_id)
        live.run()


def _path_of(given: str | os.PathLike[str]) -> Path:
    path, ready = Path(given), ready_scenarios()
    return ready[str(given)] if not path.exists() and str(given) in ready else path


def _sha256(city: str | None) -> str:
    if city is None or not Path(city).is_file():
        return ""
    return hashlib.sha256(Path(city).read_bytes()).hexdigest()


def _put(data: dict[str, Any], name: str, value: Any, source: str) -> None:
    """Set a field by its name with dots. Raises: ScenarioError."""
    *above, last = name.split(".")
    if above == ["fleet"] and last in KINDS:
        _put_count(data, last, value, source)
        return
    place: Any = data
    for step in above:
        place = _of_list(place, step, name, source) if isinstance(place, list) else place.setdefault(step, {})
        if not isinstance(place, dict | list):
            raise ScenarioError(source, name, "there is no such field")
    if isinstance(place, list):
        _of_list(place, last, name, source)
        place[int(last)] = value
    else:
        place[last] = value


def _of_list(place: list[Any], step: str, name: str, source: str) -> Any:
    if not step.isdigit() or int(step) >= len(place):
        raise ScenarioError(source, name, f"a number from 0 to {len(place) - 1} is expected in place of {step!r}")
    return place[int(step)]


def _put_count(data: dict[str, Any], kind: str, count: Any, source: str) -> None:
    """Set the number of drones of a kind where it stands in the fleet; 0 takes the kind out."""
    groups = list(data.get("fleet", []))
    at = next((index for index, group in enumerate(groups) if group.get("kind") == kind), len(groups))
    before = groups[at] if at < len(groups) else {"kind": kind}
    rest = [group for group in groups[at + 1 :] if group.get("kind") != kind]
    data["fleet"] = [*groups[:at], *([{**before, "count": count}] if count != 0 else []), *rest]
    if not data["fleet"]:
        raise ScenarioError(source, f"fleet.{kind}", "the fleet has no drones")
