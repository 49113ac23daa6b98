"""The demo: starts a cell, follows its job from outside, and writes down what was drawn and how well."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sketch_cell import report
from sketch_cell.bringup import NodeSpec
from sketch_cell.commands.console import console, say
from sketch_cell.control.deviation import deviation
from sketch_cell.drawing.export import gcode_text, svg_text
from sketch_cell.drawing.simplify import simplify
from sketch_cell.errors import SketchCellError
from sketch_cell.files import write_whole
from sketch_cell.picture.read import read_photo
from sketch_cell.runner import CellProcesses

DEFAULT_PHOTO_QUALITY = 10
# Twice the longest silence of a healthy cell on a slow machine: after it, something hangs.
STALLED_AFTER_S = 120.0
# What report.json says of the twin's faults: settings, and how often motors lost steps.
FAULTS = ("backlash_x_m", "backlash_y_m", "lost_step_probability", "lost_step_m", "seed", "lost_steps")


def default_photo(folder: Path) -> Path:
    """scikit-image's astronaut as a JPEG of quality 10 in `folder`."""
    path = folder / "astronaut.jpg"
    encoded = cv2.imencode(
        ".jpg",
        cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, DEFAULT_PHOTO_QUALITY],
    )[1]
    write_whole(path, encoded.tobytes())
    return path


