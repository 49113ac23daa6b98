"""A drawing as RViz markers: outline of the glass, planned line, drawn line coloured by its deviation, tip."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

Array = NDArray[np.float64]

FRAME = "screen"
LINE_WIDTH_M = 0.0006
WORST_M = 0.0006  # a deviation of one line width is shown in full red


class DrawingMarkers:
    """Collects what was drawn and hands it out in pieces, so that no message grows with the drawing."""

    def __init__(self) -> None:
        self._planned: Marker | None = None
        self._pieces: list[Marker] = []
        self._points: list[Point] = []
        self._colours: list[ColorRGBA] = []
        self._new = 0

    def plan(self, line_m: Array) -> None:
        """A new line (N, 2) [m, screen]: forget what was drawn."""
        self.__init__()  # type: ignore[misc]
        self._planned = _strip(
            "planned", 0, line_m, ColorRGBA(r=0.4, g=0.6, b=1.0, a=0.5), 0.3 * LINE_WIDTH_M
        )

    def drawn(self, tip_m: Array, deviation_m: float) -> None:
        """The stylus is believed to be at tip_m (2,) [m], this far off the line."""
        point = Point(x=float(tip_m[0]), y=float(tip_m[1]))
        last = self._points[-1] if self._points else None
        if last is None or abs(last.x - point.x) + abs(last.y - point.y) > 1e-4:
            share = min(deviation_m / WORST_M, 1.0)
            self._points.append(point)
            self._colours.append(ColorRGBA(r=share, g=1.0 - share, b=0.1, a=1.0))

    def take(self, stamp: Time, outline_m: tuple[float, float], everything: bool) -> MarkerArray:
        """What is new since the last call, or `everything` for somebody who has just joined."""
        if len(self._points) > 1:
            piece = _marker("drawn", len(self._pieces), Marker.LINE_STRIP, LINE_WIDTH_M)
            piece.points, piece.colors = self._points, self._colours
            self._pieces.append(piece)
            self._points, self._colours = self._points[-1:], self._colours[-1:]
        markers = self._pieces[0 if everything else self._new :]
        self._new = len(self._pieces)
        if everything:
            markers = [_outline(*outline_m), *([self._planned] if self._planned else []), *markers]
        if self._points:
            tip = _marker("tip", 0, Marker.SPHERE, 0.003)
            tip.color = ColorRGBA(r=1.0, g=0.8, b=0.0, a=1.0)
            tip.pose.position = self._points[-1]
            markers = [*markers, tip]
        for marker in markers:
            marker.header.stamp = stamp
        return MarkerArray(markers=markers)


def _marker(namespace: str, number: int, kind: int, size_m: float) -> Marker:
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.header.frame_id = FRAME
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size_m
    return marker


def _strip(namespace: str, number: int, line_m: Array, colour: ColorRGBA, width_m: float) -> Marker:
    marker = _marker(namespace, number, Marker.LINE_STRIP, width_m)
    marker.color = colour
    marker.points = [Point(x=x, y=y) for x, y in line_m.tolist()]
    return marker


def _outline(width_m: float, height_m: float) -> Marker:
    corners = np.array([[0, 0], [width_m, 0], [width_m, height_m], [0, height_m], [0, 0]], dtype=float)
    return _strip("outline", 0, corners, ColorRGBA(r=0.8, g=0.1, b=0.1, a=1.0), 0.001)
