"""Makes the figures of how_it_works.md and the pictures of tutorial.md: python doc/make_explained.py (make figures)."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from sketch_cell.drawing.coverage import sine_coverage
from sketch_cell.drawing.film import growing_frames, save_search_figure
from sketch_cell.drawing.plan import plan_line
from sketch_cell.drawing.render import render_ink
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.files import whole_file, write_whole
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.gamut_picture import gamut_png
from sketch_cell.mosaic.mosaic import plan_mosaic
from sketch_cell.mosaic.settings import MosaicSettings
from sketch_cell.twin.camera import Camera, CameraSettings
from sketch_cell.twin.toy import Toy, ToySettings
from sketch_cell.vision.calibration import Lens
from sketch_cell.vision.tracker import Tip, TipTracker, TrackerSettings

Array = NDArray[np.float64]
IMAGES = Path(__file__).parent / "images"
TICK_S = 1e-3
LINE_WIDTH_M, PITCH_M = 0.6e-3, 2.4e-3


def main() -> None:
    """Write every figure anew."""
    tone_curve()
    exponent_search()
    backlash()
    tip_fit()
    gamut_floor()
    animation()
    tutorial()


def figure(width: float, height: float) -> Figure:
    """An empty figure [inches] that can be saved without a screen."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(name: str, made: Figure) -> None:
    """Write a figure as PNG in few colours: line art stays small."""
    with whole_file(IMAGES / name) as path:
        made.savefig(path, dpi=100, metadata={"Software": None})


