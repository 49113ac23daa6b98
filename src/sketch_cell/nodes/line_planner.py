"""Node line_planner: `picture/image` becomes one unbroken line, `line/path`, and its `line/preview`."""

from __future__ import annotations

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from sketch_cell.drawing.plan import plan_line
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.ros.messages import image_bytes, path_bytes
from sketch_cell.ros.planner import PlannerNode
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED


class LinePlannerNode(PlannerNode):
    """Plans each picture that arrives, and the last one again when a parameter changes."""

    def __init__(self) -> None:
        super().__init__("line_planner", LineSettings, "screen")
        self._path = self.create_publisher(Path, "line/path", LATCHED)
        self._preview = self.create_publisher(Image, "line/preview", LATCHED)

    def plan(self, picture: NDArray[np.uint8], stamp_ns: int) -> str:
        """Plan one line and publish it with its preview."""
        line = plan_line(picture, self.settings)
        self._path.publish(path_bytes(line.commands_xy, stamp_ns, self.frame))
        self._preview.publish(image_bytes(line.preview(), stamp_ns, self.frame))
        return f"{len(line.commands_xy)} points, {line.length_m:.1f} m"


def main() -> None:
    """Run the node."""
    run(LinePlannerNode)


if __name__ == "__main__":
    main()
