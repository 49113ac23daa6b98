"""The streaming Grbl driver without I/O and without a clock: bytes in, bytes out, time is an argument.

One object holds the whole conversation with the board. `receive` takes what came, `transmit` returns what must go,
everything else asks for something and raises `MachineError` with the reason when it is not legal. After a reset, an
alarm or a fault the driver never moves by itself; somebody has to home, resume or append again.

Suffixes: `_s` on the caller's clock `now_s`; `steady_s` is a clock that never stops or jumps, for the watchdogs.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.errors import MachineError
from sketch_cell.machine import grbl
from sketch_cell.machine.board import BoardSettings, Difference, differences
from sketch_cell.machine.timeline import Timeline
from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DriverSettings(Settings):
    """How the driver talks to the board and when it loses patience."""

    home_x_m: float = setting(
        0.001, "x of the stylus after homing, frame screen", unit="m", minimum=-1.0, maximum=2.0
    )
    home_y_m: float = setting(
        0.001, "y of the stylus after homing, frame screen", unit="m", minimum=-1.0, maximum=2.0
    )
    streaming: str = setting(
        "character counting", "how lines are streamed", choices=("character counting", "send-response")
    )
    poll_period_s: float = setting(0.1, "time between status requests", unit="s", minimum=0.01, maximum=0.5)
    link_timeout_s: float = setting(
        1.0, "silence after which the link is given up", unit="s", minimum=0.2, maximum=30.0
    )
    deadman_s: float = setting(
        0.25,
        "age of the last append after which motion is held; 0 switches this off",
        unit="s",
        minimum=0.0,
        maximum=10.0,
    )
    homing_timeout_s: float = setting(90.0, "time homing may take", unit="s", minimum=5.0, maximum=600.0)
    connect_timeout_s: float = setting(
        6.0, "time a board may take to say its banner", unit="s", minimum=1.0, maximum=60.0
    )
    deviation_m: float = setting(
        6e-5,
        "how far the reported position may be off the commanded path",
        unit="m",
        minimum=2e-5,
        maximum=0.01,
    )


class DriverState(enum.Enum):
    """What the machine is doing; moves are legal in IDLE and RUNNING only."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    REFUSED = "refused"
    UNHOMED = "unhomed"
    HOMING = "homing"
    IDLE = "idle"
    RUNNING = "running"
    HOLDING = "holding"
    HELD = "held"
    STOPPING = "stopping"
    FAULT = "fault"
    ALARM = "alarm"
    EMERGENCY = "emergency"
    ASLEEP = "asleep"


@dataclass(frozen=True)
class Event:
    """Something a person should read; level is info, warning or error."""

    level: str
    text: str


@dataclass(frozen=True)
class Motion:
    """Where the motors are, frame screen, and how far along the appended timeline the board has moved."""

    stamp_s: float
    position_m: Array
    velocity_m_per_s: Array
    timeline_s: float


@dataclass
class Statistics:
    """Counters for diagnostics since the link was opened."""

    lines: int = 0
    acknowledged: int = 0
    errors: int = 0
    alarms: int = 0
    lost_acknowledgements: int = 0
    unknown_lines: int = 0
    starved: int = 0
    reports: int = 0
    round_trip_s: float = 0.0
    largest_deviation_m: float = 0.0


@dataclass
class _Sent:
    """A line the board has not answered; `until_s` is its end on the timeline, None for a command."""

    size: int
    text: str
    until_s: float | None


@dataclass(frozen=True)
class _Waypoint:
    time_s: float
    position_m: tuple[float, float]
    feed_m_per_s: float


@dataclass
class _Ask:
    """A step of a script: send a command and wait for its answer, or just wait for something to happen."""

    text: str = ""
    timeout_s: float = 3.0
    until: str = "answer"  # answer, banner, report, hold, nothing


@dataclass
class _Reply:
    """How a step of a script ended."""

    ok: bool
    reason: str = ""
    messages: list[grbl.Message] = field(default_factory=list)


_Script = Generator[_Ask, _Reply, None]

QUIET = {DriverState.OFFLINE, DriverState.HOMING}
READY = {DriverState.IDLE, DriverState.RUNNING}
AT_REST = 3e-5  # metres: closer than this to the last waypoint is there


