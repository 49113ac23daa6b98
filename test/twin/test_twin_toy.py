"""The toy's mechanics: play, soft zone, lost steps, switches, end stops."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.twin.toy import Toy, ToySettings

# the sweeps below start at full speed, which no real motor could follow
PLAIN = ToySettings(
    soft_zone=0.0,
    backlash_variation=0.0,
    pull_out_m_per_s2=1e6,
    start_x_m=0.06,
    start_y_m=0.04,
    switch_x_m=-0.003,
)


def sweep(*turns_m: float, y_m: float = 0.04, speed_m_per_s: float = 0.02) -> np.ndarray:
    """Motor positions (n, 2), one per millisecond, through x = turns_m."""
    parts = [np.linspace(a, b, max(2, int(abs(b - a) / speed_m_per_s * 1e3))) for a, b in pairwise(turns_m)]
    x = np.concatenate(parts)
    return np.column_stack([x, np.full(len(x), y_m)])


def test_after_a_reversal_the_stylus_stands_for_the_backlash() -> None:
    toy = Toy(PLAIN)
    toy.move(sweep(0.06, 0.08), 1e-3)
    trace = toy.move(sweep(0.08, 0.06), 1e-3)
    motor = sweep(0.08, 0.06)[:, 0]
    stands = trace[:, 0] == trace[0, 0]
    assert 0.08 - motor[stands].min() == pytest.approx(PLAIN.backlash_x_m, abs=5e-5)
    assert trace[-1, 0] == pytest.approx(0.06 + PLAIN.backlash_x_m / 2)
    assert np.all(trace[:, 1] == trace[0, 1])


def test_the_soft_zone_comes_along_gradually_and_loses_the_same_in_the_end() -> None:
    soft = Toy(dataclasses.replace(PLAIN, soft_zone=0.33))
    hard = Toy(PLAIN)
    for toy in (soft, hard):
        toy.move(sweep(0.06, 0.08), 1e-3)
    path = sweep(0.08, 0.07)
    a, b = soft.move(path, 1e-3)[:, 0], hard.move(path, 1e-3)[:, 0]
    assert a[-1] == pytest.approx(b[-1], abs=1e-9)
    begun = 0.08 - path[np.argmax(a < a[0] - 1e-9), 0]
    assert begun == pytest.approx(PLAIN.backlash_x_m * (1 - 0.33 / 2), rel=0.03)
    slope = np.diff(a) / np.diff(path[:, 0])
    assert np.any((slope > 0.2) & (slope < 0.8))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.02, 0.12), min_size=2, max_size=8))
def test_the_stylus_is_never_farther_from_the_motor_than_half_the_widest_play(turns: list[float]) -> None:
    toy = Toy(dataclasses.replace(PLAIN, soft_zone=0.33, backlash_variation=0.1))
    path = sweep(0.06, *turns)
    trace = toy.move(path, 1e-3)
    widest = ToySettings().backlash_x_m * 1.1 * (1 + 0.33 / 2)
    assert np.abs(trace[:, 0] - path[:, 0]).max() <= widest / 2 + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(0, 99))
def test_cutting_the_motion_into_pieces_changes_nothing(cut: int, seed: int) -> None:
    faults = ToySettings(lost_step_probability=0.2, pull_out_m_per_s2=1e6, start_x_m=0.06, start_y_m=0.04)
    path = sweep(0.06, 0.07, 0.06, 0.065, 0.05)
    whole, parts = Toy(faults, seed), Toy(faults, seed)
    trace = whole.move(path, 1e-3)
    both = np.concatenate([parts.move(path[:cut], 1e-3), parts.move(path[cut:], 1e-3)])
    assert np.array_equal(trace, both)
    assert [loss.size_m for loss in whole.losses] == [loss.size_m for loss in parts.losses]
    assert np.allclose([a.time_s for a in whole.losses], [b.time_s for b in parts.losses])


def test_backlash_varies_with_place_by_the_share_asked_for() -> None:
    toy = Toy(ToySettings(backlash_variation=0.1))
    x = np.linspace(0, 0.153, 100)
    b = np.array([toy.backlash_m(np.array([v, 0.05]))[0] for v in x])
    assert b.min() == pytest.approx(0.9 * 0.00175, rel=0.01)
    assert b.max() == pytest.approx(1.1 * 0.00175, rel=0.01)


def test_steps_are_lost_at_reversals_at_the_rate_asked_for_and_in_whole_cycles() -> None:
    toy = Toy(dataclasses.replace(PLAIN, lost_step_probability=0.05), seed=3)
    zigzag = np.tile([0.06, 0.064], 1000)
    toy.move(sweep(*zigzag, speed_m_per_s=0.2), 1e-3)
    assert 60 < len(toy.losses) < 145
    assert {abs(loss.size_m) for loss in toy.losses} == {0.00072}
    assert {loss.axis for loss in toy.losses} == {0}
    assert toy.slip_m[0] == pytest.approx(sum(loss.size_m for loss in toy.losses))
    # a lost step moves the drawing, not only the books
    toy.change(PLAIN)
    slip_m = toy.slip_m[0]
    end = toy.move(sweep(0.064, 0.09), 1e-3)[-1, 0]
    assert abs(slip_m) > 1e-4
    assert end == pytest.approx(0.09 - PLAIN.backlash_x_m / 2 + slip_m)


def test_microsteps_back_and_forth_are_no_reversals() -> None:
    toy = Toy(dataclasses.replace(PLAIN, lost_step_probability=1.0))
    wiggle = 0.06 + 0.00001125 * (np.arange(5000) % 2)
    toy.move(np.column_stack([wiggle, np.full(5000, 0.04)]), 1e-3)
    assert not toy.losses


def test_a_motor_that_accelerates_too_hard_loses_steps() -> None:
    gentle = Toy(dataclasses.replace(PLAIN, pull_out_m_per_s2=10.0))
    brutal = Toy(dataclasses.replace(PLAIN, pull_out_m_per_s2=6.0))
    path = sweep(0.06, 0.10, speed_m_per_s=0.09)
    gentle.move(path, 1e-3)
    brutal.move(path, 1e-3)
    assert not gentle.losses
    assert brutal.losses


def test_an_end_stop_holds_the_stylus_and_costs_steps() -> None:
    toy = Toy(PLAIN)
    trace = toy.move(sweep(0.06, -0.02), 1e-3)
    assert trace[:, 0].min() >= -PLAIN.end_stop_m - 1e-9
    assert toy.slip_m[0] > 0.005


def test_switches_close_at_their_places_with_their_spread() -> None:
    touches = []
    toy = Toy(PLAIN, seed=5)
    for _ in range(30):
        toy.move(sweep(0.01, -0.0025), 1e-3)
        x = -0.0025
        while not toy.limit_switches()[0]:
            x -= 2e-6
            toy.move(np.array([[x, 0.04]]), 1e-3)
        touches.append(toy.stylus_m[0])
        toy.move(sweep(x, 0.01), 1e-3)
        assert toy.limit_switches() == (False, False)
    assert np.mean(touches[1:]) == pytest.approx(PLAIN.switch_x_m, abs=2e-5)
    assert 0.5 < np.std(touches[1:]) / PLAIN.switch_repeatability_m < 1.6


def test_stiction_holds_a_resting_stylus() -> None:
    toy = Toy(dataclasses.replace(PLAIN, stiction_m=0.0002))
    trace = toy.move(sweep(0.06, 0.08), 1e-3)[:, 0]
    jumps = np.diff(trace)
    assert jumps[jumps > 0].min() >= 0.0002 - 1e-12


def test_a_fault_can_be_switched_on_while_it_runs() -> None:
    toy = Toy(PLAIN)
    zigzag = sweep(*np.tile([0.06, 0.064], 10))
    toy.move(zigzag, 1e-3)
    assert not toy.losses
    toy.change(dataclasses.replace(PLAIN, lost_step_probability=1.0))
    toy.move(zigzag, 1e-3)
    assert len(toy.losses) > 10


def test_a_load_makes_a_motor_lose_steps_at_accelerations_it_could_follow_before() -> None:
    path = sweep(0.06, 0.10, speed_m_per_s=0.02)
    free = Toy(dataclasses.replace(PLAIN, pull_out_m_per_s2=6.0))
    stiff = Toy(dataclasses.replace(PLAIN, pull_out_m_per_s2=6.0, load=0.9))
    free.move(path, 1e-3)
    stiff.move(path, 1e-3)
    assert not free.losses
    assert stiff.losses


def test_a_switch_that_bounces_chatters_for_its_time_and_then_rests() -> None:
    toy = Toy(dataclasses.replace(PLAIN, switch_bounce_s=0.02))
    toy.move(sweep(0.01, -0.004), 1e-3)
    contacts = []
    for _ in range(60):
        toy.move(np.array([[-0.004, 0.04]]), 1e-3)
        contacts.append(toy.limit_switches()[0])
    assert len(set(contacts[:19])) == 2, "it never chattered"
    assert all(contacts[21:])
