"""The streaming Grbl driver without I/O and without a clock: bytes in, bytes out, time is an argument.

`receive` takes what the board sent, `transmit` returns what must go, everything else asks for something and raises
`MachineError` with the reason when it is not legal. After a reset, an alarm or a fault the driver never moves by
itself: somebody has to home, resume or append again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.errors import MachineError
from sketch_cell.machine import grbl, scripts
from sketch_cell.machine.board import BoardSettings, Difference
from sketch_cell.machine.conversation import BANNER, REPORT, RESET_WANTED, STANDING, Conversation
from sketch_cell.machine.driver_types import (
    ADVICE,
    DriverSettings,
    DriverState,
    Event,
    Motion,
    Statistics,
    Touch,
)
from sketch_cell.machine.stream import Rest, Stream
from sketch_cell.machine.timeline import Point
from sketch_cell.machine.waypoints import checked_feeds, checked_waypoints, reach_m

Array = NDArray[np.float64]

READY = (DriverState.IDLE, DriverState.RUNNING)
STOPPABLE = (*READY, DriverState.HOLDING, DriverState.HELD)
AT_REST = (DriverState.UNHOMED, DriverState.IDLE, DriverState.ALARM, DriverState.FAULT)
REPORT_S = 0.006  # a report of 60 characters at 115,200 baud
SAMPLED_S = 0.0005  # from our question to the board's look at its position: the wire and a line in work
POLL_AGAIN_S = 0.5  # a question without answer is asked again


class GrblDriver:
    """One conversation with one board; see the module. Public attributes are for reading."""

    def __init__(self, board: BoardSettings | None = None, settings: DriverSettings | None = None) -> None:
        self.board = board or BoardSettings()
        self.settings = settings or DriverSettings()
        self.state = DriverState.OFFLINE
        self.reason = "the port has not been opened"
        self.connected = self.homed = self._release_wanted = False
        self.statistics = Statistics()
        self.options = grbl.BuildOptions("")
        self.differences: list[Difference] = []
        self.found_settings: dict[int, str] = {}
        self.firmware = self.pins = ""
        self.touches: dict[int, Touch] = {}
        self.wire = Conversation()
        self.stream = Stream(self.wire, self.board)
        self._events: deque[Event] = deque(maxlen=1000)
        self._machine_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._work_offset_mm: tuple[float, ...] | None = None
        self._screen_offset_mm = (0.0, 0.0)  # machine minus screen
        self._feed_percent = 100
        self._asked_s: float | None = None
        self._next_poll_s = -np.inf
        self._stale_reports = 0
        self.forget_motion()

    # -- the link --

    def link_opened(self, now_s: float, steady_s: float | None = None) -> None:
        """The port is open: wait for the board, read its build and settings and check them."""
        self._time(now_s, steady_s)
        self.connected, self.homed = True, False
        self.statistics = Statistics()
        self._forget()
        self.become(DriverState.CONNECTING, "waiting for the board")
        self.wire.start(scripts.connect(self))

    def link_lost(self, reason: str) -> None:
        """The port has failed or was closed: the position is unknown from here on."""
        if not self.connected:
            return
        self.connected = False
        was_homed, self.homed = self.homed, False
        self._forget()
        self.become(DriverState.OFFLINE, reason)
        lost = " The position is lost: home the machine once it is back." if was_homed else ""
        self.say("error", f"The link to the board is down: {reason}.{lost}")

    def receive(self, data: bytes, now_s: float, steady_s: float | None = None) -> None:
        """Take in bytes from the board; `steady_s` is a clock that never stops or jumps, now_s if left out."""
        self._time(now_s, steady_s)
        if not data or not self.connected:
            return
        for line in self.wire.lines(data):
            self._handle(grbl.parse_line(line))

    def transmit(self, now_s: float, steady_s: float | None = None) -> bytes:
        """What must be written to the board now; also where the watchdogs are kept."""
        self._time(now_s, steady_s)
        if not self.connected:
            return b""
        self._watch()
        self.wire.check_deadline()
        if not self.connected:
            return b""
        self._poll()
        if self.state is DriverState.RUNNING and self.wire.script is None:
            one_by_one = self.settings.streaming == "send-response"
            self.statistics.lines += self.stream.send(self.options.rx_bytes, one_by_one)
        return self.wire.take()

    def drain_events(self) -> list[Event]:
        """The events since the last call."""
        events = list(self._events)
        self._events.clear()
        return events

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
        begins a new timeline.
        """
        if np.ndim(time_s) and len(time_s) == 0:  # type: ignore[arg-type]
            self._fresh_s = self.wire.steady_s
            return
        if self.state not in READY:
            raise self._refusal("move")
        times, points = checked_waypoints(time_s, position_m)
        feeds = checked_feeds(feed_m_per_s, len(times))
        self._check_reach(points)
        end_s = self.stream.end_s
        if end_s is None or times[0] <= end_s:
            if self.state is DriverState.RUNNING and end_s is not None:
                raise MachineError(
                    f"A waypoint at {times[0]:.3f} s is not later than the last one at {end_s:.3f} s. "
                    "Append in order of time."
                )
            self.stream.begin(float(times[0]), points[0], self.reported_m, self.wire.now_s)
        elif self.state is DriverState.IDLE and self.stream.ran_dry:
            self.statistics.starved += 1
        self._fresh_s = self.wire.steady_s
        self.stream.queue(times, points, feeds)
        self.become(DriverState.RUNNING, "moving")

    def jog(self, position_m: Sequence[float], feed_m_per_s: float, now_s: float) -> None:
        """Move straight to a position (2,) [m, frame screen] outside any timeline; hold, stop or cancel ends it."""
        self._allow(now_s, "jog", DriverState.IDLE)
        _, points = checked_waypoints([0.0], [position_m])
        self._check_reach(points)
        (x, y), feed = points[0] * 1000, min(feed_m_per_s, self.board.max_rate_m_per_s) * 60_000
        self.forget_motion()
        self.become(DriverState.JOGGING, "jogging")
        line = f"$J=G21G90X{grbl.number(x)}Y{grbl.number(y)}F{grbl.number(max(feed, 1.0), 0)}"
        self.wire.start(scripts.jog(self, line))

    def cancel_jog(self, now_s: float) -> None:
        """End a jog; the position stays known."""
        self._allow(now_s, "cancel a jog", DriverState.JOGGING)
        self.wire.urgent(grbl.JOG_CANCEL)

    def hold(self, now_s: float) -> None:
        """Feed hold: slow down and stop on the path; `resume` goes on. A jog is cancelled."""
        if self.state is DriverState.JOGGING:
            self.cancel_jog(now_s)
        elif self.state not in (DriverState.HOLDING, DriverState.HELD):
            self._allow(now_s, "hold", *READY)
            self._hold("held on request")

    def resume(self, now_s: float) -> None:
        """Go on after a hold, or acknowledge a fault (what was queued is gone then)."""
        self._allow(now_s, "resume", DriverState.FAULT, DriverState.HOLDING, DriverState.HELD)
        if self.state is DriverState.FAULT:
            self.become(DriverState.IDLE, "the fault was acknowledged")
            return
        self.wire.realtime(grbl.RESUME)
        self._fresh_s = self.wire.steady_s
        self.become(DriverState.RUNNING if self.stream.busy else DriverState.IDLE, "resumed")

    def stop(self, now_s: float) -> None:
        """Hold, then drop everything queued; the position stays known and the machine is IDLE after."""
        if self.state is DriverState.JOGGING:
            self.cancel_jog(now_s)
        elif self.state is not DriverState.STOPPING:
            self._allow(now_s, "stop", *STOPPABLE)
            self._halt(DriverState.IDLE, "stopped on request")

    def emergency_stop(self, now_s: float) -> None:
        """Stop from whatever state, at once, and stay so until `release`; never refused."""
        self.wire.now_s = now_s
        if not self.connected or self.state is DriverState.EMERGENCY:
            return
        self._release_wanted = False
        self.say("error", "Emergency stop.")
        if self.wire.script is not None and self.state not in (DriverState.STOPPING, DriverState.JOGGING):
            self.homed = False  # homing or starting up: only a reset stops that
            self.wire.drop_unsent()
            self.wire.start(scripts.reset(self, DriverState.EMERGENCY, "emergency stop"))
        else:
            self._halt(DriverState.EMERGENCY, "emergency stop")
        self.become(DriverState.EMERGENCY, "emergency stop: release it to go on")

    def release(self, now_s: float) -> None:
        """End an emergency stop, as soon as the machine stands; nothing moves."""
        self._allow(now_s, "release the emergency stop", DriverState.EMERGENCY)
        self._release_wanted = True
        if self.wire.script is None:
            self.come_to_rest(DriverState.EMERGENCY, self.reason)

    def touch(self, axis: int, now_s: float, feed_m_per_s: float = 0.005) -> None:
        """Push axis 0 or 1 against its switch, wired to the probe input, and come back.

        How far the touch is off the first one since homing is kept in `touches` and told as an event: lost steps.
        """
        self._allow(now_s, "touch a switch", DriverState.IDLE)
        left_or_low = ("left", "lower")[axis] in self.board.homing_corner
        lowest, highest = reach_m(self.board, self.settings)
        target_mm = float((lowest if left_or_low else highest)[axis]) * 1000
        self.forget_motion()
        self.become(DriverState.HOMING, f"touching the {'xy'[axis]} switch")
        self.wire.start(scripts.touch(self, axis, target_mm, feed_m_per_s * 60_000))

    def configure(self, now_s: float) -> None:
        """Write what differs from the needed settings, one at a time while idle, then read and check again."""
        self._allow(now_s, "write settings", DriverState.REFUSED, DriverState.UNHOMED, DriverState.IDLE)
        self.homed = False
        self.forget_motion()
        self.become(DriverState.CONNECTING, "writing settings")
        self.wire.start(scripts.configure(self, list(self.differences)))

    def sleep(self, now_s: float) -> None:
        """Switch the motors off; the position is unknown from then on."""
        self._allow(now_s, "release its motors", *AT_REST)
        self.homed = False
        self.forget_motion()
        self.wire.send("$SLP")
        self.become(DriverState.ASLEEP, "the motors are released")

    def wake(self, now_s: float) -> None:
        """Energise the motors again after `sleep`; the machine must be homed."""
        if self.state not in (*AT_REST, *STOPPABLE):
            self._allow(now_s, "wake", DriverState.ASLEEP)
            self.become(DriverState.CONNECTING, "waking the board")
            self.wire.start(scripts.wake(self))

    def override_feed(self, percent: int) -> None:
        """Feed override, 10 to 200 %; it lasts until the next reset of the board."""
        if not 10 <= percent <= 200:
            raise MachineError(f"A feed override of {percent} % is not possible. Use 10 to 200 %.")
        self._feed_percent = percent
        tens, ones = divmod(abs(percent - 100), 10)
        more = percent > 100
        self.wire.realtime(grbl.FEED_100 + (grbl.FEED_PLUS_10 if more else grbl.FEED_MINUS_10) * tens)
        self.wire.realtime((grbl.FEED_PLUS_1 if more else grbl.FEED_MINUS_1) * ones)

    def farewell(self) -> bytes:
        """The last bytes before the port is closed: stop what moves."""
        if self.state is DriverState.HOMING:
            return grbl.RESET
        moving = (*READY, DriverState.JOGGING, DriverState.HOLDING, DriverState.STOPPING)
        return grbl.HOLD if self.state in moving else b""

    # -- what is known --

    @property
    def idle(self) -> bool:
        """Whether the machine is ready and everything appended has been carried out."""
        return self.state is DriverState.IDLE

    @property
    def answered(self) -> bool:
        """Whether the board has answered everything that is asked when the link comes up."""
        return self.connected and self.state is not DriverState.CONNECTING

    @property
    def queued_lines(self) -> int:
        """Waypoints not yet sent plus lines not yet answered."""
        return self.stream.waiting + len(self.wire.unanswered)

    @property
    def reported_m(self) -> Point:
        """The position [m, frame screen] the board reported last."""
        x, y = (self._machine_mm[i] - self._screen_offset_mm[i] for i in range(2))
        return x / 1000, y / 1000

    def reach_m(self) -> tuple[Array, Array]:
        """Lowest and highest (x, y) [m, frame screen] within the board's soft limits."""
        return reach_m(self.board, self.settings)

    def motion(self, now_s: float) -> Motion:
        """Position and velocity estimated for now_s, foretold along the path from the board's last report."""
        moving = self.state in (DriverState.RUNNING, DriverState.HOLDING)
        return self.stream.motion(now_s, self.reported_m, moving=moving)

    # -- for the scripts --

    def become(self, state: DriverState, reason: str) -> None:
        """Enter a state."""
        self.state, self.reason = state, reason

    def come_to_rest(self, after: DriverState, reason: str) -> None:
        """Enter the state after a stop; an emergency stays one until it is released."""
        if self.state is DriverState.EMERGENCY and not self._release_wanted:
            return
        if self.state is DriverState.EMERGENCY:
            after = DriverState.IDLE if self.homed else DriverState.UNHOMED
            reason = "the emergency stop was released"
        self._release_wanted = False
        self.become(after, reason)

    def say(self, level: str, text: str) -> None:
        """Add an event for people to read."""
        self._events.append(Event(level, text))

    def name_position(self) -> None:
        """The machine stands where homing ends: that place has a name on the screen."""
        home_mm = (self.settings.home_x_m * 1000, self.settings.home_y_m * 1000)
        self._screen_offset_mm = (self._machine_mm[0] - home_mm[0], self._machine_mm[1] - home_mm[1])

    def note_touch(self, axis: int, machine_mm: float) -> None:
        """A switch was touched at a machine position."""
        position_m = (machine_mm - self._screen_offset_mm[axis]) / 1000
        first = self.touches.get(axis)
        error_m = position_m - (first.position_m - first.step_error_m) if first else 0.0
        self.touches[axis] = Touch(axis, position_m, error_m)
        text = f"The {'xy'[axis]} switch was touched {error_m * 1000:+.3f} mm from its first touch."
        self.say("warning" if abs(error_m) > 1e-4 else "info", text)

    def forget_motion(self) -> None:
        """Nothing is queued, sent or moving any more."""
        self.stream.forget()
        self._fresh_s = self.wire.steady_s

    # -- bookkeeping --

    def _time(self, now_s: float, steady_s: float | None = None) -> None:
        self.wire.now_s = now_s
        self.wire.steady_s = now_s if steady_s is None else steady_s

    def _forget(self) -> None:
        self.wire.forget()
        self.forget_motion()
        self._asked_s, self._next_poll_s = None, -np.inf
        self._stale_reports = 0
        self._work_offset_mm = None
        self._release_wanted = False

    def _refusal(self, wish: str) -> MachineError:
        advice = ADVICE.get(self.state, "wait, or stop it first")
        return MachineError(
            f"The machine cannot {wish} while it is {self.state.value} ({self.reason}): {advice}."
        )

    def _allow(self, now_s: float, wish: str, *states: DriverState) -> None:
        # the steady clock is the transport's business: requests leave it alone
        self.wire.now_s = now_s
        if self.state not in states:
            raise self._refusal(wish)

    # -- appending --

    def _check_reach(self, points: Array) -> None:
        lowest, highest = reach_m(self.board, self.settings)
        outside = (points < lowest - 1e-6) | (points > highest + 1e-6)
        if outside.any():
            x, y = points[outside.any(axis=1)][0] * 1000
            raise MachineError(
                f"The point ({x:.2f}, {y:.2f}) mm is outside the machine's reach, x {lowest[0] * 1000:.1f} to "
                f"{highest[0] * 1000:.1f} and y {lowest[1] * 1000:.1f} to {highest[1] * 1000:.1f} mm. "
                "Move or shrink the drawing."
            )

    # -- what the board says --

    def _handle(self, message: grbl.Message) -> None:
        if isinstance(message, grbl.Ok):
            self._answer(None)
        elif isinstance(message, grbl.Status):
            self._on_status(message)
        elif isinstance(message, grbl.Error):
            self._answer(message)
        elif isinstance(message, grbl.Alarm):
            self._on_alarm(message)
        elif isinstance(message, grbl.Welcome):
            self._on_welcome(message)
        else:
            self._on_text(message)

    def _on_text(self, message: grbl.Message) -> None:
        self.wire.hear(message)
        if isinstance(message, grbl.Unknown):
            self.statistics.unknown_lines += 1
            self.say("warning", f"The board said something unknown: {message.text[:80]!r}.")
        elif isinstance(message, grbl.Feedback) and message.tag == "MSG" and message.body:
            self.say("info", f"The board says: {message.body}.")
            if message.body == "Reset to continue" and self.wire.waits_for(RESET_WANTED):
                self.wire.reply(True)

    def _answer(self, error: grbl.Error | None) -> None:
        sent = self.wire.answered()
        if sent is None:
            return
        self.statistics.acknowledged += 1
        self.statistics.errors += error is not None
        if sent.until_s is None:
            if self.wire.waits_for("answer"):
                self.wire.reply(error is None, str(error or ""))
        elif error is not None and self.state in STOPPABLE:
            self._fault(f"the board refused the line {sent.text!r}: {error}")

    def _on_alarm(self, alarm: grbl.Alarm) -> None:
        self.statistics.alarms += 1
        self.wire.void()
        self.forget_motion()
        self.homed = self.homed and alarm.code == 2
        self.say("error", f"{alarm}.")
        after = DriverState.FAULT if self.homed else DriverState.ALARM
        if self.state is not DriverState.EMERGENCY:
            self.become(DriverState.STOPPING, str(alarm))
        self.wire.start(scripts.after_alarm(self, after, critical=alarm.code in (1, 2)))

    def _on_welcome(self, welcome: grbl.Welcome) -> None:
        self.wire.void()
        self._asked_s, self._feed_percent = None, 100
        self.firmware = f"{welcome.firmware} {welcome.version}"
        if self.wire.waits_for(BANNER):
            self.wire.reply(True)
            return
        if self.state is DriverState.CONNECTING:
            return  # noise while it boots
        was, self.homed = self.state.value, False
        self.forget_motion()
        self.become(DriverState.CONNECTING, "the board has reset itself")
        self.say("error", f"The board has reset itself while {was}. Its position is lost: home the machine.")
        self.wire.start(scripts.connect(self, banner=False))

    def _on_status(self, status: grbl.Status) -> None:
        stamp_s = self._report_stamp()
        self.statistics.reports += 1
        self.pins = status.pins
        self._work_offset_mm = status.wco_mm or self._work_offset_mm
        position = status.mpos_mm or self._from_work_position(status)
        if position is None:
            return
        self._machine_mm = position
        fresh, self._stale_reports = self._stale_reports == 0, max(self._stale_reports - 1, 0)
        if self.wire.waits_for(REPORT) or (self.wire.waits_for(STANDING) and fresh and _stands(status)):
            self.wire.hear(status)
            self.wire.reply(True)
        if self.homed:
            self._track(status, stamp_s)
        if self.state in STOPPABLE:
            self._check_board_state(status)

    def _from_work_position(self, status: grbl.Status) -> tuple[float, ...] | None:
        if status.wpos_mm is None or self._work_offset_mm is None:
            return None
        return tuple(
            work + offset for work, offset in zip(status.wpos_mm, self._work_offset_mm, strict=False)
        )

    def _check_board_state(self, status: grbl.Status) -> None:
        """What the board is doing must fit what the driver thinks."""
        if self.state is DriverState.HOLDING and _stands(status):
            self.become(DriverState.HELD, self.reason)
        elif status.state in ("Hold", "Door") and self.state is DriverState.RUNNING:
            self.say(
                "warning", f"The board is in {status.state} though nobody asked for it. Resume to go on."
            )
            self.become(DriverState.HOLDING, "the board holds by itself")
        elif status.state in ("Alarm", "Sleep", "Check"):
            self._on_unheard_lock(status.state)
        override = status.overrides_percent
        if override and override[0] != self._feed_percent:
            self.say(
                "warning",
                f"The feed override is {override[0]} % though {self._feed_percent} % was asked for.",
            )
            self.override_feed(self._feed_percent)

    def _on_unheard_lock(self, state: str) -> None:
        self.homed = False
        self.forget_motion()
        self.say("error", f"The board is in {state} though nothing told so. Home the machine.")
        self.become(DriverState.STOPPING, f"the board is in {state}")
        self.wire.start(scripts.reset(self, DriverState.ALARM, f"the board was in {state}"))

    def _report_stamp(self) -> float:
        """When the board took the position: at once when asked, however late its answer was read here."""
        now_s, asked_s = self.wire.now_s, self._asked_s
        self._asked_s = None
        if asked_s is None:
            return now_s - REPORT_S
        self.statistics.round_trip_s = now_s - asked_s
        return min(asked_s + SAMPLED_S, now_s)

    # -- following the motion --

    def _track(self, status: grbl.Status, stamp_s: float) -> None:
        deviation_m = self.stream.observe(self.reported_m, stamp_s)
        self.statistics.largest_deviation_m = max(self.statistics.largest_deviation_m, deviation_m)
        if deviation_m > self.settings.deviation_m and self.state in READY:
            self._fault(
                f"the board is {deviation_m * 1000:.2f} mm off the path it was sent, so lines were lost or "
                "corrupted on the way"
            )
        elif status.state == "Idle" and self.state is DriverState.RUNNING:
            self._at_rest()

    def _at_rest(self) -> None:
        rest = self.stream.at_rest(self.reported_m, self.settings.deviation_m, self.wire.now_s)
        if rest is Rest.SHORT:
            self._fault("the board stands still short of the last line sent, so lines were lost on the way")
        elif rest in (Rest.DONE, Rest.STARVED):
            self._resynchronise()
            if rest is Rest.DONE:
                self.become(DriverState.IDLE, rest.value)
            else:
                self.statistics.starved += 1

    def _resynchronise(self) -> None:
        """The board stands where the last line ends: answers that are still missing were lost on the way."""
        lost = len(self.wire.unanswered)
        if lost:
            self.statistics.lost_acknowledgements += lost
            self.say("warning", f"{lost} acknowledgement(s) got lost; the position shows the lines did not.")
            self.wire.void()
            self.stream.moves.forget()

    # -- watchdogs --

    def _watch(self) -> None:
        wire, deadman_s = self.wire, self.settings.deadman_s
        quiet_s = wire.steady_s - wire.heard_s
        if self._asked_s is not None and wire.script is None and quiet_s > self.settings.link_timeout_s:
            self.link_lost(f"the board has been silent for {quiet_s:.1f} s")
        elif deadman_s and self.state is DriverState.RUNNING and wire.steady_s - self._fresh_s > deadman_s:
            self.say(
                "error", f"No trajectory for {deadman_s:g} s: feed hold. Resume when the controller is back."
            )
            self._hold("no fresh trajectory")

    def _poll(self) -> None:
        now_s, wire = self.wire.now_s, self.wire
        wanted = wire.waits_for(REPORT) or wire.waits_for(STANDING)
        if now_s < self._next_poll_s or (wire.script is not None and not wanted):
            return
        if self._asked_s is not None and now_s - self._asked_s < POLL_AGAIN_S:
            return
        wire.urgent(grbl.STATUS)
        self._asked_s = now_s
        period_s = self.settings.poll_period_s
        if wanted or self.state is DriverState.HOLDING:
            period_s /= 4
        elif self.state is not DriverState.RUNNING:
            period_s *= 2
        self._next_poll_s = now_s + period_s

    # -- holds, stops, faults --

    def _hold(self, reason: str) -> None:
        self.wire.urgent(grbl.HOLD)
        self._next_poll_s = self.wire.now_s
        self.become(DriverState.HOLDING, reason)

    def _fault(self, reason: str) -> None:
        self.say(
            "error", f"Stopped: {reason}. Resume to acknowledge, then draw on from the position reported."
        )
        self._halt(DriverState.FAULT, reason)

    def _halt(self, after: DriverState, reason: str) -> None:
        """Hold, wait until the board stands, reset it: the queue is gone and the position exact."""
        self.wire.drop_unsent()
        self.wire.urgent(grbl.HOLD)
        self.stream.drop_unsent()
        # A report asked for before the hold may still say that the board stands while a line sets off.
        self._stale_reports = int(self._asked_s is not None)
        self._asked_s, self._next_poll_s = None, self.wire.now_s
        self.become(DriverState.STOPPING, reason)
        self.wire.start(scripts.stop(self, after, reason))


def _stands(status: grbl.Status) -> bool:
    return (status.state == "Hold" and status.substate == 0) or status.state in ("Idle", "Alarm")


__all__ = ["DriverSettings", "DriverState", "Event", "GrblDriver", "Motion", "Statistics", "Touch"]
