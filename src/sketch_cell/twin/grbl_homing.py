"""Homing and probing in the firmware twin: motions that a switch ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_flags import Work
from sketch_cell.twin.grbl_machine import Machine
from sketch_cell.twin.grbl_planner import Move

SEARCH = 1.5  # times the travel, before homing gives up
LOCATE = 5.0  # times the pull-off, for the slow approach
POLL_S = 0.001


def home(machine: Machine, cycles: Sequence[Sequence[int]]) -> Work:
    """Find the switches of each cycle's axes, twice, back off, and name the position."""
    machine.homing = True
    for axes in cycles:
        yield from _cycle(machine, axes)
    machine.homing = False
    yield from machine.realtime()
    machine.sync_position()


def _cycle(machine: Machine, axes: Sequence[int]) -> Work:
    settings = machine.settings
    pull_off, seek, feed = settings[27], settings[25] / 60, settings[24] / 60
    search = max(SEARCH * settings.travel_mm(axis) for axis in axes)
    legs = [
        (True, search, seek),
        (False, pull_off, seek),
        (True, pull_off * LOCATE, feed),
        (False, pull_off, seek),
    ]
    for approach, distance, rate in legs:
        yield from _leg(machine, axes, approach, distance, rate * math.sqrt(len(axes)))
        machine.stepper.reset()
        machine.stepper.system_block = None
        machine.stepper.locked = [False, False, False]
        yield settings[26] / 1000
    for axis in axes:
        home_mm = -pull_off
        if settings.mask(23, axis):
            home_mm = pull_off - settings.travel_mm(axis)
        machine.stepper.position[axis] = round(home_mm * settings.axes()[0][axis])


def _leg(machine: Machine, axes: Sequence[int], approach: bool, distance: float, rate: float) -> Work:
    """One motion of all axes towards or away from their switches."""
    stepper, settings = machine.stepper, machine.settings
    target = machine.position_mm()
    for axis in axes:
        stepper.position[axis] = 0
        target[axis] = distance if settings.mask(23, axis) != approach else -distance
    stepper.locked = [axis not in axes for axis in range(3)]
    stepper.system_block = machine.planner.block_to(target, Move(rate, overridable=False), stepper.position)
    stepper.end_of_motion = False
    stepper.wake()
    pending = set(axes)
    while True:
        if approach:
            for axis in list(pending):
                if machine.limits_active()[axis]:
                    stepper.lock(axis)
                    pending.discard(axis)
            if not pending:
                return
        if machine.requests.reset or machine.requests.door or machine.requests.stopped:
            yield from _ended(machine, axes, approach)
            return
        yield POLL_S


def _ended(machine: Machine, axes: Sequence[int], approach: bool) -> Work:
    """The motion ended without the switches, or was interrupted: an alarm, unless a pull-off is complete."""
    alarm = 0
    if machine.requests.reset:
        alarm = 6
    if machine.requests.door:
        alarm = 7
    if not approach and any(machine.limits_active()[axis] for axis in axes):
        alarm = 8
    if approach and machine.requests.stopped:
        alarm = 9
    if not alarm:
        machine.requests.stopped = False
        return
    machine.alarm = alarm
    machine.request_reset()
    yield from machine.realtime()


def probe(machine: Machine, target_mm: Sequence[float], move: Move, motion: int) -> Work:
    """G38.2-G38.5: move until the probe changes; an alarm if it never does (unless .3 or .5)."""
    if machine.state == "Check":
        return
    yield from machine.wait_idle()
    away, forgiving = motion in (384, 385), motion in (383, 385)
    machine.probed = False
    machine.probing = "away" if away else "toward"
    if machine.probe_triggered():
        machine.probing = ""
        machine.alarm = 4
        yield from machine.realtime()
        return
    yield from machine.line_to(target_mm, move)
    machine.requests.start = True
    while True:
        yield from machine.realtime()
        if machine.state == "Idle":
            break
        yield None
    if machine.probing:
        machine.probing = ""
        if forgiving:
            machine.probe_steps = list(machine.stepper.position)
        else:
            machine.alarm = 5
    yield from machine.realtime()
    machine.clear_motion()
    machine.stepper.holding = False
    machine.planner.position = list(machine.stepper.position)
    per_mm = machine.settings.axes()[0]
    touched = [machine.probe_steps[i] / per_mm[i] for i in range(3)]
    machine.print(report.probe_result(touched, machine.probed, machine.settings.flag(13)))
    if machine.probed or forgiving:
        machine.gcode.position = machine.position_mm() if machine.probed else list(target_mm)
