"""A small ROS 2 bag, as the library of bags writes it."""

from __future__ import annotations

from pathlib import Path

import pytest


def write_pose_bag(folder: Path) -> None:
    """Write ten poses of one drone on /uav1/pose, a tenth of a second apart; skip without the library."""
    pytest.importorskip("rosbags")
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    kinds = types.types
    stamp = kinds["builtin_interfaces/msg/Time"](sec=1, nanosec=0)
    header = kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="map")
    with Writer(folder, version=9) as writer:
        connection = writer.add_connection("/uav1/pose", "geometry_msgs/msg/PoseStamped", typestore=types)
        for step in range(10):
            position = kinds["geometry_msgs/msg/Point"](x=float(step), y=0.0, z=2.0)
            turned = kinds["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
            pose = kinds["geometry_msgs/msg/Pose"](position=position, orientation=turned)
            message = kinds["geometry_msgs/msg/PoseStamped"](header=header, pose=pose)
            data = types.serialize_cdr(message, "geometry_msgs/msg/PoseStamped")
            writer.write(connection, 1_700_000_000 * 10**9 + step * 10**8, data)
