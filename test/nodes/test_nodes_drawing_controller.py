"""The controller's node, in its own domain, with a driver that only knows topics and services."""

from __future__ import annotations

import time
from pathlib import Path as FilePath

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import MarkerArray

from sketch_cell.machine.knobs import knobs_from_screen, screen_from_knobs
from sketch_cell.nodes.drawing_controller import DrawingControllerNode
from sketch_cell.ros.messages import path_bytes
from sketch_cell.ros.qos import LATCHED, RELIABLE

SPEEDUP = 8.0
HOME_M = np.array([-0.002, -0.002])
LINE_M = np.array([[0.01, 0.01], [0.03, 0.012], [0.03, 0.03], [0.012, 0.03]])


class Driver(Node):
    """Homes in a moment and moves along every waypoint at its time, `SPEEDUP` times faster than real."""

    def __init__(self) -> None:
        super().__init__("stepper_driver")
        self.times, self.points = [0.0], [HOME_M]
        self.asked: list[str] = []
        self.keepalives = 0
        self.moving, self.refusing, self.done_s, self.say_later = False, "", 0.0, 0.0
        self.homes_at_once = False
        self.clock_s = 0.0  # how far the clock of the stamps was set
        self.state = self.create_publisher(DiagnosticStatus, "stepper_driver/state", LATCHED)
        self.executed = self.create_publisher(JointTrajectory, "knobs/executed", RELIABLE)
        self.create_subscription(JointTrajectory, "knobs/trajectory", self.take, RELIABLE)
        for name in ("home", "hold", "resume", "stop"):
            self.create_service(
                Trigger, f"stepper_driver/{name}", lambda _, a, name=name: self.answer(name, a)
            )
        self.create_timer(0.01, self.tick)
        self.say("unhomed")

    def say(self, state: str) -> None:
        self.state.publish(DiagnosticStatus(name="stepper_driver", message=state))

    def answer(self, name: str, answer: Trigger.Response) -> Trigger.Response:
        self.asked.append(name)
        answer.success, answer.message = not self.refusing, self.refusing
        if self.refusing:
            return answer
        self.moving = name in ("home", "resume")
        if name == "home":
            self.say("homing")
            self.say_later = time.monotonic() + 0.2
            if self.homes_at_once:
                self.say_later = 0.0
                self.say("idle")
        return answer

    def take(self, message: JointTrajectory) -> None:
        self.keepalives += not message.points
        for point in message.points:
            self.times.append(point.time_from_start.sec + point.time_from_start.nanosec * 1e-9)
            self.points.append(screen_from_knobs(point.positions))

    def tick(self) -> None:
        if self.say_later and time.monotonic() > self.say_later:
            self.say_later = 0.0
            self.say("idle")
        if self.moving and not self.say_later:
            self.done_s = min(self.done_s + 0.01 * SPEEDUP, self.times[-1])
        place = [np.interp(self.done_s, self.times, np.array(self.points)[:, a]) for a in (0, 1)]
        point = JointTrajectoryPoint(positions=knobs_from_screen(place).tolist())
        point.time_from_start.sec = int(self.done_s)
        point.time_from_start.nanosec = int(self.done_s % 1 * 1e9)
        message = JointTrajectory(points=[point])
        message.header.stamp = Time(nanoseconds=time.monotonic_ns() + round(self.clock_s * 1e9)).to_msg()
        self.executed.publish(message)


class Cell:
    """Controller, driver and a client in one process."""

    def __init__(self, spinner, loop: str = "open") -> None:
        self.driver, self.controller = spinner.add(Driver()), spinner.add(DrawingControllerNode())
        self.controller.set_parameters([Parameter("loop", value=loop)])
        self.client, self.until = spinner.add(Node("client")), spinner.until
        self.status: list[DiagnosticStatus] = []
        self.client.create_subscription(DiagnosticStatus, "job/status", self.status.append, LATCHED)
        self.line = self.client.create_publisher(Path, "line/path", LATCHED)

    def ask(self, name: str) -> Trigger.Response:
        client = self.client.create_client(Trigger, f"drawing_controller/{name}")
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result()

    def state(self) -> str:
        values = {pair.key: pair.value for pair in self.status[-1].values} if self.status else {}
        return values.get("state", "")

    def ready(self) -> None:
        self.line.publish(path_bytes(LINE_M, 0, "screen"))
        self.until(lambda: self.state() == "idle")


@pytest.fixture
def cell(spinner) -> Cell:
    return Cell(spinner)


