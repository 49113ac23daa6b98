"""Settings of the mosaic: how sweets are laid, what they cost, how a robot lays them."""

from __future__ import annotations

from dataclasses import dataclass

from sketch_cell.errors import SettingError
from sketch_cell.mosaic.layout import MAX_SWEETS
from sketch_cell.settings import Settings, setting

LAYOUTS = ("square", "hex", "side")
# What a plan leaves in its folder (`mosaic.outputs`).
FILES = ("mosaic.png", "from_afar.png", "placements.csv", "bill.csv", "gamut.png", "plan.pdf", "report.json")
METHODS = ("search", "diffusion", "nearest", "chips")


@dataclass(frozen=True)
class MosaicSettings(Settings):
    """How a photo becomes a board of sweets."""

    layout: str = setting(
        "square", "Lattice: square, hexagonal, or sweets lying on their side", choices=LAYOUTS
    )
    short_edge: int = setting(
        100, "Length of the board's short edge in sweets", unit="sweets", minimum=1, maximum=MAX_SWEETS
    )
    method: str = setting(
        "search",
        "How colours are chosen: search on the image as seen, error diffusion, nearest colour, best chip",
        choices=METHODS,
    )
    card: str = setting("auto", "Colour of the card under the sweets: auto, white, black or #rrggbb")
    pitch_m: float = setting(
        0.0127, "Distance of neighbouring sweets, a sweet's diameter", unit="m", minimum=1e-4, maximum=1.0
    )
    sweet_height_m: float = setting(
        0.008, "How thick a sweet is; the height of one on its side", unit="m", minimum=1e-4, maximum=1.0
    )
    passes: int = setting(
        60, "Passes of the search over the board: more is slower and finer", minimum=2, maximum=1000
    )
    seed: int = setting(0, "Seed of the search's random numbers", minimum=0, maximum=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        card_srgb(self.card)
        if not 0.2 <= self.side_height <= 5.0:
            raise SettingError(
                f"sweet_height_m must be from a fifth to five times pitch_m, and not {self.side_height:g} times."
            )

    @property
    def side_height(self) -> float:
        """Height of a sweet on its side [pitches]."""
        return self.sweet_height_m / self.pitch_m


@dataclass(frozen=True)
class BillSettings(Settings):
    """What sweets weigh and cost, and how they are sold."""

    weight_kg: float = setting(0.00106, "Weight of one sweet", unit="kg", minimum=0.0, maximum=1.0)
    price: float = setting(0.01, "Price of one sweet, in any currency", minimum=0.0)
    bag_sweets: int = setting(60, "Sweets in a bag of mixed colours", minimum=1)
    bag_price: float = setting(0.6, "Price of a bag, in any currency", minimum=0.0)
    bag_shares: str = setting(
        "equal", "Share of each colour in a bag: equal, or like red=0.3,green=0.7 (in any proportion)"
    )


@dataclass(frozen=True)
class LayingSettings(Settings):
    """How sweets are laid by a person with templates, or by a robot."""

    seconds_per_place_s: float = setting(2.0, "Time to pick and place one sweet", unit="s", minimum=0.0)
    template_sweets: int = setting(
        25, "Length of a template's edge in the build plan", unit="sweets", minimum=5, maximum=40
    )


def card_srgb(card: str) -> tuple[int, int, int] | None:
    """sRGB of a card's name (None for auto); raises `SettingError` for what is no colour."""
    if card == "auto":
        return None
    named = {"white": "#ffffff", "black": "#000000"}.get(card, card)
    digits = named[1:]
    if named[:1] != "#" or len(digits) != 6 or any(d not in "0123456789abcdefABCDEF" for d in digits):
        raise SettingError(f"card is {card!r}, but must be auto, white, black or #rrggbb.")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
