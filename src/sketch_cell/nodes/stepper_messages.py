"""What the stepper driver says and hears, as arrays on one side and ROS messages on the other."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration
from numpy.typing import NDArray
from rclpy.time import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import Motion
from sketch_cell.machine.knobs import KnobSettings, knobs_from_screen, screen_from_knobs

JOINTS = ["knob_x", "knob_y"]

Waypoints = tuple[list[float], NDArray[np.float64], list[float] | None]


def waypoints(message: JointTrajectory, knobs: KnobSettings) -> Waypoints:
    """Times [s], positions (N, 2) [m] and, where the points carry velocities, nominal feeds [m/s].

    A point at which the machine shall stand, as the last one of many a trajectory, says nothing of the feed that leads
    to it: then there are no feeds.

    Raises `MachineError` where the joints are not the knobs or a point does not have one value for each.
    """
    names = list(message.joint_names) or JOINTS
    if sorted(names) != sorted(JOINTS):
        raise MachineError(
            f"A trajectory for the joints {', '.join(names)} is not for {' and '.join(JOINTS)}."
        )
    if any(len(point.positions) != len(JOINTS) for point in message.points):
        raise MachineError("A trajectory point does not have one position for each knob. Nothing was queued.")
    order = [names.index(name) for name in JOINTS]
    times = [point.time_from_start.sec + point.time_from_start.nanosec * 1e-9 for point in message.points]
    angles = np.array([point.positions for point in message.points]).reshape(-1, len(JOINTS))[:, order]
    feeds = None
    if message.points and all(len(point.velocities) == len(JOINTS) for point in message.points):
        velocity = screen_from_knobs([point.velocities for point in message.points], knobs)
        speeds = np.hypot(velocity[:, 0], velocity[:, 1])
        feeds = speeds.tolist() if speeds.all() else None
    return times, screen_from_knobs(angles, knobs), feeds


def motion_messages(motion: Motion, knobs: KnobSettings) -> tuple[JointState, JointTrajectory]:
    """`joint_states`, and `knobs/executed` whose time_from_start is how far along the timeline the board is."""
    position = knobs_from_screen(motion.position_m, knobs).tolist()
    velocity = knobs_from_screen(motion.velocity_m_per_s, knobs).tolist()
    joints = JointState(name=JOINTS, position=position, velocity=velocity)
    joints.header.stamp = Time(nanoseconds=round(motion.stamp_s * 1e9)).to_msg()
    seconds, nanoseconds = divmod(max(round(motion.timeline_s * 1e9), 0), 10**9)
    along = Duration(sec=seconds, nanosec=nanoseconds)
    point = JointTrajectoryPoint(positions=position, velocities=velocity, time_from_start=along)
    executed = JointTrajectory(header=joints.header, joint_names=JOINTS, points=[point])
    return joints, executed
