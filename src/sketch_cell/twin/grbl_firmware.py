"""Grbl 1.1h as a program that runs on given time: bytes in, bytes and motor positions out.

The board's main loop is a generator that sleeps, waits, and is woken by bytes and by the ends of stepper
segments, as the real one is by its interrupts. Time only passes in `advance`, so the same firmware runs on a
pseudo-terminal in real time, on a simulated clock, and much faster than real time inside a test.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_commands import Commands
from sketch_cell.twin.grbl_flags import GrblBuild, Reset, Sleep
from sketch_cell.twin.grbl_machine import Machine

Array = NDArray[np.float64]


class GrblFirmware:
    """One board. Feed it with `receive`, let time pass with `advance`, read `transmit`.

    `limit_pins` (x, y, z) and `probe_pin` are inputs, set from outside between calls; True is pressed.
    """

    def __init__(self, build: GrblBuild | None = None, settings: dict[int, float] | None = None) -> None:
        self._machine = Machine(build or GrblBuild(), settings)
        self._commands = Commands(self._machine)
        self._program = self._boot()
        self._wake_s = 0.0
        self._waiting = False
        self._alive = True

    # -- the world's side --

    @property
    def now_s(self) -> float:
        return self._machine.now_s

    @property
    def state(self) -> str:
        """The machine state as the status report names it: Idle, Run, Hold, Jog, Home, Alarm, Check, ..."""
        return self._machine.state

    @property
    def starved(self) -> int:
        """How often motion ran dry with the host still connected: the planner empty at the end of a block."""
        return self._machine.starved

    @property
    def overflow_bytes(self) -> int:
        """Bytes lost because the host sent more than the receive buffer holds."""
        return self._machine.serial.overflow_bytes

    @property
    def limit_pins(self) -> tuple[bool, bool, bool]:
        return self._machine.limit_pins

    @limit_pins.setter
    def limit_pins(self, pins: tuple[bool, bool, bool]) -> None:
        self._machine.set_limit_pins(pins)

    @property
    def probe_pin(self) -> bool:
        return self._machine.probe_pin

    @probe_pin.setter
    def probe_pin(self, pressed: bool) -> None:
        self._machine.set_probe_pin(pressed)

    def receive(self, data: bytes) -> None:
        """Bytes the host sends now; they arrive at the pace of the wire."""
        if data and self._alive:
            self._machine.serial.push(data, self.now_s)

    def transmit(self) -> bytes:
        """The bytes that have left the board by now."""
        return self._machine.serial.sent(self.now_s) if self._alive else b""

    def advance(self, duration_s: float, sample_period_s: float = 0.001) -> Array:
        """Let time pass; the motors' travel (n, 2) [m] since power-up at n equally spaced times, the last at the end.

        Travel counts steps of the motors, so it does not jump when homing renames the machine position.
        """
        end_s = self.now_s + duration_s
        if self._alive:
            self._run(end_s)
        self._machine.go_to(end_s)
        count = max(round(duration_s / sample_period_s), 1)
        times = end_s - duration_s * np.arange(count - 1, -1, -1) / count
        return self._machine.stepper.samples(times) * self._machine.build.step_m

    def freeze(self) -> None:
        """Fault: the program hangs; motors stop, nothing is answered until `power_cycle`."""
        self._machine.stepper.reset()
        self._alive = False

    def power_cycle(self) -> None:
        """Fault, or the reset that opening the port causes: the board boots; only its EEPROM survives."""
        self._machine.power_up()
        self._program = self._boot()
        self._wake_s, self._waiting, self._alive = self.now_s, False, True

    # -- time --

    def _run(self, end_s: float) -> None:
        machine = self._machine
        while True:
            next_s = min(machine.serial.next_event_s, machine.stepper.segment_end_s)
            if not self._waiting:
                next_s = min(next_s, self._wake_s)
            if next_s > end_s:
                return
            machine.go_to(max(next_s, machine.now_s))
            if self._waiting or machine.now_s >= self._wake_s - 1e-12:
                self._resume()

    def _resume(self) -> None:
        nap = next(self._program)
        self._waiting = nap is None
        self._wake_s = math.inf if nap is None else self.now_s + nap

    # -- the main loop --

    def _boot(self) -> Generator[Sleep, None, None]:
        yield self._machine.build.boot_s
        while True:
            with suppress(Reset):
                yield from self._session()

    def _session(self) -> Generator[Sleep, None, None]:
        """From one reset to the next."""
        machine = self._machine
        machine.initialise()
        machine.print(report.BANNER)
        if machine.settings.flag(21) and any(machine.limits_active()):
            machine.state = "Alarm"
            machine.print(report.message("Check Limits"))
        if machine.state in ("Alarm", "Sleep"):
            machine.print(report.message(report.LOCKED))
            machine.state = "Alarm"
        else:
            machine.state = "Idle"
            yield from self._commands.startup_lines()
        while True:
            line = machine.read_line()
            if line is None:
                machine.auto_start()
                yield from machine.realtime()
                yield None
            else:
                yield from machine.realtime()
                yield from self._line(line)

    def _line(self, raw: bytes) -> Generator[Sleep, None, None]:
        """Execute one line and answer it; a reset in its middle still earns its `ok`, as on a board."""
        yield self._machine.build.line_time_s(len(raw))
        try:
            code = yield from self._commands.execute(raw)
        except Reset:
            self._machine.print(report.status_line(0))
            raise
        self._machine.print(report.status_line(code))
        stall_s = self._machine.serial.stall_s(self.now_s)
        if stall_s:
            yield stall_s

    # -- for tests and reports --

    @property
    def machine_position_mm(self) -> Sequence[float]:
        """The position the board believes in, in its own (homed) coordinates."""
        return self._machine.position_mm()
