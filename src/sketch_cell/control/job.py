"""A drawing as a state machine: idle, homing, drawing, paused, done, failed; time and observations in, orders out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.estimator import Estimator, EstimatorSettings
from sketch_cell.control.follower import Follower, FollowerSettings
from sketch_cell.control.job_words import (
    ControlSettings,
    JobInputs,
    JobOutputs,
    JobState,
    JobStatus,
    MachineState,
    Order,
    Progress,
)
from sketch_cell.control.journal import Entry, line_digest
from sketch_cell.control.lead_in import lead_in, row_ends_m, way_back, way_home
from sketch_cell.control.polyline import arc_length_m
from sketch_cell.control.route import route
from sketch_cell.control.watch import Watch
from sketch_cell.errors import MachineError
from sketch_cell.machine.motion import MotionSettings, draw_time_s

Array = NDArray[np.float64]

_ASTRAY_M = 0.002  # further from the line than its play lets the motors be, they were moved by somebody else


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
        self.digest = line_digest(np.asarray(line_m, dtype=np.float64))
        self.line = route(line_m, self._control.tolerance_m, self._control.smallest_reversal_m)
        self.state = JobState.IDLE
        self.estimator: Estimator | None = None
        self.follower: Follower | None = None
        self._reason = ""
        self._orders: list[Order] = []
        self._entered_s = math.nan
        self._watch: Watch | None = None
        self._lead_in_m = 0.0
        self._homing_seen = False
        self._entry: Entry | None = None
        self._kept_position = False
        self._skipped_m = 0.0
        self._until_m = math.inf
        self.begun_s: float | None = None
        self.ended_s: float | None = None
        self._now_s = 0.0
        self._planned_s = math.nan

    @property
    def tip_m(self) -> Array | None:
        """Where the stylus is believed to be (2,) [m], None before anything is drawn."""
        return self._watch.tip_m if self._watch is not None else None

    @property
    def error_m(self) -> float:
        """How far that is from the line [m]."""
        return self._watch.error_m if self._watch is not None else 0.0

    @property
    def planned_s(self) -> float:
        """Planned time [s] for the line alone, take-ups of the expected backlash included."""
        return self._planned_s

    def draw(self) -> None:
        """Home and draw; raises `MachineError` with the reason when that is not possible now."""
        if self.state in (JobState.HOMING, JobState.DRAWING, JobState.PAUSED):
            raise MachineError(f"The job is {self.state.value} already: abort it before drawing again.")
        self._home_first(None)
        self._watch = self.begun_s = None

    def go_on(self, entry: Entry, machine: MachineState) -> None:
        """Go on with a drawing that a journal tells of, homing first only if the machine lost its position.

        Raises `MachineError` when another job is under way, or when the journal is of another line.
        """
        if entry.line != self.digest:
            raise MachineError("The journal is of another line: draw this one from its beginning.")
        self.draw()
        self._entry, self._kept_position = entry, machine is MachineState.READY
        if self._kept_position:
            self._orders.clear()
            self._homing_seen = True

    def entry(self) -> Entry | None:
        """What the journal should hold now; None while nothing is being drawn."""
        if self._watch is None or self.state not in (JobState.DRAWING, JobState.PAUSED):
            return None
        offset_x, offset_y = self._feed_forward()[0]
        return Entry(self.digest, self._place_m(), (float(offset_x), float(offset_y)), self._backlash_pair())

    @property
    def on_line(self) -> bool:
        """Whether the stylus is on the line itself, not on a way to or from it."""
        if self.state is JobState.DONE:
            return True
        if self.state is not JobState.DRAWING or self._watch is None:
            return False
        along_m = self._watch.along_m - self._lead_in_m
        return 0.0 <= along_m <= self._until_m - self._skipped_m

    def _place_m(self) -> float:
        """How far along the whole line the board has come [m]."""
        if self.state is JobState.HOMING or self._watch is None:
            return self._entry.along_m if self._entry is not None else 0.0
        along_m = self._skipped_m + max(self._watch.along_m - self._lead_in_m, 0.0)
        return min(along_m, self._until_m, float(self.line.along_m[-1]))

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
        if self._watch is not None:
            self._watch.forgive()
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
            self._entered_s = now_s
            if self._watch is not None:
                self._watch.begin(now_s)
        if self._watch is not None and self.state in (JobState.DRAWING, JobState.PAUSED):
            self._hear(inputs)
            self._watch.observe(now_s, inputs)
        times, points = np.zeros(0), np.zeros((0, 2))
        moving = self.state is JobState.DRAWING or (self.state is JobState.HOMING and self._homing_seen)
        if inputs.machine is MachineState.FAULT and moving:
            self._fail(inputs.reason or "the driver reports a fault")
        elif self.state is JobState.HOMING:
            self._home(now_s, inputs)
        if self.state is JobState.DRAWING and self._watch is not None:
            trouble = self._watch.trouble(now_s)
            if trouble:
                self.pause(trouble)
        if self.state is JobState.DRAWING:
            times, points = self._draw_on(now_s, inputs.machine)
        orders, self._orders = tuple(self._orders), []
        return JobOutputs(self.status(), orders, times, points)

    def status(self) -> JobStatus:
        """The state, and figures that are 0 before there are any."""
        estimator, watch = self.estimator, self._watch
        return JobStatus(
            state=self.state,
            reason=self._reason,
            progress=1.0 if self.state is JobState.DONE else self._place_m() / float(self.line.along_m[-1]),
            time_left_s=watch.left_s if watch is not None else math.nan,
            deviation_m=watch.deviation_m if watch is not None else math.nan,
            jumps=len(estimator.jumps) if estimator else 0,
            offset_m=estimator.offset_m if estimator else np.zeros(2),
            backlash_m=estimator.backlash_m if estimator else np.zeros(2),
            planned_s=self.planned_s,
            draw_s=(self.ended_s or self._now_s) - self.begun_s if self.begun_s else 0.0,
        )

    def _home(self, now_s: float, inputs: JobInputs) -> None:
        if now_s - self._entered_s > self._control.homing_timeout_s:
            self._fail("homing took too long: check the switches and the driver's messages")
        elif inputs.machine is MachineState.HOMING:
            self._homing_seen = True
        elif inputs.machine is MachineState.READY and self._homing_seen and inputs.progress:
            self._begin(inputs.progress[-1], now_s)
            if self.state is JobState.DRAWING:
                self._hear(inputs)

    def _home_first(self, entry: Entry | None) -> None:
        """Home, then draw: what is left after the place in `entry`, or all of the line."""
        self._enter(JobState.HOMING, "")
        self._homing_seen, self._entry, self._kept_position = False, entry, False
        self._orders.append(Order.HOME)

    def _hear(self, inputs: JobInputs) -> None:
        """Where another controller moves the board, what is seen is held against that one's commands."""
        assert self.follower is not None
        if inputs.commands is not None:
            self.follower.hear(inputs.commands.time_s, inputs.commands.position_m, *self._feed_forward())

    def _begin(self, start: Progress, now_s: float) -> None:
        """Plan the way from where the board stands to where the drawing begins or goes on, and start."""
        self.estimator = None
        start_m = start.position_m
        offset, backlash = self._feed_forward()
        if self._entry is not None and self._control.loop != "open":
            backlash = np.array(self._entry.backlash_m)
            offset = np.array(self._entry.offset_m) if self._kept_position else -backlash / 2
        way, rest = self._way(start_m, offset)
        if self._kept_position and np.hypot(*(rest[0] - way[-1])) > _ASTRAY_M + np.hypot(*backlash) / 2:
            self._home_first(self._entry)  # homed or moved by hand since: a straight way would be ink
            return
        self._lead_in_m = float(arc_length_m(np.vstack([way, rest[:1]]))[-1])
        self._until_m = self._next_touch_m() if self._control.loop == "homing" else math.inf
        if math.isfinite(self._until_m):
            rest = self.line.part(self._skipped_m, self._until_m)
            rest = np.vstack([rest, way_home(self.line.xy_m, rest[-1], float(start_m[1]))])
        whole = route(np.vstack([way, rest]), 0.0, self._control.smallest_reversal_m)
        self.follower = Follower(whole, start_m, offset, backlash, self._follower_settings, self._motion)
        self.estimator = Estimator(self._estimator_settings, self.follower.path, offset, backlash)
        begun = Progress(start.stamp_s, 0.0, start_m)
        self._watch = Watch(self._control, self.follower, self.estimator, begun, now_s)
        self.ended_s = None
        self._enter(JobState.DRAWING, "")
        self._entered_s = now_s

    def _way(self, start_m: Array, offset_m: Array) -> tuple[Array, Array]:
        """Vertices of the way from the motor position start_m (2,), and of what is left of the line."""
        if self._entry is None:
            self._skipped_m = 0.0
            calibrate = self._control.loop == "camera" and self._control.calibrate
            return lead_in(start_m, self.line.xy_m, calibrate), self.line.xy_m
        stopped_m = self._entry.along_m
        if self._kept_position:  # the driver went on for a moment after the last entry
            here = start_m + offset_m
            self._skipped_m = self.line.nearest_m(here, stopped_m - 0.005, stopped_m + 0.1)
            return here[None], self.line.tail(self._skipped_m)
        way, self._skipped_m = way_back(start_m, self.line.xy_m, self.line.along_m, stopped_m)
        return way, self.line.tail(self._skipped_m)

    def _feed_forward(self) -> tuple[Array, Array]:
        """Offset and backlash to draw with as things stand: what the loop in use knows of them."""
        settings = self._estimator_settings
        if self._control.loop == "open":
            return np.zeros(2), np.zeros(2)
        if self._control.loop == "camera" and self.estimator is not None:
            return self.estimator.offset_m, self.estimator.backlash_m
        backlash = np.array([settings.backlash_x_m, settings.backlash_y_m])
        return -backlash / 2, backlash

    def _draw_on(self, now_s: float, machine: MachineState) -> tuple[Array, Array]:
        assert self.follower is not None and self._watch is not None
        newest = self._watch.newest
        if self.begun_s is None and self._watch.along_m >= self._lead_in_m:
            self.begun_s = now_s
            backlash_m = self._feed_forward()[1]
            self._planned_s = draw_time_s(self.line.with_take_ups(backlash_m)[0], self._motion)
        offset, backlash = self._feed_forward()
        first = self.follower.begins
        times, points = self.follower.send(newest.timeline_s, offset, backlash)
        if first:  # so that the driver's timeline begins where and when ours does
            times, points = np.append(0.0, times), np.vstack([newest.position_m, points])
        if self.follower.finished and newest.timeline_s >= self.follower.told_to_s - 1e-6:
            self._arrive(now_s, machine)
        return times, points

    def _next_touch_m(self) -> float:
        """The next row end [m] along the line at which the switches are touched; infinite after the last."""
        both = self._control.homing_ends == "both"
        places = row_ends_m(self.line.xy_m, self.line.along_m, both_sides=both)
        return next((place for place in places if place > self._skipped_m + 0.05), math.inf)

    def _arrive(self, now_s: float, machine: MachineState) -> None:
        """The end of what was planned: of the line, or of a row after which the machine is homed anew."""
        if math.isfinite(self._until_m):
            if machine is not MachineState.READY:  # the driver homes from rest only
                return
            entry = Entry(self.digest, self._until_m, (0.0, 0.0), self._backlash_pair())
            self._home_first(entry)
        else:
            self._enter(JobState.DONE, "")
            self.ended_s = now_s

    def _backlash_pair(self) -> tuple[float, float]:
        b_x, b_y = self._feed_forward()[1]
        return float(b_x), float(b_y)

    def _enter(self, state: JobState, reason: str) -> None:
        self.state, self._reason = state, reason
        self._entered_s = math.nan

    def _fail(self, reason: str) -> None:
        self._enter(JobState.FAILED, reason)
        self._orders.append(Order.STOP)
