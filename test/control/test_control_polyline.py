"""Lengths and distances along a polyline."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sketch_cell.control.deviation import distances_m
from sketch_cell.control.polyline import arc_length_m, distance_m

places = st.floats(-0.2, 0.2)


@settings(deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=places), st.tuples(places, places)
)
def test_the_distance_is_that_of_the_judge_of_drawings(line, point):
    point = np.array(point)
    by_judge = distances_m(point[None], line, np.array([0]), np.array([len(line) - 1]))[0]
    assert distance_m(point, line) == pytest.approx(by_judge, abs=1e-9)


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=places), st.floats(0, 1))
def test_a_point_of_the_line_has_no_distance(line, share):
    along = arc_length_m(line)
    place = share * along[-1]
    point = np.array([np.interp(place, along, line[:, axis]) for axis in (0, 1)])
    assert distance_m(point, line) == pytest.approx(0.0, abs=1e-9)


def test_the_controller_needs_no_compiler():
    # numba costs every process that imports it half a second and some 40 MB.
    script = "import sys, sketch_cell.control.job; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
