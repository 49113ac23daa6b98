"""The planning part of a cell: picture_source, deblocker and line_planner."""

from launch import LaunchDescription
from sketch_cell.ros.launching import group_description


def generate_launch_description() -> LaunchDescription:
    """Nodes of the group 'planning' in sketch_cell.bringup."""
    return group_description("planning")
