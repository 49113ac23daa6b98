"""What a tilted webcam above the toy sees: the growing line, the light, the lens and a hand now and then."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.settings import Settings, setting

Floats = NDArray[np.float64]
Grey = NDArray[np.float32]

FINE = 8  # fine pixels per camera pixel, in which the union of all ink is kept
_FIXED_POINT_BITS = 4
_NOISE_BANK_SHAPE = (1024, 1408)


@dataclass(frozen=True)
class CameraSettings(Settings):
    """Geometry, timing and faults of the simulated camera; all of it may change at run time."""

    glass_width_m: float = setting(0.153, "width of the glass", unit="m", minimum=0.01, maximum=2.0)
    glass_height_m: float = setting(0.107, "height of the glass", unit="m", minimum=0.01, maximum=2.0)
    line_width_m: float = setting(0.0006, "width of the drawn line", unit="m", minimum=1e-4, maximum=0.005)
    ink_darkness: float = setting(0.65, "light the line takes away, of 1", minimum=0.05, maximum=1.0)
    width_px: int = setting(640, "image width", unit="px", minimum=64, maximum=4096)
    height_px: int = setting(480, "image height", unit="px", minimum=64, maximum=4096)
    pixels_per_m: float = setting(3900.0, "scale at the middle of the glass", unit="px/m", minimum=100.0)
    focal_length_px: float = setting(700.0, "focal length", unit="px", minimum=50.0)
    tilt_x_rad: float = setting(0.05, "tilt about the image's x axis", unit="rad", minimum=-0.5, maximum=0.5)
    tilt_y_rad: float = setting(-0.04, "tilt about the image's y axis", unit="rad", minimum=-0.5, maximum=0.5)
    roll_rad: float = setting(0.01, "turn in the image plane", unit="rad", minimum=-0.5, maximum=0.5)
    lens_k1: float = setting(-0.06, "radial lens distortion, 2nd order", minimum=-0.5, maximum=0.5)
    lens_k2: float = setting(0.01, "radial lens distortion, 4th order", minimum=-0.5, maximum=0.5)
    blur_px: float = setting(0.6, "sigma of the lens blur", unit="px", minimum=0.0, maximum=5.0)
    frame_rate_hz: float = setting(30.0, "images per second", unit="Hz", minimum=1.0, maximum=240.0)
    exposure_s: float = setting(0.008, "exposure time", unit="s", minimum=0.0, maximum=0.1)
    latency_s: float = setting(0.02, "end of exposure to delivery", unit="s", minimum=0.0, maximum=1.0)
    stamp_error_s: float = setting(0.0, "stamp minus start of exposure", unit="s", minimum=-0.5, maximum=0.5)
    dropped_fraction: float = setting(0.01, "share of images lost", minimum=0.0, maximum=1.0)
    noise_sigma: float = setting(4.0, "sensor noise, of 255 grey levels", minimum=0.0, maximum=64.0)
    flicker: float = setting(0.01, "amplitude of the lamps' flicker, of 1", minimum=0.0, maximum=0.5)
    mains_hz: float = setting(50.0, "mains frequency; lamps flicker at twice that", unit="Hz", minimum=1.0)
    exposure_step: float = setting(0.0, "size of automatic exposure's steps, of 1", minimum=0.0, maximum=0.5)
    exposure_step_period_s: float = setting(5.0, "time between such steps", unit="s", minimum=0.05)
    vibration_px: float = setting(0.1, "RMS shift per axis", unit="px", minimum=0.0, maximum=5.0)
    bump_x_px: float = setting(0.0, "shift of a bumped camera", unit="px", minimum=-50.0, maximum=50.0)
    bump_y_px: float = setting(0.0, "shift of a bumped camera", unit="px", minimum=-50.0, maximum=50.0)
    glare: float = setting(0.0, "grey levels a reflection adds", minimum=0.0, maximum=255.0)
    hand_period_s: float = setting(0.0, "from one hand to the next; 0: never", unit="s", minimum=0.0)
    hand_duration_s: float = setting(2.0, "time a hand stays over the glass", unit="s", minimum=0.1)


class CameraInfo(NamedTuple):
    """Image size, camera matrix (3, 3) [px] and plumb-bob lens distortion (k1, k2, p1, p2, k3)."""

    width_px: int
    height_px: int
    matrix: Floats
    distortion: Floats


class Frame(NamedTuple):
    """An image (H, W) as the camera delivers it, stamped at the start of exposure (stamp error included)."""

    stamp_s: float
    image: NDArray[np.uint8]


class _Geometry:
    """Screen metres to image pixels: rigid pose, pinhole, plumb-bob lens (OpenCV's camera model)."""

    def __init__(self, settings: CameraSettings) -> None:
        width, height = settings.width_px, settings.height_px
        focal = settings.focal_length_px
        self.matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        self.distortion = np.array([settings.lens_k1, settings.lens_k2, 0.0, 0.0, 0.0])
        turn = _rotation(settings.tilt_x_rad, settings.tilt_y_rad, settings.roll_rad)
        # Screen y points up and image y down, so the toy is turned by pi about x before it is tilted.
        self.rotation = turn @ np.diag([1.0, -1.0, -1.0])
        middle = np.array([settings.glass_width_m / 2, settings.glass_height_m / 2, 0.0])
        self.offset = np.array([0.0, 0.0, focal / settings.pixels_per_m]) - self.rotation @ middle

    def pixels(self, xy_m: Floats) -> Floats:
        """Pixels (N, 2), pixel centres at whole numbers, of screen points (N, 2) [m]."""
        seen = xy_m @ self.rotation[:, :2].T + self.offset
        flat = seen[:, :2] / seen[:, 2:]
        r2 = np.sum(flat**2, axis=1, keepdims=True)
        bent: Floats = flat * (1 + r2 * (self.distortion[0] + r2 * self.distortion[1]))
        pixels: Floats = bent * self.matrix[[0, 1], [0, 1]] + self.matrix[:2, 2]
        return pixels


class Camera:
    """A seeded camera over the toy: tell it where the stylus went (`see`), then ask for images in time order.

    `image(exposure_start_s)` renders one exposure; `frames(now_s)` also keeps the frame rate, drops
    frames and holds each back by the latency. The stylus itself is invisible, as on the real toy:
    only the powder it scraped off is seen.
    """

    def __init__(self, settings: CameraSettings | None = None, seed: int = 0) -> None:
        self.settings = settings or CameraSettings()
        self._rng = np.random.default_rng([seed, 0xCA])
        self._noise = self._rng.standard_normal(_NOISE_BANK_SHAPE, dtype=np.float32)
        self._seen_xy: list[Floats] = []
        self._waiting_xy: Floats = np.empty((0, 2))
        self._waiting_s: Floats = np.empty(0)
        self._next_frame = 0
        self._exposure_gain, self._exposure_period = 1.0, -1
        self._hand_count, self._hand = -1, _Hand(self._rng, self.settings)
        self._light_phase = self._rng.uniform(0, 2 * math.pi)
        self._build()

    # What happens on the glass ---------------------------------------------------------------------

    def see(self, stylus_m: Floats, times_s: Floats) -> None:
        """The stylus went through stylus_m (n, 2) [m, screen] at times_s (n,) [s], later than before."""
        if len(times_s) == 0:
            return
        self._waiting_xy = np.concatenate([self._waiting_xy, stylus_m])
        self._waiting_s = np.concatenate([self._waiting_s, times_s])

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
        light = _shifted(self._clean, *self._shift_px(), self._light)
        self._add_disturbances(light, exposure_start_s)
        rows, columns = light.shape
        top = self._rng.integers(self._noise.shape[0] - rows + 1)
        left = self._rng.integers(self._noise.shape[1] - columns + 1)
        noise = self._noise[top : top + rows, left : left + columns]
        gain = self._gain(exposure_start_s)
        sigma = self.settings.noise_sigma
        return cv2.addWeighted(light, gain, noise, sigma, 0.0, dtype=cv2.CV_8U)  # type: ignore[no-any-return]

    def _build(self) -> None:
        """Set up geometry and the empty glass, then draw again all that was seen."""
        self._geometry = _Geometry(self.settings)
        rows, columns = self.settings.height_px, self.settings.width_px
        self._bright = self._empty_glass()
        self._fine = np.zeros((rows * FINE, columns * FINE), np.uint8)
        self._clean = self._bright.copy()
        self._light = np.empty_like(self._bright)  # kept: fresh memory costs as much as the filter
        self._pending: list[slice] | None = None
        last = self._seen_xy[-1][-1:] if self._seen_xy else np.empty((0, 2))
        self._tip = last
        for xy in self._seen_xy:
            self._draw_fine(xy)
        if self._seen_xy:
            everything = [slice(0, rows), slice(0, columns)]
            self._clean = self._inked(everything)

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
        points = _fixed_point(fine)
        cv2.fillPoly(glass, [points], 255, cv2.LINE_AA, _FIXED_POINT_BITS)
        share = cv2.resize(glass, (s.width_px, s.height_px), interpolation=cv2.INTER_AREA) / np.float32(255)
        y, x = np.mgrid[-1 : 1 : s.height_px * 1j, -1 : 1 : s.width_px * 1j].astype(np.float32)
        lamp = 1 - 0.06 * (x - 0.3) ** 2 - 0.05 * (y + 0.4) ** 2
        powder = cv2.GaussianBlur(self._noise[: s.height_px, : s.width_px], (0, 0), 1.5) * 4
        if powder.shape != lamp.shape:  # larger images than the noise bank get a smooth glass
            powder = np.zeros_like(lamp)
        # A red toy seen by a mono sensor: about a third of the glass's brightness.
        bright = lamp * (share * (195 + powder) + (1 - share) * 62)
        return _blurred(bright.astype(np.float32), s.blur_px)

    def _scrape(self, start_s: float) -> None:
        """Bring the ink up to date; the image is the mean over three moments of the exposure."""
        if self._pending is not None:  # what was half exposed last time is now there in full
            self._clean[tuple(self._pending)] = self._inked(self._pending)
            self._pending = None
        touched, moments = None, []
        for share in (1 / 6, 1 / 2, 5 / 6):
            touched = _joined(touched, self._draw_until(start_s + share * self.settings.exposure_s))
            moments.append(touched and (touched, self._inked(touched)))
        if touched is None:
            return
        total = np.zeros((touched[0].stop - touched[0].start, touched[1].stop - touched[1].start), np.float32)
        for moment in moments:
            now = self._clean[tuple(touched)].copy()
            if moment:
                (rows, columns), inked = moment
                now[
                    rows.start - touched[0].start : rows.stop - touched[0].start,
                    columns.start - touched[1].start : columns.stop - touched[1].start,
                ] = inked
            total += now
        self._clean[tuple(touched)] = total / len(moments)
        self._pending = touched

    def _draw_until(self, moment_s: float) -> list[slice] | None:
        """Draw the waiting trace up to moment_s; returns the image rows and columns it touched."""
        count = int(np.searchsorted(self._waiting_s, moment_s, side="right"))
        xy = self._waiting_xy[:count]
        if 0 < count < len(self._waiting_s):
            (t0, t1), (a, b) = self._waiting_s[count - 1 : count + 1], self._waiting_xy[count - 1 : count + 1]
            xy = np.concatenate([xy, [a + (b - a) * (moment_s - t0) / (t1 - t0)]])
        self._waiting_xy, self._waiting_s = self._waiting_xy[count:], self._waiting_s[count:]
        if len(xy) == 0:
            return None
        path = np.concatenate([self._tip, xy])
        keep = np.concatenate([[True], np.any(np.diff(path, axis=0) != 0, axis=1)])
        path = path[keep]
        if len(path) == 1 and len(self._tip):
            return None
        self._tip = path[-1:]
        self._seen_xy.append(path)
        return self._draw_fine(path)

    def _draw_fine(self, path: Floats) -> list[slice]:
        pixels = self._geometry.pixels(path)
        width_px = self.settings.line_width_m * self.settings.pixels_per_m
        _draw(self._fine, _fine_pixels(pixels), width_px * FINE, 255)
        reach = width_px / 2 + 3 * self.settings.blur_px + 2
        low, high = np.floor(pixels.min(0) - reach).astype(int), np.ceil(pixels.max(0) + reach).astype(int)
        rows, columns = self._bright.shape
        return [
            slice(*np.clip([low[1], high[1] + 1], 0, rows).tolist()),
            slice(*np.clip([low[0], high[0] + 1], 0, columns).tolist()),
        ]

    def _inked(self, region: list[slice]) -> Grey:
        """The noiseless image of a region: the empty glass darkened by the blurred ink."""
        margin = math.ceil(3 * self.settings.blur_px) + 1
        rows, columns = (
            slice(max(part.start - margin, 0), min(part.stop + margin, size))
            for part, size in zip(region, self._bright.shape, strict=True)
        )
        fine = self._fine[rows.start * FINE : rows.stop * FINE, columns.start * FINE : columns.stop * FINE]
        size = (columns.stop - columns.start, rows.stop - rows.start)
        ink = cv2.resize(fine, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        ink = _blurred(ink, self.settings.blur_px)
        ink = ink[region[0].start - rows.start :, region[1].start - columns.start :]
        ink = ink[: region[0].stop - region[0].start, : region[1].stop - region[1].start]
        inked: Grey = self._bright[tuple(region)] * (1 - ink * np.float32(self.settings.ink_darkness / 255))
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

    def _add_disturbances(self, light: Grey, now_s: float) -> None:
        s = self.settings
        if s.glare > 0:
            _add_glare(light, s.glare, now_s)
        if s.hand_period_s > 0:
            count, since_s = divmod(now_s, s.hand_period_s)
            # Hands come in the middle of each period, so that a job starts in peace.
            since_s -= (s.hand_period_s - s.hand_duration_s) / 2
            if count != self._hand_count:
                self._hand_count, self._hand = int(count), _Hand(self._rng, s)
            if 0 <= since_s < s.hand_duration_s:
                self._hand.cover(light, since_s / s.hand_duration_s)

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


class _Hand:
    """A forearm with a fist that comes in from a side, stays near a place on the glass and leaves."""

    def __init__(self, rng: np.random.Generator, settings: CameraSettings) -> None:
        size = np.array([settings.width_px, settings.height_px])
        self._target = size * rng.uniform(0.25, 0.75, 2)
        angle = rng.uniform(0.15, 0.85) * math.pi  # from below, where the person sits
        self._outward = np.array([math.cos(angle), math.sin(angle)])
        self._reach = float(np.hypot(*size))
        self._width = settings.height_px * rng.uniform(0.12, 0.2)
        self._brightness = float(rng.uniform(85, 150))
        self._tremble = rng.uniform(-4, 4, (2, 3))

    def cover(self, light: Grey, share: float) -> None:
        """Darken light in place; share 0..1 is how much of the visit has passed."""
        way = max(0.0, abs(2 * share - 1) - 0.5) * 2  # in for a quarter, rest for a half, out
        tremble = self._tremble @ np.sin(share * np.array([9.0, 23.0, 41.0]))
        fist = self._target + tremble + self._outward * self._reach * way
        elbow = fist + self._outward * self._reach
        mask = np.zeros(light.shape, np.uint8)
        arm = _fixed_point(np.array([fist, elbow]))
        cv2.polylines(mask, [arm], False, 255, round(self._width), cv2.LINE_AA, _FIXED_POINT_BITS)
        knuckles = _fixed_point(fist[None])[0]
        radius = round(self._width * 0.75 * 2**_FIXED_POINT_BITS)
        cv2.circle(mask, knuckles.tolist(), radius, 255, -1, cv2.LINE_AA, _FIXED_POINT_BITS)
        shadow = cv2.boxFilter(mask, cv2.CV_32F, (41, 41)) * np.float32(0.18 / 255)
        skin = mask * np.float32(1 / 255)
        light *= 1 - shadow
        light += skin * (self._brightness - light)


def _add_glare(light: Grey, strength: float, now_s: float) -> None:
    rows, columns = light.shape
    centre = (0.6 + 0.2 * math.sin(now_s / 7), 0.4 + 0.15 * math.sin(now_s / 5 + 1))
    x = np.exp(-(((np.arange(columns) / columns - centre[0]) / 0.09) ** 2)).astype(np.float32)
    y = np.exp(-(((np.arange(rows) / rows - centre[1]) / 0.12) ** 2)).astype(np.float32)
    light += np.float32(strength) * y[:, None] * x


def _rotation(tilt_x_rad: float, tilt_y_rad: float, roll_rad: float) -> Floats:
    turn: Floats = np.eye(3)
    for vector in ([tilt_x_rad, 0, 0], [0, tilt_y_rad, 0], [0, 0, roll_rad]):
        turn = cv2.Rodrigues(np.array(vector, float))[0] @ turn
    return turn


def _blurred(image: Grey, sigma_px: float) -> Grey:
    if sigma_px == 0:
        return image
    return cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)  # type: ignore[no-any-return]


def _shifted(image: Grey, dx: float, dy: float, into: Grey) -> Grey:
    """Image moved by (dx, dy) pixels: whole pixels by indexing, the rest by a cubic (Keys) filter."""
    whole_x, whole_y = round(dx), round(dy)
    if whole_x or whole_y:
        rows, columns = image.shape
        y = np.clip(np.arange(rows) - whole_y, 0, rows - 1)
        x = np.clip(np.arange(columns) - whole_x, 0, columns - 1)
        image = np.take(np.take(image, y, axis=0), x, axis=1)
    taps_x, taps_y = _cubic(dx - whole_x), _cubic(dy - whole_y)
    return cv2.sepFilter2D(  # type: ignore[no-any-return]
        image, -1, taps_x, taps_y, dst=into, borderType=cv2.BORDER_REPLICATE
    )


def _cubic(shift: float) -> Floats:
    """Five taps that move a row by shift (-0.5..0.5) samples; Keys 1981 with a = -1/2."""
    x = np.abs(np.arange(-2, 3) + shift)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _fine_pixels(pixels: Floats) -> Floats:
    """Fine-pixel coordinates of camera pixels; both have their centres at whole numbers."""
    return (pixels + 0.5) * FINE - 0.5


def _fixed_point(pixels: Floats) -> NDArray[np.int32]:
    points: NDArray[np.int32] = np.round(pixels * 2**_FIXED_POINT_BITS).astype(np.int32)
    return points


def _draw(canvas: NDArray[np.uint8], pixels: Floats, width_px: float, value: int) -> None:
    # OpenCV draws an even thickness t about t + 1.4 wide with soft edges (measured), an odd one t + 2.4.
    thickness = max(1, 2 * round((width_px - 1.4) / 2))
    points = _fixed_point(pixels)
    cv2.polylines(canvas, [points], False, value, thickness, cv2.LINE_AA, _FIXED_POINT_BITS)


def _joined(one: list[slice] | None, other: list[slice] | None) -> list[slice] | None:
    if one is None or other is None:
        return one or other
    return [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)]


def with_faults(settings: CameraSettings) -> CameraSettings:
    """The same camera in bad conditions: the third fault set of the benchmarks (see doc/benchmarks.md)."""
    return dataclasses.replace(
        settings, noise_sigma=8.0, flicker=0.02, vibration_px=0.3, dropped_fraction=0.05, hand_period_s=60.0
    )
