"""Waves by tone: which amplitude and which flatness of the crest give a half-wave its share of ink.

A wave grows in amplitude first; once it has used its room between the rows its crests are flattened (a sine,
amplified and clipped) until its flanks lie side by side. Flat crests blacken a cell with less line and fewer
reversals than a faster sine, whose crests leave white wedges between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.rows import RowGrid, envelope

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]

SAMPLES_PER_CELL = 48  # divisible by twice every number of half-waves: zeros and crests are samples
STEPS = 64
TONES = 512  # entries of a table over tone
HALF_WAVES = (2, 3, 4, 6)  # per cell: one period, one and a half, two, three
# Amplification before clipping, by half-waves per cell.
FLATTEST = {2: 2.0, 3: 4.0, 4: 12.0, 6: 4.0}
# Shares of half a pitch: what a wave uses before its crests flatten (least line for its ink), and what it ends with.
ROOM = {2: 1.0, 3: 1.0, 4: 0.85, 6: 0.85}
FULL_ROOM = {2: 1.0, 3: 1.0, 4: 0.93, 6: 0.9}


@dataclass(frozen=True)
class Wave:
    """One waveform at so many half-waves per cell: coverage, amplitude [m] and crest amplification, rising together."""

    half_waves: int
    waveform: str
    coverage: Array
    amplitude_m: Array
    steepness: Array

    @property
    def darkest(self) -> float:
        """Largest share of ink in reach."""
        return float(self.coverage[-1])

    def by_tone(self) -> FloatImage:
        """Amplitude [m] and amplification (TONES, 2) for tones evenly from 0 to 1."""
        tone = np.linspace(0, 1, TONES)
        amplitude = np.interp(tone, self.coverage, self.amplitude_m)
        return np.stack([amplitude, np.interp(tone, self.coverage, self.steepness)], axis=1).astype(
            np.float32
        )

    def shape(self) -> FloatImage:
        """Heights 0..1 of one half-wave at its samples, filled up with zeros (SAMPLES_PER_CELL,)."""
        repeat = SAMPLES_PER_CELL // self.half_waves
        heights = crest(np.arange(repeat) / repeat, self.waveform)
        return np.pad(heights, (0, SAMPLES_PER_CELL - repeat)).astype(np.float32)


def crest(phase: Array, waveform: str) -> Array:
    """Height 0..1 of a half-wave of the waveform at phases 0..1."""
    if waveform == "sine":
        return np.sin(np.pi * phase)
    if waveform == "triangle":
        return 1 - np.abs(2 * phase - 1)
    return (phase > 0).astype(float)  # a square wave crosses its row's middle once per half-wave


def make_wave(half_waves: int, waveform: str, grid: RowGrid, line_width_m: float, flattest: float) -> Wave:
    """Measure the wave's ink at rising strength, on an endless field of equal rows, by its exact envelope.

    `flattest` is the amplification of its crests at its darkest, 1 for a wave that stays round.
    """
    half = grid.pitch_m / 2
    room, full_room = ROOM[half_waves], FULL_ROOM[half_waves]
    growth = np.linspace(0, 1, STEPS)
    amplitude, steepness = half * growth, np.ones(STEPS)
    if flattest > 1 and waveform != "square":
        amplitude = half * np.append(room * growth, np.linspace(room, full_room, STEPS))
        steepness = np.append(steepness, 1 / np.linspace(1, 1 / flattest, STEPS))
    fine = SAMPLES_PER_CELL * 2
    at = np.arange(4 * fine + 1) * half_waves / fine
    wave = np.where(at.astype(int) % 2 == 0, -1, 1) * crest(at % 1, waveform)
    rows = amplitude[:, None] * np.clip(steepness[:, None] * wave, -1, 1)
    low, high = envelope(rows, grid.cell_m / fine, line_width_m / 2)
    # Two cells from the middle: an odd number of half-waves repeats itself after two.
    covered = np.minimum(high - low, grid.pitch_m)[:, fine : 3 * fine].mean(axis=1) / grid.pitch_m
    rising = np.maximum.accumulate(covered)
    return Wave(half_waves, waveform, rising, amplitude, steepness)
