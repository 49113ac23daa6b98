"""The command language of the firmware twin: `$` commands, G-code, homing and probing."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

from sketch_cell.twin import grbl_gcode as gcode
from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_homing import home, probe
from sketch_cell.twin.grbl_machine import Machine, Reset, Sleep, Work
from sketch_cell.twin.grbl_planner import Move

Answer = Generator[Sleep, None, int]

INVALID, NUMBER, NEGATIVE, DISABLED, NOT_IDLE, LOCKED, OVERFLOW, TRAVEL = 3, 2, 4, 5, 8, 9, 11, 15


class Commands:
    """Executes filtered lines on a machine; every method answers with Grbl's status code, 0 for ok."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def execute(self, raw: bytes) -> Answer:
        """One received line."""
        line = gcode.filter_line(raw)
        if line is None:
            return OVERFLOW
        if not line:
            return 0
        if line.startswith("$"):
            return (yield from self._system(line))
        if self._machine.state in ("Alarm", "Jog"):
            return LOCKED
        return (yield from self._gcode(line))

    def startup_lines(self) -> Work:
        """Run `$N0` and `$N1`."""
        for line in self._machine.startup:
            if line:
                code = yield from self._gcode(line)
                self._machine.print(f">{line}:{report.status_line(code)}")

    # -- $ commands --

    def _system(self, line: str) -> Answer:
        machine = self._machine
        letter = line[1:2]
        if letter == "":
            machine.print(report.HELP)
            return 0
        if letter == "J":
            return (yield from self._jog(line))
        if letter in "$GCX":
            return self._quick(letter) if len(line) == 2 else INVALID
        if machine.state not in ("Idle", "Alarm"):
            return NOT_IDLE
        if letter == "H":
            return (yield from self._home(line))
        simple = {"#": self._parameters, "S": self._sleep, "R": self._restore}
        if letter in simple:
            return simple[letter](line)
        if letter == "I":
            return (yield from self._info(line))
        if letter == "N":
            return (yield from self._startup(line))
        return (yield from self._store(line))

    def _quick(self, letter: str) -> int:
        machine = self._machine
        if letter == "$":
            if machine.state in ("Run", "Hold"):
                return NOT_IDLE
            machine.print("".join(f"{text}\r\n" for text in machine.settings.lines()))
        elif letter == "G":
            machine.print(report.parser_state(machine.gcode, machine.settings.flag(13)))
        elif letter == "C":
            return self._check_mode()
        elif machine.state == "Alarm":
            machine.print(report.message("Caution: Unlocked"))
            machine.state = "Idle"
        return 0

    def _check_mode(self) -> int:
        machine = self._machine
        if machine.state == "Check":
            machine.request_reset()
            machine.print(report.message("Disabled"))
        elif machine.state != "Idle":
            return NOT_IDLE
        else:
            machine.state = "Check"
            machine.print(report.message("Enabled"))
        return 0

    def _parameters(self, line: str) -> int:
        if len(line) != 2:
            return INVALID
        machine = self._machine
        per_mm = machine.settings.axes()[0]
        probe_mm = [machine.probe_steps[i] / per_mm[i] for i in range(3)]
        inches = machine.settings.flag(13)
        machine.print(report.parameters(machine.systems, machine.gcode, probe_mm, machine.probed, inches))
        return 0

    def _sleep(self, line: str) -> int:
        if line != "$SLP":
            return INVALID
        self._machine.requests.sleep = True
        return 0

    def _restore(self, line: str) -> int:
        machine = self._machine
        if line not in ("$RST=$", "$RST=#", "$RST=*"):
            return INVALID
        if line[5] in "$*":
            machine.settings.restore_stock()
        if line[5] in "#*":
            machine.systems[:] = [[0.0, 0.0, 0.0] for _ in range(8)]
        if line[5] == "*":
            machine.startup[:] = ["", ""]
            machine.build_info = ""
        machine.print(report.message("Restoring defaults"))
        machine.request_reset()
        return 0

    def _info(self, line: str) -> Answer:
        machine = self._machine
        if line == "$I":
            machine.print(f"[VER:{report.VERSION}:{machine.build_info}]\r\n")
            letters = "V" + ("H" if machine.build.single_axis_homing else "")
            machine.print(f"[OPT:{letters},15,128]\r\n")
            return 0
        if line[2] != "=":
            return INVALID
        machine.build_info = line[3:]
        yield from self._eeprom(80)
        return 0

    def _startup(self, line: str) -> Answer:
        machine = self._machine
        if line == "$N":
            machine.print("".join(f"$N{i}={text}\r\n" for i, text in enumerate(machine.startup)))
            return 0
        if machine.state != "Idle":
            return NOT_IDLE
        found = gcode.read_number(line, 2)
        if found is None:
            return NUMBER
        value, end = found
        if line[end : end + 1] != "=":
            return INVALID
        code = yield from self._gcode(line[end + 1 :])
        if code:
            return code
        if int(value) < len(machine.startup):
            machine.startup[int(value)] = line[end + 1 :]
        yield from self._eeprom(80)
        return 0

    def _store(self, line: str) -> Answer:
        found = gcode.read_number(line, 1)
        if found is None:
            return NUMBER
        parameter, end = found
        if line[end : end + 1] != "=":
            return INVALID
        value = gcode.read_number(line, end + 1)
        if value is None:
            return NUMBER
        if value[1] != len(line) or parameter > 255:
            return INVALID
        machine = self._machine
        code = machine.settings.store(int(parameter), value[0])
        if code == 0:
            machine.stepper.inverted = tuple(machine.settings.mask(3, axis) for axis in range(3))  # type: ignore
            if int(parameter) == 13:
                yield from self._offsets_changed()
            yield from self._eeprom(2)
        return code

    def _eeprom(self, size: int) -> Work:
        """Interrupts are off while the EEPROM is written: received bytes are lost, steps stand still."""
        machine = self._machine
        yield from machine.wait_idle()
        machine.serial.deaf_until_s = machine.now_s + size * machine.build.eeprom_byte_s
        yield size * machine.build.eeprom_byte_s

    def _home(self, line: str) -> Answer:
        machine = self._machine
        if not machine.settings.flag(22):
            return DISABLED
        cycles = machine.build.homing_cycles
        machine.state = "Home"
        if len(line) > 2:
            axis = "XYZ".find(line[2])
            if not machine.build.single_axis_homing or len(line) != 3 or axis < 0:
                return INVALID
            cycles = ((axis,),)
        yield from home(machine, cycles)
        machine.state = "Idle"
        if len(line) == 2:
            yield from self.startup_lines()
        return 0

    def _jog(self, line: str) -> Answer:
        machine = self._machine
        if machine.state not in ("Idle", "Jog"):
            return NOT_IDLE
        if line[2:3] != "=":
            return INVALID
        return (yield from self._gcode(line[3:], jog=True))

    # -- G-code --

    def _gcode(self, line: str, *, jog: bool = False) -> Answer:
        machine = self._machine
        try:
            block = gcode.parse(line, machine.gcode, machine.systems, jog=jog)
        except gcode.GcodeError as error:
            return error.code
        if jog:
            return (yield from self._execute_jog(block))
        yield from self._set_modes(block)
        yield from self._non_modal(block)
        yield from self._motion(block)
        if block.modal.program:
            yield from self._program_flow(block)
        return 0

    def _execute_jog(self, block: gcode.Block) -> Answer:
        machine = self._machine
        if machine.settings.flag(20) and machine.beyond_travel(block.target):
            return TRAVEL
        yield from machine.line_to(block.target, Move(block.feed / 60, overridable=False))
        if machine.state == "Idle" and machine.planner.blocks:
            machine.state = "Jog"
            machine.stepper.wake()
        machine.gcode.position = list(block.target)
        return 0

    def _set_modes(self, block: gcode.Block) -> Work:
        machine, state, modal = self._machine, self._machine.gcode, block.modal
        state.line_number, state.feed, state.tool = block.line_number, block.feed, block.tool
        speed_changed = block.spindle_rpm != state.spindle_rpm and state.modal.spindle != 5
        if speed_changed or modal.spindle != state.modal.spindle or modal.coolant != state.modal.coolant:
            yield from machine.wait_idle()
            machine.accessories_changed()
        state.spindle_rpm = block.spindle_rpm
        if block.non_modal == 4:
            yield from self._dwell(block.dwell_s)
        changed = modal.coordinates != state.modal.coordinates
        if block.command == gcode.TOOL_LENGTH and state.tool_length != block.target[2]:
            state.tool_length, changed = block.target[2], True
        state.modal = modal
        if changed:
            state.coordinates = list(block.coordinates)
            yield from self._offsets_changed()

    def _offsets_changed(self) -> Work:
        yield from self._machine.wait_idle()
        self._machine.reports_offset_change()

    def _dwell(self, seconds: float) -> Work:
        if self._machine.state == "Check":
            return
        yield from self._machine.wait_idle()
        for _ in range(math.ceil(seconds / 0.05)):
            yield from self._machine.realtime()
            yield 0.05

    def _non_modal(self, block: gcode.Block) -> Work:
        machine, state = self._machine, self._machine.gcode
        command = block.non_modal
        if command == 10:
            machine.systems[block.data_index] = list(block.ijk)
            yield from self._eeprom(13)
            if state.modal.coordinates == block.data_index:
                state.coordinates = list(block.ijk)
                yield from self._offsets_changed()
        elif command in (28, 30):
            if block.command != gcode.NONE:
                yield from machine.line_to(block.target, Move(rapid=True))
            yield from machine.line_to(block.ijk, Move(rapid=True))
            state.position = list(block.ijk)
        elif command in (28.1, 30.1):
            machine.systems[6 if command == 28.1 else 7] = list(state.position)
            yield from self._eeprom(13)
        elif command == 92:
            state.offset = list(block.target)
            yield from self._offsets_changed()
        elif command == 92.1:
            state.offset = [0.0, 0.0, 0.0]
            yield from self._offsets_changed()

    def _motion(self, block: gcode.Block) -> Work:
        machine, state, motion = self._machine, self._machine.gcode, block.modal.motion
        if motion == 800 or block.command != gcode.MOTION:
            return
        move = self._move(block)
        if motion in (20, 30):
            yield from self._arc(block, move)
        elif motion > 380:
            yield from probe(machine, block.target, move, motion)
            return
        else:
            yield from machine.line_to(block.target, move)
        state.position = list(block.target)

    @staticmethod
    def _move(block: gcode.Block) -> Move:
        if block.modal.motion == 0:
            return Move(rapid=True)
        return Move(
            block.feed / 60,
            inverse_time=block.modal.inverse_time,
            overridable=block.modal.motion < 380,
        )

    def _arc(self, block: gcode.Block, move: Move) -> Work:
        """An arc as chords no further than `$12` from it.

        In inverse time mode Grbl multiplies F by the number of chords and takes the product for mm/min.
        """
        points = arc_points(block, self._machine.gcode.position, self._machine.settings[12])
        if move.inverse_time:
            move = replace(move, feed_mm_per_s=move.feed_mm_per_s * (len(points) + 1), inverse_time=False)
        for point in points:
            yield from self._machine.line_to(point, move)
        yield from self._machine.line_to(block.target, move)

    def _program_flow(self, block: gcode.Block) -> Work:
        machine, state = self._machine, self._machine.gcode
        yield from machine.wait_idle()
        if block.modal.program == 3:
            if machine.state != "Check":
                machine.requests.hold = True
                yield from machine.realtime()
        else:
            state.modal = replace(
                state.modal,
                motion=10,
                plane=0,
                incremental=False,
                inverse_time=False,
                coordinates=0,
                spindle=5,
                coolant=9,
            )
            machine.planner.feed_override = machine.planner.rapid_override = machine.spindle_override = 100
            if machine.state != "Check":
                state.coordinates = list(machine.systems[0])
                yield from self._offsets_changed()
            machine.print(report.message("Pgm End"))
        state.modal = replace(state.modal, program=0)


def arc_points(block: gcode.Block, start: Sequence[float], tolerance: float) -> list[list[float]]:
    """The inner points of an arc, chord by chord."""
    first, second, normal = gcode.plane_axes(block.modal.plane)
    centre = (start[first] + block.ijk[first], start[second] + block.ijk[second])
    x, y = -block.ijk[first], -block.ijk[second]
    end_x, end_y = block.target[first] - centre[0], block.target[second] - centre[1]
    angle = math.atan2(x * end_y - y * end_x, x * end_x + y * end_y)
    if block.modal.motion == 20:
        angle -= 2 * math.pi if angle >= -5e-7 else 0.0
    else:
        angle += 2 * math.pi if angle <= 5e-7 else 0.0
    reach = tolerance * (2 * block.radius - tolerance)
    count = int(abs(angle * block.radius / 2) / math.sqrt(reach)) if reach > 0 else 0
    points = []
    for i in range(1, count):
        c, s = math.cos(angle * i / count), math.sin(angle * i / count)
        point = list(start)
        point[first] = centre[0] + x * c - y * s
        point[second] = centre[1] + x * s + y * c
        point[normal] += (block.target[normal] - start[normal]) * i / count
        points.append(point)
    return points


__all__ = ["Commands", "Reset"]
