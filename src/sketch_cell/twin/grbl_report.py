"""What the firmware twin prints: Grbl 1.1h's texts, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sketch_cell.twin.grbl_gcode import INCH_MM, State
from sketch_cell.twin.grbl_settings import decimal

BANNER = "\r\nGrbl 1.1h ['$' for help]\r\n"
HELP = "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n"
VERSION = "1.1h.20190830"
LOCKED = "'$H'|'$X' to unlock"


def message(text: str) -> str:
    """A feedback message."""
    return f"[MSG:{text}]\r\n"


def status_line(code: int) -> str:
    """The answer to a line."""
    return f"error:{code}\r\n" if code else "ok\r\n"


def coordinates(values_mm: Iterable[float], inches: bool) -> str:
    """Coordinates, three decimals in mm or four in inches."""
    if inches:
        return ",".join(decimal(value / INCH_MM, 4) for value in values_mm)
    return ",".join(decimal(value, 3) for value in values_mm)


def rate(value_mm_per_min: float, inches: bool) -> str:
    """A feed rate."""
    return decimal(value_mm_per_min / INCH_MM, 1) if inches else decimal(value_mm_per_min, 0)


def parser_state(state: State, inches: bool) -> str:
    """The answer to `$G`."""
    modal = state.modal
    motion = f"38.{modal.motion - 380}" if 380 < modal.motion < 390 else str(modal.motion // 10)
    words = [f"G{motion}", f"G{54 + modal.coordinates}", f"G{17 + modal.plane}"]
    words += ["G20" if modal.inches else "G21", "G91" if modal.incremental else "G90"]
    words.append("G93" if modal.inverse_time else "G94")
    if modal.program:
        words.append({3: "M0"}.get(modal.program, f"M{modal.program}"))
    words += [f"M{modal.spindle}", f"M{modal.coolant}", f"T{state.tool}", f"F{rate(state.feed, inches)}"]
    words.append(f"S{decimal(state.spindle_rpm, 0)}")
    return f"[GC:{' '.join(words)}]\r\n"


def parameters(
    systems: Sequence[Sequence[float]], state: State, probe_mm: Sequence[float], probed: bool, inches: bool
) -> str:
    """The answer to `$#`."""
    names = ("G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30")
    lines = [
        f"[{name}:{coordinates(values, inches)}]\r\n" for name, values in zip(names, systems, strict=True)
    ]
    lines.append(f"[G92:{coordinates(state.offset, inches)}]\r\n")
    lines.append(f"[TLO:{coordinates([state.tool_length], inches)}]\r\n")
    return "".join(lines) + probe_result(probe_mm, probed, inches)


def probe_result(probe_mm: Sequence[float], probed: bool, inches: bool) -> str:
    """Where the probe touched, in machine coordinates."""
    return f"[PRB:{coordinates(probe_mm, inches)}:{int(probed)}]\r\n"
