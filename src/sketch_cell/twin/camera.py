"""What a tilted webcam above the toy sees: the growing line, the light, the lens and a hand now and then."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.twin.camera_disturbances import (
    FIXED_POINT_BITS,
    Hand,
    add_glare,
    expose,
    fixed_point,
    moved_taps,
)
from sketch_cell.twin.camera_geometry import Geometry
from sketch_cell.twin.camera_settings import CameraInfo, CameraSettings, Frame, with_faults

Floats = NDArray[np.float64]
Grey = NDArray[np.float32]
Region = tuple[slice, slice]  # rows and columns of the image

FINE = 8  # fine pixels per camera pixel, in which the union of all ink is kept
MOMENTS = (1 / 6, 1 / 2, 5 / 6)  # of the exposure; the image is the mean over them
_NOISE_BANK = 2**17


class Camera:
    """A seeded camera over the toy: tell it where the stylus went (`see`), then ask for images in time order.

    `image(exposure_start_s)` renders one exposure; `frames(now_s)` also keeps the frame rate, drops
    frames and holds each back by the latency. The stylus itself is invisible, as on the real toy:
    only the powder it scraped off is seen.
    """

    def __init__(self, settings: CameraSettings | None = None, seed: int = 0) -> None:
        self.settings = settings or CameraSettings()
        self._seed = seed
        self._rng = np.random.default_rng([seed, 0xCA])
        self._noise = self._rng.standard_normal(_NOISE_BANK, dtype=np.float32)
        self._seen_xy: list[Floats] = []
        self._coming: list[tuple[Floats, Floats]] = []
        self._waiting_xy: Floats = np.empty((0, 2))
        self._waiting_s: Floats = np.empty(0)
        self._next_frame = 0
        self._exposure_gain, self._exposure_period = 1.0, -1
        self._hand_count, self._hand = -1, Hand(self._rng, self.settings)
        self._light_phase = self._rng.uniform(0, 2 * math.pi)
        self._build()

    # What happens on the glass ---------------------------------------------------------------------

    def see(self, stylus_m: Floats, times_s: Floats) -> None:
        """The stylus went through stylus_m (n, 2) [m, screen] at times_s (n,) [s], later than before."""
        if len(times_s) == 0:
            return
        # Joined when an image is asked for, and perhaps none ever is.
        self._coming.append((stylus_m, times_s))

    def shake(self) -> None:
        """Turn the toy over: a clean glass; the stylus stays where it is."""
        self._seen_xy = []
        self._build()

    def configure(self, settings: CameraSettings) -> None:
        """Use other settings from now on; what is on the glass stays."""
        old, self.settings = self.settings, settings
        geometry = [name for name in _GEOMETRY if getattr(old, name) != getattr(settings, name)]
        if geometry:
            self._build()
        if old.frame_rate_hz != settings.frame_rate_hz:
            self._next_frame = math.ceil(self._next_frame / old.frame_rate_hz * settings.frame_rate_hz)

    def glass(self, pixels_per_m: float = 12000.0) -> NDArray[np.uint8]:
        """What is on the glass as a sharp grey drawing, uint8 (rows, columns), row 0 on top."""
        s = self.settings
        width, height = round(s.glass_width_m * pixels_per_m), round(s.glass_height_m * pixels_per_m)
        drawing = np.full((height, width), 205, np.uint8)
        flip = np.array([pixels_per_m, -pixels_per_m])
        origin = np.array([0.0, s.glass_height_m * pixels_per_m]) - 0.5
        self._join()
        for xy in self._all_xy():
            _draw(drawing, xy * flip + origin, s.line_width_m * pixels_per_m, 60)
        return drawing

    @property
    def camera_info(self) -> CameraInfo:
        """The lens as a camera_info message would carry it."""
        s = self.settings
        return CameraInfo(s.width_px, s.height_px, self._geometry.matrix, self._geometry.distortion)

    def pixels_from_screen(self, xy_m: Floats) -> Floats:
        """True pixels (N, 2) of screen points (N, 2) [m], without vibration or bump."""
        return self._geometry.pixels(np.asarray(xy_m, float))

    # Images ----------------------------------------------------------------------------------------

    def frames(self, now_s: float) -> list[Frame]:
        """The images that arrive by now_s [s] and were not returned before (usually none or one)."""
        s = self.settings
        arrived = []
        while (start_s := self._next_frame / s.frame_rate_hz) + s.exposure_s + s.latency_s <= now_s:
            self._next_frame += 1
            if self._rng.random() >= s.dropped_fraction:
                arrived.append(Frame(start_s + s.stamp_error_s, self.image(start_s)))
        return arrived

    def image(self, exposure_start_s: float) -> NDArray[np.uint8]:
        """Expose one image, uint8 (height, width), from exposure_start_s [s], later than the one before."""
        self._scrape(exposure_start_s)
        (x, taps_x), (y, taps_y) = (moved_taps(shift) for shift in self._shift_px())
        scene = self._disturbed(exposure_start_s)
        gain = np.float32(self._gain(exposure_start_s))
        # Every row begins elsewhere in a short bank of noise: a bank of whole images would not stay in the cache.
        starts = self._rng.integers(len(self._noise) - scene.shape[1], size=scene.shape[0])
        sigma = np.float32(self.settings.noise_sigma)
        image = np.empty(scene.shape, np.uint8)
        expose(scene, y, taps_y, x, taps_x, gain, self._noise, sigma, starts, image)
        return image

    def _build(self) -> None:
        """Set up geometry and the empty glass, then draw again all that was seen."""
        self._geometry = Geometry(self.settings)
        rows, columns = self.settings.height_px, self.settings.width_px
        self._bright = self._empty_glass()
        self._fine = np.zeros((rows * FINE, columns * FINE), np.uint8)
        self._clean = self._bright.copy()
        self._line_px = self.settings.line_width_m * self.settings.pixels_per_m
        self._pending: Region | None = None
        self._tip = self._seen_xy[-1][-1:] if self._seen_xy else np.empty((0, 2))
        if self._seen_xy:
            strokes = [self._geometry.pixels(xy) for xy in self._seen_xy]
            for stroke in strokes[:-1]:
                _draw(self._fine, _fine_pixels(stroke), self._line_px * FINE, 255)
            everything = slice(0, rows), slice(0, columns)
            self._clean = self._inked(everything, strokes[-1:])

    def _empty_glass(self) -> Grey:
        s = self.settings
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [s.glass_width_m, s.glass_height_m]
        steps = np.linspace(0, 1, 32, endpoint=False)[:, None]
        outline = np.concatenate(
            [a + steps * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
        )
        glass = np.zeros((s.height_px * FINE, s.width_px * FINE), np.uint8)
        fine = _fine_pixels(self._geometry.pixels(outline))
        fine -= 0.5 * np.sign(fine - fine.mean(axis=0))  # fillPoly also fills the pixels of its outline
        points = fixed_point(fine)
        cv2.fillPoly(glass, [points], 255, cv2.LINE_AA, FIXED_POINT_BITS)
        share = cv2.resize(glass, (s.width_px, s.height_px), interpolation=cv2.INTER_AREA) / np.float32(255)
        y, x = np.mgrid[-1 : 1 : s.height_px * 1j, -1 : 1 : s.width_px * 1j].astype(np.float32)
        lamp = 1 - 0.06 * (x - 0.3) ** 2 - 0.05 * (y + 0.4) ** 2
        grains = np.random.default_rng([self._seed, 0x9A]).standard_normal(lamp.shape, dtype=np.float32)
        powder = cv2.GaussianBlur(grains, (0, 0), 1.5) * 4
        # A red toy seen by a mono sensor: about a third of the glass's brightness.
        bright = lamp * (share * (195 + powder) + (1 - share) * 62)
        return _blurred(bright.astype(np.float32), s.blur_px)

    def _scrape(self, start_s: float) -> None:
        """Bring the ink up to date; the image is the mean over three moments of the exposure."""
        self._join()
        paths = [self._drawn_until(start_s + share * self.settings.exposure_s) for share in MOMENTS]
        lengths = [len(path) for path in paths]
        touched = None
        if any(lengths):
            pixels = self._geometry.pixels(np.concatenate(paths))
            touched = self._region(pixels)
        # What was half exposed last time is now there in full.
        region, self._pending = _joined(self._pending, touched), touched
        if region is None:
            return
        strokes = np.split(pixels, np.cumsum(lengths)[:-1]) if touched else [np.empty((0, 2))] * len(MOMENTS)
        self._clean[region] = self._inked(region, strokes)

    def _join(self) -> None:
        """Put what came since the last time behind what waits to be drawn."""
        self._waiting_xy = np.concatenate([self._waiting_xy, *(xy for xy, _ in self._coming)])
        self._waiting_s = np.concatenate([self._waiting_s, *(times for _, times in self._coming)])
        self._coming = []

    def _drawn_until(self, moment_s: float) -> Floats:
        """The waiting trace up to moment_s (n, 2) [m], from where it ended before; n is 0 where nothing moved."""
        count = int(np.searchsorted(self._waiting_s, moment_s, side="right"))
        xy: Floats = self._waiting_xy[:count]
        if 0 < count < len(self._waiting_s):
            (t0, t1), (a, b) = self._waiting_s[count - 1 : count + 1], self._waiting_xy[count - 1 : count + 1]
            xy = np.concatenate([xy, [a + (b - a) * (moment_s - t0) / (t1 - t0)]])
        self._waiting_xy, self._waiting_s = self._waiting_xy[count:], self._waiting_s[count:]
        if len(xy) == 0:
            return xy
        path: Floats = np.concatenate([self._tip, xy])
        path = path[np.append(True, (path[1:] != path[:-1]).any(axis=1))]
        if len(path) == 1 and len(self._tip):
            return path[:0]
        self._tip = path[-1:]
        self._seen_xy.append(path)
        return path

    def _region(self, pixels: Floats) -> Region:
        """The image rows and columns that a stroke along pixels (N, 2) darkens."""
        reach = self._line_px / 2 + 3 * self.settings.blur_px + 2
        left, top = (pixels.min(axis=0) - reach).tolist()
        right, bottom = (pixels.max(axis=0) + reach).tolist()
        rows, columns = self._bright.shape
        return _part(top, math.ceil(bottom) + 1, rows), _part(left, math.ceil(right) + 1, columns)

    def _inked(self, region: Region, strokes: Sequence[Floats]) -> Grey:
        """The noiseless image of a region: the empty glass darkened by the blurred ink.

        The strokes (n, 2) [px] are drawn one after another; the ink is the mean over the moments after each.
        """
        margin = math.ceil(3 * self.settings.blur_px) + 1
        rows, columns = (
            slice(max(part.start - margin, 0), min(part.stop + margin, size))
            for part, size in zip(region, self._bright.shape, strict=True)
        )
        fine = self._fine[rows.start * FINE : rows.stop * FINE, columns.start * FINE : columns.stop * FINE]
        size = (columns.stop - columns.start, rows.stop - rows.start)
        total = np.zeros(size[::-1], np.float32)
        coarse = None
        for stroke in strokes:
            if len(stroke):
                _draw(self._fine, _fine_pixels(stroke), self._line_px * FINE, 255)
            if len(stroke) or coarse is None:
                coarse = cv2.resize(fine, size, interpolation=cv2.INTER_AREA)
            total += coarse
        ink = _blurred(total, self.settings.blur_px)
        top, left = region[0].start - rows.start, region[1].start - columns.start
        bright = self._bright[region]
        ink = ink[top : top + bright.shape[0], left : left + bright.shape[1]]
        inked: Grey = bright * (1 - ink * np.float32(self.settings.ink_darkness / 255 / len(strokes)))
        return inked

    def _shift_px(self) -> tuple[float, float]:
        s = self.settings
        dx, dy = self._rng.standard_normal(2) * s.vibration_px
        return s.bump_x_px + dx, s.bump_y_px + dy

    def _gain(self, start_s: float) -> float:
        s = self.settings
        period = int(start_s // s.exposure_step_period_s)
        if period != self._exposure_period:
            self._exposure_period = period
            self._exposure_gain = 1 + self._rng.uniform(-1, 1) * s.exposure_step
        # A lamp flickers at twice the mains frequency; the exposure averages it (a sinc in frequency).
        angle = 2 * math.pi * 2 * s.mains_hz * (start_s + s.exposure_s / 2) + self._light_phase
        wave = math.sin(angle) * float(np.sinc(2 * s.mains_hz * s.exposure_s))
        return self._exposure_gain * (1 + s.flicker * wave)

    def _disturbed(self, now_s: float) -> Grey:
        """The glass as the light leaves it now; a copy where a reflection or a hand is in the way."""
        s = self.settings
        light = self._clean
        if s.glare > 0:
            light = light.copy()
            add_glare(light, s.glare, now_s)
        if s.hand_period_s > 0:
            count, since_s = divmod(now_s, s.hand_period_s)
            # Hands come in the middle of each period, so that a job starts in peace.
            since_s -= (s.hand_period_s - s.hand_duration_s) / 2
            if count != self._hand_count:
                self._hand_count, self._hand = int(count), Hand(self._rng, s)
            if 0 <= since_s < s.hand_duration_s:
                light = light.copy()
                self._hand.cover(light, since_s / s.hand_duration_s)
        return light

    def _all_xy(self) -> list[Floats]:
        return [*self._seen_xy, np.concatenate([self._tip, self._waiting_xy])] if self._seen_xy else []


_GEOMETRY = (
    "glass_width_m",
    "glass_height_m",
    "line_width_m",
    "ink_darkness",
    "width_px",
    "height_px",
    "pixels_per_m",
    "focal_length_px",
    "tilt_x_rad",
    "tilt_y_rad",
    "roll_rad",
    "lens_k1",
    "lens_k2",
    "blur_px",
)


def _blurred(image: Grey, sigma_px: float) -> Grey:
    if sigma_px == 0:
        return image
    return cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)  # type: ignore[no-any-return]


def _fine_pixels(pixels: Floats) -> Floats:
    """Fine-pixel coordinates of camera pixels; both have their centres at whole numbers."""
    return (pixels + 0.5) * FINE - 0.5


def _draw(canvas: NDArray[np.uint8], pixels: Floats, width_px: float, value: int) -> None:
    # OpenCV draws an even thickness t about t + 1.4 wide with soft edges (measured), an odd one t + 2.4.
    thickness = max(1, 2 * round((width_px - 1.4) / 2))
    points = fixed_point(pixels)
    cv2.polylines(canvas, [points], False, value, thickness, cv2.LINE_AA, FIXED_POINT_BITS)


def _part(start: float, stop: int, size: int) -> slice:
    """From start to stop as whole numbers, within 0 and size."""
    return slice(min(max(math.floor(start), 0), size), min(max(stop, 0), size))


def _joined(one: Region | None, other: Region | None) -> Region | None:
    if one is None or other is None:
        return one or other
    (a, b), (c, d) = one, other
    return slice(min(a.start, c.start), max(a.stop, c.stop)), slice(
        min(b.start, d.start), max(b.stop, d.stop)
    )


__all__ = ["Camera", "CameraInfo", "CameraSettings", "Frame", "with_faults"]
