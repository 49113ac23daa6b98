"""What must hold for every plan: one line, inside the glass, not mirrored, the same each time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sketch_cell.drawing.frame import on_own_sheet
from sketch_cell.drawing.plan import LinePlan, plan_line, reversals
from sketch_cell.drawing.render import render_ink
from sketch_cell.drawing.settings import METHODS, WAVEFORMS, LineSettings
from sketch_cell.errors import InputError, SettingError

SMALL = LineSettings(cells=12, long_edge_m=0.036, iterations=3)


def wedge(rows: int = 60, columns: int = 80) -> NDArray[np.uint8]:
    """Dark in the upper left, light in the lower right: any flip shows."""
    down, right = np.mgrid[:rows, :columns]
    return np.uint8(255 * (down / rows + right / columns) / 2)


def ink_of(plan: LinePlan, pixels_per_cell: float = 16.0) -> NDArray[np.float32]:
    """Ink over the drawing's own rectangle."""
    f = plan.frame
    return render_ink(
        plan.xy - [f.left_m, f.bottom_m],
        width_m=f.width_m,
        height_m=f.height_m,
        line_width_m=plan.settings.line_width_m,
        pixels_per_m=pixels_per_cell / f.cell_m,
    )


def longest_step_m(plan: LinePlan) -> float:
    return float(np.linalg.norm(np.diff(plan.xy, axis=0), axis=1).max())


photos = st.builds(
    lambda seed, rows, columns, levels: np.uint8(
        np.random.default_rng(seed).integers(0, levels, (rows, columns)) * (255 // max(levels - 1, 1))
    ),
    st.integers(0, 2**16),
    st.integers(8, 40),
    st.integers(8, 40),
    st.sampled_from([1, 2, 5]),
)


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    photo=photos,
    method=st.sampled_from(METHODS),
    waveform=st.sampled_from(WAVEFORMS),
    wave_axis=st.sampled_from(["x", "y"]),
    order=st.sampled_from(["serpentine", "raster"]),
    cells=st.integers(1, 14),
)
def test_any_photo_is_one_line_inside_the_glass(photo, method, waveform, wave_axis, order, cells):
    settings = LineSettings(
        cells=cells,
        method=method,
        waveform=waveform,
        wave_axis=wave_axis,
        row_order=order,
        iterations=1,
        find_exponent=False,
        long_edge_m=0.04,
    )
    plan = plan_line(photo, settings)
    assert plan.xy.dtype == np.float64 and plan.xy.ndim == 2 and np.isfinite(plan.xy).all()
    margin = settings.margin_m - 1e-12
    assert (plan.xy >= margin).all()
    assert (plan.xy <= np.array([settings.glass_width_m, settings.glass_height_m]) - margin).all()
    if method != "hilbert":
        # The longest legal step crosses one cell: a square wave's flank, the turn between rows, a flyback's end.
        assert longest_step_m(plan) <= 2.01 * max(plan.frame.cell_m, plan.frame.grid().pitch_m)


@pytest.mark.parametrize("wave_axis", ["x", "y"])
@pytest.mark.parametrize("method", METHODS)
def test_the_drawing_is_dark_where_the_photo_is(method, wave_axis):
    """Catches any flip, turn or mirror: the four corners keep their order of darkness."""
    photo = np.full((60, 80), 255, np.uint8)
    photo[:30, :40], photo[:30, 40:], photo[30:, :40] = 20, 100, 170
    settings = dataclasses.replace(SMALL, method=method, wave_axis=wave_axis, find_exponent=False)
    ink = ink_of(plan_line(photo, settings))
    top, bottom = np.array_split(ink, 2)
    corners = [part.mean() for half in (top, bottom) for part in np.array_split(half, 2, axis=1)]
    assert corners == sorted(corners, reverse=True)
    assert corners[0] > corners[3] + 0.3


