"""Node drawing_controller: draws `line/path` with the stepper driver and keeps it true with the tip it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Path
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import MarkerArray

from sketch_cell.control import journal
from sketch_cell.control.estimator import EstimatorSettings
from sketch_cell.control.follower import FollowerSettings
from sketch_cell.control.job import Job
from sketch_cell.control.job_words import (
    Commands,
    ControlSettings,
    JobInputs,
    JobOutputs,
    JobState,
    MachineState,
    Order,
    Progress,
    TipSeen,
    machine_state,
)
from sketch_cell.errors import SketchCellError
from sketch_cell.machine.knobs import KnobSettings, knobs_from_screen, screen_from_knobs
from sketch_cell.machine.motion import MotionSettings
from sketch_cell.ros.diagnostics import Diagnostics, status_message
from sketch_cell.ros.drawing_markers import DrawingMarkers
from sketch_cell.ros.hear import hear
from sketch_cell.ros.messages import path_from_bytes
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR, STATES
from sketch_cell.settings import Settings, setting

JOINTS = ["knob_x", "knob_y"]


@dataclass(frozen=True)
class NodeSettings(Settings):
    """How the node runs; the job, the estimator, the follower and the motion have settings of their own."""

    replay: bool = setting(
        False,
        "the board obeys a recorded controller, whose commands are heard on knobs/recorded",
        read_only=True,
    )


class DrawingControllerNode(Node):
    """Carries messages to the job and back; what to do is decided in `control/`."""

    def __init__(self) -> None:
        super().__init__("drawing_controller")
        self._replay = declare_settings(self, NodeSettings).replay
        self._control = declare_settings(self, ControlSettings, on_change=self._change)
        self._parts = (
            declare_settings(self, EstimatorSettings, prefix="estimator."),
            declare_settings(self, FollowerSettings, prefix="follower."),
            declare_settings(self, MotionSettings, prefix="motion."),
        )
        self._knobs = declare_settings(self, KnobSettings, prefix="board.")
        self._job: Job | None = None
        self._machine, self._reason = MachineState.ABSENT, "the stepper driver has not been heard of"
        self._tips: list[TipSeen] = []
        self._heard: list[JointTrajectoryPoint] = []
        self._markers, self._watchers = DrawingMarkers(), 0
        self._told: tuple[object, ...] = ()
        self._stepped_ns = 0
        self._trajectory = self.create_publisher(JointTrajectory, "knobs/trajectory", RELIABLE)
        self._status = self.create_publisher(DiagnosticStatus, "job/status", LATCHED)
        self._drawn = self.create_publisher(MarkerArray, "drawn/markers", RELIABLE)
        self._diagnostics = Diagnostics(self)
        self._driver_services = {
            order: self.create_client(Trigger, f"stepper_driver/{order.value}") for order in Order
        }
        hear(self, Path, "line/path", self._on_line)
        self.create_subscription(JointTrajectory, "knobs/executed", self._on_executed, RELIABLE)
        self.create_subscription(DiagnosticStatus, "stepper_driver/state", self._on_machine, STATES)
        self.create_subscription(PoseWithCovarianceStamped, "tip", self._on_tip, SENSOR)
        if self._replay:
            self.create_subscription(JointTrajectory, "knobs/recorded", self._on_recorded, RELIABLE)
        for name in ("draw", "pause", "resume", "abort"):
            self.create_service(Trigger, f"~/{name}", partial(self._on_request, name))
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self._on_silence, clock=self._steady)
        self.create_timer(0.5, self._show, clock=self._steady)
        self.create_timer(1.0, self._note, clock=self._steady)

    def _change(self, settings: ControlSettings) -> None:
        """Settings count from the next line on: a drawing is never changed under way."""
        self._control = settings

    def _on_line(self, data: bytes) -> None:
        if self._job is not None and self._job.state in (JobState.HOMING, JobState.DRAWING, JobState.PAUSED):
            self.get_logger().warning("A new line came while drawing: it is ignored. Abort first.")
            return
        line = path_from_bytes(data)
        try:
            self._job = Job(line.array, self._control, *self._parts)
        except SketchCellError as error:
            self.get_logger().error(str(error))
            return
        self._markers.plan(self._job.line.xy_m, line.frame)

    def _on_machine(self, message: DiagnosticStatus) -> None:
        self._machine = machine_state(message.message)
        reasons = [pair.value for pair in message.values if pair.key == "reason"]
        self._reason = f"the stepper driver is {message.message}: {' '.join(reasons)}"
        self._step()  # a short state must not be gone before the job has seen it

    def _on_tip(self, message: PoseWithCovarianceStamped) -> None:
        if self._job is None:
            return
        place, c = message.pose.pose.position, message.pose.covariance
        covariance = np.array([[c[0], c[1]], [c[6], c[7]]])
        self._tips.append(TipSeen(_seconds(message.header.stamp), np.array([place.x, place.y]), covariance))

    def _on_executed(self, message: JointTrajectory) -> None:
        if not message.points or len(message.points[0].positions) != len(JOINTS):
            return
        point = message.points[0]
        along_s = _seconds_from(point)
        stamp_s = _seconds(message.header.stamp)
        position_m = screen_from_knobs(point.positions, self._knobs)
        self._step(Progress(stamp_s, along_s, position_m))

    def _on_recorded(self, message: JointTrajectory) -> None:
        if message.points and _seconds_from(message.points[0]) == 0.0:
            self._heard.clear()  # a new timeline begins
        self._heard += message.points

    def _on_silence(self) -> None:
        """Orders go out, and the job's watchdogs are looked at, when the driver says nothing, too."""
        if self._steady.now().nanoseconds - self._stepped_ns > 200_000_000:
            self._step()

    def _on_request(self, name: str, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            if self._job is None:
                response.message = "There is no line to draw yet: publish one on line/path."
            elif name == "draw" and self._machine is MachineState.ABSENT:
                response.message = f"The machine cannot draw: {self._reason}."
            else:
                stopped = self._job.state in (JobState.IDLE, JobState.FAILED)
                entry = self._entry() if name == "resume" and stopped else None
                if entry is not None:
                    self._job.go_on(entry, self._machine)
                else:
                    getattr(self._job, name)()
                response.success, response.message = True, "accepted"
        except SketchCellError as error:
            response.message = str(error)
        return response

    def _entry(self) -> journal.Entry | None:
        return journal.load(FilePath(self._control.journal)) if self._control.journal else None

    def _note(self) -> None:
        """Keep the journal: the place once a second, nothing once the drawing is finished."""
        if not self._control.journal or self._job is None:
            return
        entry = self._job.entry()
        try:
            if entry is not None:
                journal.save(FilePath(self._control.journal), entry)
            elif self._job.state is JobState.DONE:
                journal.clear(FilePath(self._control.journal))
        except SketchCellError as error:
            self.get_logger().error(f"No journal is kept: {error}", throttle_duration_sec=60.0)

    def _now_s(self) -> float:
        """For the job's watchdogs: the time of a simulation, else that of a clock which nobody can set."""
        clock = self.get_clock()
        return float((clock if clock.ros_time_is_active else self._steady).now().nanoseconds) * 1e-9

    def _step(self, *progress: Progress) -> None:
        if self._job is None:
            return
        self._stepped_ns = self._steady.now().nanoseconds
        tips, self._tips = tuple(self._tips), []
        commands = self._take_commands() if self._replay else None
        inputs = JobInputs(self._machine, progress, tips, self._reason, commands)
        outputs = self._job.step(self._now_s(), inputs)
        for order in outputs.orders:
            future = self._driver_services[order].call_async(Trigger.Request())
            future.add_done_callback(partial(self._on_answer, order, self._job))
        if outputs.status.state is JobState.DRAWING:
            self._trajectory.publish(self._message(outputs))
            if self._job.tip_m is not None:
                self._markers.drawn(self._job.tip_m, self._job.error_m)
        self._tell(outputs)

    def _take_commands(self) -> Commands:
        """What the recorded controller has sent; while the job homes, all of it is kept for its beginning."""
        assert self._job is not None
        times_s = [_seconds_from(point) for point in self._heard]
        angles = np.array([point.positions for point in self._heard]).reshape(-1, len(JOINTS))
        if self._job.state is not JobState.HOMING:
            self._heard.clear()
        return Commands(np.array(times_s), screen_from_knobs(angles, self._knobs))

    def _on_answer(self, order: Order, job: Job, future: object) -> None:
        answer = future.result()  # type: ignore[attr-defined]
        if not answer.success:
            self.get_logger().error(f"The driver refused to {order.value}: {answer.message}")
            job.refused(order, answer.message)

    def _message(self, outputs: JobOutputs) -> JointTrajectory:
        """The new waypoints; a message without any tells the driver that the controller lives."""
        angles = knobs_from_screen(outputs.waypoint_m, self._knobs).tolist()
        points = []
        for time_s, position in zip(outputs.waypoint_time_s.tolist(), angles, strict=True):
            seconds, nanoseconds = divmod(round(time_s * 1e9), 10**9)
            duration = Duration(sec=seconds, nanosec=nanoseconds)
            points.append(JointTrajectoryPoint(positions=position, time_from_start=duration))
        return JointTrajectory(joint_names=JOINTS, points=points)

    def _tell(self, outputs: JobOutputs) -> None:
        """Publish the status when it changed visibly; idle is told only once the machine could draw."""
        status = outputs.status
        news = (status.state, status.reason, math.floor(status.progress * 500), status.jumps)
        waiting = status.state is JobState.IDLE and self._machine is MachineState.ABSENT
        if news == self._told or waiting:
            return
        if news[:2] != self._told[:2]:
            self.get_logger().info(f"job {status.state.value}{status.reason and ': ' + status.reason}")
        self._told = news
        level = DiagnosticStatus.ERROR if status.state is JobState.FAILED else DiagnosticStatus.OK
        level = DiagnosticStatus.WARN if status.state is JobState.PAUSED else level
        message = status_message(level, "drawing", status.reason or status.state.value, status.figures())
        self._status.publish(message)
        self._diagnostics.set(level, message.message, status.figures())

    def _show(self) -> None:
        """Markers, only while somebody looks."""
        watchers = self._drawn.get_subscription_count()
        if watchers and self._job is not None:
            now_ns = self.get_clock().now().nanoseconds
            self._drawn.publish(self._markers.take(now_ns, everything=watchers > self._watchers))
        self._watchers = watchers


def _seconds(stamp: object) -> float:
    return float(Time.from_msg(stamp).nanoseconds) * 1e-9


def _seconds_from(point: JointTrajectoryPoint) -> float:
    return float(point.time_from_start.sec + point.time_from_start.nanosec * 1e-9)


def main() -> None:
    """Run the node."""
    run(DrawingControllerNode)


if __name__ == "__main__":
    main()
