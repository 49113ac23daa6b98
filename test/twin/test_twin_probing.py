"""Probing through the whole wire: the driver touches the twin's contacts and finds the steps that were lost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sketch_cell.machine.driver import DriverSettings, DriverState, GrblDriver
from sketch_cell.twin.toy import ToySettings
from sketch_cell.twin.world import World, board_for

PERIOD_S = 0.005
CYCLE_M = 0.00072  # one electrical cycle, four full steps


class Probed:
    """A world and its driver, homed."""

    def __init__(self, **toy: float) -> None:
        settings = ToySettings(**toy)
        board = board_for(settings)
        self.world = World(settings, board=board)
        home = {"home_x_m": settings.switch_x_m + board.pull_off_m}
        home["home_y_m"] = settings.switch_y_m + board.pull_off_m
        self.driver = GrblDriver(board, DriverSettings(**home))
        self.driver.link_opened(0.0)
        self.until(DriverState.UNHOMED)
        self.driver.home(self.world.now_s)
        self.until(DriverState.IDLE)

    def until(self, *states: DriverState) -> None:
        for _ in range(round(60 / PERIOD_S)):
            self.driver.append([], np.empty((0, 2)))  # the dead man's switch
            back = self.world.exchange(self.driver.transmit(self.world.now_s), PERIOD_S)
            self.driver.receive(back, self.world.now_s)
            if self.driver.state in states and (
                self.driver.idle or self.driver.state is not DriverState.IDLE
            ):
                return
        raise AssertionError(f"{self.driver.state}: {self.driver.reason}")

    def go_to(self, x_m: float, y_m: float) -> None:
        self.driver.append([self.world.now_s + 1000], [[x_m, y_m]], 0.04)
        self.until(DriverState.IDLE)

    def lose(self, axis: int, cycles: int) -> None:
        """As many electrical cycles as a stalled motor would, so that the shaft stands further towards plus."""
        self.world.toy._slip_m[axis] += cycles * CYCLE_M

    def touch(self, axis: int) -> None:
        self.driver.touch(axis, self.world.now_s)
        self.until(DriverState.IDLE, DriverState.FAULT, DriverState.ALARM)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cycles", [-2, 1, 2])
def test_a_touch_finds_the_lost_steps_and_takes_them_out(axis: int, cycles: int) -> None:
    cell = Probed(backlash_variation=0.0)
    cell.go_to(0.03, 0.03)
    cell.touch(axis)
    assert cell.driver.state is DriverState.IDLE, cell.driver.reason
    before_m = cell.world.toy.stylus_m
    cell.lose(axis, cycles)
    cell.touch(axis)
    assert cell.driver.state is DriverState.IDLE, cell.driver.reason
    assert cell.driver.touches[axis].step_error_m == pytest.approx(-cycles * CYCLE_M, abs=5e-5)
    assert cell.world.toy.stylus_m == pytest.approx(before_m, abs=6e-5), "back where it stood, on the glass"
    cell.touch(axis)
    assert cell.driver.state is DriverState.IDLE, "what was taken out moved the soft limits on the screen"
    assert cell.driver.touches[axis].step_error_m == pytest.approx(0.0, abs=5e-5)


def test_a_contact_that_is_not_wired_is_said_and_nothing_moves_on() -> None:
    cell = Probed()
    cell.go_to(0.03, 0.03)
    cell.world.toy.change(dataclasses.replace(cell.world.toy.settings, contact_m=0.0))
    cell.touch(0)
    assert cell.driver.state in (DriverState.FAULT, DriverState.ALARM)
    said = [event.text for event in cell.driver.drain_events()]
    assert any("made no contact" in text for text in said), said


def test_more_loss_than_the_contact_lies_inside_the_switch_cannot_be_found() -> None:
    cell = Probed(contact_m=0.0005)
    cell.go_to(0.03, 0.03)
    cell.lose(0, 2)
    cell.touch(0)
    assert cell.driver.state in (DriverState.FAULT, DriverState.ALARM)
