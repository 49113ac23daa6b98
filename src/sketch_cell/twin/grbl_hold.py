"""Holds in the firmware twin: feed hold, jog cancel, safety door and sleep, and how each ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sketch_cell.twin import grbl_report as report
from sketch_cell.twin.grbl_flags import Suspend, Work

if TYPE_CHECKING:
    from sketch_cell.twin.grbl_machine import Machine


def begin_hold(machine: Machine) -> None:
    """A hold, an open door, a cancelled motion or sleep was asked for: slow down, or stand still at once."""
    requests, suspend = machine.requests, machine.suspend
    if machine.state not in ("Alarm", "Check"):
        if machine.state in ("Run", "Jog") and not (suspend.motion_cancel or suspend.jog_cancel):
            machine.stepper.replanned()
            machine.stepper.holding = True
            if machine.state == "Jog" and not requests.sleep:
                suspend.jog_cancel = True
        if machine.state == "Idle":
            machine.suspend = suspend = Suspend(hold_complete=True)
        if requests.cancel and machine.state != "Jog":
            suspend.motion_cancel = True
        if requests.hold and machine.state not in ("Door", "Jog", "Sleep"):
            machine.state = "Hold"
        if requests.door:
            machine.print(report.message("Check Door"))
            if not suspend.jog_cancel and machine.state != "Sleep":
                machine.state = "Door"
            suspend.door = True
    if requests.sleep:
        if machine.state == "Alarm":
            suspend.retracted = suspend.hold_complete = True
        machine.state = "Sleep"
    if requests.hold or requests.door or requests.cancel:
        requests.start = False
    requests.hold = requests.door = requests.cancel = requests.sleep = False


def cycle_start(machine: Machine) -> None:
    """Start what is queued, or go on after a complete hold; ignored while still slowing down."""
    machine.requests.start = False
    suspend = machine.suspend
    if machine.state == "Door" and not suspend.door:
        if suspend.restored:
            machine.state = "Idle"
        elif suspend.retracted:
            suspend.restoring = True
    if machine.state != "Idle" and not (machine.state == "Hold" and suspend.hold_complete):
        return
    go = bool(machine.planner.blocks) and not suspend.motion_cancel
    machine.suspend = Suspend()
    machine.stepper.holding = machine.stepper.end_of_motion = False
    machine.state = "Run" if go else "Idle"
    if go:
        machine.stepper.wake()


def cycle_stop(machine: Machine) -> None:
    """All prepared steps have been made: a hold is complete, or the motion is."""
    machine.requests.stopped = False
    suspend = machine.suspend
    if machine.state in ("Hold", "Door", "Sleep") and not machine.soft_limit and not suspend.jog_cancel:
        held = machine.stepper.holding
        machine.planner.replan_all()
        suspend.hold_complete = suspend.hold_complete or held
        machine.stepper.holding = False
        machine.stepper.end_of_motion = True  # nothing more is prepared until the cycle starts again
        return
    if suspend.jog_cancel:
        machine.stepper.holding = False
        machine.clear_motion()
        machine.sync_position()
    if suspend.door:
        suspend.jog_cancel, suspend.hold_complete = False, True
        machine.state = "Door"
    else:
        machine.suspend = Suspend()
        machine.state = "Idle"


def suspended(machine: Machine) -> bool:
    """Once the hold is complete, an open door or sleep switches the spindle off; whether anything changed."""
    suspend = machine.suspend
    if not suspend.hold_complete or machine.state not in ("Door", "Sleep"):
        return False
    if not suspend.retracted:
        suspend.retracted = True
        machine.override_count = 0
        return True
    if machine.state == "Sleep":
        if not suspend.asleep:
            machine.print(report.message("Sleeping"))
        suspend.asleep = True
        return False
    suspend.door = False
    return False


def restore(machine: Machine) -> Work:
    """Leave an open door: the spindle gets four seconds to come up to speed, the coolant one."""
    modal = machine.gcode.modal
    for needed, delay_s in ((modal.spindle != 5, 4.0), (modal.coolant == 8, 1.0)):
        for _ in range(round(delay_s / 0.05) if needed else 0):
            yield 0.05
            if machine.requests:
                machine.execute_requests()
    machine.suspend.restored = True
    machine.requests.start = True
