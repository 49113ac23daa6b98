"""A stock of sweets that is never exceeded: read, made to hold by min-cost flow, then improved by swaps."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.mosaic.board import Board

SWAP_PASSES = 8  # after a method that does not search
COLDEST = 0.3  # last temperature of the swaps but one [summed CIEDE2000]
WISH_STEP = 0.5  # price for a wish more to a colour than away from it, per equal share
FLOW_COST_SCALE = 1000  # the flow counts in whole numbers
SPARE_CANDIDATES = 4  # cells offered to the flow for each sweet that must go


def read_stock(path: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """Count (K,) of each named colour from a CSV of colour,count; colours not listed count 0.

    Raises `InputError` that names the file for unknown colours, counts below 0 and files that are no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: give a CSV file with the columns colour and count."
        ) from error
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["colour", "count"]:
        rows = rows[1:]
    if not rows:
        raise InputError(f"{path} lists no colours: give a CSV file with the columns colour and count.")
    counts = dict.fromkeys(names, 0)
    for row in rows:
        name, count = _stock_row(path, row, names)
        counts[name] += count
    return np.array(list(counts.values()), np.int64)


def _stock_row(path: Path, row: Sequence[str], names: Sequence[str]) -> tuple[str, int]:
    name = row[0].strip()
    if name not in names:
        raise InputError(f"{path} has the unknown colour {name!r}: the library has {', '.join(names)}.")
    try:
        count = int(row[1])
    except (IndexError, ValueError) as error:
        raise InputError(
            f"{path} gives no whole number of {name} sweets: write a line like {name},120."
        ) from error
    if count < 0:
        raise InputError(f"{path} counts {count} {name} sweets: a count is 0 or more.")
    return name, min(count, 2**40)


def check_stock(
    stock: NDArray[np.integer[Any]], names: Sequence[str], sweets: int, source: str = "the stock"
) -> None:
    """Raise `InputError` where stock (K,) cannot fill a board of so many sweets."""
    if stock.shape != (len(names),) or np.any(stock < 0):
        raise InputError(f"{source} must hold one count of 0 or more for each of {', '.join(names)}.")
    if int(stock.sum()) < sweets:
        raise InputError(
            f"{source} has {int(stock.sum())} sweets, {sweets - int(stock.sum())} fewer than the {sweets} the board "
            "needs: choose a shorter short_edge or get more."
        )


def settle(
    board: Board,
    stock: NDArray[np.integer[Any]],
    passes: int = SWAP_PASSES,
    price: NDArray[np.float64] | None = None,
    temperature: float = 0.0,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Bring a board within stock (K,) at least cost, then swap sweets in cooling passes, all in place.

    `price` (K,) comes from a search that heeded the stock; no pass ever exceeds the stock.
    """
    price = np.zeros(len(stock)) if price is None else price
    flow_into_stock(board, stock)
    spare = np.asarray(stock, np.int64) - board.counts()
    scarce = spare.sum() == 0
    for number in range(passes):
        last = number == passes - 1
        warmth = (
            0.0
            if last
            else temperature * (COLDEST / max(temperature, COLDEST)) ** (number / max(1, passes - 1))
        )
        wishes = board.trade(warmth, price, spare)
        board.swap(warmth)
        pull = (wishes.sum(axis=0) - wishes.sum(axis=1)) * (len(stock) / board.colour.size)
        raised = np.maximum(0.0, price + WISH_STEP * pull)
        price = raised if scarce else np.where(spare > 0, np.maximum(0.0, price - 0.1), raised)
        progress(1.0 / passes)


def flow_into_stock(board: Board, stock: NDArray[np.integer[Any]]) -> None:
    """Change as few and as cheap sweets as it takes to keep within stock (K,), in place: min-cost flow, OR-tools.

    Each overdrawn colour offers its cheapest cells; each cell sends one unit to a colour; a colour takes
    what its stock still holds.
    """
    counts = board.counts()
    if np.all(counts <= stock):
        return
    costs = board.change_costs()
    cells = _candidates(board, costs, counts, np.asarray(stock, np.int64))
    own = board.colour.ravel()[cells]
    room = np.asarray(stock, np.int64) - (counts - np.bincount(own, minlength=len(stock)))
    colours = _flow(costs[cells], np.minimum(room, len(cells)))
    moved = colours != own
    board.relay(cells[moved], colours[moved].astype(np.int32))


def _candidates(
    board: Board, costs: NDArray[np.float32], counts: NDArray[np.int64], stock: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Cells (n,) of overdrawn colours that would change at least cost, more than enough of each colour."""
    room = counts < stock
    least = costs[:, room].min(axis=1)
    chosen = []
    for colour in np.flatnonzero(counts > stock):
        cells = np.flatnonzero(board.colour.ravel() == colour)
        offered = min(len(cells), SPARE_CANDIDATES * int(counts[colour] - stock[colour]) + 64)
        chosen.append(cells[np.argpartition(least[cells], offered - 1)[:offered]])
    return np.concatenate(chosen)


def _flow(costs: NDArray[np.float32], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """Colour (n,) of each cell that minimises summed costs (n, K) with at most room (K,) cells of each colour."""
    from ortools.graph.python import min_cost_flow

    cells, colours = costs.shape
    problem = min_cost_flow.SimpleMinCostFlow()
    start = np.repeat(np.arange(cells), colours)
    end = np.tile(np.arange(cells, cells + colours), cells)
    unit = np.round(costs.ravel().astype(np.float64) * FLOW_COST_SCALE).astype(np.int64)
    arcs = problem.add_arcs_with_capacity_and_unit_cost(start, end, np.ones(len(start), np.int64), unit)
    sink = cells + colours
    problem.add_arcs_with_capacity_and_unit_cost(
        np.arange(cells, sink), np.full(colours, sink), room, np.zeros(colours, np.int64)
    )
    problem.set_nodes_supplies(np.arange(cells), np.ones(cells, np.int64))
    problem.set_node_supply(sink, -cells)
    status = problem.solve()
    if status != problem.OPTIMAL:
        raise InputError("the stock is smaller than the board: choose a shorter short_edge or get more.")
    result: NDArray[np.int64] = np.argmax(problem.flows(arcs).reshape(cells, colours), axis=1)
    return result


def missing(wanted: NDArray[np.integer[Any]], stock: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """How many more sweets (K,) of each colour the mosaic would have taken without a stock."""
    return np.maximum(0, np.asarray(wanted, np.int64) - np.asarray(stock, np.int64))
