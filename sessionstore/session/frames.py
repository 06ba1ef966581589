"""Orientations and axes of simulators and logs, as motion points store them: east-north-up; roll, pitch, yaw (radians).

Yaw counts from east, counter-clockwise. All functions are pure; numbers in, tuples of floats out.
Not here: storing points (motion), geographic coordinates (simulation.world).
"""

from __future__ import annotations

import math

Vector3 = tuple[float, float, float]


def from_quaternion(x: float, y: float, z: float, w: float) -> Vector3:
    """Return (roll, pitch, yaw) in radians of a unit quaternion, the scalar last (ROS, PyBullet, scipy).

    A quaternion of another length is normalised. Rotations in the order z, y, x:
    https://en.wikipedia.org/wiki/Conversion_between_quaternions_and_Euler_angles
    """
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not length or not math.isfinite(length):
        raise ValueError("a quaternion of length 0 (or without a length) is not a rotation")
    x, y, z, w = x / length, y / length, z / length, w / length
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return roll, pitch, yaw


def to_quaternion(roll_rad: float, pitch_rad: float, yaw_rad: float) -> tuple[float, float, float, float]:
    """Return (x, y, z, w), the scalar last: the inverse of :func:`from_quaternion`."""
    sr, cr, sp, cp = math.sin(roll_rad / 2), math.cos(roll_rad / 2), math.sin(pitch_rad / 2), math.cos(pitch_rad / 2)
    sy, cy = math.sin(yaw_rad / 2), math.cos(yaw_rad / 2)
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )


def from_yaw_degrees(yaw_deg: float) -> Vector3:
    """Return (0, 0, yaw) in radians of a yaw in degrees from east, counter-clockwise."""
    return 0.0, 0.0, _wrapped(math.radians(yaw_deg))


def from_heading_degrees(heading_deg: float) -> Vector3:
    """Return (0, 0, yaw) in radians of a compass heading in degrees from north, clockwise."""
    return 0.0, 0.0, _wrapped(math.pi / 2 - math.radians(heading_deg))


def ned_to_enu(north: float, east: float, down: float) -> Vector3:
    """Return (east, north, up) of a position or velocity in (north, east, down), as PX4 and ArduPilot log it."""
    return float(east), float(north), -float(down)


def orientation_from_ned(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Vector3:
    """Return the orientation in east-north-up (body forward-left-up) of one in north-east-down (forward-right-down)."""
    return float(roll_rad), -float(pitch_rad), _wrapped(math.pi / 2 - yaw_rad)


def _wrapped(angle_rad: float) -> float:
    """Return an angle within (-pi, pi]."""
    return math.pi - (math.pi - angle_rad) % (2 * math.pi)
