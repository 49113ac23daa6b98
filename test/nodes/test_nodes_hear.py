"""Nodes that plan and repair hear every publisher, whatever quality of service it offers, and each message once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from sketch_cell.nodes.deblocker import DeblockerNode
from sketch_cell.nodes.drawing_controller import DrawingControllerNode
from sketch_cell.nodes.line_planner import LinePlannerNode
from sketch_cell.ros.qos import LATCHED

# What a publisher offers, and how many of the three subscriptions that reaches.
OFFERS = pytest.mark.parametrize(
    "offer",
    [(10, 2), (qos_profile_sensor_data, 1), (LATCHED, 3)],
    ids=["default", "sensor", "latched"],
)
PICTURE = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], (48, 1, 3))


def sent_by(spinner, kind, topic, message, offer):
    """A foreign node that says something once, when somebody listens in each of the ways that reach it."""
    node = spinner.add(Node("foreign"))
    quality, reached = offer
    publisher = node.create_publisher(kind, topic, quality)
    spinner.until(lambda: publisher.get_subscription_count() == reached)
    node.again = lambda: publisher.publish(message)
    node.again()
    return node


def stamped(message):
    message.header.frame_id, message.header.stamp.sec, message.header.stamp.nanosec = "lens", 12, 345_678_901
    return message


@OFFERS
@pytest.mark.parametrize("topic", ["picture/compressed", "picture/raw"])
def test_the_deblocker_repairs_for_anybody_and_keeps_the_header(spinner, topic, offer):
    spinner.add(DeblockerNode(parameter_overrides=[Parameter("runtime", value="onnxruntime")]))
    listener, got = spinner.add(Node("listener")), []
    listener.create_subscription(Image, "picture/image", got.append, LATCHED)
    if topic == "picture/raw":
        message = stamped(Image(height=48, width=64, encoding="bgr8", step=64 * 3))
        message.data.frombytes(PICTURE.tobytes())
    else:
        message = stamped(CompressedImage(format="jpeg"))
        message.data.frombytes(cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_QUALITY, 10])[1].tobytes())
    foreign = sent_by(spinner, type(message), topic, message, offer)
    spinner.until(lambda: got)
    assert got[0].header == message.header
    assert (got[0].width, got[0].height) == (64, 48)
    # What the other subscriptions brought of it is looked at before what is said next.
    message.header.stamp.sec += 1
    foreign.again()
    spinner.until(lambda: len(got) == 2)
    assert [picture.header.stamp.sec for picture in got] == [12, 13]


@pytest.fixture(autouse=True)
def executor(spinner):
    """What the nodes run under."""
    spinner.use(pytest.importorskip("rclpy.experimental").EventsExecutor())


@OFFERS
def test_a_picture_is_planned_once_for_anybody(spinner, offer):
    planner = spinner.add(LinePlannerNode())
    planner.set_parameters([Parameter("cells", value=12)])
    listener, got = spinner.add(Node("listener")), []
    listener.create_subscription(Path, "line/path", got.append, LATCHED)
    message = stamped(Image(height=48, width=64, encoding="rgb8", step=64 * 3))
    message.data.frombytes(PICTURE.tobytes())
    foreign = sent_by(spinner, Image, "picture/image", message, offer)
    spinner.until(lambda: got)
    message.header.stamp.sec += 1
    foreign.again()
    spinner.until(lambda: len(got) == 2)
    assert [line.header.stamp.sec for line in got] == [12, 13]


@OFFERS
def test_a_line_of_anybody_reaches_the_controller(spinner, offer):
    controller = spinner.add(DrawingControllerNode())
    controller.set_parameters([Parameter("journal", value="")])
    line = Path()
    line.header.frame_id = "screen"
    for x_m in (0.02, 0.05):
        pose = PoseStamped()
        pose.pose.position.x, pose.pose.position.y, pose.pose.orientation.w = x_m, 0.03, 1.0
        line.poses.append(pose)
    sent_by(spinner, Path, "line/path", line, offer)
    spinner.until(lambda: controller._job is not None)
    assert controller._job.line.xy_m[-1] == pytest.approx([0.05, 0.03])
