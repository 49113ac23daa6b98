"""The vision part of a cell: tip_tracker and, for a webcam, camera_source."""

from launch import LaunchDescription
from sketch_cell.ros.launching import group_description


def generate_launch_description() -> LaunchDescription:
    """Nodes of the group 'vision' in sketch_cell.bringup."""
    return group_description("vision")
