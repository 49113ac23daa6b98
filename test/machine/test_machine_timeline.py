"""Matching reported positions with the path: the place found is the place meant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketch_cell.machine.motion import MotionSettings, vertex_times_s
from sketch_cell.machine.timeline import Progress, Timeline

LIMITS = MotionSettings()


def line_of(points: list[tuple[float, float]]) -> Timeline:
    timeline = Timeline(0.0, points[0])
    times = vertex_times_s(points, LIMITS)
    for time_s, point in zip(times[1:], points[1:], strict=True):
        timeline.append(float(time_s), point, 0.04)
    return timeline


ZIGZAG = [(0.001 * n, 0.002 * (n % 2)) for n in range(60)]


@given(st.floats(0.01, 0.99))
def test_a_position_on_the_path_is_found_at_its_time(share: float) -> None:
    timeline = line_of(ZIGZAG)
    place_s = share * timeline.end_s
    position, _ = timeline.at(place_s)
    match = timeline.match(position, place_s + 0.02, 0.3)
    assert match.timeline_s == pytest.approx(place_s, abs=0.005)  # two steps, slow as they are at a turn
    assert match.deviation_m < 2.1e-5


def test_where_the_path_comes_back_over_itself_the_nearer_time_wins() -> None:
    timeline = line_of([(0.0, 0.0), (0.02, 0.0), (0.0, 0.0)])
    there, back = timeline.end_s * 0.25, timeline.end_s * 0.75
    position, _ = timeline.at(there)
    assert timeline.match(position, there + 0.05, 2.0).timeline_s == pytest.approx(there, abs=0.02)
    assert timeline.match(position, back - 0.05, 2.0).timeline_s == pytest.approx(back, abs=0.02)


def test_a_position_off_the_path_shows_by_how_much() -> None:
    match = line_of([(0.0, 0.0), (0.02, 0.0)]).match((0.01, 0.0005), 0.25, 1.0)
    assert match.deviation_m == pytest.approx(0.0005)


def test_between_reports_motion_is_foretold_by_the_boards_rules() -> None:
    timeline = line_of(ZIGZAG)
    progress = Progress(Timeline(0.0, ZIGZAG[0]), LIMITS, 100.0)
    progress.timeline = timeline
    progress.observe(ZIGZAG[0], 100.0, timeline.end_s)
    for after_s in np.linspace(0.0, 1.0, 11):
        place_s, position, _ = progress.at(100.0 + after_s, timeline.end_s)
        assert place_s == pytest.approx(after_s, abs=0.02)
        assert math.dist(position, timeline.at(after_s)[0]) < 4e-4


def test_the_place_never_goes_back_nor_beyond_what_was_sent() -> None:
    timeline = line_of(ZIGZAG)
    progress = Progress(Timeline(0.0, ZIGZAG[0]), LIMITS, 0.0)
    progress.timeline = timeline
    last = 0.0
    for now_s in np.arange(0.0, 20.0, 0.13):
        place_s, *_ = progress.at(float(now_s), 1.5)
        assert last <= place_s <= 1.5
        last = place_s
    progress.observe(ZIGZAG[0], 20.0, 1.5)
    assert progress.at(20.0, 1.5)[0] >= 0.0


def test_old_waypoints_are_forgotten_and_the_rest_still_fits() -> None:
    timeline = line_of([(0.001 * n, 0.0) for n in range(1500)])
    position, _ = timeline.at(30.0)
    timeline.forget_before(30.0)
    assert len(timeline.times) < 1000
    assert timeline.at(30.0)[0] == pytest.approx(position)
