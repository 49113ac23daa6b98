"""From a file's bytes to a repaired picture: JPEGs of every kind that programs write."""

import base64
import io

import cv2
import numpy as np
import PIL.Image
import pytest
import skimage.data

from sketch_cell.picture.deblock import Deblocker
from sketch_cell.picture.jpeg import jpeg_facts
from sketch_cell.picture.quality import decibels, mean_square_error
from sketch_cell.picture.repair import repair_file_bytes

ASTRONAUT = skimage.data.astronaut()[60:204, 150:310]
# Circles of 40 x 40 pixels, grey, as `cjpeg -quality 10 -grayscale -arithmetic` writes them: no library of ours can.
ARITHMETIC = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwkA5CBjBHvl{UMgTkjG5}BjMgTzoMgUp>RRB-`UjTRj$N+)>cmQqyZUA@y^#HE`xd4#>$N?e%{{b-pE"
    "CC$={{a{Q69GU0XaURth5<kUQ~|RASpgFP7y*z1Apw;EvjN)y>H-4-2m%8EHUWVGH3D4%Fah)eSOLrd`2qt0@BhgF3kU!x04M<g5di<p00"
    "saM5C#9*00;pA002J#&aAL+3%ZZ9zvO_fB7k25!!Hn>#wATvI2TQpQpvZT6PdwJX!g-3!2j6"
)


def by_pillow(mode="RGB", **options):
    file = io.BytesIO()
    PIL.Image.fromarray(ASTRONAUT).convert(mode).save(file, "JPEG", quality=10, **options)
    return file.getvalue()


def by_opencv(*options):
    options = [cv2.IMWRITE_JPEG_QUALITY, 10, *options]
    return cv2.imencode(".jpg", ASTRONAUT[:, :, ::-1], options)[1].tobytes()


def gain_db(data, original):
    jpeg = PIL.Image.open(io.BytesIO(data)).convert("RGB" if original.ndim == 3 else "L")
    errors = (
        mean_square_error(p, original) for p in (np.asarray(jpeg), repair_file_bytes(data, Deblocker()))
    )
    before, after = map(decibels, errors)
    return after - before


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(by_pillow(progressive=True), id="progressive"),
        pytest.param(by_pillow("CMYK"), id="cmyk"),
        pytest.param(by_pillow(keep_rgb=True), id="rgb"),
        pytest.param(by_opencv(cv2.IMWRITE_JPEG_RST_INTERVAL, 1), id="restarts"),
        *(
            pytest.param(by_opencv(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor), id=name)
            for name, factor in {
                "4:1:1": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
                "4:4:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
                "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
            }.items()
        ),
    ],
)
def test_every_kind_of_jpeg_is_repaired(data):
    assert gain_db(data, ASTRONAUT) > 1.0


def test_an_arithmetic_coded_jpeg_is_repaired():
    assert jpeg_facts(ARITHMETIC).is_arithmetic
    places = np.arange(40) - 20
    circles = (np.hypot(places, places[:, None]) * 8).astype(np.uint8)
    assert gain_db(ARITHMETIC, circles) > 1.0
