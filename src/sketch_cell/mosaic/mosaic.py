"""A photo in, a mosaic out: the one function that the command and the node call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.mosaic.appearance import Image, at_cells, board_photo, draw_mosaic, from_afar
from sketch_cell.mosaic.board import Board, compile_kernels, make_board
from sketch_cell.mosaic.colour import linear_from_srgb
from sketch_cell.mosaic.diffusion import diffuse
from sketch_cell.mosaic.gamut import Gamut
from sketch_cell.mosaic.layout import Layout, fit_layout
from sketch_cell.mosaic.library import Colour, Paint, cell_paint
from sketch_cell.mosaic.matching import best_chips, nearest_colours
from sketch_cell.mosaic.measure import Likeness, compare
from sketch_cell.mosaic.search import anneal
from sketch_cell.mosaic.settings import MosaicSettings, card_srgb
from sketch_cell.mosaic.stock import check_stock, settle

PIXELS_PER_PITCH = 4  # of the photo while the mosaic is planned
ROUGH_PASSES = 6  # of the search that only tells what a photo asks for
PLENTY = 0.9  # of the stock: who asks for less will hardly run short
CARD_SAMPLES = 1500  # cells by which the card is chosen

Cells = NDArray[np.int32]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Mosaic:
    """A planned mosaic: what lies in every cell (rows, cols) of `layout`.

    `colour` indexes `colours`, `chip` that colour's chips, `turns` counts quarter turns anticlockwise;
    `card` (3,) is linear light; `target` (rows, cols, 3) the photo at the cells as seen from afar.
    `wanted` (K,) is what a mosaic without a stock takes of each colour, `cpu_s` what planning took.
    """

    photo: NDArray[Any]
    layout: Layout
    colours: tuple[Colour, ...]
    card: NDArray[np.float64]
    colour: Cells
    chip: Cells
    turns: Cells
    target: Image
    wanted: NDArray[np.int64]
    cpu_s: float

    def counts(self) -> NDArray[np.int64]:
        """Sweets of each colour (K,)."""
        return np.bincount(self.colour.ravel(), minlength=len(self.colours))

    def picture(self, pixels_per_pitch: int) -> Image:
        """The finished board (rows, cols, 3), linear light."""
        return draw_mosaic(
            self.layout, self.colour, self.chip, self.turns, self.colours, self.card, pixels_per_pitch
        )

    @cached_property
    def gamut(self) -> Gamut:
        """What sweets and card can reach."""
        return Gamut(_paint(self.colours, self.layout, self.card).light)

    @cached_property
    def floor_de00(self) -> float:
        """Mean CIEDE2000 that no mosaic of these sweets on this card can get below, seen from afar."""
        return self.gamut.floor(self.target)

    @cached_property
    def likeness(self) -> Likeness:
        """How near the mosaic comes to the photo."""
        photo = board_photo(self.photo, self.layout, PIXELS_PER_PITCH)
        fine = self.picture(2 * PIXELS_PER_PITCH)
        mosaic = cv2.resize(fine, photo.shape[1::-1], interpolation=cv2.INTER_AREA)
        return compare(photo, mosaic, PIXELS_PER_PITCH)


def plan_mosaic(
    photo: NDArray[Any],
    colours: Sequence[Colour],
    settings: MosaicSettings,
    *,
    stock: NDArray[np.integer[Any]] | None = None,
    progress: Progress = lambda share: None,
) -> Mosaic:
    """Plan the mosaic of a photo, uint8 or uint16, (H, W, 3) or (H, W), out of sweets of `colours`.

    `stock` (K,) is how many sweets of each colour there are; it is never exceeded. `progress` is given
    shares of the work done. Raises `InputError` for a photo or library that cannot be used, for a
    stock smaller than the board, and `SettingError` for a board that holds no sweet.
    """
    usable = tuple(colours)
    _check_library(usable, settings.layout)
    if photo.ndim not in (2, 3) or photo.size == 0:
        raise InputError(f"a photo of shape {photo.shape} holds no picture.")
    layout = fit_layout(
        settings.layout, settings.short_edge, photo.shape[1] / photo.shape[0], settings.side_height
    )
    if stock is not None:
        check_stock(stock, [colour.name for colour in usable], layout.sweets)
    compile_kernels()
    begin_s = time.process_time()
    board = board_photo(photo, layout, PIXELS_PER_PITCH)
    target = at_cells(from_afar(board, PIXELS_PER_PITCH), layout, PIXELS_PER_PITCH)
    card = choose_card(settings.card, usable, layout, target)
    plan = _Plan(photo, board, target, usable, layout, card, settings)
    rough = stock is not None and settings.method == "search"
    colour, chip, turns = plan.lay(min(ROUGH_PASSES, settings.passes) if rough else settings.passes, progress)
    wanted = np.bincount(colour.ravel(), minlength=len(usable))
    if stock is not None:
        colour = plan.within(stock, colour, wanted, progress)
        chip = chip % _chip_counts(usable, layout)[colour]
    cpu_s = time.process_time() - begin_s
    return Mosaic(photo, layout, usable, card, colour, chip, turns, target, wanted, cpu_s)


@dataclass(frozen=True)
class _Plan:
    """What every method starts from."""

    photo: NDArray[Any]
    board: Image
    target: Image
    colours: tuple[Colour, ...]
    layout: Layout
    card: NDArray[np.float64]
    settings: MosaicSettings

    @cached_property
    def paint(self) -> Paint:
        return _paint(self.colours, self.layout, self.card)

    @cached_property
    def gamut(self) -> Gamut:
        return Gamut(self.paint.light)

    def lay(self, passes: int, progress: Progress) -> tuple[Cells, Cells, Cells]:
        """Colour, chip and turns of every cell by the chosen method, from an endless stock."""
        if self.settings.method == "chips":
            return best_chips(self.photo, self.layout, self.colours, self.card)
        if self.settings.method == "search":
            search = self._search_board()
            anneal(search, passes, progress=progress)
            colour = search.colour
        else:
            colour = self._cell_by_cell()
        chip, turns = _any_chips(self.layout, self.settings.seed)
        return colour, chip % _chip_counts(self.colours, self.layout)[colour], turns

    def within(
        self, stock: NDArray[np.integer[Any]], colour: Cells, wanted: NDArray[np.int64], progress: Progress
    ) -> Cells:
        """Colours within the stock: searched with prices where it is short, or the method's own, changed at need."""
        if self.settings.method == "search":
            short = bool(np.any(wanted > PLENTY * stock))
            search = self._search_board()
            anneal(search, self.settings.passes, stock if short else None, progress)
        else:
            search = self._search_board(colour)
        if np.any(search.counts() > stock):
            settle(search, stock)
        return search.colour

    def _search_board(self, colour: Cells | None = None) -> Board:
        reachable = self.gamut.nearest(self.target)
        return make_board(self.target, reachable, self.paint, self.layout, self.settings.seed, colour)

    def _cell_by_cell(self) -> Cells:
        """The simple methods look at each cell's own mean, not at the blurred photo."""
        cell = (PIXELS_PER_PITCH, max(1, round(PIXELS_PER_PITCH * self.layout.row_step)))
        own = at_cells(cv2.blur(self.board, cell), self.layout, PIXELS_PER_PITCH)
        if self.settings.method == "nearest":
            return nearest_colours(own, self.paint.light)
        return diffuse(self.gamut.nearest(own), self.paint.light, self.layout)


