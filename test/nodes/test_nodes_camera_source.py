"""camera_source as a real node: a video file plays the webcam; one that is not there is said, not hidden."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from sketch_cell.nodes.camera_source import CameraSourceNode
from sketch_cell.ros.messages import image_from_message
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.vision.calibration import Calibration, Lens


@pytest.fixture
def video(tmp_path):
    """Twelve grey images, each a step brighter than the one before."""
    path = tmp_path / "camera.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 60.0, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write videos")
    for k in range(12):
        writer.write(np.full((48, 64, 3), 40 + 10 * k, np.uint8))
    writer.release()
    return path


@pytest.fixture
def watcher(spinner):
    node = spinner.add(Node("watcher"))
    node.images, node.infos, node.problems = [], [], []
    node.create_subscription(Image, "camera/image_raw", node.images.append, SENSOR)
    node.create_subscription(CameraInfo, "camera/camera_info", node.infos.append, LATCHED)
    node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: collect(node, m), RELIABLE)
    return node


def collect(node, array):
    node.problems += [s.message for s in array.status if s.level == DiagnosticStatus.ERROR]


def source(spinner, **parameters):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return spinner.add(CameraSourceNode(parameter_overrides=overrides))


def test_images_come_in_order_grey_and_stamped_now(spinner, watcher, video):
    node = source(spinner, device=str(video), retry_s=0.02)
    spinner.until(lambda: len(watcher.images) > 8 and watcher.infos)
    first, _ = image_from_message(watcher.images[0])
    assert first.array.shape == (48, 64)
    assert first.frame == "camera"
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in watcher.images]
    assert np.all(np.diff(stamps) > 0)
    assert node.get_clock().now().nanoseconds * 1e-9 - stamps[-1] < 5.0
    levels = [image_from_message(m)[0].array.mean() for m in watcher.images]
    steps = np.diff(levels)
    assert np.median(steps) == pytest.approx(10, abs=3)
    info = watcher.infos[0]
    assert (info.width, info.height, info.distortion_model) == (64, 48, "plumb_bob")
    assert not np.any(info.k), "nobody calibrated this camera"


def test_the_lens_of_a_calibration_file_is_passed_on(spinner, watcher, video, tmp_path):
    lens = Lens(np.array([[70.0, 0, 31], [0, 71.0, 23], [0, 0, 1]]), np.array([0.1, 0.01, 0, 0, 0]))
    calibration = Calibration(lens, np.eye(3), 64, 48, np.zeros((4, 2)), 0.1, 0.1)
    path = tmp_path / "camera.json"
    path.write_text(calibration.to_text())
    source(spinner, device=str(video), calibration=str(path))
    spinner.until(lambda: watcher.infos)
    assert np.reshape(watcher.infos[0].k, (3, 3)) == pytest.approx(lens.matrix)
    assert np.array(watcher.infos[0].d) == pytest.approx(lens.distortion)


def test_a_device_that_is_not_there_is_said_and_used_once_it_comes(spinner, watcher, video, tmp_path):
    late = tmp_path / "late.avi"
    source(spinner, device=str(late), retry_s=0.05)
    spinner.until(lambda: any("late.avi cannot be opened" in problem for problem in watcher.problems))
    video.rename(late)
    spinner.until(lambda: watcher.images)
