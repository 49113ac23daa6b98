"""The new end of the line, fitted to what darkened between a background and an image.

The model is a round brush of known width drawn along the predicted path; the fit bends the path until the
ink it adds explains the darkening, by damped least squares (Levenberg 1944, Marquardt 1963) with clipped
residuals (Huber 1964). Ink that was there before is part of the model, so a stroke that partly covers older
lines is judged only by the pixels it could still darken, and is not drawn towards the clean side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Grey = NDArray[np.float32]

_SHAPE_ERROR = 0.06  # of full darkness: what the brush model itself may be wrong by
_CLIP_SIGMA = 4.0
_ITERATIONS = 12
_LONGEST_STEP_PX = 1.5  # beyond the brush's edge the linear model says nothing


class Brush(NamedTuple):
    """The line as the camera sees it: radius and blur [px], light it takes away (0..1) and how sure that is."""

    radius_px: float
    blur_px: float
    darkness: float
    darkness_sigma: float


class Bend(NamedTuple):
    """A path and the ways it may bend: node i is at path_px[i] + sum over k of bends_k * ways_px[i, k].

    path_px (N, 2) [px, (x, y) in the window], ways_px (N, K, 2), information (K, K) of the bends before the
    image is seen (their mean is 0), start (K,) where the search begins.
    """

    path_px: Floats
    ways_px: Floats
    information: Floats
    start: Floats


class StrokeFit(NamedTuple):
    """The path that explains the image best, and how good an explanation that is.

    `bends` (K,) and their `covariance` (K, K), the image and what was known before together; `cost` is the
    minimised sum; `gain_chi2` is how much better the new ink explains the image than no new ink; `misfit` the
    mean square of the normalised residuals where ink was drawn or expected; `odd_dark` and `odd_bright` count
    pixels that neither noise nor the stroke explains; `new_ink_px` is the area of new ink and
    `expected_ink_px` that at the start.
    """

    bends: Floats
    covariance: Floats
    darkness: float
    cost: float
    gain_chi2: float
    misfit: float
    odd_dark: int
    odd_bright: int
    new_ink_px: float
    expected_ink_px: float


def fit_stroke(
    darkening: Grey, variance: Grey, old_ink: Grey, light: float, bend: Bend, tail_px: Floats, brush: Brush
) -> StrokeFit:
    """Fit the bends of a path to a window (H, W) of darkening [grey levels].

    tail_px (M, 2) is the line drawn just before; old_ink (H, W) 0..1 is how dark the background was, light
    the brightness of clean glass.
    """
    count = len(bend.start)
    bends, covariance, numbers = bend.start.astype(np.float64), np.empty((count, count)), np.empty(8)
    _fit(
        darkening,
        variance,
        old_ink,
        float(light),
        np.ascontiguousarray(bend.path_px, dtype=np.float64),
        np.ascontiguousarray(bend.ways_px, dtype=np.float64),
        np.ascontiguousarray(bend.information, dtype=np.float64),
        np.ascontiguousarray(tail_px, dtype=np.float64),
        np.array(brush),
        bends,
        covariance,
        numbers,
    )
    darkness, cost, gain, misfit, odd_dark, odd_bright, ink, expected = numbers.tolist()
    return StrokeFit(
        bends, covariance, darkness, cost, gain, misfit, int(odd_dark), int(odd_bright), ink, expected
    )


@njit(cache=True, fastmath=True)
def _nearest(x, y, points):  # type: ignore[no-untyped-def]
    """Squared distance to a polyline, the vector from it, the segment and the share along that."""
    best, best_x, best_y, segment, share = 1e18, 0.0, 0.0, 0, 0.0
    n = points.shape[0]
    for i in range(max(n - 1, 1)):
        j = min(i + 1, n - 1)
        ax, ay = points[i, 0], points[i, 1]
        bx, by = points[j, 0] - ax, points[j, 1] - ay
        length2 = bx * bx + by * by
        along = 0.0
        if length2 > 1e-12:
            along = min(1.0, max(0.0, ((x - ax) * bx + (y - ay) * by) / length2))
        dx, dy = x - ax - along * bx, y - ay - along * by
        distance2 = dx * dx + dy * dy
        if distance2 < best:
            best, best_x, best_y, segment, share = distance2, dx, dy, i, along
    return best, best_x, best_y, segment, share


@njit(cache=True, fastmath=True)
def _radius_at(radius, blur, dx, dy, distance, points, segment, share):  # type: ignore[no-untyped-def]
    """The brush's radius as blur leaves it: at the round end it recedes, by the curvature of the edge."""
    n = points.shape[0]
    if segment < n - 2 or (share < 1.0 and n > 1) or distance < 1e-9:
        return radius
    back = max(n - 2, 0)
    along_x, along_y = points[n - 1, 0] - points[back, 0], points[n - 1, 1] - points[back, 1]
    length = math.sqrt(along_x * along_x + along_y * along_y)
    facing = 1.0 if length < 1e-6 else max(0.0, (dx * along_x + dy * along_y) / (length * distance))
    return radius - facing * blur * blur / (2.0 * radius)


