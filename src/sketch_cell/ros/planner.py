"""What the planning nodes share: every picture that arrives is planned, and again when a parameter changes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image

from sketch_cell.errors import InputError
from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.hear import hear
from sketch_cell.ros.messages import Stamped, image_from_bytes, rgb_from
from sketch_cell.ros.parameters import declare_settings, fixed_text
from sketch_cell.settings import Settings


class PlannerNode(Node):
    """Base of a node that plans from `picture/image`; a subclass says how in `plan`."""

    def __init__(self, name: str, kind: type[Settings], frame: str) -> None:
        super().__init__(name)
        self.settings: Any = declare_settings(self, kind, on_change=self._replan)
        self.frame = fixed_text(self, "frame", frame, "frame of what is planned")
        self._last: tuple[Stamped, str] | None = None
        self._diagnostics = Diagnostics(self)
        hear(self, Image, "picture/image", self._on_image)

    def plan(self, picture: NDArray[np.uint8], stamp_ns: int) -> str:
        """Plan and publish for a picture (H, W, 3) or (H, W); returns what was planned, in a few words."""
        raise NotImplementedError

    def _on_image(self, data: bytes) -> None:
        try:
            self._last = image_from_bytes(data)
        except ValueError as error:
            self._refuse(str(error))
            return
        self._plan_last()

    def _replan(self, settings: Settings) -> None:
        self.settings = settings
        self._plan_last()

    def _plan_last(self) -> None:
        if self._last is None:
            return
        picture, encoding = self._last
        begin_s = time.monotonic()
        try:
            planned = self.plan(rgb_from(picture.array, encoding), picture.stamp_ns)
        except (InputError, ValueError) as error:
            self._refuse(str(error))
            return
        self.get_logger().info(f"planned {planned} in {time.monotonic() - begin_s:.2f} s")
        self._diagnostics.set(DiagnosticStatus.OK, f"planned {planned}")

    def _refuse(self, reason: str) -> None:
        self.get_logger().error(reason)
        self._diagnostics.set(DiagnosticStatus.ERROR, reason)
