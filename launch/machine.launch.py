"""The machine part of a cell: the twin (or nothing, for a real board), stepper_driver and drawing_controller."""

from launch import LaunchDescription
from sketch_cell.ros.launching import group_description


def generate_launch_description() -> LaunchDescription:
    """Nodes of the group 'machine' in sketch_cell.bringup."""
    return group_description("machine")
