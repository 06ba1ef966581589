"""What a column may be (its role), and the usual names of each role, the likeliest first.

Names are compared in lower case, with ``_`` for all that is not a letter or digit, and without their unit.
Not here: units (units), choosing columns (plan).
"""

from __future__ import annotations

import re

#: Role -> what is measured: a kind of sessionstore.formats.tables.units, or text.
KIND = {
    "t": "time", "utc": "text", "drone": "text",
    "x": "length", "y": "length", "z": "length",
    "east": "length", "north": "length", "up": "length", "down": "length",
    "lat": "geographic", "lon": "geographic", "alt": "length",
    "vx": "speed", "vy": "speed", "vz": "speed", "ve": "speed", "vn": "speed", "vu": "speed", "vd": "speed",
    "roll": "angle", "pitch": "angle", "yaw": "angle", "heading": "angle",
    "qx": "", "qy": "", "qz": "", "qw": "",
    "battery": "fraction", "mode": "text", "message": "text", "level": "text", "step": "",
}  # fmt: skip
#: Settings of a map that name no column.
SETTINGS = ("frame", "zone", "rate", "delimiter", "decimal", "encoding")

#: Names of the components of a vector; * is the letter of the axis, # its number.
_POSITION = ("*", "p*", "pos_*", "position_*", "pose_position_*", "pose_pose_position_*", "position_#", "pos_#", "t*",
             "local_*", "*_pos", "*_position", "enu_*", "translation_*", "pos*", "*pos", "location_*")  # fmt: skip
_VELOCITY = ("v*", "vel_*", "velocity_*", "v_*", "velocity_#", "vel_#", "*speed", "*_speed", "speed_*", "*_vel",
             "twist_linear_*", "linear_velocity_*", "vel*", "local_v*")  # fmt: skip
_QUATERNION = ("q*", "q_*", "quat_*", "quaternion_*", "orientation_*", "pose_orientation_*",
               "pose_pose_orientation_*", "rotation_*", "q_rs_*")  # fmt: skip


def _of_axis(names: tuple[str, ...], axis: str) -> tuple[str, ...]:
    return tuple(name.replace("*", axis).replace("#", str("xyz".find(axis))) for name in names)


NAMES: dict[str, tuple[str, ...]] = {
    "t": ("t", "sim_time", "simtime", "time", "timestamp", "ts", "time_s", "elapsed", "elapsed_time", "seconds", "secs",
          "sec", "timeus", "time_usec", "time_us", "time_ms", "timestamp_ms", "time_boot_ms", "unix", "unix_time",
          "unixtime", "posix_time", "epoch_time", "stamp", "header_stamp", "clock", "t_sim", "flight_time",
          "flighttime", "offsettime"),
    "utc": ("utc", "datetime", "date_time", "datetime_utc", "datetime_utc_", "time_utc", "utc_time", "timestamp_utc",
            "wall_time", "walltime", "wallclock", "iso_time", "iso8601", "created_at", "recorded_at", "instant"),
    "drone": ("drone", "drone_id", "droneid", "drone_name", "uav", "uav_id", "uav_name", "vehicle", "vehicle_id",
              "vehicle_name", "agent", "agent_id", "robot", "robot_id", "robot_name", "track", "track_id", "object_id",
              "entity", "entity_id", "icao24", "icao", "hex", "callsign", "system_id", "sysid", "name", "id"),
    **{axis: _of_axis(_POSITION, axis) for axis in "xyz"},
    "east": ("east", "e", "pos_e", "position_east", "east_position", "pos_east", "easting", "enu_e"),
    "north": ("north", "n", "pos_n", "position_north", "north_position", "pos_north", "northing", "enu_n"),
    "up": ("up", "u", "pos_u", "position_up", "enu_u", "pos_up"),
    "down": ("down", "d", "pos_d", "position_down", "pos_down", "ned_d"),
    "lat": ("lat", "latitude", "gps_lat", "gps_latitude", "latitude_deg", "osd_latitude", "position_lat",
            "location_lat"),
    "lon": ("lon", "lng", "long", "longitude", "gps_lon", "gps_lng", "gps_longitude", "longitude_deg", "osd_longitude",
            "position_lon", "location_lon", "location_lng"),
    "alt": ("alt", "altitude", "altitude_above_sealevel", "alt_msl", "altitude_msl", "gps_alt", "gps_altitude",
            "height", "relative_alt", "rel_alt", "altitude_agl", "height_above_takeoff", "geoaltitude", "baroaltitude",
            "ele", "elevation", "osd_altitude", "alt_m"),
    **{f"v{axis}": _of_axis(_VELOCITY, axis) for axis in "xyz"},
    "ve": ("ve", "vel_e", "velocity_east", "east_velocity", "v_east", "vel_east"),
    "vn": ("vn", "vel_n", "velocity_north", "north_velocity", "v_north", "vel_north"),
    "vu": ("vu", "vel_u", "velocity_up", "v_up", "climb_rate", "climb"),
    "vd": ("vd", "vel_d", "velocity_down", "down_velocity", "v_down", "vel_down"),
    "roll": ("roll", "phi", "attitude_roll", "euler_roll", "orientation_roll", "rpy_0", "orientation_0", "osd_roll"),
    "pitch": ("pitch", "theta", "attitude_pitch", "euler_pitch", "orientation_pitch", "rpy_1", "orientation_1",
              "osd_pitch"),
    "yaw": ("yaw", "psi", "attitude_yaw", "euler_yaw", "orientation_yaw", "rpy_2", "orientation_2", "osd_yaw"),
    "heading": ("heading", "compass_heading", "hdg", "true_heading", "course", "cog", "compass"),
    **{f"q{axis}": _of_axis(_QUATERNION, axis) for axis in "xyzw"},
    "battery": ("battery", "battery_percent", "battery_percentage", "battery_level", "battery_remaining", "bat", "batt",
                "soc", "state_of_charge", "charge", "battery_soc", "remaining"),
    "mode": ("mode", "flight_mode", "flightmode", "flycstate", "nav_state", "phase", "flight_phase"),
    "message": ("message", "msg", "log_message", "status_text", "statustext"),
    "level": ("level", "severity", "log_level"),
    "step": ("step", "global_step", "_step", "iteration", "iter", "epoch", "episode"),
}  # fmt: skip
#: Roll, pitch and yaw in a list of three.
ANGLES_IN_A_LIST = ("orientation_0", "orientation_1", "orientation_2")
#: Units that the name itself gives.
UNIT_OF_NAME = {"timeus": "us", "time_usec": "us", "secs": "s", "seconds": "s", "sec": "s", "offsettime": "s"}
#: What stands before the name of an axis without naming a drone.
NEUTRAL = frozenset(
    ("pos", "position", "pose", "local", "enu", "ned", "state", "odom", "gps", "gt", "est", "p_rs_r", "loc", "vel",
     "location", "vehicle", "drone", "uav", "robot", "data", "msg", "field", "pose_position", "true", "ref", "target")
)  # fmt: skip
ROLE_OF_NAME = {name: role for role, names in reversed(NAMES.items()) for name in names}


def plain(name: str) -> str:
    """Return a name for comparison; each character stays one, and those at the end go."""
    return re.sub(r"[^a-z0-9]", "_", name.lower()).rstrip("_")
