"""Routes and waypoints: what the driver is told to draw."""

from __future__ import annotations

import numpy as np
import pytest
from control_cell import Cell
from control_standin import waves
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.control.follower import (
    LONGEST_PIECE_M,
    LONGEST_SENT_M,
    WORTH_TAKE_UPS_M,
    Follower,
    FollowerSettings,
)
from sketch_cell.control.route import route, simplified
from sketch_cell.errors import InputError
from sketch_cell.machine.motion import MotionSettings

points = st.lists(
    st.tuples(st.floats(0.01, 0.14), st.floats(0.01, 0.1)), min_size=2, max_size=30, unique=True
).map(lambda p: np.array(p))


def everything(line: np.ndarray, backlash_m: tuple[float, float], offset_m=(0.0, 0.0)) -> Follower:
    """A follower that has sent its whole line."""
    way = route(line, 0.0, 0.0)
    follower = Follower(
        way, way.xy_m[0], np.array(offset_m), np.array(backlash_m), FollowerSettings(), MotionSettings()
    )
    while not follower.finished:
        follower.send(follower.told_to_s, np.array(offset_m), np.array(backlash_m))
    return follower


@settings(max_examples=60, deadline=None)
@given(points, st.floats(0.0, 0.003), st.floats(0.0, 0.003))
def test_what_is_sent_pulls_a_perfect_play_exactly_along_the_line(line, b_x, b_y) -> None:
    path = everything(line, (b_x, b_y)).path
    state, along = path.start(), path.along_m
    way = route(line, 0.0, 0.0)
    settled = np.all(np.cumsum(np.abs(np.diff(way.xy_m, axis=0)), axis=0) > 0.003, axis=1)
    for time_s, place in zip(path.time_s, along, strict=True):
        path.advance(state, time_s, (b_x, b_y))
        k = int(np.searchsorted(way.along_m, place - 1e-12))
        if k > 1 and settled[k - 2]:
            expected = [np.interp(place, way.along_m, way.xy_m[:, a]) for a in (0, 1)]
            assert (state.x, state.y) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(points)
def test_times_grow_and_the_line_is_sent_to_its_end(line) -> None:
    follower = everything(line, (0.0015, 0.0015))
    assert np.all(np.diff(follower.path.time_s) > 0)
    assert follower.path.along_m[-1] == pytest.approx(follower.route.along_m[-1])
    assert follower.planned_s > 0


def test_a_change_of_offset_is_spread_along_the_line() -> None:
    way = route(np.array([[0.02, 0.05], [0.12, 0.05]]), 0.0, 0.0)
    follower = Follower(way, way.xy_m[0], np.zeros(2), np.zeros(2), FollowerSettings(), MotionSettings())
    follower.send(0.0, np.zeros(2), np.zeros(2))
    sent = [np.array(follower.path.u_y)]
    follower = Follower(way, way.xy_m[0], np.zeros(2), np.zeros(2), FollowerSettings(), MotionSettings())
    follower.send(0.0, np.array([0.0, 0.00072]), np.zeros(2))
    u_y, along = np.array(follower.path.u_y), np.array(follower.path.along_m)
    slope = np.abs(np.diff(u_y)) / np.maximum(np.diff(along), 1e-12)
    assert sent[0].max() == sent[0].min()
    assert slope.max() == pytest.approx(FollowerSettings().slew, rel=1e-6)
    assert u_y[-1] == pytest.approx(0.05 - 0.00072)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0012, 0.002), st.floats(-0.00072, 0.00072), st.sampled_from([-1.0, 1.0]))
def test_a_correction_reaches_the_stylus_whichever_way_the_play_pulls(b_y, slip_m, pull) -> None:
    line = np.array([[0.02, 0.05 - 0.006 * pull], [0.02, 0.05], [0.12, 0.05]])
    way, backlash = route(line, 0.0, 0.0), np.array([0.0, b_y])
    follower = Follower(way, way.xy_m[0], np.zeros(2), backlash, FollowerSettings(), MotionSettings())
    follower.send(0.0, np.zeros(2), backlash)
    lost_s = follower.told_to_s
    while not follower.finished:
        follower.send(follower.told_to_s, np.array([0.0, slip_m]), backlash)
    path, state, ys = follower.path, follower.path.start(), []
    for time_s in path.time_s:
        path.advance(state, time_s, (0.0, b_y))
        ys.append(state.y)
    moved = np.diff(np.array(ys)[np.array(path.time_s) >= lost_s])
    assert np.abs(moved).max() <= FollowerSettings().slew * LONGEST_PIECE_M + 1e-9
    # What lies against the pull and is smaller waits for the next reversal: it is not worth the time.
    is_worth = abs(slip_m) > (WORTH_TAKE_UPS_M if slip_m * pull > 0 else FollowerSettings().dead_band_m)
    assert state.y + slip_m == pytest.approx(0.05 if is_worth else 0.05 + slip_m, abs=1e-9)


