"""The estimator against a toy it has never seen: backlash, offset, delay and lost steps from tips and commands."""

from __future__ import annotations

import numpy as np
import pytest
from control_cell import Cell

from sketch_cell.control.estimator import Estimator, EstimatorSettings
from sketch_cell.control.play import CommandPath


def zigzag_path(reversals: int, length_m: float = 0.004, speed_m_per_s: float = 0.02) -> CommandPath:
    """Both axes back and forth at once."""
    path = CommandPath((0.05, 0.05))
    k = np.arange(1, reversals + 1)
    u = 0.05 + length_m * (k % 2)
    time_s = k * length_m / speed_m_per_s
    path.append(time_s, np.column_stack([u, u]), k * length_m)
    return path


@pytest.mark.parametrize("backlash_m", [(0.0014, 0.0012), (0.00175, 0.0020), (0.0012, 0.0024)])
def test_backlash_is_within_5_percent_after_20_reversals(backlash_m: tuple[float, float]) -> None:
    path = zigzag_path(20)
    estimator = Estimator(EstimatorSettings(offset_sigma_m=0.002), path)
    truth, rng = path.start(), np.random.default_rng(1)
    for stamp_s in (-0.1, 0.0, 0.1):
        estimator.progress(stamp_s, max(stamp_s, 0.0))
    for stamp_s in np.arange(0.0, path.time_s[-1], 1 / 30):
        estimator.progress(stamp_s + 0.1, stamp_s + 0.1)
        path.advance(truth, stamp_s, backlash_m)
        tip = np.array([truth.x + 0.0003, truth.y - 0.0002]) + rng.normal(0, 6e-5, 2)
        estimator.see(stamp_s, tip, np.eye(2) * 6e-5**2)
    assert estimator.backlash_m == pytest.approx(backlash_m, rel=0.05)
    assert estimator.offset_m == pytest.approx((0.0003, -0.0002), abs=6e-5)
    assert not estimator.jumps


@pytest.mark.parametrize("delay_s", [-0.015, 0.02])
def test_the_cameras_delay_is_found_within_3_ms(delay_s: float) -> None:
    cell = Cell(delay_s=delay_s)
    cell.run(20.0)
    assert cell.estimator.delay_s == pytest.approx(delay_s, abs=0.003)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_lost_step_is_found_once_and_in_the_right_direction(seed: int) -> None:
    cell = Cell(seed=seed, lost_step_probability=0.004)
    cell.run(60.0)
    lost, found = cell.toy.losses, cell.estimator.jumps
    assert len(lost) > 0
    settled = [loss for loss in lost if loss.time_s < 58.0]
    assert len(found) >= len(settled)
    for loss, jump in zip(settled, found, strict=False):
        assert (jump.axis, jump.size_m) == (loss.axis, pytest.approx(loss.size_m))
        assert 0 < jump.stamp_s - loss.time_s < 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_a_loss_after_a_long_way_without_reversals_is_not_taken_for_backlash(seed: int) -> None:
    # Along the way the backlash becomes uncertain, and the steps are lost just before the next reversal takes it up.
    backlash_m, slip_m = (0.0016, 0.0014), 0.00072
    path = zigzag_path(20)
    reached_s, (u_x, u_y) = path.time_s[-1], (path.u_x[-1], path.u_y[-1])
    way = np.array([[u_x + 0.1, u_y + 0.1], [u_x + 0.1, u_y + 0.095], [u_x + 0.1, u_y + 0.1]])
    turns_s = reached_s + 3.5
    path.append(turns_s + np.array([0.0, 0.15, 0.3]), way, path.along_m[-1] + np.array([0.14, 0.145, 0.15]))
    estimator, truth, rng = Estimator(EstimatorSettings(), path), path.start(), np.random.default_rng(seed)
    estimator.progress(-0.1, 0.0)
    for stamp_s in np.arange(0.0, path.time_s[-1] - 0.1, 1 / 30):
        estimator.progress(stamp_s + 0.1, stamp_s + 0.1)
        path.advance(truth, stamp_s, backlash_m)
        lost_m = slip_m if stamp_s > turns_s - 0.02 else 0.0
        offset_m = np.array([-0.0008, -0.0007 + lost_m])
        tip = np.array([truth.x, truth.y]) + offset_m + rng.normal(0, 6e-5, 2)
        estimator.see(stamp_s, tip, np.eye(2) * 6e-5**2)
    assert [(jump.axis, jump.size_m) for jump in estimator.jumps] == [(1, slip_m)]
    assert estimator.backlash_m == pytest.approx(backlash_m, abs=1e-4)


def test_which_axis_lost_steps_is_not_guessed_on_a_slanting_stroke() -> None:
    # Where stamps are off at random, either axis would explain it there; a stroke in another direction tells.
    backlash_m, slip_m, speed_m_per_s = (0.0016, 0.0014), 0.00072, 0.09
    path = zigzag_path(20)
    reached_s, start_m = path.time_s[-1], np.array([path.u_x[-1], path.u_y[-1]])
    slant_s, flat_s = reached_s + np.array([0.03, 0.06]) / speed_m_per_s
    way_m = start_m + np.array([[0.03, 0.03], [0.06, 0.03]])
    path.append(np.array([slant_s, flat_s]), way_m, path.along_m[-1] + np.array([0.042, 0.072]))
    settings = EstimatorSettings(timing_sigma_s=0.02, delay_sigma_s=0.001)
    estimator, truth = Estimator(settings, path), path.start()
    estimator.progress(-0.1, 0.0)
    for stamp_s in np.arange(0.0, flat_s - 0.06, 1 / 30):
        estimator.progress(stamp_s + 0.1, stamp_s + 0.1)
        path.advance(truth, stamp_s, backlash_m)
        lost_m = slip_m if stamp_s > reached_s + 0.2 else 0.0
        tip = np.array([truth.x - 0.0008, truth.y - 0.0007 - lost_m])
        estimator.see(stamp_s, tip, np.eye(2) * 6e-5**2)
    assert [(jump.axis, jump.size_m) for jump in estimator.jumps] == [(1, -slip_m)]
    assert estimator.jumps[0].stamp_s > slant_s


def test_without_lost_steps_none_are_found_even_in_noise() -> None:
    cell = Cell(noise_m=2e-4)
    cell.run(60.0)
    assert not cell.estimator.jumps


def test_clocks_that_disagree_at_random_do_little_harm() -> None:
    cell = Cell(seed=4, jitter_s=0.025, timing_sigma_s=0.025)
    cell.run(60.0)
    assert not cell.estimator.jumps
    assert cell.deviation().rms_m < 1e-4


def test_a_lone_wild_tip_is_no_lost_step() -> None:
    cell = Cell()
    cell.run(5.0)
    before = cell.estimator.offset_m
    cell.estimator.see(cell.board.now_s - 0.05, np.array([0.001, 0.09]), np.eye(2) * 1e-9)
    assert not cell.estimator.jumps
    assert cell.estimator.offset_m == pytest.approx(before, abs=1e-6)


def test_progress_is_heard_again_after_the_clock_was_set_back() -> None:
    estimator = Estimator(EstimatorSettings(), zigzag_path(4))
    for stamp_s, timeline_s in ((100.0, 1.0), (100.1, 1.1), (40.2, 1.2), (40.3, 1.3)):
        estimator.progress(stamp_s, timeline_s)
    assert estimator.timeline_s(40.25 + estimator.delay_s) == pytest.approx(1.25)
