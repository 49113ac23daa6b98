"""Feed, rapid and spindle overrides of the firmware twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sketch_cell.twin.grbl_machine import Machine


def apply_overrides(machine: Machine) -> None:
    """Carry out the overrides asked for since the last look, each kind once."""
    feed, rapid, spindle = (
        machine.planner.feed_override,
        machine.planner.rapid_override,
        machine.spindle_override,
    )
    for byte in sorted(machine.requests.overrides):
        if 0x90 <= byte <= 0x94:
            feed = _stepped(feed, byte - 0x90)
        elif 0x95 <= byte <= 0x97:
            rapid = (100, 50, 25)[byte - 0x95]
        elif 0x99 <= byte <= 0x9D:
            spindle = _stepped(spindle, byte - 0x99)
    machine.requests.overrides.clear()
    if (feed, rapid, spindle) != (
        machine.planner.feed_override,
        machine.planner.rapid_override,
        machine.spindle_override,
    ):
        machine.override_count = 0
    if (feed, rapid) != (machine.planner.feed_override, machine.planner.rapid_override):
        machine.planner.feed_override, machine.planner.rapid_override = feed, rapid
        machine.planner.overrides_changed()
    machine.spindle_override = spindle


def _stepped(percent: int, code: int) -> int:
    """An override after one of its five commands: 100 %, +10, -10, +1, -1."""
    value = 100 if code == 0 else percent + (0, 10, -10, 1, -1)[code]
    return min(max(value, 10), 200)
