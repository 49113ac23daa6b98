"""The header reader: facts of files written by Pillow, and broken headers refused."""

import contextlib
import io
import struct

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sketch_cell.errors import InputError
from sketch_cell.picture.jpeg import (
    STANDARD_LUMA,
    ZIGZAG,
    jpeg_facts,
    nearest_quality,
    standard_luma_table,
    strength_of_quality,
    table_strength,
)
from sketch_cell.picture.quality import decibels, mean_square_error

# Pillow's encoder wants a picture of noise at quality 100 in one buffer; its own guess of the size is too small.
PIL.ImageFile.MAXBLOCK = 2**20


def jpeg_bytes(width=48, height=40, mode="RGB", seed=0, **options):
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.frombytes(mode, (width, height), pixels.tobytes()).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    progressive=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_reads_what_the_encoder_was_told(width, height, quality, subsampling, progressive):
    data = jpeg_bytes(width, height, quality=quality, subsampling=subsampling, progressive=progressive)
    facts = jpeg_facts(data)
    assert (facts.width, facts.height, facts.bits, facts.components) == (width, height, 8, 3)
    assert facts.quality == quality
    assert facts.subsampling == subsampling
    assert facts.is_progressive == progressive
    assert facts.is_complete and not facts.is_arithmetic
    assert (facts.luma_table == standard_luma_table(quality)).all()


def test_a_grey_file_has_one_component_and_no_chroma_table():
    facts = jpeg_facts(jpeg_bytes(mode="L", quality=30))
    assert facts.subsampling == "grey" and facts.chroma_table is None and facts.quality == 30


def test_tables_agree_with_pillow():
    data = jpeg_bytes(quality=37)
    tables = PIL.Image.open(io.BytesIO(data)).quantization
    facts = jpeg_facts(data)
    assert facts.luma_table.ravel().tolist() in (
        list(tables[0]),
        np.array(tables[0])[np.argsort(ZIGZAG)].tolist(),
    )
    assert sorted(facts.chroma_table.ravel()) == sorted(tables[1])


def test_the_zigzag_begins_and_ends_as_in_the_standard():
    assert ZIGZAG[:10].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]
    assert ZIGZAG[-3:].tolist() == [55, 62, 63]
    assert sorted(ZIGZAG) == list(range(64))


def test_a_thumbnail_in_the_metadata_is_not_the_picture():
    thumbnail = jpeg_bytes(16, 16, quality=20)
    comment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = jpeg_bytes(100, 60, quality=80)
    facts = jpeg_facts(data[:2] + comment + data[2:])
    assert (facts.width, facts.height, facts.quality) == (100, 60, 80)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_truncation_is_noticed(cut, progressive):
    data = jpeg_bytes(quality=80, progressive=progressive)
    part = data[: cut % len(data)]
    with contextlib.suppress(InputError):
        assert not jpeg_facts(part).is_complete


def test_a_header_that_promises_more_than_the_file_holds_is_incomplete():
    data = bytearray(jpeg_bytes(64, 64, quality=50))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 60000, 60000)
    assert not jpeg_facts(bytes(data)).is_complete