def tone_curve() -> None:
    """Ink left by a sine: the closed form, counting length times width, and what the renderer counts in pixels."""
    period = 0.8e-3
    amplitude = np.linspace(0, 1.02e-3, 120)
    exact = sine_coverage(amplitude, period, PITCH_M, LINE_WIDTH_M)
    free = sine_coverage(amplitude, period, PITCH_M, 1e-9) / 1e-9 * LINE_WIDTH_M
    shown = np.array([0.1, 0.4, 0.7, 1.0]) * 1e-3
    pictures = [_wave(value, period) for value in shown]
    # The pictures are one and a half rows high; whole periods away from the ends.
    measured = [1.5 * float(picture[:, 40:-40].mean()) for picture in pictures]

    made = figure(9, 3.6)
    left, right = made.subfigures(1, 2, width_ratios=[3, 2])
    axes = left.subplots()
    axes.plot(amplitude * 1e3, free, "--", color="0.6", label="length x width (counts overlaps twice)")
    axes.plot(amplitude * 1e3, exact, color="C0", label="closed form, overlaps counted once")
    axes.plot(shown * 1e3, measured, "o", color="C3", label="counted in the rendered picture")
    axes.set(xlabel="amplitude [mm]", ylabel="share of the row that is ink", xlim=(0, 1.04), ylim=(0, 1.2))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    for axis, picture, value, share in zip(right.subplots(4, 1), pictures, shown, measured, strict=True):
        axis.imshow(1 - picture, cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{value * 1e3:.1f} mm: {share:.2f}", fontsize=8)
        axis.set_axis_off()
    save("how_tone.png", made)


def _wave(amplitude_m: float, period_m: float) -> NDArray[np.float32]:
    """Ink 0..1 of ten periods in the middle of one row (rows, columns)."""
    x = np.linspace(0, 10 * period_m, 4000)
    y = PITCH_M / 2 + amplitude_m * np.cos(2 * np.pi * x / period_m)
    line = np.column_stack([x, y + PITCH_M / 4])  # a quarter of a row of room on both sides
    size = {"width_m": 10 * period_m, "height_m": 1.5 * PITCH_M}
    ink = render_ink(line, **size, line_width_m=LINE_WIDTH_M, pixels_per_m=50_000)
    return np.asarray(ink, np.float32)


def exponent_search() -> None:
    """The search of the original method's exponent on the photo of an astronaut."""
    plan = plan_line(data.astronaut(), LineSettings(method="reference", cells=48))
    assert plan.search is not None
    with whole_file(IMAGES / "how_search.png") as path:
        save_search_figure(plan.search, path)


def backlash() -> None:
    """One axis against its motor, and a wave drawn with the play left alone and taken up."""
    made = figure(9, 3.6)
    loop, wave = made.subplots(1, 2)
    swing = np.concatenate([_swing(size) for size in (4e-3, 3e-3, 2e-3)])
    for soft, colour, name in ((0.0, "0.6", "hard play"), (0.33, "C0", "with a soft zone, as the twin has")):
        toy = Toy(_toy(soft), seed=1)
        motor = np.column_stack([np.full_like(swing, 0.05), 0.05 + swing])
        stylus = toy.move(motor, TICK_S)
        loop.plot(swing * 1e3, (stylus[:, 1] - 0.05) * 1e3, color=colour, lw=1, label=name)
    loop.set(xlabel="motor [mm]", ylabel="stylus [mm]", title="2 mm of backlash", aspect="equal")
    loop.legend(fontsize=8, loc="upper left")
    loop.grid(alpha=0.3)

    x = np.linspace(0, 12e-3, 4000)
    wanted = 2e-3 * np.sin(2 * np.pi * x / 3e-3)
    side = np.sign(np.gradient(wanted))
    for commanded, colour, name in (
        (wanted, "C3", "sent as planned"),
        (wanted + side * 1e-3, "C0", "u = r + s b/2"),
    ):
        motor = np.column_stack([0.05 + x, 0.05 + commanded])
        stylus = Toy(_toy(0.0), seed=1).move(_slowly(motor), TICK_S)
        wave.plot((stylus[:, 0] - 0.05) * 1e3, (stylus[:, 1] - 0.05) * 1e3, color=colour, label=name)
    wave.plot(x * 1e3, wanted * 1e3, "k:", lw=1, label="planned")
    wave.set(xlabel="x [mm]", ylabel="y [mm]", title="a wave through the play", xlim=(1, 12))
    wave.legend(fontsize=8, loc="upper right")
    wave.grid(alpha=0.3)
    save("how_backlash.png", made)


def _toy(soft_zone: float) -> ToySettings:
    """A toy with 2 mm of play in y, none in x, that loses no step."""
    return ToySettings(
        start_x_m=0.05,
        start_y_m=0.05,
        backlash_x_m=0.0,
        backlash_y_m=2e-3,
        soft_zone=soft_zone,
        backlash_variation=0.0,
        pull_out_m_per_s2=1e6,
    )


def _swing(size_m: float) -> Array:
    return size_m * np.sin(np.linspace(0, 2 * np.pi, 2000))


def _slowly(motor_m: Array) -> Array:
    """The same path (N, 2) at 20 mm/s, take-ups included."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(motor_m, axis=0).T))])
    ticks = np.arange(0, along[-1], 0.02 * TICK_S)
    return np.column_stack([np.interp(ticks, along, motor_m[:, axis]) for axis in range(2)])


def tip_fit() -> None:
    """What the camera sees, what has darkened, and the stroke that explains it, beside the true stylus."""
    frame, tracker, seen, truth_m = _tracked()
    assert tracker.last_look is not None and tracker.calibration is not None
    window, path_px = tracker.last_look
    part = (slice(window.top, window.bottom), slice(window.left, window.right))
    before, after = frame[0][part].astype(float), frame[1][part].astype(float)
    truth_px = tracker.calibration.pixels_from_screen(truth_m[None])[0] - window.origin_px
    found_px = tracker.calibration.pixels_from_screen(seen.xy_m[None])[0] - window.origin_px
    made = figure(9, 3.4)
    axes = made.subplots(1, 3)
    axes[0].imshow(after, cmap="gray")
    axes[0].set_title("the image")
    axes[1].imshow(before - after, cmap="magma")
    axes[1].set_title("darker than 0.2 s ago")
    axes[2].imshow(after, cmap="gray", alpha=0.5)
    axes[2].plot(*(path_px - window.origin_px).T, color="C0", lw=1.5, label="fitted stroke")
    _ellipse(axes[2], found_px, tracker, seen)
    axes[2].plot(*truth_px, "+", color="C3", ms=9, mew=1.5, label="true stylus")
    axes[2].set(xlim=found_px[0] + np.array([-5, 5]), ylim=found_px[1] + np.array([5, -5]))
    error_um = float(np.linalg.norm(seen.xy_m - truth_m)) * 1e6
    axes[2].set_title(f"this tip is {error_um:.0f} micrometres off")
    axes[2].legend(fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    save("how_tip.png", made)


def _ellipse(axis: Any, centre_px: Array, tracker: TipTracker, seen: Tip) -> None:
    """The tip's covariance at two sigma."""
    assert tracker.calibration is not None
    angle = np.linspace(0, 2 * np.pi, 60)
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) * 2
    metres = circle @ np.linalg.cholesky(seen.covariance_m2).T + seen.xy_m
    pixels = tracker.calibration.pixels_from_screen(metres)
    offset = centre_px - tracker.calibration.pixels_from_screen(seen.xy_m[None])[0]
    axis.plot(*(pixels + offset).T, color="C1", lw=1.5, label="2 sigma")


