"""Sweets in rendered photos: counted exactly, coloured rightly, cut out whole; plain sheets are refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sketch_cell.errors import InputError
from sketch_cell.mosaic.chips import cut_chips
from sketch_cell.mosaic.colour import delta_e, lab_from_linear, linear_from_srgb
from sketch_cell.mosaic.default_library import DEFAULT_COLOURS
from sketch_cell.mosaic.naming import NAMES, colour_name, group_chips
from sketch_cell.mosaic.segmentation import find_sweets
from sketch_cell.mosaic.sweets_settings import SweetsSettings
from sketch_cell.mosaic.tray import render_tray

COATS = np.array([coat for name, coat in DEFAULT_COLOURS.items() if name != "white"], np.uint8)


def scene(number: int, gap: float, **kwargs):
    rng = np.random.default_rng([7, number])
    return render_tray(
        COATS, int(rng.integers(3, 61)), rng, gap=gap, radius_px=float(rng.uniform(18, 38)), **kwargs
    )


@pytest.mark.parametrize("gap", [0.05, 0.0])
def test_trays_are_counted_exactly(gap):
    right = 0
    for number in range(8):
        tray = scene(number, gap)
        found = find_sweets(tray.photo, SweetsSettings()).sweets
        right += len(found) == len(tray.centres_px)
    assert right >= (8 if gap else 7)


@pytest.mark.parametrize(
    "hard",
    [
        {"packed": True, "gap": 0.0},
        {"stretch": 1.6, "gap": 0.02},
        {"ruled": True, "gap": 0.02},
        {"sheet": (45, 42, 40), "gap": 0.02},
    ],
    ids=["packed", "elongated", "ruled", "dark sheet"],
)
def test_harder_trays_are_counted_too(hard):
    right = 0
    for number in range(4):
        rng = np.random.default_rng([19, number])
        coats = COATS[[0, 1, 2, 3, 5, 6]]  # purple hardly shows on a dark sheet
        tray = render_tray(coats, int(rng.integers(3, 61)), rng, radius_px=float(rng.uniform(20, 38)), **hard)
        right += len(find_sweets(tray.photo, SweetsSettings()).sweets) == len(tray.centres_px)
    assert right >= 3


@pytest.mark.parametrize("sheet", [(20, 20, 22), (60, 60, 62), (110, 110, 112)])
def test_black_and_grey_card_is_not_taken_for_white_paper(sheet):
    coats = COATS[[0, 1, 2, 3]]
    tray = render_tray(coats, 24, np.random.default_rng(3), gap=0.2, radius_px=30.0, sheet=sheet)
    found = find_sweets(tray.photo, SweetsSettings())
    chips, told = cut_chips(tray.photo, found), cut_chips(tray.photo, found, "coloured")
    assert all(np.array_equal(chip.rgba, same.rgba) for chip, same in zip(chips, told, strict=True))
    assert len(group_chips(chips)) == len(coats)


@pytest.mark.parametrize(
    "photo", [np.zeros((300, 400, 3)), np.full((300, 400, 3), 240), np.zeros((16, 40_000, 3))]
)
@pytest.mark.parametrize("method", ["lab", "threshold", "hough"])
def test_photos_without_sweets_are_refused_by_every_method(photo, method):
    settings = SweetsSettings(method=method, threshold="fixed", level=250)
    with pytest.raises(InputError, match=r"no sweets|crop it"):
        find_sweets(photo.astype(np.uint8), settings)


def test_each_outline_is_a_sweets_own():
    tray = scene(1, 0.0)
    found = find_sweets(tray.photo, SweetsSettings()).sweets
    middles = np.array([cv2.minEnclosingCircle(sweet.outline_px)[0] for sweet in found])
    distance = np.linalg.norm(middles[:, None] - tray.centres_px, axis=2)
    assert np.all(distance.min(axis=0) < 0.2 * tray.radius_px)
    areas = np.array([cv2.contourArea(sweet.outline_px) for sweet in found])
    np.testing.assert_allclose(areas, np.pi * tray.radius_px**2, rtol=0.2)


def test_the_notebooks_threshold_and_hough_find_them_too():
    rng = np.random.default_rng(11)
    tray = render_tray(COATS[[0, 4, 5]], 12, rng, gap=0.4, radius_px=30.0)
    for settings in (
        SweetsSettings(method="threshold", threshold="otsu"),
        SweetsSettings(method="threshold", threshold="fixed", level=120),
        SweetsSettings(method="threshold", threshold="adaptive"),
        SweetsSettings(method="hough", radius_px=30.0),
        SweetsSettings(method="hough"),
    ):
        assert len(find_sweets(tray.photo, settings).sweets) == 12, settings


def test_hough_counts_a_packed_tray():
    rng = np.random.default_rng(12)
    tray = render_tray(COATS, 45, rng, gap=0.0, radius_px=25.0)
    assert len(find_sweets(tray.photo, SweetsSettings(method="hough")).sweets) == 45


def test_white_sweets_are_found_on_a_coloured_sheet():
    rng = np.random.default_rng(13)
    white = np.array([DEFAULT_COLOURS["white"]], np.uint8)
    tray = render_tray(white, 15, rng, sheet=(40, 90, 170))
    found = find_sweets(tray.photo, SweetsSettings())
    assert len(found.sweets) == 15
    assert {colour.name for colour in group_chips(cut_chips(tray.photo, found))} == {"white"}


def test_colours_are_found_and_named_and_uneven_light_is_taken_out():
    rng = np.random.default_rng(14)
    tray = render_tray(COATS, 60, rng, gap=0.1, radius_px=24.0)
    chips = cut_chips(tray.photo, find_sweets(tray.photo, SweetsSettings()))
    colours = group_chips(chips)
    used = [name for name in DEFAULT_COLOURS if name != "white"]
    assert {colour.name for colour in colours} == {used[index] for index in np.unique(tray.colour)}
    counts = {colour.name: len(colour.top) for colour in colours}
    assert counts == {used[i]: int(n) for i, n in enumerate(np.bincount(tray.colour, minlength=7)) if n}
    for colour in colours:
        want = lab_from_linear(
            linear_from_srgb(np.array(DEFAULT_COLOURS[colour.name], np.uint8)).astype(float)
        )
        middle = np.median(
            [chip.lab for chip in chips if any(chip.rgba is top for top in colour.top)], axis=0
        )
        assert delta_e(middle, want) < 8.0, colour.name


def test_the_number_of_colours_can_be_given():
    rng = np.random.default_rng(15)
    tray = render_tray(COATS, 30, rng, gap=0.1)
    chips = cut_chips(tray.photo, find_sweets(tray.photo, SweetsSettings()))
    assert len(group_chips(chips, 3)) == 3


def test_chips_are_square_from_above_and_rectangles_from_the_side():
    photo = np.full((400, 600, 3), 235, np.uint8)
    cv2.ellipse(photo, (150, 200), (60, 60), 0, 0, 360, (200, 30, 40), -1, cv2.LINE_AA)
    cv2.ellipse(photo, (420, 200), (70, 42), 35, 0, 360, (30, 90, 200), -1, cv2.LINE_AA)
    chips = cut_chips(photo, find_sweets(photo, SweetsSettings()))
    top, side = sorted(chips, key=lambda chip: chip.view, reverse=True)
    assert (top.view, side.view) == ("top", "side")
    assert top.rgba.shape[0] == top.rgba.shape[1]
    assert side.rgba.shape[1] / side.rgba.shape[0] == pytest.approx(70 / 42, rel=0.06)
    assert top.rgba[..., 3].mean() / 255.0 == pytest.approx(np.pi / 4, abs=0.04)


def test_a_marker_gives_the_scale():
    rng = np.random.default_rng(16)
    tray = render_tray(COATS, 8, rng, radius_px=26.0)
    photo = tray.photo.copy()
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    marker = cv2.aruco.generateImageMarker(dictionary, 3, 80)
    photo[20:140, 20:140] = 235
    photo[40:120, 40:120] = marker[..., None]
    for method in ("lab", "hough"):
        found = find_sweets(photo, SweetsSettings(marker_m=0.02, method=method))
        assert found.pixels_per_m == pytest.approx(80 / 0.02, rel=0.03)
        middles = np.array([sweet.outline_px.mean(axis=0) for sweet in found.sweets])
        assert not np.any(np.all((middles > 20) & (middles < 140), axis=1)), (
            f"{method}: the marker is no sweet"
        )
        assert len(found.sweets) == 8, method


@pytest.mark.parametrize("level", [235, 20])
def test_a_photo_without_sweets_is_refused(level):
    rng = np.random.default_rng(17)
    photo = np.clip(level + rng.normal(0, 3, (300, 400, 3)), 0, 255).astype(np.uint8)
    for method in ("lab", "hough"):
        with pytest.raises(InputError, match="no sweets"):
            find_sweets(photo, SweetsSettings(method=method))


@pytest.mark.parametrize("name", list(NAMES))
def test_each_name_is_its_own_colours(name):
    assert colour_name(np.array(NAMES[name], float)) == name