def astronaut() -> report.Picture:
    """Eileen Collins, NASA, public domain: RGB (512, 512, 3)."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)


class Demo:
    """One drawing from photo to report."""

    def __init__(self, photo: Path, output: Path, loop: str, *, shipped: bool) -> None:
        self._photo = photo
        self._folder = output / photo.stem
        self._loop = loop
        self._shipped = shipped
        _check_writable(self._folder)

    def run(self, nodes: Sequence[NodeSpec], parameter_file: Path) -> None:
        """Draw and report; raises `NodeDied` when a node ends early and `SketchCellError` when the job fails."""
        from sketch_cell.ros.observer import CellObserver

        # Cells that run side by side on one host must not hear each other.
        os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randrange(1, 101)))
        begin_s = time.monotonic()
        logs = self._folder / "log"
        logs.mkdir(exist_ok=True)
        processes = CellProcesses(nodes, parameter_file=parameter_file, log_folder=logs, tell=say)
        with processes:
            observer = CellObserver()
            try:
                self._follow(observer, processes, logs)
            finally:
                observer.close()
        console.print("Writing pictures and report ...")
        self._write(observer, time.monotonic() - begin_s)
        console.print(f"Done: see {self._folder}/")

    def _follow(self, observer: Any, processes: CellProcesses, logs: Path) -> None:
        with _job_progress() as show:

            def until(reached: Callable[[], object], phase: str) -> None:
                self._until(reached, lambda: show(phase, observer.status), observer, processes)

            until(lambda: "picture/image" in observer.pictures, "repairing the photo")
            until(lambda: observer.plan_m is not None, "planning the line")
            until(lambda: observer.status.get("state") == "idle", "starting the machine")
            if self._loop == "closed":
                until(lambda: "tip_tracker" in observer.healthy, "calibrating the camera")
            answer = observer.ask("drawing_controller/draw")
            replies: list[str] = []

            def answered() -> bool:
                reply = answer()
                if reply:
                    raise SketchCellError(f"the drawing was refused: {reply}")
                replies.extend([] if reply is None else [reply])
                return bool(replies)

            until(answered, "starting the job")
            until(lambda: observer.status.get("state") not in (None, "idle"), "starting the job")
            until(lambda: observer.status.get("state") in ("done", "failed", "paused"), "")
            if observer.status["state"] != "done":
                state, reason = observer.status["state"], observer.status["message"]
                raise SketchCellError(f"the drawing {state}: {reason}. What each node said is in {logs}/.")
            until(_once(observer.ask("twin/report")), "reading the glass")
            # Each comes by a topic of its own, in any order.
            until(
                lambda: (
                    observer.trace_m is not None
                    and observer.twin_facts
                    and observer.pictures.keys() >= {"twin/glass", "line/preview"}
                ),
                "reading the glass",
            )

    def _until(
        self,
        reached: Callable[[], object],
        show: Callable[[], None],
        observer: Any,
        processes: CellProcesses,
    ) -> None:
        """Spin until `reached`, watching for dead nodes and for a cell in which nothing moves any more."""
        last_news, news_s = None, time.monotonic()
        while not reached():
            observer.spin(0.1)
            processes.check()
            show()
            news = (observer.status.get("progress"), observer.status.get("state"))
            if news != last_news:
                last_news, news_s = news, time.monotonic()
            if time.monotonic() - news_s > STALLED_AFTER_S:
                raise SketchCellError(
                    f"nothing has moved for {STALLED_AFTER_S:.0f} s: the cell hangs. End other programs and try "
                    "again, or look for the cause with `sketch-cell doctor`."
                )

    def _write(self, observer: Any, wall_s: float) -> None:
        file = self._photo.read_bytes()
        given = read_photo(file, 1e6)
        repaired = observer.pictures["picture/image"]
        preview, drawn = observer.pictures["line/preview"], observer.pictures["twin/glass"]
        plan_m = observer.plan_m
        found = deviation(observer.trace_m, plan_m)
        original = [("photo", astronaut())] if self._shipped else []
        panels = [*original, ("JPEG", given), ("repaired", repaired)]
        for caption, glass in (("planned", preview), ("drawn", drawn)):
            scale = glass.shape[1] / float(observer.twin_facts["width_m"])
            panels.append((caption, report.crop_to_drawing(glass, plan_m, scale)))
        figures = self._figures(observer, found, wall_s)
        pictures = {"repaired": repaired, "preview": preview, "drawn": drawn}
        for name, picture in pictures.items():
            report.write_picture(self._folder / f"{name}.png", picture)
        report.write_picture(self._folder / "compare.png", report.side_by_side(panels))
        caption = f"{self._photo.stem}, loop {self._loop}: RMS {figures['deviation_rms_mm']:.3f} mm"
        write_whole(self._folder / "deviation.png", report.deviation_figure(plan_m, found, caption))
        commands_m = simplify(plan_m)
        width_m, height_m, line_width_m = (
            float(observer.twin_facts[name]) for name in ("width_m", "height_m", "line_width_m")
        )
        svg = svg_text(commands_m, width_m=width_m, height_m=height_m, line_width_m=line_width_m)
        write_whole(self._folder / "plan.svg", svg)
        write_whole(self._folder / "plan.nc", gcode_text(commands_m))
        write_whole(self._folder / "report.json", json.dumps(figures, indent=2) + "\n")
        console.print_json(json.dumps(figures))

    def _figures(self, observer: Any, found: Any, wall_s: float) -> dict[str, Any]:
        status, facts = observer.status, observer.twin_facts
        draw_s = float(status["draw_s"])
        length_m = float(np.hypot(*np.diff(observer.plan_m, axis=0).T).sum())
        return {
            "photo": self._photo.name,
            "parameters": 57_987,
            "line_m": round(length_m, 3),
            "commands": observer.commands,
            "planned_s": float(status["planned_s"]),
            "draw_s": draw_s,
            "wall_s": round(wall_s, 1),
            "loop": self._loop,
            "deviation_rms_mm": round(found.rms_m * 1e3, 4),
            "deviation_p95_mm": round(found.p95_m * 1e3, 4),
            "deviation_max_mm": round(found.max_m * 1e3, 4),
            "tip_rate_hz": round(len(observer.tips) / draw_s, 2),
            "tip_error_p95_mm": report.tip_error_p95_mm(observer.tips, observer.trace_s, observer.trace_m),
            "faults": {
                **{name: json.loads(facts[name]) for name in FAULTS},
                "lost_steps_found": int(status["lost_steps_found"]),
            },
        }


def _once(answer: Callable[[], str | None]) -> Callable[[], bool]:
    """True from the first answer on."""
    answered: list[bool] = []

    def reached() -> bool:
        if not answered and answer() is not None:
            answered.append(True)
        return bool(answered)

    return reached


def _check_writable(folder: Path) -> None:
    """Find out now, not after the drawing, that nothing can be written."""
    probe = folder / ".writable"
    write_whole(probe, "")
    probe.unlink()


@contextmanager
def _job_progress() -> Iterator[Callable[[str, dict[str, str]], None]]:
    """Show phase, progress, time left and deviation; without a terminal, a line per phase and tenth drawn."""
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[deviation]}"),
    )
    last = ""
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0, deviation="")

        def show(phase: str, status: dict[str, str]) -> None:
            nonlocal last
            drawn = float(status.get("progress", 0.0))
            seen = status.get("deviation_mm", "")
            deviation_text = f"{float(seen):.2f} mm off" if seen else ""
            phase = phase or status["state"]
            bar.update(task, description=phase, completed=drawn, deviation=deviation_text)
            line = f"{phase} {int(drawn * 10) * 10} %" if drawn else phase
            if line != last and not console.is_terminal:
                console.print(f"{line} {deviation_text}".rstrip())
            last = line

        yield show
