"""The inner loops of the search, compiled by numba: the exact change of the seen image when a sweet changes.

One cell of `fields` (rows, cols, 13), float32, holds
  0-2  X Y Z seen there (relative to white), blurred as the eye blurs chroma;   3  Y, blurred as it blurs lightness
  4-6  the target: L* + 16, a*, b*;   7-11  weights of the difference: L; a, b -> chroma; a, b -> hue
  12   one over the share of the blur that falls on the board.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = np.float32
LANES = 8
WC, WL = 12, 13  # rows of the gathered block with the weights of chroma and lightness

# Division by zero cannot happen below, and without numpy's error model numba could not use vectors.
compiled: Any = njit(cache=True, fastmath=True, error_model="numpy")
inlined: Any = njit(cache=True, fastmath=True, error_model="numpy", inline="always")

FloatsF = NDArray[np.float32]


@inlined  # type: ignore[untyped-decorator]
def _root(t: Any) -> Any:
    """CIELAB's f(t): cube root by the exponent's bits and one step of Halley, error < 4e-5; straight near black."""
    t = max(t, F(1e-6))
    bits = np.float32(t).view(np.int32)
    guess = np.int32(np.int32(F(bits) * F(1 / 3)) + np.int32(709921077)).view(np.float32)
    cube = guess * guess * guess
    guess = guess * (cube + F(2) * t) / (F(2) * cube + t)
    return guess if t > F(216 / 24389) else F(841 / 108) * t + F(4 / 29)


@inlined  # type: ignore[untyped-decorator]
def _cost(block: Any, n: Any, dx: Any, dy: Any, dz: Any) -> Any:
    """Summed colour difference over n gathered cells once light (dx, dy, dz) is added through their weights."""
    total = F(0.0)
    for q in range(n):
        wc, wl = block[WC, q], block[WL, q]
        fx, fy, fz = _root(block[0, q] + wc * dx), _root(block[1, q] + wc * dy), _root(block[2, q] + wc * dz)
        lightness = block[7, q] * (F(116.0) * _root(block[3, q] + wl * dy) - block[4, q])
        da = F(500.0) * (fx - fy) - block[5, q]
        db = F(200.0) * (fy - fz) - block[6, q]
        chroma = block[8, q] * da + block[9, q] * db
        hue = block[10, q] * da + block[11, q] * db
        total += np.sqrt(lightness * lightness + chroma * chroma + hue * hue + F(0.01))
    return total


@compiled  # type: ignore[untyped-decorator]
def _gather(block: Any, r: Any, c: Any, fields: Any, offsets: Any, wl: Any, wc: Any) -> Any:
    """Copy the cells that see sweet (r, c) into `block` (14, M); returns how many, in whole vectors."""
    rows, cols = fields.shape[0], fields.shape[1]
    parity = r % 2
    n = 0
    for q in range(offsets.shape[1]):
        i, j = r + offsets[parity, q, 0], c + offsets[parity, q, 1]
        if i < 0 or j < 0 or i >= rows or j >= cols:
            continue
        for x in range(12):
            block[x, n] = fields[i, j, x]
        block[WC, n] = wc[parity, q] * fields[i, j, 12]
        block[WL, n] = wl[parity, q] * fields[i, j, 12]
        n += 1
    # Whole vectors run much faster than a remainder; a cell of weight zero costs the same whatever is laid.
    while n % LANES:
        block[:, n] = F(0.5)
        block[WC, n] = block[WL, n] = F(0.0)
        n += 1
    return n


@compiled  # type: ignore[untyped-decorator]
def _lay(r: Any, c: Any, step: Any, fields: Any, offsets: Any, wl: Any, wc: Any) -> None:
    """Add the light `step` (3,) of sweet (r, c) to what is seen around it."""
    rows, cols = fields.shape[0], fields.shape[1]
    parity = r % 2
    for q in range(offsets.shape[1]):
        i, j = r + offsets[parity, q, 0], c + offsets[parity, q, 1]
        if i < 0 or j < 0 or i >= rows or j >= cols:
            continue
        chroma = wc[parity, q] * fields[i, j, 12]
        for x in range(3):
            fields[i, j, x] += chroma * step[x]
        fields[i, j, 3] += wl[parity, q] * fields[i, j, 12] * step[1]


@inlined  # type: ignore[untyped-decorator]
def _open(worth: Any, r: Any, c: Any, old: Any) -> Any:
    """Whether any colour but the old one is worth trying in a cell."""
    for k in range(worth.shape[2]):  # noqa: SIM110 - numba knows no generators
        if k != old and worth[r, c, k]:
            return True
    return False


@compiled  # type: ignore[untyped-decorator]
def sweep(
    colour: Any,
    fields: Any,
    offsets: Any,
    wl: Any,
    wc: Any,
    light: Any,
    price: Any,
    noise: Any,
    start: Any,
    temperature: Any,
    margin: Any,
    worth: Any,
    every: Any,
) -> int:
    """Give every sweet the colour of least cost + price - temperature * noise; returns how many changed.

    colour (rows, cols) int32 and fields are changed in place; offsets (2, M, 2) with weights wl, wc (2, M);
    light (K, 3) X Y Z of a cell of each colour; price (K,); noise (n,) Gumbel numbers, read from `start` on, which
    makes the choice a heat bath. `worth` (rows, cols, K) remembers which colours cost less than the best
    plus `margin` when all were tried (`every`); other passes try only those.
    """
    rows, cols = colour.shape
    count = light.shape[0]
    block = np.empty((14, offsets.shape[1] + LANES), np.float32)
    cost = np.empty(count, np.float32)
    changed = 0
    # Four interleaved passes: neighbours change apart, memory is still walked in order.
    for part in range(4):
        for r in range(part // 2, rows, 2):
            for c in range((part + r // 2) % 2, cols, 2):
                old = colour[r, c]
                if not every and not _open(worth, r, c, old):
                    continue
                n = _gather(block, r, c, fields, offsets, wl, wc)
                best, least, lowest = old, F(1e30), F(1e30)
                for k in range(count):
                    if not every and not worth[r, c, k]:
                        continue
                    dx, dy, dz = (
                        light[k, 0] - light[old, 0],
                        light[k, 1] - light[old, 1],
                        light[k, 2] - light[old, 2],
                    )
                    cost[k] = _cost(block, n, dx, dy, dz) + price[k]
                    lowest = min(lowest, cost[k])
                    start += 1
                    noisy = cost[k] - temperature * noise[start % noise.size]
                    if noisy < least:
                        best, least = k, noisy
                if every:
                    for k in range(count):
                        worth[r, c, k] = cost[k] < lowest + margin
                if best != old:
                    changed += 1
                    colour[r, c] = best
                    _lay(r, c, light[best] - light[old], fields, offsets, wl, wc)
    return changed


@compiled  # type: ignore[untyped-decorator]
def change_costs(colour: Any, fields: Any, offsets: Any, wl: Any, wc: Any, light: Any) -> Any:
    """Cost (rows * cols, K), float32, of laying each colour in each cell, the rest of the board as it is."""
    rows, cols = colour.shape
    result = np.empty((rows * cols, light.shape[0]), np.float32)
    block = np.empty((14, offsets.shape[1] + LANES), np.float32)
    for r in range(rows):
        for c in range(cols):
            n = _gather(block, r, c, fields, offsets, wl, wc)
            step = light - light[colour[r, c]]
            for k in range(light.shape[0]):
                result[r * cols + c, k] = _cost(block, n, step[k, 0], step[k, 1], step[k, 2])
    return result


@compiled  # type: ignore[untyped-decorator]
def relay(cells: Any, new: Any, colour: Any, fields: Any, offsets: Any, wl: Any, wc: Any, light: Any) -> None:
    """Give cells (n,) new colours (n,), in place."""
    cols = colour.shape[1]
    for n in range(cells.size):
        r, c = cells[n] // cols, cells[n] % cols
        _lay(r, c, light[new[n]] - light[colour[r, c]], fields, offsets, wl, wc)
        colour[r, c] = new[n]


@compiled  # type: ignore[untyped-decorator]
def trade(
    colour: Any,
    fields: Any,
    offsets: Any,
    wl: Any,
    wc: Any,
    light: Any,
    price: Any,
    noise: Any,
    start: Any,
    temperature: Any,
    spare: Any,
    wish: Any,
) -> int:
    """One pass in which sweets change colour only by taking a spare sweet or by swapping with another cell.

    Every cell wishes for the colour of least cost + price - temperature * noise. Where `spare` (K,) has one,
    it takes it and gives its own back. Else the wish waits, the latest for each pair of colours, for a cell
    that wishes the opposite; both change if that lowers the true cost, noise included. `wish` (K, K) counts
    wishes from colour to colour, from which prices are made. Returns how many sweets changed.
    """
    rows, cols = colour.shape
    count = light.shape[0]
    block = np.empty((14, offsets.shape[1] + LANES), np.float32)
    waiting = np.full((count, count), -1, np.int64)
    changed = 0
    for part in range(4):
        for r in range(part // 2, rows, 2):
            for c in range((part + r // 2) % 2, cols, 2):
                old = colour[r, c]
                n = _gather(block, r, c, fields, offsets, wl, wc)
                zero = F(0.0)
                stay = _cost(block, n, zero, zero, zero)
                best, least, gain = old, F(1e30), F(0.0)
                for k in range(count):
                    cost = (
                        stay
                        if k == old
                        else _cost(
                            block,
                            n,
                            light[k, 0] - light[old, 0],
                            light[k, 1] - light[old, 1],
                            light[k, 2] - light[old, 2],
                        )
                    )
                    start += 1
                    luck = temperature * noise[start % noise.size]
                    if cost + price[k] - luck < least:
                        best, least, gain = k, cost + price[k] - luck, stay - cost + luck
                    if k == old:
                        stay_luck = luck
                if best == old:
                    continue
                gain -= stay_luck
                wish[old, best] += 1
                if spare[best] > 0:
                    spare[best] -= 1
                    spare[old] += 1
                    colour[r, c] = best
                    _lay(r, c, light[best] - light[old], fields, offsets, wl, wc)
                    changed += 1
                    continue
                other = waiting[best, old]
                i, j = other // cols, other % cols
                if other < 0 or colour[i, j] != best:
                    waiting[old, best] = r * cols + c
                    continue
                _lay(r, c, light[best] - light[old], fields, offsets, wl, wc)
                n = _gather(block, i, j, fields, offsets, wl, wc)
                start += 1
                back = _cost(block, n, zero, zero, zero) - _cost(
                    block,
                    n,
                    light[old, 0] - light[best, 0],
                    light[old, 1] - light[best, 1],
                    light[old, 2] - light[best, 2],
                )
                luck = temperature * (noise[start % noise.size] - noise[(start + 1) % noise.size])
                if gain + back + luck > 0:
                    colour[r, c], colour[i, j] = best, old
                    _lay(i, j, light[old] - light[best], fields, offsets, wl, wc)
                    waiting[best, old] = -1
                    changed += 2
                else:
                    _lay(r, c, light[old] - light[best], fields, offsets, wl, wc)
                    waiting[old, best] = r * cols + c
    return changed
