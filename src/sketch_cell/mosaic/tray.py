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
    """A photo uint8 (H, W, 3), the sweets' centres (N, 2) [pixels], their radius [pixels] and colour index (N,)."""

    photo: NDArray[np.uint8]
    centres_px: NDArray[np.float64]
    radius_px: float
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
) -> Tray:
    """A heap of `count` sweets, each `gap` (share of a diameter) from one it was laid against.

    `coats` (K, 3) are sRGB; shading, gleams, soft shadows, uneven warm light, blur and sensor noise [of 255] are
    drawn from `rng`. Fewer sweets come back where no more fit.
    """
    centres = _heap(count, radius_px * (1.0 + gap), width_px, height_px, rng)
    colour = rng.integers(0, len(coats), len(centres))
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    scene = np.empty((height_px, width_px, 3), np.float32)
    scene[:] = linear_from_srgb(np.array(sheet, np.uint8))
    scene *= _shadows(centres, radius_px, x, y, rng)[..., None]
    coat_light = linear_from_srgb(coats)
    for centre, index in zip(centres, colour, strict=True):
        _draw_sweet(scene, centre, radius_px, coat_light[index], rng)
    scene *= _lamp(x / width_px, y / height_px, rng)
    scene = cv2.GaussianBlur(scene, (0, 0), 0.8).astype(np.float32)
    photo = srgb_from_linear(scene).astype(np.float64) + rng.normal(0.0, noise, scene.shape)
    return Tray(np.clip(np.round(photo), 0, 255).astype(np.uint8), centres, radius_px, colour)


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
    radius: float,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Share of light (H, W) that the sweets' soft shadows leave on the sheet."""
    shade = np.zeros(x.shape, np.float32)
    angle, reach = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.1, 0.3) * radius
    offset = reach * np.array([np.cos(angle), np.sin(angle)])
    for centre in centres + offset:
        cv2.circle(shade, tuple(np.round(centre).astype(int).tolist()), round(1.02 * radius), 1.0, -1)
    depth = rng.uniform(0.15, 0.4)
    soft: NDArray[np.float32] = 1.0 - depth * cv2.GaussianBlur(shade, (0, 0), 0.2 * radius)
    return soft


def _draw_sweet(
    scene: NDArray[np.float32],
    centre: NDArray[np.float64],
    radius: float,
    coat: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Draw one shaded disc with a gleam, in place."""
    reach = int(radius) + 3
    left, top = (np.floor(centre).astype(int) - reach).tolist()
    window = scene[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
    v, u = np.mgrid[0 : window.shape[0], 0 : window.shape[1]].astype(np.float32)
    u, v = (u + left - centre[0]) / radius, (v + top - centre[1]) / radius
    distance = np.hypot(u, v)
    alpha = np.clip((1.0 - distance) * radius + 0.5, 0.0, 1.0)[..., None]
    shade = 1.05 - 0.3 * distance**3 - 0.12 * (u + v)
    gleam = rng.uniform(0.2, 0.9) * np.exp(-((u + 0.3) ** 2 + (v + 0.35) ** 2) / rng.uniform(0.01, 0.04))
    sweet = coat * shade[..., None] * rng.normal(1.0, 0.04) + gleam[..., None]
    window[:] = window * (1.0 - alpha) + sweet * alpha


def _lamp(u: NDArray[np.float32], v: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Light (H, W, 3) of a warm or cold lamp somewhere beside the sheet; u, v in 0..1."""
    a, b, c = rng.uniform(-0.25, 0.25, 3)
    level = 0.85 * (1.0 + a * (u - 0.5) + b * (v - 0.5) - abs(c) * ((u - 0.5) ** 2 + (v - 0.5) ** 2))
    tint = 1.0 + rng.uniform(-0.12, 0.12) * np.array([1.0, 0.1, -1.0], np.float32)
    light: NDArray[np.float32] = (level[..., None] * tint).astype(np.float32)
    return light