def _tracked() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], TipTracker, Tip, Array]:
    """Four seconds of a drawing under the twin's camera: images 0.2 s apart, tracker, tip and truth at the end."""
    angle = np.linspace(0, 8 * np.pi, 4000)
    motor = np.column_stack([0.05 + 0.008 * angle / np.pi, 0.05 + 0.006 * np.sin(angle)])
    motor = np.concatenate([np.repeat(motor[:1], 1000, axis=0), motor[:3300]])
    toy = ToySettings(
        start_x_m=0.05, start_y_m=0.05, backlash_x_m=1e-3, backlash_y_m=1e-3, pull_out_m_per_s2=1e6
    )
    stylus, times = Toy(toy, seed=2).move(motor, TICK_S), np.arange(len(motor)) * TICK_S
    velocity = np.gradient(motor, TICK_S, axis=0)
    camera = Camera(CameraSettings(), seed=2)
    tracker = TipTracker(TrackerSettings(), lens=Lens(*camera.camera_info[2:]))
    images: list[NDArray[np.uint8]] = []
    last: tuple[Tip, Array] | None = None
    for first in range(0, len(motor) - 5, 5):
        camera.see(stylus[first : first + 5], times[first : first + 5])
        if first % 20 == 0:
            tracker.note_motion(times[first], motor[first], velocity[first])
        for frame in camera.frames(times[first + 4]):
            images.append(frame.image)
            seen = tracker.track(frame.image, frame.stamp_s)
            if isinstance(seen, Tip):
                truth = np.array([np.interp(seen.stamp_s, times, stylus[:, axis]) for axis in (0, 1)])
                last = seen, truth
    assert last is not None, "the tracker found no tip"
    return (images[-7], images[-1]), tracker, last[0], last[1]


def gamut_floor() -> None:
    """The colours of a photo against all that sweets and card can mix, as written by `sketch-cell mosaic`."""
    mosaic = plan_mosaic(data.coffee(), default_library(), MosaicSettings(short_edge=60))
    write_whole(IMAGES / "how_gamut.png", _smaller(gamut_png(mosaic)))


def animation() -> None:
    """The planned line of the demo's photo as it grows, as an animated WebP."""
    plan = plan_line(data.astronaut(), LineSettings(cells=40))
    ends = np.linspace(0, len(plan.xy) - 1, 61).round().astype(int)[1:]
    size = {"width_m": plan.settings.glass_width_m, "height_m": plan.settings.glass_height_m}
    grown = growing_frames(
        plan.xy, ends, **size, line_width_m=plan.settings.line_width_m, pixels_per_m=3600.0
    )
    low, high = plan.xy.min(axis=0) - 2e-3, plan.xy.max(axis=0) + 2e-3
    columns = slice(max(int(low[0] * 3600), 0), int(high[0] * 3600))
    frames = [Image.fromarray(frame[:, columns]) for frame in grown]
    with whole_file(IMAGES / "growing.webp") as path:
        frames[0].save(
            path,
            save_all=True,
            append_images=[*frames[1:], *[frames[-1]] * 15],
            duration=90,
            loop=0,
            quality=45,
            method=4,
        )


def tutorial() -> None:
    """Run the tutorial's own commands in a fresh folder, those that draw left out, and keep what they wrote, small."""
    page = (Path(__file__).parent / "tutorial.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith(("sketch-cell ", "printf "))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(data.chelsea()).save(folder / "cat.jpg", quality=12)
        Image.fromarray(data.coffee()).save(folder / "coffee.jpg", quality=95)
        for line in lines:
            if line.split()[1] not in ("demo", "simulate", "replay"):
                program = f"{shlex.quote(sys.executable)} -m sketch_cell "
                subprocess.run(line.replace("sketch-cell ", program, 1), shell=True, cwd=folder, check=True)
        _shrink(folder / "repair.png", "tutorial_repair.jpg", 900)
        _shrink(folder / "cat.png", "tutorial_line.jpg", 700)
        _shrink(folder / "mosaic" / "from_afar.png", "tutorial_mosaic.jpg", 1000)


def _shrink(source: Path, name: str, width: int) -> None:
    picture = cv2.imread(str(source))
    height = round(picture.shape[0] * width / picture.shape[1])
    write_whole(IMAGES / name, _jpeg(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)))


def _jpeg(bgr: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes())


def _smaller(png: bytes, width: int = 1100) -> bytes:
    """A PNG in 128 colours at most `width` pixels wide."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    height = round(picture.shape[0] * width / picture.shape[1])
    return _encoded(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def _encoded(bgr: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


if __name__ == "__main__":
    main()
