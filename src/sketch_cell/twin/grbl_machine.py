"""The state of the firmware twin below its command language: real-time flags, holds, alarms, pins and motion.

Every method that can take time is a generator; it yields seconds to sleep, or None to wait for any event.
"""

from __future__ import annotations

from collections.abc import Sequence

from sketch_cell.twin import grbl_hold as hold
from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_flags import GrblBuild, Requests, Reset, Suspend, Work
from sketch_cell.twin.grbl_gcode import State
from sketch_cell.twin.grbl_overrides import apply_overrides
from sketch_cell.twin.grbl_planner import AXES, Move, Planner
from sketch_cell.twin.grbl_serial import SerialPort
from sketch_cell.twin.grbl_settings import GrblSettings
from sketch_cell.twin.grbl_status import status_report
from sketch_cell.twin.grbl_stepper import Stepper

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
        self.wco_count = self.override_count = 0
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
            self.execute_requests()
        while self.suspend:
            changed = hold.suspended(self)
            if self.requests:
                self.execute_requests()
                changed = True
            if self.suspend.restoring and not self.suspend.restored:
                yield from hold.restore(self)
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

    def execute_requests(self) -> None:
        requests = self.requests
        if requests.reset:
            raise Reset
        if requests.status:
            requests.status = False
            self._reported_s = self.now_s
            self.print(status_report(self))
        if requests.hold or requests.door or requests.cancel or requests.sleep:
            hold.begin_hold(self)
        if requests.start:
            hold.cycle_start(self)
        if requests.stopped:
            hold.cycle_stop(self)
        if requests.overrides:
            apply_overrides(self)
        if self.state in MOVING:
            self.stepper.prepare()

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
        self.wco_count = 0

    def accessories_changed(self) -> None:
        """The next status report tells overrides and accessories."""
        self.override_count = 0
