"""What sweets and card can reach: every mixture of the cells' light, seen from afar, and its nearest colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, Delaunay, QhullError, cKDTree

from sketch_cell.mosaic.colour import Floats, delta_e, delta_e_rows, lab_from_linear

GRID = 60  # steps along each edge of a facet
CANDIDATES, FLOOR_CANDIDATES = 8, 64
FLOOR_SAMPLES = 2000


class Gamut:
    """All mixtures of the light (K, 3) of cells: a convex body in linear light.

    With fewer than four colours, or colours in one plane, it is flat; then only its surface counts.
    """

    def __init__(self, light: NDArray[np.float64]) -> None:
        self.light = light
        try:
            facets = ConvexHull(light).simplices
            self._body: Delaunay | None = Delaunay(light)
        except (QhullError, ValueError):
            facets = _all_triangles(len(light))
            self._body = None
        self.surface = _mixtures(light[facets]).reshape(-1, 3)
        self._surface_lab = lab_from_linear(self.surface)
        self._tree = cKDTree(even_lab(self._surface_lab))

    def nearest(self, linear: Floats) -> NDArray[np.float64]:
        """The reachable colours nearest by CIEDE2000 (as good as) to colours (..., 3), linear light."""
        flat = np.asarray(linear, np.float64).reshape(-1, 3)
        result = flat.copy()
        outside = self._outside(flat)
        if outside.any():
            lab = lab_from_linear(flat[outside])
            found = self._close_by(lab, CANDIDATES)
            between = 0.5 * (self._surface_lab[found] + lab[:, None])
            size = np.einsum("ncij,ncj->nci", delta_e_rows(between), self._surface_lab[found] - lab[:, None])
            best = np.argmin(np.einsum("nci,nci->nc", size, size), axis=1)
            result[outside] = self.surface[np.take_along_axis(found, best[:, None], axis=1)[:, 0]]
        return result.reshape(linear.shape)

    def floor(self, linear: Floats) -> float:
        """Mean CIEDE2000 from colours (..., 3) to the nearest reachable ones: no mosaic gets below it.

        Of many colours, FLOOR_SAMPLES evenly spaced ones are looked at. Colours that are very far (over 30) from
        all that can be reached may count up to 5 % too much.
        """
        flat = np.asarray(linear, np.float64).reshape(-1, 3)
        flat = flat[:: max(1, len(flat) // FLOOR_SAMPLES)]
        outside = flat[self._outside(flat)]
        if not len(outside):
            return 0.0
        lab = lab_from_linear(outside)
        found = self._surface_lab[self._close_by(lab, FLOOR_CANDIDATES)]
        least = delta_e(np.broadcast_to(lab[:, None], found.shape), found).min(axis=1)
        return float(least.sum() / len(flat))

    def _outside(self, flat: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which colours (N, 3) cannot be mixed."""
        if self._body is None:
            return np.ones(len(flat), bool)
        return np.asarray(self._body.find_simplex(flat) < 0)

    def _close_by(self, lab: Floats, count: int) -> NDArray[np.int64]:
        """Indices (N, count) of surface colours that may be the nearest to colours (N, 3) in CIELAB."""
        _, found = self._tree.query(even_lab(lab), k=min(count, len(self.surface)))
        return np.asarray(found, np.int64).reshape(len(lab), -1)


def _all_triangles(count: int) -> NDArray[np.int64]:
    """Corners (T, 3) of every triangle, degenerate ones included, among `count` colours."""
    i, j, k = np.indices((count, count, count)).reshape(3, -1)
    keep = (i <= j) & (j <= k)
    return np.stack([i, j, k], axis=1)[keep]


def _mixtures(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mixtures (T, G, 3) of the three corners of facets (T, 3, 3), denser near the corners.

    Squared weights: near a dark corner a little light already makes a large difference to the eye.
    """
    i, j = np.mgrid[0 : GRID + 1, 0 : GRID + 1].reshape(2, -1)
    keep = i + j <= GRID
    weights = np.stack([i, j, GRID - i - j], axis=1)[keep].astype(np.float64) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    mixed: NDArray[np.float64] = np.einsum("gc,tcx->tgx", weights, corners)
    return mixed


def even_lab(lab: Floats) -> NDArray[np.float64]:
    """Coordinates in which straight distance roughly is CIEDE2000: its chroma weight integrated."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    shrink = np.where(chroma > 1e-6, np.log1p(0.045 * chroma) / 0.045 / np.maximum(chroma, 1e-6), 1.0)
    return np.stack([lab[..., 0], lab[..., 1] * shrink, lab[..., 2] * shrink], axis=-1)
