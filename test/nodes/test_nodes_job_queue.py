"""job_queue as a real node between a folder, a planner and a controller that only say what the real ones say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from sketch_cell.nodes.job_queue import JobQueueNode
from sketch_cell.ros.diagnostics import status_message
from sketch_cell.ros.messages import path_bytes
from sketch_cell.ros.qos import LATCHED


class RestOfTheCell(Node):
    """Plans at once, draws when told, and is done when `finish` is called."""

    def __init__(self) -> None:
        super().__init__("rest")
        self.photos: list[str] = []
        self.draws = 0
        self.shake: list[bool] = []
        self.told: list[str] = []
        self._path = self.create_publisher(Path, "line/path", LATCHED)
        self._job = self.create_publisher(DiagnosticStatus, "job/status", LATCHED)
        self.create_subscription(CompressedImage, "picture/compressed", self._plan, LATCHED)
        self.create_subscription(Bool, "shake_needed", lambda m: self.shake.append(m.data), LATCHED)
        self.create_subscription(
            DiagnosticStatus, "job_queue/status", lambda m: self.told.append(m.message), LATCHED
        )
        self.create_service(Trigger, "drawing_controller/draw", self._draw)

    def _plan(self, message: CompressedImage) -> None:
        self.photos.append(message.header.frame_id.rsplit("/", 1)[-1])
        stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        self._path.publish(path_bytes(np.zeros((2, 2)), stamp_ns, "screen"))
        self.say("idle")

    def _draw(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.draws += 1
        self.say("homing")
        response.success = True
        return response

    def say(self, state: str) -> None:
        self._job.publish(status_message(DiagnosticStatus.OK, "drawing", state, {"state": state}))


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), 200, np.uint8))
    return tmp_path


@pytest.fixture
def ask(spinner):
    client = spinner.add(Node("person"))

    def ask(name: str) -> Trigger.Response:
        service = client.create_client(Trigger, f"job_queue/{name}")
        spinner.until(service.service_is_ready)
        future = service.call_async(Trigger.Request())
        spinner.until(future.done)
        return future.result()

    return ask


def test_two_photos_are_drawn_with_a_person_in_between(spinner, folder, ask):
    cell = spinner.add(RestOfTheCell())
    overrides = [Parameter("photo", value=str(folder)), Parameter("period_s", value=0.05)]
    spinner.add(JobQueueNode(parameter_overrides=overrides))
    spinner.until(lambda: any("a.png: waiting" in words for words in cell.told))
    assert cell.draws == 0
    assert ask("confirm").success
    spinner.until(lambda: cell.draws == 1 and cell.shake[-1])
    assert not ask("confirm").success
    cell.say("done")
    spinner.until(lambda: "b.png: waiting for a person: shake the toy" in cell.told[-1])
    assert cell.photos == ["a.png", "b.png"]
    assert cell.draws == 1
    assert ask("confirm").success
    spinner.until(lambda: cell.draws == 2)
    cell.say("done")
    spinner.until(lambda: cell.told[-1] == "empty")
    assert cell.shake[-1], "there is a drawing on the glass"


def test_a_photo_that_vanished_is_said_and_left_out(spinner, folder, ask):
    cell = spinner.add(RestOfTheCell())
    overrides = [Parameter("photo", value=str(folder)), Parameter("period_s", value=0.05)]
    node = spinner.add(JobQueueNode(parameter_overrides=overrides))
    spinner.until(lambda: len(node._queue.waiting) == 1 and cell.photos == ["a.png"])
    (folder / "b.png").unlink()
    assert ask("skip").success
    spinner.until(lambda: "b.png" in cell.told[-1] and cell.told[-1].startswith("empty"))
    assert cell.photos == ["a.png"]
