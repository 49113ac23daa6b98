"""Planner on one host, cell on another, over real DDS: on a clean link, and with 2 % loss and 20 ms delay."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from two_hosts import TwoHosts, possible

from sketch_cell.bringup import CellSettings, cell_nodes, share_folder

pytestmark = [
    pytest.mark.skipif(not possible(), reason="needs the right to make network namespaces"),
    pytest.mark.timeout(400),
]

PLANNER, CELL = 0, 1
# What a client in the cell sees and asks for, until the drawing is done.
PERSON = """
import time
from sketch_cell.ros.observer import CellObserver
cell = CellObserver()
end = time.monotonic() + 240
def until(reached):
    while not reached():
        assert time.monotonic() < end, cell.status
        cell.spin(0.1)
until(lambda: cell.status.get("state") == "idle" and cell.plan_m is not None)
print("planned", len(cell.plan_m), flush=True)
answer = cell.ask("drawing_controller/draw")
until(lambda: answer() is not None)
until(lambda: float(cell.status["progress"]) > 0.1 or cell.status["state"] in ("done", "failed", "paused"))
print(cell.status["state"], cell.status["message"], flush=True)
cell.close()
"""
NEIGHBOURS = """
import sys, time, rclpy
rclpy.init()
node = rclpy.create_node("looker")
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and "line_planner" not in node.get_node_names():
    rclpy.spin_once(node, timeout_sec=0.1)
print(*node.get_node_names())
"""


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    ramp = np.tile(np.linspace(0, 255, 320).astype(np.uint8)[None, :, None], (240, 1, 3))
    cv2.imwrite(str(path), ramp, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return path


@pytest.fixture
def parameters(tmp_path):
    """The twin's own, for a small drawing."""
    text = (share_folder() / "config" / "twin.yaml").read_text()
    path = tmp_path / "small.yaml"
    path.write_text(text.replace("cells: 40", "cells: 12"))
    return path


def node_command(spec, parameters):
    command = [sys.executable, "-m", f"sketch_cell.nodes.{spec.name}", "--ros-args"]
    for name, value in spec.parameters.items():
        command += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
    return [*command, "--params-file", str(parameters)]


@pytest.mark.parametrize(("loss", "delay_s"), [(0.0, 0.0), (0.02, 0.02)], ids=["clean", "lossy"])
def test_a_photo_planned_on_one_host_is_drawn_on_another(tmp_path, photo, parameters, loss, delay_s):
    environment = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    if loss:
        profile = str(share_folder() / "config" / "lossy_link.xml")
        environment |= {"FASTDDS_DEFAULT_PROFILES_FILE": profile, "FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    specs = cell_nodes(CellSettings(photo=str(photo), loop="backlash"), work_folder=tmp_path)
    with TwoHosts(loss, delay_s) as hosts:
        for spec in specs:
            host = PLANNER if spec.group == "planning" else CELL
            hosts.start(host, node_command(spec, parameters), tmp_path / f"{spec.name}.log", **environment)
        person = hosts.start(CELL, [sys.executable, "-c", PERSON], tmp_path / "person.log", **environment)
        person.wait(300)
    told = (tmp_path / "person.log").read_text()
    assert told.splitlines()[-1].startswith(("drawing", "done")), told
    assert hosts.packets > 500, "the line went over the link"
    assert bool(hosts.dropped) == bool(loss)


def test_a_cell_is_not_found_from_another_host_unless_asked_for(tmp_path, photo, parameters):
    (planner,) = (
        spec
        for spec in cell_nodes(CellSettings(photo=str(photo)), work_folder=tmp_path)
        if spec.name == "line_planner"
    )
    seen = {}
    with TwoHosts(0.0, 0.0) as hosts:
        for discovery in ("LOCALHOST", "SUBNET"):
            own = {"ROS_AUTOMATIC_DISCOVERY_RANGE": discovery}
            node = hosts.start(PLANNER, node_command(planner, parameters), tmp_path / "planner.log", **own)
            look = [sys.executable, "-c", NEIGHBOURS, "8" if discovery == "LOCALHOST" else "60"]
            log = tmp_path / f"{discovery}.log"
            hosts.start(CELL, look, log, ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET").wait(90)
            node.terminate()
            node.wait(30)
            seen[discovery] = log.read_text()
    assert "line_planner" not in seen["LOCALHOST"]
    assert "line_planner" in seen["SUBNET"]
