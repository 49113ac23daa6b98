"""A cell among others: bringup under a namespace, standing on a mount frame; two cells side by side share nothing."""

from launch import LaunchDescription
from sketch_cell.ros.launching import cell_arguments, include, scoped


def generate_launch_description() -> LaunchDescription:
    """The arguments of bringup, with a namespace and a mount frame by default."""
    arguments = cell_arguments(namespace="cell", mount_frame="world")
    return LaunchDescription([*arguments, scoped([include("bringup")])])
