"""`sketch-cell linify PHOTO`: a photo, or every photo of a folder, becomes one unbroken line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from sketch_cell.commands.console import progress, say
from sketch_cell.commands.draw_time import draw_time
from sketch_cell.commands.options import FloatRange, settings_from, settings_options
from sketch_cell.commands.tone import read_tone_file
from sketch_cell.drawing.export import csv_text, gcode_text, svg_text
from sketch_cell.drawing.film import growing_frames, save_search_figure
from sketch_cell.drawing.frame import on_own_sheet
from sketch_cell.drawing.plan import LinePlan, plan_line
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.tone import MeasuredTone
from sketch_cell.errors import InputError
from sketch_cell.files import check_outputs, whole_file, write_whole
from sketch_cell.machine.motion import MotionSettings, vertex_times_s
from sketch_cell.packages import need
from sketch_cell.picture.read import read_photo

READ_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})
FILM_S = 10
FRAMES_PER_S = 30
FILM_COLUMNS = 960
SUFFIXES = {"csv": ".csv", "svg": ".svg", "gcode": ".gcode", "preview": ".png", "video": ".mp4", "report": ".json",
            "spi": ".png"}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What to plan and what to tell about it."""

    settings: LineSettings
    motion: MotionSettings
    backlash_m: tuple[float, float]  # on x and on y, taken up at every reversal
    own_sheet: bool  # no glass was named: the sheet is as large as the drawing
    measured: MeasuredTone | None = None  # how dark the machine really draws
    read: tuple[Path, ...] = ()  # files besides the photo, which no output may overwrite


def _output(name: str, help_text: str) -> Callable[[Any], Any]:
    return click.option(f"--{name}", type=click.Path(path_type=Path), help=help_text)


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@_output("csv", "Write the line as CSV: header x_m,y_m, one point a line, metres from the lower left.")
@_output("svg", "Write the line as SVG, in millimetres, one path.")
@_output("gcode", "Write the line as G-code for Grbl 1.1.")
@_output("preview", "Write a PNG of what the drawing will look like.")
@_output("video", "Write an MP4 of the drawing growing.")
@_output("report", "Write the plan's figures as JSON.")
@_output("spi", "Write the figure of the exponent search as PNG (method reference).")
@_output("tone", "Use the tone curve that `sketch-cell tone read` measured.")
@settings_options(LineSettings, leave_out=("glass_width_m", "glass_height_m", "margin_m"))
@click.option(
    "--glass-width-mm",
    type=FloatRange(1, 10_000),
    help="Width of the drawable glass; the drawing's own by default.",
)
@click.option(
    "--glass-height-mm",
    type=FloatRange(1, 10_000),
    help="Height of the drawable glass; the drawing's own by default.",
)
@click.option("--margin-mm", type=FloatRange(0, 1000), help="Free border on every side of a named glass.")
@settings_options(MotionSettings)
@click.option("--backlash-x-mm", type=FloatRange(0, 20), default=0.0, show_default=True,
              help="Backlash of x, for the draw time.")  # fmt: skip
@click.option("--backlash-y-mm", type=FloatRange(0, 20), default=0.0, show_default=True,
              help="Backlash of y, for the draw time.")  # fmt: skip
def linify(photo: Path, **options: Any) -> None:
    """Plan one unbroken line that looks like PHOTO; a folder of photos makes folders of outputs.

    Example: sketch-cell linify holiday.jpg --preview plan.png --svg plan.svg --gcode plan.nc
    """
    outputs = {kind: options[kind] for kind in SUFFIXES if options[kind] is not None}
    if "video" in outputs:
        need("av", "--video")
    glass = [options[name] for name in ("glass_width_mm", "glass_height_mm")]
    if glass.count(None) == 1:
        raise InputError("--glass-width-mm and --glass-height-mm go together. Give both, or neither.")
    if options["margin_mm"] is not None and None in glass:
        raise InputError(
            "--margin-mm is the border on a glass: give --glass-width-mm and --glass-height-mm with it."
        )
    work = Work(
        settings_from(LineSettings, options),
        settings_from(MotionSettings, options),
        (options["backlash_x_mm"] / 1000, options["backlash_y_mm"] / 1000),
        own_sheet=glass == [None, None],
        measured=read_tone_file(options["tone"]) if options["tone"] else None,
        read=(options["tone"],) if options["tone"] else (),
    )
    if work.measured is not None and work.settings.method == "reference":
        raise InputError(
            "--tone corrects tones, which the method reference takes as they are: choose another method."
        )
    if "spi" in outputs and not (work.settings.method == "reference" and work.settings.find_exponent):
        raise InputError("--spi shows the exponent search: it needs --method reference and --find-exponent.")
    if photo.is_dir():
        _linify_folder(photo, outputs, work)
    else:
        _linify_file(photo, outputs, work)


def _linify_folder(folder: Path, outputs: dict[str, Path], work: Work) -> None:
    photos = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in READ_SUFFIXES)
    if not photos:
        raise InputError(
            f"{folder} holds no photos. Choose a folder with JPEG, PNG, WebP, TIFF or BMP files."
        )
    for kind, target in outputs.items():
        if target.exists() and not target.is_dir():
            raise InputError(f"--{kind} {target} is a file, but PHOTO is a folder. Name a folder.")
    # What one photo makes must not overwrite another that is yet to be read.
    work = replace(work, read=(*work.read, *photos))
    refused = []
    stems, names = [path.stem for path in photos], list[str]()
    for path in photos:
        # Two photos of one name: both keep their suffix as part of the name.
        name = path.stem if stems.count(path.stem) == 1 else path.name
        while name in names:
            name += "_"
        names.append(name)
    with progress(f"Planning {folder}", len(photos)) as advance:
        for path, name in zip(photos, names, strict=True):
            try:
                _linify_file(path, {k: t / f"{name}{SUFFIXES[k]}" for k, t in outputs.items()}, work)
            except InputError as error:
                say(f"{path}: {error}")
                refused.append(path.name)
            advance(1)
    if refused:
        raise InputError(f"{len(refused)} of {len(photos)} photos could not be drawn: {', '.join(refused)}.")


