"""The deviation between a trace and a line, on curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.control.deviation import deviation, resample
from sketch_cell.control.polyline import arc_length_m
from sketch_cell.errors import InputError


def waves(rows: int = 4, amplitude_m: float = 0.0009, pitch_m: float = 0.0024) -> np.ndarray:
    """A serpentine of sine rows 60 mm wide."""
    parts = []
    for row in range(rows):
        x = np.linspace(0.01, 0.07, 1500)
        y = 0.05 - row * pitch_m + amplitude_m * np.sin(2 * np.pi * x / 0.0012)
        part = np.column_stack([x, y])
        parts.append(part if row % 2 == 0 else part[::-1])
    return np.concatenate(parts)


def test_a_trace_on_the_line_deviates_by_nothing() -> None:
    result = deviation(waves(), waves())
    assert result.max_m < 2e-5


@settings(max_examples=10, deadline=None)
@given(st.floats(-0.0008, 0.0008), st.floats(-0.0008, 0.0008))
def test_a_shifted_straight_line_deviates_by_its_shift(dx_m: float, dy_m: float) -> None:
    line = np.array([[0.01, 0.02], [0.11, 0.02]])
    result = deviation(line + np.array([dx_m, dy_m]), line)
    assert np.median(result.trace_to_line_m) == pytest.approx(abs(dy_m), abs=1e-6)
    assert result.max_m == pytest.approx(np.hypot(dx_m, dy_m), abs=2e-5)


def test_a_neighbouring_row_hides_no_error() -> None:
    line = waves()
    result = deviation(line - np.array([0, 0.0024]), line)
    # shifted by exactly one row pitch, every row but one lies on a neighbour's ink
    assert result.rms_m > 0.0004
    free = deviation(line - np.array([0, 0.0024]), line, window_m=1.0)
    assert np.median(free.trace_to_line_m) < 1e-4


def test_an_erased_wave_shows_in_the_way_from_line_to_trace() -> None:
    flat = waves(amplitude_m=0.0)
    result = deviation(flat, waves())
    assert result.line_to_trace_m.max() > 0.0008
    assert np.median(result.trace_to_line_m) < 0.0004


def test_lead_in_lead_out_and_standstill_do_not_count() -> None:
    line = waves()
    lead_in = np.array([[0.0, 0.0], [0.0, 0.045]])
    trace = np.concatenate([lead_in, line[:1000], np.repeat(line[1000:1001], 500, 0), line[1000:]])
    result = deviation(np.concatenate([trace, trace[-1:] - np.array([0.0, 0.03])]), line)
    assert result.rms_m < 2e-4
    assert result.p95_m < 2e-5


def test_a_large_slip_is_measured_where_it_happened() -> None:
    line = waves(rows=6)
    trace = line.copy()
    trace[4500:] += [0.0, 0.004]
    result = deviation(trace, line)
    half = len(result.trace_to_line_m) // 2
    assert result.trace_to_line_m[: half - 200].max() < 5e-4
    assert np.median(result.trace_to_line_m[half + 200 :]) > 0.0015


def test_resampled_points_are_evenly_spaced_and_keep_the_ends() -> None:
    even = resample(waves(), 1e-4)
    gaps = np.hypot(*np.diff(even, axis=0).T)
    assert gaps.max() < 1.001e-4
    assert np.allclose(even[[0, -1]], waves()[[0, -1]])
    assert arc_length_m(even)[-1] == pytest.approx(arc_length_m(waves())[-1], rel=0.01)


def test_nothing_drawn_is_said() -> None:
    with pytest.raises(InputError, match="nothing was drawn"):
        deviation(np.zeros((5, 2)), waves())
