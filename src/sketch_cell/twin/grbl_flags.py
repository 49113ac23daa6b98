"""How the firmware twin was built, what interrupts ask of it, and why it stands still."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

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