def test_it_homes_draws_the_whole_line_and_says_so(cell: Cell) -> None:
    markers: list[MarkerArray] = []
    cell.client.create_subscription(MarkerArray, "drawn/markers", markers.append, RELIABLE)
    cell.ready()

    def shown() -> set[str]:
        return {marker.ns for array in markers for marker in array.markers}

    cell.until(lambda: {"outline", "planned"} <= shown())
    assert cell.ask("draw").success
    cell.until(lambda: cell.state() == "done")
    assert cell.driver.asked == ["home"]
    drawn = np.array(cell.driver.points)
    for vertex in LINE_M:
        assert np.hypot(*(drawn - vertex).T).min() < 1e-6
    values = {pair.key: pair.value for pair in cell.status[-1].values}
    assert float(values["progress"]) == 1.0
    assert float(values["planned_s"]) > 1.0
    cell.until(lambda: {"drawn", "tip"} <= shown())


def test_homing_that_is_over_at_once_is_not_missed(cell: Cell) -> None:
    cell.driver.homes_at_once = True
    cell.ready()
    assert cell.ask("draw").success
    cell.until(lambda: cell.state() == "drawing")


def test_a_clock_set_forward_does_not_end_homing(cell: Cell) -> None:
    cell.ready()
    assert cell.ask("draw").success
    cell.until(lambda: cell.state() == "homing")
    cell.driver.clock_s, cell.driver.say_later = 3600.0, time.monotonic() + 1.0
    cell.until(lambda: cell.state() != "homing")
    assert cell.state() == "drawing"


def test_pause_holds_the_driver_and_resume_goes_on(cell: Cell) -> None:
    cell.ready()
    cell.ask("draw")
    cell.until(lambda: cell.state() == "drawing")
    cell.until(lambda: cell.driver.done_s > 0.5)
    assert cell.ask("pause").success
    cell.until(lambda: "hold" in cell.driver.asked and cell.state() == "paused")
    assert not cell.ask("pause").success
    assert cell.ask("resume").success
    cell.until(lambda: cell.state() == "done")


def test_a_refusal_comes_with_its_reason(cell: Cell) -> None:
    refused = cell.ask("draw")
    assert not refused.success
    assert "no line" in refused.message
    cell.ready()
    assert "only a paused job" in cell.ask("resume").message
    cell.driver.refusing = "the emergency stop is pressed"
    assert cell.ask("draw").success
    cell.until(lambda: cell.state() == "failed")
    assert "emergency stop" in cell.status[-1].message


def test_abort_stops_the_driver(cell: Cell) -> None:
    cell.ready()
    cell.ask("draw")
    cell.until(lambda: cell.state() == "drawing")
    assert cell.ask("abort").success
    cell.until(lambda: cell.state() == "failed" and "stop" in cell.driver.asked)


def test_the_driver_hears_of_the_controller_while_the_board_works_off_its_queue(cell: Cell) -> None:
    cell.ready()
    cell.ask("draw")
    cell.until(lambda: cell.state() == "done")
    assert cell.driver.keepalives > 1


def pause_with_journal(cell: Cell, journal: FilePath) -> None:
    cell.controller.set_parameters([Parameter("journal", value=str(journal))])
    cell.ready()
    cell.ask("draw")
    cell.until(lambda: cell.driver.done_s > 0.3)
    cell.ask("pause")
    cell.until(journal.exists)


def test_a_job_that_failed_goes_on_from_the_journal(cell: Cell, tmp_path) -> None:
    pause_with_journal(cell, tmp_path / "journal.json")
    cell.ask("abort")
    cell.until(lambda: cell.state() == "failed")
    cell.driver.say("unhomed")
    cell.driver.times, cell.driver.points, cell.driver.done_s = [0.0], cell.driver.points[-1:], 0.0
    assert cell.ask("resume").success
    cell.until(lambda: cell.state() == "done")
    assert cell.driver.asked.count("home") == 2
    assert np.hypot(*(np.array(cell.driver.points) - LINE_M[-1]).T).min() < 1e-6


def test_another_controller_goes_on_from_the_journal(spinner, tmp_path) -> None:
    journal, cell = tmp_path / "journal.json", Cell(spinner)
    pause_with_journal(cell, journal)
    cell.controller.destroy_node()

    second = spinner.add(DrawingControllerNode())
    second.set_parameters([Parameter("journal", value=str(journal)), Parameter("loop", value="open")])
    cell.status.clear()
    cell.until(lambda: cell.state() == "idle")
    cell.driver.say("idle")
    cell.driver.moving, cell.driver.times, cell.driver.points = True, [0.0], cell.driver.points[-1:]
    cell.driver.done_s = 0.0
    assert cell.ask("resume").success
    cell.until(lambda: cell.state() == "done")
    assert cell.driver.asked.count("home") == 1
    assert np.hypot(*(np.array(cell.driver.points) - LINE_M[-1]).T).min() < 1e-6
    cell.until(lambda: not journal.exists())


def test_messages_without_content_change_nothing(cell: Cell) -> None:
    cell.ready()
    assert cell.ask("draw").success
    cell.until(lambda: cell.state() == "drawing")
    empty = JointTrajectory()
    cell.controller._on_executed(empty)
    empty.points = [JointTrajectoryPoint()]
    cell.controller._on_executed(empty)
    cell.until(lambda: cell.state() == "done")
