"""Benchmark of the tip tracker against the twin's truth, beside plain differencing (issue 7's table).

    python bench/tracker.py [--seconds 40] [--seeds 2]

The plain methods are judged over 40 s and two seeds at most: they need no more to show what they are.
Writes doc/benchmarks/tracker.md and doc/benchmarks/tracker_*.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from sketch_cell.drawing.plan import plan_line  # noqa: E402
from sketch_cell.drawing.settings import LineSettings  # noqa: E402
from sketch_cell.files import write_whole  # noqa: E402
from sketch_cell.twin.camera import Camera, CameraSettings  # noqa: E402
from sketch_cell.twin.toy import Toy, ToySettings  # noqa: E402
from sketch_cell.vision.calibration import Lens  # noqa: E402
from sketch_cell.vision.tracker import Tip, TipTracker, TrackerSettings  # noqa: E402

Floats = NDArray[np.float64]
TICK_S = 1e-3
MOTION_PERIOD_S = 0.02  # of the driver's joint_states
STILL_S = 1.0
PIXELS_PER_M = 3900.0
PLAIN_SECONDS, PLAIN_SEEDS = 40.0, 2

QUIET = CameraSettings(noise_sigma=4.0, flicker=0.0, vibration_px=0.0, dropped_fraction=0.0)
ROUGH = dataclasses.replace(
    QUIET, noise_sigma=8.0, flicker=0.02, vibration_px=0.25, dropped_fraction=0.05, hand_period_s=20.0
)


@dataclass
class Score:
    """What one tracker said, against the truth."""

    errors_px: list[float] = field(default_factory=list)
    mahalanobis: list[float] = field(default_factory=list)
    silent: Counter[str] = field(default_factory=Counter)
    times_s: list[float] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Count another run too."""
        self.errors_px += other.errors_px
        self.mahalanobis += other.mahalanobis
        self.silent += other.silent
        self.times_s += other.times_s

    @property
    def frames(self) -> int:
        """Images judged."""
        return len(self.times_s)


def wave_line(seed: int) -> Floats:
    """A planned drawing of a smooth random photo (64 cells)."""
    import cv2

    rng = np.random.default_rng(seed)
    photo = cv2.resize(rng.random((6, 8)), (320, 240), interpolation=cv2.INTER_CUBIC)
    photo = np.clip(photo * 255, 0, 255).astype(np.uint8)
    return plan_line(photo, LineSettings()).xy


def stroke_line(seed: int, length_m: float) -> Floats:
    """Random strokes of 2 to 25 mm; about every fifth is drawn back again."""
    rng = np.random.default_rng(seed)
    points = [np.array([0.05, 0.05])]
    drawn = 0.0
    while drawn < length_m:
        if len(points) > 1 and rng.random() < 0.2:
            target = points[-2]
        else:
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.002, 0.025)
            target = points[-1] + length * np.array([np.cos(angle), np.sin(angle)])
        if not (0.012 < target[0] < 0.141 and 0.012 < target[1] < 0.095):
            continue
        drawn += float(np.linalg.norm(target - points[-1]))
        points.append(target)
    return np.array(points)


def motor_motion(line: Floats, backlash_m: Floats, speed_m_per_s: float, seconds: float) -> Floats:
    """Motor positions (n, 2) every tick that draw a line at constant speed with take-ups at reversals."""
    half = backlash_m / 2
    way = np.sign(np.diff(line, axis=0))
    points, state = [line[0]], np.zeros(2)
    for i, end in enumerate(line[1:]):
        new = np.where(way[i] != 0, way[i], state)
        if (new != state).any():
            state = new
            points.append(line[i] + state * half)
        points.append(end + state * half)
        if i % 500 == 0 and len(points) * 1e-4 > speed_m_per_s * seconds * 4:
            break
    path = np.array(points)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    ticks = np.arange(0, min(seconds, along[-1] / speed_m_per_s), TICK_S) * speed_m_per_s
    moving = np.stack([np.interp(ticks, along, path[:, i]) for i in (0, 1)], axis=1)
    return np.concatenate([np.repeat(moving[:1], round(STILL_S / TICK_S), axis=0), moving])


