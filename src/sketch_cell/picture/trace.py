"""The quantisation table that a JPEG of former times still betrays in the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.dct import cosines
from sketch_cell.picture.jpeg import ZIGZAG, standard_luma_table, table_strength
from sketch_cell.picture.quality import BLOCK_PX, LUMA

Image = NDArray[np.uint8]

MOST_BLOCKS = 512
# So many times as many blocks are looked through for those without a clipped level.
SPARE_BLOCKS = 4
LEAST_COEFFICIENTS = 48
# A pattern that repeats has many coefficients but few different ones, and those lie near multiples of some step by
# chance. Most photos have 20 at quality 5, and several times as many at milder ones.
LEAST_DIFFERENT = 18
# Mean cosine that multiples of the right step exceed (1 without rounding), and chance does not: of n coefficients, that
# has a standard deviation of 1 / sqrt(2 n).
LEAST_AGREEMENT = 0.3
LEAST_SIGMAS = 6.0
# The share of the agreement to be expected that a true table reaches (0.95 and more, but on small pictures) and others
# do not: chance gives 0, and on its own grid a JPEG's coefficients agree by half with twice its steps.
LEAST_SHARE = 0.75
# Variance [levels^2] of what pixels of whole levels add to a coefficient, conversions between colours included.
PIXEL_NOISE = 1 / 6
# The same of a later JPEG on another grid, as a share of the mean square of its low steps: measured, and more than
# the twelfth of a step's own rounding, because every frequency's rounding reaches the low ones of another grid.
SHIFTED_NOISE_SHARE = 0.28
# By how much, in powers of two of its steps, a JPEG before must be coarser to be told from the last one.
LEAST_STRONGER = 0.3
QUALITIES = np.arange(5, 96)
LOW, HIGHER = ZIGZAG[1:12], ZIGZAG[12:40]
# Corners are looked for with fewer blocks, coefficients and qualities: steps 4 to 8 % apart are near enough.
SHIFTED_BLOCKS = 128
LEAST_SHIFTED = 32
LEAST_AGREEMENT_SHIFTED = 0.2
SHIFTED = (np.array([0, 1, 1]), np.array([1, 0, 1]))
SCANNED_QUALITIES = np.r_[5:16, 16:30:2, 30:42:3, 42:96:4]


@dataclass(frozen=True, eq=False)
class Trace:
    """A JPEG's traces: its luma table (8, 8), and the row and column 0..7 of the first block corner.

    `is_turned` says that rows and columns have changed places since: the table is that of the picture's transpose.
    """

    luma_table: NDArray[np.int64]
    corner: tuple[int, int]
    is_turned: bool = False


def traced_jpeg(image: Image, luma_table: NDArray[np.int64] | None = None) -> Trace | None:
    """The coarsest JPEG that `image` (H, W, 3) or (H, W) betrays to have been, or None.

    `luma_table` is the table of the JPEG that `image` was decoded from, whose grid starts at its first pixel;
    then only a coarser JPEG before it counts. Finds standard tables of qualities 5-95, upright or turned by a quarter:
    coefficients of a decoded JPEG lie near multiples of their quantisation step (after Fan and de Queiroz 2003), and
    what came after blurs that no more than its own rounding does. None where they do not: the picture was never a JPEG,
    was resized since, or used another encoder's tables.
    """
    if luma_table is not None:
        last: Trace | None = Trace(luma_table, (0, 0))
    else:
        last = _trace(image, (0, 0), QUALITIES, PIXEL_NOISE)
        last = last or _on_another_grid(image, (0, 0), QUALITIES, PIXEL_NOISE)
    if last is None:
        return None
    low_steps = last.luma_table.flat[LOW]
    coarser = 2**LEAST_STRONGER * low_steps.mean()
    qualities = np.array([q for q, steps in _steps(False).items() if steps.mean() > coarser], np.int64)
    noise = PIXEL_NOISE + SHIFTED_NOISE_SHARE * float((low_steps**2).mean())
    before = _coarsest(image, last.corner, qualities, noise)
    return before if before is not None or luma_table is not None else last


def _coarsest(
    image: Image, own_corner: tuple[int, int], qualities: NDArray[np.int64], shifted_noise: float
) -> Trace | None:
    """The coarsest of `qualities` on the grid at `own_corner` and on the likeliest other one, whose coefficients are
    blurred by `shifted_noise` [levels^2]."""
    if not len(qualities):
        return None
    traces = (
        _trace(image, own_corner, qualities, PIXEL_NOISE),
        _on_another_grid(image, own_corner, qualities, shifted_noise),
    )
    found = [trace for trace in traces if trace is not None]
    return max(found, key=lambda trace: table_strength(trace.luma_table), default=None)


def _on_another_grid(
    image: Image, own_corner: tuple[int, int], qualities: NDArray[np.int64], noise: float
) -> Trace | None:
    """What is traced on the likeliest grid other than that at `own_corner`."""
    corner = _shifted_corner(image, own_corner, qualities)
    return None if corner is None else _trace(image, corner, qualities, noise)


def _trace(image: Image, corner: tuple[int, int], qualities: NDArray[np.int64], noise: float) -> Trace | None:
    """The quality, upright or turned, that agrees best on the grid at `corner`; None where that is too little."""
    coefficients = _coefficients(image[corner[0] :, corner[1] :])
    low = coefficients[:, LOW]
    agreements = {
        (int(q), is_turned): _agreement(low, _steps(is_turned)[q])
        for q in qualities
        for is_turned in (False, True)
    }
    best = max(agreements, key=lambda key: agreements[key])
    if agreements[best] < _least_agreement(low, _steps(best[1])[best[0]], noise):
        return None
    table = standard_luma_table(best[0])
    higher_steps = (table.T if best[1] else table).flat[HIGHER].astype(np.float32)
    # Low coefficients of sharp patterns may agree by chance; higher ones, which photos hardly have, then contradict.
    return Trace(table, corner, best[1]) if _agreement(coefficients[:, HIGHER], higher_steps) >= 0 else None


def _shifted_corner(
    image: Image, own_corner: tuple[int, int], qualities: NDArray[np.int64]
) -> tuple[int, int] | None:
    """The block corner, other than `own_corner`, whose lowest coefficients agree best with any of the `qualities`."""
    coefficients = _shifted_coefficients(image)
    best = np.zeros(len(coefficients), np.float32)
    for quality in qualities[np.isin(qualities, SCANNED_QUALITIES)]:
        ratio = coefficients / standard_luma_table(int(quality))[SHIFTED].astype(np.float32)
        counted = np.abs(ratio) > 0.5
        number = counted.sum(axis=(1, 2))
        agreement = np.where(counted, np.cos(2 * np.pi * ratio), 0).sum(axis=(1, 2)) / np.maximum(number, 1)
        best = np.maximum(best, np.where(number < LEAST_SHIFTED, 0, agreement))
    best[own_corner[0] * BLOCK_PX + own_corner[1]] = 0
    place = int(best.argmax())
    return divmod(place, BLOCK_PX) if best[place] >= LEAST_AGREEMENT_SHIFTED else None


def _shifted_coefficients(image: Image) -> NDArray[np.float32]:
    """The coefficients `SHIFTED` of blocks at each corner: (64 corners, blocks, 3)."""
    luma = _blocks(image, 2 * BLOCK_PX - 1, SHIFTED_BLOCKS)
    # One product per axis gives the mean and the first cosine of each of the eight places in a window.
    places = np.zeros((BLOCK_PX, 2, 2 * BLOCK_PX - 1), np.float32)
    for place in range(BLOCK_PX):
        places[place, :, place : place + BLOCK_PX] = cosines()[:2]
    sums = np.einsum("ykr,nrc,xlc->yxnkl", places, luma, places, optimize=True)
    return np.ascontiguousarray(
        sums[..., SHIFTED[0], SHIFTED[1]].reshape(BLOCK_PX * BLOCK_PX, len(luma), len(SHIFTED[0]))
    )


def _agreement(coefficients: NDArray[np.float32], steps: NDArray[np.float32]) -> float:
    """Mean cosine of the coefficients' phase within their step, over those that are not quantised to nothing."""
    ratio = coefficients / steps
    ratio = ratio[np.abs(ratio) > 0.5]
    if ratio.size < LEAST_COEFFICIENTS:
        return 0.0
    return float(np.cos(2 * np.pi * ratio).mean())


