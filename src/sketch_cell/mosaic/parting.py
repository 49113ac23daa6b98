"""Sweets that touch, told apart: cut too finely by colour and shape, then joined where that makes convex sweets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.masks import Mask, distance_inside, peaks

# Colour change where sweets meet [CIELAB], and how much lightness counts in it.
EDGE, EDGE_LIGHTNESS = 14.0, 0.6
FLATTEN = 0.7  # of the radius: size of the median filter that takes gleams and letters out
LEAST_PEAK = 0.3  # of the radius: the smallest inscribed disc that may be a piece
SADDLE = 0.92  # two peaks are one piece where the ridge between them stays above this share of the lower one
EXPAND, LEAST_EXPAND_PX = 0.2, 3.0  # of the radius: pieces grow back over the edges that cut them
# Share of its hull that a sweet fills at least, and at best; two that touch fill 0.88.
WHOLE, CONVEX = 0.8, 0.97
SPREAD = 0.6  # of sizes: standard deviation of the logarithm of the area
SAME_COLOUR = 16.0  # CIELAB
SLIVER = 0.25  # of the disc's area: pieces smaller than this may be a gleam, or a letter, of another colour
LARGEST, SMALLEST = 4.0, 0.35  # area over the disc's

Lab8 = NDArray[np.uint8]  # L * 2.55, a + 128, b + 128


@dataclass(frozen=True)
class Piece:
    """A part of the foreground: hull (n, 2) x, y [pixels], area [pixels], colour (3,) in CIELAB."""

    hull: NDArray[np.float32]
    area: float
    lab: NDArray[np.float64]

    def outline(self) -> NDArray[np.float32]:
        """The ellipse (48, 2) of the hull's second moments, moved out to the pixels' edges: a smooth rim."""
        m = cv2.moments(self.hull)
        middle = np.array([m["m10"], m["m01"]]) / m["m00"]
        spread = np.array([[m["mu20"], m["mu11"]], [m["mu11"], m["mu02"]]]) / m["m00"]
        size, turn = np.linalg.eigh(spread)
        angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (2.0 * np.sqrt(size) + 0.5)
        return np.asarray(middle + ring @ turn.T, np.float32)

    def moved(self, x: float, y: float) -> Piece:
        """The same piece, so many pixels to the right and down."""
        return replace(self, hull=self.hull + np.array([x, y], np.float32))

    @property
    def convexity(self) -> float:
        """Share of the hull that is filled, the hull measured to the pixels' outer edges."""
        hull = self.hull
        return self.area / (cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0)


def part(mask: Mask, lab: Lab8, radius: float) -> list[Piece]:
    """The sweets of about this radius [pixels] in a mask (H, W) of a photo (H, W, 3), in OpenCV's 8-bit CIELAB."""
    # Without what is smaller than a sweet: gleams, letters, spots.
    flat = np.asarray(cv2.medianBlur(lab, max(3, min(255, 2 * int(0.5 * FLATTEN * radius) + 1))), np.uint8)
    pieces, neighbours = _pieces(_fine_parts(mask, flat, radius), flat)
    disc = np.pi * radius**2
    return [
        piece
        for piece in _joined(pieces, neighbours, disc)
        if SMALLEST * disc < piece.area < LARGEST * disc and piece.convexity > WHOLE
    ]


def _fine_parts(mask: Mask, flat: Lab8, radius: float) -> NDArray[np.int32]:
    """Labels (H, W) from 1 of the parts of a mask between edges of colour and necks of shape."""
    from skimage.segmentation import watershed

    distance = distance_inside(cv2.bitwise_and(mask, cv2.bitwise_not(_edges(flat))))
    points, heights = peaks(distance, max(1.5, LEAST_PEAK * radius), 1.0, np.ones((5, 5), np.uint8))
    markers = np.zeros(mask.shape, np.int32)
    markers[points[:, 1], points[:, 0]] = _merged(distance, points, heights) + 1
    parts = watershed(-distance, markers, mask=distance > 0)
    bare = (parts == 0).astype(np.uint8)
    near = np.asarray(cv2.distanceTransform(bare, cv2.DIST_L2, 3)) <= max(LEAST_EXPAND_PX, EXPAND * radius)
    # By watershed again and not to the nearest part, which may lie across a gap.
    return np.asarray(watershed(-distance, parts, mask=(mask > 0) & near), np.int32)


def _edges(flat: Lab8) -> Mask:
    """Where (H, W) the colour changes as it does between two sweets."""
    kernel = np.ones((3, 3), np.uint8)
    change = cv2.subtract(cv2.dilate(flat, kernel), cv2.erode(flat, kernel)).astype(np.float32)
    weight = np.array([[EDGE_LIGHTNESS / 2.55, 1.0, 1.0]])
    return np.asarray(cv2.compare(cv2.transform(change * change, weight**2), EDGE**2, cv2.CMP_GT), np.uint8)


