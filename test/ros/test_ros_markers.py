"""Markers and point clouds: byte for byte what rclpy's own serialiser writes, read back, with and without help."""

from __future__ import annotations

import array
import itertools

import numpy as np
import pytest
from geometry_msgs.msg import Point
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA
from test_ros_messages import FRAMES, STAMPS, assert_same_on_the_wire
from visualization_msgs.msg import Marker, MarkerArray

from sketch_cell.ros.cloud_messages import cloud_bytes, cloud_from_bytes
from sketch_cell.ros.drawing_markers import PIECE, SPACING_M, WORST_M, DrawingMarkers
from sketch_cell.ros.marker_messages import (
    MarkerParts,
    flat,
    marker_array_bytes,
    marker_array_from_bytes,
    marker_bytes,
    marker_from_bytes,
)

BIG_ENDIAN_CDR = b"\x00\x00\x00\x00"


@st.composite
def marker_parts(draw):
    count, coloured = draw(st.integers(0, 5)), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return MarkerParts(
        draw(FRAMES),
        draw(FRAMES),
        draw(st.integers(-(2**31), 2**31 - 1)),
        draw(st.integers(0, 12)),
        tuple(rng.normal(size=3).tolist()),
        tuple(np.float32(rng.random(4)).tolist()),
        rng.normal(size=(count, 3)),
        rng.random((count if coloured else 0, 4)).astype(np.float32),
        tuple(rng.normal(size=7).tolist()),
        draw(st.integers(0, 3)),
        draw(STAMPS),
    )


def message_of(parts):
    marker = Marker(ns=parts.namespace, id=parts.number, type=parts.kind, action=parts.action)
    marker.header.frame_id = parts.frame
    marker.header.stamp.sec, marker.header.stamp.nanosec = divmod(parts.stamp_ns, 10**9)
    place, turn = marker.pose.position, marker.pose.orientation
    place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = parts.pose
    marker.scale.x, marker.scale.y, marker.scale.z = parts.scale_m
    marker.color = ColorRGBA(**dict(zip("rgba", parts.rgba, strict=True)))
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in parts.points_m.tolist()]
    marker.colors = [ColorRGBA(**dict(zip("rgba", c, strict=True))) for c in parts.colours.tolist()]
    return marker


def assert_same_parts(read, parts):
    for name in ("frame", "namespace", "number", "kind", "scale_m", "rgba", "pose", "action", "stamp_ns"):
        assert getattr(read, name) == getattr(parts, name), name
    np.testing.assert_array_equal(read.points_m, parts.points_m)
    np.testing.assert_array_equal(read.colours, parts.colours)


@settings(deadline=None)
@given(marker_parts())
def test_marker_bytes_equal_rclpys_and_come_back(parts):
    expected = serialize_message(message_of(parts))
    assert_same_on_the_wire(marker_bytes(parts), expected, Marker)
    assert_same_parts(marker_from_bytes(expected), parts)


@settings(deadline=None)
@given(st.lists(marker_parts(), max_size=3))
def test_marker_array_bytes_equal_rclpys_and_come_back(several):
    expected = serialize_message(MarkerArray(markers=[message_of(parts) for parts in several]))
    assert_same_on_the_wire(marker_array_bytes(several), expected, MarkerArray)
    for read, parts in zip(marker_array_from_bytes(expected), several, strict=True):
        assert_same_parts(read, parts)


def test_a_foreign_markers_texts_and_meshes_are_passed_over():
    marker = message_of(MarkerParts("screen", "a", 1, Marker.MESH_RESOURCE))
    marker.text, marker.mesh_resource = "hello", "package://nothing/at.all"
    marker.texture.data = array.array("B", b"123")
    marker.mesh_file.data = array.array("B", b"12345")
    data = serialize_message(MarkerArray(markers=[marker, message_of(MarkerParts("screen", "b", 2, 0))]))
    assert [read.namespace for read in marker_array_from_bytes(data)] == ["a", "b"]


def test_another_encoding_is_left_to_rclpy(monkeypatch):
    """A big-endian writer's bytes are not read by us; rclpy is asked, whatever it makes of them."""
    asked = []
    parts = MarkerParts("screen", "a", 1, 0)
    for module, kind, message, read in (
        ("marker_messages", Marker, message_of(parts), marker_from_bytes),
        ("marker_messages", MarkerArray, MarkerArray(markers=[message_of(parts)]), marker_array_from_bytes),
        ("cloud_messages", PointCloud2, PointCloud2(), cloud_from_bytes),
    ):
        monkeypatch.setattr(
            f"sketch_cell.ros.{module}.deserialize_message",
            lambda data, wanted, message=message: asked.append(wanted) or message,
        )
        read(BIG_ENDIAN_CDR + serialize_message(message)[4:])
        assert asked[-1] is kind


