"""`sketch-cell mosaic PHOTO`: lay a photo out of sweets, with bill, build plan and placements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sketch_cell.commands.console import console, progress, say
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.errors import InputError
from sketch_cell.files import check_outputs
from sketch_cell.mosaic.settings import FILES, BillSettings, LayingSettings, MosaicSettings
from sketch_cell.mosaic.sweets_settings import LIBRARY_FILES
from sketch_cell.packages import is_installed, need

if TYPE_CHECKING:
    from sketch_cell.mosaic.outputs import Outputs

A_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("photo", type=A_PATH)
@click.option("--out", type=A_PATH, default="output/mosaic", show_default=True, help="Folder for all files.")
@click.option(
    "--library", type=A_PATH, help="Folder made by `sketch-cell sweets`; without it, eight rendered colours."
)
@click.option("--stock", type=A_PATH, help="CSV of colour,count; what it holds is never exceeded.")
@settings_options(MosaicSettings)
@settings_options(BillSettings)
@settings_options(LayingSettings)
def mosaic(photo: Path, out: Path, library: Path | None, stock: Path | None, **options: Any) -> None:
    """Lay PHOTO out of sweets.

    Writes pictures, placements for a robot, a build plan for people, the bill and a report.

    Example: sketch-cell mosaic holiday.jpg --short-edge 60 --stock stock.csv --out wall
    """
    settings = settings_from(MosaicSettings, options)
    bill_settings = settings_from(BillSettings, options)
    laying = settings_from(LayingSettings, options)

    if stock:
        need("ortools", "--stock")
    kept = [library / name for name in LIBRARY_FILES] if library else []
    check_outputs([out / name for name in FILES], (photo, stock, *kept))
    if not is_installed("reportlab"):
        say("plan.pdf is left out: it needs reportlab (pip install reportlab).")

    # Planning compiles and imports much: only now, when it is needed.
    import numpy as np

    from sketch_cell.mosaic.bill import check_bags
    from sketch_cell.mosaic.default_library import default_library
    from sketch_cell.mosaic.layout import fit_layout
    from sketch_cell.mosaic.library_files import read_library
    from sketch_cell.mosaic.mosaic import layable, plan_mosaic
    from sketch_cell.mosaic.outputs import make_outputs
    from sketch_cell.mosaic.stock import check_stock, read_stock
    from sketch_cell.picture.read import read_photo

    known = read_library(library) if library else default_library()
    colours = layable(known, settings.layout)
    every = [colour.name for colour in known]
    left_out = [colour.name for colour in known if not colour.chips(settings.layout)]
    laid = ~np.isin(every, left_out)
    for bare in left_out:
        say(f"{bare} is left out: the library has no chips of it for the layout {settings.layout}.")
    # Stock and bags may well hold colours that this layout cannot lay.
    held = read_stock(stock, every) if stock else None
    counts = None if held is None else held[laid]
    check_bags(bill_settings.bag_shares, every, laid if held is None else laid & (held > 0))
    try:
        pixels = read_photo(photo.read_bytes())
    except OSError as error:
        raise InputError(f"{photo} cannot be read: {error.strerror}. Name a photo.") from error
    except InputError as error:
        raise InputError(f"{photo}: {error}") from error
    if counts is not None:
        aspect = pixels.shape[1] / pixels.shape[0]
        board = fit_layout(settings.layout, settings.short_edge, aspect, settings.side_height)
        check_stock(counts, [colour.name for colour in colours], board.sweets, str(stock))
    try:
        with progress("laying sweets", 1.0 if counts is None else 2.0) as advance:
            plan = plan_mosaic(pixels, colours, settings, stock=counts, progress=advance)
    except InputError as error:
        raise InputError(f"{photo}: {error}") from error
    with progress("writing", 1.0) as advance:
        outputs = make_outputs(plan, settings, bill_settings, laying, counts, left_out, advance)
        outputs.write(out)
    _show(outputs, out)


def _show(outputs: Outputs, out: Path) -> None:
    """The bill as a table and the report in two lines, for a person."""
    from rich.table import Table

    bill, report = outputs.bill, outputs.report
    table = Table(title=f"{bill.sweets / 1000:.1f} kilosweets on {bill.width_m:.2f} x {bill.height_m:.2f} m")
    for heading in ("colour", "sweets", "kg", "price", "missing", "left over"):
        table.add_column(heading, justify="left" if heading == "colour" else "right")
    for line in bill.lines:
        cells = (
            f"{line.sweets}",
            f"{line.weight_kg:.2f}",
            f"{line.price:.2f}",
            f"{line.missing}",
            f"{line.left_over}",
        )
        table.add_row(line.colour, *cells)
    table.add_section()
    table.add_row(
        "all",
        f"{bill.sweets}",
        f"{bill.weight_kg:.2f}",
        f"{bill.price:.2f}",
        f"{sum(line.missing for line in bill.lines)}",
        f"{bill.left_over}",
    )
    console.print(table)
    console.print(
        f"{bill.bags} mixed bags hold it all, for {bill.bags_price:.2f}. Laying takes "
        f"{report['laying_time_s'] / 3600:.1f} h at the given time per sweet."
    )
    console.print(
        f"mean CIEDE2000 {report['dE00_mean']:.2f} (least possible {report['floor_dE00']:.2f}), "
        f"SSIM {report['ssim']:.3f}, {report['card']} card, {report['cpu_s']:.1f} s: {out}"
    )
