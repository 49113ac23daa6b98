"""Grbl's stepper in the twin: blocks become 10 ms segments, segments become steps at given times.

As in the real firmware up to five segments are prepared, so a feed hold acts about 50 ms late; within a
segment the step rate is constant. Units: steps, millimetres, seconds on the firmware's own time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.twin.grbl_planner import AXES, Block, Planner

SEGMENT_S = 0.010
SEGMENTS_AHEAD = 4  # besides the running one
SLOWEST_STEP_S = 65535 * 8 / 16e6  # the step timer cannot count further, so slower moves run at this pace
FEWEST_STEPS = 1.25  # a slower segment is stretched until it holds at least one whole step


@dataclass
class Segment:
    """Signed steps per axis, spread evenly over a duration."""

    steps: list[int]
    duration_s: float


@dataclass
class Phase:
    """A stretch of constant acceleration."""

    duration_s: float
    speed: float
    acceleration: float


class Stepper:
    """Executes the planner's blocks; `position` is what the board believes, `motor` what the motors did."""

    def __init__(self) -> None:
        self.planner: Planner
        self.position = [0, 0, 0]
        self.motor = [0, 0, 0]
        self.inverted = (False, False, False)
        self.holding = False
        self.system_block: Block | None = None
        self.end_of_motion = False
        self.locked = [False, False, False]
        self.now_s = 0.0
        self._trace: list[tuple[float, int, int]] = []
        self.reset()

    def reset(self) -> None:
        """Stop at once and forget every prepared segment."""
        self._settle(self.now_s)
        self._segments: deque[Segment] = deque()
        self._running: Segment | None = None
        self._start_s = 0.0
        self.active = False
        self.speed = 0.0
        self._block: Block | None = None
        self._phases: deque[Phase] = deque()
        self._exit_speed = 0.0
        self._decelerating = False
        self._steps_left = 0
        self._steps_per_mm = 1.0
        self._events_done = 0
        self._resume_partial = False
        self.end_of_motion = False

    # -- time --

    @property
    def segment_end_s(self) -> float:
        """When the running segment ends; infinite at rest."""
        return self._start_s + self._running.duration_s if self._running else math.inf

    def advance(self, now_s: float) -> bool:
        """Let time pass up to the end of the running segment at most; True when the last segment has ended."""
        self.now_s = now_s
        if self._running is None or now_s < self.segment_end_s - 1e-12:
            return False
        end_s = self.segment_end_s
        self._apply(self._running.steps, end_s)
        self._running = None
        self.prepare()
        return not self._next(end_s)

    def wake(self) -> None:
        """Begin executing, if anything is prepared."""
        self.active = True
        self.prepare()
        if self._running is None and not self._next(self.now_s):
            self.active = False

    def lock(self, axis: int) -> None:
        """Let no further step of an axis through (homing: its switch has been reached)."""
        self._settle(self.now_s)
        self.locked[axis] = True

    def steps_now(self) -> list[int]:
        """The position the board reports now, in the middle of a segment too."""
        if self._running is None:
            return list(self.position)
        part = self._part(self.now_s)
        return [self.position[i] + part[i] for i in range(AXES)]

    def samples(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Motor steps (n, 2) of x and y at times (n,) since the last call; rounded to whole steps."""
        self._settle(self.now_s)
        trace, self._trace = self._trace, [(self.now_s, self.motor[0], self.motor[1])]
        if len(trace) < 2 or len(times_s) == 1:  # at rest, or the only sample is now
            return np.tile(np.array(self.motor[:2], dtype=np.float64), (len(times_s), 1))
        knots = np.array(trace)
        out = np.empty((len(times_s), 2))
        for axis in range(2):
            out[:, axis] = np.interp(times_s, knots[:, 0], knots[:, axis + 1])
        return np.rint(out, out=out)

    def _next(self, start_s: float) -> bool:
        if not self._segments:
            self.active = False
            return False
        self._running, self._start_s = self._segments.popleft(), start_s
        self._mark(start_s)
        return True

    def _mark(self, time_s: float) -> None:
        """Note a corner of the motors' path, for `samples`."""
        self._trace.append((time_s, self.motor[0], self.motor[1]))

    def _apply(self, steps: list[int], time_s: float) -> None:
        for axis in range(AXES):
            if steps[axis] and not self.locked[axis]:
                self.position[axis] += steps[axis]
                self.motor[axis] += -steps[axis] if self.inverted[axis] else steps[axis]
        self._mark(time_s)

    def _part(self, now_s: float) -> list[int]:
        running = self._running
        assert running is not None
        share = min(max((now_s - self._start_s) / running.duration_s, 0.0), 1.0)
        return [0 if self.locked[i] else int(running.steps[i] * share) for i in range(AXES)]

    def _settle(self, now_s: float) -> None:
        """Turn the part of the running segment that is over into steps made."""
        running = getattr(self, "_running", None)
        if running is None or now_s <= self._start_s:
            return
        part = self._part(now_s)
        self._apply(part, now_s)
        left = [0 if self.locked[i] else running.steps[i] - part[i] for i in range(AXES)]
        self._running = Segment(left, max(self.segment_end_s - now_s, 1e-9))
        self._start_s = now_s

    # -- preparation --

    def replanned(self) -> None:
        """The block in preparation has a new exit speed, or must stop: its profile starts from the speed now."""
        if self._block is not None:
            self._block.entry_sq = self.speed**2
            self._block = None
            self._resume_partial = True

    def prepare(self) -> None:
        """Fill the queue of segments from the planner."""
        while not self.end_of_motion and len(self._segments) < SEGMENTS_AHEAD:
            if self._block is None and not self._load():
                return
            self._prepare_segment()

    def _load(self) -> bool:
        block = self.system_block or (self.planner.blocks[0] if self.planner.blocks else None)
        if block is None:
            return False
        if self._resume_partial:
            self._resume_partial = False
        else:
            self._steps_left, self._events_done = block.events, 0
            self._steps_per_mm = block.events / block.millimetres
            if self.holding or self._decelerating:
                block.entry_sq = self._exit_speed**2
                self._decelerating = False
            self.speed = math.sqrt(block.entry_sq)
        self._block = block
        self._stop_at_mm = 0.0
        self._phases = self._stopping(block) if self.holding else self._profile(block)
        return True

    def _stopping(self, block: Block) -> deque[Phase]:
        """Brake as hard as allowed; the stop may lie in a later block."""
        speed, a = math.sqrt(block.entry_sq), block.acceleration
        left = block.millimetres - block.entry_sq / (2 * a)
        self._exit_speed = math.sqrt(max(-2 * a * left, 0.0))
        self._stop_at_mm = max(left, 0.0)
        return deque([Phase((speed - self._exit_speed) / a, speed, -a)])

    def _profile(self, block: Block) -> deque[Phase]:
        """Accelerate, cruise, brake: the trapezoid between the block's entry and exit speeds."""
        a, length, entry_sq = block.acceleration, block.millimetres, block.entry_sq
        exit_sq = 0.0 if self.system_block else self.planner.exit_sq()
        nominal = self.planner.nominal(block)
        entry = math.sqrt(entry_sq)
        if entry > nominal * (1 + 1e-9) and entry_sq - nominal**2 >= 2 * a * length:
            self._decelerating = True  # an override cut the speed by more than this block can shed
            self._exit_speed = math.sqrt(entry_sq - 2 * a * length)
            return deque([Phase((entry - self._exit_speed) / a, entry, -a)])
        peak = min(nominal, math.sqrt(a * length + (entry_sq + exit_sq) / 2))
        peak = max(peak, min(math.sqrt(exit_sq), nominal))
        self._exit_speed = min(math.sqrt(exit_sq), peak)
        first = abs(peak**2 - entry_sq) / (2 * a)
        last = (peak**2 - self._exit_speed**2) / (2 * a)
        phases = deque([Phase(abs(peak - entry) / a, entry, a if peak >= entry else -a)])
        phases.append(Phase(max(length - first - last, 0.0) / peak, peak, 0.0))
        phases.append(Phase((peak - self._exit_speed) / a, peak, -a))
        return phases

    def _prepare_segment(self) -> None:
        block = self._block
        assert block is not None
        least_mm = FEWEST_STEPS / self._steps_per_mm
        travelled, duration = 0.0, 0.0
        while self._phases and (duration < SEGMENT_S or travelled < least_mm):
            step_s = SEGMENT_S - duration if duration < SEGMENT_S else SEGMENT_S
            length, used = self._travel(step_s)
            travelled += length
            duration += used
        left_mm = block.millimetres - travelled if self._phases else self._stop_at_mm
        self._emit(block, max(left_mm, 0.0), duration)

    def _travel(self, duration_s: float) -> tuple[float, float]:
        """Millimetres covered, and seconds used, within the first phase."""
        phase = self._phases[0]
        if phase.duration_s <= duration_s + 1e-12:
            self._phases.popleft()
            used = phase.duration_s
            self.speed = phase.speed + phase.acceleration * used
            return (phase.speed + self.speed) / 2 * used, used
        self.speed = phase.speed + phase.acceleration * duration_s
        length = (phase.speed + self.speed) / 2 * duration_s
        phase.duration_s -= duration_s
        phase.speed = self.speed
        return length, duration_s

    def _emit(self, block: Block, left_mm: float, duration_s: float) -> None:
        steps_left = math.ceil(left_mm * self._steps_per_mm - 1e-9)
        if steps_left == self._steps_left and self.holding:
            self.end_of_motion = True
            return
        done = self._events_done + self._steps_left - steps_left
        steps = [
            _share(done, s, block.events) - _share(self._events_done, s, block.events) for s in block.steps
        ]
        longest_s = (done - self._events_done) * SLOWEST_STEP_S
        self._segments.append(Segment(steps, max(min(duration_s, longest_s), 1e-6)))
        self._events_done, self._steps_left = done, steps_left
        block.millimetres = left_mm
        if self._phases:
            return
        if left_mm > 0:
            self.end_of_motion = True  # a hold has ended within the block
        elif self.system_block:
            self.end_of_motion = True
        else:
            self._block = None
            self.planner.discard()


def _share(done: int, steps: int, events: int) -> int:
    """Steps an axis has made after `done` of a block's step events (Bresenham's line)."""
    made = (2 * done * abs(steps) + events) // (2 * events)
    return made if steps >= 0 else -made