@pytest.mark.parametrize("wave_axis", ["x", "y"])
def test_a_mirrored_photo_gives_a_mirrored_drawing(wave_axis):
    settings = dataclasses.replace(SMALL, wave_axis=wave_axis, iterations=6)
    one = ink_of(plan_line(wedge(), settings))
    other = ink_of(plan_line(wedge()[:, ::-1], settings))[:, ::-1]
    cell = 16
    seen = [
        ink[: ink.shape[0] // cell * cell, : ink.shape[1] // cell * cell]
        .reshape(ink.shape[0] // cell, cell, -1, cell)
        .mean(axis=(1, 3))
        for ink in (one, other)
    ]
    assert np.abs(seen[0] - seen[1])[1:-1, 1:-1].max() < 0.1
    assert np.abs(seen[0] - seen[1]).mean() < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_same_photo_and_settings_give_the_same_bytes(method):
    settings = dataclasses.replace(SMALL, method=method, cells=8)
    assert plan_line(wedge(), settings).xy.tobytes() == plan_line(wedge(), settings).xy.tobytes()


@pytest.mark.parametrize("waveform", WAVEFORMS)
@pytest.mark.parametrize("tone", [0.3, 0.4, 0.5, 0.56, 0.6, 0.7, 0.74, 0.8, 0.9, 0.95])
def test_flat_grey_renders_to_its_tone(tone, waveform):
    settings = LineSettings(cells=16, long_edge_m=0.04, line_width_m=0.0006, waveform=waveform)
    photo = np.full((64, 64), np.rint(65535 * (1 - tone)), np.uint16)
    ink = ink_of(plan_line(photo, settings), 24)
    edge = 2 * 24
    assert ink[edge:-edge, edge:-edge].mean() == pytest.approx(tone, abs=0.01)


@pytest.mark.parametrize("tuned_for", ["linear", "adapted"])
def test_each_tuning_asks_for_its_own_ink(tuned_for):
    """Linear light: sRGB 188 is half the light. Adapted: black and white both stay within reach."""
    settings = LineSettings(cells=16, long_edge_m=0.04, tuned_for=tuned_for)
    photo = np.full((64, 64), 188, np.uint8)
    ink = ink_of(plan_line(photo, settings))[32:-32, 32:-32].mean()
    expected = 0.5 if tuned_for == "linear" else 0.26 + (0.92 - 0.26) * (1 - 188 / 255)
    assert ink == pytest.approx(expected, abs=0.012)


def test_local_contrast_gives_detail_back_its_contrast():
    """Fine waves on a slow ramp: compression leaves two thirds of their contrast, local contrast restores it."""
    down, right = np.mgrid[:256, :256] / 256
    photo = np.uint8(255 * (0.25 + 0.5 * down + 0.1 * np.sin(2 * np.pi * 8 * right)))
    settings = LineSettings(cells=32, long_edge_m=0.08, tuned_for="adapted")
    slope = {}
    for share in (0.0, 1.0):
        ink = ink_of(plan_line(photo, dataclasses.replace(settings, local_contrast=share)), 8)
        wave = np.sin(2 * np.pi * 8 * right)
        slope[share] = -2 * (ink * wave)[32:-32].mean() / 0.1
    assert 0.5 < slope[0.0] < 0.75
    assert 0.85 < slope[1.0] < 1.1


def test_rows_never_cross_unless_they_are_merged():
    rng = np.random.default_rng(5)
    photo = np.uint8(rng.integers(0, 120, (48, 48)))
    plan = plan_line(photo, dataclasses.replace(SMALL, merge_rows=False, cells=16))
    grid = plan.frame.grid()
    rows = plan.xy[:, 1].reshape(grid.rows, -1).copy()
    rows[1::2] = rows[1::2, ::-1]
    assert (np.diff(rows, axis=0) <= 1e-9).all()


def test_merged_rows_lower_the_lightest_tone_by_nearly_half():
    photo = np.full((64, 64), 255, np.uint8)
    floor = 0.0006 / (0.04 / 16)
    ink = {}
    for merge in (False, True):
        plan = plan_line(photo, LineSettings(cells=16, long_edge_m=0.04, merge_rows=merge))
        ink[merge] = ink_of(plan)[32:-32, 32:-32].mean()
    assert ink[False] == pytest.approx(floor, abs=0.005)
    assert ink[True] == pytest.approx(floor / 2, abs=0.01)


def test_rows_spread_where_it_is_light_and_still_reach_every_edge():
    """A light upper half over a dark lower one: bare rows match the light tone only if they move apart."""
    photo = np.full((64, 64), 60, np.uint8)
    photo[:32] = np.rint(255 * (1 - 0.215))
    floor = 0.0006 / (0.04 / 16)
    light = {}
    for spread in (False, True):
        plan = plan_line(
            photo, LineSettings(cells=16, long_edge_m=0.04, spread_rows=spread, merge_rows=False)
        )
        light[spread] = ink_of(plan)[: 16 * 6, 32:-32].mean()
        assert len(plan.xy) == 16 * (16 * 48 + 1)
    assert light[False] == pytest.approx(floor, abs=0.006)
    assert light[True] < light[False] - 0.006


@pytest.mark.parametrize(
    "photo",
    [
        np.uint8(np.arange(64).reshape(8, 8) * 4),
        np.full((40, 50), 255, np.uint8),
        np.zeros((40, 50), np.uint8),
        wedge().astype(np.uint16) * 257,
        np.dstack([wedge()] * 3),
        np.uint8(np.linspace(0, 255, 8 * 5000)).reshape(8, 5000),
        np.uint8(np.linspace(0, 255, 8 * 5000)).reshape(5000, 8),
    ],
    ids=["8x8", "white", "black", "16 bit", "colour", "8x5000", "5000x8"],
)
@pytest.mark.parametrize("method", ["calibrated", "reference", "hilbert", "spiral"])
def test_awkward_photos_work(photo, method):
    plan = plan_line(photo, dataclasses.replace(SMALL, method=method, iterations=1, find_exponent=False))
    assert len(plan.xy) > 1 and plan.length_m > 0


def test_sixteen_bits_draw_as_eight():
    eight = wedge()
    same = plan_line(eight.astype(np.uint16) * 257, SMALL)
    assert np.abs(plan_line(eight, SMALL).xy - same.xy).max() < 1e-6


def test_alpha_is_laid_on_white():
    clear = np.dstack([np.zeros((60, 80, 3), np.uint8), np.uint8(255 - wedge())])
    assert np.allclose(plan_line(clear, SMALL).xy, plan_line(wedge(), SMALL).xy, atol=1e-6)


def test_backlash_known_to_the_planner_is_drawn_against():
    """With play on the wave axis the same sine loses amplitude; the planner asks for more of it."""
    photo = np.full((64, 64), 128, np.uint8)
    plain = plan_line(photo, SMALL)
    aware = plan_line(photo, dataclasses.replace(SMALL, residual_backlash_m=0.0003))
    assert aware.length_m > 1.03 * plain.length_m


def test_commands_stay_within_tolerance_and_are_few():
    plan = plan_line(wedge(), SMALL)
    commands = plan.commands_xy
    assert len(commands) < len(plan.xy) / 3
    assert np.array_equal(commands[[0, -1]], plan.xy[[0, -1]])


def test_reversals_count_turns_and_ignore_standstill():
    xy = [[0, 0], [1, 1], [2, 0], [2, 0], [3, -1], [2, 5]]
    assert reversals(xy) == (1, 2)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"line_width_m": 0.01}, "line_width_m"),
        ({"cells": 0}, "cells"),
        ({"glass_width_m": 0.0}, "glass_width_m"),
        ({"margin_m": 0.06}, "margin_m"),
        ({"method": "magic"}, "method"),
        ({"long_edge_m": float("nan")}, "long_edge_m"),
    ],
)
def test_impossible_settings_name_the_setting(change, name):
    with pytest.raises(SettingError, match=name):
        LineSettings(**change)


