"""Big messages to arrays and back without a Python object per element.

Each writer gives the bytes that rclpy's own serialiser would, with zeros as padding
(`publisher.publish(bytes)` takes them); each reader takes what a `raw=True` subscription delivers.
A message in another encoding than plain little-endian CDR falls back to rclpy's deserialiser, so
foreign nodes need not know of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from sketch_cell.ros.cdr import CdrReader, CdrWriter

POSE_DOUBLES = 7  # position x y z, orientation x y z w


@dataclass(frozen=True)
class Stamped:
    """An array with the header of the message that brought it."""

    stamp_ns: int
    frame: str
    array: NDArray[Any]

    @property
    def stamp_s(self) -> float:
        """Stamp in seconds."""
        return self.stamp_ns * 1e-9


def path_bytes(
    xy: NDArray[np.float64], stamp_ns: int, frame: str, times_s: NDArray[np.float64] | None = None
) -> bytes:
    """nav_msgs/Path of points xy (N, 2) [m] in `frame`, each stamped with times_s (N,) or `stamp_ns`."""
    writer = CdrWriter()
    writer.header(stamp_ns, frame)
    writer.number("I", len(xy))
    times_ns = (
        np.full(len(xy), stamp_ns, np.int64) if times_s is None else np.round(times_s * 1e9).astype(np.int64)
    )
    offset = len(writer)
    # Poses end on a multiple of 8, so only the first can be padded differently from the rest.
    for part in (slice(0, 1), slice(1, None)):
        if len(xy[part]):
            writer.raw(_pose_records(xy[part], times_ns[part], frame, offset))
            offset = 0
    return writer.finish()


def _pose_record(frame_size: int, offset: int) -> np.dtype[Any]:
    """The layout of one PoseStamped that starts `offset` bytes into the message."""
    padding = -(offset + 12 + frame_size) % 8
    return np.dtype(
        [
            ("sec", "<i4"),
            ("nanosec", "<u4"),
            ("frame_size", "<u4"),
            ("frame", "V", frame_size),
            ("padding", "V", padding),
            ("pose", "<f8", (POSE_DOUBLES,)),
        ]
    )


def _pose_records(xy: NDArray[np.float64], times_ns: NDArray[np.int64], frame: str, offset: int) -> bytes:
    name = frame.encode() + b"\0"
    records = np.zeros(len(xy), _pose_record(len(name), offset))
    records["sec"], records["nanosec"] = np.divmod(times_ns, 1_000_000_000)
    records["frame_size"] = len(name)
    records["frame"] = np.void(name)
    records["pose"][:, :2] = xy
    records["pose"][:, 6] = 1.0
    return records.tobytes()


def path_from_bytes(data: bytes) -> Stamped:
    """Points (N, 2) [m] of a serialised nav_msgs/Path."""
    try:
        reader = CdrReader(data)
        stamp_ns, frame = reader.header()
        records = _read_poses(reader, reader.number("I"))
    except ValueError:
        message = deserialize_message(data, Path)
        points = [(p.pose.position.x, p.pose.position.y) for p in message.poses]
        return Stamped(
            _nanoseconds(message.header.stamp), message.header.frame_id, np.reshape(points, (-1, 2))
        )
    xy = np.concatenate([part["pose"][:, :2] for part in records]) if records else np.zeros((0, 2))
    return Stamped(stamp_ns, frame, xy)


def path_times_from_bytes(data: bytes) -> NDArray[np.float64]:
    """Stamp of each pose (N,) [s] of a serialised nav_msgs/Path, as `path_bytes` wrote it."""
    reader = CdrReader(data)
    reader.header()
    records = _read_poses(reader, reader.number("I"))
    return np.concatenate([part["sec"] + part["nanosec"] * 1e-9 for part in records] or [np.zeros(0)])


def _read_poses(reader: CdrReader, count: int) -> list[NDArray[Any]]:
    """Records of all poses, the first apart; ValueError where the poses' frames differ in length."""
    parts: list[NDArray[Any]] = []
    for size in (min(count, 1), max(count - 1, 0)):
        if not size:
            continue
        start = reader.offset
        reader.offset += 8
        frame_size = reader.number("I")
        reader.offset = start
        layout = _pose_record(frame_size, start - 4)
        records = np.frombuffer(reader.raw(size * layout.itemsize), layout)
        if np.any(records["frame_size"] != frame_size):
            raise ValueError("the poses' frames differ")
        parts.append(records)
    return parts


# Encoding -> element type and channels; the rest is left to cv_bridge where it is installed.
ENCODINGS = {
    "mono8": ("u1", 1),
    "8UC1": ("u1", 1),
    "rgb8": ("u1", 3),
    "bgr8": ("u1", 3),
    "8UC3": ("u1", 3),
    "rgba8": ("u1", 4),
    "bgra8": ("u1", 4),
    "mono16": ("u2", 1),
    "16UC1": ("u2", 1),
    "rgb16": ("u2", 3),
    "bgr16": ("u2", 3),
    "32FC1": ("f4", 1),
}


