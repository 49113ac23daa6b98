"""Node camera_source: a webcam or a video file as `camera/image_raw`, stamped as near to exposure as can be."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.messages import image_bytes
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED, SENSOR
from sketch_cell.settings import Settings, setting
from sketch_cell.vision.calibration import read_calibration
from sketch_cell.vision.capture import Capture, CaptureSettings


@dataclass(frozen=True)
class NodeSettings(Settings):
    """What the node adds to the capture itself."""

    frame: str = setting("camera", "frame of the images", read_only=True)
    calibration: str = setting("", "file whose lens becomes camera_info; empty: unknown lens", read_only=True)


class CameraSourceNode(Node):
    """Publishes every image the device gives; a device that goes away is opened again."""

    def __init__(self, **options: Any) -> None:
        super().__init__("camera_source", **options)
        self._settings = declare_settings(self, NodeSettings)
        self._capture = Capture(declare_settings(self, CaptureSettings))
        name = self._settings.calibration
        self._lens = read_calibration(Path(name)).lens if name else None
        self._image = self.create_publisher(Image, "camera/image_raw", SENSOR)
        self._info = self.create_publisher(CameraInfo, "camera/camera_info", LATCHED)
        self._diagnostics = Diagnostics(self)
        self._told_size: tuple[int, int] | None = None
        self._stop = threading.Event()
        # A read blocks until the next image is there; a thread of its own keeps the node answering.
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._thread.start()

    def _read_on(self) -> None:
        while not self._stop.is_set():
            image, age_s, problem = self._capture.read()
            if image is None:
                self._diagnostics.set(DiagnosticStatus.ERROR, problem)
                self.get_logger().error(problem, throttle_duration_sec=5.0)
                self._stop.wait(self._capture.settings.retry_s)
                continue
            stamp_ns = self.get_clock().now().nanoseconds - round(age_s * 1e9)
            if self._told_size != image.shape:
                self._tell_size(image)
            self._image.publish(image_bytes(image, stamp_ns, self._settings.frame))
            self._diagnostics.set(DiagnosticStatus.OK, "capturing", {"age_s": f"{age_s:.4f}"})

    def _tell_size(self, image: np.ndarray) -> None:
        height, width = self._told_size = image.shape
        info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
        info.header.frame_id = self._settings.frame
        if self._lens is not None:  # else the zeros stay that mean an uncalibrated camera
            info.k = self._lens.matrix.ravel().tolist()
            info.d = self._lens.distortion.tolist()
            info.r = np.eye(3).ravel().tolist()
            info.p = np.hstack([self._lens.matrix, np.zeros((3, 1))]).ravel().tolist()
        self._info.publish(info)

    def destroy_node(self) -> None:
        """Let go of the device."""
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._capture.close()
        super().destroy_node()


def main() -> None:
    """Run the node."""
    run(CameraSourceNode)


if __name__ == "__main__":
    main()
