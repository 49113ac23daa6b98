"""Node mosaic_planner: `picture/image` becomes `mosaic/image`, `mosaic/placements` and `mosaic/markers`."""

from __future__ import annotations

import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from sketch_cell.errors import InputError
from sketch_cell.mosaic.colour import srgb_from_linear
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.library_files import read_library
from sketch_cell.mosaic.mosaic import Mosaic, layable, plan_mosaic
from sketch_cell.mosaic.outputs import pixels_per_pitch
from sketch_cell.mosaic.placements import place
from sketch_cell.mosaic.settings import MosaicSettings
from sketch_cell.mosaic.stock import read_stock
from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.messages import Stamped, image_bytes, image_from_bytes, rgb_from
from sketch_cell.ros.mosaic_messages import markers, point_cloud
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED


class MosaicPlannerNode(Node):
    """Plans each picture that arrives, and the last one again when a parameter changes."""

    def __init__(self) -> None:
        super().__init__("mosaic_planner")
        self._settings = declare_settings(self, MosaicSettings, on_change=self._replan)
        self._frame = self.declare_parameter("frame", "board").value
        library = self.declare_parameter("library", "").value
        stock = self.declare_parameter("stock", "").value
        self._known = read_library(Path(library)) if library else default_library()
        names = [each.name for each in self._known]
        self._stock = read_stock(Path(stock), names) if stock else None
        self._last: tuple[Stamped, str] | None = None
        self._image = self.create_publisher(Image, "mosaic/image", LATCHED)
        self._placements = self.create_publisher(PointCloud2, "mosaic/placements", LATCHED)
        self._markers = self.create_publisher(MarkerArray, "mosaic/markers", LATCHED)
        self._diagnostics = Diagnostics(self)
        self.create_subscription(Image, "picture/image", self._on_image, LATCHED, raw=True)

    def _on_image(self, data: bytes) -> None:
        try:
            self._last = image_from_bytes(data)
        except ValueError as error:
            self._refuse(str(error))
            return
        self._plan()

    def _replan(self, settings: MosaicSettings) -> None:
        self._settings = settings
        self._plan()

    def _plan(self) -> None:
        if self._last is None:
            return
        picture, encoding = self._last
        begin_s = time.monotonic()
        try:
            colours = layable(self._known, self._settings.layout)
            held = None
            if self._stock is not None:
                held = self._stock[[each in colours for each in self._known]]
            mosaic = plan_mosaic(rgb_from(picture.array, encoding), colours, self._settings, stock=held)
        except (InputError, ValueError) as error:
            self._refuse(str(error))
            return
        self._publish(mosaic, picture.stamp_ns)
        took_s = time.monotonic() - begin_s
        self.get_logger().info(f"planned {mosaic.layout.sweets} sweets in {took_s:.2f} s")
        self._diagnostics.set(DiagnosticStatus.OK, f"planned {mosaic.layout.sweets} sweets")

    def _publish(self, mosaic: Mosaic, stamp_ns: int) -> None:
        header = Header(frame_id=self._frame, stamp=Time(nanoseconds=stamp_ns).to_msg())
        placements = place(mosaic, self._settings.pitch_m, self._settings.sweet_height_m)
        drawn = srgb_from_linear(mosaic.picture(pixels_per_pitch(mosaic)))
        self._image.publish(image_bytes(drawn, stamp_ns, self._frame))
        self._placements.publish(point_cloud(placements, header))
        size_m = (mosaic.layout.width * self._settings.pitch_m, mosaic.layout.height * self._settings.pitch_m)
        across_m, up_m = self._settings.pitch_m, self._settings.sweet_height_m
        sweet_m = (across_m, up_m, across_m) if mosaic.layout.kind == "side" else (across_m, across_m, up_m)
        card = srgb_from_linear(mosaic.card)
        self._markers.publish(markers(placements, sweet_m, size_m, card, header))

    def _refuse(self, reason: str) -> None:
        self.get_logger().error(reason)
        self._diagnostics.set(DiagnosticStatus.ERROR, reason)


def main() -> None:
    """Run the node."""
    run(MosaicPlannerNode)


if __name__ == "__main__":
    main()
