"""What is seen of a drawing under way: the board's progress, the tips, and what cannot be right about them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.estimator import Estimator
from sketch_cell.control.follower import Follower
from sketch_cell.control.job_words import ControlSettings, JobInputs, Progress, TipSeen

Array = NDArray[np.float64]

AHEAD_S = 1.0  # how far the camera's clock may be ahead of the board's


class Watch:
    """Gives the estimator what it learns from, follows how far the stylus is off, and says when a person must look.

    `newest` is how far the board has come, `tip_m` (2,) [m] where the stylus is believed to be (where nobody sees it:
    the motors), `error_m` how far that is from the line [m].
    """

    def __init__(
        self,
        control: ControlSettings,
        follower: Follower,
        estimator: Estimator,
        start: Progress,
        now_s: float,
    ) -> None:
        self._control, self._follower, self._estimator = control, follower, estimator
        self.newest = start
        self.tip_m: Array | None = None
        self.error_m = 0.0
        self._moved_s = self._tip_s = now_s
        self._waiting_tips: list[TipSeen] = []
        self._error_sq_m2 = self._seen_off_m = 0.0

    @property
    def along_m(self) -> float:
        """How far along its way the board has come [m]."""
        return self._follower.path.along(self.newest.timeline_s)

    @property
    def left_s(self) -> float:
        """Planned time from there to the end [s]."""
        return self._follower.planned_s - self._follower.due_s(self.along_m)

    @property
    def deviation_m(self) -> float:
        """Running RMS distance [m] between the line and where the stylus is believed to be; nan without a camera."""
        return math.sqrt(self._error_sq_m2) if self._control.loop == "camera" else math.nan

    def begin(self, now_s: float) -> None:
        """From now on things should move: the waiting starts anew."""
        self._moved_s = self._tip_s = now_s

    def forgive(self) -> None:
        """A person has looked: what was seen off the line before counts no more."""
        self._seen_off_m = 0.0

    def observe(self, now_s: float, inputs: JobInputs) -> None:
        """Take in what was observed since the last time."""
        for progress in inputs.progress:
            if progress.timeline_s < self.newest.timeline_s:
                continue  # a driver that has dropped its path begins at 0 again; the place on the line is kept
            if np.any(progress.position_m != self.newest.position_m):
                self._moved_s = now_s
            self.newest = progress
            self._estimator.progress(progress.stamp_s, progress.timeline_s)
        for tip in filter(self._makes_sense, inputs.tips):
            if self._waiting_tips and tip.stamp_s < self._waiting_tips[-1].stamp_s:
                self._waiting_tips.clear()  # the clock was set back: they would be held against later progress
            self._waiting_tips.append(tip)
        while self._waiting_tips and self._estimator.can_see(self._waiting_tips[0].stamp_s):
            tip = self._waiting_tips.pop(0)
            self._tip_s = now_s
            self._estimator.see(tip.stamp_s, tip.xy_m, tip.covariance_m2)
            along_m = self._follower.path.along(self._estimator.timeline_s(tip.stamp_s))
            off_m = self._follower.distance_m(tip.xy_m, along_m)
            self._seen_off_m += 0.1 * (off_m - self._seen_off_m)
        self._judge()

    def trouble(self, now_s: float) -> str:
        """Why the drawing must wait for a person, empty where nothing is wrong."""
        if now_s - self._moved_s > self._control.no_progress_s:
            return "the board does not move: check the driver, then resume"
        if self._control.loop == "camera" and now_s - self._tip_s > self._control.no_tip_s:
            return "the camera has not seen the tip for too long: clear its view, then resume"
        if self._seen_off_m > self._control.deviation_limit_m:
            return "the stylus is too far from the line: look at the machine, then resume"
        return ""

    def _judge(self) -> None:
        if self._control.loop != "camera":
            self.tip_m = self.newest.position_m  # nobody sees the stylus: all there is to show is the motors
            return
        self.tip_m = self._estimator.model_tip_m(self.newest.timeline_s)
        self.error_m = self._follower.distance_m(self.tip_m, self.along_m)
        self._error_sq_m2 += 0.02 * (self.error_m**2 - self._error_sq_m2)

    def _makes_sense(self, tip: TipSeen) -> bool:
        """Whether a tip may be learnt from: all of it finite, and seen by now."""
        finite = np.isfinite(tip.xy_m).all() and np.isfinite(tip.covariance_m2).all()
        return bool(finite) and tip.stamp_s <= self.newest.stamp_s + AHEAD_S
