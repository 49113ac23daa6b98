"""A whole cell: ros2 launch sketch_cell bringup.launch.py photo:=/path/to/photo.jpg"""

from launch import LaunchDescription
from sketch_cell.bringup import GROUPS
from sketch_cell.ros.launching import cell_arguments, include


def generate_launch_description() -> LaunchDescription:
    """Machine, vision, planning and display together; their arguments are this file's arguments."""
    return LaunchDescription([*cell_arguments(), *map(include, GROUPS)])
