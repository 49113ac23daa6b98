"""Rendered photos of sweets on a sheet, with their number known: what tests and benchmarks count sweets in."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import linear_from_srgb, srgb_from_linear

WHITE_SHEET = (236, 234, 228)


@dataclass(frozen=True)
class Tray:
    """A photo uint8 (H, W, 3), the sweets' centres (N, 2) [pixels], their (shorter) radius [pixels], their length
    over their width (N,), the turn of their length (N,) [rad, x towards y], and their colour index (N,)."""

    photo: NDArray[np.uint8]
    centres_px: NDArray[np.float64]
    radius_px: float
    stretch: NDArray[np.float64]
    turn_rad: NDArray[np.float64]
    colour: NDArray[np.int64]


def render_tray(
    coats: NDArray[np.uint8],
    count: int,
    rng: np.random.Generator,
    *,
    gap: float = 0.05,
    width_px: int = 1000,
    height_px: int = 750,
    radius_px: float = 28.0,
    sheet: tuple[int, int, int] = WHITE_SHEET,
    noise: float = 3.0,
    stretch: float = 1.0,
    packed: bool = False,
    ruled: bool = False,
    printed: bool = False,
) -> Tray:
    """A heap of `count` sweets, each `gap` (share of a diameter) from one it was laid against.

    `coats` (K, 3) are sRGB; shading, gleams, soft shadows, uneven warm light, blur and sensor noise [of 255] are
    drawn from `rng`. Sweets are up to `stretch` times as long as wide. A `packed` heap is as dense as it gets; the
    sheet may be `ruled`, each sweet `printed` with a letter. Fewer sweets come back where no more fit.
    """
    if packed or stretch > 1.0:
        shape = np.column_stack([rng.uniform(1.0, stretch, count), rng.uniform(0.0, np.pi, count)])
        centres = _packed_heap(shape, radius_px, gap, width_px, height_px, rng)
        shape = shape[: len(centres)]
    else:
        centres = _heap(count, radius_px * (1.0 + gap), width_px, height_px, rng)
        shape = np.column_stack([np.ones(len(centres)), np.zeros(len(centres))])
    colour = rng.integers(0, len(coats), len(centres))
    scene = np.empty((height_px, width_px, 3), np.float32)
    scene[:] = linear_from_srgb(np.array(sheet, np.uint8))
    if ruled:
        _rule(scene, radius_px, rng)
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    scene *= _shadows(centres, shape, radius_px, x, y, rng)[..., None]
    coat_light = linear_from_srgb(coats)
    for centre, own, index in zip(centres, shape, colour, strict=True):
        _draw_sweet(scene, centre, own, radius_px, coat_light[index], rng)
        if printed:
            _print_letter(scene, centre, radius_px, rng)
    scene *= _lamp(x / width_px, y / height_px, rng)
    scene = cv2.GaussianBlur(scene, (0, 0), 0.8).astype(np.float32)
    photo = srgb_from_linear(scene).astype(np.float64) + rng.normal(0.0, noise, scene.shape)
    pixels = np.clip(np.round(photo), 0, 255).astype(np.uint8)
    return Tray(pixels, centres, radius_px, shape[:, 0], shape[:, 1], colour)


def _packed_heap(
    shape: NDArray[np.float64],
    radius: float,
    gap: float,
    width: int,
    height: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Centres (N, 2) of ellipses of shape (N, 2) stretch and turn, each pushed in towards the middle as far as it goes.

    An ellipse is stood for by the largest discs within it that have their middles on its length.
    """
    middle = 0.5 * np.array([width, height])
    discs = np.zeros((0, 3))
    centres: list[NDArray[np.float64]] = []
    for stretch, turn in shape:
        own = _discs(stretch, turn, radius * (1.0 + gap))
        best = None
        for angle in rng.uniform(0.0, 2.0 * np.pi) + np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False):
            towards = np.array([np.cos(angle), np.sin(angle)])
            for reach in np.arange(0.0, 0.7 * width, 0.05 * radius):
                at = middle + reach * towards
                apart = np.linalg.norm(own[:, None, :2] + at - discs[None, :, :2], axis=2)
                if np.all(apart >= own[:, None, 2] + discs[None, :, 2]):
                    break
            inside = np.all(at > (1.2 + stretch) * radius) and np.all(
                at < [width, height] - (1.2 + stretch) * radius
            )
            if inside and (best is None or reach < best[0]):
                best = (reach, at)
        if best is None:
            break
        centres.append(best[1])
        discs = np.vstack([discs, own + np.append(best[1], 0.0)])
    return np.array(centres)


def _discs(stretch: float, turn: float, radius: float) -> NDArray[np.float64]:
    """Discs (n, 3) x, y, radius that fill an ellipse about the origin of this shorter radius."""
    focus = radius * np.sqrt(stretch**2 - 1.0)
    along = focus * np.sqrt(1.0 - 1.0 / stretch**2) * np.linspace(-1.0, 1.0, 7 if stretch > 1.0 else 1)
    size = radius * np.sqrt(1.0 - (along / max(focus, 1e-9)) ** 2)
    return np.column_stack([along * np.cos(turn), along * np.sin(turn), size])


