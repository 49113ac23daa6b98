"""Error diffusion in linear light on square and hexagonal lattices, aware of the card between the sweets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import lab_from_linear
from sketch_cell.mosaic.layout import Layout

# Where the error goes, in the direction of travel: (rows down, pitches ahead, share).
# Floyd and Steinberg (1976) on squares; on a hexagonal lattice the three neighbours yet to come, as evenly as
# stays stable (after Stevenson and Arce, 1985, cut to the nearest ring).
SQUARE = ((0, 1.0, 7 / 16), (1, -1.0, 3 / 16), (1, 0.0, 5 / 16), (1, 1.0, 1 / 16))
HEXAGONAL = ((0, 1.0, 0.4), (1, -0.5, 0.3), (1, 0.5, 0.3))
LIMIT = 0.5  # of white: an error larger than this is not carried on


def diffuse(
    target: NDArray[np.floating[Any]], light: NDArray[np.float64], layout: Layout
) -> NDArray[np.int32]:
    """Index (rows, cols) of the colour of every cell; target (rows, cols, 3) and light (K, 3) in linear light.

    `light` is a cell's, card included, so the error that is passed on is what the eye will miss. Rows are
    walked to and fro. Colours are compared in CIELAB.
    """
    kernel = np.array(HEXAGONAL if layout.shift else SQUARE)
    return np.asarray(
        _diffuse(
            target.astype(np.float64).copy(),
            np.ascontiguousarray(light),
            np.ascontiguousarray(lab_from_linear(light)),
            kernel,
            layout.shift,
        )
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _lab(linear: Any, out: Any) -> None:
    x = 0.43395 * linear[0] + 0.37622 * linear[1] + 0.18984 * linear[2]
    y = 0.21267 * linear[0] + 0.71515 * linear[1] + 0.07218 * linear[2]
    z = 0.01776 * linear[0] + 0.10947 * linear[1] + 0.87277 * linear[2]
    fx, fy, fz = max(x, 0.0) ** (1 / 3), max(y, 0.0) ** (1 / 3), max(z, 0.0) ** (1 / 3)
    out[0], out[1], out[2] = 116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _diffuse(want: Any, light: Any, palette: Any, kernel: Any, shift: float) -> Any:
    rows, cols = want.shape[0], want.shape[1]
    result = np.empty((rows, cols), np.int32)
    lab = np.empty(3)
    for r in range(rows):
        ahead = 1 if r % 2 == 0 else -1
        for step in range(cols):
            c = step if ahead > 0 else cols - 1 - step
            _lab(want[r, c], lab)
            best, least = 0, 1e30
            for k in range(light.shape[0]):
                distance = (
                    (lab[0] - palette[k, 0]) ** 2
                    + (lab[1] - palette[k, 1]) ** 2
                    + (lab[2] - palette[k, 2]) ** 2
                )
                if distance < least:
                    best, least = k, distance
            result[r, c] = best
            for q in range(kernel.shape[0]):
                i = r + int(kernel[q, 0])
                # Odd rows lie `shift` to the right: the same place has another column there.
                x = c + ahead * kernel[q, 1] + shift * (r % 2 - i % 2)
                j = int(np.floor(x + 0.5))
                if i < rows and 0 <= j < cols:
                    for x3 in range(3):
                        error = min(LIMIT, max(-LIMIT, want[r, c, x3] - light[best, x3]))
                        want[i, j, x3] += kernel[q, 2] * error
    return result
