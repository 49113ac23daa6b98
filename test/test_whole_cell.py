"""The whole cell as processes over DDS: a photo becomes a finished drawing, and every way to end is clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import yaml

from sketch_cell.bringup import CellSettings, parameter_file

COMMAND = [sys.executable, "-m", "sketch_cell"]
OUTPUTS = {
    "repaired.png",
    "plan.svg",
    "plan.nc",
    "preview.png",
    "drawn.png",
    "compare.png",
    "deviation.png",
    "report.json",
}


@pytest.fixture
def environment():
    # A domain of its own, so that tests side by side do not hear each other.
    return {**os.environ, "ROS_DOMAIN_ID": str(1 + (os.getpid() + time.monotonic_ns()) % 100)}


@pytest.fixture
def photo(tmp_path):
    rows, columns = np.mgrid[0:96, 0:128]
    picture = (127 + 100 * np.sin(columns / 20) * np.cos(rows / 15)).astype(np.uint8)
    path = tmp_path / "waves.jpg"
    cv2.imwrite(str(path), cv2.merge([picture] * 3), [cv2.IMWRITE_JPEG_QUALITY, 10])
    return path


@pytest.fixture
def small_cell(tmp_path):
    """The twin's parameters with few cells and a slower clock, for a short job on a busy computer."""
    content = yaml.safe_load(parameter_file(CellSettings()).read_text())
    content["/**/line_planner"]["ros__parameters"]["cells"] = 6
    content["/**/twin"]["ros__parameters"]["real_time_factor"] = 3.0
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def processes_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_a_photo_becomes_a_drawing_that_is_true(photo, small_cell, environment, tmp_path):
    run = subprocess.run(
        [*COMMAND, "demo", str(photo), "--output", str(tmp_path / "out"), "--params-file", str(small_cell)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "out" / "waves"
    assert {path.name for path in folder.iterdir() if path.is_file()} == OUTPUTS
    report = json.loads((folder / "report.json").read_text())
    assert report["parameters"] == 57_987
    assert report["loop"] == "closed"
    assert report["deviation_rms_mm"] < 0.35
    assert report["tip_rate_hz"] > 1
    drawn = cv2.imread(str(folder / "drawn.png"), cv2.IMREAD_GRAYSCALE)
    assert 0.02 < np.mean(drawn < 128) < 0.6


def test_ctrl_c_while_drawing_ends_everything_within_three_seconds(photo, small_cell, environment, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "demo", str(photo), "--output", str(tmp_path / "out"), "--params-file", str(small_cell)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("drawing"):
            break
    nodes = processes_of(process.pid)
    assert len(nodes) >= 7
    begin_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert time.monotonic() - begin_s < 3.0
    assert process.returncode == 130
    assert not any(node.is_running() and node.status() != psutil.STATUS_ZOMBIE for node in nodes)
    assert not [
        path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.parent.name != "log"
    ]


def test_a_node_that_dies_ends_the_demo_by_name(photo, small_cell, environment, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "demo", str(photo), "--output", str(tmp_path / "out"), "--params-file", str(small_cell)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(("planning", "starting")):
            break
    (victim,) = [
        node for node in processes_of(process.pid) if "nodes.stepper_driver" in " ".join(node.cmdline())
    ]
    victim.kill()
    rest = process.stderr.read()
    assert process.wait(20) == 1
    assert "node stepper_driver ended" in rest


def big_picture(path: Path) -> None:
    """A PNG that says it has 144 megapixels."""
    cv2.imwrite(str(path), np.zeros((12_000, 12_000), np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def make_missing(path: Path) -> None:
    """Nothing."""


def make_text(path: Path) -> None:
    path.write_text("this is no picture")


def make_truncated(path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes()[:-300])


def make_tiny(path: Path) -> None:
    cv2.imwrite(str(path), np.zeros((7, 7, 3), np.uint8))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_missing, "No such file"),
        (make_text, "not a photo"),
        (make_truncated, "truncated"),
        (make_tiny, "8 x 8"),
        (big_picture, "megapixels"),
    ],
)
def test_bad_photos_end_at_once_with_one_sentence(make, words, tmp_path, environment):
    path = tmp_path / "bad.png"
    make(path)
    run = subprocess.run(
        [*COMMAND, "demo", str(path), "--output", str(tmp_path / "out")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert words in run.stderr
    assert "bad.png" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written_is_named(photo, tmp_path, environment):
    (tmp_path / "file").write_text("")
    run = subprocess.run(
        [*COMMAND, "demo", str(photo), "--output", str(tmp_path / "file")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert "cannot be written" in run.stderr
