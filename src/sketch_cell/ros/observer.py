"""Watches a cell from outside through its topics and services, as any client could; no ROS type leaves it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from sketch_cell.ros.messages import image_from_bytes, path_from_bytes, path_times_from_bytes, rgb_from
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR


class CellObserver:
    """What a cell has published so far: pictures, plan, job status, tips, and the twin's truth.

    `healthy` holds the names of the nodes whose last diagnostic was OK.
    """

    def __init__(self, namespace: str = "") -> None:
        # Signals are the caller's: it has processes to stop before this context may go.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("observer", namespace=namespace)
        self.status: dict[str, str] = {}
        self.queue: dict[str, str] = {}
        self.twin_facts: dict[str, str] = {}
        self.healthy: set[str] = set()
        self.pictures: dict[str, NDArray[np.uint8]] = {}
        self.plan_m: NDArray[np.float64] | None = None
        self.trace_m: NDArray[np.float64] | None = None
        self.trace_s: NDArray[np.float64] | None = None
        self.tips: list[tuple[float, float, float]] = []
        self.commands = 0
        subscribe = self._node.create_subscription
        for topic in ("picture/image", "line/preview", "twin/glass"):
            subscribe(Image, topic, self._keep_picture(topic), LATCHED, raw=True)
        subscribe(Path, "line/path", self._keep_plan, LATCHED, raw=True)
        subscribe(Path, "twin/trace", self._keep_trace, LATCHED, raw=True)
        subscribe(DiagnosticStatus, "job/status", self._keep_status, LATCHED)
        subscribe(DiagnosticStatus, "job_queue/status", self._keep_queue, LATCHED)
        subscribe(DiagnosticArray, "/diagnostics", self._keep_health, RELIABLE)
        subscribe(DiagnosticStatus, "twin/facts", self._keep_facts, LATCHED)
        subscribe(PoseWithCovarianceStamped, "tip", self._keep_tip, SENSOR)
        subscribe(JointTrajectory, "knobs/trajectory", self._count_commands, RELIABLE)

    def spin(self, seconds: float) -> None:
        """Take in what arrives for up to `seconds`."""
        rclpy.spin_once(self._node, timeout_sec=seconds)

    def ask(self, service: str) -> Callable[[], str | None]:
        """Call a Trigger service; the returned function gives None while unanswered, then "" or why not."""
        answer = self._call(Trigger, service, Trigger.Request())

        def reply() -> str | None:
            result = answer()
            return None if result is None else "" if result.success else str(result.message)

        return reply

    def activate(self, name: str) -> Callable[[], str | None]:
        """Configure and activate a lifecycle node; the returned function gives None while that is under way,
        then "", or what could not be done to the node: "configured" or "activated"."""
        transitions = [
            ("configured", Transition.TRANSITION_CONFIGURE),
            ("activated", Transition.TRANSITION_ACTIVATE),
        ]
        begun: list[tuple[str, Callable[[], Any | None]]] = []

        def reply() -> str | None:
            result = begun[-1][1]() if begun else None
            if begun and result is None:
                return None
            if result is not None and not result.success:
                return begun[-1][0]
            if len(begun) == len(transitions):
                return ""
            word, transition = transitions[len(begun)]
            request = ChangeState.Request()
            request.transition.id = transition
            begun.append((word, self._call(ChangeState, f"{name}/change_state", request)))
            return None

        return reply

    def _call(self, kind: Any, service: str, request: Any) -> Callable[[], Any | None]:
        """Call a service once it is there; the returned function gives None while unanswered."""
        client = self._node.create_client(kind, service)
        pending: list[Future] = []

        def answer() -> Any | None:
            if not pending:
                if client.service_is_ready():
                    pending.append(client.call_async(request))
                return None
            return pending[0].result() if pending[0].done() else None

        return answer

    def close(self) -> None:
        """Leave the cell."""
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _keep_picture(self, topic: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            # The node that works with the picture says what is wrong with it.
            with contextlib.suppress(ValueError):
                picture, encoding = image_from_bytes(data)
                self.pictures[topic] = rgb_from(picture.array, encoding)

        return keep

    def _keep_plan(self, data: bytes) -> None:
        self.plan_m = path_from_bytes(data).array

    def _keep_trace(self, data: bytes) -> None:
        self.trace_m = path_from_bytes(data).array
        self.trace_s = path_times_from_bytes(data)

    def _keep_status(self, message: DiagnosticStatus) -> None:
        self.status = {"message": message.message, **_values(message)}

    def _keep_queue(self, message: DiagnosticStatus) -> None:
        self.queue = {"message": message.message, **_values(message)}

    def _keep_health(self, message: DiagnosticArray) -> None:
        own = self._node.get_namespace().rstrip("/")
        for status in message.status:
            namespace, _, name = status.name.rpartition("/")
            if namespace != own:
                continue
            (self.healthy.add if status.level == DiagnosticStatus.OK else self.healthy.discard)(name)

    def _keep_facts(self, message: DiagnosticStatus) -> None:
        self.twin_facts = _values(message)

    def _keep_tip(self, message: PoseWithCovarianceStamped) -> None:
        stamp, position = message.header.stamp, message.pose.pose.position
        self.tips.append((stamp.sec + stamp.nanosec * 1e-9, position.x, position.y))

    def _count_commands(self, message: JointTrajectory) -> None:
        self.commands += len(message.points)


def _values(message: Any) -> dict[str, str]:
    return {pair.key: pair.value for pair in message.values}
