"""`sketch-cell bringup` as a person uses it: wrong words at once, a real board on a port, a clean end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

from machine_board import BoardThread

from sketch_cell.machine.board import BoardSettings

# config/grbl.yaml's board, as its owner has set it up.
BOARD = BoardSettings(
    max_rate_m_per_s=0.04,
    acceleration_m_per_s2=0.5,
    travel_x_m=0.159,
    travel_y_m=0.113,
    pull_off_m=0.004,
)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.tile(np.linspace(0, 255, 32).astype(np.uint8), (24, 1)))
    return path


@pytest.fixture
def start(tmp_path):
    """Start the command; its output goes to a file that the test reads."""
    running = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sketch_cell",
                "bringup",
                "--log-folder",
                str(tmp_path / "log"),
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=(tmp_path / "said").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def said(tmp_path):
    return (tmp_path / "said").read_text


def wait_for(words, said, process, seconds=120.0):
    end = time.monotonic() + seconds
    while words not in said():
        assert time.monotonic() < end, said()
        assert process.poll() is None, said()
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--machine", "grbl", "--port", "/dev/nowhere", "--loop", "open"],
            "port /dev/nowhere does not exist",
        ),
        (["no.jpg"], "no.jpg cannot be read"),
        (["--draw"], "--draw needs a PHOTO"),
        (["--rviz"], "rviz2 is not installed"),
        (["--params-file", "no.yaml"], "no.yaml does not exist"),
    ],
)
def test_what_cannot_work_is_said_at_once(start, said, arguments, words):
    process = start(*arguments)
    assert process.wait(60) == 2
    assert words in said()
    assert "Traceback" not in said()


def test_a_real_board_is_homed_and_drawn_on_and_held_at_the_end(tmp_path, start, said, photo):
    port = tmp_path / "ttyUSB0"
    with BoardThread(port, BOARD) as board:
        process = start("--machine", "grbl", "--port", str(port), "--loop", "backlash", str(photo))
        wait_for("idle", said, process)
        process.stdin.write("dance\ndraw\n")
        process.stdin.flush()
        wait_for("drawing 0 %", said, process)
        assert "'dance' is not one of" in said()
        nodes = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert b"$H" in board.received
        assert b"!" in board.received, "what moved was held"
    assert not [node for node in nodes if node.is_running() and node.status() != psutil.STATUS_ZOMBIE]
    assert "Traceback" not in said()


def test_a_board_that_is_set_wrongly_stops_the_cell_with_its_reason(tmp_path, start, said, photo):
    port = tmp_path / "ttyUSB0"
    with BoardThread(port, BOARD, configured=False):
        process = start("--machine", "grbl", "--port", str(port), "--loop", "open", str(photo))
        assert process.wait(120) == 1
    assert "stepper_driver could not be configured" in said()
    assert port.name in said()
