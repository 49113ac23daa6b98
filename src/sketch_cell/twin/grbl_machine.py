"""The state of the firmware twin below its command language: real-time flags, holds, alarms, pins and motion.

Every method that can take time is a generator; it yields seconds to sleep, or None to wait for any event.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_gcode import State
from sketch_cell.twin.grbl_planner import AXES, Move, Planner
from sketch_cell.twin.grbl_serial import SerialPort
from sketch_cell.twin.grbl_settings import GrblSettings
from sketch_cell.twin.grbl_stepper import Stepper

Sleep = float | None
Work = Generator[Sleep, None, None]


class Reset(Exception):
    """The main loop must start again: soft reset, or an alarm that ends in one."""


@dataclass(frozen=True)
class GrblBuild:
    """How this firmware was compiled, how fast its board is, and what one motor step moves."""

    baud: int = 115_200
    line_s: float = 0.00253  # measured on an Uno: 321 lines/s of 13 bytes, 274 of 25
    line_byte_s: float = 0.000045
    eeprom_byte_s: float = 0.0034
    boot_s: float = 0.0
    homing_cycles: tuple[tuple[int, ...], ...] = ((0, 1),)  # stock is ((2,), (0, 1)): Z first
    single_axis_homing: bool = False
    step_m: float = 0.036 / 3200

    def line_time_s(self, size: int) -> float:
        """Time the processor needs for a line of `size` bytes."""
        return self.line_s + self.line_byte_s * size


@dataclass
class Suspend:
    """Why the main program stands still."""

    hold_complete: bool = False
    motion_cancel: bool = False
    jog_cancel: bool = False
    door: bool = False
    retracted: bool = False
    restoring: bool = False
    restored: bool = False
    asleep: bool = False

    def __bool__(self) -> bool:
        return self.hold_complete or self.motion_cancel or self.jog_cancel or self.door or self.retracted


@dataclass
class Requests:
    """Flags that interrupts set and the main program clears."""

    reset: bool = False
    status: bool = False
    hold: bool = False
    door: bool = False
    start: bool = False
    stopped: bool = False
    cancel: bool = False
    sleep: bool = False
    overrides: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(
            self.reset
            or self.status
            or self.hold
            or self.start
            or self.stopped
            or self.door
            or self.cancel
            or self.sleep
            or self.overrides
        )


REPORT_S = 0.0015  # what the processor needs to print a status report

MOVING = ("Run", "Hold", "Door", "Home", "Sleep", "Jog")


class Machine:
    """Motion, reports and real-time commands; the command language is in `grbl_commands`."""

    def __init__(self, build: GrblBuild, settings: dict[int, float] | None) -> None:
        self.build = build
        self.settings = GrblSettings(settings)
        self.systems = [[0.0, 0.0, 0.0] for _ in range(8)]
        self.startup = ["", ""]
        self.build_info = ""
        self.serial = SerialPort(build.baud)
        self.stepper = Stepper()
        self.planner = Planner(self.settings, self.stepper.replanned)
        self.stepper.planner = self.planner
        self.limit_pins = (False, False, False)
        self.probe_pin = False
        self.now_s = 0.0
        self.starved = 0
        self.power_up()

    def power_up(self) -> None:
        """Everything but the EEPROM starts afresh; the motors stay where they are."""
        self.serial.clear()
        self.stepper.reset()
        self.stepper.position = [0, 0, 0]
        self.state = "Alarm" if self.settings.flag(22) else "Idle"
        self.alarm = 0
        self.requests = Requests()
        self._line = b""

    def initialise(self) -> None:
        """What every reset does: modes, buffers and overrides are lost, the position is kept."""
        self.gcode = State(coordinates=list(self.systems[0]))
        self.requests = Requests()
        self.alarm = 0
        self.suspend = Suspend()
        self.soft_limit = False
        self.homing = False
        self.probing = ""
        self.probed = False
        self.probe_steps = [0, 0, 0]
        self.spindle_override = 100
        self.planner.feed_override = self.planner.rapid_override = 100
        self._wco_count = self._override_count = 0
        self._line = b""
        self._reported_s = -REPORT_S
        self.serial.discard_received()
        self.clear_motion()
        self.stepper.holding = False
        self.stepper.inverted = tuple(self.settings.mask(3, axis) for axis in range(AXES))  # type: ignore
        self.sync_position()

    def print(self, text: str) -> None:
        """Send text to the host."""
        self.serial.write(text, self.now_s)

    def position_mm(self) -> list[float]:
        """Machine position now."""
        per_mm = self.settings.axes()[0]
        steps = self.stepper.steps_now()
        return [steps[i] / per_mm[i] for i in range(AXES)]

    def sync_position(self) -> None:
        """Parser and planner start from where the motors are."""
        self.planner.position = list(self.stepper.position)
        self.gcode.position = self.position_mm()

    def clear_motion(self) -> None:
        """Drop all queued motion and stop the steppers."""
        self.planner.reset()
        self.stepper.reset()
        self.stepper.locked = [False, False, False]
        self.stepper.system_block = None

    # -- interrupts --

    def go_to(self, now_s: float) -> None:
        """Advance to the next event: bytes arrive, a segment may end."""
        self.now_s = now_s
        if self.serial.next_event_s <= now_s:
            for byte in self.serial.absorb(now_s):
                self._realtime_byte(byte)
        if self.stepper.advance(now_s):
            self.requests.stopped = True

    def _realtime_byte(self, byte: int) -> None:
        requests = self.requests
        if byte == 0x18:
            self.request_reset()
        elif byte == ord("?"):
            # one that comes while a report is being printed is forgotten with that report
            requests.status = requests.status or self.now_s >= self._reported_s + REPORT_S
        elif byte == ord("!"):
            requests.hold = True
        elif byte == ord("~"):
            requests.start = True
        elif byte == 0x84:
            requests.door = True
        elif byte == 0x85:
            requests.cancel = requests.cancel or self.state == "Jog"
        elif 0x90 <= byte <= 0xA0:
            requests.overrides.add(byte)  # a flag each: two of a kind that come together count as one

    def request_reset(self) -> None:
        """Soft reset; in motion the motors stop dead and the position is lost (ALARM:3, or 6 in homing)."""
        if self.requests.reset:
            return
        self.requests.reset = True
        in_motion = self.state in ("Run", "Home", "Jog")
        if in_motion or self.stepper.holding or self.stepper.system_block:
            if self.state != "Home":
                self.alarm = 3
            elif not self.alarm:
                self.alarm = 6
            self.stepper.reset()

    def limits_active(self) -> tuple[bool, bool, bool]:
        """The switches as the firmware sees them, `$5` applied."""
        invert = self.settings.flag(5)
        x, y, z = self.limit_pins
        return (x != invert, y != invert, z != invert)

    def set_limit_pins(self, pins: tuple[bool, bool, bool]) -> None:
        """Switches changed: with hard limits on, a pressed one stops everything."""
        changed = pins != self.limit_pins
        self.limit_pins = pins
        armed = self.settings.flag(21) and not self.homing and self.state != "Alarm" and not self.alarm
        if changed and armed:  # pressed or let go: the interrupt does not look
            self.request_reset()
            self.alarm = 1

    def set_probe_pin(self, pressed: bool) -> None:
        """The probe changed: a probing motion ends where it did."""
        self.probe_pin = pressed
        if self.probing and self.probe_triggered():
            self.probing = ""
            self.probed = True
            self.probe_steps = self.stepper.steps_now()
            self.requests.cancel = True

    def probe_triggered(self) -> bool:
        """Whether the probe is where the probing motion wants it."""
        return self.probe_pin != (self.settings.flag(6) != (self.probing == "away"))

    # -- input --

    def read_line(self) -> bytes | None:
        """The next whole line from the receive buffer; a part of one is taken out of the buffer and kept."""
        received = self.serial.received
        end = min((at for at in (received.find(b"\n"), received.find(b"\r")) if at >= 0), default=-1)
        if end < 0:
            self._line += bytes(received)
            received.clear()
            return None
        line = self._line + bytes(received[:end])
        del received[: end + 1]
        self._line = b""
        return line

    # -- real-time execution --

    def realtime(self) -> Work:
        """Execute what was requested; stays inside while a hold or an open door suspends the program."""
        if self.alarm:
            yield from self._report_alarm()
        if self.requests:
            self._execute_requests()
        while self.suspend:
            changed = self._suspended()
            if self.requests:
                self._execute_requests()
            if self.suspend.restoring and not self.suspend.restored:
                yield from self._restore()
            elif self.suspend and not changed:
                yield None
                if self.alarm:
                    yield from self._report_alarm()

    def wait_idle(self) -> Work:
        """Until all queued motion is done; a hold on the way is obeyed."""
        self.auto_start()
        while True:
            yield from self.realtime()
            if not self.planner.blocks and self.state != "Run":
                return
            yield None

    def auto_start(self) -> None:
        """Start queued motion when nothing else is to be done."""
        if self.planner.blocks:
            self.requests.start = True

    def _report_alarm(self) -> Work:
        code = self.alarm
        self.state = "Alarm"
        self.print(f"ALARM:{code}\r\n")
        yield 0.5
        if code in (1, 2):
            self.print(report.message("Reset to continue"))
            self.requests.reset = False
            while not self.requests.reset:
                yield None
        self.alarm = 0

    def _execute_requests(self) -> None:
        requests = self.requests
        if requests.reset:
            raise Reset
        if requests.status:
            requests.status = False
            self._reported_s = self.now_s
            self.print(self.status_report())
        if requests.hold or requests.door or requests.cancel or requests.sleep:
            self._begin_hold()
        if requests.start:
            self._cycle_start()
        if requests.stopped:
            self._cycle_stop()
        if requests.overrides:
            self._apply_overrides()
        if self.state in MOVING:
            self.stepper.prepare()

    def _begin_hold(self) -> None:
        requests, suspend = self.requests, self.suspend
        if self.state not in ("Alarm", "Check"):
            if self.state in ("Run", "Jog") and not (suspend.motion_cancel or suspend.jog_cancel):
                self.stepper.replanned()
                self.stepper.holding = True
                if self.state == "Jog" and not requests.sleep:
                    suspend.jog_cancel = True
            if self.state == "Idle":
                self.suspend = suspend = Suspend(hold_complete=True)
            if requests.cancel and self.state != "Jog":
                suspend.motion_cancel = True
            if requests.hold and self.state not in ("Door", "Jog", "Sleep"):
                self.state = "Hold"
            if requests.door:
                self.print(report.message("Check Door"))
                if not suspend.jog_cancel and self.state != "Sleep":
                    self.state = "Door"
                suspend.door = True
        if requests.sleep:
            if self.state == "Alarm":
                suspend.retracted = suspend.hold_complete = True
            self.state = "Sleep"
        if requests.hold or requests.door or requests.cancel:
            requests.start = False
        requests.hold = requests.door = requests.cancel = requests.sleep = False

    def _cycle_start(self) -> None:
        self.requests.start = False
        suspend = self.suspend
        if self.state == "Door" and not suspend.door:
            if suspend.restored:
                self.state = "Idle"
            elif suspend.retracted:
                suspend.restoring = True
        if self.state != "Idle" and not (self.state == "Hold" and suspend.hold_complete):
            return
        go = bool(self.planner.blocks) and not suspend.motion_cancel
        self.suspend = Suspend()
        self.stepper.holding = self.stepper.end_of_motion = False
        self.state = "Run" if go else "Idle"
        if go:
            self.stepper.wake()

    def _cycle_stop(self) -> None:
        """All prepared steps have been made: a hold is complete, or the motion is."""
        self.requests.stopped = False
        suspend = self.suspend
        if self.state in ("Hold", "Door", "Sleep") and not self.soft_limit and not suspend.jog_cancel:
            held = self.stepper.holding
            self.planner.replan_all()
            suspend.hold_complete = suspend.hold_complete or held
            self.stepper.holding = False
            self.stepper.end_of_motion = True  # nothing more is prepared until the cycle starts again
            return
        if suspend.jog_cancel:
            self.stepper.holding = False
            self.clear_motion()
            self.sync_position()
        if suspend.door:
            suspend.jog_cancel, suspend.hold_complete = False, True
            self.state = "Door"
        else:
            self.suspend = Suspend()
            self.state = "Idle"

    def _suspended(self) -> bool:
        """Once the hold is complete, an open door or sleep switches the spindle off; whether anything changed."""
        suspend = self.suspend
        if not suspend.hold_complete or self.state not in ("Door", "Sleep"):
            return False
        if not suspend.retracted:
            suspend.retracted = True
            self._override_count = 0
            return True
        if self.state == "Sleep":
            if not suspend.asleep:
                self.print(report.message("Sleeping"))
            suspend.asleep = True
            return False
        suspend.door = False
        return False

    def _restore(self) -> Work:
        """Leave an open door: the spindle gets four seconds to come up to speed, the coolant one."""
        modal = self.gcode.modal
        for needed, delay_s in ((modal.spindle != 5, 4.0), (modal.coolant == 8, 1.0)):
            for _ in range(round(delay_s / 0.05) if needed else 0):
                yield 0.05
                if self.requests:
                    self._execute_requests()
        self.suspend.restored = True
        self.requests.start = True

    def _apply_overrides(self) -> None:
        feed, rapid, spindle = self.planner.feed_override, self.planner.rapid_override, self.spindle_override
        for byte in sorted(self.requests.overrides):
            if 0x90 <= byte <= 0x94:
                feed = _stepped(feed, byte - 0x90)
            elif 0x95 <= byte <= 0x97:
                rapid = (100, 50, 25)[byte - 0x95]
            elif 0x99 <= byte <= 0x9D:
                spindle = _stepped(spindle, byte - 0x99)
        self.requests.overrides.clear()
        if (feed, rapid, spindle) != (
            self.planner.feed_override,
            self.planner.rapid_override,
            self.spindle_override,
        ):
            self._override_count = 0
        if (feed, rapid) != (self.planner.feed_override, self.planner.rapid_override):
            self.planner.feed_override, self.planner.rapid_override = feed, rapid
            self.planner.overrides_changed()
        self.spindle_override = spindle

    # -- motion --

    def line_to(self, target_mm: Sequence[float], move: Move) -> Work:
        """Queue a straight move, waiting for room; leaving the soft limits raises the alarm instead."""
        if self.settings.flag(20) and self.state != "Jog" and self.beyond_travel(target_mm):
            yield from self._soft_limit()
        if self.state == "Check":
            return
        while True:
            yield from self.realtime()
            if not self.planner.full:
                break
            self.auto_start()
            yield from self.realtime()
            if self.planner.full:
                yield None
        if self.state == "Run" and not self.planner.blocks:
            self.starved += 1
        self.planner.add(target_mm, move)

    def beyond_travel(self, target_mm: Sequence[float]) -> bool:
        """Whether a target is outside the machine's space, -travel .. 0 on every axis."""
        return any(target_mm[i] > 0 or target_mm[i] < -self.settings.travel_mm(i) for i in range(AXES))

    def _soft_limit(self) -> Work:
        self.soft_limit = True
        if self.state == "Run":
            self.requests.hold = True
            while True:
                yield from self.realtime()
                if self.state == "Idle":
                    break
                yield None
        self.request_reset()
        self.alarm = 2
        yield from self.realtime()

    def reports_offset_change(self) -> None:
        """The next status report tells the new work offset."""
        self._wco_count = 0

    def status_report(self) -> str:
        """The answer to `?`."""
        inches = self.settings.flag(13)
        mask = int(self.settings[10])
        position, offset = self.position_mm(), self.gcode.work_offset()
        parts = [self._state_name()]
        if mask & 1:
            parts.append("MPos:" + report.coordinates(position, inches))
        else:
            work = [position[i] - offset[i] for i in range(AXES)]
            parts.append("WPos:" + report.coordinates(work, inches))
        if mask & 2:
            free = 15 - len(self.planner.blocks)
            parts.append(f"Bf:{free},{128 - len(self.serial.received)}")
        speed = self.stepper.speed * 60 if self.state in ("Run", "Home", "Hold", "Jog", "Door") else 0.0
        parts.append(f"FS:{report.rate(speed, inches)},{self._spindle_rpm():.0f}")
        pins = self._pin_letters()
        if pins:
            parts.append("Pn:" + pins)
        parts += self._slow_fields(offset, inches)
        return f"<{'|'.join(parts)}>\r\n"

    def _state_name(self) -> str:
        suspend = self.suspend
        if self.state == "Hold":
            return "Jog" if suspend.jog_cancel else f"Hold:{0 if suspend.hold_complete else 1}"
        if self.state == "Door":
            if suspend.restoring:
                return "Door:3"
            return ("Door:1" if suspend.door else "Door:0") if suspend.retracted else "Door:2"
        return self.state

    def _pin_letters(self) -> str:
        letters = "P" if self.probe_pin != self.settings.flag(6) else ""
        return letters + "".join(
            letter for letter, pressed in zip("XYZ", self.limits_active(), strict=True) if pressed
        )

    def _slow_fields(self, offset: Sequence[float], inches: bool) -> list[str]:
        """Work offset and overrides come now and then, sooner after a change."""
        parts = []
        busy = self.state in ("Run", "Home", "Hold", "Jog", "Door")
        if self._wco_count > 0:
            self._wco_count -= 1
        else:
            self._wco_count = 29 if busy else 9
            self._override_count = max(self._override_count, 1)
            parts.append("WCO:" + report.coordinates(offset, inches))
        if self._override_count > 0:
            self._override_count -= 1
        else:
            self._override_count = 19 if busy else 9
            planner = self.planner
            parts.append(f"Ov:{planner.feed_override},{planner.rapid_override},{self.spindle_override}")
            parts += self._accessories()
        return parts

    def _spindle_rpm(self) -> float:
        parked = self.suspend.retracted and not self.suspend.restoring
        if self.gcode.modal.spindle == 5 or not self.gcode.spindle_rpm or parked:
            return 0.0
        wanted = self.gcode.spindle_rpm * self.spindle_override / 100
        return min(max(wanted, self.settings[31]), self.settings[30])

    def accessories_changed(self) -> None:
        """The next status report tells overrides and accessories."""
        self._override_count = 0

    def _accessories(self) -> list[str]:
        modal = self.gcode.modal
        spindle = {3: "S", 4: "C"}.get(modal.spindle, "") if self._spindle_rpm() else ""
        letters = spindle + ("F" if modal.coolant == 8 else "")
        return ["A:" + letters] if letters else []


def _stepped(percent: int, code: int) -> int:
    """An override after one of its five commands: 100 %, +10, -10, +1, -1."""
    value = 100 if code == 0 else percent + (0, 10, -10, 1, -1)[code]
    return min(max(value, 10), 200)


def is_finite(values: Sequence[float]) -> bool:
    """Whether every value is a finite number."""
    return all(math.isfinite(value) for value in values)