def run(
    motor: Floats, toy: ToySettings, camera: CameraSettings, settings: TrackerSettings, seed: int, show=None
) -> Score:
    """Score of one tracker on one drawing."""
    start = dataclasses.replace(toy, start_x_m=float(motor[0, 0]), start_y_m=float(motor[0, 1]))
    stylus = Toy(start, seed).move(motor, TICK_S)
    times = np.arange(len(motor)) * TICK_S
    velocity = np.gradient(motor, TICK_S, axis=0)
    eye = Camera(camera, seed)
    tracker = TipTracker(settings, lens=Lens(*eye.camera_info[2:]))
    score = Score()
    for first in range(0, len(motor) - 5, 5):
        part = slice(first, first + 5)
        eye.see(stylus[part], times[part])
        if first % round(MOTION_PERIOD_S / TICK_S) == 0:
            tracker.note_motion(times[first], motor[first], velocity[first])
        for frame in eye.frames(times[first + 4]):
            started = time.thread_time()
            seen = tracker.track(frame.image, frame.stamp_s)
            score.times_s.append(time.thread_time() - started)
            if isinstance(seen, Tip):
                truth = np.array([np.interp(seen.stamp_s, times, stylus[:, i]) for i in (0, 1)])
                error = seen.xy_m - truth
                score.errors_px.append(float(np.linalg.norm(error)) * PIXELS_PER_M)
                score.mahalanobis.append(float(error @ np.linalg.solve(seen.covariance_m2, error)))
            else:
                score.silent[seen.reason.split(":")[0]] += 1
            if show:
                show(frame, seen, tracker, truth if isinstance(seen, Tip) else None)
    return score


SCENES = {
    "waves, noise 4": ("waves", QUIET, 0.025),
    "waves, rough": ("waves", ROUGH, 0.025),
    "waves, rough, 40 mm/s": ("waves", ROUGH, 0.04),
    "waves, rough, 50 mm/s, 60 fps": ("waves", dataclasses.replace(ROUGH, frame_rate_hz=60.0), 0.05),
    "waves, rough, 40 mm/s, 15 fps": ("waves", dataclasses.replace(ROUGH, frame_rate_hz=15.0), 0.04),
    "strokes and retraces, rough": ("strokes", ROUGH, 0.025),
    "strokes, rough, 50 mm/s, 60 fps": ("strokes", dataclasses.replace(ROUGH, frame_rate_hz=60.0), 0.05),
    "waves, slips 5e-2": ("slips", QUIET, 0.025),
}


def scene_motion(kind: str, speed: float, seconds: float, seed: int) -> tuple[Floats, ToySettings]:
    """Motor motion and toy of a scene; the take-ups are up to 8 % wrong, as an estimate would be."""
    rng = np.random.default_rng([seed, 5])
    backlash = rng.uniform([1.4e-3, 1.2e-3], [1.75e-3, 2.0e-3])
    # The motion turns its corners at once, which no motor could: here that must not cost steps.
    toy = ToySettings(backlash_x_m=float(backlash[0]), backlash_y_m=float(backlash[1]), pull_out_m_per_s2=1e6)
    if kind == "slips":
        toy = dataclasses.replace(toy, lost_step_probability=5e-2)
    line = stroke_line(seed, speed * seconds) if kind == "strokes" else wave_line(seed)
    taken_up = backlash * rng.uniform(0.92, 1.08, 2)
    return motor_motion(line, taken_up, speed, seconds), toy


