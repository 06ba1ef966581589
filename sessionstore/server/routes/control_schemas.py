"""What requests to the live simulation may hold; the names are those that the users' programs send, and clearer ones.

Not here: sessions (server.routes.api_schemas), what the simulation itself refuses (simulation).
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from sessionstore.server.routes.api_schemas import (
    FLEET_METADATA,
    FleetField,
    Number,
    QueryNumber,
    Strict,
    seconds,
    text,
    typed_name,
    vector,
    whole,
)
from sessionstore.simulation.mission.commands import COMMAND_TYPES
from sessionstore.simulation.world.weather import CONDITIONS


def _session() -> fields.String:
    return text(300, metadata={"description": "Which simulation; by default the current one."})


class WhichQuery(Strict):
    """Of questions about a simulation."""

    session_id = _session()


class MotionQuery(WhichQuery):
    """Of the recent points of a drone."""

    limit = fields.Integer(load_default=200, validate=validate.Range(min=1, max=10_000))


class WhichBody(Strict):
    """Which simulation is meant."""

    session_id = _session()
    reason = text(1000)


class Start(Strict):
    """A start: of the session that waits, or of a new one."""

    duration = seconds(metadata={"description": "Seconds of sim time; `duration_s` is the same."})
    duration_s = seconds()
    headless = fields.Boolean(metadata={"description": "Accepted and ignored: the simulation has no window."})
    gui = fields.Boolean(metadata={"description": "Accepted and ignored: the simulation has no window."})
    session_id = _session()
    session_name = typed_name(allow_none=True)
    metadata = fields.Dict(keys=text(1000))
    realtime_factor = Number(
        allow_none=True,
        validate=validate.Range(min=0, max=1000),
        metadata={"description": "Sim seconds a second; 1 by default, 0 or null is as fast as possible."},
    )
    seed = whole(2**31 - 1)
    weather = fields.String(validate=validate.OneOf(tuple(CONDITIONS)))
    num_buildings = whole(500)
    drones = FleetField(metadata=FLEET_METADATA)
    fleet = FleetField(metadata={"description": "The same as `drones`."})
    parallel = fields.Boolean(load_default=False, metadata={"description": "Although another one is running."})


class Spawn(Strict):
    """A drone that joins."""

    type = text(100)
    drone_type = text(100)
    position = vector(allow_none=True)
    name = text(64, allow_none=True)
    session_id = _session()


class Target(fields.Field[Any]):
    """A place, or the name of a drone."""

    _place = vector()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        if isinstance(value, str) and len(value) <= 64:
            return value
        return self._place.deserialize(value, attr, data, **more)


class Command(Strict):
    """An order to a drone."""

    drone_name = text(64)
    drone = text(64)
    command_type = fields.String(validate=validate.OneOf(COMMAND_TYPES))
    type = fields.String(validate=validate.OneOf(COMMAND_TYPES))
    target = Target(
        allow_none=True, metadata={"description": "A place [x, y, z]; for follow also the name of a drone."}
    )
    leader = text(64, metadata={"description": "Whom to follow."})
    duration_s = seconds()
    kind = text(100, metadata={"description": "Which kind of drone, for spawn."})
    session_id = _session()


class RandomBuildings(Strict):
    """Random buildings for the next flight."""

    num_buildings = whole(500)
    count = whole(500)
    num_invisible_buildings = whole(500, load_default=0)
    session_name = typed_name(allow_none=True)
    seed = whole(2**31 - 1)


class LoadQuery(Strict):
    """Of a city that is sent."""

    session_name = typed_name(metadata={"description": "Of the session that is made for it."})
    default_height_m = QueryNumber(
        validate=validate.Range(min=1, max=500), metadata={"description": "For buildings without a height; 9 m."}
    )
    default_levels = fields.Integer(
        validate=validate.Range(min=1, max=150), metadata={"description": "The same in levels of 3 m."}
    )


class Weather(Strict):
    """The weather of the next flight."""

    condition = fields.String(required=True, validate=validate.OneOf(tuple(CONDITIONS)))


class CommunicationQuery(WhichQuery):
    """Of the communication log."""

    limit = fields.Integer(load_default=200, validate=validate.Range(min=1, max=10_000))
    since = QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})


WHICH_QUERY, MOTION_QUERY, WHICH_BODY, START, SPAWN = WhichQuery(), MotionQuery(), WhichBody(), Start(), Spawn()
COMMAND, RANDOM_BUILDINGS, LOAD_QUERY, WEATHER = Command(), RandomBuildings(), LoadQuery(), Weather()
COMMUNICATION_QUERY = CommunicationQuery()
