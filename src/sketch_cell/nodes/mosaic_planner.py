"""Node mosaic_planner: `picture/image` becomes `mosaic/image`, `mosaic/placements` and `mosaic/markers`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from sketch_cell.mosaic.colour import srgb_from_linear
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.library_files import read_library
from sketch_cell.mosaic.mosaic import Mosaic, layable, plan_mosaic
from sketch_cell.mosaic.outputs import pixels_per_pitch
from sketch_cell.mosaic.placements import place
from sketch_cell.mosaic.settings import MosaicSettings
from sketch_cell.mosaic.stock import read_stock
from sketch_cell.ros.messages import image_bytes
from sketch_cell.ros.mosaic_messages import mosaic_markers_bytes, placements_bytes
from sketch_cell.ros.parameters import fixed_text
from sketch_cell.ros.planner import PlannerNode
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED


class MosaicPlannerNode(PlannerNode):
    """Plans each picture that arrives, and the last one again when a parameter changes."""

    def __init__(self) -> None:
        super().__init__("mosaic_planner", MosaicSettings, "board")
        library = fixed_text(
            self, "library", "", "folder that `sketch-cell sweets` made; empty: eight rendered colours"
        )
        stock = fixed_text(
            self, "stock", "", "CSV of colour,count that is never exceeded; empty: there is enough of each"
        )
        self._known = read_library(Path(library)) if library else default_library()
        names = [each.name for each in self._known]
        self._stock = read_stock(Path(stock), names) if stock else None
        self._image = self.create_publisher(Image, "mosaic/image", LATCHED)
        self._placements = self.create_publisher(PointCloud2, "mosaic/placements", LATCHED)
        self._markers = self.create_publisher(MarkerArray, "mosaic/markers", LATCHED)

    def plan(self, picture: NDArray[np.uint8], stamp_ns: int) -> str:
        """Lay one mosaic within the stock and publish it."""
        colours = layable(self._known, self.settings.layout)
        held = None
        if self._stock is not None:
            held = self._stock[[each in colours for each in self._known]]
        mosaic = plan_mosaic(picture, colours, self.settings, stock=held)
        self._publish(mosaic, stamp_ns)
        return f"{mosaic.layout.sweets} sweets"

    def _publish(self, mosaic: Mosaic, stamp_ns: int) -> None:
        placements = place(mosaic, self.settings.pitch_m, self.settings.sweet_height_m)
        drawn = srgb_from_linear(mosaic.picture(pixels_per_pitch(mosaic)))
        self._image.publish(image_bytes(drawn, stamp_ns, self.frame))
        self._placements.publish(placements_bytes(placements, stamp_ns, self.frame))
        size_m = (mosaic.layout.width * self.settings.pitch_m, mosaic.layout.height * self.settings.pitch_m)
        across_m, up_m = self.settings.pitch_m, self.settings.sweet_height_m
        sweet_m = (across_m, up_m, across_m) if mosaic.layout.kind == "side" else (across_m, across_m, up_m)
        card = srgb_from_linear(mosaic.card)
        shown = mosaic_markers_bytes(placements, sweet_m, size_m, card, stamp_ns, self.frame)
        self._markers.publish(shown)


def main() -> None:
    """Run the node."""
    run(MosaicPlannerNode)


if __name__ == "__main__":
    main()
