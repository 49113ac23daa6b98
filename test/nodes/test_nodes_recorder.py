"""recorder as a real node: what others publish is in the bag byte for byte, and nothing is drawn for it."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from test_nodes_tip_tracker import Heard, Scene, ready

from sketch_cell.errors import InputError
from sketch_cell.nodes.recorder import RecorderNode
from sketch_cell.ros.bag import Bag
from sketch_cell.ros.messages import image_bytes
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.ros.replay_figures import tips_alike


def recorder(spinner, folder, topics="", namespace=""):
    settings = {"folder": str(folder), "topics": topics}
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    return spinner.add(RecorderNode(namespace=namespace, parameter_overrides=overrides))


def finish(spinner, node):
    """End a recorder, as Ctrl-C does, and read what it wrote."""
    folder = node.bag.folder
    spinner._executor.remove_node(node)
    node.destroy_node()
    return Bag(folder)


def of(bag, topic):
    return [message.data for message in bag if message.topic == topic]


def test_every_quality_of_service_is_recorded_byte_for_byte(spinner, tmp_path):
    speaker = spinner.add(Node("speaker"))
    latched = speaker.create_publisher(String, "early", LATCHED)
    latched.publish(String(data="before the recorder came"))
    node = recorder(spinner, tmp_path / "bag")
    joints = speaker.create_publisher(JointState, "joint_states", RELIABLE)
    images = speaker.create_publisher(Image, "camera/image_raw", SENSOR)
    spinner.until(lambda: joints.get_subscription_count() and images.get_subscription_count())
    picture = np.random.default_rng(1).integers(0, 255, (48, 64), np.uint8)
    frame = image_bytes(picture, 123, "camera")
    for k in range(150):
        joints.publish(JointState(position=[float(k)]))
    images.publish(frame)
    spinner.until(lambda: node.bag.messages >= 152)
    bag = finish(spinner, node)
    assert of(bag, "/early") == [serialize_message(String(data="before the recorder came"))]
    positions = [deserialize_message(data, JointState).position[0] for data in of(bag, "/joint_states")]
    assert positions == list(range(150))
    assert of(bag, "/camera/image_raw") == [frame]
    assert bag.topics["/camera/image_raw"].qualities[0]["reliability"] == "best_effort"


def test_only_topics_that_were_named(spinner, tmp_path):
    speaker = spinner.add(Node("speaker"))
    node = recorder(spinner, tmp_path / "bag", topics="wanted")
    wanted, other = (speaker.create_publisher(String, name, RELIABLE) for name in ("wanted", "other"))
    spinner.until(wanted.get_subscription_count)
    wanted.publish(String(data="1"))
    other.publish(String(data="2"))
    spinner.until(lambda: node.bag.messages)
    assert set(finish(spinner, node).topics) == {"/wanted"}


def test_a_namespace_keeps_another_cell_out(spinner, tmp_path):
    node = recorder(spinner, tmp_path / "bag", namespace="left")
    left, right = (spinner.add(Node("speaker", namespace=name)) for name in ("left", "right"))
    mine, other = (speaker.create_publisher(String, "words", RELIABLE) for speaker in (left, right))
    spinner.until(mine.get_subscription_count)
    mine.publish(String(data="1"))
    other.publish(String(data="2"))
    spinner.until(lambda: node.bag.messages)
    bag = finish(spinner, node)
    assert "/left/words" in bag.topics
    assert "/right/words" not in bag.topics
    assert bag.namespace == "/left"


def test_a_recorder_without_a_folder_makes_none(spinner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    node = spinner.add(RecorderNode())
    assert node.bag is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_stops_the_start(spinner, tmp_path):
    with pytest.raises(InputError, match="exists already"):
        recorder(spinner, tmp_path)


def test_a_topic_that_is_no_name_stops_the_start(spinner, tmp_path):
    given = {"folder": str(tmp_path / "new"), "topics": "tip bad!topic"}
    with pytest.raises(InputError, match="bad!topic, which is no topic's name"):
        RecorderNode(parameter_overrides=[Parameter(name, value=value) for name, value in given.items()])
    assert not (tmp_path / "new").exists()


def test_the_tracker_computes_the_same_tips_from_a_recording_and_nobody_draws_for_the_recorder(
    spinner, tmp_path
):
    scene = Scene(spinner)
    tracker = ready(spinner, scene, Heard())
    node = recorder(spinner, tmp_path / "bag")
    said = ("camera/image_raw", "joint_states", "tip")
    spinner.until(lambda: all(scene.node.count_subscribers(topic) for topic in said))
    spinner.until(lambda: len(node._recorder._taken) >= 5)
    scene.play(tracker, 75)
    assert not tracker._debug.get_subscription_count()
    spinner.until(lambda: len(scene.tips) > 20)
    bag = finish(spinner, node)
    assert len(of(bag, "/camera/image_raw")) == 75
    again = []
    second = spinner.add(TrackerOf(again))
    second._lens, second._waits_for_lens = tracker._lens, False
    for message in bag:
        if message.topic == "/joint_states":
            second._on_joint_states(deserialize_message(message.data, JointState))
        elif message.topic == "/camera/image_raw":
            second._on_image(message.data)
    alike = tips_alike(of(bag, "/tip"), again)
    assert alike.recorded == alike.again > 20
    assert alike.apart_p95_m < 1e-9


class TrackerOf(Heard):
    """A tracker that keeps its tips."""

    def __init__(self, tips):
        super().__init__()
        self._tip.publish = lambda message: tips.append(serialize_message(message))
