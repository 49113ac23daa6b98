"""A mosaic as ROS messages: the placements for a robot, and the board for RViz."""

from __future__ import annotations

import array

import numpy as np
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sketch_cell.mosaic.placements import Placements

# One sweet of `mosaic/placements`; rgb is packed as RViz and PCL read it.
FIELDS = (
    ("x", PointField.FLOAT32),
    ("y", PointField.FLOAT32),
    ("z", PointField.FLOAT32),
    ("yaw", PointField.FLOAT32),
    ("rgb", PointField.UINT32),
    ("colour", PointField.UINT32),
    ("order", PointField.UINT32),
)
BYTES = 4  # of every field
TYPES = {PointField.FLOAT32: "<f4", PointField.UINT32: "<u4"}
SWEET = np.dtype([(name, TYPES[kind]) for name, kind in FIELDS])
CARD_THICKNESS_M = 0.002


def point_cloud(placements: Placements, header: Header) -> PointCloud2:
    """The placements, one point a sweet, in the order of laying."""
    sweets = np.zeros(len(placements.colour), SWEET)
    sweets["x"], sweets["y"], sweets["z"] = placements.position_m.T
    sweets["yaw"], sweets["colour"] = placements.yaw_rad, placements.colour
    red, green, blue = placements.rgb.astype(np.uint32).T
    sweets["rgb"] = red << 16 | green << 8 | blue
    sweets["order"] = np.arange(len(sweets))
    cloud = PointCloud2(header=header, height=1, width=len(sweets), is_dense=True)
    cloud.fields = [
        PointField(name=name, offset=BYTES * index, datatype=kind, count=1)
        for index, (name, kind) in enumerate(FIELDS)
    ]
    cloud.point_step, cloud.row_step = SWEET.itemsize, SWEET.itemsize * len(sweets)
    cloud.data = array.array("B", sweets.tobytes())
    return cloud


def markers(
    placements: Placements,
    sweet_m: tuple[float, float, float],
    board_m: tuple[float, float],
    card: NDArray[np.uint8],
    header: Header,
) -> MarkerArray:
    """The mosaic as it would be laid: the card, sRGB (3,), then one list of sweets of sweet_m x, y, z per colour."""
    width, height = board_m
    board = Marker(header=header, ns="card", type=Marker.CUBE, color=_colour(card))
    board.pose.position = Point(x=0.5 * width, y=0.5 * height, z=-0.5 * CARD_THICKNESS_M)
    board.pose.orientation.w = 1.0
    board.scale = Vector3(x=width, y=height, z=CARD_THICKNESS_M)
    lists = [_sweets(placements, index, sweet_m, header) for index in range(len(placements.names))]
    return MarkerArray(markers=[board, *lists])


def _sweets(
    placements: Placements, index: int, sweet_m: tuple[float, float, float], header: Header
) -> Marker:
    own = placements.colour == index
    sweets = Marker(header=header, ns="sweets", id=index, type=Marker.SPHERE_LIST)
    if not own.any():
        # An earlier plan may have shown some.
        sweets.action = Marker.DELETE
        return sweets
    sweets.pose.orientation.w = 1.0
    sweets.scale = Vector3(**dict(zip("xyz", sweet_m, strict=True)))
    sweets.points = [Point(x=x, y=y, z=z) for x, y, z in placements.position_m[own].tolist()]
    sweets.color = _colour(placements.rgb[own][0])
    return sweets


def _colour(srgb: NDArray[np.uint8]) -> ColorRGBA:
    red, green, blue = (srgb / 255.0).tolist()
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
