"""What bench/grbl.py measures on the real stepper_driver node, in a process of its own. Run alone it does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HORIZON_S = 0.5
PERIOD_S = 0.04


class User:
    """A controller's side of the topics."""

    def __init__(self, port: str) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.node import Node
        from std_msgs.msg import Bool
        from trajectory_msgs.msg import JointTrajectory

        from sketch_cell.ros.qos import LATCHED, RELIABLE

        rclpy.init()
        self._rclpy = rclpy
        self.node = Node("bench")
        self.state, self.along_s = "", 0.0
        self.node.create_subscription(DiagnosticStatus, "stepper_driver/state", self._on_state, LATCHED)
        self.node.create_subscription(JointTrajectory, "knobs/executed", self._on_executed, RELIABLE)
        self.trajectory = self.node.create_publisher(JointTrajectory, "knobs/trajectory", RELIABLE)
        self.emergency = self.node.create_publisher(Bool, "emergency_stop", RELIABLE)
        source = Path(__file__).resolve().parents[1] / "src"
        environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        command = [
            sys.executable,
            "-m",
            "sketch_cell.nodes.stepper_driver",
            "--ros-args",
            "-p",
            f"port:={port}",
        ]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def _on_state(self, message: Any) -> None:
        self.state = message.message

    def _on_executed(self, message: Any) -> None:
        along = message.points[0].time_from_start
        self.along_s = along.sec + along.nanosec * 1e-9

    def until(self, done: Callable[[], bool], limit_s: float = 120.0) -> None:
        end_s = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < end_s, self.state
            self._rclpy.spin_once(self.node, timeout_sec=0.01)

    def home(self) -> None:
        from std_srvs.srv import Trigger

        self.until(lambda: self.state == "unhomed")
        client = self.node.create_client(Trigger, "stepper_driver/home")
        client.wait_for_service(10.0)
        client.call_async(Trigger.Request())
        self.until(lambda: self.state == "idle")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.node.destroy_node()
        self._rclpy.try_shutdown()


def figures(board: Any, times: NDArray[np.float64], xy: NDArray[np.float64], trials: int) -> dict[str, str]:
    """`emergency` and `cpu`, in words."""
    user = User(board.port)
    try:
        user.home()
        share = _draw(user, times, xy)
        latencies = _emergencies(user, board, trials)
    finally:
        user.close()
    p50, p99 = np.percentile(latencies, [50, 99]) * 1000
    return {
        "cpu": f"{100 * share:.1f} %",
        "emergency": f"{p99:.1f} ms (median {p50:.1f} ms, {trials} trials)",
    }


def _draw(user: User, times: NDArray[np.float64], xy: NDArray[np.float64]) -> float:
    """Draw as the controller would; the node's processor seconds per second."""
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from sketch_cell.machine.knobs import knobs_from_screen

    angles, feed = knobs_from_screen(xy), float(knobs_from_screen(0.04))
    begin_s, cpu_s, sent = time.monotonic(), user.cpu_s(), 0
    while sent < len(times) or user.state != "idle":
        assert user.state in ("idle", "running"), f"the driver is {user.state}: is this computer too busy?"
        message = JointTrajectory(joint_names=["knob_x", "knob_y"])
        end = max(int(np.searchsorted(times, user.along_s + HORIZON_S)) + 1, sent)
        for index in range(sent, min(end, len(times))):
            point = JointTrajectoryPoint(positions=angles[index].tolist(), velocities=[feed, 0.0])
            point.time_from_start.sec = int(times[index])
            point.time_from_start.nanosec = int(times[index] % 1 * 1e9)
            message.points.append(point)
        sent = min(end, len(times))
        user.trajectory.publish(message)
        pause_s = time.monotonic() + PERIOD_S
        user.until(lambda until_s=pause_s: time.monotonic() >= until_s)
    return (user.cpu_s() - cpu_s) / (time.monotonic() - begin_s)


def _emergencies(user: User, board: Any, trials: int) -> list[float]:
    from std_msgs.msg import Bool

    latencies = []
    for _ in range(trials):
        asked_s = time.monotonic()
        user.emergency.publish(Bool(data=True))
        latencies.append(board.next_hold_s() - asked_s)
        user.until(lambda: user.state == "emergency")
        user.emergency.publish(Bool(data=False))
        user.until(lambda: user.state == "idle")
    return latencies