@njit(cache=True, fastmath=True)
def _cover(distance, radius, blur):  # type: ignore[no-untyped-def]
    """Coverage of a blurred line and its derivative, at a distance from its middle."""
    scale = 1.0 / (blur * math.sqrt(2.0))
    near, far = (radius - distance) * scale, (radius + distance) * scale
    cover = 0.5 * (math.erf(near) + math.erf(far))
    slope = -(math.exp(-near * near) - math.exp(-far * far)) * scale / math.sqrt(math.pi)
    return cover, slope


@njit(cache=True, fastmath=True)
def _cover_at(x, y, points, radius, blur):  # type: ignore[no-untyped-def]
    """How much a line along points (N, 2) covers a pixel."""
    if points.shape[0] == 0:
        return 0.0
    distance2, dx, dy, segment, share = _nearest(x, y, points)
    reach = radius + 3.0 * blur
    if distance2 >= reach * reach:
        return 0.0
    distance = math.sqrt(distance2)
    here = _radius_at(radius, blur, dx, dy, distance, points, segment, share)
    return _cover(distance, here, blur)[0]


@njit(cache=True, fastmath=True)
def _added(covered, slope, dirt, mine):  # type: ignore[no-untyped-def]
    """What a stroke adds to a pixel, how that changes with its distance, and how unsure that is.

    `dirt` is the ink that was there, `mine` the part of it that the same line left just before; the rest is other
    lines' and may lie beside the new stroke or under it.
    """
    foreign = min(1.0, max(0.0, (dirt - mine - 0.15) * 5.0))
    own = max(0.0, covered - mine)
    most = max(0.0, min(own, 1.0 - dirt))
    least = max(0.0, min(covered - dirt, most))
    new = (1.0 - foreign) * own + foreign * 0.5 * (least + most)
    unsure = foreign * 0.5 * (most - least)
    free = 0.5 * ((1.0 if own < 1.0 - dirt else 0.0) + (1.0 if covered > dirt else 0.0))
    return new, slope * (1.0 - foreign + foreign * free if own > 0.0 else 0.0), unsure


@njit(cache=True, fastmath=True)
def _bent(path, ways, bends):  # type: ignore[no-untyped-def]
    points = path.copy()
    for i in range(path.shape[0]):
        for k in range(bends.shape[0]):
            points[i, 0] += bends[k] * ways[i, k, 0]
            points[i, 1] += bends[k] * ways[i, k, 1]
    return points


@njit(cache=True, fastmath=True)
def _judge(totals, seen, variance, residual, covered, new, full):  # type: ignore[no-untyped-def]
    """Add one pixel to the fit's quality; returns the weight of its residual (Huber)."""
    clip2 = _CLIP_SIGMA * _CLIP_SIGMA
    z2, null2 = residual * residual / variance, seen * seen / variance
    totals[0] += z2 if z2 < clip2 else 2.0 * _CLIP_SIGMA * math.sqrt(z2) - clip2
    totals[1] += null2 if null2 < clip2 else 2.0 * _CLIP_SIGMA * math.sqrt(null2) - clip2
    if covered > 0.1:
        totals[2] += z2
        totals[3] += 1.0
    if abs(residual) > 4.5 * math.sqrt(variance) + 0.1 * full:
        totals[4 if residual > 0.0 else 5] += 1.0
    totals[6] += new
    return (1.0 if z2 < clip2 else _CLIP_SIGMA / math.sqrt(z2)) / variance


