"""Networks whose weights are shared by the eight flips and turns of the JPEG grid: group convolutions.

Every layer sees its input in all eight looks at once, and whatever it learnt for one it can do in each
(Cohen and Welling, "Group equivariant convolutional networks", ICML 2016; here the group p4m). The free numbers
are few, the planes eight times as many: `shared` writes them out as five plain convolutions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LOOKS = 8


def look_of(planes: Array, look: int) -> Array:
    """Look number 0..7 of `planes` (..., h, w): flipped left for right from 4 on, then turned `look % 4` times."""
    flipped = planes[..., ::-1] if look >= 4 else planes
    return np.rot90(flipped, look % 4, axes=(-2, -1))


def _number_of(planes: Array) -> int:
    """Which look of a probe this is."""
    return next(look for look in range(LOOKS) if np.array_equal(look_of(_PROBE, look), planes))


_PROBE = np.arange(9).reshape(3, 3)
# For each look, the other looks as seen from it: _SEEN[a][b] is what must follow a to make b.
_BACK = [
    next(back for back in range(LOOKS) if np.array_equal(look_of(look_of(_PROBE, look), back), _PROBE))
    for look in range(LOOKS)
]
_SEEN = [[_number_of(look_of(look_of(_PROBE, b), _BACK[a])) for b in range(LOOKS)] for a in range(LOOKS)]


def shared(
    kernels: list[Array], biases: list[Array], dilations: tuple[int, ...]
) -> tuple[list[Array], list[Array]]:
    """Kernels and biases of the plain convolutions that the shared numbers stand for.

    `kernels`: (W, P, k, k), then (W, 8, W', k, k) for each layer between, and (P, W, k, k), where P = 3 u^2 planes
    hold the u x u pixels of each cell. `biases`: (W, p, p) for all layers but the last, a table over the p x p
    cells from a block's corner where p > 1; the last layer has none.
    """
    first, *between, last = kernels
    wide = [_of_picture(first), *(_of_looks(kernel) for kernel in between), _to_picture(last)]
    cut = 0  # cells that the valid convolutions so far have taken from each side
    tables = []
    for kernel, bias, dilation in zip(wide, biases, dilations, strict=False):
        cut += dilation * (kernel.shape[-1] - 1) // 2
        looks = np.concatenate([look_of(bias, look) for look in range(LOOKS)])
        tables.append(np.roll(looks, (-cut, -cut), axis=(-2, -1)))
    return wide, tables


def symmetrised(matrix: Array, planes: int) -> Array:
    """The mean over all looks of a map (n, n) of windows of cells, n = planes k k, onto themselves."""
    size = round((len(matrix) / planes) ** 0.5)
    windows = pixels_of_cells(np.eye(len(matrix)).reshape(-1, planes, size, size))
    moves = [_cells(look_of(windows, look), planes).reshape(matrix.shape) for look in range(LOOKS)]
    return np.asarray(np.mean([move.T @ matrix @ move for move in moves], axis=0))


def _of_picture(kernel: Array) -> Array:
    """(W, P, k, k) -> (8 W, P, k, k): the kernel turned, pixels within the cells included."""
    pixels = pixels_of_cells(kernel)
    return np.concatenate([_cells(look_of(pixels, look), kernel.shape[1]) for look in range(LOOKS)])


def _of_looks(kernel: Array) -> Array:
    """(W, 8, W', k, k) -> (8 W, 8 W', k, k): the kernel turned, and its looks changed about as seen from each."""
    rows = []
    for look in range(LOOKS):
        turned = look_of(kernel[:, _SEEN[look]], look)
        rows.append(turned.reshape(len(kernel), -1, *kernel.shape[-2:]))
    return np.concatenate(rows)


def _to_picture(kernel: Array) -> Array:
    """(P, W, k, k) -> (P, 8 W, k, k): what each look says, turned back into the picture."""
    step = round((len(kernel) // 3) ** 0.5)
    parts = kernel.reshape(3, step, step, *kernel.shape[1:])
    columns = []
    for look in range(LOOKS):
        taps = look_of(parts, look)
        turned = np.moveaxis(look_of(np.moveaxis(taps, (1, 2), (-2, -1)), look), (-2, -1), (1, 2))
        columns.append(turned.reshape(kernel.shape))
    return np.concatenate(columns, axis=1)


def pixels_of_cells(kernel: Array) -> Array:
    """(W, 3 u^2, k, k) -> (W, 3, k u, k u): the cells of a kernel laid out as pixels."""
    out, planes, rows, columns = kernel.shape
    step = round((planes // 3) ** 0.5)
    split = kernel.reshape(out, 3, step, step, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    return split.reshape(out, 3, rows * step, columns * step)


def _cells(pixels: Array, planes: int) -> Array:
    """`pixels_of_cells` back."""
    out, _, height, width = pixels.shape
    step = round((planes // 3) ** 0.5)
    split = pixels.reshape(out, 3, height // step, step, width // step, step).transpose(0, 1, 3, 5, 2, 4)
    return split.reshape(out, planes, height // step, width // step)
