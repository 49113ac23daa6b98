"""RViz markers between arrays and bytes: visualization_msgs/Marker and MarkerArray without an object per point.

`marker_bytes` and `marker_array_bytes` give what rclpy's own serialiser would (zeros as padding); the readers take
what a `raw=True` subscription delivers, and leave other encodings than plain little-endian CDR to rclpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rclpy.serialization import deserialize_message
from visualization_msgs.msg import Marker, MarkerArray

from sketch_cell.ros.cdr import CdrReader, CdrWriter

Points = NDArray[np.float64]
Colours = NDArray[np.float32]
POINT_BYTES, COLOUR_BYTES, UV_BYTES = 24, 16, 8


def _no_points() -> Points:
    return np.zeros((0, 3))


def _no_colours() -> Colours:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True)
class MarkerParts:
    """What this project needs of a marker: points (N, 3) [m], rgba of all or of each (N, 4), 0 to 1.

    `pose` is x y z [m] and a quaternion x y z w in `frame`; `scale_m` is (3,).
    """

    frame: str
    namespace: str
    number: int
    kind: int
    scale_m: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rgba: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    points_m: Points = field(default_factory=_no_points)
    colours: Colours = field(default_factory=_no_colours)
    pose: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    action: int = Marker.ADD
    stamp_ns: int = 0


def flat(xy_m: ArrayLike) -> Points:
    """Points (N, 3) of a line (N, 2) [m] in the plane of its frame."""
    xy = np.asarray(xy_m, np.float64).reshape(-1, 2)
    return np.column_stack([xy, np.zeros(len(xy))])


def marker_bytes(marker: MarkerParts) -> bytes:
    """visualization_msgs/Marker."""
    writer = CdrWriter()
    _write(writer, marker)
    return writer.finish()


def marker_array_bytes(markers: Sequence[MarkerParts]) -> bytes:
    """visualization_msgs/MarkerArray."""
    writer = CdrWriter()
    writer.number("I", len(markers))
    for marker in markers:
        _write(writer, marker)
    return writer.finish()


def _write(writer: CdrWriter, marker: MarkerParts) -> None:
    writer.header(marker.stamp_ns, marker.frame)
    writer.text(marker.namespace)
    for value in (marker.number, marker.kind, marker.action):
        writer.number("i", value)
    writer.numbers("<f8", [*marker.pose, *marker.scale_m])
    writer.numbers("<f4", marker.rgba)
    for value in (0, 0):  # lifetime: for ever
        writer.number("i", value)
    writer.number("B", 0)  # not locked to its frame
    writer.number("I", len(marker.points_m))
    writer.numbers("<f8", marker.points_m)
    writer.number("I", len(marker.colours))
    writer.numbers("<f4", marker.colours)
    writer.text("")  # texture_resource
    writer.header(0, "")  # texture
    writer.text("")
    for _ in ("its bytes", "uv_coordinates"):
        writer.number("I", 0)
    for _ in ("text", "mesh_resource", "mesh_file.filename"):
        writer.text("")
    writer.number("I", 0)  # mesh_file.data
    writer.number("B", 0)  # mesh_use_embedded_materials


def marker_from_bytes(data: bytes) -> MarkerParts:
    """The parts of a serialised visualization_msgs/Marker; texts, textures and meshes are passed over."""
    try:
        return _read(CdrReader(data))
    except ValueError:
        return _parts(deserialize_message(data, Marker))


def marker_array_from_bytes(data: bytes) -> list[MarkerParts]:
    """The parts of each marker of a serialised visualization_msgs/MarkerArray."""
    try:
        reader = CdrReader(data)
        return [_read(reader) for _ in range(reader.number("I"))]
    except ValueError:
        return [_parts(marker) for marker in deserialize_message(data, MarkerArray).markers]


def _read(reader: CdrReader) -> MarkerParts:
    stamp_ns, frame = reader.header()
    namespace = reader.text()
    number, kind, action = (reader.number("i") for _ in range(3))
    pose_scale, rgba = reader.numbers("<f8", 10), reader.numbers("<f4", 4)
    for code in "iIB":  # lifetime and frame_locked
        reader.number(code)
    points = reader.numbers("<f8", 3 * reader.number("I")).reshape(-1, 3)
    colours = reader.numbers("<f4", 4 * reader.number("I")).reshape(-1, 4)
    _pass_over_the_rest(reader)
    return MarkerParts(
        frame,
        namespace,
        number,
        kind,
        tuple(pose_scale[7:].tolist()),
        tuple(rgba.tolist()),
        points,
        colours,
        tuple(pose_scale[:7].tolist()),
        action,
        stamp_ns,
    )


def _pass_over_the_rest(reader: CdrReader) -> None:
    reader.text()  # texture_resource
    reader.header()  # texture
    reader.text()
    reader.raw(reader.number("I"))
    reader.raw(UV_BYTES * reader.number("I"))
    for _ in ("text", "mesh_resource", "mesh_file.filename"):
        reader.text()
    reader.raw(reader.number("I"))
    reader.number("B")


def _parts(marker: Any) -> MarkerParts:
    place, turn, scale, colour = marker.pose.position, marker.pose.orientation, marker.scale, marker.color
    return MarkerParts(
        marker.header.frame_id,
        marker.ns,
        marker.id,
        marker.type,
        (scale.x, scale.y, scale.z),
        (colour.r, colour.g, colour.b, colour.a),
        np.array([(p.x, p.y, p.z) for p in marker.points], np.float64).reshape(-1, 3),
        np.array([(c.r, c.g, c.b, c.a) for c in marker.colors], np.float32).reshape(-1, 4),
        (place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w),
        marker.action,
        marker.header.stamp.sec * 1_000_000_000 + marker.header.stamp.nanosec,
    )
