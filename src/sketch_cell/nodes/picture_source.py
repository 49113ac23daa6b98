"""Node picture_source: a file, a watched folder or a camera becomes `picture/compressed`."""

from __future__ import annotations

from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from sketch_cell.errors import InputError
from sketch_cell.picture.source import PictureSettings, PictureSource
from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.messages import compressed_image_bytes
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED


class PictureSourceNode(Node):
    """Publishes each new picture's own bytes; says why it refuses one, and goes on."""

    def __init__(self) -> None:
        super().__init__("picture_source")
        settings = declare_settings(self, PictureSettings, on_change=self._look_elsewhere)
        self._publisher = self.create_publisher(CompressedImage, "picture/compressed", LATCHED)
        self._diagnostics = Diagnostics(self)
        self._source = PictureSource(settings)
        self._timer = self.create_timer(settings.period_s, self._look)
        self._look()

    def _look_elsewhere(self, settings: PictureSettings) -> None:
        self._source.look_elsewhere(settings)
        self._timer.timer_period_ns = int(settings.period_s * 1e9)
        self._timer.reset()

    def _look(self) -> None:
        try:
            picture = self._source.next_picture()
        except InputError as error:
            self.get_logger().error(str(error))
            self._diagnostics.set(DiagnosticStatus.ERROR, str(error))
            return
        if picture is None:
            return
        stamp_ns = self.get_clock().now().nanoseconds
        self._publisher.publish(
            compressed_image_bytes(picture.data, stamp_ns, picture.name, picture.file_format)
        )
        self.get_logger().info(f"{picture.name}: {len(picture.data)} bytes published")
        self._diagnostics.set(DiagnosticStatus.OK, f"published {Path(picture.name).name}")


def main() -> None:
    """Run the node."""
    run(PictureSourceNode)


if __name__ == "__main__":
    main()
