"""The route: its parts, and what cutting it leaves as it was."""

import numpy as np
import pytest

from sketch_cell.control.route import route


def test_cutting_adds_vertices_and_changes_nothing_else() -> None:
    way = route(np.array([[0.0, 0.0], [0.01, 0.0], [0.01, 0.0011], [0.004, 0.0011]]), 0.0, 0.0)
    cut = way.cut(0.0025)
    assert np.diff(cut.along_m).max() <= 0.0025 + 1e-12
    assert cut.along_m == pytest.approx(
        np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(cut.xy_m, axis=0).T))])
    )
    corners = np.searchsorted(cut.along_m, way.along_m - 1e-9)
    assert cut.xy_m[corners] == pytest.approx(way.xy_m)
    assert (cut.side[corners] == way.side).all()
    assert (cut.reversals == way.reversals).all()
    assert len(way.cut(1.0).xy_m) == len(way.xy_m)


@pytest.mark.parametrize("turned", [0, 1, 2])
def test_a_line_that_ends_where_it_began_keeps_its_last_stroke(turned: int) -> None:
    square = np.roll(np.array([[0.03, 0.03], [0.06, 0.03], [0.06, 0.06], [0.03, 0.06]]), turned, axis=0)
    line = np.vstack([square, square[:1]])
    assert route(line, 3e-5, 5e-5).xy_m == pytest.approx(line, abs=1e-7)
    there_and_back = np.vstack([square[:3], square[1::-1]])
    assert route(there_and_back, 3e-5, 5e-5).xy_m == pytest.approx(there_and_back, abs=1e-7)


def test_a_circle_keeps_its_length_and_loses_vertices() -> None:
    turn = np.linspace(0.0, 2 * np.pi, 400)
    circle = np.column_stack([0.06 + 0.02 * np.cos(turn), 0.05 + 0.02 * np.sin(turn)])
    for last in (circle[0], circle[-1]):  # the same to the bit, and but for rounding
        way = route(np.vstack([circle[:-1], last]), 3e-5, 5e-5)
        assert way.along_m[-1] == pytest.approx(2 * np.pi * 0.02, rel=0.01)
        assert len(way.xy_m) < 100


def test_a_loop_smaller_than_the_tolerance_has_a_length() -> None:
    loop = np.array([[0.05, 0.05], [0.05001, 0.05], [0.05, 0.05001], [0.05, 0.05]])
    assert route(loop, 3e-5, 5e-5).along_m[-1] > 1e-5
