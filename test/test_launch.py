"""What the launch files hold: the cell's table, one described argument per setting (needs real launch_ros)."""

from __future__ import annotations

import dataclasses

import pytest

launch = pytest.importorskip("launch")
pytest.importorskip("launch_ros")

from launch.actions import DeclareLaunchArgument  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from launch_ros.actions import Node  # noqa: E402

from sketch_cell.bringup import CellSettings, share_folder  # noqa: E402

ALL_NODES = {
    "twin",
    "picture_source",
    "deblocker",
    "line_planner",
    "stepper_driver",
    "drawing_controller",
    "tip_tracker",
}


def entities(name: str, **arguments: str) -> list:
    """Everything that a launch file would start, without starting it."""
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    path = share_folder() / "launch" / f"{name}.launch.py"
    waiting = [PythonLaunchDescriptionSource(str(path)).get_launch_description(context)]
    found = []
    while waiting:
        entity = waiting.pop(0)
        found.append(entity)
        if not isinstance(entity, Node):
            waiting = list(entity.visit(context) or []) + waiting
    return found


def node_names(name: str, **arguments: str) -> set[str]:
    return {
        "".join(part.perform(None) for part in entity._Node__node_executable)
        if isinstance(entity._Node__node_executable, list)
        else entity._Node__node_executable
        for entity in entities(name, **arguments)
        if isinstance(entity, Node)
    }


def test_bringup_starts_every_node_of_the_twin_cell():
    assert node_names("bringup", photo="a.jpg") == ALL_NODES


def test_each_part_starts_alone():
    parts = [node_names(part) for part in ("planning", "machine", "vision")]
    assert set.union(*parts) == ALL_NODES
    assert sum(len(part) for part in parts) == len(ALL_NODES)


def test_every_setting_of_the_cell_is_a_described_argument():
    declared = {
        entity.name: entity for entity in entities("bringup") if isinstance(entity, DeclareLaunchArgument)
    }
    for item in dataclasses.fields(CellSettings):
        assert declared[item.name].description.startswith(item.metadata["description"])
    assert {"namespace", "log_level"} <= declared.keys()


def test_a_loop_that_does_not_exist_is_refused():
    with pytest.raises(RuntimeError, match="loop"):
        node_names("bringup", loop="sideways")
