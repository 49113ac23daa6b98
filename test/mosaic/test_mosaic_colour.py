"""Colour spaces: against scikit-image, there and back, and CIEDE2000 as a local metric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import color

from sketch_cell.mosaic.colour import (
    delta_e,
    delta_e_rows,
    lab_from_linear,
    linear_from_lab,
    linear_from_srgb,
    srgb_from_linear,
)

srgb = st.tuples(*[st.integers(0, 255)] * 3).map(lambda values: np.array(values, np.uint8))


@settings(deadline=None)
@given(srgb)
def test_srgb_survives_linear_light(value):
    np.testing.assert_array_equal(srgb_from_linear(linear_from_srgb(value)), value)


@settings(deadline=None)
@given(srgb)
def test_lab_agrees_with_scikit_image_and_goes_back(value):
    linear = linear_from_srgb(value / 255.0).astype(np.float64)
    lab = lab_from_linear(linear)
    np.testing.assert_allclose(lab, color.rgb2lab(value[None, None] / 255.0)[0, 0], atol=0.02)
    np.testing.assert_allclose(linear_from_lab(lab), linear, atol=1e-9)


@settings(deadline=None)
@given(srgb, st.floats(0.0, 6.28), st.floats(-1.0, 1.0))
def test_the_local_metric_is_ciede2000_for_small_differences(value, angle, slope):
    lab = color.rgb2lab(value[None, None])[0, 0]
    step = 0.3 * np.array([slope, np.cos(angle), np.sin(angle)])
    if np.hypot(*lab[1:]) < 2.0:
        return  # hue has no meaning there
    length = np.linalg.norm(delta_e_rows(lab + 0.5 * step) @ step)
    assert length == pytest.approx(float(delta_e(lab, lab + step)), rel=0.01)


def test_arguments_are_left_alone():
    linear = np.array([[0.2, 0.4, 0.6]])
    before = linear.copy()
    lab_from_linear(linear)
    srgb_from_linear(linear)
    np.testing.assert_array_equal(linear, before)
