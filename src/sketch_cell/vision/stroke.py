"""The new end of the line, fitted to what darkened between a background and an image.

The model is a round brush of known width drawn along the predicted path; the fit moves the path's end
(or the whole path) until the ink it adds explains the darkening, by damped least squares (Levenberg 1944,
Marquardt 1963). Ink that was there before is part of the model, so a stroke that partly covers older lines
is judged only by the pixels it still could darken, and is not drawn towards the clean side.
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


class Brush(NamedTuple):
    """The line as the camera sees it: radius and blur [px], light it takes away (0..1) and how sure that is."""

    radius_px: float
    blur_px: float
    darkness: float
    darkness_sigma: float


class StrokeFit(NamedTuple):
    """How far the path's end must move, and how good that explanation is.

    `shift_px` (2,) is added to the end; `information` (2, 2) [1/px^2] is what the image alone says about it;
    `gain_chi2` is how much better the new ink explains the image than no new ink; `misfit` the mean square
    of the normalised residuals where ink was drawn or expected; `odd_dark` and `odd_bright` count pixels that
    neither noise nor the stroke explains; `new_ink_px` is the area of new ink, `expected_ink_px` that at the start.
    """

    shift_px: Floats
    darkness: float
    information: Floats
    cost: float
    gain_chi2: float
    misfit: float
    odd_dark: int
    odd_bright: int
    new_ink_px: float
    expected_ink_px: float


def fit_stroke(
    darkening: Grey,
    variance: Grey,
    old_ink: Grey,
    light: float,
    path_px: Floats,
    share: Floats,
    tail_px: Floats,
    brush: Brush,
    prior_information: Floats,
    start_px: Floats,
) -> StrokeFit:
    """Fit the end of a path (N, 2) [px, (x, y) in the window] to a window (H, W) of darkening [grey levels].

    A point of the path moves by share (N,) 0..1 of the shift; tail_px (M, 2) is the line drawn just before;
    old_ink (H, W) 0..1 is how dark the background was, light the brightness of clean glass,
    prior_information (2, 2) [1/px^2] pulls the shift to zero, and the search starts at start_px (2,).
    """
    out = np.empty(14)
    _fit(
        darkening,
        variance,
        old_ink,
        float(light),
        np.ascontiguousarray(path_px, dtype=np.float64),
        np.ascontiguousarray(share, dtype=np.float64),
        np.ascontiguousarray(tail_px, dtype=np.float64),
        brush.radius_px,
        brush.blur_px,
        brush.darkness,
        brush.darkness_sigma,
        np.ascontiguousarray(prior_information, dtype=np.float64),
        np.asarray(start_px, dtype=np.float64),
        out,
    )
    return StrokeFit(
        out[0:2].copy(),
        float(out[2]),
        np.array([[out[3], out[4]], [out[4], out[5]]]),
        float(out[6]),
        float(out[7]),
        float(out[8]),
        int(out[9]),
        int(out[10]),
        float(out[11]),
        float(out[12]),
    )


@njit(cache=True, fastmath=True)
def _nearest(x, y, points, share, shift_x, shift_y):  # type: ignore[no-untyped-def]
    """Squared distance to the moved polyline, the vector from it, and the share at the nearest point."""
    best, best_x, best_y, best_share = 1e18, 0.0, 0.0, 0.0
    n = points.shape[0]
    for i in range(max(n - 1, 1)):
        j = min(i + 1, n - 1)
        ax = points[i, 0] + share[i] * shift_x
        ay = points[i, 1] + share[i] * shift_y
        bx = points[j, 0] + share[j] * shift_x - ax
        by = points[j, 1] + share[j] * shift_y - ay
        length2 = bx * bx + by * by
        along = 0.0
        if length2 > 1e-12:
            along = min(1.0, max(0.0, ((x - ax) * bx + (y - ay) * by) / length2))
        dx, dy = x - ax - along * bx, y - ay - along * by
        distance2 = dx * dx + dy * dy
        if distance2 < best:
            best, best_x, best_y = distance2, dx, dy
            best_share = share[i] + along * (share[j] - share[i])
    return best, best_x, best_y, best_share


@njit(cache=True, fastmath=True)
def _cover(distance, radius, blur):  # type: ignore[no-untyped-def]
    """Coverage of a blurred line and its derivative, at a distance from its middle."""
    scale = 1.0 / (blur * math.sqrt(2.0))
    near, far = (radius - distance) * scale, (radius + distance) * scale
    cover = 0.5 * (math.erf(near) + math.erf(far))
    slope = -(math.exp(-near * near) - math.exp(-far * far)) * scale / math.sqrt(math.pi)
    return cover, slope


@njit(cache=True, fastmath=True)
def _evaluate(  # type: ignore[no-untyped-def]
    dark, var, old, light, path, share, tail, tail_share, radius, blur, a, sx, sy, normal, right, totals
):
    """Sum the normal equations (3, 3), (3,) of (shift x, shift y, darkness) and the fit's quality."""
    normal[:] = 0.0
    right[:] = 0.0
    totals[:] = 0.0
    reach = radius + 3.0 * blur
    low_x = low_y = 1e18
    high_x = high_y = -1e18
    for i in range(path.shape[0]):
        px, py = path[i, 0] + share[i] * sx, path[i, 1] + share[i] * sy
        low_x, high_x = min(low_x, px), max(high_x, px)
        low_y, high_y = min(low_y, py), max(high_y, py)
    full = a * light
    for row in range(dark.shape[0]):
        for column in range(dark.shape[1]):
            seen = dark[row, column]
            v = var[row, column]
            new, slope, dx, dy, w, unsure, covered = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            x, y = float(column), float(row)
            if low_x - reach < x < high_x + reach and low_y - reach < y < high_y + reach:
                distance2, dx, dy, w = _nearest(x, y, path, share, sx, sy)
                if distance2 < reach * reach:
                    distance = math.sqrt(distance2)
                    covered, slope = _cover(distance, radius, blur)
                    before = 0.0
                    if tail.shape[0] > 0:
                        tail2, _, _, _ = _nearest(x, y, tail, tail_share, 0.0, 0.0)
                        if tail2 < reach * reach:
                            before, _ = _cover(math.sqrt(tail2), radius, blur)
                    # Ink of other lines in this pixel may lie beside the new stroke or under it.
                    dirt = old[row, column]
                    foreign = min(1.0, max(0.0, (dirt - before - 0.15) * 5.0))
                    own = max(0.0, covered - before)
                    most = max(0.0, min(own, 1.0 - dirt))
                    least = max(0.0, min(covered - dirt, most))
                    new = (1.0 - foreign) * own + foreign * 0.5 * (least + most)
                    unsure = foreign * 0.5 * (most - least)
                    if own <= 0.0:
                        slope = 0.0
                    elif foreign > 0.0:
                        slope *= 1.0 - foreign + foreign * (0.5 if most > 0.0 else 0.0)
                    if distance > 1e-9:
                        dx, dy = dx / distance, dy / distance
            extra = full * unsure
            edge = full * _SHAPE_ERROR if covered > 0.02 else 0.0
            v = v + extra * extra + edge * edge
            residual = seen - full * new
            z2 = residual * residual / v
            # Clipped residuals: what is not ink must not pull the stroke.
            pull = 1.0 if z2 < _CLIP_SIGMA**2 else _CLIP_SIGMA / math.sqrt(z2)
            totals[0] += z2 if z2 < _CLIP_SIGMA**2 else _CLIP_SIGMA * (2.0 * math.sqrt(z2) - _CLIP_SIGMA)
            null2 = seen * seen / v
            totals[1] += (
                null2 if null2 < _CLIP_SIGMA**2 else _CLIP_SIGMA * (2.0 * math.sqrt(null2) - _CLIP_SIGMA)
            )
            if covered > 0.1 or new > 0.02:
                totals[2] += z2
                totals[3] += 1.0
            if abs(residual) > 4.5 * math.sqrt(v) + 0.1 * full:
                if residual > 0.0:
                    totals[4] += 1.0
                else:
                    totals[5] += 1.0
            totals[6] += new
            if new > 0.0 or slope != 0.0:
                weight = pull / v
                # Moving the path by one pixel along (dx, dy), away from the nearest point, lessens the distance.
                jx, jy, ja = -full * slope * dx * w, -full * slope * dy * w, light * new
                normal[0, 0] += weight * jx * jx
                normal[0, 1] += weight * jx * jy
                normal[1, 1] += weight * jy * jy
                normal[0, 2] += weight * jx * ja
                normal[1, 2] += weight * jy * ja
                normal[2, 2] += weight * ja * ja
                right[0] += weight * jx * residual
                right[1] += weight * jy * residual
                right[2] += weight * ja * residual
    normal[1, 0], normal[2, 0], normal[2, 1] = normal[0, 1], normal[0, 2], normal[1, 2]


