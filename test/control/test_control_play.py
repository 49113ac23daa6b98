"""The commanded path and the play along it, against the play operator written as one clip per vertex."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketch_cell.control.play import CommandPath

TIMES = np.array([1.0, 3.0, 4.0])
PLACES = np.array([[0.02, 0.01], [0.02, 0.05], [-0.02, 0.03]])
ALONG = np.array([0.5, 1.5, 4.0])


def path() -> CommandPath:
    made = CommandPath((0.0, 0.01))
    made.append(TIMES, PLACES, ALONG)
    return made


@pytest.mark.parametrize(
    ("time_s", "index", "share", "place", "along_m"),
    [
        (-5.0, 0, 0.0, (0.0, 0.01), 0.0),
        (0.0, 0, 0.0, (0.0, 0.01), 0.0),
        (0.25, 0, 0.25, (0.005, 0.01), 0.125),
        (1.0, 1, 0.0, (0.02, 0.01), 0.5),
        (2.5, 1, 0.75, (0.02, 0.04), 1.25),
        (3.5, 2, 0.5, (0.0, 0.04), 2.75),
        (4.0, 3, 0.0, (-0.02, 0.03), 4.0),
        (9.0, 3, 0.0, (-0.02, 0.03), 4.0),
    ],
)
def test_places_of_the_timeline(time_s, index, share, place, along_m):
    assert path().locate(time_s) == (index, pytest.approx(share))
    assert path().command(time_s) == pytest.approx(place)
    assert path().along(time_s) == pytest.approx(along_m)


def test_the_play_begins_in_the_middle_of_its_gap_touching_nothing():
    state = path().start()
    assert (state.index, state.x, state.y, state.side_x, state.side_y) == (0, 0.0, 0.01, 0.0, 0.0)


def test_play_on_one_axis_by_hand():
    made = CommandPath((0.0, 0.0))
    made.append(np.array([1.0, 2.0, 3.0]), np.array([[4.0, 0.0], [2.5, 0.0], [-4.0, 0.0]]), np.zeros(3))
    state = made.start()
    for time_s, x, side in (
        (0.2, 0.0, 0.0),
        (1.0, 3.0, 1.0),
        (1.5, 3.0, 1.0),
        (2.0, 3.0, 1.0),
        (3.0, -3.0, -1.0),
    ):
        made.advance(state, time_s, (2.0, 0.5))
        assert (state.x, state.side_x) == (pytest.approx(x), side)
    assert (state.index, state.y, state.side_y) == (3, 0.0, 0.0)


def test_the_same_by_the_other_axis_and_each_with_its_own_gap():
    made = CommandPath((0.0, 0.0))
    made.append(np.array([1.0, 2.0]), np.array([[5.0, -5.0], [1.0, -1.0]]), np.zeros(2))
    state = made.start()
    made.advance(state, 2.0, (2.0, 4.0))
    assert (state.x, state.y) == (pytest.approx(2.0), pytest.approx(-3.0))
    assert (state.side_x, state.side_y) == (-1.0, -1.0), "y touches again without being pushed"


coordinates = st.floats(-0.01, 0.01)


@given(
    places=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=12),
    gaps=st.tuples(st.floats(0.0, 0.004), st.floats(0.0, 0.004)),
    stops=st.lists(st.floats(0.0, 12.0), max_size=6),
)
def test_the_play_is_a_clip_per_vertex_wherever_one_stops_to_look(places, gaps, stops):
    made = CommandPath((0.0, 0.0))
    made.append(np.arange(1.0, len(places) + 1), np.array(places), np.zeros(len(places)))
    state = made.start()
    expected = np.zeros(2)
    half = np.array(gaps) / 2
    ends = sorted([*stops, float(len(places))])
    times = sorted({*ends, *np.arange(1.0, len(places) + 1)})
    for time_s in times:
        expected = np.clip(
            expected, np.array(made.command(time_s)) - half, np.array(made.command(time_s)) + half
        )
        if time_s in ends:
            made.advance(state, time_s, gaps)
            assert (state.x, state.y) == pytest.approx(tuple(expected), abs=1e-12)
            for side, place, command, gap in (
                (state.side_x, state.x, made.command(time_s)[0], half[0]),
                (state.side_y, state.y, made.command(time_s)[1], half[1]),
            ):
                assert abs(command - place) <= gap + 1e-12
                assert side in (-1.0, 0.0, 1.0)


def test_a_copy_goes_its_own_way():
    made = path()
    state = made.start()
    other = state.copy()
    made.advance(state, 4.0, (0.001, 0.001))
    assert (other.index, other.x, other.y) == (0, 0.0, 0.01)


def test_a_stylus_that_nothing_pushes_touches_no_side_even_without_a_gap():
    made = path()
    state = made.start()
    made.advance(state, 0.0, (0.0, 0.0))
    assert (state.side_x, state.side_y) == (0.0, 0.0)
    made.advance(state, 1.0, (0.0, 0.0))
    assert (state.side_x, state.side_y) == (1.0, 0.0)
