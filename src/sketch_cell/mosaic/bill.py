"""What the mosaic takes: sweets by colour, weight, size, price, and the mixed bags that hold enough of each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import SettingError
from sketch_cell.mosaic.settings import BillSettings

ROUNDING = 1e-6  # of a sweet


@dataclass(frozen=True)
class Line:
    """One colour of the bill; `missing` is what a stock lacks, `left_over` what the bags hold too much."""

    colour: str
    sweets: int
    weight_kg: float
    price: float
    missing: int
    left_over: int


@dataclass(frozen=True)
class Bill:
    """The whole bill; lengths in metres, prices in the currency of the settings."""

    lines: tuple[Line, ...]
    width_m: float
    height_m: float
    bags: int
    bags_price: float

    @property
    def sweets(self) -> int:
        """All sweets."""
        return sum(line.sweets for line in self.lines)

    @property
    def weight_kg(self) -> float:
        """Their weight."""
        return sum(line.weight_kg for line in self.lines)

    @property
    def price(self) -> float:
        """Their price when bought singly by colour."""
        return sum(line.price for line in self.lines)

    @property
    def left_over(self) -> int:
        """Sweets left when they are bought in mixed bags."""
        return sum(line.left_over for line in self.lines)


def make_bill(
    names: Sequence[str],
    counts: NDArray[np.integer],
    size_m: tuple[float, float],
    settings: BillSettings,
    *,
    missing: NDArray[np.integer] | None = None,
) -> Bill:
    """The bill for counts (K,) of the named colours on a board of size_m (width, height)."""
    shares = bag_shares(settings.bag_shares, names)
    bags = bags_needed(counts, shares, settings.bag_sweets)
    in_bags = _split(bags * settings.bag_sweets, shares)
    lacking = np.zeros(len(names), int) if missing is None else missing
    lines = tuple(
        Line(
            name,
            int(count),
            int(count) * settings.weight_kg,
            int(count) * settings.price,
            int(lacks),
            int(held - count),
        )
        for name, count, lacks, held in zip(names, counts, lacking, in_bags, strict=True)
    )
    return Bill(lines, *size_m, bags, bags * settings.bag_price)


def _split(total: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers (K,) that add up to `total`, as near to the shares as can be (largest remainders)."""
    exact = shares * total
    parts = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())]] += 1
    return parts


def bag_shares(text: str, names: Sequence[str]) -> NDArray[np.float64]:
    """Share (K,) of each named colour in a bag, sum 1; raises `SettingError` where the text makes no sense."""
    if text.strip() == "equal":
        return np.full(len(names), 1.0 / len(names))
    shares = dict.fromkeys(names, 0.0)
    for part in text.split(","):
        name, _, amount = part.partition("=")
        try:
            value = float(amount)
        except ValueError:
            value = math.nan
        if name.strip() not in shares or not 0.0 <= value < math.inf:
            raise SettingError(
                f"bag_shares has {part.strip()!r}, but must be equal or colour=number with colours of the "
                f"library ({', '.join(names)}) and numbers of 0 or more."
            )
        shares[name.strip()] = value
    total = sum(shares.values())
    if total <= 0.0:
        raise SettingError("bag_shares gives no colour a share above 0.")
    return np.array(list(shares.values())) / total


def check_bags(text: str, names: Sequence[str], may_be_laid: NDArray[np.bool_]) -> None:
    """Refuse, before a long search, bags that hold nothing of a colour that may be laid (K,).

    `text` is as for `bag_shares`. Raises `SettingError` that names the colours.
    """
    shares = bag_shares(text, names)
    bare = [name for name, may, share in zip(names, may_be_laid, shares, strict=True) if may and not share]
    if bare:
        raise SettingError(
            f"bag_shares gives 0 to {', '.join(bare)}, which the mosaic may need: give them a share."
        )


def bags_needed(counts: NDArray[np.integer], shares: NDArray[np.float64], bag_sweets: int) -> int:
    """Least number of bags that hold enough of every colour, a colour's sweets in all bags rounded down.

    Raises `SettingError` where a colour is needed that no bag holds.
    """
    per_bag = shares * bag_sweets
    if np.any((counts > 0) & (per_bag <= 0)):
        raise SettingError("bag_shares gives 0 to a colour that the mosaic needs: give it a share.")
    needed = counts > 0
    # Shares are rounded numbers: 0.29 of 100 sweets must hold 29, not 28.
    bags = int(np.max(np.ceil(counts[needed] / per_bag[needed] - ROUNDING), initial=0))
    while np.any(np.floor(per_bag * bags + ROUNDING)[needed] < counts[needed]):
        bags += 1
    return bags


def bill_csv(bill: Bill) -> str:
    """The bill as CSV: one row per colour, then a row of sums."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["colour", "sweets", "kilosweets", "weight_kg", "price", "missing", "left_over_from_bags"]
    )
    for line in bill.lines:
        writer.writerow(
            [
                line.colour,
                line.sweets,
                f"{line.sweets / 1000:.3f}",
                f"{line.weight_kg:.3f}",
                f"{line.price:.2f}",
                line.missing,
                line.left_over,
            ]
        )
    missing = sum(line.missing for line in bill.lines)
    writer.writerow(
        [
            "all",
            bill.sweets,
            f"{bill.sweets / 1000:.3f}",
            f"{bill.weight_kg:.3f}",
            f"{bill.price:.2f}",
            missing,
            bill.left_over,
        ]
    )
    return out.getvalue()
