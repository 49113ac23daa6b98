"""Tables read back from the pixels of decoded JPEGs, on any grid, and from nothing else."""

import cv2
import numpy as np
import pytest
import skimage.data

from sketch_cell.picture.jpeg import nearest_quality, standard_luma_table
from sketch_cell.picture.trace import traced_jpeg

CAT = skimage.data.chelsea()


def as_jpeg(pixels, quality):
    code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_UNCHANGED)


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