def _merged(
    distance: NDArray[np.float32], points: NDArray[np.int64], heights: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Group (n,) of each peak: peaks joined by a ridge that hardly dips are of one piece."""
    parent = np.arange(len(points))
    share = np.linspace(0.0, 1.0, 16)[:, None]
    for i in range(len(points)):
        apart = np.linalg.norm(points[:i] - points[i], axis=1)
        for j in np.flatnonzero(apart < heights[:i] + heights[i]):
            line = np.round(points[i] * (1 - share) + points[j] * share).astype(int)
            if distance[line[:, 1], line[:, 0]].min() > SADDLE * min(heights[i], heights[j]):
                parent[_root(parent, i)] = _root(parent, int(j))
    return np.array([_root(parent, i) for i in range(len(points))], np.int64)


def _root(parent: NDArray[np.int64], i: int) -> int:
    while parent[i] != i:
        i = int(parent[i])
    return i


def _pieces(labels: NDArray[np.int32], flat: Lab8) -> tuple[dict[int, Piece], set[tuple[int, int]]]:
    """The labelled pieces, and which are neighbours (smaller label first)."""
    from scipy.ndimage import find_objects

    pieces = {}
    for index, box in enumerate(find_objects(labels)):
        if box is None:
            continue
        own = (labels[box] == index + 1).astype(np.uint8)
        contours, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        hull = cv2.convexHull(np.vstack(contours))[:, 0] + np.array([box[1].start, box[0].start])
        lightness, a, b, _ = cv2.mean(flat[box], own)
        colour = np.array([lightness / 2.55, a - 128.0, b - 128.0])
        pieces[index + 1] = Piece(hull.astype(np.float32), float(np.count_nonzero(own)), colour)
    return pieces, _neighbours(labels)


def _neighbours(labels: NDArray[np.int32]) -> set[tuple[int, int]]:
    """Pairs of labels, the smaller first, that are at most two pixels apart along a row or column."""
    pairs: set[tuple[int, int]] = set()
    for step in (1, 2):
        for a, b in ((labels[:, step:], labels[:, :-step]), (labels[step:], labels[:-step])):
            touch = (a != b) & (a > 0) & (b > 0)
            pairs |= set(zip(a[touch].tolist(), b[touch].tolist(), strict=True))
    return {(min(pair), max(pair)) for pair in pairs}


def _joined(pieces: dict[int, Piece], neighbours: set[tuple[int, int]], disc: float) -> list[Piece]:
    """Pieces put together where they make one convex sweet, the most convex pair first."""
    pieces, neighbours = dict(pieces), set(neighbours)
    unions = {
        pair: u for pair in neighbours if (u := _union(pieces[pair[0]], pieces[pair[1]], disc)) is not None
    }
    while unions:
        pair = max(unions, key=lambda p: _gain(unions[p], pieces[p[0]], pieces[p[1]], disc))
        kept, gone = pair
        pieces[kept] = unions[pair]
        del pieces[gone]
        around = {k for p in neighbours if kept in p or gone in p for k in p} - {kept, gone}
        neighbours = {p for p in neighbours if kept not in p and gone not in p}
        unions = {p: u for p, u in unions.items() if p in neighbours}
        for other in around:
            fresh = (min(kept, other), max(kept, other))
            neighbours.add(fresh)
            joined = _union(pieces[kept], pieces[other], disc)
            if joined is not None:
                unions[fresh] = joined
    return list(pieces.values())


def _union(a: Piece, b: Piece, disc: float) -> Piece | None:
    """Two pieces as one where that is likelier than two."""
    small, large = sorted((a, b), key=lambda piece: piece.area)
    if small.area > SLIVER * disc and np.linalg.norm(a.lab - b.lab) > SAME_COLOUR:
        return None
    joined = Piece(cv2.convexHull(np.vstack([a.hull, b.hull]))[:, 0], a.area + b.area, large.lab)
    return joined if _gain(joined, a, b, disc) > 0 else None


def _gain(joined: Piece, a: Piece, b: Piece, disc: float) -> float:
    return explained([joined], disc) - explained([a, b], disc)


def explained(pieces: list[Piece], disc: float) -> float:
    """Area of pieces, less of each the less it is a convex sweet of about a disc's area [pixels]."""
    total = 0.0
    for piece in pieces:
        size = np.exp(-0.5 * (np.log(piece.area / disc) / SPREAD) ** 2)
        total += piece.area * size * min(1.0, max(0.0, (piece.convexity - WHOLE) / (CONVEX - WHOLE)))
    return float(total)