FIELDS = st.lists(
    st.tuples(st.sampled_from(["i1", "u1", "<i2", "<u2", "<i4", "<u4", "<f4", "<f8"]), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(FRAMES, STAMPS, FIELDS, st.integers(0, 6), st.booleans())
def test_cloud_bytes_equal_rclpys_and_come_back(frame, stamp_ns, fields, count, aligned):
    dtype = np.dtype(
        [(f"f{i}", kind, (n,)) if n > 1 else (f"f{i}", kind) for i, (kind, n) in enumerate(fields)],
        align=aligned,
    )
    points = np.frombuffer(np.random.default_rng(count).bytes(count * dtype.itemsize), dtype)
    numbers = {"i1": 1, "u1": 2, "<i2": 3, "<u2": 4, "<i4": 5, "<u4": 6, "<f4": 7, "<f8": 8}
    cloud = PointCloud2(height=1, width=count, is_dense=True, point_step=dtype.itemsize)
    cloud.header.frame_id = frame
    cloud.header.stamp.sec, cloud.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    cloud.row_step = points.nbytes
    cloud.data = array.array("B", points.tobytes())
    cloud.fields = [
        PointField(name=f"f{i}", offset=dtype.fields[f"f{i}"][1], datatype=numbers[kind], count=n)
        for i, (kind, n) in enumerate(fields)
    ]
    expected = serialize_message(cloud)
    assert_same_on_the_wire(cloud_bytes(points, stamp_ns, frame), expected, PointCloud2)
    read = cloud_from_bytes(expected)
    assert (read.frame, read.stamp_ns) == (frame, stamp_ns)
    for name in dtype.names:
        assert read.array[name][0].tobytes() == points[name].tobytes()


def test_a_foreign_cloud_with_rows_padding_and_other_byte_order_is_read():
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    cloud = PointCloud2(height=2, width=3, is_bigendian=True, point_step=4, row_step=16)
    cloud.fields = [PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1)]
    cloud.data = array.array("B", np.pad(values.view(np.uint8).reshape(2, 12), ((0, 0), (0, 4))).tobytes())
    np.testing.assert_array_equal(cloud_from_bytes(serialize_message(cloud)).array["x"], values)


def test_a_cloud_with_too_little_data_is_refused_in_words():
    cloud = PointCloud2(height=1, width=3, point_step=4, row_step=12)
    with pytest.raises(ValueError, match="3 x 1 points"):
        cloud_from_bytes(serialize_message(cloud))


class Watcher:
    """What RViz would show: markers by namespace and number, deleted ones gone."""

    def __init__(self):
        self.shown = {}

    def take(self, data):
        for marker in deserialize_message(data, MarkerArray).markers:
            if marker.action == Marker.DELETEALL:
                self.shown.clear()
            else:
                self.shown[marker.ns, marker.id] = marker

    def line(self, namespace):
        """Points of all pieces, each piece beginning where the one before ended."""
        pieces = [marker for (ns, _), marker in sorted(self.shown.items()) if ns == namespace]
        points = [[(p.x, p.y) for p in piece.points] for piece in pieces]
        for before, after in itertools.pairwise(points):
            assert before[-1] == after[0]
        return np.concatenate([points[0], *(part[1:] for part in points[1:])])


def test_every_watcher_sees_the_whole_drawing_from_small_messages():
    markers, early, late = DrawingMarkers(), Watcher(), Watcher()
    markers.plan(np.array([[0.0, 0.0], [0.1, 0.1]]), "left/screen")
    count = int(2.5 * PIECE)
    tips = np.column_stack([np.arange(count) * 2 * SPACING_M, np.zeros(count)])
    sizes = []
    for index, tip in enumerate(tips):
        markers.drawn(tip, WORST_M * index / count)
        if index % 100 == 0:
            data = markers.take(5, everything=index == 0)
            sizes.append(len(data))
            early.take(data)
    early.take(markers.take(5, everything=False))
    late.take(markers.take(5, everything=True))
    for watcher in (early, late):
        np.testing.assert_array_equal(watcher.line("drawn"), tips)
        np.testing.assert_array_equal(watcher.line("deviation"), tips)
        assert {ns for ns, _ in watcher.shown} == {"outline", "planned", "drawn", "deviation", "tip"}
    assert max(sizes) < 2.2 * PIECE * (24 + 24 + 16) + 2000
    assert late.shown["deviation", 0].colors[0].g > 0.9
    assert late.shown["deviation", 2].colors[-1].r > 0.9
    assert all(marker.header.frame_id == "left/screen" for marker in late.shown.values())


def test_a_new_plan_clears_what_was_drawn():
    markers, watcher = DrawingMarkers(), Watcher()
    markers.plan(np.array([[0.0, 0.0], [0.1, 0.1]]))
    for x in (0.0, 0.01, 0.02):
        markers.drawn(np.array([x, 0.0]), 0.0)
    watcher.take(markers.take(0, everything=True))
    assert ("drawn", 0) in watcher.shown
    markers.plan(np.array([[0.0, 0.0], [0.05, 0.1], [0.1, 0.1]]))
    watcher.take(markers.take(0, everything=False))
    assert {ns for ns, _ in watcher.shown} == {"outline", "planned"}
    assert len(watcher.shown["planned", 0].points) == 3


def test_a_flat_line_lies_in_its_plane():
    assert flat([[1.0, 2.0]]).tolist() == [[1.0, 2.0, 0.0]]
