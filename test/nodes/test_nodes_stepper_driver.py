"""The real node in this process, on a real pseudo-terminal with the firmware twin behind it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from machine_board import BoardThread
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sketch_cell.machine.knobs import knobs_from_screen
from sketch_cell.nodes.stepper_driver import StepperDriverNode
from sketch_cell.nodes.stepper_messages import JOINTS
from sketch_cell.ros.qos import LATCHED, RELIABLE


class Cell:
    """The driver node and one that talks to it, on one executor."""

    def __init__(self, port: str) -> None:
        rclpy.init(args=["--ros-args", "-p", f"port:={port}"])
        self.driver = StepperDriverNode()
        self.user = Node("user")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.driver)
        self.executor.add_node(self.user)
        self.state = ""
        self.joints: list[JointState] = []
        self.executed: list[JointTrajectory] = []
        listen = self.user.create_subscription
        listen(DiagnosticStatus, "stepper_driver/state", self._on_state, LATCHED)
        listen(JointState, "joint_states", self.joints.append, RELIABLE)
        listen(JointTrajectory, "knobs/executed", self.executed.append, RELIABLE)
        self.trajectory = self.user.create_publisher(JointTrajectory, "knobs/trajectory", RELIABLE)
        self.emergency = self.user.create_publisher(Bool, "emergency_stop", RELIABLE)

    def _on_state(self, message: DiagnosticStatus) -> None:
        self.state = message.message

    def until(self, done: Callable[[], bool], limit_s: float = 20.0, beat: bool = False) -> None:
        end = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < end, self.state
            self.executor.spin_once(timeout_sec=0.02)
            if beat:
                self.trajectory.publish(JointTrajectory())

    def call(self, name: str) -> Trigger.Response:
        client = self.user.create_client(Trigger, f"stepper_driver/{name}")
        assert client.wait_for_service(5.0)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result()

    def move(self, time_s: float, x_m: float, y_m: float) -> None:
        point = JointTrajectoryPoint(positions=knobs_from_screen([x_m, y_m]).tolist())
        point.time_from_start.sec, point.time_from_start.nanosec = int(time_s), int(time_s % 1 * 1e9)
        self.trajectory.publish(JointTrajectory(joint_names=JOINTS, points=[point]))

    def executed_s(self) -> float:
        """How far along the timeline the driver says it is; 0 before it says anything."""
        if not self.executed:
            return 0.0
        along = self.executed[-1].points[0].time_from_start
        return float(along.sec + along.nanosec * 1e-9)

    def close(self) -> None:
        self.executor.shutdown()
        self.driver.destroy_node()
        self.user.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[BoardThread]:
    with BoardThread(tmp_path / "board") as thread:
        yield thread


@pytest.fixture
def cell(board: BoardThread) -> Iterator[Cell]:
    cell = Cell(board.port)
    yield cell
    cell.close()


def test_homes_moves_and_tells_where_it_is(cell: Cell, board: BoardThread) -> None:
    cell.until(lambda: cell.state == "unhomed")
    assert cell.call("home").success
    cell.until(lambda: cell.state == "idle")
    cell.move(0.5, 0.012, 0.008)
    cell.until(lambda: cell.state == "running", beat=True)
    cell.until(lambda: cell.state == "idle", beat=True)
    cell.until(lambda: cell.executed_s() == pytest.approx(0.5))
    cell.until(lambda: np.allclose(cell.joints[-1].position, knobs_from_screen([0.012, 0.008]), atol=0.005))


def test_unhomed_moves_are_refused(cell: Cell, board: BoardThread) -> None:
    cell.until(lambda: cell.state == "unhomed")
    cell.move(0.5, 0.012, 0.008)
    answer = cell.call("hold")
    assert not answer.success
    assert "home the machine" in answer.message
    assert b"G1" not in board.received


def test_emergency_stop_reaches_the_wire_at_once_and_latches(cell: Cell, board: BoardThread) -> None:
    cell.until(lambda: cell.state == "unhomed")
    cell.call("home")
    cell.until(lambda: cell.state == "idle")
    cell.move(3.0, 0.060, 0.050)
    cell.until(lambda: cell.state == "running", beat=True)
    asked = time.monotonic()
    cell.emergency.publish(Bool(data=True))
    cell.until(lambda: cell.state == "emergency" and bool(board.holds))
    assert board.holds[0] - asked < 1.0  # how fast it is, bench/grbl.py measures
    cell.until(lambda: board.firmware.state == "Idle")
    refused = cell.call("home")
    assert not refused.success
    cell.emergency.publish(Bool(data=False))
    cell.until(lambda: cell.state == "idle")


def test_sim_time_parameter_is_accepted(board: BoardThread) -> None:
    cell = Cell(board.port)
    try:
        cell.driver.set_parameters([Parameter("use_sim_time", Parameter.Type.BOOL, True)])
        assert cell.driver.get_parameter("use_sim_time").value
    finally:
        cell.close()