def row(name: str, score: Score) -> str:
    """One line of the table."""
    errors = np.array(score.errors_px or [np.nan])
    inside = np.mean(np.array(score.mahalanobis or [np.nan]) < 6.18)
    times = np.array(score.times_s) * 1e3
    wrong = int(np.sum(errors > 5))
    return (
        f"| {name} | {score.frames} | {len(score.errors_px)} | {np.median(errors):.2f} | "
        f"{np.percentile(errors, 95):.2f} | {errors.max():.1f} | {wrong} | {100 * inside:.0f} % | "
        f"{np.median(times):.2f} |"
    )


HEAD = (
    "| scene, method | images | tips | median px | p95 px | max px | > 5 px | within 2 sigma | ms/image |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Run the scenes and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0, help="drawing time per scene and seed")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a scene's name")
    parser.add_argument("--methods", default="stroke,absdiff,three_frame")
    parser.add_argument("--images", help="not used: the scenes draw themselves")
    arguments = parser.parse_args()
    lines = [HEAD]
    print(HEAD)
    for name, (kind, camera, speed) in SCENES.items():
        if arguments.only not in name:
            continue
        for method in arguments.methods.split(","):
            total, (seconds, seeds) = Score(), (arguments.seconds, arguments.seeds)
            if method != "stroke":
                seconds, seeds = min(seconds, PLAIN_SECONDS), min(seeds, PLAIN_SEEDS)
            for seed in range(seeds):
                motor, toy = scene_motion(kind, speed, seconds, seed)
                total.add(run(motor, toy, camera, TrackerSettings(method=method), seed))
            lines.append(row(f"{name}, {method}", total))
            print(lines[-1], flush=True)
            if method == "stroke":
                print("   ", dict(total.silent.most_common(8)), flush=True)
    if not arguments.only:
        save_picture(ROOT / "doc" / "benchmarks" / "tracker_seen.png")
        write_whole(ROOT / "doc" / "benchmarks" / "tracker.md", page(lines))


ABOUT = """# Tip tracker

`python bench/tracker.py` draws on the twin's glass and compares what each tracker says with the true stylus at the
stamp of each image (3.9 px/mm). *Rough* is noise sigma 8, 2 % flicker, vibration 0.25 px, 5 % dropped images and a hand
for 2 s of every 20. Take-ups are up to 8 % wrong, the backlash has a soft zone and varies by 10 % with place; the
tracker gets the motors' positions 50 times a second. "Within 2 sigma" is the share of tips inside the ellipse that
should hold 95.4 %. Times are processor time of one core, on a machine that ran other jobs meanwhile.

Goals: median 0.25 px and p95 1.0 px at 25 mm/s and 30 fps; 0.5 and 1.5 px at 50 mm/s and 60 fps; no error above 5 px
in 100,000 images; 95 % within 2 sigma; 1.5 ms per image.

"""

NOTES = """
The plain methods report the middle of what changed, so they lag by half the way between two images and take every
change for ink: hands, and old lines that shake. The stroke method says nothing where there is nothing new to see
(take-ups, retraces, hands); those images are not failures.

![what the tracker saw](tracker_seen.png)
"""


def page(lines: list[str]) -> str:
    """The section of the benchmarks page."""
    return ABOUT + "\n".join(lines) + "\n" + NOTES


def save_picture(path: Path) -> None:
    """What the tracker saw in one image of the rough waves, as its debug picture."""
    import cv2

    from sketch_cell.vision.debug import debug_picture

    last: list[NDArray[np.uint8]] = []

    def show(frame, seen, tracker, truth) -> None:  # type: ignore[no-untyped-def]
        if isinstance(seen, Tip):
            last[:] = [debug_picture(frame.image, tracker, seen)]

    motor, toy = scene_motion("waves", 0.025, 8.0, 0)
    run(motor, toy, ROUGH, TrackerSettings(), 0, show)
    good, data = cv2.imencode(".png", last[0][:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if good:
        write_whole(path, data.tobytes())


if __name__ == "__main__":
    main()