def _least_agreement(coefficients: NDArray[np.float32], steps: NDArray[np.float32], noise: float) -> float:
    """What `_agreement` must reach for a JPEG of these steps under so much noise [levels^2] to be believed."""
    levels = np.rint(coefficients / steps)
    counts = np.count_nonzero(levels, axis=0)
    if sum(np.count_nonzero(np.unique(column)) for column in levels.T) < LEAST_DIFFERENT:
        return np.inf
    expected = np.average(np.exp(-2 * np.pi**2 * noise / steps**2), weights=counts)
    return max(
        LEAST_AGREEMENT, LEAST_SIGMAS / float(np.sqrt(2 * counts.sum())), LEAST_SHARE * float(expected)
    )


def _coefficients(image: Image) -> NDArray[np.float32]:
    """The coefficients (blocks, 64), row by row, of blocks spread evenly over the picture."""
    luma = _blocks(image, BLOCK_PX, MOST_BLOCKS)
    dct = cosines()
    return np.asarray((dct @ luma @ dct.T).reshape(len(luma), 64), np.float32)


def _blocks(image: Image, size: int, most: int) -> NDArray[np.float32]:
    """Luma (n, size, size) of at most `most` squares that begin on the grid, spread evenly over the picture.

    Squares with a level of 0 or 255 are left out: what the decoder clipped there is not what the file says.
    """
    rows, columns = ((length - size) // BLOCK_PX + 1 for length in image.shape[:2])
    if rows <= 0 or columns <= 0:
        return np.zeros((0, size, size), np.float32)
    places = _spread(rows * columns, SPARE_BLOCKS * most)
    tops, lefts = (places // columns) * BLOCK_PX, (places % columns) * BLOCK_PX
    span = np.arange(size)
    squares = image[tops[:, None, None] + span[:, None], lefts[:, None, None] + span]
    # 0 - 1 is 255 in bytes.
    squares = squares[(squares - np.uint8(1)).reshape(len(squares), -1).max(axis=1) < 254]
    squares = squares[_spread(len(squares), most)].astype(np.float32)
    if image.ndim == 3:
        squares = squares @ np.array(LUMA, np.float32)
    return np.asarray(squares, np.float32)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of the places 0 .. count - 1, spread evenly."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


@cache
def _steps(is_turned: bool) -> dict[int, NDArray[np.float32]]:
    tables = {int(q): standard_luma_table(int(q)) for q in QUALITIES}
    return {q: (table.T if is_turned else table).flat[LOW].astype(np.float32) for q, table in tables.items()}
