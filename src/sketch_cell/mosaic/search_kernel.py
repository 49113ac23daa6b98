"""The inner loops of the search, compiled by numba: the exact change of the seen image when a sweet changes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = np.float32
U = np.uintp
LANES = 8  # of one vector
PLANES = 13
WC, WL = 12, 13  # rows of the gathered block with the weights of chroma and lightness
NOISE_SIZE = 2**16

# Division by zero cannot happen below, and without numpy's error model numba could not use vectors.
compiled: Any = njit(cache=True, fastmath=True, error_model="numpy")
inlined: Any = njit(cache=True, fastmath=True, error_model="numpy", inline="always")


class Optics(NamedTuple):
    """What is seen at every cell, and how a sweet changes it.

    `fields`, flat, holds PLANES planes of the padded board: row by row, in each row plane by plane, so that cells
    side by side are neighbours in memory. The planes are
      0-2  X Y Z seen there (relative to white), blurred as the eye blurs chroma;   3  Y, blurred as it blurs lightness
      4-6  the target: L* + 16, a*, b*;   7-11  weights of the difference: L; a, b -> chroma; a, b -> hue
      12   one over the share of the blur that falls on the board, 0 in the padding.
    `frame`: where cell (0, 0) is, from plane to plane, from row to row. `light` (K, 3): X Y Z of each colour.
    A change is one of S kinds: 0 replaces a sweet, the others swap it with a neighbour, which is `partner` (S, 2, 2)
    rows and columns away from a sweet in an even or odd row. It is seen in D runs of cells: `jumps` (S, 2, D) where
    each begins, `counts` (S, 2, D) its cells (at most LANES), `lightness` and `chroma` (S, 2, D, LANES) the weights
    of the blur, 0 beyond the run; of a swap those of the sweet less those of its partner.
    """

    fields: NDArray[np.float32]
    frame: tuple[int, int, int]
    partner: NDArray[np.int64]
    jumps: NDArray[np.int64]
    counts: NDArray[np.int64]
    lightness: NDArray[np.float32]
    chroma: NDArray[np.float32]
    light: NDArray[np.float32]


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
def _cost(block: Any, n: Any, light: Any, new: Any, old: Any) -> Any:
    """Summed colour difference over n gathered cells once a sweet of colour `old` is one of colour `new`."""
    dx, dy, dz = light[new, 0] - light[old, 0], light[new, 1] - light[old, 1], light[new, 2] - light[old, 2]
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


@inlined  # type: ignore[untyped-decorator]
def _block(optics: Any) -> Any:
    """Room for what `_gather` copies."""
    return np.full((14, (optics.jumps.shape[2] + 1) * LANES), F(0.5), np.float32)


@inlined  # type: ignore[untyped-decorator]
def _copy(block: Any, x: Any, n: Any, fields: Any, at: Any) -> None:
    """Copy LANES values to block[x, n:]: all are read before any is written, so that one vector does it."""
    v0, v1, v2, v3 = fields[at], fields[at + U(1)], fields[at + U(2)], fields[at + U(3)]
    v4, v5, v6, v7 = fields[at + U(4)], fields[at + U(5)], fields[at + U(6)], fields[at + U(7)]
    block[x, n], block[x, n + U(1)], block[x, n + U(2)], block[x, n + U(3)] = v0, v1, v2, v3
    block[x, n + U(4)], block[x, n + U(5)], block[x, n + U(6)], block[x, n + U(7)] = v4, v5, v6, v7


@compiled  # type: ignore[untyped-decorator]
def _gather(block: Any, kind: Any, r: Any, c: Any, optics: Any) -> Any:
    """Copy the cells that see a change of sweet (r, c) into `block` (14, M); returns how many, in whole vectors."""
    fields, jumps, lightness, chroma = optics.fields, optics.jumps, optics.lightness, optics.chroma
    first, plane, row = optics.frame
    parity, here, n = r % 2, first + r * row + c, 0
    for d in range(jumps.shape[2]):
        at, to, step = U(here + jumps[kind, parity, d]), U(n), U(plane)
        # Whole vectors: what lies beyond a run is overwritten by the next, or weighs nothing.
        for x in range(12):
            _copy(block, U(x), to, fields, at + U(x) * step)
        for u in range(LANES):
            share = fields[at + U(12) * step + U(u)]
            block[U(WC), to + U(u)] = chroma[kind, parity, d, u] * share
            block[U(WL), to + U(u)] = lightness[kind, parity, d, u] * share
        n += optics.counts[kind, parity, d]
    for u in range(LANES):
        block[U(WC), U(n + u)] = block[U(WL), U(n + u)] = F(0.0)
    return (n + LANES - 1) // LANES * LANES


@compiled  # type: ignore[untyped-decorator]
def _lay(kind: Any, r: Any, c: Any, new: Any, old: Any, optics: Any) -> None:
    """Change the sweet at (r, c) from colour `old` to `new`, and of a swap its partner back, wherever it is seen."""
    fields, light = optics.fields, optics.light
    first, plane, row = optics.frame
    parity, here, step = r % 2, first + r * row + c, U(plane)
    dx, dy, dz = light[new, 0] - light[old, 0], light[new, 1] - light[old, 1], light[new, 2] - light[old, 2]
    for d in range(optics.jumps.shape[2]):
        for u in range(LANES):
            at = U(here + optics.jumps[kind, parity, d] + u)
            share = fields[at + U(12) * step]
            chroma = optics.chroma[kind, parity, d, u] * share
            fields[at] += chroma * dx
            fields[at + step] += chroma * dy
            fields[at + U(2) * step] += chroma * dz
            fields[at + U(3) * step] += optics.lightness[kind, parity, d, u] * share * dy


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
    optics: Any,
    price: Any,
    noise: Any,
    start: Any,
    temperature: Any,
    margin: Any,
    worth: Any,
    every: Any,
) -> int:
    """Give every sweet the colour of least cost + price - temperature * noise; returns how many changed.

    colour (rows, cols) int32 and the optics' fields are changed in place; price (K,); noise (NOISE_SIZE,) Gumbel
    numbers, read from `start` on, which makes the choice a heat bath. `worth` (rows, cols, K) remembers which
    colours cost less than the best plus `margin` when all were tried (`every`); other passes try only those.
    """
    rows, cols = colour.shape
    count = optics.light.shape[0]
    block = _block(optics)
    cost = np.empty(count, np.float32)
    changed = 0
    # Four interleaved passes: neighbours change apart, memory is still walked in order.
    for part in range(4):
        for r in range(part // 2, rows, 2):
            for c in range((part + r // 2) % 2, cols, 2):
                old = colour[r, c]
                if not every and not _open(worth, r, c, old):
                    continue
                n = _gather(block, 0, r, c, optics)
                best, least, lowest = old, F(1e30), F(1e30)
                for k in range(count):
                    if not every and not worth[r, c, k]:
                        continue
                    cost[k] = _cost(block, n, optics.light, k, old) + price[k]
                    lowest = min(lowest, cost[k])
                    start += 1
                    noisy = cost[k] - temperature * noise[start & (NOISE_SIZE - 1)]
                    if noisy < least:
                        best, least = k, noisy
                if every:
                    for k in range(count):
                        worth[r, c, k] = cost[k] < lowest + margin
                if best != old:
                    changed += 1
                    colour[r, c] = best
                    _lay(0, r, c, best, old, optics)
    return changed


@compiled  # type: ignore[untyped-decorator]
def swap(colour: Any, optics: Any, noise: Any, start: Any, temperature: Any) -> int:
    """Let neighbours of different colour change places, by a heat bath; returns how many pairs did."""
    rows, cols = colour.shape
    block = _block(optics)
    changed = 0
    for part in range(4):
        for r in range(part // 2, rows, 2):
            for c in range((part + r // 2) % 2, cols, 2):
                for kind in range(1, optics.jumps.shape[0]):
                    i, j = r + optics.partner[kind, r % 2, 0], c + optics.partner[kind, r % 2, 1]
                    if i < 0 or j < 0 or i >= rows or j >= cols or colour[i, j] == colour[r, c]:
                        continue
                    old, new = colour[r, c], colour[i, j]
                    n = _gather(block, kind, r, c, optics)
                    gain = _cost(block, n, optics.light, old, old) - _cost(block, n, optics.light, new, old)
                    start += 2
                    luck = noise[start & (NOISE_SIZE - 1)] - noise[(start - 1) & (NOISE_SIZE - 1)]
                    if gain + temperature * luck > 0:
                        changed += 1
                        colour[r, c], colour[i, j] = new, old
                        _lay(kind, r, c, new, old, optics)
    return changed


@compiled  # type: ignore[untyped-decorator]
def change_costs(colour: Any, optics: Any) -> Any:
    """Cost (rows * cols, K), float32, of laying each colour in each cell, the rest of the board as it is."""
    rows, cols = colour.shape
    count = optics.light.shape[0]
    result = np.empty((rows * cols, count), np.float32)
    block = _block(optics)
    for r in range(rows):
        for c in range(cols):
            n = _gather(block, 0, r, c, optics)
            for k in range(count):
                result[r * cols + c, k] = _cost(block, n, optics.light, k, colour[r, c])
    return result


@compiled  # type: ignore[untyped-decorator]
def relay(cells: Any, new: Any, colour: Any, optics: Any) -> None:
    """Give cells (n,) new colours (n,), in place."""
    cols = colour.shape[1]
    for n in range(cells.size):
        r, c = cells[n] // cols, cells[n] % cols
        _lay(0, r, c, new[n], colour[r, c], optics)
        colour[r, c] = new[n]


@compiled  # type: ignore[untyped-decorator]
def trade(
    colour: Any,
    optics: Any,
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
    light = optics.light
    count = light.shape[0]
    block = _block(optics)
    waiting = np.full((count, count), -1, np.int64)
    changed = 0
    for part in range(4):
        for r in range(part // 2, rows, 2):
            for c in range((part + r // 2) % 2, cols, 2):
                old = colour[r, c]
                n = _gather(block, 0, r, c, optics)
                stay = _cost(block, n, light, old, old)
                best, least, gain, stay_luck = old, F(1e30), F(0.0), F(0.0)
                for k in range(count):
                    cost = stay if k == old else _cost(block, n, light, k, old)
                    start += 1
                    luck = temperature * noise[start & (NOISE_SIZE - 1)]
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
                    _lay(0, r, c, best, old, optics)
                    changed += 1
                    continue
                other = waiting[best, old]
                i, j = other // cols, other % cols
                if other < 0 or colour[i, j] != best:
                    waiting[old, best] = r * cols + c
                    continue
                _lay(0, r, c, best, old, optics)
                n = _gather(block, 0, i, j, optics)
                start += 2
                back = _cost(block, n, light, best, best) - _cost(block, n, light, old, best)
                luck = temperature * (noise[start & (NOISE_SIZE - 1)] - noise[(start - 1) & (NOISE_SIZE - 1)])
                if gain + back + luck > 0:
                    colour[r, c], colour[i, j] = best, old
                    _lay(0, i, j, old, best, optics)
                    waiting[best, old] = -1
                    changed += 2
                else:
                    _lay(0, r, c, old, best, optics)
                    waiting[old, best] = r * cols + c
    return changed
