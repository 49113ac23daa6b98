"""The streaming Grbl driver without I/O and without a clock: bytes in, bytes out, time is an argument.

`receive` takes what the board sent, `transmit` returns what must go, everything else asks for something and raises
`MachineError` with the reason when it is not legal. After a reset, an alarm or a fault the driver never moves by
itself: somebody has to home, resume or append again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.errors import MachineError
from sketch_cell.machine import grbl, scripts
from sketch_cell.machine.conversation import Script
from sketch_cell.machine.core import DriverCore
from sketch_cell.machine.driver_types import (
    AT_REST,
    OUT_OF_REACH,
    READY,
    STOPPABLE,
    DriverSettings,
    DriverState,
    Event,
    Motion,
    Statistics,
    Touch,
)
from sketch_cell.machine.waypoints import check_reach, checked_feeds, checked_waypoints

Array = NDArray[np.float64]


class GrblDriver(DriverCore):
    """One conversation with one board; see the module. Public attributes are for reading."""

    @property
    def rests(self) -> bool:
        """Whether nothing moves, nor will without a new request."""
        return self.state in (*AT_REST, *OUT_OF_REACH) and self.wire.script is None

    # -- requests --

    def home(self, now_s: float) -> None:
        """Find the switches; also the way out of every alarm."""
        self._allow(now_s, "home", *AT_REST)
        self.homed = False
        self.forget_motion()
        self.become(DriverState.HOMING, "homing")
        self.wire.start(scripts.home(self))

    def append(self, time_s: ArrayLike, position_m: ArrayLike, feed_m_per_s: ArrayLike | None = None) -> None:
        """Waypoints at time_s (N,) and position_m (N, 2) [m, frame screen], later than those before; N may be 0.

        Each is one straight move that ends there. The nominal feed is `feed_m_per_s` (scalar or (N,)) where given,
        else distance over time; it never exceeds the machine's highest rate. Every call, an empty one too, tells
        the dead man's switch that the caller lives. In IDLE a first time that is not later than the last one
        begins a new timeline. While a path is held its waypoints wait with it: who sends them may not know of the
        hold yet.
        """
        if np.ndim(time_s) and len(time_s) == 0:  # type: ignore[arg-type]
            self._silent_s = 0.0
            return
        end_s = self.stream.end_s
        is_held = self.state in (DriverState.HOLDING, DriverState.HELD) and end_s is not None
        if self.state not in READY and not is_held:
            raise self._refusal("move")
        times, points = checked_waypoints(time_s, position_m)
        feeds = checked_feeds(feed_m_per_s, len(times))
        # The board stands on whole steps, up to half a step beyond the reach that it was sent to: that is no fault.
        (lowest, highest), here = self.reach_m(), np.array(self.reported_m)
        check_reach(points, (np.minimum(lowest, here), np.maximum(highest, here)))
        if end_s is None or times[0] <= end_s:
            if is_held:
                raise self._refusal("move")
            if self.state is DriverState.RUNNING and end_s is not None:
                raise MachineError(
                    f"A waypoint at {times[0]:.3f} s is not later than the last one at {end_s:.3f} s. "
                    "Append in order of time."
                )
            self.stream.begin(float(times[0]), points[0], self.reported_m, self.wire.now_s)
        elif self.state is DriverState.IDLE and self.stream.ran_dry:
            self.statistics.starved += 1
        self._silent_s = 0.0
        self.stream.queue(times, points, feeds)
        if not is_held:
            self.become(DriverState.RUNNING, "moving")

    def jog(self, position_m: Sequence[float], feed_m_per_s: float, now_s: float) -> None:
        """Move straight to a position (2,) [m, frame screen] outside any timeline; hold, stop or cancel ends it."""
        self._allow(now_s, "jog", DriverState.IDLE)
        _, points = checked_waypoints([0.0], [position_m])
        check_reach(points, self.reach_m())
        (x, y), feed = points[0] * 1000, min(feed_m_per_s, self.board.max_rate_m_per_s) * 60_000
        self.forget_motion()
        self.questions.outdate()
        self.jog_is_cancelled = False
        self.become(DriverState.JOGGING, "jogging")
        line = f"$J=G21G90X{grbl.number(x)}Y{grbl.number(y)}F{grbl.number(max(feed, 1.0), 0)}"
        distance_m = math.dist(points[0], self.reported_m)
        duration_s = 60 * 1000 * distance_m / max(feed, 1.0) * 100 / self.feed_percent
        self.wire.start(scripts.jog(self, line, duration_s))

    def cancel_jog(self, now_s: float) -> None:
        """End a jog; the position stays known. A board that has not begun yet is told again once it has."""
        self._allow(now_s, "cancel a jog", DriverState.JOGGING)
        self.jog_is_cancelled = True
        self.wire.urgent(grbl.JOG_CANCEL)

    def hold(self, now_s: float) -> None:
        """Feed hold: slow down and stop on the path; `resume` goes on. A jog is cancelled."""
        if self.state is DriverState.JOGGING:
            self.cancel_jog(now_s)
        elif self.state not in (DriverState.HOLDING, DriverState.HELD):
            self._allow(now_s, "hold", *READY)
            self.feed_hold("held on request")

    def resume(self, now_s: float) -> None:
        """Go on after a hold, or acknowledge a fault (what was queued is gone then).

        A board ignores a resume while it slows down, so one that comes in HOLDING waits until it stands.
        """
        self._allow(now_s, "resume", DriverState.FAULT, DriverState.HOLDING, DriverState.HELD)
        if self.state is DriverState.FAULT:
            self.become(DriverState.IDLE, "the fault was acknowledged")
        elif self.state is DriverState.HOLDING:
            self._resume_when_held = True
        else:
            self.go_on()

    def stop(self, now_s: float) -> None:
        """Hold, then drop everything queued; IDLE after, with the position known; UNHOMED or ALARM if it was homing."""
        if self.state is DriverState.JOGGING:
            self.cancel_jog(now_s)
        elif self.state is DriverState.HOMING:
            self._stop_homing("homing was stopped on request")
            self.become(DriverState.STOPPING, "homing was stopped on request")
        elif self.state is not DriverState.STOPPING:
            self._allow(now_s, "stop", *STOPPABLE)
            self.halt(DriverState.IDLE, "stopped on request")

    def _stop_homing(self, reason: str) -> None:
        """Only a reset ends homing, and the position is lost."""
        self.homed = False
        self.wire.drop_unsent()
        self.wire.start(scripts.reset(self, DriverState.UNHOMED, reason))

    def emergency_stop(self, now_s: float) -> None:
        """Stop from whatever state, at once, and stay so until `release`, over a lost link too; never refused."""
        self.wire.now_s = now_s
        if self.latched:
            return
        self.latched = True
        self.say("error", "Emergency stop.")
        if not self.connected:
            return
        if self.state is DriverState.CONNECTING:
            self.wire.drop_unsent()
            self.wire.urgent(grbl.RESET)  # what still moves is not ours; the check begins anew after it
            return
        if self.state is DriverState.HOMING:
            self._stop_homing("emergency stop")
        elif self.state not in (DriverState.STOPPING, DriverState.EMERGENCY):  # there a stop is under way
            self.halt(DriverState.IDLE, "emergency stop")
        self.become(DriverState.EMERGENCY, "emergency stop: release it to go on")

    def release(self, now_s: float) -> None:
        """End an emergency stop, as soon as the machine stands; nothing moves."""
        self.wire.now_s = now_s
        if not self.latched:
            raise self._refusal("release the emergency stop")
        self.latched = False
        if self.state is DriverState.EMERGENCY and self.wire.script is None:
            self.come_to_rest(DriverState.IDLE, "the emergency stop was released")

    def touch(self, axis: int, now_s: float, feed_m_per_s: float = 0.005) -> None:
        """Home axis 0 or 1 anew by its switch, and come back to where the machine stood.

        With the switch wired to the probe input too, how far the touch is off the first one since homing is
        measured: lost steps. It is kept in `touches`, told as an event, and taken out of the position.
        """
        self._allow(now_s, "touch a switch", DriverState.IDLE)
        way = self._way_to_touch()
        self.forget_motion()
        self.become(DriverState.HOMING, f"touching the {'xy'[axis]} switch")
        self.wire.start(way(self, axis, feed_m_per_s))

    def _way_to_touch(self) -> Callable[[GrblDriver, int, float], Script]:
        if self.settings.touch == "probe":
            return scripts.touch_by_probe
        if not self.options.homes_single_axes:
            raise MachineError(
                "This firmware cannot home a single axis: build it with HOMING_SINGLE_AXIS_COMMANDS, or wire the "
                "switches to the probe input and set touch to probe."
            )
        return scripts.touch_by_homing

    def configure(self, now_s: float) -> None:
        """Write what differs from the needed settings, one at a time while idle, then read and check again."""
        self._allow(now_s, "write settings", DriverState.REFUSED, DriverState.UNHOMED, DriverState.IDLE)
        self.homed = False
        self.forget_motion()
        self.become(DriverState.CONNECTING, "writing settings")
        self.checked = False
        self.wire.start(scripts.configure(self, list(self.differences)))

    def sleep(self, now_s: float) -> None:
        """Switch the motors off; the position is unknown from then on. ASLEEP once the board has taken it."""
        self._allow(now_s, "release its motors", *AT_REST)
        after = self.state
        self.forget_motion()
        self.become(DriverState.CONNECTING, "releasing the motors")
        self.wire.start(scripts.sleep(self, after))

    def wake(self, now_s: float) -> None:
        """Energise the motors again after `sleep`; the machine must be homed."""
        if self.state not in (*AT_REST, *STOPPABLE):
            self._allow(now_s, "wake", DriverState.ASLEEP)
            self.become(DriverState.CONNECTING, "waking the board")
            self.wire.start(scripts.wake(self))

    def override_feed(self, percent: int) -> None:
        """Feed override, 10 to 200 %; reached step by step, and again after a reset of the board."""
        if not 10 <= percent <= 200:
            raise MachineError(f"A feed override of {percent} % is not possible. Use 10 to 200 %.")
        self.feed_percent, self.feed_is_steered = percent, True

    def farewell(self) -> bytes:
        """The last bytes before the port is closed: stop what moves."""
        if self.state is DriverState.HOMING:
            return grbl.RESET
        moving = (*READY, DriverState.JOGGING, DriverState.HOLDING, DriverState.STOPPING)
        return grbl.HOLD if self.state in moving else b""


__all__ = ["DriverSettings", "DriverState", "Event", "GrblDriver", "Motion", "Statistics", "Touch"]
