"""The real node in this process, on a real pseudo-terminal with the firmware twin behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from machine_board import BoardThread
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sketch_cell.errors import MachineError
from sketch_cell.machine.knobs import knobs_from_screen
from sketch_cell.machine.serial_link import SerialLink
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


def test_joint_states_come_at_rest_too_but_progress_is_no_news_there(cell: Cell, board: BoardThread) -> None:
    cell.until(lambda: cell.state == "unhomed")
    cell.joints.clear(), cell.executed.clear()
    cell.until(lambda: len(cell.joints) == 20)
    stamps_s = [joints.header.stamp.sec + joints.header.stamp.nanosec * 1e-9 for joints in cell.joints]
    assert np.median(np.diff(stamps_s)) < 0.15
    assert len(cell.executed) <= 6


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


def test_a_switch_is_touched_on_request_and_the_step_error_told(cell: Cell, board: BoardThread) -> None:
    statuses: list[DiagnosticArray] = []
    cell.user.create_subscription(DiagnosticArray, "/diagnostics", statuses.append, RELIABLE)
    cell.until(lambda: cell.state == "unhomed")
    refused = cell.call("touch_x")
    assert not refused.success
    cell.call("home")
    cell.until(lambda: cell.state == "idle")
    board.contact_m = (0.0005, 0.0)
    for contact_m in (0.0005, 0.0002):  # as if steps had been lost in between
        board.contact_m = (contact_m, 0.0)
        assert cell.call("touch_x").success
        cell.until(lambda: cell.state == "homing")
        cell.until(lambda: cell.state == "idle")

    def told() -> dict[str, str]:
        return {pair.key: pair.value for array in statuses for pair in array.status[0].values}

    cell.until(lambda: told().get("x touches") == "2")
    assert float(told()["x step error at last touch [mm]"]) == pytest.approx(-0.3, abs=0.05)


def test_stop_ends_homing_and_the_feed_override_is_a_parameter(cell: Cell, board: BoardThread) -> None:
    cell.until(lambda: cell.state == "unhomed")
    cell.call("home")
    cell.until(lambda: board.firmware.state == "Home")
    assert cell.call("stop").success
    cell.until(lambda: cell.state == "alarm" or cell.state == "unhomed")
    cell.until(lambda: cell.driver.get_parameter("feed_percent").value == 100)
    assert not cell.driver.set_parameters([Parameter("feed_percent", value=500)])[0].successful
    assert cell.driver.set_parameters([Parameter("feed_percent", value=50)])[0].successful
    cell.call("home")
    cell.until(lambda: cell.state == "idle")
    cell.move(3.0, 0.030, 0.030)
    cell.until(lambda: cell.state == "running", beat=True)
    cell.until(lambda: b"\x92" in board.received, beat=True)


def test_lifecycle_holds_on_deactivate_and_frees_the_port_on_cleanup(cell: Cell, board: BoardThread) -> None:
    cell.until(lambda: cell.state == "unhomed")
    cell.call("home")
    cell.until(lambda: cell.state == "idle")
    cell.move(3.0, 0.060, 0.050)
    cell.until(lambda: cell.state == "running", beat=True)
    cell.driver.trigger_deactivate()
    cell.until(lambda: cell.state == "held")
    assert not cell.call("resume").success
    with pytest.raises(MachineError):
        SerialLink(board.port)
    cell.driver.trigger_cleanup()
    SerialLink(board.port).close()
    cell.driver.trigger_configure()
    cell.driver.trigger_activate()
    cell.until(lambda: cell.state == "unhomed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_process_ends_the_board_stops_and_the_port_is_free(
    board: BoardThread, number: signal.Signals
) -> None:
    """After a kill there is nobody to say hold: the board runs out of the lines it holds."""
    rclpy.init()
    user = Node("user")
    states: list[str] = []
    user.create_subscription(
        DiagnosticStatus, "stepper_driver/state", lambda message: states.append(message.message), LATCHED
    )
    trajectory = user.create_publisher(JointTrajectory, "knobs/trajectory", RELIABLE)
    source = str(Path(__file__).parents[2] / "src")
    command = [
        sys.executable,
        "-m",
        "sketch_cell.nodes.stepper_driver",
        "--ros-args",
        "-p",
        f"port:={board.port}",
    ]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": source})
    try:
        wait(user, lambda: states[-1:] == ["unhomed"])
        client = user.create_client(Trigger, "stepper_driver/home")
        client.call_async(Trigger.Request())
        wait(user, lambda: states[-1:] == ["idle"])
        points = []
        for tenth in range(1, 30):  # 4 mm/s: three seconds of motion, of which the board holds but a part
            place = knobs_from_screen([0.001 + 0.0004 * tenth, 0.001]).tolist()
            points.append(JointTrajectoryPoint(positions=place))
            points[-1].time_from_start.sec, points[-1].time_from_start.nanosec = divmod(tenth * 10**8, 10**9)
        trajectory.publish(JointTrajectory(joint_names=JOINTS, points=points))
        wait(user, lambda: states[-1:] == ["running"])
        process.send_signal(number)
        process.wait(timeout=20)
    finally:
        process.kill()
        user.destroy_node()
        rclpy.try_shutdown()
    deadline = time.monotonic() + 6
    while board.firmware.state == "Run" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert board.firmware.state == ("Idle" if number is signal.SIGKILL else "Hold")
    SerialLink(board.port).close()


def wait(user: Node, done: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        rclpy.spin_once(user, timeout_sec=0.02)


def test_sim_time_parameter_is_accepted(board: BoardThread) -> None:
    cell = Cell(board.port)
    try:
        cell.driver.set_parameters([Parameter("use_sim_time", Parameter.Type.BOOL, True)])
        assert cell.driver.get_parameter("use_sim_time").value
    finally:
        cell.close()
