"""Everything a finished plan leaves behind: pictures, placements, bill, build plan and report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.files import write_whole
from sketch_cell.mosaic.appearance import from_afar, picture_size
from sketch_cell.mosaic.bill import Bill, bill_csv, make_bill
from sketch_cell.mosaic.colour import srgb_from_linear
from sketch_cell.mosaic.gamut_picture import gamut_png
from sketch_cell.mosaic.mosaic import Mosaic
from sketch_cell.mosaic.placements import laying_time_s, place, placements_csv
from sketch_cell.mosaic.plan_pdf import plan_pdf
from sketch_cell.mosaic.settings import BillSettings, LayingSettings, MosaicSettings
from sketch_cell.mosaic.stock import missing
from sketch_cell.packages import is_installed

LONGEST_PICTURE_PX = 1600
Step = Callable[[float], None]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The files of a plan by name, and the report as a dictionary."""

    files: dict[str, bytes]
    report: dict[str, Any]
    bill: Bill

    def write(self, folder: Path) -> None:
        """Write every file into a folder, each whole or not at all."""
        for name, content in self.files.items():
            write_whole(folder / name, content)


def make_outputs(
    mosaic: Mosaic,
    settings: MosaicSettings,
    bill_settings: BillSettings,
    laying: LayingSettings,
    stock: NDArray[np.integer[Any]] | None = None,
    left_out: Sequence[str] = (),
    progress: Step = lambda share: None,
) -> Outputs:
    """All files of a plan; `left_out` are colours that cannot be laid but are in the bags.

    Raises `SettingError` for a bill that makes no sense, before anything is written.
    """
    bill = bill_of(mosaic, settings, bill_settings, stock, left_out)
    picture = mosaic.picture(pixels_per_pitch(mosaic))
    progress(0.2)
    afar = srgb_from_linear(from_afar(picture, pixels_per_pitch(mosaic)))
    placements = place(mosaic, settings.pitch_m, settings.sweet_height_m)
    progress(0.2)
    report = report_of(mosaic, settings, bill, stock)
    report["laying_time_s"] = laying_time_s(placements, laying.seconds_per_place_s)
    mosaic_srgb = srgb_from_linear(picture)
    progress(0.2)
    files = {
        "mosaic.png": png(mosaic_srgb),
        "from_afar.png": png(np.hstack([mosaic_srgb, afar])),
        "placements.csv": placements_csv(placements).encode(),
        "bill.csv": bill_csv(bill).encode(),
        "gamut.png": gamut_png(mosaic),
        "report.json": (json.dumps(report, indent=2) + "\n").encode(),
    }
    if is_installed("reportlab"):
        files["plan.pdf"] = plan_pdf(mosaic, bill, settings, laying, mosaic_srgb, afar)
    progress(0.4)
    return Outputs(files, report, bill)


def bill_of(
    mosaic: Mosaic,
    settings: MosaicSettings,
    bill_settings: BillSettings,
    stock: NDArray[np.integer[Any]] | None = None,
    left_out: Sequence[str] = (),
) -> Bill:
    """The bill of a mosaic, colours left out of it with no sweets; with a stock, what it lacks."""
    names = [*(colour.name for colour in mosaic.colours), *left_out]
    size_m = (mosaic.layout.width * settings.pitch_m, mosaic.layout.height * settings.pitch_m)
    none = np.zeros(len(left_out), np.int64)
    lacking = np.zeros_like(mosaic.wanted) if stock is None else missing(mosaic.wanted, stock)
    return make_bill(
        names, np.append(mosaic.counts(), none), size_m, bill_settings, missing=np.append(lacking, none)
    )


def report_of(
    mosaic: Mosaic, settings: MosaicSettings, bill: Bill, stock: NDArray[np.integer[Any]] | None
) -> dict[str, Any]:
    """What `report.json` says: the layout, how like the photo it is, and what planning took."""
    likeness = mosaic.likeness
    over = 0 if stock is None else int(np.maximum(0, mosaic.counts() - stock).sum())
    card = "#" + "".join(f"{value:02x}" for value in srgb_from_linear(mosaic.card).tolist())
    return {
        "layout": mosaic.layout.kind,
        "rows": mosaic.layout.rows,
        "cols": mosaic.layout.cols,
        "method": settings.method,
        "card": {"#000000": "black", "#ffffff": "white"}.get(card, card),
        "sweets": mosaic.layout.sweets,
        "width_m": round(bill.width_m, 4),
        "height_m": round(bill.height_m, 4),
        "weight_kg": round(bill.weight_kg, 3),
        "dE00_mean": round(likeness.de00_mean, 3),
        "dE00_p95": round(likeness.de00_p95, 3),
        "dE00_mean_sigma2": round(likeness.de00_mean_afar, 3),
        "ssim": round(likeness.ssim, 4),
        "graininess": round(likeness.graininess, 3),
        "floor_dE00": round(mosaic.floor_de00, 3),
        "cpu_s": round(mosaic.cpu_s, 3),
        "over_stock": over,
        "missing": {line.colour: line.missing for line in bill.lines if line.missing},
        "counts": dict(zip((each.name for each in mosaic.colours), mosaic.counts().tolist(), strict=True)),
    }


def pixels_per_pitch(mosaic: Mosaic) -> int:
    """The finest scale at which the picture of a board stays within LONGEST_PICTURE_PX, 2 to 24."""
    longest = max(picture_size(mosaic.layout, 1))
    return int(np.clip(LONGEST_PICTURE_PX // longest, 2, 24))


def png(picture: NDArray[np.uint8]) -> bytes:
    """A PNG file's bytes of an sRGB picture (rows, cols, 3)."""
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    return data.tobytes()
