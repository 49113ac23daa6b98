"""Measures of picture quality against their definitions and an independent implementation."""

import math

import numpy as np
import pytest
import skimage.metrics

from sketch_cell.picture.classical import deblock_classically
from sketch_cell.picture.jpeg import standard_luma_table
from sketch_cell.picture.quality import blocking_effect, luma, matlab_luma, psnr_b, quality, ssim

RNG = np.random.default_rng(5)
PICTURE = np.asarray(np.clip(np.cumsum(RNG.normal(0, 3, (64, 72, 3)), axis=1) + 128, 0, 255), np.uint8)
NOISY = np.asarray(np.clip(PICTURE + RNG.normal(0, 6, PICTURE.shape), 0, 255), np.uint8)


def test_a_picture_equals_itself():
    q = quality(PICTURE, PICTURE)
    assert (q.rmse, q.psnr_db, q.ssim) == (0, math.inf, pytest.approx(1))


def test_rmse_and_psnr_follow_their_definitions():
    q = quality(np.full((16, 16), 100, np.uint8), np.full((16, 16), 110, np.uint8))
    assert q.rmse == pytest.approx(10) and q.psnr_db == pytest.approx(20 * math.log10(25.5))


def test_ssim_agrees_with_scikit_image():
    a, b = luma(PICTURE), luma(NOISY)
    expected = skimage.metrics.structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(expected, abs=0.01)


def blocky(step=10):
    plane = np.full((64, 64), 120, np.uint8)
    plane[:, ::16] = 120
    for start in range(8, 64, 16):
        plane[:, start : start + 8] += step
    return plane


def test_steps_at_block_edges_count_only_in_psnr_b():
    flat = np.full((64, 64), 125, np.uint8)
    edges_on_grid, edges_off_grid = blocky(), np.roll(blocky(), 4, axis=1)
    assert blocking_effect(edges_on_grid) > 0 == blocking_effect(edges_off_grid)
    assert psnr_b(edges_on_grid, flat) < psnr_b(edges_off_grid, flat)
    # Half of all edge steps (the vertical ones) are 10 levels, none elsewhere; the weight is log2(8) / log2(64).
    assert blocking_effect(edges_on_grid) == pytest.approx(0.5 * 50)


def test_matlab_luma_keeps_to_its_range():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert matlab_luma(colours).tolist() == [[16, 235, 81]]


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="compare"):
        quality(PICTURE, PICTURE[:-1])


def test_the_classical_filter_removes_small_steps_and_keeps_large_ones():
    table = standard_luma_table(10)
    small, large = blocky(20), blocky(130)
    assert blocking_effect(deblock_classically(small, table)) < 0.2 * blocking_effect(small)
    assert (deblock_classically(large, table) == large).all()
