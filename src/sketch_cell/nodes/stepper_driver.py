"""Node stepper_driver: `knobs/trajectory` becomes motion of a Grbl board; its motion becomes `joint_states`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from sketch_cell.errors import MachineError
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.driver import DriverSettings, DriverState, GrblDriver
from sketch_cell.machine.follow import FollowSettings
from sketch_cell.machine.knobs import KnobSettings
from sketch_cell.machine.serial_link import SerialLink
from sketch_cell.machine.session import Session
from sketch_cell.nodes.stepper_follow import FollowServer, follow_action
from sketch_cell.nodes.stepper_messages import waypoints
from sketch_cell.nodes.stepper_reports import StepperReports
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import RELIABLE
from sketch_cell.settings import Settings, setting

# At rest nearly all of the node's work would be looks at a silent port.
REST_PERIOD_S = 0.1

Answer = TypeVar("Answer", Trigger.Response, SetBool.Response)


@dataclass(frozen=True)
class NodeSettings(Settings):
    """The port, and how the node runs."""

    port: str = setting("/dev/ttyUSB0", "serial port of the board", read_only=True)
    baud: int = setting(115_200, "speed of the port", minimum=9600, maximum=4_000_000, read_only=True)
    autostart: bool = setting(True, "configure and activate without a lifecycle manager", read_only=True)
    port_wait_s: float = setting(
        0.0, "time a port may take to appear", unit="s", minimum=0.0, maximum=600.0, read_only=True
    )
    pump_period_s: float = setting(
        0.012, "wall time between looks at the port", unit="s", minimum=0.001, maximum=0.05, read_only=True
    )
    publish_period_s: float = setting(
        0.04,
        "time between joint states, 0.1 s at rest",
        unit="s",
        minimum=0.005,
        maximum=0.05,
        read_only=True,
    )
    feed_percent: int = setting(100, "feed override", unit="%", minimum=10, maximum=200)


class StepperDriverNode(LifecycleNode):
    """Carries messages to the driver and back; what is legal and safe is decided in `machine/`."""

    def __init__(self) -> None:
        super().__init__("stepper_driver")
        self._settings = declare_settings(self, NodeSettings, on_change=self._change)
        board = declare_settings(self, BoardSettings, prefix="board.")
        self._driver = driver = GrblDriver(board, declare_settings(self, DriverSettings))
        self._knobs = KnobSettings(travel_per_turn_m=board.travel_per_turn_m)
        self._session = Session(driver, lambda: SerialLink(self._settings.port, self._settings.baud))
        self._active = self._configured = False
        self._reports = StepperReports(self, driver, self._knobs, self._settings.publish_period_s)
        follow, action = declare_settings(self, FollowSettings, prefix="follow."), follow_action()
        self._follow: FollowServer | None = None
        if action is not None:
            self._follow = FollowServer(self, action, driver, self._knobs, follow, lambda: self._active)
        self._change(self._settings)
        self.create_subscription(JointTrajectory, "knobs/trajectory", self._on_trajectory, RELIABLE)
        self.create_subscription(Bool, "emergency_stop", self._on_emergency_stop, RELIABLE)
        wishes: dict[str, Callable[[float], None]] = {
            **{name: getattr(driver, name) for name in ("home", "hold", "resume", "stop")},
            **{f"touch_{letter}": partial(driver.touch, axis) for axis, letter in enumerate("xy")},
        }
        for name, wish in wishes.items():
            self.create_service(Trigger, f"~/{name}", lambda _, answer, wish=wish: self._ask(wish, answer))
        self.create_service(SetBool, "~/enable", self._on_enable)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(self._settings.pump_period_s, self._pump, clock=steady)
        self.create_timer(1.0, self._reports.diagnose, clock=steady)
        if self._settings.autostart:
            self.trigger_configure()
            self.trigger_activate()

    def _change(self, settings: NodeSettings) -> None:
        self._driver.override_feed(settings.feed_percent)

    # -- lifecycle --

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the port and check the board; with autostart both go on later, and a missing port is tried again."""
        try:
            self._wait_for_port()
            self._session.open(self._now_s(), time.monotonic())
            if not self._settings.autostart:
                self._check_board()
        except MachineError as error:
            self.get_logger().error(str(error))
            if not self._settings.autostart:
                self._session.close()
                return TransitionCallbackReturn.FAILURE
        self._configured = True
        return TransitionCallbackReturn.SUCCESS

    def _wait_for_port(self) -> None:
        end_s = time.monotonic() + self._settings.port_wait_s
        while not Path(self._settings.port).exists() and time.monotonic() < end_s and self.context.ok():
            time.sleep(0.05)

    def _check_board(self) -> None:
        # /clock stands still in here: the node hears nothing while it configures.
        offset_s = self._now_s() - time.monotonic()
        try:
            self._session.wait_for_board(lambda: time.monotonic() + offset_s, self.context.ok)
        finally:
            self._reports.tell(self._now_s())
        if self._driver.state is DriverState.REFUSED:
            raise MachineError(f"The board on {self._settings.port} cannot be used: {self._driver.reason}.")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Energise; refused where the board's settings are wrong."""
        if self._driver.state is DriverState.REFUSED:
            self.get_logger().error(f"Not activated: {self._driver.reason}.")
            return TransitionCallbackReturn.FAILURE
        if self._driver.state is DriverState.ASLEEP:
            self._driver.wake(self._now_s())
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Hold what moves; homing can only be stopped."""
        if self._driver.state is DriverState.HOMING:
            self._driver.stop(self._now_s())
        elif self._driver.state in (DriverState.RUNNING, DriverState.JOGGING):
            self._driver.hold(self._now_s())
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the port back."""
        self._configured = False
        self._session.close()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the port back."""
        return self.on_cleanup(state)

    def destroy_node(self) -> None:
        """However the process ends, hold the board and give the port back."""
        self._session.close()
        super().destroy_node()

    # -- what others ask --

    def _on_trajectory(self, message: JointTrajectory) -> None:
        try:
            self._check_active()
            if self._follow is not None and self._follow.busy:
                raise MachineError("An action's trajectory is being followed. Cancel it first.")
            self._driver.append(*waypoints(message, self._knobs))
            self._keep_pace()
        except MachineError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)

    def _on_emergency_stop(self, message: Bool) -> None:
        try:
            if message.data:
                self._driver.emergency_stop(self._now_s())
                self._session.flush(self._now_s(), time.monotonic())
            elif self._driver.latched:
                self._driver.release(self._now_s())
        except MachineError as error:
            self.get_logger().error(str(error))

    def _ask(self, wish: Callable[[float], None], answer: Answer) -> Answer:
        try:
            self._check_active()
            wish(self._now_s())
            self._keep_pace()
            answer.success, answer.message = True, "accepted"
        except MachineError as error:
            answer.success, answer.message = False, str(error)
        return answer

    def _on_enable(self, request: SetBool.Request, answer: SetBool.Response) -> SetBool.Response:
        return self._ask(self._driver.wake if request.data else self._driver.sleep, answer)

    def _check_active(self) -> None:
        if not self._active:
            raise MachineError("The stepper driver is not active. Activate the node first.")

    # -- the pump --

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def _pump(self) -> None:
        if self._configured:
            now_s = self._now_s()
            self._session.pump(now_s, time.monotonic())
            if self._follow is not None:
                self._follow.step(now_s)
            if self._reports.tell(now_s) and self._follow is not None:
                self._follow.feed_back(now_s)
        self._keep_pace()

    def _keep_pace(self) -> None:
        """Look at the port as often as motion needs, and at rest only as often as a person can tell."""
        period_s = REST_PERIOD_S if self._driver.rests else self._settings.pump_period_s
        period_ns = round(1e9 * period_s)
        if self._timer.timer_period_ns != period_ns:
            self._timer.timer_period_ns = period_ns
            self._timer.reset()


def main() -> None:
    """Run the node."""
    run(StepperDriverNode, by_events=follow_action() is None)


if __name__ == "__main__":
    main()
