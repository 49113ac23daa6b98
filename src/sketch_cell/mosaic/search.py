"""The default method: direct search for the board that, blurred as by the eye, is nearest to the photo.

Every sweet in turn takes the colour that minimises the summed colour difference of the blurred image over
the cells that see it, and towards the end neighbours also swap. A heat bath that cools (Kirkpatrick, Gelatt and
Vecchi, 1983) takes the place of dithering: the toggles and swaps of direct binary search (Analoui and Allebach,
1992), in colour, and with the card in the model.
Where the stock is short, colours get prices that rise with demand (dual ascent), before `stock` makes the counts exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.board import Board
from sketch_cell.mosaic.stock import settle

HOT, COLD = 4.0, 1.0  # first and last temperature [summed CIEDE2000]
COLD_WITH_STOCK = 1.2  # the trades that follow cool further
SWAPS_FROM = 2 / 3  # of the passes: from then on neighbours swap as well
LAST_SWAPS = 2  # passes of nothing but swaps that better the board
PRICE_STEP = 3.0  # [summed CIEDE2000] per equal share that a colour is overdrawn


def anneal(
    board: Board,
    passes: int,
    stock: NDArray[np.integer[Any]] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Search in `passes` cooling passes, in place; with stock (K,) the counts end within it.

    `progress` is given shares of the work that sum to 1.
    """
    price = np.zeros(len(board.optics.light))
    free = passes if stock is None else max(1, passes // 2)
    cold = COLD if stock is None else COLD_WITH_STOCK
    for number in range(free):
        share = number / max(1, free - 1)
        last = stock is None and number == free - 1
        temperature = 0.0 if last else HOT * (cold / HOT) ** share
        board.sweep(temperature, price, try_all=last)
        if stock is not None:
            overdrawn = (board.counts() - stock) * (len(stock) / board.colour.size)
            price = _asked(price, overdrawn, PRICE_STEP * (1.0 - 0.8 * share))
        elif share >= SWAPS_FROM:
            board.swap(temperature)
        progress(1.0 / passes)
    if stock is not None:
        settle(
            board, stock, passes - free, price, cold, lambda amount: progress(amount * (1.0 - free / passes))
        )
    for _ in range(LAST_SWAPS):
        board.swap(0.0)


def _asked(
    price: NDArray[np.float64], overdrawn: NDArray[np.floating[Any]], step: float
) -> NDArray[np.float64]:
    """New prices (K,): up where a colour is overdrawn, down to nothing where enough is left."""
    return np.maximum(0.0, price + step * overdrawn)
