"""A board under search: what lies in every cell and what is seen of it from afar, kept in step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic import search_kernel
from sketch_cell.mosaic.colour import delta_e_rows, lab_from_linear, xyz_from_linear
from sketch_cell.mosaic.layout import Layout
from sketch_cell.mosaic.library import Paint
from sketch_cell.mosaic.optics import make_optics
from sketch_cell.mosaic.search_kernel import NOISE_SIZE, PLANES, Optics
from sketch_cell.mosaic.seen import seen_light, share_on_board

SIGMA_LIGHTNESS = 1.0  # pitches
SIGMA_CHROMA = 1.0
LIGHTNESS_WEIGHT = 1.3  # over CIEDE2000's own: structure is seen in lightness
PULL_INTO_GAMUT = 0.3  # 0 aims at the photo's colours, 1 at the nearest reachable ones
TRY_ALL_EVERY = 6  # passes
MARGIN_HOT, MARGIN_COLD = 4.0, 2.0  # how much worse a colour may be and still be tried in the passes between

Numbers = NDArray[np.floating[Any]]


@dataclass
class Board:
    """Colour (rows, cols) of every cell and the optics of `search_kernel` that follow from it.

    Costs are CIEDE2000 summed over cells, as seen from afar. Every method changes the board in place.
    """

    colour: NDArray[np.int32]
    optics: Optics
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self._noise = self.rng.gumbel(size=NOISE_SIZE).astype(np.float32)
        self._worth = np.ones((*self.colour.shape, len(self.optics.light)), bool)
        self._passes = 0

    def counts(self) -> NDArray[np.int64]:
        """Sweets of each colour (K,)."""
        return np.bincount(self.colour.ravel(), minlength=len(self.optics.light))

    def sweep(self, temperature: float, price: Numbers, *, try_all: bool = False) -> int:
        """Let every sweet take the colour of least cost plus price (K,), by a heat bath; returns how many changed."""
        every = try_all or self._passes % TRY_ALL_EVERY == 0
        self._passes += 1
        return int(
            search_kernel.sweep(
                self.colour,
                self.optics,
                np.asarray(price, np.float32),
                self._noise,
                int(self.rng.integers(NOISE_SIZE)),
                np.float32(temperature),
                np.float32(MARGIN_HOT * temperature + MARGIN_COLD),
                self._worth,
                every,
            )
        )

    def swap(self, temperature: float) -> int:
        """Let neighbours change places, by a heat bath; returns how many pairs did."""
        start = int(self.rng.integers(NOISE_SIZE))
        return int(search_kernel.swap(self.colour, self.optics, self._noise, start, np.float32(temperature)))

    def trade(self, temperature: float, price: Numbers, spare: NDArray[np.int64]) -> NDArray[np.int64]:
        """Let sweets swap, or take one of `spare` (K,), which is kept up to date; returns wishes (K, K) from-to."""
        wishes = np.zeros((len(self.optics.light), len(self.optics.light)), np.int64)
        search_kernel.trade(
            self.colour,
            self.optics,
            np.asarray(price, np.float32),
            self._noise,
            int(self.rng.integers(NOISE_SIZE)),
            np.float32(temperature),
            spare,
            wishes,
        )
        return wishes

    def change_costs(self) -> NDArray[np.float32]:
        """Cost (N, K) of each colour in each cell, less that of the colour there, the rest of the board as it is."""
        costs = np.asarray(search_kernel.change_costs(self.colour, self.optics))
        own: NDArray[np.float32] = np.take_along_axis(
            costs, self.colour.reshape(-1, 1).astype(np.int64), axis=1
        )
        return costs - own

    def relay(self, cells: NDArray[np.int64], colours: NDArray[np.int32]) -> None:
        """Give cells (n,) other colours (n,)."""
        search_kernel.relay(cells, colours, self.colour, self.optics)

    def fields(self) -> NDArray[np.float32]:
        """The planes of `Optics.fields` at every cell (rows, cols, PLANES), a copy."""
        rows, cols = self.colour.shape
        first, plane, row = self.optics.frame
        cells = (
            first
            + row * np.arange(rows)[:, None, None]
            + np.arange(cols)[:, None]
            + plane * np.arange(PLANES)
        )
        return np.asarray(self.optics.fields[cells])

    def seen(self) -> NDArray[np.float32]:
        """What is seen at every cell (rows, cols, 3): X, Y, Z relative to white."""
        return self.fields()[..., :3]


def make_board(
    target: Numbers,
    reachable: Numbers,
    paint: Paint,
    layout: Layout,
    seed: int,
    colour: NDArray[np.int32] | None = None,
) -> Board:
    """A board ready for search, laid as `colour` (rows, cols) or else with each cell's nearest colour.

    `target`, `reachable` (rows, cols, 3): the photo as seen from afar and the nearest reachable colours,
    linear light.
    """
    target_lab = lab_from_linear(np.asarray(target, np.float64))
    reachable_lab = lab_from_linear(np.asarray(reachable, np.float64))
    rows = delta_e_rows(0.5 * (target_lab + reachable_lab))
    weights = np.stack([rows[..., i, j] for i, j in ((0, 0), (1, 1), (1, 2), (2, 1), (2, 2))], axis=-1)
    weights[..., 0] *= LIGHTNESS_WEIGHT
    aim = PULL_INTO_GAMUT * reachable_lab + (1.0 - PULL_INTO_GAMUT) * target_lab
    laid = _nearest(aim, paint) if colour is None else colour.astype(np.int32)
    xyz, card = xyz_from_linear(paint.light), xyz_from_linear(paint.card)
    seen = seen_light(xyz[laid], card, layout, SIGMA_CHROMA)
    seen_lightness = seen_light(xyz[laid], card, layout, SIGMA_LIGHTNESS)[..., 1:2]
    share = share_on_board(layout, SIGMA_CHROMA)[..., None]
    fields = np.concatenate(
        [seen, seen_lightness, aim + np.array([16.0, 0.0, 0.0]), weights, 1.0 / share], axis=-1
    )
    optics = make_optics(
        fields.astype(np.float32), xyz.astype(np.float32), layout, SIGMA_LIGHTNESS, SIGMA_CHROMA
    )
    return Board(laid, optics, np.random.default_rng(seed))


def _nearest(aim: Numbers, paint: Paint) -> NDArray[np.int32]:
    """The colour (rows, cols) nearest to `aim` (rows, cols, 3) in CIELAB: a start, nothing more."""
    best = np.zeros(aim.shape[:2], np.int32)
    least = np.full(aim.shape[:2], np.inf)
    for index, lab in enumerate(lab_from_linear(paint.light)):
        distance = ((aim - lab) ** 2).sum(axis=-1)
        best[distance < least] = index
        least = np.minimum(least, distance)
    return best


def compile_kernels() -> None:
    """Compile or load the search's inner loops, so that their first use takes no longer than any other."""
    light = np.array([[0.1, 0.1, 0.1], [0.9, 0.9, 0.9]])
    target = np.full((2, 2, 3), 0.5)
    board = make_board(target, target, Paint(light, np.zeros(3)), Layout("square", 2, 2, 1.0, 0.0), 0)
    board.sweep(1.0, np.zeros(2))
    board.swap(1.0)
    board.trade(1.0, np.zeros(2), np.zeros(2, np.int64))
    board.change_costs()
    board.relay(np.array([0]), np.array([1], np.int32))
