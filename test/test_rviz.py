"""config/sketch_cell.rviz against what the nodes publish and the frames that the URDF has."""

from __future__ import annotations

import importlib
import inspect
import re
import xml.etree.ElementTree as ElementTree

import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from sketch_cell.bringup import share_folder

CONFIG = yaml.safe_load((share_folder() / "config" / "sketch_cell.rviz").read_text())
DISPLAYS = {display["Name"]: display for display in CONFIG["Visualization Manager"]["Displays"]}
VIEWS = CONFIG["Visualization Manager"]["Views"]
# Message types of RViz's own displays (rviz_default_plugins, plugins_description.xml).
TYPES = {
    "Image": "sensor_msgs/Image",
    "MarkerArray": "visualization_msgs/MarkerArray",
    "Path": "nav_msgs/Path",
    "PointCloud2": "sensor_msgs/PointCloud2",
    "PoseWithCovariance": "geometry_msgs/PoseWithCovarianceStamped",
    "RobotModel": "std_msgs/String",
    "TF": None,
}
PUBLISHERS = ("line_planner", "drawing_controller", "tip_tracker", "mosaic_planner", "twin", "camera_source")


def kind(display):
    package, name = display["Class"].split("/")
    assert package == "rviz_default_plugins", "a plugin that plain RViz does not have"
    return name


def links():
    urdf = ElementTree.parse(share_folder() / "config" / "etch_a_sketch.urdf")
    return {link.get("name") for link in urdf.getroot().findall("link")}


@pytest.fixture(scope="module")
def published():
    """Topic -> type and quality of service of its publisher; besides the nodes' own, robot_state_publisher's."""
    found = {
        "robot_description": ("std_msgs/String", DurabilityPolicy.TRANSIENT_LOCAL, ReliabilityPolicy.RELIABLE)
    }
    rclpy.init(domain_id=0)
    try:
        for name in PUBLISHERS:
            module = importlib.import_module(f"sketch_cell.nodes.{name}")
            (make,) = (
                member
                for _, member in inspect.getmembers(module, inspect.isclass)
                if issubclass(member, Node) and member.__module__ == module.__name__
            )
            node = make()
            for publisher in node.publishers:
                message = publisher.msg_type
                quality = publisher.qos_profile
                found[publisher.topic_name.removeprefix("/")] = (
                    f"{message.__module__.split('.')[0]}/{message.__name__}",
                    quality.durability,
                    quality.reliability,
                )
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return found


@pytest.mark.parametrize("name", DISPLAYS)
def test_every_display_shows_what_a_node_publishes(name, published):
    display = DISPLAYS[name]
    if TYPES[kind(display)] is None:
        return
    topic = display.get("Topic") or display["Description Topic"]
    # relative: RViz in the cell's namespace shows that cell
    assert not topic["Value"].startswith("/")
    message, durability, reliability = published[topic["Value"]]
    assert message == TYPES[kind(display)]
    latched = durability is DurabilityPolicy.TRANSIENT_LOCAL
    assert topic["Durability Policy"] == ("Transient Local" if latched else "Volatile")
    if reliability is not ReliabilityPolicy.RELIABLE:
        assert topic["Reliability Policy"] == "Best Effort"


def test_all_that_a_person_wants_to_see_is_there():
    topics = {display.get("Topic", {}).get("Value") for display in DISPLAYS.values() if display["Enabled"]}
    assert {"line/path", "drawn/markers", "tip", "tip/debug", "line/preview", "mosaic/placements"} <= topics
    assert {"outline", "drawn", "deviation", "tip"} <= DISPLAYS["Outline, drawn line, deviation and tip"][
        "Namespaces"
    ].keys()
    assert any(kind(display) == "RobotModel" for display in DISPLAYS.values())


def test_the_markers_namespaces_are_those_of_the_config():
    from sketch_cell.ros import drawing_markers

    named = set(re.findall(r'_strip\(\s*"(\w+)"|"(tip)", 0', inspect.getsource(drawing_markers)))
    assert {a or b for a, b in named} == set(DISPLAYS["Outline, drawn line, deviation and tip"]["Namespaces"])


def test_frames_are_links_of_the_robot():
    assert CONFIG["Visualization Manager"]["Global Options"]["Fixed Frame"] in links()
    assert {"screen", "board", "camera"} <= links(), "the frames of the nodes' messages"
    for view in [VIEWS["Current"], *VIEWS["Saved"]]:
        assert view["Target Frame"] == "<Fixed Frame>"


def test_the_opening_view_looks_straight_down_on_the_whole_toy():
    view = VIEWS["Current"]
    assert view["Class"] == "rviz_default_plugins/TopDownOrtho"
    toy_m, window_px = 0.242, 1600 - 760  # what the docks leave
    assert 0.5 * window_px < view["Scale"] * toy_m < 1.05 * window_px
