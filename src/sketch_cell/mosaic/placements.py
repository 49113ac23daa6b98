"""The order and pose in which a robot lays the sweets.

Frame `board`: origin at its lower left, x right, y up, z to the viewer, z = 0 on the card.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import srgb_from_linear
from sketch_cell.mosaic.mosaic import Mosaic


@dataclass(frozen=True)
class Placements:
    """Every sweet in the order of laying: position (N, 3) [m] of its middle, yaw (N,) [rad], rgb (N, 3) uint8,
    colour index (N,) and the colours' names."""

    position_m: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    colour: NDArray[np.int32]
    names: tuple[str, ...]


def place(mosaic: Mosaic, pitch_m: float, sweet_height_m: float) -> Placements:
    """Placements for a robot that stands before the board's lower edge (y < 0).

    It begins with the farthest row and walks each row to and fro: no sweet laid earlier is ever
    between the robot and the next, and the way from one to the next is one pitch.
    """
    rows, cols = mosaic.colour.shape
    order = np.arange(rows * cols).reshape(rows, cols)
    order[1::2] = order[1::2, ::-1].copy()
    sequence = order.ravel()
    xy = mosaic.layout.centres_m(pitch_m)[sequence]
    # From above a sweet is as thick as its height; on its side its middle is half a diameter up.
    thickness = pitch_m if mosaic.layout.kind == "side" else sweet_height_m
    position = np.column_stack([xy, np.full(len(xy), 0.5 * thickness)])
    colour = mosaic.colour.ravel()[sequence]
    palette = srgb_from_linear(np.array([each.linear for each in mosaic.colours]))
    return Placements(
        position,
        (mosaic.turns.ravel()[sequence] * (0.5 * np.pi)).astype(np.float64),
        palette[colour],
        colour,
        tuple(each.name for each in mosaic.colours),
    )


def laying_time_s(placements: Placements, seconds_per_place_s: float) -> float:
    """Time to lay the whole mosaic [s]."""
    return len(placements.position_m) * seconds_per_place_s


def placements_csv(placements: Placements) -> str:
    """The placements as CSV: order, x_m, y_m, yaw_rad, colour."""
    rows = zip(
        placements.position_m.tolist(), placements.yaw_rad.tolist(), placements.colour.tolist(), strict=True
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["order", "x_m", "y_m", "yaw_rad", "colour"])
    writer.writerows(
        (order, f"{x:.5f}", f"{y:.5f}", f"{yaw:.4f}", placements.names[colour])
        for order, ((x, y, _), yaw, colour) in enumerate(rows)
    )
    return out.getvalue()
