"""sensor_msgs/PointCloud2 between structured arrays and bytes, without an object per point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2, PointField

from sketch_cell.ros.cdr import CdrReader, CdrWriter
from sketch_cell.ros.messages import Stamped

# Element type of a field -> its number in PointField, and back.
DATATYPES = {
    "i1": PointField.INT8,
    "u1": PointField.UINT8,
    "i2": PointField.INT16,
    "u2": PointField.UINT16,
    "i4": PointField.INT32,
    "u4": PointField.UINT32,
    "f4": PointField.FLOAT32,
    "f8": PointField.FLOAT64,
}
KINDS = {number: kind for kind, number in DATATYPES.items()}


def cloud_bytes(points: NDArray[Any], stamp_ns: int, frame: str) -> bytes:
    """sensor_msgs/PointCloud2 of a structured array (N,) of little-endian fields, one row, all points valid."""
    writer = CdrWriter()
    writer.header(stamp_ns, frame)
    writer.number("I", 1)
    writer.number("I", len(points))
    _write_fields(writer, points.dtype)
    writer.number("B", 0)
    for value in (points.itemsize, points.nbytes, points.nbytes):  # point_step, row_step, size of the data
        writer.number("I", value)
    writer.raw(np.ascontiguousarray(points).view(np.uint8).data)
    writer.number("B", 1)
    return writer.finish()


def _write_fields(writer: CdrWriter, dtype: np.dtype[Any]) -> None:
    assert dtype.fields is not None
    writer.number("I", len(dtype.fields))
    for name, (kind, offset, *_) in dtype.fields.items():
        writer.text(name)
        writer.number("I", offset)
        writer.number("B", DATATYPES[kind.base.str[1:]])
        writer.number("I", int(np.prod(kind.shape, dtype=int)))


def cloud_from_bytes(data: bytes) -> Stamped:
    """Structured array (height, width) with the names, offsets and byte order of a serialised PointCloud2."""
    try:
        reader = CdrReader(data)
        stamp_ns, frame = reader.header()
        height, width = reader.number("I"), reader.number("I")
        fields = [_read_field(reader) for _ in range(reader.number("I"))]
        big_endian, step, row = bool(reader.number("B")), reader.number("I"), reader.number("I")
        packed = reader.raw(reader.number("I"))
    except ValueError:
        message = deserialize_message(data, PointCloud2)
        stamp = message.header.stamp
        stamp_ns, frame = stamp.sec * 1_000_000_000 + stamp.nanosec, message.header.frame_id
        height, width, step, row = message.height, message.width, message.point_step, message.row_step
        fields = [(f.name, f.offset, f.datatype, f.count) for f in message.fields]
        big_endian, packed = message.is_bigendian, memoryview(message.data)
    return Stamped(stamp_ns, frame, _points(packed, (height, width), fields, big_endian, step, row))


def _read_field(reader: CdrReader) -> tuple[str, int, int, int]:
    return reader.text(), reader.number("I"), reader.number("B"), reader.number("I")


def _points(
    packed: memoryview,
    shape: tuple[int, int],
    fields: list[tuple[str, int, int, int]],
    big_endian: bool,
    step: int,
    row_step: int,
) -> NDArray[Any]:
    order = ">" if big_endian else "<"
    layout = np.dtype(
        {
            "names": [name for name, *_ in fields],
            "formats": [
                (order + KINDS[kind], (n,)) if n > 1 else order + KINDS[kind] for _, _, kind, n in fields
            ],
            "offsets": [offset for _, offset, *_ in fields],
            "itemsize": step,
        }
    )
    height, width = shape
    if row_step < width * step or len(packed) < height * row_step:
        raise ValueError(
            f"a cloud of {width} x {height} points of {step} bytes cannot have {len(packed)} bytes"
        )
    if not height * width * step:
        return np.zeros(shape, layout)
    rows = np.frombuffer(packed, np.uint8, height * row_step).reshape(height, row_step)
    return np.ascontiguousarray(rows[:, : width * step]).view(layout).reshape(shape)
