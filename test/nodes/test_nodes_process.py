"""A node's process ends without a word on Ctrl-C, even amid a callback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("by_events", [True, False])
def test_ctrl_c_amid_a_callback_is_no_fatal_error(by_events):
    command = [sys.executable, "-c", BUSY.format(by_events=by_events)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert told == "let go\n"