def _linify_file(path: Path, outputs: dict[str, Path], work: Work) -> None:
    _check_outputs(path, outputs, work.read)
    try:
        pixels = read_photo(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Name an existing photo.") from error
    settings = (
        on_own_sheet(pixels.shape[0], pixels.shape[1], work.settings) if work.own_sheet else work.settings
    )
    begun = time.perf_counter()
    plan = plan_line(pixels, settings, work.measured)
    report = report_of(plan, work, time.perf_counter() - begun)
    for kind, target in outputs.items():
        _write(kind, target, plan, report, work)
    drawn = report["draw_time_s"]
    say(
        f"{path}: {report['line_m']:.1f} m of line, {report['commands']} commands, "
        f"{report['reversals_x']} + {report['reversals_y']} reversals (x + y), about {drawn / 60:.0f} min to draw"
    )


def _check_outputs(photo: Path, outputs: dict[str, Path], inputs: tuple[Path, ...]) -> None:
    """Refuse what could only fail or do harm once the line is planned."""
    for kind, target in outputs.items():
        needed = {"video": ".mp4", "preview": ".png", "spi": ".png"}.get(kind)
        if needed and target.suffix.lower() != needed:
            raise InputError(f"--{kind} {target} is no name for {needed[1:].upper()}. End it in {needed}.")
    check_outputs(outputs.values(), (photo, *inputs))


def report_of(plan: LinePlan, work: Work, planned_s: float) -> dict[str, Any]:
    """The plan's figures: what it is, what it costs in line, reversals, commands and time."""
    s, motion = plan.settings, work.motion
    takes = draw_time(plan.commands_xy, motion, work.backlash_m)
    return {
        "method": s.method,
        "tuned_for": s.tuned_for,
        "waveform": s.waveform,
        "cells": s.cells,
        "line_width_m": s.line_width_m,
        "width_m": plan.frame.width_m,
        "height_m": plan.frame.height_m,
        "glass_width_m": s.glass_width_m,
        "glass_height_m": s.glass_height_m,
        "exponent": plan.exponent,
        "points": len(plan.xy),
        "commands": len(plan.commands_xy),
        "line_m": plan.length_m,
        "reversals_x": plan.reversals[0],
        "reversals_y": plan.reversals[1],
        "feed_m_per_s": motion.feed_m_per_s,
        "acceleration_m_per_s2": motion.acceleration_m_per_s2,
        "junction_deviation_m": motion.junction_deviation_m,
        "backlash_x_m": work.backlash_m[0],
        "backlash_y_m": work.backlash_m[1],
        "moving_time_s": takes.moving_s,
        "take_up_time_s": takes.take_up_s,
        "draw_time_s": takes.total_s,
        "planning_time_s": planned_s,
    }


def _write(kind: str, target: Path, plan: LinePlan, report: dict[str, Any], work: Work) -> None:
    s = plan.settings
    if kind == "csv":
        write_whole(target, csv_text(plan.xy))
    elif kind == "gcode":
        write_whole(target, gcode_text(plan.commands_xy, work.motion.feed_m_per_s))
    elif kind == "report":
        write_whole(target, json.dumps(report, indent=2) + "\n")
    elif kind == "svg":
        about = {key: value for key, value in report.items() if key != "planning_time_s"}
        text = svg_text(
            plan.commands_xy,
            width_m=s.glass_width_m,
            height_m=s.glass_height_m,
            line_width_m=s.line_width_m,
            metadata=about,
        )
        write_whole(target, text)
    elif kind == "preview":
        with whole_file(target) as temporary:
            PIL.Image.fromarray(plan.preview()).save(temporary, "PNG")
    elif kind == "video":
        write_video(target, plan, work.motion)
    elif plan.search is not None:
        with whole_file(target) as temporary:
            save_search_figure(plan.search, temporary)


def write_video(path: Path, plan: LinePlan, motion: MotionSettings) -> None:
    """Write ten seconds of H.264 of the drawing growing at its real pace; needs the package `av`."""
    import av

    s, xy = plan.settings, plan.commands_xy
    times = vertex_times_s(xy, motion)
    moments = np.linspace(0, times[-1], FILM_S * FRAMES_PER_S)
    ends = np.clip(np.searchsorted(times, moments), min(1, len(xy) - 1), len(xy) - 1)
    scale = FILM_COLUMNS / max(s.glass_width_m, s.glass_height_m)
    frames = growing_frames(
        xy,
        np.append(ends, [len(xy) - 1] * FRAMES_PER_S),  # the finished drawing stays for a second
        width_m=s.glass_width_m,
        height_m=s.glass_height_m,
        line_width_m=s.line_width_m,
        pixels_per_m=scale,
    )
    with (
        whole_file(path) as temporary,
        progress("Filming", len(ends) + FRAMES_PER_S) as advance,
        av.open(str(temporary), "w") as film,
    ):
        stream: Any = None
        for frame in frames:
            if stream is None:
                stream = film.add_stream("libx264", rate=FRAMES_PER_S, options={"crf": "23"})
                stream.height, stream.width = _size(frame)
                stream.pix_fmt = "yuv420p"
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            advance(1)
        film.mux(stream.encode())


def _size(frame: NDArray[np.uint8]) -> tuple[int, int]:
    return frame.shape[0], frame.shape[1]
