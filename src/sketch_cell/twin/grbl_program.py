"""G-code carried out by the firmware twin: modes, offsets, dwells, lines, arcs, program flow."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

from sketch_cell.twin import grbl_gcode as gcode
from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_flags import Sleep, Work
from sketch_cell.twin.grbl_homing import probe
from sketch_cell.twin.grbl_machine import Machine
from sketch_cell.twin.grbl_planner import Move
from sketch_cell.twin.grbl_words import MOTION, NONE, TOOL_LENGTH, GcodeError

Answer = Generator[Sleep, None, int]

TRAVEL = 15


class Program:
    """Executes G-code on a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def execute(self, line: str, *, jog: bool = False) -> Answer:
        """One filtered line of G-code, or what follows `$J=`; 0, or Grbl's error code."""
        machine = self._machine
        try:
            block = gcode.parse(line, machine.gcode, machine.systems, jog=jog)
        except GcodeError as error:
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
        if block.command == TOOL_LENGTH and state.tool_length != block.target[2]:
            state.tool_length, changed = block.target[2], True
        state.modal = modal
        if changed:
            state.coordinates = list(block.coordinates)
            yield from self.offsets_changed()

    def offsets_changed(self) -> Work:
        """A work offset is another: that waits for the motion and goes into the next report."""
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
            yield from self.eeprom(13)
            if state.modal.coordinates == block.data_index:
                state.coordinates = list(block.ijk)
                yield from self.offsets_changed()
        elif command in (28, 30):
            if block.command != NONE:
                yield from machine.line_to(block.target, Move(rapid=True))
            yield from machine.line_to(block.ijk, Move(rapid=True))
            state.position = list(block.ijk)
        elif command in (28.1, 30.1):
            machine.systems[6 if command == 28.1 else 7] = list(state.position)
            yield from self.eeprom(13)
        elif command == 92:
            state.offset = list(block.target)
            yield from self.offsets_changed()
        elif command == 92.1:
            state.offset = [0.0, 0.0, 0.0]
            yield from self.offsets_changed()

    def _motion(self, block: gcode.Block) -> Work:
        machine, state, motion = self._machine, self._machine.gcode, block.modal.motion
        if motion == 800 or block.command != MOTION:
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
                yield from self.offsets_changed()
            machine.print(report.message("Pgm End"))
        state.modal = replace(state.modal, program=0)

    def eeprom(self, size: int) -> Work:
        """Interrupts are off while the EEPROM is written: received bytes are lost, steps stand still."""
        machine = self._machine
        yield from machine.wait_idle()
        machine.serial.deaf_until_s = machine.now_s + size * machine.build.eeprom_byte_s
        yield size * machine.build.eeprom_byte_s


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
