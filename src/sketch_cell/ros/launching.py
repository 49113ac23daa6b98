"""The cell's table as launch actions: what the files in `launch/` are made of (needs launch and launch_ros)."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from sketch_cell.bringup import CellSettings, NodeSpec, cell_nodes, parameter_file, share_folder

# Arguments of every launch file that belong to launch itself rather than to the cell.
NAMESPACE = DeclareLaunchArgument("namespace", default_value="", description="namespace of the whole cell")
LOG_LEVEL = DeclareLaunchArgument(
    "log_level", default_value="info", description="debug, info, warn, error or fatal"
)


def cell_arguments() -> list[DeclareLaunchArgument]:
    """One described launch argument per field of `CellSettings`, and those every launch file has."""
    arguments = [NAMESPACE, LOG_LEVEL]
    for item in dataclasses.fields(CellSettings):
        default: Any = item.default
        about = item.metadata
        choices = {"choices": list(about["choices"])} if about["choices"] else {}
        arguments.append(
            DeclareLaunchArgument(
                item.name, default_value=str(default).lower(), description=about["description"], **choices
            )
        )
    return arguments


def group_description(group: str) -> LaunchDescription:
    """Launch description of the nodes of one group of the table: planning, machine or vision."""
    start = OpaqueFunction(function=_start_group, args=[group])
    return LaunchDescription([*cell_arguments(), start])


def include(name: str) -> IncludeLaunchDescription:
    """Include another launch file of this package; it takes the same arguments."""
    path = share_folder() / "launch" / f"{name}.launch.py"
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(str(path)))


def _start_group(context: LaunchContext, group: str) -> list[Node]:
    cell = _cell(context)
    namespace = LaunchConfiguration("namespace").perform(context)
    specs = cell_nodes(cell, work_folder=_work_folder(namespace))
    file = parameter_file(cell)
    return [_action(spec, namespace, file) for spec in specs if spec.group == group]


def _cell(context: LaunchContext) -> CellSettings:
    values: dict[str, Any] = {}
    for item in dataclasses.fields(CellSettings):
        text = LaunchConfiguration(item.name).perform(context)
        values[item.name] = text.lower() == "true" if isinstance(item.default, bool) else text
    return CellSettings(**values)


def _work_folder(namespace: str) -> Path:
    """A folder per namespace, so that cells side by side have a port each."""
    name = "_".join(["sketch_cell", str(os.getuid()), *namespace.strip("/").split("/")])
    folder = Path(tempfile.gettempdir()) / name.rstrip("_")
    folder.mkdir(exist_ok=True)
    return folder


def _action(spec: NodeSpec, namespace: str, parameters: Path) -> Node:
    return Node(
        package="sketch_cell",
        executable=spec.name,
        name=spec.name,
        namespace=namespace,
        parameters=[str(parameters), spec.parameters],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        on_exit=Shutdown(reason=f"node {spec.name} ended: its last words are above"),
    )
