"""Changes are held within what quantisation can have rounded away."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sketch_cell.picture.dct import block_cosines, chroma_planes, held
from sketch_cell.picture.jpeg import standard_luma_table
from sketch_cell.picture.quality import LUMA

GREY = np.full((8, 8, 3), 128, np.uint8)
ONES = np.ones((3, 8, 8), np.float32)
change = arrays(np.float32, (8, 8, 3), elements=st.floats(-200, 200, width=32))


def luma_coefficients(picture):
    return cv2.dct(picture.astype(np.float32) @ np.array(LUMA, np.float32))


def test_the_transform_is_that_of_opencv():
    block = np.random.default_rng(0).normal(0, 50, (8, 8)).astype(np.float32)
    coefficients = block_cosines() @ block.ravel()
    assert np.allclose(coefficients.reshape(8, 8), cv2.dct(block), atol=1e-3)
    assert np.allclose(coefficients @ block_cosines(), block.ravel(), atol=1e-3)


def test_planes_are_those_of_opencv_and_are_undone():
    to_planes, to_rgb = chroma_planes()
    colours = np.random.default_rng(0).uniform(0, 1, (1, 9, 3)).astype(np.float32)
    luma, red, blue = cv2.split(cv2.cvtColor(colours, cv2.COLOR_RGB2YCrCb))
    expected = np.dstack([luma, blue - 0.5, red - 0.5])
    assert np.allclose(colours @ to_planes.T, expected, atol=2e-3)
    assert np.allclose(colours @ to_planes.T @ to_rgb.T, colours, atol=1e-5)


@settings(deadline=None)
@given(change, st.integers(5, 95))
def test_no_luma_coefficient_leaves_its_step(change, quality):
    table = standard_luma_table(quality)
    moved = luma_coefficients(held(change, GREY, table, ONES))
    assert (np.abs(moved) <= 0.5 * table + 1e-2).all()


def test_small_changes_pass_and_gains_weigh_them():
    table, small = (
        standard_luma_table(20),
        np.random.default_rng(1).normal(0, 0.1, (8, 8, 3)).astype(np.float32),
    )
    assert np.allclose(held(small, GREY, table, ONES), small, atol=0.01)
    gains = ONES.copy()
    gains[0, 2, 3] = 0
    moved, before = luma_coefficients(held(small, GREY, table, gains)), luma_coefficients(small)
    assert abs(moved[2, 3]) < 1e-3 < abs(before[2, 3])
    assert np.allclose(np.delete(moved.ravel(), 19), np.delete(before.ravel(), 19), atol=0.02)


def test_blocks_with_clipped_levels_are_left_as_they_are():
    jpeg = np.tile(GREY, (2, 3, 1))
    # Eight pixels of one block, nine of another.
    jpeg[:2, :4] = 0
    jpeg[9, 16:24, 1] = 255
    jpeg[10, 16, 2] = 255
    change = np.random.default_rng(1).normal(0, 90, jpeg.shape).astype(np.float32)
    kept = held(change, jpeg, standard_luma_table(20), ONES)
    same = np.isclose(kept, change, atol=1e-3).all(axis=2)
    assert same[8:, 16:].all() and not same[:8].any() and not same[8:, :16].any()
