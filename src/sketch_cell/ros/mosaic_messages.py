"""A mosaic as ROS messages: the placements for a robot, and the board for RViz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from visualization_msgs.msg import Marker

from sketch_cell.mosaic.placements import Placements
from sketch_cell.ros.cloud_messages import cloud_bytes
from sketch_cell.ros.marker_messages import MarkerParts, marker_array_bytes

# One sweet of `mosaic/placements`; rgb is packed as RViz and PCL read it.
SWEET = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("yaw", "<f4"),
        ("rgb", "<u4"),
        ("colour", "<u4"),
        ("order", "<u4"),
    ]
)
CARD_THICKNESS_M = 0.002


def placements_bytes(placements: Placements, stamp_ns: int, frame: str) -> bytes:
    """The placements as a PointCloud2, one point a sweet, in the order of laying."""
    sweets = np.zeros(len(placements.colour), SWEET)
    sweets["x"], sweets["y"], sweets["z"] = placements.position_m.T
    sweets["yaw"], sweets["colour"] = placements.yaw_rad, placements.colour
    red, green, blue = placements.rgb.astype(np.uint32).T
    sweets["rgb"] = red << 16 | green << 8 | blue
    sweets["order"] = np.arange(len(sweets))
    return cloud_bytes(sweets, stamp_ns, frame)


def mosaic_markers_bytes(
    placements: Placements,
    sweet_m: tuple[float, float, float],
    board_m: tuple[float, float],
    card: NDArray[np.uint8],
    stamp_ns: int,
    frame: str,
) -> bytes:
    """The mosaic as it would be laid, a MarkerArray: the card, sRGB (3,), and the sweets of each colour.

    sweet_m is a sweet's x, y, z, board_m the card's x, y.
    """
    width, height = board_m
    pose = (0.5 * width, 0.5 * height, -0.5 * CARD_THICKNESS_M, 0.0, 0.0, 0.0, 1.0)
    size_m = (width, height, CARD_THICKNESS_M)
    board = MarkerParts(frame, "card", 0, Marker.CUBE, size_m, _colour(card), pose=pose, stamp_ns=stamp_ns)
    lists = [_sweets(placements, index, sweet_m, stamp_ns, frame) for index in range(len(placements.names))]
    return marker_array_bytes([board, *lists])


def _sweets(
    placements: Placements, index: int, sweet_m: tuple[float, float, float], stamp_ns: int, frame: str
) -> MarkerParts:
    own = placements.colour == index
    if not own.any():
        # An earlier plan may have shown some.
        return MarkerParts(
            frame, "sweets", index, Marker.SPHERE_LIST, action=Marker.DELETE, stamp_ns=stamp_ns
        )
    colour = _colour(placements.rgb[own][0])
    points_m = placements.position_m[own]
    return MarkerParts(
        frame, "sweets", index, Marker.SPHERE_LIST, sweet_m, colour, points_m, stamp_ns=stamp_ns
    )


def _colour(srgb: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    red, green, blue = (srgb / 255.0).tolist()
    return red, green, blue, 1.0
