"""The firmware twin's answer to `?`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_planner import AXES

if TYPE_CHECKING:
    from sketch_cell.twin.grbl_machine import Machine


def status_report(machine: Machine) -> str:
    """The answer to `?`."""
    inches = machine.settings.flag(13)
    mask = int(machine.settings[10])
    position, offset = machine.position_mm(), machine.gcode.work_offset()
    parts = [_state_name(machine)]
    if mask & 1:
        parts.append("MPos:" + report.coordinates(position, inches))
    else:
        work = [position[i] - offset[i] for i in range(AXES)]
        parts.append("WPos:" + report.coordinates(work, inches))
    if mask & 2:
        free = 15 - len(machine.planner.blocks)
        parts.append(f"Bf:{free},{128 - len(machine.serial.received)}")
    speed = machine.stepper.speed * 60 if machine.state in ("Run", "Home", "Hold", "Jog", "Door") else 0.0
    parts.append(f"FS:{report.rate(speed, inches)},{_spindle_rpm(machine):.0f}")
    pins = _pin_letters(machine)
    if pins:
        parts.append("Pn:" + pins)
    parts += _slow_fields(machine, offset, inches)
    return f"<{'|'.join(parts)}>\r\n"


def _state_name(machine: Machine) -> str:
    suspend = machine.suspend
    if machine.state == "Hold":
        return "Jog" if suspend.jog_cancel else f"Hold:{0 if suspend.hold_complete else 1}"
    if machine.state == "Door":
        if suspend.restoring:
            return "Door:3"
        return ("Door:1" if suspend.door else "Door:0") if suspend.retracted else "Door:2"
    return machine.state


def _pin_letters(machine: Machine) -> str:
    letters = "P" if machine.probe_pin != machine.settings.flag(6) else ""
    return letters + "".join(
        letter for letter, pressed in zip("XYZ", machine.limits_active(), strict=True) if pressed
    )


def _slow_fields(machine: Machine, offset: Sequence[float], inches: bool) -> list[str]:
    """Work offset and overrides come now and then, sooner after a change."""
    parts = []
    busy = machine.state in ("Run", "Home", "Hold", "Jog", "Door")
    if machine.wco_count > 0:
        machine.wco_count -= 1
    else:
        machine.wco_count = 29 if busy else 9
        machine.override_count = max(machine.override_count, 1)
        parts.append("WCO:" + report.coordinates(offset, inches))
    if machine.override_count > 0:
        machine.override_count -= 1
    else:
        machine.override_count = 19 if busy else 9
        planner = machine.planner
        parts.append(f"Ov:{planner.feed_override},{planner.rapid_override},{machine.spindle_override}")
        parts += _accessories(machine)
    return parts


def _spindle_rpm(machine: Machine) -> float:
    parked = machine.suspend.retracted and not machine.suspend.restoring
    if machine.gcode.modal.spindle == 5 or not machine.gcode.spindle_rpm or parked:
        return 0.0
    wanted = machine.gcode.spindle_rpm * machine.spindle_override / 100
    return min(max(wanted, machine.settings[31]), machine.settings[30])


def _accessories(machine: Machine) -> list[str]:
    modal = machine.gcode.modal
    spindle = {3: "S", 4: "C"}.get(modal.spindle, "") if _spindle_rpm(machine) else ""
    letters = spindle + ("F" if modal.coolant == 8 else "")
    return ["A:" + letters] if letters else []
