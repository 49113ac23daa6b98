"""A node's process ends without a word on Ctrl-C, even amid a callback, and spoils nothing that it writes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sketch_cell.ros.bag import Bag

BUSY = """
import sys
import time

from rclpy.node import Node

from sketch_cell.ros.process import run


class Busy(Node):
    def __init__(self):
        super().__init__("busy")
        self.create_timer(0.01, self.work)

    def work(self):
        print("at work", flush=True)
        while True:
            time.sleep(0.01)

    def destroy_node(self):
        print("let go", file=sys.stderr, flush=True)
        super().destroy_node()


run(Busy, by_events={by_events})
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("by_events", [True, False])
def test_an_end_amid_a_callback_is_no_fatal_error(by_events, ending):
    command = [sys.executable, "-c", BUSY.format(by_events=by_events)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "at work\n"
        process.send_signal(ending)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert told == "let go\n"


RECORDING = """
import os
import signal
import sys

from mcap.data_stream import RecordBuilder
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from std_msgs.msg import String

from sketch_cell.nodes.recorder import RecorderNode
from sketch_cell.ros.process import run

finish_record = RecordBuilder.finish_record
records = 0


def interrupted_amid_the_hundredth(self):
    global records
    records += 1
    if records == 100:
        os.kill(os.getpid(), signal.SIGINT)
    finish_record(self)


RecordBuilder.finish_record = interrupted_amid_the_hundredth


class Speaking(RecorderNode):
    def __init__(self):
        super().__init__(parameter_overrides=[Parameter("folder", value=sys.argv[1])])
        self.words = self.create_publisher(String, "words", 150)
        self.create_timer(0.01, self.speak, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def speak(self):
        if self.words.get_subscription_count():
            for _ in range(150):
                self.words.publish(String(data="word"))


run(Speaking, by_events=False)
"""


def test_ctrl_c_amid_a_record_spoils_no_recording(tmp_path):
    command = [sys.executable, "-c", RECORDING, str(tmp_path / "bag")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    bag = Bag(tmp_path / "bag")
    assert not bag.cut_off
    assert len(list(bag)) == bag.messages > 140
    assert f"{bag.messages} messages" in done.stderr
