"""What people see of a cell: robot_state_publisher where it is installed, RViz with rviz:=true."""

from launch import LaunchDescription
from sketch_cell.ros.launching import group_description


def generate_launch_description() -> LaunchDescription:
    """Nodes of the group 'display' in sketch_cell.bringup."""
    return group_description("display")
