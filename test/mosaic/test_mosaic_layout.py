"""Layouts: sweets never overlap, boards keep the photo's shape, senseless sizes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from sketch_cell.errors import SettingError
from sketch_cell.mosaic.layout import fit_layout

sizes = st.tuples(st.sampled_from(["square", "hex", "side"]), st.integers(3, 40), st.floats(0.4, 2.5))


@settings(deadline=None)
@given(sizes)
def test_sweets_touch_but_never_overlap(size):
    layout = fit_layout(*size)
    centres = layout.centres().reshape(-1, 2)
    # From the side a sweet is a rectangle: stretch its height to one.
    stretched = centres / [1.0, layout.row_step if layout.kind == "side" else 1.0]
    nearest = cKDTree(stretched).query(stretched, k=2)[0][:, 1]
    np.testing.assert_allclose(nearest, 1.0, atol=1e-9)


@settings(deadline=None)
@given(sizes)
def test_sweets_lie_within_the_board_and_the_board_has_the_photos_shape(size):
    layout = fit_layout(*size)
    centres = layout.centres().reshape(-1, 2)
    half = np.array([0.5, 0.5 * layout.row_step if layout.kind == "side" else 0.5])
    np.testing.assert_allclose(centres.min(axis=0), half)
    assert np.all(centres.max(axis=0) <= np.array([layout.width, layout.height]) - half + 1e-9)
    assert abs(layout.width / layout.height - size[2]) < 1.2 * max(1.0, size[2]) ** 2 / size[1] * 1.2


def test_frame_board_has_its_origin_lower_left():
    xy = fit_layout("hex", 5, 1.0).centres_m(0.01)
    assert xy[0] == pytest.approx([0.005, xy[:, 1].max()])
    assert xy[-1, 1] == pytest.approx(0.005)


@pytest.mark.parametrize("kind", ["square", "hex", "side"])
def test_a_board_without_room_is_refused(kind):
    with pytest.raises(SettingError, match="short_edge"):
        fit_layout(kind, 0, 1.0)
    with pytest.raises(SettingError, match="short_edge"):
        fit_layout(kind, 3000, 1.0)