def test_the_horizon_is_kept_and_not_exceeded_by_much() -> None:
    cell = Cell(waves())
    cell.run(10.0)
    follower = cell.follower
    due = follower.due_s(follower.path.along_m[-1]) - follower.due_s(follower.path.along(10.0))
    assert FollowerSettings().horizon_s - 0.1 < due < FollowerSettings().horizon_s + 0.3


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0005, 0.003), st.floats(0.0002, 0.003))
def test_no_command_waits_for_a_reversal_to_end(backlash_m, amplitude_m) -> None:
    x = np.linspace(0.02, 0.05, 40)
    way = route(np.column_stack([x, 0.05 + amplitude_m * (-1.0) ** np.arange(40)]), 0.0, 0.0)
    backlash, nowhere, motion = np.array([0.0, backlash_m]), np.zeros(2), MotionSettings()
    follower = Follower(way, way.xy_m[0], nowhere, backlash, FollowerSettings(), motion)
    sent_s = [0.0]
    timeline_s = 0.0
    while not follower.finished:
        if len(follower.send(timeline_s, nowhere, backlash)[0]):
            sent_s.append(timeline_s)
        assert follower.told_to_s > timeline_s + 0.05, "the board has too little left to do"
        timeline_s += 0.005
    one_piece_s = max(LONGEST_SENT_M, backlash_m) / motion.feed_m_per_s
    # The timeline knows nothing of the time that the motors need to gather speed, the plan does.
    assert np.diff(sent_s[1:]).max() < 2 * one_piece_s + 0.03


def test_small_wiggles_get_no_take_up() -> None:
    x = np.linspace(0.02, 0.1, 400)
    line = np.column_stack([x, 0.05 + 2e-5 * np.sin(x * 5000)])
    assert route(line, 0.0, 5e-5).reversals.tolist() == [0, 0]
    assert route(line, 0.0, 1e-5).reversals[1] > 50


@settings(max_examples=30, deadline=None)
@given(points, st.floats(1e-6, 1e-3))
def test_a_simplified_line_stays_near_and_keeps_its_ends(line, tolerance_m) -> None:
    kept = simplified(line, tolerance_m)
    assert len(kept) <= len(line)
    assert kept[[0, -1]] == pytest.approx(line[[0, -1]], abs=1e-7)
    for point in line:
        start, step = kept[:-1], np.diff(kept, axis=0)
        share = np.clip(((point - start) * step).sum(1) / np.maximum((step**2).sum(1), 1e-18), 0, 1)
        assert np.hypot(*(point - start - share[:, None] * step).T).min() <= tolerance_m * 1.01 + 1e-8


@pytest.mark.parametrize(
    "line",
    [np.zeros((0, 2)), np.zeros((5, 2)), np.array([[0.0, np.nan], [1, 1]]), 1e-8 * np.eye(4, 2)],
)
def test_a_line_that_is_none_is_refused(line: np.ndarray) -> None:
    with pytest.raises(InputError):
        route(line, 1e-5, 5e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_closed_loop_beats_the_open_one_by_far(seed: int) -> None:
    figures = {}
    for loop in ("open", "camera"):
        cell = Cell(waves(rows=6), loop=loop, seed=seed, lost_step_probability=1e-3)
        cell.run()
        figures[loop] = cell.deviation().rms_m
    assert figures["camera"] < 1e-4
    assert figures["open"] > 4 * figures["camera"]


@pytest.mark.parametrize("slip_m", [0.0, 0.00072])
def test_anothers_waypoints_are_found_along_the_line_though_it_corrects_otherwise(slip_m: float) -> None:
    """One follower corrects a loss halfway, the other has heard of it late and believes in less backlash."""
    line, motion, none = waves(), MotionSettings(), np.zeros(2)
    ways = [Follower(route(line, 0.0, 0.0), line[0], none, none, FollowerSettings(), motion) for _ in (0, 1)]
    sender, hearer = ways
    backlash, slip, sent = np.array([0.0016, 0.002]), np.array([0.0, slip_m]), 0
    while not sender.finished:
        now_s = sender.told_to_s
        times, points = sender.send(now_s, slip * (now_s > 5.0), backlash)
        hearer.hear(times, points, slip * (now_s > 5.5), 0.9 * backlash)
        hearer.send(now_s, slip * (now_s > 5.5), 0.9 * backlash)
        sent += len(times)
    assert len(hearer.path.time_s) == 1 + sent
    assert hearer.finished
    apart_m = np.abs(np.array(hearer.path.along_m) - sender.path.along_m)
    assert apart_m.max() < 1.5e-3
    assert apart_m[-1] < 2e-4
