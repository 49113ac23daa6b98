"""From a file's bytes to a repaired picture, the grid respected and the picture turned upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.deblock import Deblocker
from sketch_cell.picture.read import DEFAULT_MAX_MEGAPIXELS, Photo, finished, open_photo
from sketch_cell.picture.trace import traced_jpeg

Image = NDArray[np.uint8]

# Above this quality nothing is left to repair.
HIGHEST_QUALITY = 97
BAND_PX = 64  # rows that are looked at together, so that a large picture is not copied


def repair_file_bytes(
    data: bytes,
    deblocker: Deblocker,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
    strength: float = 1.0,
    *,
    resaved: bool = True,
) -> Image:
    """The repaired, upright sRGB picture, uint8 (H, W, 3) or grey (H, W), of a file's bytes.

    A JPEG is repaired by the networks for its own quantisation table, a lossless file by the blind one (it may
    have been a JPEG before); `resaved` as in `Deblocker.repair`. Raises `InputError` as `read_photo` does.
    """
    photo = open_photo(data, max_megapixels)
    return np.asarray(finished(repaired(photo, deblocker, strength, resaved=resaved)), np.uint8)


def repaired(photo: Photo, deblocker: Deblocker, strength: float = 1.0, *, resaved: bool = True) -> Photo:
    """`photo` in 8 bits with JPEG damage repaired, on the same pixel grid."""
    pixels = in_eight_bits(photo.pixels)
    if needs_repair(photo):
        table = photo.jpeg.luma_table if photo.jpeg is not None else None
        pixels = deblocker.repair(pixels, table, strength, resaved=resaved)
    return replace(photo, pixels=pixels)


def needs_repair(photo: Photo) -> bool:
    """Whether the picture is, or may have been, a JPEG of at most `HIGHEST_QUALITY`."""
    if photo.jpeg is None:
        # Pictures of 16 bits per level, or of 0 and 255 alone (0 - 1 is 255 in bytes), have not been through a JPEG.
        bands = range(0, len(photo.pixels), BAND_PX)
        return photo.pixels.dtype == np.uint8 and any(
            bool((photo.pixels[row : row + BAND_PX] - np.uint8(1) < 254).any()) for row in bands
        )
    return photo.jpeg.quality <= HIGHEST_QUALITY


def shows_no_jpeg(photo: Photo) -> bool:
    """Whether the picture will be repaired although neither its file nor its pixels betray a JPEG."""
    return photo.jpeg is None and needs_repair(photo) and traced_jpeg(in_eight_bits(photo.pixels)) is None


def in_eight_bits(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Image:
    """Levels 0..255 of an 8- or 16-bit picture."""
    return np.asarray(pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257.0), np.uint8)
