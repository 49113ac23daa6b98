"""A photo's bytes become an array: size checked before decoding, every colour model and orientation handled."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import PIL.Image
import PIL.ImageCms
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.picture.jpeg import JpegFacts, is_jpeg, jpeg_facts

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

LEAST_SIDE_PX = 8
DEFAULT_MAX_MEGAPIXELS = 64.0
# Pillow knows more, but some of those start other programs (EPS) or are no photographs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000", "AVIF")
EXIF_ORIENTATION = 0x0112
SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})


@dataclass(frozen=True, eq=False)
class Photo:
    """One decoded picture on its stored pixel grid, before EXIF orientation.

    `pixels` is (H, W, 3) RGB or (H, W) grey, uint8 or uint16; `alpha` (H, W) uint8 or None; `profile` the ICC
    profile that `pixels` still follow, or None for sRGB; `jpeg` the header where the file is a JPEG. `frames` counts
    the pictures of the file, of which this is the first; `dpi` is the file's own, for who writes it again.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    profile: bytes | None
    orientation: int
    jpeg: JpegFacts | None
    frames: int = 1
    dpi: tuple[float, float] | None = None


def read_photo(data: bytes, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """The photo in a file's bytes as sRGB (H, W, 3) or grey (H, W), uint8 (uint16 from a 16-bit file).

    EXIF orientation is applied, transparency is laid on white, CMYK and colour profiles are converted.
    Raises `InputError`, in one sentence, for anything that is not a whole photo of at least 8 x 8 pixels
    and at most `max_megapixels`; the size is checked before anything is decoded.
    """
    return finished(open_photo(data, max_megapixels))


def open_photo(data: bytes, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Photo:
    """Decode a file's bytes without turning, flattening or converting RGB; raises `InputError` as `read_photo`."""
    facts = _checked_jpeg(data, max_megapixels) if is_jpeg(data) else None
    image = _opened(data)
    _check_size(*image.size, max_megapixels)
    try:
        with warnings.catch_warnings():
            # Of odd metadata, which a repair can do without.
            warnings.simplefilter("ignore")
            image.load()
            return _decoded(image, facts)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError("The photo does not fit into memory. Use a smaller one.") from error
    except Exception as error:  # Pillow's decoders raise many unrelated kinds on damaged data.
        raise InputError(
            f"The photo cannot be decoded ({error}): it is damaged or truncated. Get the file again from its source."
        ) from error


def finished(photo: Photo) -> Pixels:
    """What `read_photo` returns, from a decoded photo: sRGB, flattened on white, turned upright."""
    return upright(_on_white(_in_srgb(photo)).pixels, photo.orientation)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """`pixels` (H, W, ...) turned and mirrored as EXIF `orientation` 1..8 asks; other values change nothing."""
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }.get(orientation)
    return pixels if turned is None else np.ascontiguousarray(turned(pixels))


def _checked_jpeg(data: bytes, max_megapixels: float) -> JpegFacts:
    facts = jpeg_facts(data)
    _check_size(facts.width, facts.height, max_megapixels)
    if facts.bits != 8 or facts.is_lossless:
        kind = "lossless or hierarchical" if facts.is_lossless else f"{facts.bits}-bit"
        raise InputError(
            f"The JPEG is a {kind} one, which is not supported. Save it as a PNG or an 8-bit JPEG."
        )
    if not facts.is_complete:
        raise InputError(
            "The JPEG is truncated: its picture data ends too early. Get the file again from its source."
        )
    return facts


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    if min(width, height) < LEAST_SIDE_PX:
        raise InputError(
            f"The photo is {width} x {height} pixels; at least {LEAST_SIDE_PX} x {LEAST_SIDE_PX} are needed. "
            "Use a larger one."
        )
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise InputError(
            f"The photo has {megapixels:.1f} megapixels ({width} x {height}), more than the {max_megapixels:g} "
            "allowed. Reduce it or raise the limit."
        )


def _opened(data: bytes) -> PIL.Image.Image:
    try:
        with warnings.catch_warnings(), _without_pillows_limit():
            warnings.simplefilter("ignore")
            PIL.Image.init()  # older Pillows have no AVIF, and only now is it known
            known = [name for name in FORMATS if name in PIL.Image.OPEN]
            return PIL.Image.open(io.BytesIO(data), formats=known)
    except PIL.UnidentifiedImageError as error:
        raise InputError(
            "The file is not a photo in a known format (JPEG, PNG, WebP, TIFF, BMP, GIF). Choose another file."
        ) from error
    except Exception as error:  # A damaged header fails in as many ways as there are formats.
        raise InputError(
            f"The photo's header is damaged ({error}). Get the file again from its source."
        ) from error


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Only the megapixel limit of this module counts, and that may be higher than Pillow's."""
    limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = limit


def _decoded(image: PIL.Image.Image, facts: JpegFacts | None) -> Photo:
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    orientation = orientation if isinstance(orientation, int) else 1  # some writers get its type wrong
    profile = image.info.get("icc_profile") or None
    frames, dpi = getattr(image, "n_frames", 1), image.info.get("dpi")
    image, alpha = _without_alpha(image)
    if image.mode in SIXTEEN_BIT_MODES:
        pixels: Pixels = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
    elif image.mode in ("L", "RGB"):
        pixels = np.asarray(image)
    elif image.mode == "1":
        pixels = np.asarray(image.convert("L"))
    elif image.mode in ("CMYK", "YCbCr", "LAB", "P"):
        image, profile = _as_rgb(image, profile)
        pixels = np.asarray(image)
    else:
        raise InputError(
            f"The photo's pixel type ({image.mode}) is not supported. Save it as an 8-bit PNG or JPEG."
        )
    return Photo(pixels, alpha, profile, orientation, facts, frames, dpi)


def _without_alpha(image: PIL.Image.Image) -> tuple[PIL.Image.Image, NDArray[np.uint8] | None]:
    """The picture without transparency, and its alpha plane (H, W), None where it is opaque throughout."""
    if image.mode in SIXTEEN_BIT_MODES:
        # Pillow's own conversion would clip such levels to white.
        clear = image.info.get("transparency")
        alpha = None if clear is None else np.where(np.asarray(image) == clear, 0, 255).astype(np.uint8)
        return image, alpha
    if image.mode == "P" or "transparency" in image.info:
        transparent = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La"):
        return image, None
    if image.mode in ("PA", "RGBa", "La"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    alpha = np.asarray(image.getchannel("A"))
    return image.convert("L" if image.mode == "LA" else "RGB"), None if alpha.min() == 255 else alpha


def _as_rgb(image: PIL.Image.Image, profile: bytes | None) -> tuple[PIL.Image.Image, bytes | None]:
    """CMYK and other models as sRGB: through the file's own profile where it has a usable one."""
    if profile is not None and image.mode == "CMYK":
        converted = _through_profile(image, profile, "RGB")
        if converted is not None:
            return converted, None
    return image.convert("RGB"), None


def _through_profile(image: PIL.Image.Image, profile: bytes, mode: str) -> PIL.Image.Image | None:
    try:
        source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = PIL.ImageCms.createProfile("sRGB")
        return PIL.ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (PIL.ImageCms.PyCMSError, OSError, ValueError):
        # A damaged or mismatched profile is common in the wild; the colours without it are the best there is.
        return None


def _in_srgb(photo: Photo) -> Photo:
    if photo.profile is None or photo.pixels.dtype != np.uint8:
        return photo
    converted = _through_profile(PIL.Image.fromarray(photo.pixels), photo.profile, "RGB")
    if converted is None:
        return photo
    pixels = np.asarray(converted, np.uint8)
    return replace(photo, pixels=pixels if photo.pixels.ndim == 3 else pixels[:, :, 1], profile=None)


def _on_white(photo: Photo) -> Photo:
    if photo.alpha is None:
        return photo
    white = np.iinfo(photo.pixels.dtype).max
    cover = (photo.alpha if photo.pixels.ndim == 2 else photo.alpha[:, :, None]).astype(np.float32) / 255
    flat = np.rint(white + (photo.pixels.astype(np.float32) - white) * cover)
    return replace(photo, pixels=cast(Pixels, flat.astype(photo.pixels.dtype)), alpha=None)