def choose_card(card: str, colours: Sequence[Colour], layout: Layout, target: Image) -> NDArray[np.float64]:
    """Linear light (3,) of the card; `auto` is the one, white or black, with the lower floor for this photo."""
    srgb = card_srgb(card)
    if srgb is not None:
        return linear_from_srgb(np.array(srgb, np.uint8)).astype(np.float64)
    flat = target.reshape(-1, 3)
    sample = flat[:: max(1, len(flat) // CARD_SAMPLES)]
    cards = [np.zeros(3), np.ones(3)]
    floors = [Gamut(_paint(colours, layout, each).light).floor(sample) for each in cards]
    return cards[int(np.argmin(floors))]


def _paint(colours: Sequence[Colour], layout: Layout, card: NDArray[np.float64]) -> Paint:
    return cell_paint(tuple(colours), layout.kind, layout.row_step, card)


def _chip_counts(colours: Sequence[Colour], layout: Layout) -> NDArray[np.int64]:
    return np.array([len(colour.chips(layout.kind)) for colour in colours])


def _any_chips(layout: Layout, seed: int) -> tuple[Cells, Cells]:
    """A number for every cell, drawn so that no pattern of chips shows, and no turn: a round sweet has no front."""
    rng = np.random.default_rng(seed)
    chip = rng.integers(0, 2**20, (layout.rows, layout.cols), dtype=np.int32)
    return chip, np.zeros_like(chip)


def layable(colours: Sequence[Colour], layout: str) -> tuple[Colour, ...]:
    """The colours that have chips for a layout; raises `InputError` where none has."""
    chosen = tuple(colour for colour in colours if colour.chips(layout))
    _check_library(chosen, layout)
    return chosen


def _check_library(colours: tuple[Colour, ...], layout: str) -> None:
    if not colours:
        raise InputError(
            f"the library has no colours for the layout {layout}: run `sketch-cell sweets` with a photo of such sweets."
        )
    bare = [colour.name for colour in colours if not colour.chips(layout)]
    if bare:
        view = "from the side" if layout == "side" else "from above"
        raise InputError(
            f"the library has no chips {view} of {', '.join(bare)}: photograph such sweets or choose another layout."
        )
