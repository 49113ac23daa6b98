"""The command language of the firmware twin: `$` commands here, G-code in `grbl_program`."""

from __future__ import annotations

from collections.abc import Generator

from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_flags import Sleep, Work
from sketch_cell.twin.grbl_homing import home
from sketch_cell.twin.grbl_machine import Machine
from sketch_cell.twin.grbl_program import Program
from sketch_cell.twin.grbl_words import filter_line, read_number

Answer = Generator[Sleep, None, int]

INVALID, NUMBER, DISABLED, NOT_IDLE, LOCKED, OVERFLOW = 3, 2, 5, 8, 9, 11


class Commands:
    """Executes filtered lines on a machine; every method answers with Grbl's status code, 0 for ok."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._program = Program(machine)

    def execute(self, raw: bytes) -> Answer:
        """One received line."""
        line = filter_line(raw)
        if line is None:
            return OVERFLOW
        if not line:
            return 0
        if line.startswith("$"):
            return (yield from self._system(line))
        if self._machine.state in ("Alarm", "Jog"):
            return LOCKED
        return (yield from self._program.execute(line))

    def startup_lines(self) -> Work:
        """Run `$N0` and `$N1`."""
        for line in self._machine.startup:
            if line:
                code = yield from self._program.execute(line)
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
        yield from self._program.eeprom(80)
        return 0

    def _startup(self, line: str) -> Answer:
        machine = self._machine
        if line == "$N":
            machine.print("".join(f"$N{i}={text}\r\n" for i, text in enumerate(machine.startup)))
            return 0
        if machine.state != "Idle":
            return NOT_IDLE
        found = read_number(line, 2)
        if found is None:
            return NUMBER
        value, end = found
        if line[end : end + 1] != "=":
            return INVALID
        code = yield from self._program.execute(line[end + 1 :])
        if code:
            return code
        if int(value) < len(machine.startup):
            machine.startup[int(value)] = line[end + 1 :]
        yield from self._program.eeprom(80)
        return 0

    def _store(self, line: str) -> Answer:
        found = read_number(line, 1)
        if found is None:
            return NUMBER
        parameter, end = found
        if line[end : end + 1] != "=":
            return INVALID
        value = read_number(line, end + 1)
        if value is None:
            return NUMBER
        if value[1] != len(line) or parameter > 255:
            return INVALID
        machine = self._machine
        code = machine.settings.store(int(parameter), value[0])
        if code == 0:
            machine.stepper.inverted = tuple(machine.settings.mask(3, axis) for axis in range(3))  # type: ignore
            if int(parameter) == 13:
                yield from self._program.offsets_changed()
            yield from self._program.eeprom(2)
        return code

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
        return (yield from self._program.execute(line[3:], jog=True))