@njit(cache=True, fastmath=True)
def _evaluate(  # type: ignore[no-untyped-def]
    dark, var, old, light, path, ways, tail, before, radius, blur, a, bends, normal, right, totals
):
    """Sum the normal equations of (bends, darkness) and the fit's quality into normal, right, totals.

    `before` (H, W) keeps how much the tail covers each pixel, -1 where that was not needed yet.
    """
    count = bends.shape[0]
    normal[:] = 0.0
    right[:] = 0.0
    totals[:] = 0.0
    reach = radius + 3.0 * blur
    points = _bent(path, ways, bends)
    low_x, high_x = points[:, 0].min() - reach, points[:, 0].max() + reach
    low_y, high_y = points[:, 1].min() - reach, points[:, 1].max() + reach
    full = a * light
    gradient = np.zeros(count + 1)
    for row in range(dark.shape[0]):
        for column in range(dark.shape[1]):
            x, y = float(column), float(row)
            new, slope, dx, dy, unsure, covered, segment, share = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0
            if low_x < x < high_x and low_y < y < high_y:
                distance2, dx, dy, segment, share = _nearest(x, y, points)
                if distance2 < reach * reach:
                    distance = math.sqrt(distance2)
                    here = _radius_at(radius, blur, dx, dy, distance, points, segment, share)
                    covered, slope = _cover(distance, here, blur)
                    if before[row, column] < 0.0:
                        before[row, column] = _cover_at(x, y, tail, radius, blur)
                    new, slope, unsure = _added(covered, slope, old[row, column], before[row, column])
                    if distance > 1e-9:
                        dx, dy = dx / distance, dy / distance
            extra, edge = full * unsure, full * _SHAPE_ERROR if covered > 0.02 else 0.0
            variance = var[row, column] + extra * extra + edge * edge
            residual = dark[row, column] - full * new
            weight = _judge(totals, dark[row, column], variance, residual, covered, new, full)
            if slope != 0.0 or new > 0.0:
                other = min(segment + 1, points.shape[0] - 1)
                for k in range(count):
                    along_x = ways[segment, k, 0] + share * (ways[other, k, 0] - ways[segment, k, 0])
                    along_y = ways[segment, k, 1] + share * (ways[other, k, 1] - ways[segment, k, 1])
                    # A path that moves towards the pixel comes nearer to it and covers more of it.
                    gradient[k] = -full * slope * (dx * along_x + dy * along_y)
                gradient[count] = light * new
                for k in range(count + 1):
                    right[k] += weight * gradient[k] * residual
                    for j in range(k + 1):
                        normal[k, j] += weight * gradient[k] * gradient[j]
    for k in range(count + 1):
        for j in range(k):
            normal[j, k] = normal[k, j]


@njit(cache=True, fastmath=True)
def _prior_cost(information, bends, off, off_information):  # type: ignore[no-untyped-def]
    cost = off * off * off_information
    for i in range(bends.shape[0]):
        for j in range(bends.shape[0]):
            cost += bends[i] * information[i, j] * bends[j]
    return cost


@njit(cache=True, fastmath=True)
def _fit(  # type: ignore[no-untyped-def]
    dark, var, old, light, path, ways, information, tail, brush, bends, covariance, numbers
):
    count = bends.shape[0]
    radius, blur, a0 = brush[0], brush[1], brush[2]
    a_information = 1.0 / (brush[3] * brush[3])
    before = np.full(dark.shape, -1.0, np.float32)
    normal, right, totals = np.zeros((count + 1, count + 1)), np.zeros(count + 1), np.zeros(8)
    new_normal, new_right, new_totals = normal.copy(), right.copy(), totals.copy()
    a, damping = a0, 1e-2
    _evaluate(dark, var, old, light, path, ways, tail, before, radius, blur, a, bends, normal, right, totals)
    cost = totals[0] + _prior_cost(information, bends, 0.0, a_information)
    expected = totals[6]
    for _ in range(_ITERATIONS):
        system, step = normal.copy(), right.copy()
        for i in range(count):
            for j in range(count):
                system[i, j] += information[i, j]
                step[i] -= information[i, j] * bends[j]
        system[count, count] += a_information
        step[count] -= (a - a0) * a_information
        for i in range(count + 1):
            system[i, i] *= 1.0 + damping
        step = np.linalg.solve(system, step)
        size = math.sqrt((step[:count] ** 2).sum())
        if size > _LONGEST_STEP_PX:
            step *= _LONGEST_STEP_PX / size
        new_bends, new_a = bends + step[:count], min(0.98, max(0.05, a + step[count]))
        _evaluate(
            dark, var, old, light, path, ways, tail, before, radius, blur, new_a, new_bends,
            new_normal, new_right, new_totals,
        )  # fmt: skip
        new_cost = new_totals[0] + _prior_cost(information, new_bends, new_a - a0, a_information)
        if new_cost < cost:
            better = cost - new_cost
            a, cost = new_a, new_cost
            bends[:], normal[:], right[:], totals[:] = new_bends, new_normal, new_right, new_totals
            damping *= 0.2
            if size < 0.01 or better < 1e-3:
                break
        else:
            damping *= 8.0
            if size < 0.01 or damping > 1e4:
                break
    system = normal.copy()
    system[:count, :count] += information
    system[count, count] += a_information
    covariance[:] = np.linalg.inv(system)[:count, :count]
    numbers[0], numbers[1], numbers[2] = a, cost, totals[1] - totals[0]
    numbers[3] = totals[2] / max(totals[3], 1.0)
    numbers[4], numbers[5], numbers[6], numbers[7] = totals[4], totals[5], totals[6], expected