def test_a_glass_too_small_for_the_line_names_the_setting():
    tiny = LineSettings(glass_width_m=0.02, glass_height_m=0.02)
    with pytest.raises(SettingError, match="line_width_m"):
        plan_line(wedge(), tiny)


@pytest.mark.parametrize(
    "photo", [np.zeros((4, 4)), np.zeros((0, 5), np.uint8), np.zeros((9, 9, 5), np.uint8)]
)
def test_what_is_no_photo_is_refused(photo):
    with pytest.raises(InputError, match="photo"):
        plan_line(photo, SMALL)


def test_own_sheet_is_as_large_as_the_drawing():
    settings = on_own_sheet(300, 451, LineSettings())
    frame = plan_line(np.zeros((300, 451), np.uint8), dataclasses.replace(settings, iterations=0)).frame
    assert frame.width_m == pytest.approx(0.155) and frame.height_m == pytest.approx(0.155 * 300 / 451)
    assert frame.left_m == pytest.approx(0, abs=1e-12) and frame.bottom_m == pytest.approx(0, abs=1e-12)


def test_rows_stay_in_step_where_their_tones_differ():
    """Whatever waves its cells take, every row's pairs of cells begin upwards: neighbours never wave against
    each other."""
    photo = np.uint8(np.random.default_rng(2).integers(0, 256, (48, 64)))
    plan = plan_line(photo, dataclasses.replace(SMALL, cells=16, merge_rows=False, spread_rows=False))
    grid = plan.frame.grid()
    rows = plan.xy[:, 1].reshape(grid.rows, -1).copy()
    rows[1::2] = rows[1::2, ::-1]
    middles = rows[:, ::96]  # where pairs of cells begin: on the row's middle
    assert np.abs(middles - middles[:, :1]).max() < 1e-9
    wave = rows[:, :-1].reshape(grid.rows, -1, 96) - middles[:, :1, None]
    turned = (wave[..., 4] < -1e-9).sum()  # the first quarter of the fastest half-wave
    assert turned == 0
