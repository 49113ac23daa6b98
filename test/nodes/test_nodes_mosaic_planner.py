"""mosaic_planner as a real node: a picture goes in; placements, picture and markers come out, latched."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from sketch_cell.nodes.mosaic_planner import MosaicPlannerNode
from sketch_cell.ros.messages import image_bytes
from sketch_cell.ros.mosaic_messages import SWEET
from sketch_cell.ros.qos import LATCHED, RELIABLE

STAMP_NS = 1_700_000_000_123_456_789


def picture() -> np.ndarray:
    """White above, black below: the sweets must be white in the far rows and purple in the near ones."""
    photo = np.zeros((48, 64, 3), np.uint8)
    photo[:24] = 255
    return photo


@pytest.fixture
def watcher(spinner):
    node = spinner.add(Node("watcher"))
    node.latest = {}
    for kind, topic in (
        (Image, "mosaic/image"),
        (PointCloud2, "mosaic/placements"),
        (MarkerArray, "mosaic/markers"),
    ):
        node.create_subscription(kind, topic, lambda m, t=topic: node.latest.__setitem__(t, m), LATCHED)
    node.problems = []
    node.create_subscription(
        DiagnosticArray,
        "/diagnostics",
        lambda m: node.problems.extend(s.message for s in m.status if s.level == DiagnosticStatus.ERROR),
        RELIABLE,
    )
    return node


@pytest.fixture
def planner(spinner):
    node = spinner.add(MosaicPlannerNode())
    node.set_parameters([Parameter("short_edge", value=12), Parameter("card", value="black")])
    return node


def send(spinner, data: bytes) -> None:
    source = spinner.add(Node("source"))
    source.create_publisher(Image, "picture/image", LATCHED).publish(data)


def sweets_of(cloud: PointCloud2) -> np.ndarray:
    assert cloud.point_step == SWEET.itemsize
    assert [(f.name, f.offset) for f in cloud.fields] == [
        (name, SWEET.fields[name][1]) for name in SWEET.names
    ]
    return np.frombuffer(bytes(cloud.data), SWEET)


def test_a_picture_becomes_placements_picture_and_markers(spinner, watcher, planner):
    send(spinner, image_bytes(picture(), STAMP_NS, "camera"))
    spinner.until(lambda: len(watcher.latest) == 3)
    cloud = watcher.latest["mosaic/placements"]
    sweets = sweets_of(cloud)
    assert cloud.header.frame_id == "board"
    assert cloud.header.stamp.sec * 1_000_000_000 + cloud.header.stamp.nanosec == STAMP_NS
    assert len(sweets) == 12 * 16
    np.testing.assert_array_equal(sweets["order"], np.arange(len(sweets)))
    # The robot stands at y < 0: far rows come first, and the photo's top is far.
    assert np.all(np.diff(sweets["y"]) <= 1e-6)
    red = sweets["rgb"] >> 16 & 255
    far, near = sweets["y"] > 0.5 * sweets["y"].max() + 0.013, sweets["y"] < 0.5 * sweets["y"].max() - 0.013
    assert np.median(red[far]) > 200
    assert np.median(red[near]) < 80
    markers = watcher.latest["mosaic/markers"].markers
    shown = [m for m in markers if m.action == Marker.ADD and m.type == Marker.SPHERE_LIST]
    assert sum(len(m.points) for m in shown) == len(sweets)
    card = next(m for m in markers if m.type == Marker.CUBE)
    assert card.scale.x == pytest.approx(16 * 0.0127)
    image = watcher.latest["mosaic/image"]
    assert image.width * 12 == image.height * 16


def test_a_changed_parameter_lays_the_last_picture_again(spinner, watcher, planner):
    send(spinner, image_bytes(picture(), STAMP_NS, "camera"))
    spinner.until(lambda: len(watcher.latest) == 3)
    watcher.latest.clear()
    assert all(r.successful for r in planner.set_parameters([Parameter("layout", value="hex")]))
    spinner.until(lambda: len(watcher.latest) == 3)
    rows = np.unique(np.round(sweets_of(watcher.latest["mosaic/placements"])["y"], 5))
    np.testing.assert_allclose(np.diff(rows), 0.0127 * np.sqrt(3) / 2, atol=2e-5)
    assert not planner.set_parameters([Parameter("layout", value="round")])[0].successful


def test_what_is_read_once_cannot_be_changed(planner):
    for name in ("library", "stock", "frame"):
        (result,) = planner.set_parameters([Parameter(name, value="other")])
        assert not result.successful, name


def test_a_picture_without_colours_is_refused_and_said(spinner, watcher, planner):
    depth = np.zeros((8, 8), np.float32)
    send(spinner, image_bytes(depth, STAMP_NS, "camera", "32FC1"))
    spinner.until(lambda: watcher.problems)
    assert "mosaic/placements" not in watcher.latest