class GrblDriver:
    """One conversation with one board."""

    def __init__(self, board: BoardSettings | None = None, settings: DriverSettings | None = None) -> None:
        self.board = board or BoardSettings()
        self.settings = settings or DriverSettings()
        self.state = DriverState.OFFLINE
        self.reason = "the port has not been opened"
        self._open = False
        self.homed = self._release_wanted = False
        self.statistics = Statistics()
        self.differences: list[Difference] = []
        self.firmware = ""
        self.pins = ""
        self.options = grbl.BuildOptions("")
        self.found_settings: dict[int, str] = {}
        self._events: deque[Event] = deque(maxlen=1000)
        self._splitter = grbl.LineSplitter()
        self._moves = grbl.LinearMoves()
        self._now_s = self._steady_s = 0.0
        self._out = bytearray()
        self._machine_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._offset_mm = (0.0, 0.0)  # machine minus screen
        self._forget_conversation()
        self._forget_motion()

    # -- the link --

    def link_opened(self, now_s: float, steady_s: float | None = None) -> None:
        """The port is open: wait for the board, read its build and settings and check them."""
        self._time(now_s, steady_s)
        self._open = True
        self._forget_conversation()
        self._forget_motion()
        self.statistics = Statistics()
        self.homed = False
        self._heard_s = self._steady_s
        self._become(DriverState.CONNECTING, "waiting for the board")
        self._start(self._connect())

    def link_lost(self, reason: str) -> None:
        """The port has failed or was closed: the position is unknown from here on."""
        if not self._open:
            return
        self._open = False
        was_homed, self.homed = self.homed, False
        self._forget_conversation()
        self._forget_motion()
        self._become(DriverState.OFFLINE, reason)
        lost = " The position is lost: home the machine once it is back." if was_homed else ""
        self._event("error", f"The link to the board is down: {reason}.{lost}")

    def receive(self, data: bytes, now_s: float, steady_s: float | None = None) -> None:
        """Take in bytes from the board."""
        self._time(now_s, steady_s)
        if not data or not self._open:
            return
        self._heard_s = self._steady_s
        for line in self._splitter.feed(data):
            self._handle(grbl.parse_line(line))

    def transmit(self, now_s: float, steady_s: float | None = None) -> bytes:
        """What must be written to the board now; also where the watchdogs are kept."""
        self._time(now_s, steady_s)
        if not self._open:
            return b""
        self._watch()
        self._check_deadline()
        if not self._open:
            return b""
        self._poll()
        if self.state is DriverState.RUNNING:
            self._stream()
        out, self._out = bytes(self._out), bytearray()
        return out

    def drain_events(self) -> list[Event]:
        """The events since the last call."""
        events = list(self._events)
        self._events.clear()
        return events

    # -- requests --

    def home(self, now_s: float) -> None:
        """Find the switches; also the way out of every alarm."""
        self._time(now_s)
        allowed = (
            DriverState.UNHOMED,
            DriverState.IDLE,
            DriverState.ALARM,
            DriverState.FAULT,
            DriverState.ASLEEP,
        )
        if self.state not in allowed:
            raise self._refusal("home")
        self.homed = False
        self._forget_motion()
        self._become(DriverState.HOMING, "homing")
        self._start(self._home())

    def append(self, time_s: ArrayLike, position_m: ArrayLike, feed_m_per_s: ArrayLike | None = None) -> None:
        """Waypoints at time_s (N,) and position_m (N, 2) [m, frame screen], later than those before; N may be 0.

        Each is one straight move that ends there. The nominal feed is `feed_m_per_s` (scalar or (N,)) where given,
        else distance over time; it never exceeds the machine's highest rate. Every call, an empty one too, tells
        the dead man's switch that the caller lives. In IDLE a first time not later than the last one begins a new
        timeline; without feed its clock starts when the board sets out.
        """
        times = np.atleast_1d(np.asarray(time_s, dtype=np.float64))
        points = np.asarray(position_m, dtype=np.float64).reshape(-1, 2)
        if len(times) == 0:
            self._fresh_s = self._steady_s
            return
        feeds = self._checked(times, points, feed_m_per_s)
        self._fresh_s = self._steady_s
        if self._timeline is None or (self.state is DriverState.IDLE and times[0] <= self._timeline.end_s):
            self._begin_timeline(float(times[0]), points[0])
        self._queue(times, points, feeds)
        if self._waiting:
            self._become(DriverState.RUNNING, "moving")

    def hold(self, now_s: float) -> None:
        """Feed hold: slow down and stop on the path; `resume` goes on."""
        self._time(now_s)
        if self.state in (DriverState.HOLDING, DriverState.HELD):
            return
        if self.state not in READY:
            raise self._refusal("hold")
        self._hold("held on request")

    def resume(self, now_s: float) -> None:
        """Go on after a hold, or acknowledge a fault (what was queued is gone then)."""
        self._time(now_s)
        if self.state is DriverState.FAULT:
            self._become(DriverState.IDLE, "the fault was acknowledged")
        elif self.state in (DriverState.HOLDING, DriverState.HELD):
            self._out += grbl.RESUME
            self._fresh_s = self._steady_s
            self._become(DriverState.RUNNING if self._moving else DriverState.IDLE, "resumed")
        else:
            raise self._refusal("resume")

    def stop(self, now_s: float) -> None:
        """Hold, then drop everything queued; the position stays known and the machine is IDLE after."""
        self._time(now_s)
        if self.state is DriverState.STOPPING:
            return
        if self.state not in (*READY, DriverState.HOLDING, DriverState.HELD):
            raise self._refusal("stop")
        self._halt(DriverState.IDLE, "stopped on request")

    def emergency_stop(self, now_s: float) -> None:
        """Stop from whatever state, at once, and stay so until `release`; never refused."""
        self._time(now_s)
        if self.state in (DriverState.OFFLINE, DriverState.EMERGENCY):
            return
        self._release_wanted = False
        self._event("error", "Emergency stop.")
        if self.state is DriverState.HOMING or self._script is not None:
            self.homed = False
            self._out[:0] = grbl.RESET
            self._start(self._after_reset(DriverState.EMERGENCY))
        else:
            self._halt(DriverState.EMERGENCY, "emergency stop")
        self._become(DriverState.EMERGENCY, "emergency stop: release it to go on")

    def release(self, now_s: float) -> None:
        """End an emergency stop; nothing moves."""
        self._time(now_s)
        if self.state is not DriverState.EMERGENCY:
            raise self._refusal("release the emergency stop")
        if self._script is not None:
            self._release_wanted = True
            return
        self._release_wanted = False
        self._become(
            DriverState.IDLE if self.homed else DriverState.UNHOMED, "the emergency stop was released"
        )

    def configure(self, now_s: float) -> None:
        """Write what differs from the needed settings, one at a time while idle, then read and check again."""
        self._time(now_s)
        if self.state not in (DriverState.REFUSED, DriverState.UNHOMED, DriverState.IDLE):
            raise self._refusal("write settings")
        self.homed = False
        self._forget_motion()
        changes = list(self.differences)
        self._become(DriverState.CONNECTING, "writing settings")
        self._start(self._configure(changes))

    def override_feed(self, percent: int) -> None:
        """Feed override in per cent, 10 to 200, in steps of 10 and 1 as the board knows them."""
        if not 10 <= percent <= 200:
            raise MachineError(f"A feed override of {percent} % is not possible. Use 10 to 200 %.")
        tens, ones = divmod(abs(percent - 100), 10)
        up = percent > 100
        self._out += grbl.FEED_100 + (grbl.FEED_PLUS_10 if up else grbl.FEED_MINUS_10) * tens
        self._out += (grbl.FEED_PLUS_1 if up else grbl.FEED_MINUS_1) * ones

    # -- what is known --

    def motion(self, now_s: float) -> Motion:
        """Position and velocity estimated for now_s, interpolated along the path between the board's reports."""
        if self._timeline is None or self.state not in (
            DriverState.RUNNING,
            DriverState.HOLDING,
        ):
            return Motion(now_s, self._reported_m(), np.zeros(2), self._place_s)
        place = self._place_at(now_s)
        position, velocity = self._timeline.at(place)
        return Motion(now_s, np.array(position), np.array(velocity) * self._rate, place)

    @property
    def connected(self) -> bool:
        """Whether the link is up."""
        return self._open

    @property
    def answered(self) -> bool:
        """Whether the board has answered to everything asked when the link came up."""
        return self._open and self.state is not DriverState.CONNECTING

    def say(self, level: str, text: str) -> None:
        """Add an event of the link's owner to those of the driver."""
        self._event(level, text)

    def farewell(self) -> bytes:
        """The last bytes before the port is closed: hold what moves."""
        moving = self.state in (DriverState.RUNNING, DriverState.HOLDING, DriverState.STOPPING)
        return grbl.RESET if self.state is DriverState.HOMING else grbl.HOLD if moving else b""

    def sleep(self, now_s: float) -> None:
        """Switch the motors off; the position is unknown from then on."""
        self._time(now_s)
        if self.state not in (DriverState.UNHOMED, DriverState.IDLE, DriverState.ALARM, DriverState.FAULT):
            raise self._refusal("release its motors")
        self.homed = False
        self._forget_motion()
        self._send("$SLP")
        self._become(DriverState.ASLEEP, "the motors are released")

    def wake(self, now_s: float) -> None:
        """Energise the motors again after `sleep`; the machine must be homed."""
        self._time(now_s)
        if self.state is not DriverState.ASLEEP:
            raise self._refusal("wake")
        self._void_unanswered()
        self._out += grbl.RESET
        self._become(DriverState.CONNECTING, "waking the board")
        self._start(self._wake())

    @property
    def idle(self) -> bool:
        """Whether the machine is ready and everything appended has been carried out."""
        return self.state is DriverState.IDLE

    @property
    def queued_lines(self) -> int:
        """Waypoints not yet sent plus lines not yet answered."""
        return len(self._waiting) + len(self._unanswered)

    def _reported_m(self) -> Array:
        x, y = (self._machine_mm[i] - self._offset_mm[i] for i in range(2))
        return np.array([x / 1000, y / 1000])

    def _place_at(self, now_s: float) -> float:
        """Extrapolate the last match by the rate at which the board has worked off the timeline."""
        place = self._place_s + self._rate * max(now_s - self._place_stamp_s, 0.0)
        return min(place, self._sent_until_s)

    # -- bookkeeping --

    def _time(self, now_s: float, steady_s: float | None = None) -> None:
        self._now_s = now_s
        self._steady_s = now_s if steady_s is None else steady_s

    def _become(self, state: DriverState, reason: str) -> None:
        self.state, self.reason = state, reason

    def _event(self, level: str, text: str) -> None:
        self._events.append(Event(level, text))

    def _refusal(self, wish: str) -> MachineError:
        advice = {
            DriverState.OFFLINE: "connect the board first",
            DriverState.CONNECTING: "wait until it has answered",
            DriverState.REFUSED: "run `sketch-cell machine configure`",
            DriverState.UNHOMED: "home the machine first",
            DriverState.ALARM: "home the machine first",
            DriverState.FAULT: "resume to acknowledge the fault",
            DriverState.EMERGENCY: "release the emergency stop first",
            DriverState.ASLEEP: "enable and home the machine first",
        }.get(self.state, "wait, or stop it first")
        return MachineError(
            f"The machine cannot {wish} while it is {self.state.value} ({self.reason}): {advice}."
        )

    def _forget_conversation(self) -> None:
        self._splitter.clear()
        self._moves.forget()
        self._out = bytearray()
        self._unanswered: deque[_Sent] = deque()
        self._unanswered_bytes = 0
        self._script: _Script | None = None
        self._ask: _Ask | None = None
        self._ask_deadline_s = math.inf
        self._heard: list[grbl.Message] = []
        self._asked_s: float | None = None
        self._next_poll_s = -math.inf
        self._heard_s = self._steady_s
        self._idle_reports = 0

    def _forget_motion(self) -> None:
        self._timeline: Timeline | None = None
        self._waiting: deque[_Waypoint] = deque()
        self._place_s = self._place_stamp_s = self._sent_until_s = 0.0
        self._rate = 1.0
        self._moving = False
        self._fresh_s = self._steady_s

    def _void_unanswered(self) -> None:
        """After a reset or alarm no answer can be trusted to belong to a line."""
        self._unanswered.clear()
        self._unanswered_bytes = 0
        self._moves.forget()

    # -- appending and streaming --

    def _checked(self, times: Array, points: Array, feed: ArrayLike | None) -> Array | None:
        if self.state not in READY:
            raise self._refusal("move")
        if len(times) != len(points):
            raise MachineError(
                f"{len(times)} times were given for {len(points)} waypoints; each needs its own."
            )
        if not (np.isfinite(times).all() and np.isfinite(points).all()):
            raise MachineError("A waypoint is not a finite number. Nothing was queued.")
        timeline = self._timeline
        if timeline is not None and self.state is DriverState.RUNNING and times[0] <= timeline.end_s:
            raise MachineError(
                f"A waypoint at {times[0]:.3f} s is not later than the last one at {timeline.end_s:.3f} s. "
                "Append in order of time."
            )
        if (np.diff(times) <= 0).any():
            raise MachineError("The waypoints' times do not increase. Append in order of time.")
        self._check_reach(points)
        if feed is None:
            return None
        feeds = np.broadcast_to(np.asarray(feed, dtype=np.float64), times.shape)
        if not (np.isfinite(feeds) & (feeds > 0)).all():
            raise MachineError("A feed is not a positive number. Nothing was queued.")
        return feeds

    def _check_reach(self, points: Array) -> None:
        lowest, highest = self.reach_m()
        outside = (points < lowest - 1e-6) | (points > highest + 1e-6)
        if outside.any():
            x, y = points[outside.any(axis=1)][0] * 1000
            raise MachineError(
                f"The point ({x:.2f}, {y:.2f}) mm is outside the machine's reach, x {lowest[0] * 1000:.1f} to "
                f"{highest[0] * 1000:.1f} and y {lowest[1] * 1000:.1f} to {highest[1] * 1000:.1f} mm. "
                "Move or shrink the drawing."
            )

    def reach_m(self) -> tuple[Array, Array]:
        """Lowest and highest (x, y) [m, frame screen] within the board's soft limits."""
        board, corner = self.board, self.board.homing_corner
        home = np.array([self.settings.home_x_m, self.settings.home_y_m])
        travel = np.array([board.travel_x_m, board.travel_y_m])
        negative = np.array(["left" in corner, "lower" in corner])
        lowest = np.where(negative, home - board.pull_off_m, home + board.pull_off_m - travel)
        return lowest, lowest + travel

    def _begin_timeline(self, first_s: float, first_m: Array) -> None:
        here = self._reported_m()
        lead_s = math.dist(here, first_m) / self.board.max_rate_m_per_s
        start_s = first_s if math.dist(here, first_m) < AT_REST else max(first_s - lead_s, min(first_s, 0.0))
        if start_s == first_s:
            start_s -= 1e-6
        self._timeline = Timeline(start_s, (float(here[0]), float(here[1])))
        self._place_s = self._sent_until_s = start_s
        self._place_stamp_s = self._now_s
        self._rate = 1.0

    def _queue(self, times: Array, points: Array, feeds: Array | None) -> None:
        timeline = self._timeline
        assert timeline is not None
        fastest = self.board.max_rate_m_per_s
        for index, time_s in enumerate(times.tolist()):
            point = (float(points[index, 0]), float(points[index, 1]))
            if feeds is None:
                feed = math.dist(point, timeline.end_m) / (time_s - timeline.end_s)
            else:
                feed = float(feeds[index])
            timeline.append(time_s, point)
            self._waiting.append(_Waypoint(time_s, point, min(feed, fastest)))

    def _stream(self) -> None:
        """Send lines while the board's receive buffer has room for them."""
        if self._script is not None:
            return
        budget = self.options.rx_bytes
        one_by_one = self.settings.streaming == "send-response"
        while self._waiting:
            if one_by_one and self._unanswered:
                return
            waypoint = self._waiting[0]
            x, y = waypoint.position_m
            saved = self._moves.save()
            line = self._moves.line(x * 1000, y * 1000, waypoint.feed_m_per_s * 60_000)
            if line and self._unanswered_bytes + len(line) + 1 > budget:
                self._moves.restore(saved)
                return
            self._waiting.popleft()
            self._sent_until_s = waypoint.time_s
            if line:
                self._send(line, waypoint.time_s)
                self.statistics.lines += 1
                self._moving = True
                self._idle_reports = 0

    def _send(self, line: str, until_s: float | None = None) -> None:
        data = line.encode("ascii") + b"\n"
        self._unanswered.append(_Sent(len(data), line, until_s))
        self._unanswered_bytes += len(data)
        self._out += data

    # -- what the board says --

    def _handle(self, message: grbl.Message) -> None:
        if isinstance(message, grbl.Ok):
            self._answered(None)
        elif isinstance(message, grbl.Status):
            self._on_status(message)
        elif isinstance(message, grbl.Error):
            self._answered(message)
        elif isinstance(message, grbl.Alarm):
            self._on_alarm(message)
        elif isinstance(message, grbl.Welcome):
            self._on_welcome(message)
        else:
            self._on_text(message)

    def _on_text(self, message: grbl.Message) -> None:
        if self._ask is not None:
            self._heard.append(message)
        if isinstance(message, grbl.Unknown):
            self.statistics.unknown_lines += 1
            self._event("warning", f"The board said something unknown: {message.text[:80]!r}.")
        elif isinstance(message, grbl.Feedback) and message.tag == "MSG" and message.body:
            self._event("info", f"The board says: {message.body}.")

    def _answered(self, error: grbl.Error | None) -> None:
        if not self._unanswered:
            return  # stray, as boards send after resets
        sent = self._unanswered.popleft()
        self._unanswered_bytes -= sent.size
        self.statistics.acknowledged += 1
        if error is not None:
            self.statistics.errors += 1
        if sent.until_s is None:
            if self._ask is not None and self._ask.until == "answer":
                self._reply(error is None, str(error) if error else "")
        elif error is not None and self.state not in (DriverState.STOPPING, DriverState.EMERGENCY):
            self._fault(f"the board refused the line {sent.text!r}: {error}")

    def _on_alarm(self, alarm: grbl.Alarm) -> None:
        self.statistics.alarms += 1
        self._void_unanswered()
        self._forget_motion()
        keeps_position = alarm.code == 2 and self.homed
        self.homed = keeps_position
        self._event("error", f"{alarm}.")
        emergency = self.state is DriverState.EMERGENCY
        if alarm.code in (1, 2):
            self._out += grbl.RESET  # the board answers nothing else now
        after = (
            DriverState.EMERGENCY if emergency else DriverState.FAULT if keeps_position else DriverState.ALARM
        )
        self._start(self._after_alarm(after))
        if not emergency:
            self._become(after, str(alarm))

    def _on_welcome(self, welcome: grbl.Welcome) -> None:
        self._void_unanswered()
        self._asked_s = None
        self.firmware = f"{welcome.firmware} {welcome.version}"
        if self._ask is not None and self._ask.until == "banner":
            self._reply(True)
            return
        if self._script is not None and self.state is DriverState.CONNECTING:
            return
        was = self.state
        self.homed = False
        self._forget_motion()
        self._become(DriverState.CONNECTING, "the board has reset itself")
        self._event(
            "error", f"The board has reset itself while {was.value}. Its position is lost: home the machine."
        )
        self._start(self._connect(banner=False))

    def _on_status(self, status: grbl.Status) -> None:
        stamp_s = self._report_stamp(status)
        self.statistics.reports += 1
        self.pins = status.pins
        position = self._machine_position(status)
        if position is None:
            return
        self._machine_mm = position
        if self._ask is not None and self._ask.until == "report":
            self._heard.append(status)
            self._reply(True)
        elif self._ask is not None and self._ask.until == "hold" and _standing(status):
            self._reply(True)
        if self._timeline is not None and self.homed:
            self._track(status, stamp_s)
        if self.state is DriverState.HOLDING and _standing(status):
            self._become(DriverState.HELD, self.reason)
        if status.state == "Alarm" and self.state in (*READY, DriverState.HELD, DriverState.HOLDING):
            self.homed = False
            self._forget_motion()
            self._become(DriverState.ALARM, "the board is in alarm")
            self._event("error", "The board is in alarm though no alarm was heard. Home the machine.")

    def _machine_position(self, status: grbl.Status) -> tuple[float, ...] | None:
        if status.wco_mm is not None:
            self._wco_mm = status.wco_mm
        if status.mpos_mm is not None:
            return status.mpos_mm
        wco = getattr(self, "_wco_mm", None)
        if status.wpos_mm is None or wco is None:
            return None
        return tuple(w + o for w, o in zip(status.wpos_mm, wco, strict=False))

    def _report_stamp(self, status: grbl.Status) -> float:
        """When the board took the position: after our question, before its answer's first byte left."""
        if self._asked_s is None:
            return self._now_s
        asked_s, self._asked_s = self._asked_s, None
        self.statistics.round_trip_s = self._now_s - asked_s
        return min(max(asked_s, self._now_s - REPORT_S), self._now_s)

    # -- following the motion --

    def _track(self, status: grbl.Status, stamp_s: float) -> None:
        timeline = self._timeline
        assert timeline is not None
        elapsed_s = stamp_s - self._place_stamp_s
        expected_s = min(self._place_s + self._rate * elapsed_s, self._sent_until_s)
        match = timeline.match(self._reported_m().tolist(), expected_s, 0.3 + elapsed_s)
        self.statistics.largest_deviation_m = max(self.statistics.largest_deviation_m, match.deviation_m)
        if match.deviation_m > self.settings.deviation_m and self.state in READY:
            self._fault(
                f"the board is {match.deviation_m * 1000:.2f} mm off the path it was sent, so lines were lost or "
                "corrupted on the way"
            )
            return
        if status.state == "Run" and elapsed_s > 0:
            measured = (match.timeline_s - self._place_s) / elapsed_s
            self._rate += 0.3 * (min(max(measured, 0.0), 2.0) - self._rate)
        self._place_s, self._place_stamp_s = max(match.timeline_s, self._place_s), stamp_s
        timeline.forget_before(self._place_s - 5.0)
        if status.state == "Idle" and self._moving and self.state is DriverState.RUNNING:
            self._at_rest()

    def _at_rest(self) -> None:
        """The board says it has nothing to do: done, starved, or something was lost."""
        timeline = self._timeline
        assert timeline is not None
        self._idle_reports += 1
        target, _ = timeline.at(self._sent_until_s)
        arrived = math.dist(self._reported_m(), target) <= self.settings.deviation_m
        if not arrived:
            if self._idle_reports >= 3:
                self._fault(
                    "the board stands still short of the last line sent, so lines were lost on the way"
                )
            return
        if self._unanswered and self._idle_reports < 2:
            return
        if self._unanswered:
            count = len(self._unanswered)
            self.statistics.lost_acknowledgements += count
            self._event(
                "warning", f"{count} acknowledgement(s) got lost; the position shows the lines did not."
            )
            self._void_unanswered()
        self._place_s, self._moving = self._sent_until_s, False
        if self._waiting:
            self.statistics.starved += 1
        else:
            self._become(DriverState.IDLE, "everything appended has been carried out")

    # -- watchdogs --

    def _watch(self) -> None:
        quiet_s = self._steady_s - self._heard_s
        listening = self._asked_s is not None and self.state not in QUIET and self._script is None
        if listening and quiet_s > self.settings.link_timeout_s:
            self.link_lost(f"the board has been silent for {quiet_s:.1f} s")
            return
        deadman = self.settings.deadman_s
        if deadman and self.state is DriverState.RUNNING and self._steady_s - self._fresh_s > deadman:
            self._event(
                "error", f"No trajectory for {deadman:g} s: feed hold. Resume when the controller is back."
            )
            self._hold("no fresh trajectory")

    def _poll(self) -> None:
        wanted = self._ask is not None and self._ask.until == "report"
        if (self.state in QUIET and not wanted) or self._now_s < self._next_poll_s:
            return
        if self._asked_s is not None and self._now_s - self._asked_s < 0.5:
            return
        self._out[:0] = grbl.STATUS
        self._asked_s = self._now_s
        period = self.settings.poll_period_s
        if self.state not in (
            DriverState.RUNNING,
            DriverState.HOLDING,
            DriverState.STOPPING,
            DriverState.EMERGENCY,
        ):
            period *= 2
        if self.state in (DriverState.HOLDING, DriverState.STOPPING):
            period /= 4
        self._next_poll_s = self._now_s + period

    # -- holds, stops, faults --

    def _hold(self, reason: str) -> None:
        self._out[:0] = grbl.HOLD
        self._next_poll_s = self._now_s
        self._become(DriverState.HOLDING, reason)

    def _fault(self, reason: str) -> None:
        self._event(
            "error", f"Stopped: {reason}. Resume to acknowledge, then draw on from the position reported."
        )
        self._halt(DriverState.FAULT, reason)

    def _halt(self, after: DriverState, reason: str) -> None:
        """Hold, wait until the board stands, reset it: the queue is gone and the position exact."""
        self._out = bytearray(grbl.HOLD)
        self._waiting.clear()
        self._become(DriverState.STOPPING, reason)
        self._start(self._stop(after, reason))

    # -- scripts: conversations of several steps --

    def _start(self, script: _Script) -> None:
        self._script = script
        self._next_step(lambda: next(script))

    def _reply(self, ok: bool, reason: str = "") -> None:
        script, reply = self._script, _Reply(ok, reason, self._heard)
        self._heard, self._ask = [], None
        self._ask_deadline_s = math.inf
        if script is not None:
            self._next_step(lambda: script.send(reply))

    def _next_step(self, advance: Callable[[], _Ask]) -> None:
        script = self._script
        try:
            ask = advance()
        except StopIteration:
            if self._script is script:
                self._script = self._ask = None
            return
        if self._script is not script:
            return
        self._ask, self._heard = ask, []
        self._ask_deadline_s = self._now_s + ask.timeout_s
        self._ask_steady_s = self._steady_s + ask.timeout_s
        if ask.text:
            self._send(ask.text)
        if ask.until in ("report", "hold"):
            self._asked_s, self._next_poll_s = None, self._now_s

    def _check_deadline(self) -> None:
        if self._ask is None or self._now_s < self._ask_deadline_s or self._steady_s < self._ask_steady_s:
            return
        if self._ask.text:
            self._void_unanswered()
        self._reply(False, "no answer in time")

    def _connect(self, banner: bool = True) -> _Script:
        if banner:
            reply = yield _Ask(until="banner", timeout_s=self.settings.connect_timeout_s / 3)
            if not reply.ok:  # a board that does not reset when its port opens, or one that is frozen
                self._out += grbl.RESET
                reply = yield _Ask(until="banner", timeout_s=2 * self.settings.connect_timeout_s / 3)
            if not reply.ok:
                self.link_lost("no Grbl answers; check the port, the baud rate and the board's power")
                return
        yield _Ask(until="nothing", timeout_s=0.05)
        reply = yield _Ask("$I")
        self._note_options(reply)
        yield from self._check_settings()

    def _note_options(self, reply: _Reply) -> None:
        for message in reply.messages:
            if isinstance(message, grbl.Feedback) and message.tag == "OPT":
                self.options = grbl.build_options(message.body) or self.options

    def _check_settings(self) -> _Script:
        reply = yield _Ask("$$", timeout_s=5.0)
        if not reply.ok:
            self._become(DriverState.REFUSED, f"the board did not tell its settings ({reply.reason})")
            self._event("error", f"The board did not tell its settings: {reply.reason}.")
            return
        self.found_settings = {m.number: m.value for m in reply.messages if isinstance(m, grbl.Setting)}
        self.differences = differences(self.board, self.found_settings)
        for difference in self.differences:
            self._event("error" if difference.dangerous else "warning", f"{difference}.")
        if any(difference.dangerous for difference in self.differences):
            self._become(DriverState.REFUSED, "the board's settings differ from the machine's")
        else:
            self._become(DriverState.UNHOMED, "the position is unknown")
            self._event("info", f"{self.firmware} is ready; home it.")

    def _configure(self, changes: list[Difference]) -> _Script:
        for change in sorted(changes, key=lambda c: (c.number == 20, c.number)):
            reply = yield _Ask(change.command)
            if not reply.ok:
                self._event("error", f"{change.command} was refused: {reply.reason}.")
        yield from self._check_settings()

    def _home(self) -> _Script:
        if self.firmware and self._last_state_needs_reset():
            self._out += grbl.RESET
            yield _Ask(until="banner")
        started_s = self._now_s
        reply = yield _Ask("$H", timeout_s=self.settings.homing_timeout_s)
        if not reply.ok:
            yield from self._homing_failed(reply.reason)
            return
        reply = yield _Ask(until="report", timeout_s=2.0)
        if not reply.ok:
            yield from self._homing_failed("the board sent no report after homing")
            return
        if any(letter in self.pins for letter in "XY"):
            yield from self._homing_failed(f"a switch is still pressed after homing (pins {self.pins})")
            return
        if self._now_s - started_s < 0.1:
            self._event("warning", "Homing took no time at all. Check that the machine has really moved.")
        home_mm = (self.settings.home_x_m * 1000, self.settings.home_y_m * 1000)
        self._offset_mm = (self._machine_mm[0] - home_mm[0], self._machine_mm[1] - home_mm[1])
        if (yield from self._set_modes()):
            self.homed = True
            self._become(DriverState.IDLE, "homed")
            self._event("info", "Homed.")

    def _last_state_needs_reset(self) -> bool:
        return False

    def _homing_failed(self, reason: str) -> _Script:
        self._event("error", f"Homing failed: {reason}.")
        self._become(DriverState.ALARM, f"homing failed: {reason}")
        self._out += grbl.RESET
        self._void_unanswered()
        yield _Ask(until="banner")

    def _wake(self) -> _Script:
        reply = yield _Ask(until="banner", timeout_s=2.0)
        if reply.ok:
            self._become(DriverState.UNHOMED, "the position is unknown")
        else:
            self.link_lost("the board does not answer to a reset")

    def _set_modes(self) -> Generator[_Ask, _Reply, bool]:
        """Known modes, and work coordinates that are screen millimetres (G92: no EEPROM, lost in any reset)."""
        x, y = (grbl.number(self._machine_mm[i] - self._offset_mm[i], 3) for i in range(2))
        for line in ("G21G90G94G17G54", f"G92X{x}Y{y}"):
            reply = yield _Ask(line)
            if not reply.ok:
                self.homed = False
                self._become(DriverState.ALARM, f"the board refused {line}: {reply.reason}")
                self._event("error", f"The board refused {line}: {reply.reason}. Home the machine.")
                return False
        self._moves.forget()
        return True

    def _stop(self, after: DriverState, reason: str) -> _Script:
        reply = yield _Ask(until="hold", timeout_s=2.0)
        exact = reply.ok
        self._void_unanswered()
        self._out += grbl.RESET
        reply = yield _Ask(until="banner", timeout_s=2.0)
        if not reply.ok:
            self.link_lost("the board does not answer to a reset")
            return
        if not exact:
            self.homed = False
        yield from self._settle(after, reason)

    def _settle(self, after: DriverState, reason: str) -> _Script:
        """After a reset: a fresh report of where the machine stands, and its modes again."""
        yield _Ask(until="nothing", timeout_s=0.05)
        reply = yield _Ask(until="report", timeout_s=2.0)
        position_known = self.homed and reply.ok
        self._forget_motion()
        if position_known and not (yield from self._set_modes()):
            return
        if not position_known:
            self.homed = False
            after = after if after is DriverState.EMERGENCY else DriverState.ALARM
        if self.state is DriverState.EMERGENCY:
            after = DriverState.EMERGENCY
        self._become(after, reason)
        if after is DriverState.EMERGENCY and self._release_wanted:
            self._script = None
            self.release(self._now_s)

    def _after_reset(self, after: DriverState) -> _Script:
        reply = yield _Ask(until="banner", timeout_s=2.0)
        if not reply.ok:
            self.link_lost("the board does not answer to a reset")
            return
        yield from self._settle(after, "emergency stop: release it to go on")

    def _after_alarm(self, after: DriverState) -> _Script:
        """Wait for the banner most alarms end in, then see where the machine stands."""
        yield _Ask(until="banner", timeout_s=1.5)
        if self.homed:  # a soft limit: the board keeps its position, but locks itself
            yield _Ask(until="nothing", timeout_s=0.05)
            yield _Ask("$X")
            yield from self._settle(after, self.reason)


REPORT_S = 0.006  # a report of 60 characters at 115,200 baud


def _standing(status: grbl.Status) -> bool:
    return (status.state == "Hold" and status.substate == 0) or status.state in ("Idle", "Alarm")


def settings_table(found: Mapping[int, str]) -> list[tuple[str, str]]:
    """A board's `$$` as rows of text, in order of number."""
    return [(f"${number}", found[number]) for number in sorted(found)]
