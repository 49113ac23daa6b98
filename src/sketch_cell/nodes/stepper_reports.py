"""What the stepper driver tells: joint states, its state, diagnostics, and every event in the log."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from sketch_cell.machine.driver import DriverState, Event, GrblDriver
from sketch_cell.machine.knobs import KnobSettings
from sketch_cell.machine.report import OK, WARN, figures, health
from sketch_cell.nodes.stepper_messages import motion_messages
from sketch_cell.ros.diagnostics import Diagnostics, status_message
from sketch_cell.ros.qos import LATCHED, RELIABLE

# Progress along a timeline is no news while nothing moves.
REST_PERIOD_S = 0.5
LEVELS = {OK: DiagnosticStatus.OK, WARN: DiagnosticStatus.WARN}


class StepperReports:
    """Publishes for `node` how its driver is."""

    def __init__(self, node: Node, driver: GrblDriver, knobs: KnobSettings, period_s: float) -> None:
        self._driver, self._knobs, self._period_s = driver, knobs, period_s
        self._log = node.get_logger()
        self._joints = node.create_publisher(JointState, "joint_states", RELIABLE)
        self._executed = node.create_publisher(JointTrajectory, "knobs/executed", RELIABLE)
        self._state = node.create_publisher(DiagnosticStatus, "~/state", LATCHED)
        self._diagnostics = Diagnostics(node)
        self._told: tuple[DriverState, str] | None = None
        self._next_motion_s = self._next_executed_s = -float("inf")
        self._lines = 0  # sent by the last diagnosis

    def tell(self, now_s: float) -> bool:
        """What is new: events, the state, and the motion once a period; whether it was time for that."""
        for event in self._driver.drain_events():
            self._write(event)
        if (self._driver.state, self._driver.reason) != self._told:
            self._tell_state()
            self._next_executed_s = now_s
        if _too_early(now_s, self._next_motion_s):
            return False
        # Counted on from when it was due: a timer that is a moment early must not cost a whole period.
        on_time = now_s - self._next_motion_s < self._period_s
        self._next_motion_s = (self._next_motion_s if on_time else now_s) + self._period_s
        joints, executed = motion_messages(self._driver.motion(now_s), self._knobs)
        self._joints.publish(joints)
        if not (self._driver.rests and _too_early(now_s, self._next_executed_s)):
            self._next_executed_s = now_s + REST_PERIOD_S
            self._executed.publish(executed)
        return True

    def _write(self, event: Event) -> None:
        # rclpy binds each call site to one severity, so each level needs its own
        if event.level == "error":
            self._log.error(event.text)
        elif event.level == "warning":
            self._log.warning(event.text)
        else:
            self._log.info(event.text)

    def _tell_state(self) -> None:
        driver = self._driver
        self._told = driver.state, driver.reason
        values = {"reason": driver.reason, "homed": str(driver.homed).lower()}
        self._state.publish(status_message(self._level(), "stepper_driver", driver.state.value, values))

    def diagnose(self) -> None:
        """Figures for `/diagnostics`; called once a second."""
        driver, lines = self._driver, self._driver.statistics.lines
        values = {**figures(driver), "lines per second": str(max(lines - self._lines, 0))}
        self._lines = lines
        self._diagnostics.set(self._level(), f"{driver.state.value}: {driver.reason}", values)

    def _level(self) -> bytes:
        return LEVELS.get(health(self._driver), DiagnosticStatus.ERROR)


def _too_early(now_s: float, due_s: float) -> bool:
    """Whether something is not due yet; far too early means that the clock was set back: then it is due."""
    return due_s - 1.0 < now_s < due_s