def _rule(scene: NDArray[np.float32], radius: float, rng: np.random.Generator) -> None:
    """Draw the blue lines of writing paper, in place."""
    ink = linear_from_srgb(np.array((150, 175, 215), np.uint8)).tolist()
    slope = rng.uniform(-0.05, 0.05) * scene.shape[1]
    for y in np.arange(0.0, scene.shape[0], rng.uniform(1.1, 2.0) * radius):
        cv2.line(scene, (0, round(y)), (scene.shape[1], round(y + slope)), ink, 2, cv2.LINE_AA)


def _print_letter(
    scene: NDArray[np.float32], centre: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> None:
    """Print a pale letter near a sweet's middle, in place."""
    x, y = np.round(centre + rng.normal(0.0, 0.15, 2) * radius - [0.3 * radius, -0.25 * radius]).astype(int)
    size = 0.7 * radius / 20.0
    cv2.putText(scene, "m", (int(x), int(y)), cv2.FONT_HERSHEY_SIMPLEX, size, (0.7, 0.7, 0.7), 2, cv2.LINE_AA)


def _heap(
    count: int, spacing: float, width: int, height: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Centres (N, 2) of discs that do not overlap, each at 2 * spacing from another."""
    room = np.array([width, height], np.float64)
    border = 1.5 * spacing
    centres = [room / 2.0 + rng.normal(0.0, 0.05, 2) * room]
    for _ in range(200 * count):
        if len(centres) == count:
            break
        angle = rng.uniform(0.0, 2.0 * np.pi)
        new = centres[rng.integers(len(centres))] + 2.0 * spacing * np.array([np.cos(angle), np.sin(angle)])
        distances = np.linalg.norm(np.array(centres) - new, axis=1)
        if np.all(new > border) and np.all(new < room - border) and distances.min() >= 2.0 * spacing - 1e-6:
            centres.append(new)
    return np.array(centres)


def _shadows(
    centres: NDArray[np.float64],
    shape: NDArray[np.float64],
    radius: float,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Share of light (H, W) that the sweets' soft shadows leave on the sheet."""
    shade = np.zeros(x.shape, np.float32)
    angle, reach = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.1, 0.3) * radius
    offset = reach * np.array([np.cos(angle), np.sin(angle)])
    for centre, (stretch, turn) in zip(centres + offset, shape, strict=True):
        axes = (2.04 * radius * stretch, 2.04 * radius)
        cv2.ellipse(shade, (centre.tolist(), axes, float(np.rad2deg(turn))), 1.0, -1)
    depth = rng.uniform(0.15, 0.4)
    soft: NDArray[np.float32] = 1.0 - depth * cv2.GaussianBlur(shade, (0, 0), 0.2 * radius)
    return soft


def _draw_sweet(
    scene: NDArray[np.float32],
    centre: NDArray[np.float64],
    shape: NDArray[np.float64],
    radius: float,
    coat: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Draw one shaded ellipse of shape (2,) stretch and turn with a gleam, in place."""
    stretch, turn = shape.tolist()
    reach = int(radius * stretch) + 3
    left, top = (np.floor(centre).astype(int) - reach).tolist()
    window = scene[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
    v, u = np.mgrid[0 : window.shape[0], 0 : window.shape[1]].astype(np.float32)
    x, y = (u + left - centre[0]) / radius, (v + top - centre[1]) / radius
    u, v = (x * np.cos(turn) + y * np.sin(turn)) / stretch, y * np.cos(turn) - x * np.sin(turn)
    distance = np.hypot(u, v)
    alpha = np.clip((1.0 - distance) * radius + 0.5, 0.0, 1.0)[..., None]
    shade = 1.05 - 0.3 * distance**3 - 0.12 * (x + y)
    gleam = rng.uniform(0.2, 0.9) * np.exp(-((x + 0.3) ** 2 + (y + 0.35) ** 2) / rng.uniform(0.01, 0.04))
    sweet = coat * shade[..., None] * rng.normal(1.0, 0.04) + gleam[..., None]
    window[:] = window * (1.0 - alpha) + sweet * alpha


def _lamp(u: NDArray[np.float32], v: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Light (H, W, 3) of a warm or cold lamp somewhere beside the sheet; u, v in 0..1."""
    a, b, c = rng.uniform(-0.25, 0.25, 3)
    level = 0.85 * (1.0 + a * (u - 0.5) + b * (v - 0.5) - abs(c) * ((u - 0.5) ** 2 + (v - 0.5) ** 2))
    tint = 1.0 + rng.uniform(-0.12, 0.12) * np.array([1.0, 0.1, -1.0], np.float32)
    light: NDArray[np.float32] = (level[..., None] * tint).astype(np.float32)
    return light
