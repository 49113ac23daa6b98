"""How much line a loss spoils, and what strays, on traces whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.control.deviation import Deviation, deviation
from sketch_cell.control.recovery import STAYS_M, WITHIN_M, recovered_m, strays_m

LINE = np.column_stack([np.linspace(0.0, 0.2, 2001), np.full(2001, 0.05)])


def shifted(*stretches: tuple[float, float, float]) -> Deviation:
    """The line with stretches (from, to, by) [m] of it moved sideways."""
    trace = LINE.copy()
    for start, end, by in stretches:
        trace[(trace[:, 0] >= start) & (trace[:, 0] < end), 1] += by
    return deviation(trace, LINE)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.02, 0.1), st.floats(0.002, 0.05))
def test_a_shifted_stretch_is_recovered_from_at_its_end(start: float, length: float) -> None:
    found = shifted((start, start + length, 0.0007))
    assert recovered_m(found, [start - 1e-4]) == [pytest.approx(length, abs=2e-3)]
    assert strays_m(found, [start - 1e-4]) <= WITHIN_M
    assert strays_m(found, []) == pytest.approx(0.0007, abs=2e-5)


def test_a_slip_that_shows_at_the_ends_of_a_stroke_only_is_not_recovered_between_them() -> None:
    found = shifted((0.05, 0.051, 0.0007), (0.06, 0.061, 0.0007))
    assert recovered_m(found, [0.05]) == [pytest.approx(0.011, abs=3e-3)]


def test_what_strays_long_after_a_loss_is_not_blamed_on_it() -> None:
    found = shifted((0.05, 0.06, 0.0007), (0.07 + STAYS_M, 0.075 + STAYS_M, 0.0003))
    assert recovered_m(found, [0.05]) == [pytest.approx(0.01, abs=3e-3)]
    assert strays_m(found, [0.05]) == pytest.approx(0.0003, abs=2e-5)


def test_a_loss_that_moves_nothing_is_recovered_from_at_once_and_one_outside_the_line_left_out() -> None:
    assert recovered_m(shifted(), [0.1, 0.5]) == [0.0]


def test_the_next_loss_ends_the_stretch_of_the_one_before_and_one_before_the_line_excuses_its_beginning() -> (
    None
):
    found = shifted((0.0, 0.004, 0.0007), (0.05, 0.06, 0.0007), (0.065, 0.07, 0.0007))
    losses = [-1e-4, 0.0506, 0.0668]  # along the trace, which is longer by every step aside
    assert recovered_m(found, losses) == [pytest.approx(0.011, abs=3e-4), pytest.approx(0.006, abs=3e-4)]
    assert strays_m(found, losses) <= WITHIN_M
