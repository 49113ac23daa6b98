"""The driver against the firmware twin, in one process on simulated time."""

from __future__ import annotations

import numpy as np
import pytest
from machine_pair import Pair

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import DriverState
from sketch_cell.machine.motion import vertex_times_s


def test_homing_maps_the_machine_to_the_screen() -> None:
    pair = Pair().ready()
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, 0.001, atol=1e-6)
    assert np.allclose(pair.stylus_m, 0.001, atol=3e-5)


def test_a_drawing_ends_where_it_should_in_the_time_foretold() -> None:
    pair = Pair().ready()
    angle = np.linspace(0, 6 * np.pi, 400)
    xy = np.stack([0.06 + angle * 0.002 * np.cos(angle), 0.05 + angle * 0.002 * np.sin(angle)], axis=1)
    xy = np.concatenate([[[0.001, 0.001]], xy])
    times = vertex_times_s(xy)
    took_s = pair.draw(times, xy)
    assert took_s == pytest.approx(times[-1], rel=0.03, abs=0.3)
    assert np.allclose(pair.stylus_m, xy[-1], atol=3e-5)
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, xy[-1], atol=2e-5)
    assert pair.driver.statistics.largest_deviation_m < 4e-5


def test_not_homed_means_no_move_is_legal() -> None:
    pair = Pair()
    with pytest.raises(MachineError, match="offline"):
        pair.driver.append([0.1], [[0.01, 0.01]])
    pair.connect()
    with pytest.raises(MachineError, match="home the machine"):
        pair.driver.append([0.1], [[0.01, 0.01]])
    assert b"G1" not in pair.sent


def test_hold_and_resume_stay_on_the_path() -> None:
    pair = Pair().ready()
    pair.driver.append([2.0], [[0.06, 0.04]])
    pair.run(1.0)
    pair.driver.hold(pair.now_s)
    pair.until_state(DriverState.HELD, limit_s=1.0)
    held = pair.stylus_m
    pair.run(1.0)
    assert np.array_equal(pair.stylus_m, held)
    pair.driver.resume(pair.now_s)
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, [0.06, 0.04], atol=3e-5)


def test_a_jog_goes_there_and_its_cancel_ends_it_with_the_position_kept() -> None:
    pair = Pair().ready()
    pair.driver.jog([0.02, 0.01], 0.05, pair.now_s)
    with pytest.raises(MachineError, match="jogging"):
        pair.driver.append([1.0], [[0.03, 0.03]])
    pair.until_state(DriverState.IDLE, limit_s=3.0)
    assert np.allclose(pair.stylus_m, [0.02, 0.01], atol=3e-5)
    pair.driver.jog([0.1, 0.1], 0.05, pair.now_s)
    pair.run(0.5)
    pair.driver.hold(pair.now_s)
    pair.until_state(DriverState.IDLE, limit_s=1.0)
    assert 0.021 < pair.stylus_m[0] < 0.06
    pair.driver.append([1.0], [[0.03, 0.03]])
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, 0.03, atol=3e-5)
    pair.driver.jog([0.1, 0.1], 0.05, pair.now_s)
    pair.run(0.5)
    pair.driver.emergency_stop(pair.now_s)
    pair.run(1.0)
    pair.driver.release(pair.now_s)
    assert pair.driver.state is DriverState.IDLE
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)


def test_stop_drops_the_queue_and_keeps_the_position() -> None:
    pair = Pair().ready()
    pair.driver.append([2.0, 4.0], [[0.06, 0.04], [0.01, 0.05]])
    pair.run(1.0)
    pair.driver.stop(pair.now_s)
    pair.until_state(DriverState.IDLE, limit_s=2.0)
    assert np.allclose(pair.driver.motion(pair.now_s).position_m, pair.stylus_m, atol=3e-5)
    pair.driver.append([1.0], [[0.03, 0.03]])
    pair.until(lambda: pair.driver.idle)
    assert np.allclose(pair.stylus_m, [0.03, 0.03], atol=3e-5)


def test_waypoints_sent_during_a_hold_are_drawn_after_it() -> None:
    pair = Pair().ready()
    pair.driver.append([2.0], [[0.06, 0.01]])
    pair.run(1.0)
    pair.driver.hold(pair.now_s)
    assert pair.driver.state is DriverState.HOLDING
    pair.driver.append([4.0], [[0.06, 0.05]])
    pair.until_state(DriverState.HELD, limit_s=1.0)
    pair.driver.append([6.0], [[0.02, 0.05]])
    with pytest.raises(MachineError, match="held"):
        pair.driver.append([0.5], [[0.03, 0.03]])  # another path's beginning
    held = pair.stylus_m
    pair.run(1.0)
    assert np.array_equal(pair.stylus_m, held)
    corner_m = np.inf
    pair.driver.resume(pair.now_s)
    while not pair.driver.idle:
        pair.step()
        corner_m = min(corner_m, float(np.hypot(*(pair.stylus_m - [0.06, 0.05]))))
    assert corner_m < 1e-3
    assert np.allclose(pair.stylus_m, [0.02, 0.05], atol=3e-5)


@pytest.mark.parametrize("leap_s", [-60.0, -3600.0])
def test_a_clock_that_is_set_back_neither_silences_nor_delays_anything(leap_s: float) -> None:
    pair = Pair().ready()
    driver, firmware, steady_s, asked = pair.driver, pair.firmware, pair.now_s, 0

    def run(duration_s: float) -> None:
        nonlocal steady_s, asked
        for _ in range(round(duration_s / pair.step_s)):
            driver.append([], np.empty((0, 2)))
            data = driver.transmit(steady_s + leap_s, steady_s)
            asked += data.count(b"?")
            firmware.receive(data)
            firmware.advance(pair.step_s, pair.step_s)
            steady_s += pair.step_s
            driver.receive(firmware.transmit(), steady_s + leap_s, steady_s)

    driver.append([20.0], [[0.1, 0.01]])
    pair.run(0.5)
    steady_s = pair.now_s
    run(1.0)
    assert asked >= 8
    driver.stop(steady_s + leap_s)
    run(1.0)
    assert driver.idle
