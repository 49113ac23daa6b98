"""Tables read back from the pixels of decoded JPEGs, on any grid, and from nothing else."""

import io

import cv2
import numpy as np
import PIL.Image
import pytest
import skimage.data

from sketch_cell.picture.jpeg import nearest_quality, standard_luma_table
from sketch_cell.picture.trace import traced_jpeg

CAT = skimage.data.chelsea()


def as_jpeg(pixels, quality):
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(buffer))


@pytest.mark.parametrize("quality", [5, 10, 22, 40, 60, 75, 90])
@pytest.mark.parametrize("is_grey", [False, True])
def test_the_table_is_read_back_from_the_pixels(quality, is_grey):
    trace = traced_jpeg(as_jpeg(CAT[:, :, 1] if is_grey else CAT, quality))
    assert trace is not None and trace.corner == (0, 0)
    # Neighbouring qualities can share all the low-frequency steps that are looked at.
    assert abs(nearest_quality(trace.luma_table) - quality) <= 1


@pytest.mark.parametrize("corner", [(3, 5), (0, 4), (7, 1)])
def test_a_cropped_jpeg_still_shows_its_grid(corner):
    cropped = as_jpeg(CAT, 20)[8 - corner[0] :, 8 - corner[1] :]
    trace = traced_jpeg(np.ascontiguousarray(cropped))
    assert trace is not None and trace.corner == corner
    assert (trace.luma_table == standard_luma_table(20)).all()


def test_what_was_never_a_jpeg_or_was_resized_shows_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    resized = cv2.resize(as_jpeg(CAT, 20), (397, 263), interpolation=cv2.INTER_AREA)
    for image in (CAT, noise, resized, np.zeros((100, 100), np.uint8), noise[:5, :5]):
        assert traced_jpeg(image) is None


@pytest.mark.parametrize(("earlier", "later"), [(10, 50), (10, 90), (20, 75), (50, 90)])
@pytest.mark.parametrize("corner", [(4, 4), (3, 0), (0, 0)])
def test_a_coarser_jpeg_shows_through_a_later_one(earlier, later, corner):
    cropped = as_jpeg(CAT, earlier)[-corner[0] % 8 :, -corner[1] % 8 :]
    trace = traced_jpeg(as_jpeg(np.ascontiguousarray(cropped), later), standard_luma_table(later))
    assert trace is not None and trace.corner == corner
    assert abs(nearest_quality(trace.luma_table) - earlier) <= 1


@pytest.mark.parametrize("quality", [6, 10, 20, 30, 50, 75, 90, 96])
@pytest.mark.parametrize("name", ["chelsea", "astronaut", "text", "brick"])
def test_a_single_jpeg_betrays_no_other_before_it(quality, name):
    image = getattr(skimage.data, name)()
    assert traced_jpeg(as_jpeg(image, quality), standard_luma_table(quality)) is None


@pytest.mark.parametrize("quality", [10, 30, 70])
def test_a_picture_turned_by_a_quarter_still_shows_its_table(quality):
    trace = traced_jpeg(np.ascontiguousarray(np.rot90(as_jpeg(CAT, quality))))
    assert trace is not None and trace.is_turned
    assert trace.corner == (CAT.shape[1] % 8, 0)
    assert abs(nearest_quality(trace.luma_table) - quality) <= 1


@pytest.mark.parametrize("quality", [None, 25, 75, 92])
@pytest.mark.parametrize("period", [4, 6, 8, 12, 16])
def test_patterns_are_not_taken_for_a_coarser_jpeg(period, quality):
    row, column = np.mgrid[:320, :320]
    rng = np.random.default_rng(period)
    modules = np.kron(rng.integers(0, 2, (320 // period + 1,) * 2) * 200 + 20, np.ones((period, period)))[
        :320, :320
    ]
    waves = 128 + 60 * np.sin(2 * np.pi * row / period) * np.sin(2 * np.pi * column / period)
    for pattern in (
        waves + rng.normal(0, 2, waves.shape),
        modules,
        column // period % 2 * 180 + 30,
        column * 200 // 320,
    ):
        image = pattern.astype(np.uint8)
        if quality is None:
            assert traced_jpeg(image) is None
        else:
            assert traced_jpeg(as_jpeg(image, quality), standard_luma_table(quality)) is None


@pytest.mark.parametrize("later", [50, 90])
def test_a_coarser_jpeg_shows_through_a_later_one_that_became_a_png(later):
    trace = traced_jpeg(as_jpeg(np.ascontiguousarray(as_jpeg(CAT, 15)[4:, 5:]), later))
    assert trace is not None and trace.corner == (4, 3)
    assert abs(nearest_quality(trace.luma_table) - 15) <= 1
