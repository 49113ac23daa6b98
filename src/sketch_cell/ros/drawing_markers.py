"""A drawing as RViz markers: outline of the glass, planned and drawn line, deviation as colour, tip."""

from __future__ import annotations

from array import array
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from visualization_msgs.msg import Marker

from sketch_cell.ros.marker_messages import MarkerParts, flat, marker_array_bytes

Array = NDArray[np.float64]

GLASS_M = (0.153, 0.107)
LINE_WIDTH_M = 0.0006
WORST_M = 0.0006  # a deviation of one line width is shown in full red
SPACING_M = 2e-4  # points of the drawn line
PIECE = 1000  # points of one marker: a message holds what is new, never the whole drawing again
ABOVE_M = 0.0002  # colours lie just above the line that they tell of
GREY, BLUE, YELLOW, RED = (
    (0.2, 0.2, 0.2, 1.0),
    (0.4, 0.6, 1.0, 0.5),
    (1.0, 0.8, 0.0, 1.0),
    (0.8, 0.1, 0.1, 1.0),
)


class DrawingMarkers:
    """Collects what was drawn and hands it out in pieces of a fixed size."""

    def __init__(self) -> None:
        self._frame = "screen"
        self._plan_m: Array = np.zeros((0, 2))
        self._drawn = array("d")  # x, y, deviation of each point
        self._handed_out = 0
        self._fresh = True

    def plan(self, line_m: Array, frame: str = "screen") -> None:
        """A new line (N, 2) [m] in the screen's `frame`: forget what was drawn."""
        self._frame, self._plan_m = frame, line_m
        self._drawn = array("d")
        self._handed_out, self._fresh = 0, True

    def drawn(self, tip_m: Array, deviation_m: float) -> None:
        """The stylus is believed to be at tip_m (2,) [m], this far off the line."""
        x, y = float(tip_m[0]), float(tip_m[1])
        if not self._drawn or abs(self._drawn[-3] - x) + abs(self._drawn[-2] - y) > SPACING_M:
            self._drawn.extend((x, y, deviation_m))

    def take(self, stamp_ns: int, outline_m: tuple[float, float] = GLASS_M, *, everything: bool) -> bytes:
        """A MarkerArray of what is new since the last call, or `everything` for somebody who has just joined."""
        markers: list[MarkerParts] = []
        if everything or self._fresh:
            self._handed_out, self._fresh = 0, False
            markers += self._whole(outline_m)
        points = np.frombuffer(self._drawn, np.float64).reshape(-1, 3).copy()
        for piece in range(max(self._handed_out - 1, 0) // PIECE, max(len(points) - 1, 0) // PIECE + 1):
            markers += self._piece(piece, points[piece * PIECE : (piece + 1) * PIECE + 1])
        self._handed_out = len(points)
        if len(points):
            markers.append(self._tip(points[-1]))
        return marker_array_bytes([_stamped(marker, stamp_ns) for marker in markers])

    def _whole(self, outline_m: tuple[float, float]) -> list[MarkerParts]:
        """What belongs to a drawing from its beginning; the markers of the one before go."""
        width_m, height_m = outline_m
        corners = np.array([[0, 0], [width_m, 0], [width_m, height_m], [0, height_m], [0, 0]])
        return [
            MarkerParts(self._frame, "", 0, Marker.ARROW, action=Marker.DELETEALL),
            self._strip("outline", 0, flat(corners), RED, 0.001),
            *(
                [self._strip("planned", 0, flat(self._plan_m), BLUE, 0.3 * LINE_WIDTH_M)]
                if len(self._plan_m)
                else []
            ),
        ]

    def _piece(self, number: int, points: Array) -> list[MarkerParts]:
        """One stretch of the drawn line, and its deviation as colour."""
        if len(points) < 2:
            return []
        place = flat(points[:, :2])
        raised = place + np.array([0.0, 0.0, ABOVE_M])
        return [
            self._strip("drawn", number, place, GREY, LINE_WIDTH_M),
            self._strip("deviation", number, raised, GREY, 0.6 * LINE_WIDTH_M, points[:, 2]),
        ]

    def _strip(
        self,
        namespace: str,
        number: int,
        points_m: Array,
        rgba: tuple[float, float, float, float],
        width_m: float,
        deviation_m: Array | None = None,
    ) -> MarkerParts:
        colours = np.zeros((0, 4), np.float32) if deviation_m is None else _colours(deviation_m)
        scale_m = (width_m, 0.0, 0.0)
        return MarkerParts(
            self._frame, namespace, number, Marker.LINE_STRIP, scale_m, rgba, points_m, colours
        )

    def _tip(self, point: Array) -> MarkerParts:
        pose = (float(point[0]), float(point[1]), ABOVE_M, 0.0, 0.0, 0.0, 1.0)
        return MarkerParts(self._frame, "tip", 0, Marker.SPHERE, (0.003, 0.003, 0.003), YELLOW, pose=pose)


def _stamped(marker: MarkerParts, stamp_ns: int) -> MarkerParts:
    return replace(marker, stamp_ns=stamp_ns)


def _colours(deviation_m: Array) -> NDArray[np.float32]:
    """From green on the line to red at `WORST_M`, rgba (N, 4)."""
    share = np.clip(deviation_m / WORST_M, 0.0, 1.0)
    return np.column_stack([share, 1.0 - share, np.full(len(share), 0.1), np.ones(len(share))]).astype(
        np.float32
    )
