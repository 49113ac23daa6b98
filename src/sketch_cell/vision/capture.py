"""Images from a webcam or a video file, with their age when they were handed over (OpenCV's VideoCapture)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.settings import Settings, setting

_OLDEST_S = 0.5  # a device's time stamp that says more is on another clock


@dataclass(frozen=True)
class CaptureSettings(Settings):
    """The device and what is asked of it; 0 leaves a value as the device has it."""

    device: str = setting("/dev/video0", "device, its number, or a video file", read_only=True)
    width_px: int = setting(640, "image width", unit="px", minimum=0, maximum=8192, read_only=True)
    height_px: int = setting(480, "image height", unit="px", minimum=0, maximum=8192, read_only=True)
    frame_rate_hz: float = setting(30.0, "images per second", unit="Hz", minimum=0.0, read_only=True)
    exposure: float = setting(0.0, "exposure in the device's own unit; 0: automatic", read_only=True)
    latency_s: float = setting(
        0.03, "age of an image that carries no time stamp", unit="s", minimum=0.0, maximum=1.0, read_only=True
    )
    retry_s: float = setting(1.0, "time between tries to open", unit="s", minimum=0.01, read_only=True)


class Capture:
    """Opens the device when the first image is wanted, and again after it went away."""

    def __init__(self, settings: CaptureSettings) -> None:
        self.settings = settings
        self._device: cv2.VideoCapture | None = None
        self._next_s = 0.0

    def read(self) -> tuple[NDArray[np.uint8] | None, float, str]:
        """The next grey image (H, W), its age [s] since exposure, and, where there is none, why."""
        if self._device is None and not self._open():
            return (
                None,
                0.0,
                f"{self.settings.device} cannot be opened: plug the camera in, or give another device.",
            )
        assert self._device is not None
        good, image = self._device.read()
        if not good or image is None:
            self.close()
            return None, 0.0, f"{self.settings.device} gives no more images: it is opened again."
        age_s = self._age_s()
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return grey, age_s, ""

    def close(self) -> None:
        """Let go of the device."""
        if self._device is not None:
            self._device.release()
            self._device = None

    def _open(self) -> bool:
        name = self.settings.device
        device = cv2.VideoCapture(int(name) if name.isdigit() else name)
        if not device.isOpened():
            device.release()
            return False
        # One buffered image only: older ones would be late.
        wishes = {
            cv2.CAP_PROP_FRAME_WIDTH: self.settings.width_px,
            cv2.CAP_PROP_FRAME_HEIGHT: self.settings.height_px,
            cv2.CAP_PROP_FPS: self.settings.frame_rate_hz,
            cv2.CAP_PROP_EXPOSURE: self.settings.exposure,
        }
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if self.settings.exposure:
            device.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)  # V4L2's "manual mode"
        for wish, value in wishes.items():
            if value:
                device.set(wish, value)
        self._device = device
        self._is_file = device.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        return True

    def _age_s(self) -> float:
        """V4L2 stamps each image on the monotonic clock when its exposure was read out; files keep their pace."""
        assert self._device is not None
        if self._is_file:
            self._keep_pace()
            return 0.0
        stamp_ms = self._device.get(cv2.CAP_PROP_POS_MSEC)
        age_s = time.monotonic() - stamp_ms * 1e-3
        return age_s if 0 <= age_s < _OLDEST_S else self.settings.latency_s

    def _keep_pace(self) -> None:
        assert self._device is not None
        rate_hz = self._device.get(cv2.CAP_PROP_FPS) or self.settings.frame_rate_hz or 30.0
        now_s = time.monotonic()
        if now_s < self._next_s:
            time.sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + 1 / rate_hz
