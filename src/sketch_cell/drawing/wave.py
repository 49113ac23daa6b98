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

SAMPLES_PER_CELL = 48  # divisible by twice every number of periods: zeros and crests are samples
STEPS = 64
# Amplification before clipping, by periods per cell; a lone period stays round: its half-waves carry the detail.
FLATTEST = {1: 1.0, 2: 12.0, 3: 4.0}
# Shares of half a pitch: what a sine uses before its crests flatten (least line for its ink), and what it ends with.
ROOM = {1: 1.0, 2: 0.85, 3: 0.85}
FULL_ROOM = {1: 1.0, 2: 0.93, 3: 0.9}


@dataclass(frozen=True)
class Wave:
    """One waveform at n periods per cell: coverage, amplitude [m] and crest amplification, rising together."""

    periods: int
    waveform: str
    coverage: Array
    amplitude_m: Array
    steepness: Array

    @property
    def darkest(self) -> float:
        """Largest share of ink in reach."""
        return float(self.coverage[-1])

    def row(self, tone: FloatImage, samples: int) -> FloatImage:
        """Wave (rows, samples) [m] whose half-waves carry the tones (rows, half-waves); up (negative v) first."""
        repeat = samples // tone.shape[1]
        amplitude = np.interp(tone, self.coverage, self.amplitude_m).astype(np.float32)
        steepness = np.interp(tone, self.coverage, self.steepness).astype(np.float32)
        phase = (np.arange(samples) % repeat) / repeat
        up = np.where(np.arange(samples) // repeat % 2 == 0, -1, 1)
        shape = (up * crest(phase, self.waveform)).astype(np.float32)
        wave = np.repeat(steepness, repeat, axis=1) * shape
        np.clip(wave, -1, 1, out=wave)
        wave *= np.repeat(amplitude, repeat, axis=1)
        return wave


def crest(phase: Array, waveform: str) -> Array:
    """Height 0..1 of a half-wave of the waveform at phases 0..1."""
    if waveform == "sine":
        return np.sin(np.pi * phase)
    if waveform == "triangle":
        return 1 - np.abs(2 * phase - 1)
    return (phase > 0).astype(float)  # a square wave crosses its row's middle once per half-wave


def make_wave(periods: int, waveform: str, grid: RowGrid, line_width_m: float) -> Wave:
    """Measure the wave's ink at rising strength, on an endless field of equal rows, by its exact envelope."""
    half = grid.pitch_m / 2
    growth = np.linspace(0, 1, STEPS)
    amplitude, steepness = half * growth, np.ones(STEPS)
    if FLATTEST[periods] > 1 and waveform != "square":
        amplitude = half * np.append(
            ROOM[periods] * growth, np.linspace(ROOM[periods], FULL_ROOM[periods], STEPS)
        )
        steepness = np.append(steepness, 1 / np.linspace(1, 1 / FLATTEST[periods], STEPS))
    fine = SAMPLES_PER_CELL * 2
    at = np.arange(3 * fine + 1) * 2 * periods / fine
    wave = np.where(at.astype(int) % 2 == 0, -1, 1) * crest(at % 1, waveform)
    rows = amplitude[:, None] * np.clip(steepness[:, None] * wave, -1, 1)
    low, high = envelope(rows, grid.cell_m / fine, line_width_m / 2)
    covered = np.minimum(high - low, grid.pitch_m)[:, fine : 2 * fine].mean(axis=1) / grid.pitch_m
    rising = np.maximum.accumulate(covered)
    return Wave(periods, waveform, rising, amplitude, steepness)
