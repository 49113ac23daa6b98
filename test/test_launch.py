"""What the launch files hold: the cell's table, one described argument per setting (needs real launch_ros)."""

from __future__ import annotations

import dataclasses

import pytest

launch = pytest.importorskip("launch")
pytest.importorskip("launch_ros")

from launch.actions import DeclareLaunchArgument, RegisterEventHandler  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from launch_ros.actions import LifecycleNode, Node  # noqa: E402
from launch_ros.utilities import evaluate_parameters  # noqa: E402

from sketch_cell.bringup import GROUPS, CellSettings, share_folder  # noqa: E402

ALL_NODES = {
    "twin",
    "picture_source",
    "deblocker",
    "line_planner",
    "stepper_driver",
    "drawing_controller",
    "tip_tracker",
}


def visit(source, context):
    """Everything that a launch description source would start, without starting it."""
    waiting = [source.get_launch_description(context)]
    found = []
    while waiting:
        entity = waiting.pop(0)
        found.append(entity)
        if not isinstance(entity, Node):
            waiting = list(entity.visit(context) or []) + waiting
        else:
            entity._perform_substitutions(context)
    return found


def entities(name: str, **arguments: str) -> list:
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    path = share_folder() / "launch" / f"{name}.launch.py"
    return visit(PythonLaunchDescriptionSource(str(path)), context)


def nodes(name: str, **arguments: str) -> list[Node]:
    return [entity for entity in entities(name, **arguments) if isinstance(entity, Node)]


def node_names(name: str, **arguments: str) -> set[str]:
    return {node.node_name.rsplit("/", 1)[-1] for node in nodes(name, **arguments)}


def parameters(node: Node) -> dict:
    """The parameters that the launch file itself sets."""
    evaluated = evaluate_parameters(launch.LaunchContext(), node._Node__parameters)
    return {name: value for part in evaluated if isinstance(part, dict) for name, value in part.items()}


def test_bringup_starts_every_node_of_the_twin_cell():
    assert node_names("bringup", photo="a.jpg") == ALL_NODES


def test_each_part_starts_alone():
    parts = [node_names(part) for part in GROUPS]
    assert set.union(*parts) == ALL_NODES
    assert sum(len(part) for part in parts) == len(ALL_NODES)


def test_every_setting_of_the_cell_is_a_described_argument():
    declared = {
        entity.name: entity for entity in entities("bringup") if isinstance(entity, DeclareLaunchArgument)
    }
    for item in dataclasses.fields(CellSettings):
        assert declared[item.name].description.startswith(item.metadata["description"])


@pytest.mark.parametrize(("name", "value"), [("loop", "sideways"), ("rviz", "yes"), ("log_level", "loud")])
def test_a_value_that_does_not_exist_is_refused(name, value):
    with pytest.raises(RuntimeError, match=name):
        node_names("bringup", **{name: value})


def test_text_stays_text():
    (source,) = (node for node in nodes("bringup", photo="123") if node.node_name.endswith("picture_source"))
    assert parameters(source)["photo"] == "123"


def test_a_foreign_camera_and_a_real_port(tmp_path):
    (tmp_path / "port").touch()
    started = node_names("bringup", machine="grbl", port=str(tmp_path / "port"), camera="topic")
    assert started == ALL_NODES - {"twin"}


def test_a_missing_port_stops_the_launch_in_one_sentence():
    with pytest.raises(Exception, match=r"^port /dev/nowhere does not exist"):
        nodes("bringup", machine="grbl", port="/dev/nowhere", camera="topic")


def test_lifecycle_nodes_are_left_to_the_launch_file_and_have_their_transitions_handled():
    found = entities("bringup")
    managed = [entity for entity in found if isinstance(entity, LifecycleNode)]
    assert {node.node_name for node in managed} == {"/stepper_driver", "/tip_tracker"}
    assert all(parameters(node)["autostart"] is False for node in managed)
    before = found.index(managed[0])
    assert any(isinstance(entity, RegisterEventHandler) for entity in found[:before])


TWO_CELLS = """
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

def generate_launch_description():
    source = PythonLaunchDescriptionSource("{path}")
    return LaunchDescription([
        IncludeLaunchDescription(source, launch_arguments={{"namespace": name}}.items())
        for name in ("left", "right")
    ])
"""


def test_two_cells_in_one_file_share_nothing(tmp_path):
    file = tmp_path / "two.launch.py"
    file.write_text(TWO_CELLS.format(path=share_folder() / "launch" / "cell.launch.py"))
    found = visit(PythonLaunchDescriptionSource(str(file)), launch.LaunchContext())
    cells = {
        side: {
            node.node_name.split("/")[-1]: node
            for node in found
            if isinstance(node, Node) and side in node.node_name
        }
        for side in ("left", "right")
    }
    assert cells["left"].keys() == cells["right"].keys() == ALL_NODES
    for name in ALL_NODES:
        left, right = (parameters(cells[side][name]) for side in ("left", "right"))
        for key in {"port", "frame", "frame_prefix"} & left.keys():
            assert left[key] != right[key]
        for side in ("left", "right"):
            assert ("/clock", "clock") in cells[side][name].expanded_remapping_rules
    assert parameters(cells["left"]["twin"])["port"] == parameters(cells["left"]["stepper_driver"])["port"]
    assert parameters(cells["right"]["line_planner"])["frame"] == "right/screen"
