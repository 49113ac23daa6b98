"""`/diagnostics` once a second: what each node says of itself."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from sketch_cell.ros.qos import RELIABLE


def status_message(level: bytes, name: str, message: str, values: dict[str, str]) -> DiagnosticStatus:
    """A DiagnosticStatus with its key-value pairs."""
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, values=pairs)


class Diagnostics:
    """Publishes a node's latest status at 1 Hz on the steady clock, so a stopped /clock cannot hide it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._status = status_message(DiagnosticStatus.OK, node.get_fully_qualified_name(), "started", {})
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def set(self, level: bytes, message: str, values: dict[str, str] | None = None) -> None:
        """Say how the node is; `level` is one of DiagnosticStatus.OK, WARN, ERROR."""
        name = self._node.get_fully_qualified_name()
        self._status = status_message(level, name, message, values or {})

    def _publish(self) -> None:
        array = DiagnosticArray(status=[self._status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
