"""Big messages: byte for byte what rclpy's own serialiser writes, for any frame name and length."""

from __future__ import annotations

import array
import sys
import types

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import Path
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from sketch_cell.ros import messages


def assert_same_on_the_wire(written: bytes, expected: bytes, kind) -> None:
    """Equal but for padding, which rclpy leaves as whatever was in memory and this project writes as zero."""
    assert len(written) == len(expected)
    differ = np.frombuffer(written, np.uint8) != np.frombuffer(expected, np.uint8)
    assert not np.frombuffer(written, np.uint8)[differ].any()
    assert deserialize_message(written, kind) == deserialize_message(expected, kind)


FRAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
ENCODINGS = ["mono8", "rgb8", "rgba8", "mono16"]
STAMPS = st.integers(0, 2**31 * 10**9 - 1)


def path_message(xy, times_ns, stamp_ns, frame):
    message = Path()
    message.header.frame_id = frame
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    for (x, y), time_ns in zip(xy, times_ns, strict=True):
        pose = PoseStamped()
        pose.header.frame_id = frame
        pose.header.stamp.sec, pose.header.stamp.nanosec = divmod(int(time_ns), 10**9)
        pose.pose.position.x, pose.pose.position.y, pose.pose.orientation.w = float(x), float(y), 1.0
        message.poses.append(pose)
    return message


@settings(deadline=None)
@given(FRAMES, st.integers(0, 7), STAMPS)
def test_path_bytes_equal_rclpys_and_come_back(frame, count, stamp_ns):
    xy = np.random.default_rng(count).normal(size=(count, 2))
    expected = serialize_message(path_message(xy, [stamp_ns] * count, stamp_ns, frame))
    written = messages.path_bytes(xy, stamp_ns, frame)
    assert_same_on_the_wire(written, expected, Path)
    read = messages.path_from_bytes(expected)
    assert (read.stamp_ns, read.frame) == (stamp_ns, frame)
    np.testing.assert_array_equal(read.array, xy)


def test_path_times_come_back():
    times_s = np.array([0.5, 1.25, 7.0])
    data = messages.path_bytes(np.zeros((3, 2)), 0, "screen", times_s)
    np.testing.assert_allclose(messages.path_times_from_bytes(data), times_s)


def test_a_path_whose_poses_have_other_frames_is_read_through_rclpy():
    message = path_message([(1, 2), (3, 4), (5, 6)], [0, 0, 0], 0, "screen")
    message.poses[2].header.frame_id = "a much longer name"
    np.testing.assert_array_equal(
        messages.path_from_bytes(serialize_message(message)).array, [(1, 2), (3, 4), (5, 6)]
    )


def image_message(pixels, encoding, frame, stamp_ns, *, step_padding=0, big_endian=False):
    message = Image()
    message.header.frame_id = frame
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.height, message.width = pixels.shape[:2]
    message.encoding, message.is_bigendian = encoding, int(big_endian)
    stored = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = stored.reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, step_padding)))
    message.step = rows.shape[1]
    message.data = array.array("B", rows.tobytes())
    return message


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("bgr8", "u1", 3),
        ("rgb8", "u1", 3),
        ("bgra8", "u1", 4),
        ("mono8", "u1", 1),
        ("mono16", "u2", 1),
        ("16UC1", "u2", 1),
        ("32FC1", "f4", 1),
    ],
)
@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("big_endian", [False, True])
def test_an_image_comes_out_as_it_went_in(encoding, dtype, channels, padding, big_endian):
    shape = (3, 5) if channels == 1 else (3, 5, channels)
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    message = image_message(pixels, encoding, "camera", 5, step_padding=padding, big_endian=big_endian)
    for read, found in (
        messages.image_from_bytes(serialize_message(message)),
        messages.image_from_message(message),
    ):
        np.testing.assert_array_equal(read.array, pixels)
        assert (found, read.frame, read.stamp_ns) == (encoding, "camera", 5)
        assert read.array.dtype.isnative


@settings(deadline=None)
@given(
    FRAMES,
    STAMPS,
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(["mono8", "rgb8", "rgba8", "mono16"]),
)
def test_image_bytes_equal_rclpys(frame, stamp_ns, height, width, encoding):
    kind, channels = messages.ENCODINGS[encoding]
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    expected = serialize_message(image_message(pixels, encoding, frame, stamp_ns))
    assert_same_on_the_wire(messages.image_bytes(pixels, stamp_ns, frame), expected, Image)


@settings(deadline=None)
@given(FRAMES, STAMPS, st.binary(max_size=50))
def test_compressed_image_bytes_equal_rclpys_and_come_back(frame, stamp_ns, file):
    message = CompressedImage(format="jpeg", data=array.array("B", file))
    message.header.frame_id = frame
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    written = messages.compressed_image_bytes(file, stamp_ns, frame, "jpeg")
    assert_same_on_the_wire(written, serialize_message(message), CompressedImage)
    read, file_format = messages.compressed_image_from_bytes(written)
    assert (read.array.tobytes(), file_format, read.frame) == (file, "jpeg", frame)


def test_a_short_image_is_refused_in_words():
    message = image_message(np.zeros((3, 5), np.uint8), "mono8", "", 0)
    message.height = 9
    with pytest.raises(ValueError, match="15 bytes"):
        messages.image_from_message(message)


def test_an_image_without_pixels_is_refused_in_words():
    with pytest.raises(ValueError, match="0 x 0 pixels"):
        messages.image_from_bytes(serialize_message(Image(encoding="rgb8")))


def test_bgr_becomes_rgb_and_grey_stays_grey():
    pixels = np.zeros((1, 1, 3), np.uint8)
    pixels[..., 0] = 200
    assert messages.rgb_from(pixels, "bgr8")[0, 0].tolist() == [0, 0, 200]
    assert messages.rgb_from(np.full((2, 2), 0x1234, np.uint16), "mono16")[0, 0] == 0x12


def test_rclpy_reads_what_is_written():
    data = messages.path_bytes(np.ones((4, 2)), 7, "screen")
    assert len(deserialize_message(data, Path).poses) == 4


def test_an_image_that_cv_bridge_cannot_convert_is_a_value_error(monkeypatch):
    """Its CvBridgeError is a TypeError, which no node expects of a picture."""

    class CvBridge:
        def imgmsg_to_cv2(self, message, encoding):
            raise TypeError("[16SC1] is not a color format")

    monkeypatch.setitem(sys.modules, "cv_bridge", types.SimpleNamespace(CvBridge=CvBridge))
    image = image_message(np.zeros((4, 4), np.uint16), "16SC1", "camera", 0)
    with pytest.raises(ValueError, match=r"16SC1 cannot be shown: \[16SC1\] is not a color format"):
        messages.image_from_bytes(serialize_message(image))


def test_a_picture_that_cannot_be_shown_does_not_end_who_watches_the_cell():
    from sketch_cell.ros.observer import CellObserver

    observer = CellObserver.__new__(CellObserver)
    observer.pictures = {}
    depths = image_message(np.ones((4, 4), np.float32), "32FC1", "camera", 0)
    observer._keep_picture("picture/image")(serialize_message(depths))
    assert not observer.pictures
