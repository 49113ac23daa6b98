"""Node tip_tracker: camera images and joint states become `tip`, the place of the newest ink; silent when unsure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, JointState

from sketch_cell.errors import SketchCellError
from sketch_cell.machine.knobs import KnobSettings, screen_from_knobs
from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.messages import image_bytes, image_from_bytes, rgb_from
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.ros.recorder import waiting
from sketch_cell.settings import Settings, setting
from sketch_cell.vision.calibration import Calibration, Lens, read_calibration
from sketch_cell.vision.debug import debug_picture
from sketch_cell.vision.glass import GlassSettings, grey_from_rgb
from sketch_cell.vision.tracker import NoTip, Tip, TipTracker, TrackerSettings
from sketch_cell.vision.warm_up import warm_up

JOINTS = ["knob_x", "knob_y"]
REST_LOOK_S = 0.5
NEW_SIZE_IMAGES = 5  # of another size in a row mean another camera, or mode; fewer are somebody's mistake


@dataclass(frozen=True)
class NodeSettings(Settings):
    """How the node runs; the tracker, the glass and the knobs have settings of their own."""

    autostart: bool = setting(True, "configure and activate without a lifecycle manager", read_only=True)
    frame: str = setting("screen", "frame of the tip", read_only=True)
    calibration: str = setting("", "calibration file; empty: calibrate from the first images", read_only=True)
    wait_for_lens: bool = setting(True, "wait for camera_info before the first image", read_only=True)


class TipTrackerNode(LifecycleNode):
    """Carries messages to the tracker and back; where the tip is, is decided in `vision/`."""

    _images: Subscription | None = None
    _rests = False

    def __init__(self, **options: Any) -> None:
        super().__init__("tip_tracker", **options)
        self._settings = declare_settings(self, NodeSettings)
        self._parts = (
            declare_settings(self, TrackerSettings),
            declare_settings(self, GlassSettings, prefix="glass."),
        )
        self._knobs = declare_settings(self, KnobSettings, prefix="board.")
        self._calibration: Calibration | None = None
        self._size: tuple[int, ...] | None = None  # of the images: rows and columns
        self._others = 0  # images of another size in a row
        self._tracker: TipTracker | None = None
        self._active = False
        self._counts = {"images": 0, "tips": 0}
        self._tip = self.create_publisher(PoseWithCovarianceStamped, "tip", SENSOR)
        self._debug = self.create_publisher(Image, "tip/debug", SENSOR)
        self._diagnostics = Diagnostics(self)
        self._images = self.create_subscription(Image, "camera/image_raw", self._on_image, SENSOR, raw=True)
        self._ask_for_lens()
        self.create_subscription(JointState, "joint_states", self._on_joint_states, RELIABLE)
        self.create_timer(REST_LOOK_S, self._look_at_rest, clock=Clock(clock_type=ClockType.STEADY_TIME))
        if self._settings.autostart:
            self.trigger_configure()
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Compile the kernels; read the calibration file, where one is given."""
        self.get_logger().info(
            "Getting ready; the first start after an installation compiles, for up to a minute."
        )
        try:
            warm_up()
            name = self._settings.calibration
            self._calibration = read_calibration(Path(name)) if name else None
        except SketchCellError as error:
            self.get_logger().error(str(error))
            self._diagnostics.set(DiagnosticStatus.ERROR, str(error))
            return TransitionCallbackReturn.FAILURE
        self._tracker = None
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to look at images."""
        self._active = True
        self._diagnostics.set(DiagnosticStatus.WARN, "waiting for camera_info and images")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop looking; what was learnt stays."""
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget calibration, lens and background."""
        self._size = self._tracker = None
        if not self._lens_told:
            self._ask_for_lens()
        return TransitionCallbackReturn.SUCCESS

    def _ask_for_lens(self) -> None:
        self._lens: Lens | None = None
        self._waits_for_lens = self._settings.wait_for_lens
        # Some cameras send their camera_info with every image, others once and latched.
        self._lens_told = [
            self.create_subscription(CameraInfo, "camera/camera_info", self._on_camera_info, quality)
            for quality in (SENSOR, LATCHED)
        ]

    def _on_camera_info(self, message: CameraInfo) -> None:
        if not self._lens_told:
            return
        if message.distortion_model not in ("", "plumb_bob"):
            self._say_once(f"camera_info has the lens model {message.distortion_model}: plumb_bob is needed.")
            return
        matrix, distortion = np.array(message.k, float).reshape(3, 3), np.zeros(5)
        distortion[: min(5, len(message.d))] = message.d[:5]
        if matrix[0, 0] != 0:  # else the camera says that it is not calibrated
            self._lens = Lens(matrix, distortion)
        self._waits_for_lens = False
        # The camera tells it with every image, and both subscriptions would go on to hear it in vain.
        while self._lens_told:
            self.destroy_subscription(self._lens_told.pop())

    def _on_joint_states(self, message: JointState) -> None:
        if self._tracker is None or not {*JOINTS} <= {*message.name}:
            return
        if not len(message.name) == len(message.position) == len(message.velocity):
            return  # somebody else's, such as joint_state_publisher's: without velocities it tells nothing of motion
        order = [message.name.index(name) for name in JOINTS]
        position = screen_from_knobs(np.array(message.position)[order], self._knobs)
        velocity = screen_from_knobs(np.array(message.velocity)[order], self._knobs)
        if not np.isfinite([position, velocity]).all():
            return
        stamp = message.header.stamp
        stamp_s = stamp.sec + stamp.nanosec * 1e-9
        self._tracker.note_motion(stamp_s, position, velocity)
        self._set_rest(self._tracker.rests(stamp_s))

    # To take every image of a machine that stands was most of an idle cell's work. So at rest they wait where DDS
    # keeps the newest few, and one is looked at now and then; the first word of motion brings those that wait.

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """What the executor listens to: the camera only while something moves."""
        return (each for each in super().subscriptions if not (self._rests and each is self._images))

    def _set_rest(self, rests: bool) -> None:
        if rests != self._rests:
            self._rests = rests
            if self.executor is not None:
                self.executor.wake()  # to look at `subscriptions` anew

    def _look_at_rest(self) -> None:
        if self._rests and self._images is not None:
            for data, *_ in waiting(self._images):
                self._on_image(data)
                break

    def _on_image(self, data: bytes) -> None:
        if not self._active or self._waits_for_lens:
            return
        try:
            picture, encoding = image_from_bytes(data)
            image = grey_from_rgb(rgb_from(picture.array, encoding))
        except ValueError as error:
            self._say_once(f"Images cannot be read: {error}.")
            return
        if self._size not in (None, image.shape):
            self._others += 1
            if self._others == NEW_SIZE_IMAGES:
                self._begin_anew(image)
            return
        self._size, self._others = image.shape, 0
        if self._tracker is None:
            tracker, glass = self._parts
            self._tracker = TipTracker(tracker, glass=glass, lens=self._lens, calibration=self._calibration)
        seen = self._tracker.track(image, picture.stamp_s)
        self._counts["images"] += 1
        if isinstance(seen, Tip):
            self._tip.publish(self._message(seen))
            self._counts["tips"] += 1
        self._tell(seen)
        self._set_rest(self._tracker.rests(picture.stamp_s))
        if self._debug.get_subscription_count() > 0:
            shown = debug_picture(image, self._tracker, seen)
            self._debug.publish(image_bytes(shown, picture.stamp_ns, picture.frame))

    def _begin_anew(self, image: np.ndarray) -> None:
        """For images of another size: the lens is another then, and so is the picture."""
        self.get_logger().warning(
            f"The images are now {image.shape[1]} x {image.shape[0]}: calibrating again."
        )
        self._size, self._others, self._tracker = image.shape, 0, None
        if not self._lens_told:
            self._ask_for_lens()
        self._diagnostics.set(DiagnosticStatus.WARN, "waiting for camera_info and images")

    def _message(self, tip: Tip) -> PoseWithCovarianceStamped:
        message = PoseWithCovarianceStamped()
        message.header.frame_id = self._settings.frame
        message.header.stamp = Time(nanoseconds=round(tip.stamp_s * 1e9)).to_msg()
        position = message.pose.pose.position
        position.x, position.y = tip.xy_m.tolist()
        covariance = np.zeros((6, 6))
        covariance[:2, :2] = tip.covariance_m2
        message.pose.covariance = covariance.ravel()
        return message

    def _tell(self, seen: Tip | NoTip) -> None:
        assert self._tracker is not None
        values = {name: str(count) for name, count in self._counts.items()}
        calibration = self._tracker.calibration
        if calibration is None:
            assert isinstance(seen, NoTip)
            self._diagnostics.set(DiagnosticStatus.WARN, seen.reason, values)
            return
        values["edge_rms_px"] = f"{calibration.edge_rms_px:.2f}"
        values["reprojection_px"] = f"{calibration.reprojection_px:.2f}"
        latency = self._tracker.latency
        if latency is not None and latency.sigma_s < 0.01:
            values["latency_s"] = f"{latency.seconds:+.4f} beyond the setting, sigma {latency.sigma_s:.4f}"
        reason = seen.reason if isinstance(seen, NoTip) else "sees the tip"
        self._diagnostics.set(DiagnosticStatus.OK, reason, values)

    def _say_once(self, sentence: str) -> None:
        self.get_logger().error(sentence, once=True)
        self._diagnostics.set(DiagnosticStatus.ERROR, sentence)


def main() -> None:
    """Run the node."""
    run(TipTrackerNode)


if __name__ == "__main__":
    main()
