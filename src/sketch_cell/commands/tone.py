"""`sketch-cell tone`: draw a chart, photograph it, and get the file that `linify --tone` takes."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from sketch_cell.commands.console import console
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.commands.table import read_table
from sketch_cell.drawing.export import csv_text, gcode_text
from sketch_cell.drawing.plan import plan_line
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.tone import MeasuredTone
from sketch_cell.drawing.tone_chart import read_tone, tone_chart
from sketch_cell.errors import InputError, SettingError
from sketch_cell.files import check_outputs, write_whole
from sketch_cell.picture.read import read_photo

HEADER = "predicted,observed"
CHART_MARGIN_M = 0.015  # bare glass all around, to compare with


@click.group()
def tone() -> None:
    """Measure how dark the machine really draws: a chart, and the curve its photo shows."""


@tone.command()
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--gcode", type=click.Path(path_type=Path), help="Write the line as G-code too.")
@settings_options(LineSettings, leave_out=("margin_m",))
def chart(csv: Path, gcode: Path | None, **options: object) -> None:
    """Plan the chart as a line and write it to CSV, which `tone read` needs; draw its G-code on the machine.

    Example: sketch-cell tone chart chart.csv --gcode chart.nc
    """
    check_outputs((csv, gcode))
    try:
        settings = settings_from(LineSettings, {**options, "margin_mm": CHART_MARGIN_M * 1000})
    except SettingError as error:
        if "margin_m" not in str(error):
            raise
        raise InputError(
            f"The chart needs a glass of more than {CHART_MARGIN_M * 2000:g} mm each way."
        ) from error
    plan = plan_line(tone_chart(), settings)
    write_whole(csv, csv_text(plan.xy))
    if gcode is not None:
        write_whole(gcode, gcode_text(plan.commands_xy))
    console.print(f"{csv}: {plan.length_m:.1f} m of line")


@tone.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("csv", type=click.Path(path_type=Path))
@click.argument("tone_file", type=click.Path(path_type=Path))
@settings_options(
    LineSettings, leave_out=tuple(name for name in LineSettings.__dataclass_fields__ if name not in
                                  ("line_width_m", "glass_width_m", "glass_height_m"))
)  # fmt: skip
def read(photo: Path, csv: Path, tone_file: Path, **options: object) -> None:
    """Read PHOTO, exactly the glass seen straight on with the line of CSV drawn on it, and write TONE_FILE.

    Example: sketch-cell tone read chart.jpg chart.csv tone.csv
    """
    check_outputs([tone_file], (photo, csv))
    settings = settings_from(LineSettings, options)
    try:
        pixels = read_photo(photo.read_bytes())
    except OSError as error:
        raise InputError(f"{photo} cannot be read: {error.strerror}. Name an existing photo.") from error
    found = read_tone(
        read_table(csv, "x_m,y_m", "linify --csv or tone chart"),
        pixels,
        width_m=settings.glass_width_m,
        height_m=settings.glass_height_m,
        line_width_m=settings.line_width_m,
    )
    rows = "".join(f"{p:.5f},{o:.5f}\n" for p, o in zip(found.predicted, found.observed, strict=True))
    write_whole(tone_file, f"{HEADER}\n{rows}")
    middle = float(found.seen(np.array([0.5], np.float32))[0])
    console.print(f"{tone_file}: half ink looks like {middle:.2f}")


def read_tone_file(path: Path) -> MeasuredTone:
    """The curve of a file that `tone read` wrote; raises `InputError` for any other file."""
    predicted, observed = read_table(path, HEADER, "tone read").T.tolist()
    return MeasuredTone(tuple(predicted), tuple(observed))
