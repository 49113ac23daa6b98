"""Which chips are of one colour, and what that colour is called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from sketch_cell.mosaic.chips import Chip
from sketch_cell.mosaic.colour import delta_e
from sketch_cell.mosaic.gamut import even_lab
from sketch_cell.mosaic.library import Colour

APART = 10.0  # about CIEDE2000: chips further apart than this are of two colours
MOST_LINKED = 3000  # chips that are linked pair by pair; the rest joins the nearest colour

# CIELAB of the middle of what each name means.
NAMES = {
    "red": (42, 60, 38),
    "dark red": (28, 40, 20),
    "orange": (62, 48, 62),
    "yellow": (84, 0, 78),
    "lime": (78, -40, 65),
    "green": (52, -46, 40),
    "dark green": (32, -30, 18),
    "turquoise": (62, -32, -12),
    "light blue": (68, -10, -32),
    "blue": (40, 10, -52),
    "violet": (38, 40, -42),
    "purple": (14, 17, -9),
    "magenta": (50, 68, -10),
    "pink": (70, 42, 2),
    "brown": (35, 22, 28),
    "dark brown": (18, 9, 10),
    "beige": (82, 4, 22),
    "white": (93, 0, 3),
    "grey": (58, 0, 0),
    "black": (7, 1, 0),
}


def group_chips(chips: Sequence[Chip], count: int = 0) -> tuple[Colour, ...]:
    """Colours found among chips, the commonest first, each named; `count` of them, or 0 to estimate how many.

    Average linkage in CIELAB, its chroma compressed as CIEDE2000 does; estimated groups lie APART.
    """
    points = even_lab(np.array([chip.lab for chip in chips]))
    group = _groups(points, count)
    order = np.argsort(-np.bincount(group), kind="stable")
    colours: list[Colour] = []
    for index in order:
        members = [chip for chip, own in zip(chips, group, strict=True) if own == index]
        lab = np.median([chip.lab for chip in members], axis=0)
        name = _free_name(colour_name(lab), [colour.name for colour in colours])
        top = tuple(chip.rgba for chip in members if chip.view == "top")
        side = tuple(chip.rgba for chip in members if chip.view == "side")
        colours.append(Colour(name, top, side))
    return tuple(colours)


def _groups(points: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Group (N,) from 0 of points (N, 3)."""
    if len(points) == 1:
        return np.zeros(1, np.int64)
    linked = points[:: -(-len(points) // MOST_LINKED)]
    tree = linkage(linked, "average")
    few = fcluster(tree, count, "maxclust") if count else fcluster(tree, APART, "distance")
    middles = np.array([linked[few == each].mean(axis=0) for each in np.unique(few)])
    distance = np.linalg.norm(points[:, None] - middles, axis=2)
    _, group = np.unique(np.argmin(distance, axis=1), return_inverse=True)
    return np.asarray(group, np.int64)


def colour_name(lab: NDArray[np.float64]) -> str:
    """The name in NAMES nearest to a colour (3,) in CIELAB by CIEDE2000."""
    middles = np.array(list(NAMES.values()), np.float64)
    distance = delta_e(np.broadcast_to(np.asarray(lab, np.float64), middles.shape), middles)
    return list(NAMES)[int(np.argmin(distance))]


def _free_name(name: str, taken: Sequence[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free
