"""Following a trajectory: judged by the clock, on the way and at the end; whole, on the driver with its firmware."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine_pair import Pair

from sketch_cell.errors import MachineError, SettingError
from sketch_cell.machine.driver import DriverState
from sketch_cell.machine.follow import Follow, FollowSettings, Tolerances, Verdict

START_M = np.array([0.02, 0.02])
TIGHT = Tolerances((0.001, 0.001), (0.0002, 0.0002), 0.5)
TIMES_S = np.array([0.0, 1.0, 2.0])
POINTS_M = np.array([[0.02, 0.02], [0.04, 0.02], [0.04, 0.05]])


def follow(tolerances=TIGHT):
    return Follow(TIMES_S, POINTS_M, START_M, tolerances)


def test_between_points_the_machine_should_be_on_the_straight_line():
    np.testing.assert_allclose(follow().desired_m(0.5), [0.03, 0.02])
    np.testing.assert_allclose(follow().desired_m(1.5), [0.04, 0.035])
    np.testing.assert_allclose(follow().desired_m(9.0), POINTS_M[-1])


def test_a_trajectory_that_begins_later_begins_where_the_machine_is():
    later = Follow([2.0], [[0.04, 0.02]], START_M, TIGHT)
    np.testing.assert_allclose(later.desired_m(0.0), START_M)
    np.testing.assert_allclose(later.desired_m(1.0), [0.03, 0.02])


@given(st.floats(0.0, 2.6))
def test_whoever_is_where_it_should_be_is_never_refused(elapsed_s):
    state = DriverState.RUNNING if elapsed_s < 2.0 else DriverState.IDLE
    expected = Verdict.UNDER_WAY if elapsed_s < 2.0 else Verdict.REACHED
    assert follow().judge(elapsed_s, follow().desired_m(elapsed_s), state) is expected


@pytest.mark.parametrize(
    ("elapsed_s", "off_m", "state", "verdict"),
    [
        (1.0, [0.0009, 0.0009], DriverState.RUNNING, Verdict.UNDER_WAY),
        (1.0, [0.0011, 0.0], DriverState.RUNNING, Verdict.OFF_PATH),
        (1.0, [0.0, -0.0011], DriverState.RUNNING, Verdict.OFF_PATH),
        (2.1, [0.0, 0.0], DriverState.RUNNING, Verdict.UNDER_WAY),
        (2.1, [0.0003, 0.0], DriverState.IDLE, Verdict.UNDER_WAY),
        (2.1, [0.0001, 0.0], DriverState.IDLE, Verdict.REACHED),
        (2.6, [0.0003, 0.0], DriverState.IDLE, Verdict.NOT_REACHED),
        (2.6, [0.0, 0.0], DriverState.RUNNING, Verdict.NOT_REACHED),
        (1.0, [0.0, 0.0], DriverState.HELD, Verdict.HALTED),
        (1.0, [0.0, 0.0], DriverState.ALARM, Verdict.HALTED),
        (2.1, [0.0, 0.0], DriverState.OFFLINE, Verdict.HALTED),
    ],
)
def test_the_verdict(elapsed_s, off_m, state, verdict):
    assert follow().judge(elapsed_s, follow().desired_m(elapsed_s) + off_m, state) is verdict


def test_without_a_path_tolerance_any_place_will_do_on_the_way():
    loose = follow(Tolerances.of(FollowSettings()))
    assert loose.judge(1.0, np.array([0.1, 0.1]), DriverState.RUNNING) is Verdict.UNDER_WAY


@pytest.mark.parametrize(
    ("times_s", "points_m", "words"),
    [
        ([], np.zeros((0, 2)), "without points"),
        ([1.0, 0.5], POINTS_M[:2], "time"),
        ([-1.0, 0.5], POINTS_M[:2], "before its start"),
        ([0.0, math.nan], POINTS_M[:2], "number"),
    ],
)
def test_what_cannot_be_followed_is_refused(times_s, points_m, words):
    with pytest.raises(MachineError, match=words):
        Follow(times_s, points_m, START_M, TIGHT)


def test_a_tolerance_must_be_positive():
    with pytest.raises(MachineError):
        Tolerances((0.0, 1.0), (1.0, 1.0), 0.0)
    with pytest.raises(SettingError):
        FollowSettings(goal_tolerance_m=0.0)


def run(pair, trajectory):
    """Follow it on the driver and its firmware until there is a verdict."""
    begun_s = pair.now_s
    pair.driver.forget_motion()
    pair.driver.append(trajectory.time_s, trajectory.position_m)
    verdict = Verdict.UNDER_WAY
    while verdict is Verdict.UNDER_WAY:
        pair.step()
        actual_m = pair.driver.motion(pair.now_s).position_m
        verdict = trajectory.judge(pair.now_s - begun_s, actual_m, pair.driver.state)
    return verdict


def ready():
    pair = Pair()
    pair.connect()
    pair.driver.home(pair.now_s)
    pair.until_state(DriverState.IDLE)
    return pair


def test_the_driver_reaches_one_goal_after_another_in_time():
    pair = ready()
    for goal_m in ([0.05, 0.03], [0.02, 0.06]):
        start_m = pair.driver.motion(pair.now_s).position_m
        trajectory = Follow([3.0], [goal_m], start_m, Tolerances((0.004, 0.004), (0.0002, 0.0002), 0.5))
        assert run(pair, trajectory) is Verdict.REACHED
        np.testing.assert_allclose(pair.driver.motion(pair.now_s).position_m, goal_m, atol=2e-4)


def test_a_goal_that_asks_for_more_speed_than_there_is_is_left():
    pair = ready()
    start_m = pair.driver.motion(pair.now_s).position_m
    hasty = Follow([0.2], [[0.1, 0.08]], start_m, Tolerances((0.005, 0.005), (0.0002, 0.0002), 0.5))
    assert run(pair, hasty) is Verdict.OFF_PATH
