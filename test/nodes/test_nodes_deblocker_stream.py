"""deblocker on a camera's stream: sensor-data QoS, the newest frame wins, drops are counted."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from sketch_cell.nodes.deblocker import DeblockerNode
from sketch_cell.ros.messages import compressed_image_bytes
from sketch_cell.ros.qos import RELIABLE, SENSOR


def frame(level: int) -> bytes:
    grey = np.full((32, 32, 3), level, np.uint8)
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 20])[1].tobytes()


def test_the_newest_frame_wins_and_drops_are_counted(spinner, monkeypatch):
    begun, free = threading.Event(), threading.Event()

    def slow(data, *_, **__):
        begun.set()
        assert free.wait(20)
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    monkeypatch.setattr("sketch_cell.nodes.deblocker.repair_file_bytes", slow)
    node = spinner.add(DeblockerNode(parameter_overrides=[Parameter("stream", value=True)]))
    camera, got, figures = spinner.add(Node("camera")), [], {}
    camera.create_subscription(Image, "picture/image", lambda m: got.append(m.header.stamp.sec), SENSOR)
    camera.create_subscription(
        DiagnosticArray,
        "/diagnostics",
        lambda m: figures.update({pair.key: pair.value for status in m.status for pair in status.values}),
        RELIABLE,
    )
    frames = camera.create_publisher(CompressedImage, "picture/compressed", SENSOR)
    spinner.until(lambda: frames.get_subscription_count() == 1)
    (subscription,) = (s for s in node.subscriptions if s.topic_name == "/picture/compressed")
    assert subscription.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    queue = node._queues[0]
    for second in range(1, 6):
        frames.publish(compressed_image_bytes(frame(40 * second), second * 10**9, "camera", "jpeg"))
        # each is there before the next is sent: best effort may lose frames of a burst
        spinner.until(lambda second=second: begun.is_set() and queue.dropped == max(second - 2, 0))
        spinner.until(lambda second=second: second == 1 or queue._newest is not None)
    free.set()
    spinner.until(lambda: got == [1, 5])
    spinner.until(lambda: figures.get("dropped") == "3" and figures.get("repaired") == "2")


@pytest.mark.parametrize(
    ("stream", "runtime", "wanted"),
    [(True, "auto", "int8"), (True, "onnxruntime", "onnxruntime"), (False, "int8", "int8")],
)
def test_a_stream_gets_the_quickest_runtime_unless_one_is_named(
    spinner, monkeypatch, stream, runtime, wanted
):
    monkeypatch.setattr("sketch_cell.nodes.deblocker.stream_runtime", lambda: "int8")
    said = [Parameter("stream", value=stream), Parameter("runtime", value=runtime)]
    assert spinner.add(DeblockerNode(parameter_overrides=said))._deblocker.runtime == wanted
    monkeypatch.setattr("sketch_cell.nodes.deblocker.stream_runtime", lambda: pytest.fail("no stream"))
    spinner.add(DeblockerNode(parameter_overrides=[Parameter("stream", value=False)]))
