"""What the driver and its board are doing, on given time: state, link, watchdogs, and how every motion ends.

`answers` and `scripts` work on this; what people may ask for is in `driver`.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import MachineError
from sketch_cell.machine import answers, grbl, scripts
from sketch_cell.machine.board import BoardSettings, Difference
from sketch_cell.machine.conversation import REPORT, STANDING, Conversation
from sketch_cell.machine.driver_types import (
    ADVICE,
    READY,
    DriverSettings,
    DriverState,
    Event,
    Motion,
    Statistics,
    Touch,
)
from sketch_cell.machine.questions import Questions
from sketch_cell.machine.stream import Stream
from sketch_cell.machine.timeline import Point
from sketch_cell.machine.waypoints import reach_m
from sketch_cell.machine.whereabouts import Whereabouts

Array = NDArray[np.float64]

ROUNDING_STEPS = 1.2  # vertices are off by half a step in each axis, points between them by half a step more
RESUMES = 3  # times a resume is repeated while the board still holds


class DriverCore:
    """State and figures of one board; see the module. Public attributes are for reading."""

    def __init__(self, board: BoardSettings | None = None, settings: DriverSettings | None = None) -> None:
        self.board = board or BoardSettings()
        self.settings = settings or DriverSettings()
        self.state = DriverState.OFFLINE
        self.reason = "the port has not been opened"
        self.connected = self.homed = False
        self.checked = False  # the board's settings are known and fit to move with
        self.latched = False  # the emergency stop is pressed
        self.statistics = Statistics()
        self.firmware = grbl.Welcome("", "")
        self.options = grbl.BuildOptions("")
        self.differences: list[Difference] = []
        self.strange: deque[str] = deque(maxlen=5)
        self.pins = ""
        self.touches: dict[int, Touch] = {}
        self.wire = Conversation()
        self.questions = Questions()
        self.place = Whereabouts()
        self.stream = Stream(self.wire, self.board)
        self.jog_is_cancelled = self.feed_is_steered = False
        self.resumes_left = 0
        self.feed_percent = 100
        self._events: deque[Event] = deque(maxlen=1000)
        self._resume_when_held = False
        self.forget_motion()

    # -- the link --

    def link_opened(self, now_s: float, steady_s: float | None = None) -> None:
        """The port is open: wait for the board, read its build and settings and check them."""
        self._time(now_s, steady_s)
        self.connected = True
        self.statistics = Statistics()
        self.wire.forget()
        self.start_over("waiting for the board", banner=True)

    def link_lost(self, reason: str) -> None:
        """The port has failed or was closed: the position is unknown from here on."""
        if not self.connected:
            return
        lost = " The position is lost: home the machine once it is back." if self.homed else ""
        self.connected = self.homed = self.checked = False
        self.wire.forget()
        self.questions.forget()
        self.forget_motion()
        self.become(DriverState.OFFLINE, reason)
        self.say("error", f"The link to the board is down: {reason}.{lost}")

    def receive(self, data: bytes, now_s: float, steady_s: float | None = None) -> None:
        """Take in bytes from the board; `steady_s` is a clock that never stops or jumps, now_s if left out."""
        self._time(now_s, steady_s)
        if not data or not self.connected:
            return
        for line in self.wire.lines(data):
            answers.handle(self, grbl.parse_line(line))

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
        return self.place.screen_m

    def reach_m(self) -> tuple[Array, Array]:
        """Lowest and highest (x, y) [m, frame screen] the board takes.

        The step errors taken out since homing have moved its limits on the screen.
        """
        lowest, highest = reach_m(self.board, self.settings)
        for axis, touch in self.touches.items():
            lowest[axis] -= touch.total_m or 0.0
            highest[axis] -= touch.total_m or 0.0
        return lowest, highest

    @property
    def tolerance_m(self) -> float:
        """How far a reported position may be off the path: what is set, and the board's rounding to whole steps."""
        return self.settings.deviation_m + ROUNDING_STEPS * self.board.step_m

    def motion(self, now_s: float) -> Motion:
        """Position and velocity estimated for now_s, foretold along the path from the board's last report."""
        moving = self.state in (DriverState.RUNNING, DriverState.HOLDING)
        return self.stream.motion(now_s, self.reported_m, moving=moving)

    # -- for the scripts and the answers --

    def become(self, state: DriverState, reason: str) -> None:
        """Enter a state."""
        self.state, self.reason = state, reason

    def come_to_rest(self, after: DriverState, reason: str) -> None:
        """Enter the state after a stop, if what is known allows it; an emergency lasts until it is released."""
        if self.latched:
            after, reason = DriverState.EMERGENCY, "emergency stop: release it to go on"
        elif not self.checked:
            after, reason = DriverState.REFUSED, "the board's settings are not what the machine needs"
        elif after in READY and not self.homed:
            after = DriverState.UNHOMED
        self.become(after, reason)

    def start_over(self, reason: str, *, banner: bool = False) -> None:
        """Ask the board again who it is: nothing that was known of it holds any more."""
        self.homed = self.checked = False
        self.strange.clear()
        self.questions.forget()
        self.place.forget()
        self.forget_motion()
        self.become(DriverState.CONNECTING, reason)
        self.wire.start(scripts.connect(self, banner=banner))

    def say(self, level: str, text: str) -> None:
        """Add an event for people to read."""
        self._events.append(Event(level, text))

    def name_position(self) -> None:
        """The machine stands where homing ends: that place has a name on the screen."""
        self.place.name(self.settings.home_x_m * 1000, self.settings.home_y_m * 1000)

    def note_touch(self, axis: int, machine_mm: float | None) -> float:
        """A switch was touched at a machine position (None: unknown); the step error [m] since the last touch."""
        last, letter = self.touches.get(axis), "xy"[axis]
        count = last.count + 1 if last else 1
        if machine_mm is None:
            self.touches[axis] = Touch(None, None, count, None)
            self.say("info", f"{letter} was homed anew by its switch.")
            return 0.0
        before_mm = last.machine_mm if last else None
        error_m = 0.0 if before_mm is None else (machine_mm - before_mm) / 1000
        total_m = error_m + (last.total_m or 0.0 if last else 0.0)
        self.touches[axis] = Touch(error_m, total_m, count, machine_mm)
        text = f"The {letter} switch was touched {error_m * 1000:+.3f} mm from where it was"
        text += f", {total_m * 1000:+.3f} mm in all since homing." if count > 2 else " before."
        if before_mm is None:
            text = f"The {letter} switch was touched for the first time since homing: step errors count from here."
        self.say("warning" if abs(error_m) > 1e-4 else "info", text)
        return error_m

    def forget_motion(self) -> None:
        """Nothing is queued, sent or moving any more."""
        self.stream.forget()
        self._silent_s = 0.0

    def feed_hold(self, reason: str) -> None:
        """Slow down and stop on the path."""
        self.wire.urgent(grbl.HOLD)
        self.questions.outdate()
        self._resume_when_held = False
        self.become(DriverState.HOLDING, reason)

    def stands_held(self) -> None:
        """A hold is complete."""
        self.become(DriverState.HELD, self.reason)
        if self._resume_when_held:
            self.go_on()

    def go_on(self, repeats: int = RESUMES) -> None:
        """Let the board resume; said again up to `repeats` times while it still holds."""
        self.wire.urgent(grbl.RESUME)
        self.questions.outdate()
        self.resumes_left, self._resume_when_held = repeats, False
        self._silent_s = 0.0
        self.become(DriverState.RUNNING if self.stream.busy else DriverState.IDLE, "resumed")

    def fault(self, reason: str) -> None:
        """Something is wrong with what was sent: stop with the position kept."""
        self.say(
            "error", f"Stopped: {reason}. Resume to acknowledge, then draw on from the position reported."
        )
        self.halt(DriverState.FAULT, reason)

    def halt(self, after: DriverState, reason: str) -> None:
        """Hold, wait until the board stands, reset it: the queue is gone and the position exact."""
        self.wire.drop_unsent()
        self.wire.urgent(grbl.HOLD)
        self.stream.drop_unsent()
        self.questions.outdate()
        self.become(DriverState.STOPPING, reason)
        self.wire.start(scripts.stop(self, after, reason))

    def steer_feed(self, found_percent: int) -> None:
        """Bring the board's feed override nearer to the one wanted: a board takes one step of each size at a time."""
        if found_percent == self.feed_percent:
            self.feed_is_steered = False
            return
        if not self.feed_is_steered:
            self.say(
                "warning",
                f"The feed override is {found_percent} % though {self.feed_percent} % was asked for.",
            )
            self.feed_is_steered = True
        self.wire.realtime(grbl.feed_step(found_percent, self.feed_percent))

    # -- bookkeeping --

    def _time(self, now_s: float, steady_s: float | None = None) -> None:
        before_s, self.wire.now_s = self.wire.steady_s, now_s
        self.wire.steady_s = now_s if steady_s is None else steady_s
        # A pause of the driver's own counts for half of the dead man's time at most: what came in it is yet to be read.
        self._silent_s += min(self.wire.steady_s - before_s, 0.5 * self.settings.deadman_s)

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

    # -- watchdogs --

    def _watch(self) -> None:
        wire, deadman_s = self.wire, self.settings.deadman_s
        # Silence before the question was put is nobody's fault.
        quiet_s = wire.steady_s - max(wire.heard_s, self.questions.open_since_s)
        if wire.script is None and quiet_s > self.settings.link_timeout_s:
            self.link_lost(f"the board has been silent for {quiet_s:.1f} s")
        elif deadman_s and self.state is DriverState.RUNNING and self._silent_s > deadman_s:
            self.say(
                "error", f"No trajectory for {deadman_s:g} s: feed hold. Resume when the controller is back."
            )
            self.feed_hold("no fresh trajectory")

    def _poll(self) -> None:
        wire = self.wire
        wanted = wire.waits_for(REPORT) or wire.waits_for(STANDING)
        if (wire.script is not None and not wanted) or not self.questions.due(wire.now_s):
            return
        wire.urgent(grbl.STATUS)
        period_s = self.settings.poll_period_s
        if wanted or self.state is DriverState.HOLDING:
            period_s /= 4
        elif self.state is not DriverState.RUNNING:
            period_s *= 2
        self.questions.ask(wire.now_s, wire.steady_s, period_s)
