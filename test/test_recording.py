"""A whole drawing recorded, read by another library, and computed again by tracker and controller without a machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.serialization import serialize_message

from sketch_cell.bringup import CellSettings, NodeSpec, parameter_file
from sketch_cell.commands.replay import Replay
from sketch_cell.ros.bag import Bag

COMMAND = [sys.executable, "-m", "sketch_cell"]
# What another library must find, and of which there is more than one message.
MANY = {
    "/camera/image_raw",
    "/joint_states",
    "/knobs/executed",
    "/knobs/trajectory",
    "/tip",
    "/clock",
    "/job/status",
}
ONCE = {"/line/path", "/picture/image", "/camera/camera_info", "/picture/compressed"}
FIGURES = re.compile(r"(\S+): (\d+) recorded, (\d+) again; apart (\S+) mm, p95 (\S+) mm")


@pytest.fixture(scope="module")
def environment():
    return {**os.environ, "ROS_DOMAIN_ID": str(1 + (os.getpid() + time.monotonic_ns()) % 100)}


@pytest.fixture(scope="module")
def small_cell(tmp_path_factory):
    """The twin's parameters with few cells, lost steps, in real time: a busy computer must see every frame twice."""
    content = yaml.safe_load(parameter_file(CellSettings()).read_text())
    content["/**/line_planner"]["ros__parameters"]["cells"] = 4
    content["/**/twin"]["ros__parameters"]["real_time_factor"] = 1.5
    content["/**/twin"]["ros__parameters"]["camera"]["frame_rate_hz"] = 10.0
    content["/**/twin"]["ros__parameters"]["toy"]["lost_step_probability"] = 0.01
    path = tmp_path_factory.mktemp("parameters") / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory, small_cell, environment):
    """The bag of a whole small drawing."""
    folder = tmp_path_factory.mktemp("recording")
    rows, columns = np.mgrid[0:96, 0:128]
    picture = (127 + 100 * np.sin(columns / 20) * np.cos(rows / 15)).astype(np.uint8)
    cv2.imwrite(str(folder / "waves.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 10])
    arguments = [
        "--output",
        str(folder / "out"),
        "--params-file",
        str(small_cell),
        "--record",
        str(folder / "bag"),
    ]
    run = run_to_end("demo", folder / "waves.jpg", *arguments, environment=environment, timeout=250)
    assert run.returncode == 0, run.stderr
    return folder / "bag"


def run_to_end(*arguments, environment, timeout=120):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


def flat(text):
    """What was told, without the line breaks of a narrow terminal."""
    return " ".join(text.split())


def start_recording(folder, environment, *arguments):
    command = [*COMMAND, "record", "--out", str(folder), *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not folder.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    return process


def test_another_library_finds_the_whole_drawing(recording):
    highlevel = pytest.importorskip("rosbags.highlevel")
    with highlevel.AnyReader([recording]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert all(counts[topic] > 5 for topic in MANY), counts
        assert all(counts[topic] == 1 for topic in ONCE), counts
        assert "/tip/debug" not in counts
        kinds = Counter()
        for connection, _, raw in reader.messages():
            if not connection.msgtype.endswith("Image") or not kinds[connection.topic]:
                reader.deserialize(raw, connection.msgtype)
            kinds[connection.topic] += 1
        assert kinds == Counter({topic: count for topic, count in counts.items() if count})


def computed_again(recording, small_cell, environment, node):
    """The figures that a replay with this node tells: topic -> recorded, again, apart [mm], p95 [mm]; and its words."""
    arguments = ("--with", node, "--params-file", small_cell)
    run = run_to_end("replay", recording, *arguments, environment=environment, timeout=250)
    assert run.returncode == 0, run.stderr
    words = flat(run.stderr)
    return {name: [float(figure) for figure in figures] for name, *figures in FIGURES.findall(words)}, words


def test_the_tracker_computes_it_again(recording, small_cell, environment):
    found, _ = computed_again(recording, small_cell, environment, "tip_tracker")
    recorded, again, apart_mm, _ = found["tip"]
    assert recorded > 20
    assert again > 0.2 * recorded  # images are best effort: a busy computer loses some
    assert apart_mm < 0.1


def test_the_controller_computes_it_again(recording, small_cell, environment):
    found, words = computed_again(recording, small_cell, environment, "drawing_controller")
    recorded, again, apart_mm, _ = found["knobs/trajectory"]
    assert again > 0.5 * recorded > 50
    assert apart_mm < 0.1
    assert "job: done at 100 % recorded, done at 100 % again" in words


class Listener:
    """A player that only counts how often it is told to draw."""

    draws = 0

    def draw(self):
        self.draws += 1


def test_a_line_that_was_recorded_late_is_there_before_it_is_drawn():
    """The recorder finds a topic a moment after its first message, which is latched."""
    replay = Replay(None, [NodeSpec("drawing_controller", "replay")], (), 1.0)
    player, draws = Listener(), []
    for topic, state in [
        ("job/status", "idle"),
        ("job/status", "homing"),
        ("line/path", ""),
        ("tip", ""),
        ("tip", ""),
    ]:
        status = DiagnosticStatus(values=[KeyValue(key="state", value=state)])
        replay._note(player, topic, serialize_message(status))
        draws.append(player.draws)
    assert draws == [0, 0, 0, 1, 1]


def test_what_is_played_is_what_was_recorded_and_in_its_time(recording, environment, tmp_path):
    """Round trip: the recorder hears the player. A second of the bag takes half a second at rate 2."""
    topics = ("/tip", "/knobs/executed", "/line/path")
    only = [word for topic in topics for word in ("--topic", topic)]
    recorder = start_recording(tmp_path / "again", environment, "--namespace", "replay")
    run = run_to_end("replay", recording, *only, "--rate", 2, environment=environment)
    assert run.returncode == 0, run.stderr
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(20) == 0
    assert "messages of" in recorder.stderr.read()
    first, second = Bag(recording), Bag(tmp_path / "again")
    assert second.namespace == "/replay"
    for topic in topics:
        before = [(m.received_ns, m.data) for m in first if m.topic == topic]
        after = [(m.received_ns, m.data) for m in second if m.topic == f"/replay{topic}"]
        # On a busy computer the recorder may come a moment late, and best effort loses some.
        assert len(after) > 0.5 * len(before)
        told = [data for _, data in before]
        places = [told.index(data) for _, data in after]
        assert places == sorted(places)
        spans_ns = [after[-1][0] - after[0][0], before[places[-1]][0] - before[places[0]][0]]
        assert spans_ns[0] >= 0.9 * spans_ns[1] / 2
    assert not {topic for topic in second.topics if not topic.startswith("/replay/")} & MANY


def test_a_killed_recorder_leaves_what_it_had(recording, environment, tmp_path):
    recorder = start_recording(tmp_path / "cut", environment, "--namespace", "replay")
    run = run_to_end("replay", recording, "--topic", "camera/image_raw", "--rate", 4, environment=environment)
    assert run.returncode == 0, run.stderr
    recorder.kill()
    recorder.wait(20)
    recorder.stderr.close()
    bag = Bag(tmp_path / "cut")
    assert bag.cut_off
    assert bag.messages > 20


def test_no_driver_may_hear_a_replay(recording, environment):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
    driver = Node("stepper_driver", namespace="replay", context=context)
    try:
        run = run_to_end("replay", recording, environment=environment)
    finally:
        driver.destroy_node()
        rclpy.try_shutdown(context=context)
    assert run.returncode == 2
    assert "stepper_driver runs in /replay" in flat(run.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "nowhere"], "nowhere does not exist"),
        (["replay", "{recording}", "--namespace", "/"], "namespace is empty"),
        (["record", "--out", "{recording}"], "exists already"),
        (["demo", "--record", "{recording}"], "exists already"),
        (["replay", "{recording}", "--topic", "tpi"], "the recording has no tpi: it has "),
        (["replay", "{recording}", "--namespace", "bad-name"], "namespace bad-name is not one"),
        (["record", "--namespace", "bad-name"], "namespace bad-name is not one"),
        (["replay", "{recording}", "--topic", "tip", "--with", "tip_tracker"], "has no camera/image_raw"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(recording, environment, arguments, words):
    filled = [argument.format(recording=recording) for argument in arguments]
    run = run_to_end(*filled, environment=environment)
    assert run.returncode == 2
    assert words in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert Path(recording).is_dir()
