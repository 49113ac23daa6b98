"""Waypoints on their way to the board: queued, formed into lines, sent, and how far the board has come."""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.machine import grbl
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.conversation import Conversation
from sketch_cell.machine.driver_types import Motion
from sketch_cell.machine.motion import MotionSettings
from sketch_cell.machine.timeline import Point, Progress, Timeline

Array = NDArray[np.float64]

SETTING_OUT_S = 1e-6
PATIENCE_REPORTS = 3  # reports of standing still short of the goal before lines count as lost
SHORTEST_STAY_S = 0.05  # waypoints that are this long in one place are a stay; less is not worth a stop
ARRIVED_S = 0.3  # a line sent this long before a question must have been read when it was answered


@dataclass(frozen=True)
class _Waypoint:
    time_s: float
    position_m: Point
    feed_m_per_s: float
    stay_s: float  # since the waypoint before, where both are the same place; else 0


class Rest(enum.Enum):
    """What it means that the board says it has nothing to do."""

    WAIT = "the next report will tell"
    SHORT = "it stands short of the last line sent"
    STARVED = "there was more to send"
    DONE = "everything appended has been carried out"


class Stream:
    """One path at a time; `forget` drops it. Times are on the path's timeline but for `now_s`."""

    def __init__(self, wire: Conversation, board: BoardSettings) -> None:
        self._wire, self._board = wire, board
        self._limits = MotionSettings(
            max_rate_m_per_s=board.max_rate_m_per_s,
            acceleration_m_per_s2=board.acceleration_m_per_s2,
            junction_deviation_m=board.junction_deviation_m,
            step_m=board.step_m,
        )
        self.moves = grbl.LinearMoves()
        self.forget()

    def forget(self) -> None:
        """Nothing is queued, sent or moving any more."""
        self._progress: Progress | None = None
        self._waiting: deque[_Waypoint] = deque()
        self._line = ""  # formed but not sent yet, and where it ends
        self._line_until_s = self._sent_until_s = self._place_s = 0.0
        self._moving = self._moved = False
        self._idle_reports = 0
        self._sent_at_s = -math.inf
        self._begun_s = 0.0  # when the timeline would have been 0
        self._end_stay()
        self.moves.forget()

    def drop_unsent(self) -> None:
        """Forget what has not been sent."""
        self._waiting.clear()
        self._line = ""
        self._end_stay()

    def _end_stay(self) -> None:
        self._stay_s, self._stay_until_s, self._stands_from_s = 0.0, 0.0, math.inf

    # -- queueing --

    @property
    def end_s(self) -> float | None:
        """Time of the last waypoint appended; None without a path."""
        return self._progress.timeline.end_s if self._progress else None

    @property
    def waiting(self) -> int:
        """Waypoints not sent yet."""
        return len(self._waiting) + bool(self._line)

    @property
    def busy(self) -> bool:
        """Whether anything is waiting, staying or moving."""
        return self._moving or self._stays or self.waiting > 0

    @property
    def _stays(self) -> bool:
        """Whether the path stays for a while where the last line ends."""
        return self._stay_s >= SHORTEST_STAY_S

    @property
    def ran_dry(self) -> bool:
        """Whether the board stands in the middle of a path, everything appended done."""
        return self._moved and not self.busy

    def begin(self, first_s: float, first_m: Array, here_m: Point, now_s: float) -> None:
        """A new path: at rest here, just long enough before the first waypoint to reach it."""
        lead_s = math.dist(first_m, here_m) / self._board.max_rate_m_per_s
        start_s = first_s - max(lead_s, SETTING_OUT_S)
        self._progress = Progress(Timeline(start_s, here_m), self._limits, now_s)
        self._sent_until_s = self._place_s = start_s
        self._begun_s = now_s - start_s
        self._moved = False
        self._end_stay()

    def queue(self, times: Array, points: Array, feeds: Sequence[float] | None) -> None:
        """Checked waypoints; without feeds each gets its distance over its time."""
        assert self._progress is not None
        timeline, fastest = self._progress.timeline, self._board.max_rate_m_per_s
        for index, (time_s, (x, y)) in enumerate(zip(times.tolist(), points.tolist(), strict=True)):
            elapsed_s = time_s - timeline.end_s
            feed = feeds[index] if feeds else math.dist((x, y), timeline.end_m) / elapsed_s
            stay_s = elapsed_s if (x, y) == timeline.end_m else 0.0
            waypoint = _Waypoint(time_s, (x, y), min(feed, fastest), stay_s)
            timeline.append(time_s, waypoint.position_m, waypoint.feed_m_per_s)
            self._waiting.append(waypoint)

    # -- sending --

    def send(self, rx_bytes: int, one_by_one: bool) -> int:
        """Send lines while the board's receive buffer has room for them; how many."""
        count = 0
        self._stay()
        while self._line or self._next_line():
            full = self._wire.unanswered_bytes + len(self._line) + 1 > rx_bytes
            if full or (one_by_one and self._wire.unanswered):
                break
            self._wire.send(self._line, self._line_until_s)
            self._line, self._sent_until_s = "", self._line_until_s
            self._moving = self._moved = True
            self._idle_reports, self._sent_at_s = 0, self._wire.now_s
            count += 1
        return count

    def _next_line(self) -> bool:
        """Form the next line; waypoints that move nothing take no line, and behind a stay there is none yet."""
        while self._waiting:
            self._gather_stay()
            if self._stays or not self._waiting:
                return False
            self._end_stay()
            waypoint = self._waiting.popleft()
            x, y = waypoint.position_m
            self._line = self.moves.line(x * 1000, y * 1000, waypoint.feed_m_per_s * 60_000)
            self._line_until_s = waypoint.time_s
            if self._line:
                return True
        return False

    # -- staying --

    def _gather_stay(self) -> None:
        """Take the waypoints that stay in the place of the last line: they wait for no answer of the board."""
        while self._waiting and self._waiting[0].stay_s and not self._line:
            waypoint = self._waiting.popleft()
            self._stay_s += waypoint.stay_s
            self._stay_until_s = waypoint.time_s

    def _stay(self) -> None:
        """Go along the timeline while the board stands and the path stays. No G4: a board that dwells says Idle.

        A stay ends when its time on the path is over, so that a path that is late catches up, and when it has been as
        long as it was to be, whatever the clock was set to.
        """
        self._gather_stay()
        now_s = self._wire.now_s
        if not self._stays or self._stands_from_s == math.inf or self._progress is None:
            return
        self._stands_from_s = min(self._stands_from_s, now_s)  # where the clock has been set back
        to_come_s = self._stay_until_s - (now_s - self._begun_s)
        left_s = max(min(to_come_s, self._stay_s - (now_s - self._stands_from_s)), 0.0)
        self._sent_until_s = self._place_s = self._stay_until_s - left_s
        self._progress.arrived(self._place_s, now_s)
        if not left_s:
            self._end_stay()

    # -- following --

    def motion(self, now_s: float, reported_m: Point, *, moving: bool) -> Motion:
        """Where the motors are now: foretold while moving, else as reported."""
        if self._progress is None or not moving:
            return Motion(now_s, np.array(reported_m), np.zeros(2), self._place_s)
        self._place_s, position, velocity = self._progress.at(now_s, self._sent_until_s)
        return Motion(now_s, np.array(position), np.array(velocity), self._place_s)

    def observe(self, reported_m: Point, stamp_s: float) -> float:
        """A reported position; its distance [m] from the path, 0 without one."""
        if self._progress is None:
            return 0.0
        deviation_m = self._progress.observe(reported_m, stamp_s, self._sent_until_s)
        self._place_s = self._progress.place_s
        return deviation_m

    def at_rest(self, reported_m: Point, tolerance_m: float, asked_s: float | None, now_s: float) -> Rest:
        """The board, asked at asked_s, says it has nothing to do: done, starved, or something was lost."""
        if self._progress is None:
            return Rest.WAIT
        if self.waiting == 0 and not self._moving:
            return self._arrived(self._progress, now_s)  # nothing appended moved anything
        if self._wire.unanswered and (asked_s is None or asked_s < self._sent_at_s + ARRIVED_S):
            return Rest.WAIT
        self._idle_reports += 1
        target, _ = self._progress.timeline.at(self._sent_until_s)
        if math.dist(reported_m, target) > tolerance_m:
            return Rest.SHORT if self._idle_reports >= PATIENCE_REPORTS else Rest.WAIT
        if self._wire.unanswered and self._idle_reports < 2:
            return Rest.WAIT
        return self._arrived(self._progress, now_s)

    def _arrived(self, progress: Progress, now_s: float) -> Rest:
        if self._stays:
            self._stands_from_s = min(self._stands_from_s, now_s)
            return Rest.WAIT
        starved = self.waiting > 0
        if not starved:
            self._sent_until_s = progress.timeline.end_s
        progress.arrived(self._sent_until_s, now_s)
        self._place_s, self._moving = self._sent_until_s, False
        return Rest.STARVED if starved else Rest.DONE
