"""The look-ahead planner: properties of any path, and examples that can be reckoned by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sketch_cell.machine.knobs import KnobSettings, knobs_from_screen, screen_from_knobs
from sketch_cell.machine.motion import MotionSettings, draw_time_s, passage, vertex_times_s

SETTINGS = MotionSettings(feed_m_per_s=0.04, acceleration_m_per_s2=0.5, step_m=0.0)
paths = arrays(
    np.float64,
    st.tuples(st.integers(2, 30), st.just(2)),
    elements=st.integers(0, 1500).map(lambda n: n * 1e-4),
)


def test_one_straight_move_is_a_trapezoid() -> None:
    # 100 mm at 40 mm/s and 500 mm/s2: distance over speed plus speed over acceleration
    assert draw_time_s([[0, 0], [0.1, 0]], SETTINGS) == pytest.approx(0.1 / 0.04 + 0.04 / 0.5)


def test_a_short_move_is_a_triangle() -> None:
    assert draw_time_s([[0, 0], [0.001, 0]], SETTINGS) == pytest.approx(2 * math.sqrt(0.001 / 0.5))


def test_a_reversal_is_a_full_stop() -> None:
    there = draw_time_s([[0, 0], [0.05, 0]], SETTINGS)
    assert draw_time_s([[0, 0], [0.05, 0], [0, 0]], SETTINGS) == pytest.approx(2 * there)


def test_speed_over_short_segments_is_capped_by_look_ahead() -> None:
    """2 a n s with 15 blocks of 0.3 mm at 500 mm/s2 allows 67 mm/s, whatever the feed is."""
    settings = dataclasses.replace(SETTINGS, feed_m_per_s=0.2, max_rate_m_per_s=0.2)
    times = vertex_times_s(np.stack([np.arange(2000) * 0.0003, np.zeros(2000)], axis=1), settings)
    speed = 0.0003 * 1000 / (times[1500] - times[500])
    assert speed == pytest.approx(math.sqrt(2 * 0.5 * 15 * 0.0003), rel=0.05)


@given(paths, st.integers(0, 28), st.floats(0.1, 0.9))
def test_an_extra_vertex_on_a_segment_does_not_slow_the_plan(path: np.ndarray, at: int, share: float) -> None:
    at = min(at, len(path) - 2)
    settings = dataclasses.replace(SETTINGS, lookahead_blocks=1000)
    more = np.insert(path, at + 1, path[at] + share * (path[at + 1] - path[at]), axis=0)
    assert draw_time_s(more, settings) == pytest.approx(draw_time_s(path, settings), rel=1e-6, abs=1e-6)


@given(paths)
def test_times_never_fall_and_never_beat_the_feed(path: np.ndarray) -> None:
    times = vertex_times_s(path, SETTINGS)
    length = np.hypot(*np.diff(path, axis=0).T)
    assert times[0] == 0.0
    assert (np.diff(times) >= length / SETTINGS.feed_m_per_s - 1e-12).all()


@given(paths)
def test_the_way_back_takes_as_long(path: np.ndarray) -> None:
    settings = dataclasses.replace(SETTINGS, lookahead_blocks=1000)
    assert draw_time_s(path[::-1], settings) == pytest.approx(draw_time_s(path, settings), rel=1e-9, abs=1e-9)


@given(paths)
def test_more_acceleration_is_never_slower(path: np.ndarray) -> None:
    faster = dataclasses.replace(SETTINGS, acceleration_m_per_s2=2.0)
    assert draw_time_s(path, faster) <= draw_time_s(path, SETTINGS) + 1e-12


def test_rounding_to_motor_steps_makes_corners_that_slow_a_wavy_line() -> None:
    x = np.arange(800) * 0.0003
    wave = np.stack([x, 0.0007 * np.sin(x * 1100)], axis=1)
    stepped = dataclasses.replace(SETTINGS, step_m=0.036 / 3200)
    assert 1.01 < draw_time_s(wave, stepped) / draw_time_s(wave, SETTINGS) < 1.05


def test_arguments_are_not_changed_and_nonsense_is_refused() -> None:
    path = np.array([[0.0, 0.0], [0.1, 0.1]])
    vertex_times_s(path, SETTINGS)
    assert (path == [[0.0, 0.0], [0.1, 0.1]]).all()
    with pytest.raises(ValueError, match="shape"):
        vertex_times_s([1.0, 2.0], SETTINGS)
    with pytest.raises(ValueError, match="positive"):
        vertex_times_s(path, SETTINGS, feed_m_per_s=0.0)
    assert draw_time_s(np.empty((0, 2)), SETTINGS) == 0.0
    assert draw_time_s(path[:1], SETTINGS) == 0.0


@given(arrays(np.float64, (5, 2), elements=st.floats(-1, 1)))
def test_knobs_and_screen_are_inverse(xy: np.ndarray) -> None:
    assert np.allclose(screen_from_knobs(knobs_from_screen(xy)), xy, atol=1e-15)


def test_one_turn_is_36_mm() -> None:
    assert knobs_from_screen([0.036, -0.018]) == pytest.approx([2 * math.pi, -math.pi])
    assert screen_from_knobs(2 * math.pi, KnobSettings(travel_per_turn_m=0.05)) == pytest.approx(0.05)


def test_the_passage_goes_through_every_vertex_when_the_vertex_times_say() -> None:
    rng = np.random.default_rng(4)
    xy = np.cumsum(rng.normal(0, 0.002, (50, 2)), axis=0)
    times, places = passage(xy)
    assert (np.diff(times) >= 0).all() and (np.diff(places) >= 0).all()
    assert np.allclose(np.interp(np.arange(50), places, times), vertex_times_s(xy), atol=1e-9)


def test_the_passage_speeds_up_and_slows_down_within_a_segment() -> None:
    # From rest to rest over 4 mm with 0.5 m/s2 and 40 mm/s: 0.08 s up over 1.6 mm, 0.02 s even, 0.08 s down.
    times, places = passage([[0.0, 0.0], [0.004, 0.0]], MotionSettings(step_m=0.0))
    for time_s, x_m in ((0.04, 0.0004), (0.08, 0.0016), (0.1, 0.0024), (0.14, 0.0036), (0.18, 0.004)):
        assert np.interp(time_s, times, places) * 0.004 == pytest.approx(x_m, abs=1e-9)


def test_a_passage_without_motion_is_one_moment() -> None:
    assert [part.tolist() for part in passage([[0.01, 0.02], [0.01, 0.02]])] == [[0.0], [0.0]]
