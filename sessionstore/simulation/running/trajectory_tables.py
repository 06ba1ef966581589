"""Trajectories in scenario files: `[[trajectories]]` with a drone and one of waypoints, circle, csv, recording.

Not here: what a trajectory is (simulation.drones.trajectory), whether it can be flown in a town (running.trajectories).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from sessionstore.simulation.drones.trajectory import Trajectory
from sessionstore.simulation.errors import ScenarioError

SOURCES = ("waypoints", "circle", "csv", "recording")
_POSITIVE = validate.Range(min=0, min_inclusive=False)


class _Circle(Schema):
    class Meta:
        unknown = RAISE

    center = fields.List(fields.Float(), required=True, validate=validate.Length(equal=3))
    radius_m = fields.Float(required=True, validate=_POSITIVE)
    speed_mps = fields.Float(required=True, validate=_POSITIVE)
    turns = fields.Float(validate=_POSITIVE)
    clockwise = fields.Boolean()


class TrajectorySchema(Schema):
    """One trajectory of a scenario file."""

    class Meta:
        unknown = RAISE

    drone = fields.String(required=True, validate=validate.Length(min=1))
    at_s = fields.Float(validate=validate.Range(min=0))
    waypoints = fields.List(fields.List(fields.Float(), validate=validate.Length(equal=4)))
    circle = fields.Nested(_Circle)
    csv = fields.String()
    recording = fields.String()

    @validates_schema
    def _one_source(self, data: Mapping[str, Any], **_: object) -> None:
        if sum(source in data for source in SOURCES) != 1:
            raise ValidationError(f"a trajectory has one of {', '.join(SOURCES)}")


def made(table: Mapping[str, Any], folder: Path, place: str) -> Trajectory:
    """The trajectory of a checked table; files are relative to the folder of the scenario.

    Raises:
        ScenarioError: naming the table and the reason.
    """
    drone, at_s = table["drone"], table.get("at_s")
    try:
        if "waypoints" in table:
            return Trajectory.waypoints(drone, table["waypoints"], at_s)
        if "csv" in table:
            return Trajectory.from_csv(drone, folder / table["csv"], at_s)
        if "circle" in table:
            circle = dict(table["circle"])
            east, north, up = circle.pop("center")
            return Trajectory.circle(drone, (east, north, up), at_s=at_s or 0.0, **circle)
    except ScenarioError as error:
        raise ScenarioError(place, f"{error.path}: {error.field}", error.reason) from error
    session, colon, of = table["recording"].rpartition(":")
    if not colon or not session or not of:
        raise ScenarioError(place, "recording", f"{table['recording']!r} is not SESSION:DRONE")
    beside = folder / session
    session = str(beside) if (beside / "session.json").is_file() else session
    return Trajectory(drone, recorded=True, recording=f"{session}:{of}", at_s=at_s, source=table["recording"])
