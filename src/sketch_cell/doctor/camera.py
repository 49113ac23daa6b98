"""The camera: there, allowed, and giving images of a useful size, rate and brightness."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from sketch_cell.doctor.finding import Finding, missing, ok, warning
from sketch_cell.doctor.serial_ports import permission_remedy
from sketch_cell.vision.capture import Capture, CaptureSettings

NAME = "camera"
WATCH_S = 2.0
FIRST_IMAGES = 5  # a webcam finds its exposure and rate with these
SLOW_HZ, SMALL_PX = 15.0, 320
DARK, BRIGHT = 20, 235  # of 255, mean grey level


def camera(device: str = "", devices: str = "/dev") -> list[Finding]:
    """What the first camera, or `device` (a device or a video file), which then must work, gives for 2 s."""
    if device:
        return [_finding(device, needed=True)]
    found = sorted(Path(devices).glob("video*"))
    if not found:
        return [
            warning(
                NAME,
                f"no {devices}/video*: only the simulated toy can be watched",
                "For a real toy, plug a webcam in, or draw without it: --loop backlash",
            )
        ]
    return [_finding(str(found[0]), needed=False)]


def _finding(device: str, *, needed: bool) -> Finding:
    bad = missing if needed else warning
    path = Path(device)
    if not path.exists():
        return bad(
            NAME, f"{device} does not exist", "Plug the camera in, or look for its name: ls /dev/video*"
        )
    if not os.access(path, os.R_OK):
        return bad(NAME, f"{device} may not be opened by you", permission_remedy(path))
    images, rate_hz, problem = watch(device)
    if not images:
        return bad(
            NAME,
            problem.rstrip("."),
            "End the program that uses it; a camera often has two devices, of which one gives images: try the other.",
        )
    return judged(device, images[-1], rate_hz)


def watch(device: str) -> tuple[list[np.ndarray], float, str]:
    """Images of 2 s, their rate [Hz], and, where none came, why."""
    capture = Capture(CaptureSettings(device=device))
    images: list[np.ndarray] = []
    stamps_s: list[float] = []
    problem = ""
    end_s = time.monotonic() + WATCH_S
    try:
        while time.monotonic() < end_s and not (problem and images):
            image, _, problem = capture.read()
            if image is None:
                time.sleep(0.1)
                continue
            images.append(image)
            stamps_s.append(time.monotonic())
    finally:
        capture.close()
    settled_s = stamps_s[FIRST_IMAGES:] if len(stamps_s) > FIRST_IMAGES + 1 else stamps_s
    passed_s = settled_s[-1] - settled_s[0] if settled_s else 0.0
    return images, (len(settled_s) - 1) / passed_s if passed_s > 0 else 0.0, problem


def judged(device: str, image: np.ndarray, rate_hz: float) -> Finding:
    """What to say of the last image (H, W) and the rate [Hz]."""
    height, width = image.shape
    grey = float(image.mean())
    said = f"{device} gives {width} x {height} at {rate_hz:.0f} Hz, mean grey level {grey:.0f} of 255"
    if width < SMALL_PX:
        return warning(NAME, said, "Choose a larger size: the tracker wants 640 x 480.")
    if grey < DARK:
        return warning(NAME, f"{said}: dark", "Take the lens cap off, or give it light.")
    if grey > BRIGHT:
        return warning(NAME, f"{said}: white", "Take the light off the glass, or shorten the exposure.")
    if rate_hz < SLOW_HZ:
        return warning(NAME, f"{said}: slow", "Give it more light: webcams halve their rate in the dark.")
    return ok(NAME, said)
