"""The module ``/app/constants.js`` of the page: the tables of the package, so that no script repeats them.

Drone kinds with the shapes that stand for them, weather, commands, streams and their tabs. Made when it is asked for;
there is no such file. Not here: the tables (simulation.drones.kinds, simulation.world.weather,
simulation.mission.commands, session.stream_names), the other files of the page (server.http.page_files).
"""

from __future__ import annotations

import json

from sessionstore.session import stream_names
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.mission.commands import COMMAND_TYPES, SPAWN
from sessionstore.simulation.world.weather import CONDITIONS, DEFAULT_CONDITION

ADDRESS = "/app/constants.js"


def constants() -> dict[str, object]:
    """Return what the module exports, by name."""
    return {
        "KINDS": list(KINDS),
        "USUAL": {kind.name: kind.usual for kind in KINDS.values()},
        "SHAPES": {kind.name: {"shape": kind.shape, "radius": kind.drawn_m} for kind in KINDS.values()},
        "WEATHERS": list(CONDITIONS),
        "USUAL_WEATHER": DEFAULT_CONDITION,
        "COMMANDS": [each for each in COMMAND_TYPES if each != SPAWN],  # what a drone that flies can be ordered
        "STREAM": {name.upper(): name for name in stream_names.KINDS},
        "TABS": [
            {"name": name, "title": stream_names.KINDS[name].title, "streams": streams}
            for name, streams in stream_names.TABS.items()
        ],
        "DRAWN": list(stream_names.DRAWN),
    }


def module_text() -> str:
    """Return the module as JavaScript."""
    lines = [f"export const {name} = {json.dumps(value)};" for name, value in constants().items()]
    return "\n".join(["/* Made by the server out of the tables of the package. */", *lines, ""])
