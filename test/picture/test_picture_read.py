"""Reading photos: every colour model, orientation and kind of bad input."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.errors import InputError
from sketch_cell.picture.read import open_photo, read_photo, upright


def picture(height=40, width=56, channels=3, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    return np.kron(coarse, np.ones((height // 5, width // 7, 1), np.uint8))


def saved(image, format_name="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def jpeg(pixels, **options):
    return saved(PIL.Image.fromarray(pixels), "JPEG", **{"quality": 95, "subsampling": 0, **options})


def near(a, b, levels=6.0):
    return np.abs(a.astype(float) - b).mean() < levels


def test_a_lossless_colour_picture_comes_back_exactly():
    pixels = picture()
    for format_name in ("PNG", "BMP", "TIFF", "PPM"):
        assert (read_photo(saved(PIL.Image.fromarray(pixels), format_name)) == pixels).all()


def test_grey_stays_grey():
    pixels = picture()[:, :, 0]
    assert (read_photo(saved(PIL.Image.fromarray(pixels))) == pixels).all()
    assert read_photo(jpeg(pixels)).shape == pixels.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_exactly_once(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(picture(), exif=exif)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))))
    read = read_photo(data)
    assert read.shape == expected.shape and (read == expected).all()
    stored = open_photo(data)
    assert stored.pixels.shape == (40, 56, 3) and stored.orientation == orientation


def test_an_orientation_outside_the_standard_changes_nothing():
    pixels = picture()
    assert upright(pixels, 9) is pixels and upright(pixels, 0) is pixels


def test_transparency_is_laid_on_white_and_kept_apart():
    pixels = picture()
    alpha = np.zeros(pixels.shape[:2], np.uint8)
    alpha[:, 28:] = 255
    data = saved(PIL.Image.fromarray(np.dstack([pixels, alpha])))
    flat = read_photo(data)
    assert (flat[:, :28] == 255).all() and (flat[:, 28:] == pixels[:, 28:]).all()
    photo = open_photo(data)
    assert (photo.alpha == alpha).all() and (photo.pixels == pixels).all()


def test_an_opaque_alpha_plane_is_dropped():
    data = saved(PIL.Image.fromarray(np.dstack([picture(), np.full((40, 56), 255, np.uint8)])))
    assert open_photo(data).alpha is None


def test_palettes_one_bit_and_grey_alpha_are_read():
    image = PIL.Image.fromarray(picture())
    assert near(read_photo(saved(image.quantize(64))), picture())
    bits = read_photo(saved(image.convert("1")))
    assert bits.shape == (40, 56) and set(np.unique(bits)) <= {0, 255}
    grey_alpha = PIL.Image.merge("LA", [image.convert("L"), PIL.Image.new("L", image.size, 0)])
    assert (read_photo(saved(grey_alpha)) == 255).all()


def test_sixteen_bits_are_kept():
    pixels = (picture()[:, :, 0].astype(np.uint16) << 8) + 77
    read = read_photo(saved(PIL.Image.fromarray(pixels)))
    assert read.dtype == np.uint16 and (read == pixels).all()


def test_cmyk_jpegs_have_their_true_colours():
    pixels = picture()
    cmyk = PIL.Image.fromarray(pixels).convert("CMYK")
    read = read_photo(saved(cmyk, "JPEG", quality=98))
    assert read.shape == pixels.shape and near(read, pixels, 8)


def test_a_colour_profile_is_converted_to_srgb():
    pixels = picture()
    # An sRGB profile changes nothing; LAB-like ones do, but only sRGB ships with Pillow.
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    data = saved(PIL.Image.fromarray(pixels), icc_profile=profile)
    assert open_photo(data).profile == profile
    assert near(read_photo(data), pixels, 1)


def test_a_broken_profile_does_not_stop_a_photo():
    assert (read_photo(saved(PIL.Image.fromarray(picture()), icc_profile=b"nonsense")) == picture()).all()


def test_progressive_and_multi_picture_files_are_read():
    assert near(read_photo(jpeg(picture(), progressive=True)), picture())


@pytest.mark.parametrize("size", [(8, 7), (1, 1), (7, 500)])
def test_pictures_under_eight_pixels_are_refused(size):
    pixels = np.zeros((*size, 3), np.uint8)
    for data in (saved(PIL.Image.fromarray(pixels)), jpeg(pixels)):
        with pytest.raises(InputError, match="at least 8 x 8"):
            read_photo(data)


def test_eight_by_eight_is_enough():
    assert read_photo(jpeg(np.zeros((8, 8, 3), np.uint8))).shape == (8, 8, 3)


def png_header_only(width, height):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_bombs_are_refused_from_the_header_alone():
    for width, height in ((10_001, 10_000), (60_000, 60_000)):
        with pytest.raises(InputError, match=r"megapixels|too large"):
            read_photo(png_header_only(width, height))
    data = bytearray(jpeg(picture()))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 65_500, 65_500)
    with pytest.raises(InputError, match="megapixels"):
        read_photo(bytes(data))


def test_the_limit_is_the_callers():
    data = saved(PIL.Image.fromarray(picture()))
    with pytest.raises(InputError, match="megapixels"):
        read_photo(data, max_megapixels=0.002)
    assert read_photo(data, max_megapixels=0.00225).shape == (40, 56, 3)


@pytest.mark.parametrize(
    "data", [b"", b"hello, this is a text file\n" * 50, b"\xff\xd8\xff", b"%!PS-Adobe EPSF\n"]
)
def test_what_is_no_photo_is_refused(data):
    with pytest.raises(InputError):
        read_photo(data)


@given(st.floats(0, 0.999))
@settings(max_examples=40, deadline=None)
def test_truncated_jpegs_are_refused_wherever_they_are_cut(share):
    data = jpeg(picture())
    with pytest.raises(InputError):
        read_photo(data[: int(len(data) * share)])


@given(
    st.integers(0, 10**6), st.integers(1, 255), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
)
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_read_or_refused_but_never_crash(place, flip, format_name):
    data = bytearray(saved(PIL.Image.fromarray(picture()), format_name))
    data[place % len(data)] ^= flip
    try:
        pixels = read_photo(bytes(data), max_megapixels=1)
        assert pixels.ndim in (2, 3)
    except InputError as error:
        assert "\n" not in str(error)


def test_a_transparent_level_of_sixteen_bits_whitens_nothing_else():
    levels = np.full((40, 40), 30_000, np.uint16)
    levels[:20] = 5_000
    # Pillow reads the chunk and does not write it.
    data = saved(PIL.Image.fromarray(levels))
    chunk = b"tRNS" + struct.pack(">H", 5_000)
    end = data.index(b"IDAT") - 4
    data = data[:end] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[end:]
    photo = read_photo(data)
    assert (photo[:20] == 65_535).all() and (photo[20:] == 30_000).all()


def test_a_grey_profile_is_converted_to_srgb():
    # A grey profile of gamma 1, which Pillow cannot make: header, tag table, white point and curve.
    def tag(kind, content):
        return kind + bytes(4) + content

    white = tag(b"XYZ ", struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D))
    curve = tag(b"curv", struct.pack(">I", 0))
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 156 + len(white), len(curve))
    body = table + white + curve
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D) + bytes(48)
    grey = np.full((16, 16), 128, np.uint8)
    shown = read_photo(saved(PIL.Image.fromarray(grey), icc_profile=header + body))
    assert shown.shape == grey.shape and abs(int(shown[0, 0]) - 188) <= 2


@pytest.mark.parametrize("marker", [b"\xff\xc3", b"\xff\xc5"])
def test_jpegs_of_rare_kinds_are_named(marker):
    data = jpeg(picture())
    with pytest.raises(InputError, match="lossless or hierarchical"):
        read_photo(data.replace(b"\xff\xc0", marker))
    place = data.index(b"\xff\xc0") + 4
    with pytest.raises(InputError, match="12-bit"):
        read_photo(data[:place] + b"\x0c" + data[place + 1 :])


def test_an_orientation_of_the_wrong_type_is_no_reason_to_refuse(recwarn):
    # One entry of type 7 (undefined), four bytes long.
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHI4sI", 8, 1, 0x0112, 7, 4, b"up  ", 0)
    assert near(read_photo(jpeg(picture(), exif=exif)), picture())
    assert not recwarn.list


def test_the_limit_may_be_higher_than_pillows(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    assert read_photo(saved(PIL.Image.fromarray(picture()))).shape == picture().shape
    assert PIL.Image.MAX_IMAGE_PIXELS == 100