@njit(cache=True, fastmath=True)
def _fit(  # type: ignore[no-untyped-def]
    dark, var, old, light, path, share, tail, radius, blur, a0, a_sigma, prior, start, out
):
    normal, right, totals = np.zeros((3, 3)), np.zeros(3), np.zeros(8)
    trial_normal, trial_right, trial_totals = np.zeros((3, 3)), np.zeros(3), np.zeros(8)
    tail_share = np.zeros(tail.shape[0])
    sx, sy, a = start[0], start[1], a0
    a_info = 1.0 / (a_sigma * a_sigma)
    _evaluate(
        dark, var, old, light, path, share, tail, tail_share, radius, blur, a, sx, sy, normal, right, totals
    )
    cost = totals[0] + _prior_cost(prior, sx, sy) + (a - a0) * (a - a0) * a_info
    out[12] = totals[6]
    damping = 1e-2
    for _ in range(_ITERATIONS):
        system = normal.copy()
        system[:2, :2] += prior
        system[2, 2] += a_info
        step = right.copy()
        step[0] -= prior[0, 0] * sx + prior[0, 1] * sy
        step[1] -= prior[1, 0] * sx + prior[1, 1] * sy
        step[2] -= (a - a0) * a_info
        for i in range(3):
            system[i, i] *= 1.0 + damping
        step = np.linalg.solve(system, step)
        size = math.sqrt(step[0] * step[0] + step[1] * step[1])
        if size > 1.5:  # beyond the brush's edge the linear model says nothing
            step *= 1.5 / size
        tx, ty, ta = sx + step[0], sy + step[1], min(0.98, max(0.05, a + step[2]))
        _evaluate(
            dark, var, old, light, path, share, tail, tail_share, radius, blur, ta, tx, ty,
            trial_normal, trial_right, trial_totals,
        )  # fmt: skip
        trial_cost = trial_totals[0] + _prior_cost(prior, tx, ty) + (ta - a0) * (ta - a0) * a_info
        if trial_cost < cost:
            better = cost - trial_cost
            sx, sy, a, cost = tx, ty, ta, trial_cost
            normal[:], right[:], totals[:] = trial_normal, trial_right, trial_totals
            damping *= 0.2
            if size < 0.01 or better < 1e-3:
                break
        else:
            damping *= 8.0
            if size < 0.01 or damping > 1e4:
                break
    aa = normal[2, 2] + a_info
    out[0], out[1], out[2] = sx, sy, a
    out[3] = normal[0, 0] - normal[0, 2] * normal[0, 2] / aa
    out[4] = normal[0, 1] - normal[0, 2] * normal[1, 2] / aa
    out[5] = normal[1, 1] - normal[1, 2] * normal[1, 2] / aa
    out[6] = cost
    out[7] = totals[1] - totals[0]
    out[8] = totals[2] / max(totals[3], 1.0)
    out[9], out[10], out[11] = totals[4], totals[5], totals[6]


@njit(cache=True, fastmath=True)
def _prior_cost(prior, x, y):  # type: ignore[no-untyped-def]
    return prior[0, 0] * x * x + 2.0 * prior[0, 1] * x * y + prior[1, 1] * y * y
