"""A drawing as a state machine: idle, homing, drawing, paused, done, failed; time and observations in, orders out."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.estimator import Estimator, EstimatorSettings
from sketch_cell.control.follower import Follower, FollowerSettings
from sketch_cell.control.lead_in import lead_in
from sketch_cell.control.route import route
from sketch_cell.errors import MachineError
from sketch_cell.machine.motion import MotionSettings, draw_time_s
from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]

LOOPS = ("open", "backlash", "homing", "camera", "closed")  # closed: another word for camera


class JobState(enum.Enum):
    """What the job is doing."""

    IDLE = "idle"
    HOMING = "homing"
    DRAWING = "drawing"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


class MachineState(enum.Enum):
    """What the job needs to know of the driver."""

    ABSENT = "absent"
    UNHOMED = "unhomed"
    HOMING = "homing"
    READY = "ready"
    HELD = "held"
    FAULT = "fault"


class Order(enum.Enum):
    """What the job wants of the driver besides motion."""

    HOME = "home"
    HOLD = "hold"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True)
class ControlSettings(Settings):
    """How a job is run: which loop is closed, how the line is prepared, and when to stop and ask."""

    loop: str = setting(
        "camera",
        "what corrects the drawing: nothing, feed-forward of the backlash, row-end homing or the camera",
        choices=LOOPS,
    )
    tolerance_m: float = setting(
        0.00003, "how far the line may move when vertices are dropped", unit="m", minimum=0.0, maximum=0.001
    )
    smallest_reversal_m: float = setting(
        0.00005, "wiggles of an axis smaller than this get no take-up", unit="m", minimum=0.0, maximum=0.01
    )
    calibrate: bool = setting(
        True, "draw a short zigzag in the left margin first, to measure the backlash (loop camera)"
    )
    no_tip_s: float = setting(
        15.0, "pause when no tip was seen for so long while drawing", unit="s", minimum=0.1
    )
    no_progress_s: float = setting(
        5.0, "pause when the board did not move for so long while drawing", unit="s", minimum=0.1
    )
    deviation_limit_m: float = setting(
        0.006, "pause when the stylus is this far from the line", unit="m", minimum=0.0001
    )
    homing_timeout_s: float = setting(90.0, "give up homing after so long", unit="s", minimum=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loop == "closed":
            object.__setattr__(self, "loop", "camera")


@dataclass(frozen=True)
class Progress:
    """How far along the appended timeline the board had moved, and where the motors were (2,) [m], at a time."""

    stamp_s: float
    timeline_s: float
    position_m: Array


@dataclass(frozen=True)
class TipSeen:
    """One tip from the tracker: exposure stamp, place (2,) [m, screen] and covariance (2, 2) [m^2]."""

    stamp_s: float
    xy_m: Array
    covariance_m2: Array


@dataclass(frozen=True)
class JobInputs:
    """What was observed since the last step."""

    machine: MachineState
    progress: tuple[Progress, ...] = ()
    tips: tuple[TipSeen, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class JobStatus:
    """What a person wants to know."""

    state: JobState
    reason: str
    progress: float
    time_left_s: float
    deviation_m: float
    jumps: int
    offset_m: Array
    backlash_m: Array
    planned_s: float
    draw_s: float

    def figures(self) -> dict[str, str]:
        """All of it as text, for a status message."""
        numbers = {
            "progress": self.progress,
            "time_left_s": self.time_left_s,
            "deviation_mm": self.deviation_m * 1e3,
            "planned_s": self.planned_s,
            "draw_s": self.draw_s,
            "offset_x_mm": self.offset_m[0] * 1e3,
            "offset_y_mm": self.offset_m[1] * 1e3,
            "backlash_x_mm": self.backlash_m[0] * 1e3,
            "backlash_y_mm": self.backlash_m[1] * 1e3,
        }
        known = {name: f"{value:.6g}" for name, value in numbers.items() if math.isfinite(value)}
        return {"state": self.state.value, **known, "lost_steps_found": str(self.jumps)}


@dataclass(frozen=True)
class JobOutputs:
    """Waypoints to append (times (n,) [s] on the timeline, motor positions (n, 2) [m]), orders, and the status."""

    status: JobStatus
    orders: tuple[Order, ...] = ()
    waypoint_time_s: Array = field(default_factory=lambda: np.zeros(0))
    waypoint_m: Array = field(default_factory=lambda: np.zeros((0, 2)))


class Job:
    """One drawing of one line. `step` is called at 20 Hz or more; requests are answered at once."""

    def __init__(
        self,
        line_m: Array,
        control: ControlSettings | None = None,
        estimator: EstimatorSettings | None = None,
        follower: FollowerSettings | None = None,
        motion: MotionSettings | None = None,
    ) -> None:
        """Prepare to draw line_m (N, 2) [m, screen]; raises `InputError` when it cannot be drawn."""
        self._control = control or ControlSettings()
        self._estimator_settings = estimator or EstimatorSettings()
        self._follower_settings = follower or FollowerSettings()
        self._motion = motion or MotionSettings()
        self.line = route(line_m, self._control.tolerance_m, self._control.smallest_reversal_m)
        self.state = JobState.IDLE
        self.estimator: Estimator | None = None
        self.follower: Follower | None = None
        self._reason = ""
        self._orders: list[Order] = []
        self._entered_s = math.nan
        self._newest: Progress | None = None
        self._moved_s = self._tip_s = math.nan
        self._waiting_tips: list[TipSeen] = []
        self._error_sq_m2 = 0.0
        self._lead_in_m = 0.0
        self._homing_seen = False
        self.begun_s: float | None = None
        self.ended_s: float | None = None
        self.tip_m: Array | None = None
        self.error_m = 0.0
        self._now_s = 0.0
        self._planned_s = math.nan

    @property
    def planned_s(self) -> float:
        """Planned time [s] for the line alone, take-ups of the expected backlash included."""
        return self._planned_s

    def draw(self) -> None:
        """Home and draw; raises `MachineError` with the reason when that is not possible now."""
        if self.state in (JobState.HOMING, JobState.DRAWING, JobState.PAUSED):
            raise MachineError(f"The job is {self.state.value} already: abort it before drawing again.")
        self._enter(JobState.HOMING, "")
        self._homing_seen = False
        self._orders.append(Order.HOME)

    def pause(self, reason: str = "paused by request") -> None:
        """Hold in the middle of the line; raises `MachineError` when nothing is being drawn."""
        if self.state is not JobState.DRAWING:
            raise MachineError(f"The job is {self.state.value}: only a drawing can be paused.")
        self._enter(JobState.PAUSED, reason)
        self._orders.append(Order.HOLD)

    def resume(self) -> None:
        """Go on after a pause; raises `MachineError` when the job is not paused."""
        if self.state is not JobState.PAUSED:
            raise MachineError(f"The job is {self.state.value}: only a paused job can be resumed.")
        self._enter(JobState.DRAWING, "")
        self._orders.append(Order.RESUME)

    def abort(self) -> None:
        """Stop for good; raises `MachineError` when nothing is running."""
        if self.state not in (JobState.HOMING, JobState.DRAWING, JobState.PAUSED):
            raise MachineError(f"The job is {self.state.value}: there is nothing to abort.")
        self._fail("aborted by request")

    def refused(self, order: Order, reason: str) -> None:
        """The driver refused an order: without homing or a stop there is nothing to go on with."""
        if order is Order.HOME and self.state is JobState.HOMING:
            self._enter(JobState.FAILED, reason)
        elif order is Order.RESUME and self.state is JobState.DRAWING:
            self._enter(JobState.PAUSED, reason)

    def step(self, now_s: float, inputs: JobInputs) -> JobOutputs:
        """Take in what was observed and say what to do next."""
        self._now_s = now_s
        if math.isnan(self._entered_s):
            self._entered_s = self._moved_s = self._tip_s = now_s
        self._observe(now_s, inputs)
        times, points = np.zeros(0), np.zeros((0, 2))
        moving = self.state is JobState.DRAWING or (self.state is JobState.HOMING and self._homing_seen)
        if inputs.machine is MachineState.FAULT and moving:
            self._fail(inputs.reason or "the driver reports a fault")
        elif self.state is JobState.HOMING:
            self._home(now_s, inputs)
        if self.state is JobState.DRAWING:
            self._watch(now_s)
        if self.state is JobState.DRAWING:
            times, points = self._draw_on(now_s)
        orders, self._orders = tuple(self._orders), []
        return JobOutputs(self.status(), orders, times, points)

    def status(self) -> JobStatus:
        """The state, and figures that are 0 before there are any."""
        estimator, follower = self.estimator, self.follower
        done = 0.0
        left_s = math.nan
        if follower is not None and self._newest is not None:
            along_m = follower.path.along(self._newest.timeline_s)
            length_m = follower.route.along_m[-1] - self._lead_in_m
            done = min(max((along_m - self._lead_in_m) / length_m, 0.0), 1.0)
            left_s = follower.planned_s - follower.due_s(along_m)
        return JobStatus(
            state=self.state,
            reason=self._reason,
            progress=1.0 if self.state is JobState.DONE else done,
            time_left_s=left_s,
            deviation_m=math.sqrt(self._error_sq_m2) if self._control.loop == "camera" else math.nan,
            jumps=len(estimator.jumps) if estimator else 0,
            offset_m=estimator.offset_m if estimator else np.zeros(2),
            backlash_m=estimator.backlash_m if estimator else np.zeros(2),
            planned_s=self.planned_s,
            draw_s=(self.ended_s or self._now_s) - self.begun_s if self.begun_s else 0.0,
        )

    def _observe(self, now_s: float, inputs: JobInputs) -> None:
        for progress in inputs.progress:
            before = self._newest
            if before is None or np.any(progress.position_m != before.position_m):
                self._moved_s = now_s
            self._newest = progress
            if self.estimator is not None:
                self.estimator.progress(progress.stamp_s, progress.timeline_s)
        if self.estimator is None or self.state not in (JobState.DRAWING, JobState.PAUSED):
            return
        self._waiting_tips.extend(inputs.tips)
        while self._waiting_tips and self.estimator.can_see(self._waiting_tips[0].stamp_s):
            tip = self._waiting_tips.pop(0)
            self._tip_s = now_s
            self.estimator.see(tip.stamp_s, tip.xy_m, tip.covariance_m2)
        self._judge()

    def _judge(self) -> None:
        """Follow the distance between the line and where the stylus is believed to be, as a running mean square."""
        assert self.estimator is not None and self.follower is not None
        if self._newest is None:
            return
        if self._control.loop != "camera":
            self.tip_m = self._newest.position_m  # nobody sees the stylus: all there is to show is the motors
            return
        timeline_s = self._newest.timeline_s
        self.tip_m = self.estimator.model_tip_m(timeline_s)
        self.error_m = self.follower.distance_m(self.tip_m, self.follower.path.along(timeline_s))
        self._error_sq_m2 += 0.02 * (self.error_m**2 - self._error_sq_m2)

    def _home(self, now_s: float, inputs: JobInputs) -> None:
        if now_s - self._entered_s > self._control.homing_timeout_s:
            self._fail("homing took too long: check the switches and the driver's messages")
        elif inputs.machine is MachineState.HOMING:
            self._homing_seen = True
        elif inputs.machine is MachineState.READY and self._homing_seen and self._newest and inputs.progress:
            self._begin(self._newest.position_m, now_s)

    def _begin(self, start_m: Array, now_s: float) -> None:
        """Plan the way from the homed position along the margin to the line, and start."""
        calibrate = self._control.loop == "camera" and self._control.calibrate
        way = lead_in(start_m, self.line.xy_m, calibrate)
        whole = route(np.vstack([way, self.line.xy_m]), 0.0, self._control.smallest_reversal_m)
        self._lead_in_m = float(whole.along_m[-1] - self.line.along_m[-1])
        offset, backlash = self._feed_forward()
        self.follower = Follower(whole, start_m, offset, backlash, self._follower_settings, self._motion)
        self.estimator = Estimator(self._estimator_settings, self.follower.path)
        self._newest = Progress(now_s, 0.0, start_m)
        self._tip_s = self._moved_s = now_s
        self._enter(JobState.DRAWING, "")
        self._entered_s = now_s

    def _feed_forward(self) -> tuple[Array, Array]:
        """Offset and backlash to draw with as things stand: what the loop in use knows of them."""
        settings = self._estimator_settings
        if self._control.loop == "open":
            return np.zeros(2), np.zeros(2)
        if self._control.loop == "camera" and self.estimator is not None:
            return self.estimator.offset_m, self.estimator.backlash_m
        backlash = np.array([settings.backlash_x_m, settings.backlash_y_m])
        return -backlash / 2, backlash

    def _draw_on(self, now_s: float) -> tuple[Array, Array]:
        assert self.follower is not None and self._newest is not None
        timeline_s = self._newest.timeline_s
        if self.begun_s is None and self.follower.path.along(timeline_s) >= self._lead_in_m:
            self.begun_s = now_s
            backlash_m = self._feed_forward()[1]
            self._planned_s = draw_time_s(self.line.with_take_ups(backlash_m)[0], self._motion)
        offset, backlash = self._feed_forward()
        first = len(self.follower.path.time_s) == 1
        times, points = self.follower.send(timeline_s, offset, backlash)
        if first:  # so that the driver's timeline begins where and when ours does
            times, points = np.append(0.0, times), np.vstack([self._newest.position_m, points])
        if self.follower.finished and timeline_s >= self.follower.sent_to_s - 1e-6:
            self._enter(JobState.DONE, "")
            self.ended_s = now_s
        return times, points

    def _watch(self, now_s: float) -> None:
        """Pause, and say why, when what is seen cannot be right."""
        if now_s - self._moved_s > self._control.no_progress_s:
            self.pause("the board does not move: check the driver, then resume")
        elif self._control.loop == "camera" and now_s - self._tip_s > self._control.no_tip_s:
            self.pause("the camera has not seen the tip for too long: clear its view, then resume")
        elif math.sqrt(self._error_sq_m2) > self._control.deviation_limit_m:
            self.pause("the stylus is too far from the line: look at the machine, then resume")

    def _enter(self, state: JobState, reason: str) -> None:
        self.state, self._reason = state, reason
        self._entered_s = math.nan

    def _fail(self, reason: str) -> None:
        self._enter(JobState.FAILED, reason)
        self._orders.append(Order.STOP)
