"""`sketch-cell simulate`: whole drawings in-process, seeded, faults included, judged by the twin's truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sketch_cell.commands.console import console, progress
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.commands.table import read_table
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.errors import InputError
from sketch_cell.files import check_outputs, write_whole
from sketch_cell.machine.motion import MotionSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sketch_cell.commands.whole_cell import CellSettings, Drawing
    from sketch_cell.twin.toy import ToySettings

ON_GLASS_M = 1e-5  # how far files round a point


@click.command()
@click.argument("source", metavar="PHOTO|PLAN.csv", type=click.Path(path_type=Path))
@click.option(
    "--loop",
    type=click.Choice(["open", "backlash", "homing", "camera"]),
    default="camera",
    show_default=True,
    help="What corrects the drawing.",
)
@click.option(
    "--faults",
    type=click.Path(path_type=Path),
    help="YAML of `toy:` and `camera:` settings, each a value or a range [low, high]; by default backlash x 1.4-1.75 "
    "and y 1.2-2.0 mm, hard to soft, +-10 % with place, and lost steps 1e-3 per reversal.",
)
@click.option("--seeds", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many runs.")
@click.option("--first-seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the first.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures here.")
@click.option("--cells", default=64, show_default=True, help="Cells along the long edge of a planned photo.")
@settings_options(MotionSettings)
def simulate(
    source: Path,
    loop: str,
    faults: Path | None,
    seeds: int,
    first_seed: int,
    json_file: Path | None,
    cells: int,
    **options: Any,
) -> None:
    """Draw a photo, or a planned line (CSV with columns x_m,y_m), on the simulated toy without ROS.

    The same driver, tracker and controller as in the cell; deterministic for each seed.

    Example: sketch-cell simulate holiday.jpg --seeds 5 --json figures.json
    """
    from sketch_cell.commands.faults import Faults, read_faults

    check_outputs([json_file], (source, faults))
    line_m = read_line(source, cells)
    motion = settings_from(MotionSettings, options)
    chosen = read_faults(faults) if faults else Faults()
    runs = []
    for seed in range(first_seed, first_seed + seeds):
        settings = chosen.cell(seed, loop, motion)
        _check_on_glass(line_m, source, settings.toy)
        with progress(f"seed {seed}", 1.0) as advance:
            figures = run_figures(line_m, settings, seed, advance)
        runs.append(figures)
        console.print(_sentence(figures))
    report = {"source": source.name, "loop": loop, "runs": runs}
    text = json.dumps(report, indent=2) + "\n"
    if json_file:
        write_whole(json_file, text)
    else:
        click.echo(text, nl=False)


def run_figures(
    line_m: NDArray[np.float64], settings: CellSettings, seed: int, advance: Any = None
) -> dict[str, Any]:
    """Draw line_m (N, 2) [m, screen] once and return the figures of issue 7, plus what explains them."""
    from sketch_cell.commands.whole_cell import draw

    shown = 0.0

    def watch(_: Any, outputs: Any) -> None:
        nonlocal shown
        if advance and outputs.status.progress > shown + 0.005:
            advance(outputs.status.progress - shown)
            shown = outputs.status.progress

    drawing, cell = draw(line_m, settings, seed, watch)
    return figures_of(drawing, line_m, settings) | {"simulated_s": round(cell.world.now_s, 1)}


def figures_of(drawing: Drawing, line_m: NDArray[np.float64], settings: CellSettings) -> dict[str, Any]:
    """The figures of one drawing as they stand in the JSON."""
    from sketch_cell.commands.likeness import likeness
    from sketch_cell.control.recovery import recovered_m, strays_m

    found, losses_m = drawing.deviation, drawing.losses_along_m
    toy = settings.toy
    return {
        "seed": drawing.seed,
        "state": drawing.state.value,
        "reason": drawing.reason,
        "deviation_rms_mm": round(found.rms_m * 1e3, 4),
        "deviation_p95_mm": round(found.p95_m * 1e3, 4),
        "deviation_max_mm": round(found.max_m * 1e3, 4),
        "ssim": round(likeness(found.trace_xy_m, line_m, toy.width_m, toy.height_m), 4),
        "draw_s": round(drawing.draw_s, 2),
        "planned_s": round(drawing.planned_s, 2),
        "jumps": drawing.jumps,
        "jumps_found": drawing.jumps_found,
        "recovered_mm": [round(length * 1e3, 1) for length in recovered_m(found, losses_m)],
        "strays_mm": round(strays_m(found, losses_m) * 1e3, 3),
        "starved": drawing.starved,
        "backlash_x_mm": round(toy.backlash_x_m * 1e3, 3),
        "backlash_y_mm": round(toy.backlash_y_m * 1e3, 3),
        "soft_zone": round(toy.soft_zone, 3),
    }


def read_line(source: Path, cells: int) -> NDArray[np.float64]:
    """The line (N, 2) [m, screen] of a CSV file as `linify --csv` writes it, or planned from a photo.

    Raises `InputError` for a file that is neither.
    """
    if source.suffix.lower() == ".csv":
        return read_table(source, "x_m,y_m", "linify --csv")
    from sketch_cell.drawing.plan import plan_line
    from sketch_cell.picture.read import read_photo
    from sketch_cell.picture.source import PictureSettings, load_photo_file

    limit = PictureSettings().max_megapixels
    photo = read_photo(load_photo_file(source, limit), limit)
    return plan_line(photo, LineSettings(cells=cells)).xy


def _check_on_glass(line_m: NDArray[np.float64], source: Path, toy: ToySettings) -> None:
    low, high = line_m.min(axis=0), line_m.max(axis=0)
    if low.min() < -ON_GLASS_M or high[0] > toy.width_m + ON_GLASS_M or high[1] > toy.height_m + ON_GLASS_M:
        width_mm, height_mm = toy.width_m * 1e3, toy.height_m * 1e3
        raise InputError(
            f"{source} goes from ({low[0] * 1e3:.1f}, {low[1] * 1e3:.1f}) to ({high[0] * 1e3:.1f}, "
            f"{high[1] * 1e3:.1f}) mm, but the toy's glass is {width_mm:g} x {height_mm:g} mm: plan it with linify "
            f"--glass-width-mm {width_mm:g} --glass-height-mm {height_mm:g}."
        )


def _sentence(figures: dict[str, Any]) -> str:
    outcome = "" if figures["state"] == "done" else f" ({figures['state']}: {figures['reason']})"
    return (
        f"seed {figures['seed']}: deviation RMS {figures['deviation_rms_mm']:.3f} mm, "
        f"p95 {figures['deviation_p95_mm']:.3f} mm, SSIM {figures['ssim']:.3f}, "
        f"drawn in {figures['draw_s']:.0f} s (planned {figures['planned_s']:.0f} s), "
        f"{figures['jumps_found']} of {figures['jumps']} lost steps found{outcome}"
    )
