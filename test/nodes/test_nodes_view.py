"""view as a real node: messages become the viewer's entities, and a browser without a network shows them."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

pytest.importorskip("rerun")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import CHROMIUM, Browser

from sketch_cell.bringup import view_url
from sketch_cell.errors import InputError
from sketch_cell.nodes.view import ViewNode
from sketch_cell.ros.diagnostics import status_message
from sketch_cell.ros.drawing_markers import GLASS_M, PIECE, DrawingMarkers
from sketch_cell.ros.marker_messages import MarkerParts, marker_array_from_bytes
from sketch_cell.ros.messages import image_bytes
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.ros.view_entities import (
    FORGET,
    coloured_runs,
    drawing_entities,
    job_entities,
    picture_entity,
    view_mm,
)
from sketch_cell.ros.view_server import ViewServer


def waves(points: int) -> np.ndarray:
    """A line over the whole glass."""
    x = np.linspace(0.01, GLASS_M[0] - 0.01, points)
    return np.column_stack([x, GLASS_M[1] / 2 + 0.03 * np.sin(x * 300)])


def drawn(points: int) -> list[MarkerParts]:
    markers = DrawingMarkers()
    markers.plan(waves(500))
    for k, place in enumerate(waves(points)):
        markers.drawn(place, 4e-4 * (k % 500 > 250))
    return marker_array_from_bytes(markers.take(0, everything=True))


def test_y_is_turned_over_and_metres_are_millimetres():
    assert view_mm([[0.0, 0.0], [0.01, GLASS_M[1]]]).tolist() == [[0.0, 107.0], [10.0, 0.0]]


def test_a_drawing_becomes_outline_plan_line_deviation_and_tip():
    found = {path: (shape, final) for path, shape, final in drawing_entities(drawn(PIECE + 500))}
    assert found.pop(FORGET) == (None, False)
    pieces = {f"drawing/{name}/{k}" for name in ("drawn", "deviation") for k in (0, 1)}
    assert set(found) == {"drawing/outline/0", "drawing/planned/0", "drawing/tip/0", *pieces}
    assert {path for path, (_, final) in found.items() if final} == {
        "drawing/outline/0",
        "drawing/planned/0",
        "drawing/drawn/0",
        "drawing/deviation/0",
    }


def test_runs_of_a_colour_cover_the_line_without_gaps():
    points = waves(50)
    colours = np.zeros((50, 4), np.float32)
    colours[20:, 0] = 1.0
    runs, rgba = coloured_runs(points, colours)
    assert rgba == [[0, 0, 0, 0], [255, 0, 0, 0]]
    assert np.array_equal(np.vstack([runs[0], runs[1][1:]]), points)
    assert np.array_equal(runs[0][-1], runs[1][0])


def test_the_words_of_a_job():
    values = {"state": "drawing", "progress": "0.25", "time_left_s": "12.4", "deviation_mm": "0.31"}
    words, deviation = job_entities("drawing", values)
    assert words[1].text.as_arrow_array().to_pylist() == ["**drawing**, 25 %\n\n12 s left"]
    assert deviation[0] == "figures/deviation_mm"
    assert deviation[1].scalars.as_arrow_array().to_pylist() == [0.31]
    (failed,) = job_entities("the board is gone", {"state": "failed", "time_left_s": "nan"})
    assert failed[1].text.as_arrow_array().to_pylist() == ["**failed**, 0 %: the board is gone"]


def test_pictures_keep_their_colours():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    _, shape, _ = picture_entity("camera", red)
    data = np.array(shape.blob.as_arrow_array().to_pylist()[0], np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR)[8, 8, 2] > 240


@pytest.fixture
def ports():
    """Two ports, of this run alone, and below those that the system gives to whoever connects."""
    return 12_000 + os.getpid() % 10_000, 22_000 + os.getpid() % 10_000


def view(spinner, ports) -> ViewNode:
    settings = {"port": ports[0], "stream_port": ports[1], "rate_hz": 5.0}
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    return spinner.add(ViewNode(parameter_overrides=overrides))


def test_a_port_in_use_is_said_in_one_sentence(spinner, ports):
    with socket.socket() as taken:
        taken.bind(("", ports[0]))
        taken.listen()
        node = view(spinner, ports)
        with pytest.raises(InputError, match=f"port {ports[0]}"):
            node._show()


def answers(address, port) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1.0):
            return True
    except OSError:
        return False


def test_it_listens_to_this_computer_alone_until_it_is_closed(ports):
    server = ViewServer("127.0.0.1", *ports, memory_mb=50)
    try:
        for port in ports:
            assert answers("127.0.0.1", port)
            # One that listens on every address would answer here, too.
            assert not answers("127.0.0.2", port)
    finally:
        server.close()
    assert not any(answers("127.0.0.1", port) for port in ports)


def test_closing_waits_for_a_server_that_ends_later_than_its_start_up_script(ports):
    server = ViewServer("127.0.0.1", *ports, memory_mb=50)
    (process,) = psutil.Process(server._process.pid).children()
    # A stopped process gets SIGTERM only when it goes on.
    process.suspend()
    threading.Timer(0.5, process.resume).start()
    server.close()
    assert not any(answers("127.0.0.1", port) for port in ports)


def test_ctrl_c_while_it_starts_leaves_no_server(ports, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewServer, "_wait", interrupted)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(KeyboardInterrupt):
        ViewServer("127.0.0.1", *ports, memory_mb=50)
    assert set(psutil.Process().children(recursive=True)) <= before


class Cell:
    """What the nodes of a cell say that the view shows: 15 seconds of a drawing, and all of it once more at its end.

    Then it is silent, so that a browser without graphics hardware, which lags by seconds, comes to rest too.
    """

    def __init__(self, spinner):
        node = spinner.add(Node("cell"))
        self.markers = node.create_publisher(MarkerArray, "drawn/markers", RELIABLE)
        self.camera = node.create_publisher(Image, "camera/image_raw", SENSOR)
        self.status = node.create_publisher(DiagnosticStatus, "job/status", LATCHED)
        self._drawing = DrawingMarkers()
        self._drawing.plan(waves(500))
        self._line = iter(enumerate(waves(3000)))
        self._timer = node.create_timer(0.2, self.say)

    def say(self):
        piece = list(itertools.islice(self._line, 40))
        for k, place in piece:
            self._drawing.drawn(place, 6e-4 * (k % 400 > 200))
        self.markers.publish(self._drawing.take(0, everything=not piece))
        if not piece:
            self._timer.cancel()
        grey = np.full((480, 640), 160, np.uint8)
        cv2.putText(grey, "camera", (120, 260), cv2.FONT_HERSHEY_SIMPLEX, 3.0, 30, 8)
        self.camera.publish(image_bytes(grey, 0, "camera"))
        values = {
            "state": "drawing",
            "progress": "0.5",
            "deviation_mm": f"{0.2 + 0.1 * np.sin(time.time()):.3f}",
        }
        self.status.publish(status_message(DiagnosticStatus.OK, "drawing", "drawing", values))


def share_of(picture, bgr) -> float:
    return float(np.mean(np.abs(picture.astype(int) - bgr).max(axis=2) < 40))


def shows_all(picture) -> bool:
    """Red outline, blue plan, green and red deviation in the drawing on the left; the camera's grey on the right."""
    drawing, side = picture[:, : int(0.58 * picture.shape[1])], picture[:, int(0.62 * picture.shape[1]) :]
    return (
        share_of(drawing, (26, 26, 204)) > 0.005
        and share_of(drawing, (26, 255, 0)) + share_of(drawing, (26, 223, 32)) > 0.0005
        and share_of(side, (160, 160, 160)) > 0.05
    )


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_without_a_network_shows_the_drawing(spinner, ports, tmp_path):
    view(spinner, ports)
    Cell(spinner)
    seen: list[np.ndarray] = []
    failed: list[BaseException] = []

    def look():
        browser = Browser(tmp_path / "profile")
        try:
            browser.open(view_url("127.0.0.1", *ports))
            while not (seen and shows_all(seen[-1])) and not failed:
                time.sleep(3.0)
                data = np.frombuffer(browser.screenshot(), np.uint8)
                seen.append(cv2.imdecode(data, cv2.IMREAD_COLOR))
                cv2.imwrite(str(tmp_path / "view.png"), seen[-1])
        except BaseException as error:
            failed.append(error)
        finally:
            browser.close()

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        spinner.until(lambda: not watcher.is_alive(), 270.0)
    finally:
        failed.append(TimeoutError("it was not seen in time"))
        watcher.join(130)
    assert failed[0].args == ("it was not seen in time",), failed[0]
    assert shows_all(seen[-1])


def test_a_sphere_is_where_the_tip_is():
    tip = MarkerParts("screen", "tip", 0, Marker.SPHERE, pose=(0.01, 0.02, 0, 0, 0, 0, 1))
    ((path, shape, final),) = drawing_entities([tip])
    assert (path, final) == ("drawing/tip/0", False)
    assert shape.positions.as_arrow_array().to_pylist() == [pytest.approx([10.0, 87.0])]