def image_bytes(image: NDArray[Any], stamp_ns: int, frame: str, encoding: str = "") -> bytes:
    """sensor_msgs/Image of an array (H, W) or (H, W, C); by default mono8, rgb8, rgba8 or mono16."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if not encoding:
        encoding = {("u1", 1): "mono8", ("u1", 3): "rgb8", ("u1", 4): "rgba8", ("u2", 1): "mono16"}[
            (image.dtype.str[1:], channels)
        ]
    pixels = np.ascontiguousarray(image)
    writer = CdrWriter()
    writer.header(stamp_ns, frame)
    writer.number("I", image.shape[0])
    writer.number("I", image.shape[1])
    writer.text(encoding)
    writer.number("B", 0)
    writer.number("I", image.shape[1] * channels * image.dtype.itemsize)
    writer.number("I", pixels.nbytes)
    writer.raw(pixels.reshape(-1).view(np.uint8).data)
    return writer.finish()


def image_from_bytes(data: bytes) -> tuple[Stamped, str]:
    """Array and encoding of a serialised sensor_msgs/Image, rows unpadded, in the machine's byte order."""
    try:
        reader = CdrReader(data)
        stamp_ns, frame = reader.header()
        height, width = reader.number("I"), reader.number("I")
        encoding, big_endian, step = reader.text(), bool(reader.number("B")), reader.number("I")
        pixels = reader.raw(reader.number("I"))
        if encoding not in ENCODINGS:
            raise ValueError(encoding)
    except ValueError:
        return image_from_message(deserialize_message(data, Image))
    return Stamped(stamp_ns, frame, _pixels(pixels, height, width, encoding, big_endian, step)), encoding


def image_from_message(message: Image) -> tuple[Stamped, str]:
    """Array and encoding of a sensor_msgs/Image; encodings outside `ENCODINGS` need cv_bridge."""
    encoding = message.encoding
    if encoding in ENCODINGS:
        array = _pixels(
            memoryview(message.data),
            message.height,
            message.width,
            encoding,
            bool(message.is_bigendian),
            message.step,
        )
    else:
        array, encoding = _rgb_by_cv_bridge(message), "rgb8"
    return Stamped(_nanoseconds(message.header.stamp), message.header.frame_id, array), encoding


def _pixels(
    data: memoryview, height: int, width: int, encoding: str, big_endian: bool, step: int
) -> NDArray[Any]:
    kind, channels = ENCODINGS[encoding]
    dtype = np.dtype((">" if big_endian else "<") + kind)
    if not height or not width:
        raise ValueError(
            f"an image of {width} x {height} pixels shows nothing: look at the camera that sent it"
        )
    row_bytes = width * channels * dtype.itemsize
    if step < row_bytes or len(data) < height * step:
        raise ValueError(
            f"a {width} x {height} {encoding} image with step {step} cannot have {len(data)} bytes"
        )
    rows = np.frombuffer(data, np.uint8, height * step).reshape(height, step)[:, :row_bytes]
    pixels = np.ascontiguousarray(rows).view(dtype).astype(dtype.newbyteorder("="), copy=False)
    return pixels.reshape((height, width) if channels == 1 else (height, width, channels))


def _rgb_by_cv_bridge(message: Image) -> NDArray[Any]:
    try:
        from cv_bridge import CvBridge
    except ImportError as error:
        raise ValueError(f"encoding {message.encoding} needs cv_bridge, which is not installed") from error
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"))
    except Exception as error:  # its CvBridgeError is a TypeError, and OpenCV's own errors come through
        raise ValueError(f"encoding {message.encoding} cannot be shown: {error}") from error


def rgb_from(array: NDArray[Any], encoding: str) -> NDArray[np.uint8]:
    """Picture (H, W, 3) RGB or (H, W) grey, uint8, of an array in a ROS encoding; alpha is dropped."""
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"encoding {encoding} holds no picture")
    if array.ndim == 2:
        return array
    colours = array[:, :, :3]
    return np.ascontiguousarray(colours[:, :, ::-1] if encoding.startswith(("bgr", "8UC3")) else colours)


def compressed_image_bytes(file: bytes, stamp_ns: int, frame: str, file_format: str) -> bytes:
    """sensor_msgs/CompressedImage that holds a picture file's own bytes."""
    writer = CdrWriter()
    writer.header(stamp_ns, frame)
    writer.text(file_format)
    writer.number("I", len(file))
    writer.raw(file)
    return writer.finish()


def compressed_image_from_bytes(data: bytes) -> tuple[Stamped, str]:
    """A picture file's own bytes (N,) uint8 and its format, of a serialised sensor_msgs/CompressedImage."""
    try:
        reader = CdrReader(data)
        stamp_ns, frame = reader.header()
        file_format = reader.text()
        return Stamped(stamp_ns, frame, np.frombuffer(reader.raw(reader.number("I")), np.uint8)), file_format
    except ValueError:
        message = deserialize_message(data, CompressedImage)
        array = np.frombuffer(message.data, np.uint8)
        return Stamped(_nanoseconds(message.header.stamp), message.header.frame_id, array), message.format


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
