"""Settings of how sweets are found in photos."""

from __future__ import annotations

from dataclasses import dataclass

from sketch_cell.settings import Settings, setting

# What a library holds besides its chips.
LIBRARY_FILES = ("palette.csv", "report.json", "board.png")


@dataclass(frozen=True)
class SweetsSettings(Settings):
    """How sweets are told from the sheet, from each other, and by colour."""

    method: str = setting(
        "lab",
        "lab: colour difference to the sheet and watershed; threshold: grey, blur, threshold, erosion, dilation; "
        "hough: circles of one radius in packed trays",
        choices=("lab", "threshold", "hough"),
    )
    threshold: str = setting(
        "otsu", "How the threshold method finds its level", choices=("fixed", "otsu", "adaptive")
    )
    level: int = setting(128, "Grey level of the fixed threshold", unit="of 255", minimum=1, maximum=254)
    radius_px: float = setting(
        0.0,
        "Radius of a sweet in the photo for hough; 0: from the scale marker, or estimated",
        unit="px",
        minimum=0.0,
    )
    diameter_m: float = setting(
        0.0127, "Diameter of a sweet, used with a scale marker", unit="m", minimum=1e-4, maximum=1.0
    )
    marker_m: float = setting(
        0.02, "Edge of the ArUco marker (4x4 bits) on the sheet", unit="m", minimum=1e-3, maximum=1.0
    )
    sheet: str = setting(
        "auto",
        "Colour of the sheet: a white one also balances the colours",
        choices=("auto", "white", "coloured"),
    )
    colours: int = setting(0, "Number of colours; 0: estimated", minimum=0, maximum=100)
