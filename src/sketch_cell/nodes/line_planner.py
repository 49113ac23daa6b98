"""Node line_planner: `picture/image` becomes one unbroken line, `line/path`, and its `line/preview`."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
from rclpy.node import Node
from sensor_msgs.msg import Image

from sketch_cell.drawing.plan import plan_line
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.errors import InputError
from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.messages import Stamped, image_bytes, image_from_bytes, path_bytes, rgb_from
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED


class LinePlannerNode(Node):
    """Plans each picture that arrives, and the last one again when a parameter changes."""

    def __init__(self) -> None:
        super().__init__("line_planner")
        self._settings = declare_settings(self, LineSettings, on_change=self._replan)
        self._frame = self.declare_parameter("frame", "screen").value
        self._last: tuple[Stamped, str] | None = None
        self._path = self.create_publisher(Path, "line/path", LATCHED)
        self._preview = self.create_publisher(Image, "line/preview", LATCHED)
        self._diagnostics = Diagnostics(self)
        self.create_subscription(Image, "picture/image", self._on_image, LATCHED, raw=True)

    def _on_image(self, data: bytes) -> None:
        try:
            self._last = image_from_bytes(data)
        except ValueError as error:
            self._refuse(str(error))
            return
        self._plan()

    def _replan(self, settings: LineSettings) -> None:
        self._settings = settings
        self._plan()

    def _plan(self) -> None:
        if self._last is None:
            return
        picture, encoding = self._last
        begin_s = time.monotonic()
        try:
            plan = plan_line(rgb_from(picture.array, encoding), self._settings)
        except (InputError, ValueError) as error:
            self._refuse(str(error))
            return
        preview = plan.preview(pixels_per_m=10_000.0)
        self._preview.publish(image_bytes(preview, picture.stamp_ns, self._frame))
        self._path.publish(path_bytes(plan.xy, picture.stamp_ns, self._frame))
        took_s = time.monotonic() - begin_s
        self.get_logger().info(f"planned {len(plan.xy)} points, {plan.length_m:.1f} m, in {took_s:.2f} s")
        self._diagnostics.set(DiagnosticStatus.OK, f"planned {plan.length_m:.1f} m")

    def _refuse(self, reason: str) -> None:
        self.get_logger().error(reason)
        self._diagnostics.set(DiagnosticStatus.ERROR, reason)


def main() -> None:
    """Run the node."""
    run(LinePlannerNode)


if __name__ == "__main__":
    main()
