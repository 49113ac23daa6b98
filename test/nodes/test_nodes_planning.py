"""picture_source, deblocker and line_planner as real nodes: a file goes in, a line comes out."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Path
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from sketch_cell.errors import InputError
from sketch_cell.nodes.deblocker import DeblockerNode
from sketch_cell.nodes.line_planner import LinePlannerNode
from sketch_cell.nodes.picture_source import PictureSourceNode
from sketch_cell.picture.source import PictureSettings, PictureSource
from sketch_cell.ros.messages import image_bytes, image_from_bytes, path_from_bytes
from sketch_cell.ros.qos import LATCHED, RELIABLE


def picture(width: int = 64, height: int = 48) -> np.ndarray:
    """Dark on the left, light on the right."""
    return np.tile(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], (height, 1, 3))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), picture(), [cv2.IMWRITE_JPEG_QUALITY, 10])
    return path


@pytest.fixture
def watcher(spinner):
    """A foreign node that keeps the newest message of each topic, received in the ordinary way."""
    node = spinner.add(Node("watcher"))
    node.latest = {}
    for kind, topic in (
        (CompressedImage, "picture/compressed"),
        (Image, "picture/image"),
        (Path, "line/path"),
        (Image, "line/preview"),
    ):
        node.create_subscription(kind, topic, lambda m, t=topic: node.latest.__setitem__(t, m), LATCHED)
    node.problems = []
    node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: _collect(node, m), RELIABLE)
    return node


def _collect(node, array):
    node.problems += [s.message for s in array.status if s.level == DiagnosticStatus.ERROR]


def set_parameters(node, **values):
    return node.set_parameters([Parameter(name, value=value) for name, value in values.items()])


def test_a_file_goes_through_all_three_nodes(spinner, watcher, photo):
    source = spinner.add(PictureSourceNode())
    spinner.add(DeblockerNode())
    set_parameters(spinner.add(LinePlannerNode()), cells=12)
    set_parameters(source, photo=str(photo))
    spinner.until(lambda: {"line/path", "line/preview", "picture/image"} <= watcher.latest.keys())
    assert bytes(watcher.latest["picture/compressed"].data) == photo.read_bytes()
    repaired = watcher.latest["picture/image"]
    assert (repaired.width, repaired.height) == (64, 48)
    line = watcher.latest["line/path"]
    assert line.header.frame_id == "screen"
    assert len(line.poses) > 100
    assert all(0 <= pose.pose.position.x <= 0.153 for pose in line.poses)


def test_bad_files_are_refused_in_words_and_the_node_goes_on(spinner, watcher, photo, tmp_path):
    source = spinner.add(PictureSourceNode())
    text = tmp_path / "text.jpg"
    text.write_text("this is no picture")
    truncated = tmp_path / "truncated.jpg"
    truncated.write_bytes(photo.read_bytes()[:-200])
    for bad, word in ((text, "not a photo"), (truncated, "truncated"), (tmp_path / "no.jpg", "not exist")):
        set_parameters(source, photo=str(bad), period_s=0.05)
        spinner.until(lambda bad=bad, word=word: any(bad.name in p and word in p for p in watcher.problems))
    assert "picture/compressed" not in watcher.latest
    set_parameters(source, photo=str(photo))
    spinner.until(lambda: "picture/compressed" in watcher.latest)


def test_other_settings_do_not_make_an_old_picture_new(photo):
    source = PictureSource(PictureSettings(photo=str(photo)))
    assert source.next_picture()
    source.look_elsewhere(PictureSettings(photo=str(photo), period_s=0.5))
    assert source.next_picture() is None
    source.look_elsewhere(PictureSettings())
    source.look_elsewhere(PictureSettings(photo=str(photo)))
    assert source.next_picture()


def test_a_folder_is_watched(spinner, watcher, photo, tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    source = spinner.add(PictureSourceNode())
    set_parameters(source, photo=str(folder), period_s=0.05)
    (folder / "first.jpg").write_bytes(photo.read_bytes())
    spinner.until(lambda: "picture/compressed" in watcher.latest)
    assert watcher.latest["picture/compressed"].header.frame_id.endswith("first.jpg")


def test_the_planner_plans_again_when_a_parameter_changes_and_refuses_nonsense(spinner, watcher):
    planner = spinner.add(LinePlannerNode())
    set_parameters(planner, cells=12)
    publisher = watcher.create_publisher(Image, "picture/image", LATCHED)
    publisher.publish(image_bytes(picture(), 1, "photo"))
    spinner.until(lambda: "line/path" in watcher.latest)
    before = len(watcher.latest.pop("line/path").poses)
    (result,) = set_parameters(planner, cells=8)
    assert result.successful
    spinner.until(lambda: "line/path" in watcher.latest)
    assert len(watcher.latest["line/path"].poses) < before
    (result,) = set_parameters(planner, line_width_m=0.09)
    assert not result.successful
    assert "line_width_m" in result.reason


def test_the_planner_takes_an_ordinary_image_from_a_foreign_node(spinner, watcher):
    set_parameters(spinner.add(LinePlannerNode()), cells=12)
    message = Image(height=48, width=64, encoding="bgr8", step=64 * 3)
    message.data.frombytes(picture().tobytes())
    watcher.create_publisher(Image, "picture/image", LATCHED).publish(message)
    spinner.until(lambda: "line/path" in watcher.latest)


def test_raw_subscription_and_ordinary_message_agree(spinner):
    node = spinner.add(Node("listener"))
    got = []
    node.create_subscription(Path, "p", got.append, LATCHED, raw=True)
    line = Path()
    line.header.frame_id = "screen"
    node.create_publisher(Path, "p", LATCHED).publish(line)
    spinner.until(lambda: got)
    assert path_from_bytes(got[0]).array.shape == (0, 2)
    pictures = []
    node.create_subscription(Image, "i", pictures.append, LATCHED, raw=True)
    node.create_publisher(Image, "i", LATCHED).publish(image_bytes(picture(), 5, "f"))
    spinner.until(lambda: pictures)
    np.testing.assert_array_equal(image_from_bytes(pictures[0])[0].array, picture())


def test_a_name_that_is_not_utf_8_and_a_folder_that_goes_are_told_in_words(photo, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    os.link(photo, os.fsencode(folder) + b"/K\xf6ln" + os.fsencode(photo.suffix))
    source = PictureSource(PictureSettings(photo=str(folder)))
    with pytest.raises(InputError, match="Rename it") as told:
        source.next_picture()
    str(told.value).encode()
    assert source.next_picture() is None
    with pytest.raises(InputError, match="cannot be looked at"):
        PictureSource(PictureSettings(photo="x" * 5000)).next_picture()