@given(st.binary(max_size=200), st.integers(0, 10**6), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_damaged_headers_end_in_one_kind_of_error(tail, place, value):
    data = bytearray(jpeg_bytes(quality=50))
    data[place % 620] = value
    for candidate in (bytes(data), b"\xff\xd8\xff" + tail):
        try:
            jpeg_facts(candidate)
        except InputError as error:
            assert str(error).endswith(".")


def test_what_is_no_jpeg_is_refused():
    with pytest.raises(InputError, match="not a JPEG"):
        jpeg_facts(b"\x89PNG....")


def test_strength_falls_with_quality_and_is_zero_at_fifty():
    strengths = [strength_of_quality(q) for q in range(5, 98)]
    assert (np.diff(strengths) <= 0).all()
    assert strength_of_quality(50) == 0
    assert strength_of_quality(25) == pytest.approx(1, abs=0.05)


def test_a_standard_table_is_as_strong_as_its_quality():
    for quality in range(2, 100):
        table = standard_luma_table(quality)
        assert table_strength(table) == pytest.approx(strength_of_quality(quality), abs=1e-9)
        assert nearest_quality(table) == quality


def test_a_table_is_as_strong_as_the_standard_one_that_costs_a_photo_as_much():
    grey = skimage.data.camera()
    for table in (np.full((8, 8), 16), np.full((8, 8), 40), np.rint(16 * (STANDARD_LUMA / 16) ** 1.3)):
        costs = []
        for steps in (table, standard_luma_table(nearest_quality(table.astype(np.int64)))):
            file = io.BytesIO()
            PIL.Image.fromarray(grey).save(file, "JPEG", qtables=[steps.astype(int).ravel().tolist()])
            costs.append(decibels(mean_square_error(np.asarray(PIL.Image.open(file)), grey)))
        assert costs[0] == pytest.approx(costs[1], abs=1)


@given(arrays(np.int64, (8, 8), elements=st.integers(1, 200)))
def test_coarser_tables_are_stronger(table):
    assert table_strength(table + table // 4 + 1) >= table_strength(table)


@pytest.mark.parametrize("scale", [0.97, 1.04])
def test_the_nearest_quality_bears_tables_of_other_encoders(scale):
    table = np.clip(np.rint(standard_luma_table(40) * scale), 1, 255).astype(np.int64)
    assert abs(nearest_quality(table) - 40) <= 2


def test_endless_scans_are_refused():
    """Seventeen bytes more make a decoder work through the whole picture once more."""
    data = jpeg_bytes(quality=50, progressive=True)
    begin = data.rindex(b"\xff\xda")
    assert jpeg_facts(data[:-2] + 20 * data[begin:-2] + data[-2:]).is_complete
    with pytest.raises(InputError, match="more than 200 scans"):
        jpeg_facts(data[:-2] + 300 * data[begin:-2] + data[-2:])


def test_sizes_beyond_one_byte():
    facts = jpeg_facts(jpeg_bytes(width=700, height=300, mode="L", quality=10))
    assert (facts.width, facts.height) == (700, 300)


def test_markers_without_content_and_fill_bytes_are_passed_over():
    data = jpeg_bytes(60, 50, quality=70)
    for between in (b"\xff\x01", b"\xff\xff", b"\xff\xd0", b"\xff\xd7\xff\xff\xff\x01"):
        facts = jpeg_facts(data[:2] + between + data[2:])
        assert (facts.width, facts.height, facts.quality) == (60, 50, 70)


def test_the_chroma_table_is_that_of_cb():
    tables = [standard_luma_table(quality).ravel().tolist() for quality in (80, 40, 20)]
    facts = jpeg_facts(jpeg_bytes(quality=-1, qtables=tables))
    assert facts.quality == 80
    assert (np.sort(facts.chroma_table.ravel()) == np.sort(tables[1])).all()


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_tables_whose_markers_lie_among_the_frames_are_not_frames(marker):
    data = jpeg_bytes(48, 40, quality=60)
    looks_like_a_frame = bytes([8, 0, 9, 0, 9, 1, 1, 0x11, 0])
    facts = jpeg_facts(data[:2] + segment(marker, looks_like_a_frame) + data[2:])
    assert (facts.width, facts.height) == (48, 40)


@pytest.mark.parametrize("marker", sorted(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}))
def test_every_kind_of_frame_gives_the_size(marker):
    data = bytearray(jpeg_bytes(48, 40, quality=60))
    data[data.index(b"\xff\xc0") + 1] = marker
    facts = jpeg_facts(bytes(data))
    assert (facts.width, facts.height) == (48, 40)
    assert facts.is_arithmetic is (marker >= 0xC9)
    assert facts.is_progressive is (marker in (0xC2, 0xC6, 0xCA, 0xCE))
