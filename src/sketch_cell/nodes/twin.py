"""Node twin: the toy with its Grbl board on a pseudo-terminal and its camera, on a clock of its own."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path as PathMessage
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from sketch_cell.machine.board import BoardSettings
from sketch_cell.ros.diagnostics import status_message
from sketch_cell.ros.messages import image_bytes, path_bytes
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED, SENSOR
from sketch_cell.settings import Settings, setting
from sketch_cell.twin.camera import CameraSettings
from sketch_cell.twin.pseudo_terminal import PseudoTerminal
from sketch_cell.twin.toy import ToySettings
from sketch_cell.twin.wire import Wire, WireSettings
from sketch_cell.twin.world import World

# The truth is published as points at least this far apart in place or time: enough for any report.
TRACE_SPACING_M = 1e-4
TRACE_PERIOD_S = 0.05
# The world steps in multiples of this: in less, one motor step looks like a leap that no motor could follow.
STEP_S = 0.005
# Wall time: each tick wakes every node that goes by /clock, so a standing board that nobody talks to has few.
REST_TICK_S, QUIET_S = 0.1, 0.5
STANDING = ("Idle", "Alarm", "Sleep", "Check")
SILENT_S = 0.25  # a driver asks a moving board ten times a second


@dataclass(frozen=True)
class TwinSettings(Settings):
    """How the twin runs; its toy, board, motion and camera have settings of their own."""

    port: str = setting("/tmp/ttyTWIN", "where the board's serial port appears", read_only=True)
    real_time_factor: float = setting(
        1.0,
        "simulated seconds per second; slower by itself when the computer is",
        minimum=0.01,
        maximum=100.0,
    )
    tick_s: float = setting(
        0.0025, "wall time between steps", unit="s", minimum=0.0005, maximum=0.1, read_only=True
    )
    frame_prefix: str = setting("", "comes before its frames screen and camera, as in left/", read_only=True)
    seed: int = setting(1, "seed of all faults", minimum=0, maximum=2**31 - 1, read_only=True)


class TwinNode(Node):
    """Steps the world, publishes /clock and camera images, and tells the truth when asked for a report."""

    def __init__(self) -> None:
        super().__init__("twin")
        self._settings = declare_settings(self, TwinSettings, on_change=self._change)
        # Faults may be switched on while a person watches.
        toy = declare_settings(self, ToySettings, prefix="toy.", on_change=self._change_toy)
        camera = declare_settings(self, CameraSettings, prefix="camera.", on_change=self._change_camera)
        board = declare_settings(self, BoardSettings, prefix="board.")
        wire = declare_settings(self, WireSettings, prefix="wire.", on_change=self._change_wire)
        self._world = World(toy, camera, board, seed=self._settings.seed)
        self._wire = Wire(wire, self._settings.seed)
        self._terminal = PseudoTerminal(Path(self._settings.port))
        self._clock_publisher = self.create_publisher(ClockMessage, "/clock", 10)
        self._image = self.create_publisher(Image, "camera/image_raw", SENSOR)
        self._info = self.create_publisher(CameraInfo, "camera/camera_info", LATCHED)
        self._trace = self.create_publisher(PathMessage, "twin/trace", LATCHED)
        self._glass = self.create_publisher(Image, "twin/glass", LATCHED)
        self._facts = self.create_publisher(DiagnosticStatus, "twin/facts", LATCHED)
        self.create_service(Trigger, "twin/report", self._report)
        self.create_service(Trigger, "twin/shake", self._shake)
        self._info.publish(self._camera_info())
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._steady = steady
        self._ticked_ns = self._asked_ns = steady.now().nanoseconds
        self._owed_s = self._heard_s = 0.0
        self._timer = self.create_timer(self._settings.tick_s, self._tick, clock=steady)

    def _change(self, settings: TwinSettings) -> None:
        self._settings = settings

    def _change_toy(self, settings: ToySettings) -> None:
        self._world.toy.change(settings)

    def _change_camera(self, settings: CameraSettings) -> None:
        self._world.camera.configure(settings)

    def _change_wire(self, settings: WireSettings) -> None:
        before, self._wire.settings = self._wire.settings, settings
        board = self._world.firmware
        if settings.frozen and not before.frozen:
            board.freeze()
        if settings.unplugged and not before.unplugged:
            self._terminal.unplug()
        if before.unplugged and not settings.unplugged:
            self._terminal = PseudoTerminal(Path(self._settings.port))
        back = (before.unplugged or before.frozen) and not (settings.unplugged or settings.frozen)
        if back:
            board.power_cycle()

    def _pace(self) -> float:
        """Simulated seconds per second: no faster than real time while a driver that should ask has fallen silent."""
        silent_s = self._world.now_s - self._heard_s
        lagging = self._world.firmware.state == "Run" and silent_s > SILENT_S
        return min(self._settings.real_time_factor, 1.0) if lagging else self._settings.real_time_factor

    def _keep_pace(self, now_ns: int) -> None:
        """Tick seldom while the board stands and nobody asks it for more than its status."""
        tick_s = self._settings.tick_s
        if self._world.firmware.state in STANDING and now_ns - self._asked_ns > QUIET_S * 1e9:
            tick_s = max(tick_s, REST_TICK_S)
        if self._timer.timer_period_ns != round(tick_s * 1e9):
            self._timer.timer_period_ns = round(tick_s * 1e9)
            self._timer.reset()

    def _frame(self, name: str) -> str:
        return self._settings.frame_prefix + name

    def _tick(self) -> None:
        now_ns = self._steady.now().nanoseconds
        # A late tick is not caught up with: the clock slows down instead of leaping.
        elapsed_s = min((now_ns - self._ticked_ns) * 1e-9, 2e-9 * self._timer.timer_period_ns)
        self._ticked_ns = now_ns
        self._owed_s += elapsed_s * self._pace()
        step_s = self._owed_s // STEP_S * STEP_S
        if not step_s:
            return
        self._owed_s -= step_s
        plugged = not self._wire.settings.unplugged
        data = self._terminal.read() if plugged else b""
        if data:
            self._heard_s = self._world.now_s
        if data.strip(b"?"):
            self._asked_ns = now_ns
            if self._timer.timer_period_ns > self._settings.tick_s * 1e9:
                step_s = STEP_S  # a long step of rest must not become one of unwatched motion
        self._keep_pace(now_ns)
        received = self._wire.to_board(data)
        sent = self._wire.to_host(self._world.exchange(received, step_s))
        if plugged:
            self._terminal.write(sent)
        message = ClockMessage()
        message.clock.sec, message.clock.nanosec = divmod(round(self._world.now_s * 1e9), 10**9)
        self._clock_publisher.publish(message)
        for frame in self._world.frames():
            self._image.publish(image_bytes(frame.image, round(frame.stamp_s * 1e9), self._frame("camera")))

    def _report(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        stamp_ns = round(self._world.now_s * 1e9)
        times_s, stylus_m = self._world.trace()
        kept = spaced(times_s, stylus_m)
        self._facts.publish(self._facts_message())
        self._glass.publish(image_bytes(self._world.camera.glass(), stamp_ns, self._frame("screen")))
        self._trace.publish(path_bytes(stylus_m[kept], stamp_ns, self._frame("screen"), times_s[kept]))
        response.success = True
        return response

    def _shake(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._world.camera.shake()
        response.success = True
        return response

    def _facts_message(self) -> DiagnosticStatus:
        toy = self._world.toy
        facts = dataclasses.asdict(toy.settings)
        facts["line_width_m"] = self._world.camera.settings.line_width_m
        facts["seed"] = self._settings.seed
        facts["lost_steps"] = [[round(loss.time_s, 2), "xy"[loss.axis], loss.size_m] for loss in toy.losses]
        facts["starved"] = self._world.firmware.starved
        values = {name: json.dumps(value) for name, value in facts.items()}
        return status_message(DiagnosticStatus.OK, "twin", "", values)

    def _camera_info(self) -> CameraInfo:
        width, height, matrix, distortion = self._world.camera.camera_info
        message = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
        message.header.frame_id = self._frame("camera")
        message.k = matrix.ravel().tolist()
        message.d = distortion.tolist()
        message.r = np.eye(3).ravel().tolist()
        message.p = np.hstack([matrix, np.zeros((3, 1))]).ravel().tolist()
        return message

    def destroy_node(self) -> None:
        """Close the port, so that whoever holds its other end sees it go."""
        self._terminal.close()
        super().destroy_node()


def spaced(times_s: NDArray[np.float64], xy_m: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of a trace's samples, thinned to what its spacing in place and time needs; the last is kept."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy_m, axis=0).T))])
    step = np.floor(along / TRACE_SPACING_M) + np.floor(times_s / TRACE_PERIOD_S)
    return np.flatnonzero(np.append(np.diff(step) > 0, True))


def main() -> None:
    """Run the node."""
    run(TwinNode)


if __name__ == "__main__":
    main()
