"""The search: its running sums stay true, it prefers what is seen, and it never breaks a stock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from sketch_cell.errors import InputError
from sketch_cell.mosaic.appearance import at_cells, from_afar
from sketch_cell.mosaic.board import make_board
from sketch_cell.mosaic.colour import linear_from_srgb, xyz_from_linear
from sketch_cell.mosaic.default_library import default_library
from sketch_cell.mosaic.layout import fit_layout
from sketch_cell.mosaic.library import cell_paint
from sketch_cell.mosaic.mosaic import plan_mosaic
from sketch_cell.mosaic.search import anneal
from sketch_cell.mosaic.seen import seen_light
from sketch_cell.mosaic.settings import METHODS, MosaicSettings

LIBRARY = default_library()
PHOTO = data.astronaut()[::4, ::4]


def small_board(kind: str = "square", edge: int = 14):
    layout = fit_layout(kind, edge, 1.2)
    paint = cell_paint(LIBRARY, kind, layout.row_step, np.zeros(3))
    target = np.random.default_rng(3).random((layout.rows, layout.cols, 3))
    return layout, paint, make_board(target, target, paint, layout, seed=1)


@pytest.mark.parametrize("kind", ["square", "hex", "side"])
def test_what_is_seen_stays_true_through_search_and_trades(kind):
    layout, paint, board = small_board(kind)
    anneal(board, 6, np.full(8, -(-layout.sweets // 8)))
    xyz = xyz_from_linear(paint.light)
    afresh = seen_light(xyz[board.colour], xyz_from_linear(paint.card), layout, 1.0)
    np.testing.assert_allclose(board.seen(), afresh, atol=2e-5)


def test_a_frieze_longer_than_opencv_takes_can_be_sampled():
    layout = fit_layout("square", 2, 5000.0)
    ramp = np.linspace(0, 1, layout.cols * 4, dtype=np.float32)
    picture = np.broadcast_to(ramp[None, :, None], (8, len(ramp), 3))
    values = at_cells(picture, layout, 4)
    assert values.shape == (2, 10_000, 3)
    np.testing.assert_allclose(values[0, :, 0], (np.arange(10_000) + 0.5) / 10_000, atol=1e-4)


@pytest.mark.parametrize("kind", ["square", "hex", "side"])
def test_a_board_of_one_colour_is_seen_as_that_colour(kind):
    layout, paint, _ = small_board(kind)
    light = np.broadcast_to(paint.light[3], (layout.rows, layout.cols, 3))
    seen = seen_light(light, paint.card, layout, 1.0)
    middle = seen[layout.rows // 2, layout.cols // 2]
    np.testing.assert_allclose(middle, paint.light[3], rtol=0.01)


@pytest.mark.parametrize("kind", ["square", "hex", "side"])
def test_what_is_seen_is_what_the_rendered_mosaic_shows_from_afar(kind):
    plan = plan_mosaic(PHOTO, LIBRARY, MosaicSettings(layout=kind, short_edge=24, passes=4, card="#808080"))
    paint = cell_paint(LIBRARY, kind, plan.layout.row_step, plan.card)
    seen = seen_light(paint.light[plan.colour], plan.card, plan.layout, 1.0)
    shown = at_cells(from_afar(plan.picture(16), 16.0), plan.layout, 16)
    assert np.sqrt(np.mean((seen - shown) ** 2)) < 0.012


def summed_difference(board) -> float:
    """Summed colour difference of the whole board, from its fields, in double precision."""
    fields = board.fields().astype(np.float64)
    xyz = fields[..., :3]
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), 841 / 108 * xyz + 4 / 29)
    lightness = fields[..., 7] * (116.0 * root[..., 1] - fields[..., 4])
    a = 500.0 * (root[..., 0] - root[..., 1]) - fields[..., 5]
    b = 200.0 * (root[..., 1] - root[..., 2]) - fields[..., 6]
    chroma = fields[..., 8] * a + fields[..., 9] * b
    hue = fields[..., 10] * a + fields[..., 11] * b
    return float(np.sqrt(lightness**2 + chroma**2 + hue**2 + 0.01).sum())


def test_change_costs_are_what_a_change_costs():
    """The cost that the kernel predicts for one cell is the difference of two whole boards."""
    layout, _, board = small_board()
    costs = board.change_costs().reshape(layout.rows, layout.cols, 8)

    before = summed_difference(board)
    for row, col, colour in ((0, 0, 7), (6, 7, 4), (13, 16, 2)):
        old = board.colour[row, col]
        cell = np.array([row * layout.cols + col])
        board.relay(cell, np.array([colour], np.int32))
        assert summed_difference(board) - before == pytest.approx(costs[row, col, colour], abs=0.05)
        board.relay(cell, np.array([old], np.int32))


@pytest.mark.parametrize("kind", ["square", "hex", "side"])
def test_swaps_better_the_board_keep_its_counts_and_what_is_seen_true(kind):
    layout, paint, board = small_board(kind)
    counts, before = board.counts(), summed_difference(board)
    swapped = board.swap(0.0)
    assert swapped > 10
    np.testing.assert_array_equal(board.counts(), counts)
    assert summed_difference(board) < before - 0.1 * swapped
    xyz = xyz_from_linear(paint.light)
    afresh = seen_light(xyz[board.colour], xyz_from_linear(paint.card), layout, 1.0)
    np.testing.assert_allclose(board.seen(), afresh, atol=2e-5)
    while board.swap(0.0):
        pass
    # At rest, no pair of neighbours would be better swapped.
    settled = summed_difference(board)
    for row, col in ((0, 0), (6, 7), (7, 7), (12, 3)):
        for down, right in board.optics.partner[1:, row % 2].tolist():
            pair = np.array([row * layout.cols + col, (row + down) * layout.cols + col + right])
            if not 0 <= col + right < layout.cols:
                continue
            own = board.colour.ravel()[pair]
            board.relay(pair, own[::-1].copy())
            assert summed_difference(board) > settled - 0.05
            board.relay(pair, own)


def test_search_is_nearer_than_diffusion_and_diffusion_than_nearest():
    likeness = {
        method: plan_mosaic(
            PHOTO, LIBRARY, MosaicSettings(method=method, short_edge=40, card="black")
        ).likeness.de00_mean
        for method in ("search", "diffusion", "nearest")
    }
    assert likeness["search"] < 0.9 * likeness["diffusion"]
    assert likeness["diffusion"] < 0.7 * likeness["nearest"]


def test_the_same_seed_gives_the_same_mosaic_and_another_seed_another():
    plans = [
        plan_mosaic(PHOTO, LIBRARY, MosaicSettings(short_edge=20, passes=6, seed=seed)).colour
        for seed in (5, 5, 6)
    ]
    np.testing.assert_array_equal(plans[0], plans[1])
    assert np.any(plans[0] != plans[2])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spare", [0, 37])
def test_no_method_ever_exceeds_the_stock(method, spare):
    chosen = MosaicSettings(method=method, short_edge=16, passes=8)
    stock = np.array([40, 30, 30, 20, 16, 60, 50, 10])
    stock[0] += 16 * 16 - stock.sum() + spare
    plan = plan_mosaic(PHOTO, LIBRARY, chosen, stock=stock)
    assert np.all(plan.counts() <= stock)
    assert plan.counts().sum() == plan.layout.sweets
    assert np.all(plan.chip < 4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=8, max_size=8))
def test_any_stock_is_kept_or_refused(counts):
    stock = np.array(counts)
    chosen = MosaicSettings(short_edge=12, passes=4)
    if stock.sum() < 144:
        with pytest.raises(InputError, match=f"{stock.sum()} sweets"):
            plan_mosaic(PHOTO, LIBRARY, chosen, stock=stock)
        return
    assert np.all(plan_mosaic(PHOTO, LIBRARY, chosen, stock=stock).counts() <= stock)


def test_a_stock_that_is_plenty_changes_nothing():
    chosen = MosaicSettings(short_edge=16, passes=6)
    free = plan_mosaic(PHOTO, LIBRARY, chosen)
    held = plan_mosaic(PHOTO, LIBRARY, chosen, stock=np.full(8, 256))
    np.testing.assert_array_equal(free.colour, held.colour)


def test_chips_method_finds_the_very_chips_a_photo_is_made_of():
    """A photo pasted from chips comes back as those colours."""
    rng = np.random.default_rng(4)
    want = rng.integers(0, 8, (6, 6))
    plan = plan_mosaic(np.zeros((60, 60, 3), np.uint8), LIBRARY, MosaicSettings(short_edge=6, card="black"))
    from dataclasses import replace

    from sketch_cell.mosaic.colour import srgb_from_linear

    pasted = replace(plan, colour=want.astype(np.int32), chip=rng.integers(0, 4, (6, 6)))
    photo = srgb_from_linear(pasted.picture(24))
    found = plan_mosaic(photo, LIBRARY, MosaicSettings(method="chips", short_edge=6, card="black"))
    np.testing.assert_array_equal(found.colour, want)
    np.testing.assert_array_equal(found.chip, pasted.chip)


def test_auto_takes_the_card_that_suits_the_photo():
    dark = np.full((40, 40, 3), 30, np.uint8)
    plan = plan_mosaic(dark, LIBRARY, MosaicSettings(short_edge=10, passes=4))
    np.testing.assert_array_equal(plan.card, np.zeros(3))
    light = np.full((40, 40, 3), 250, np.uint8)
    plan = plan_mosaic(light, LIBRARY, MosaicSettings(short_edge=10, passes=4))
    np.testing.assert_array_equal(plan.card, np.ones(3))


def test_the_floor_is_below_what_is_reached_and_grey_photos_work():
    grey = np.asarray(PHOTO.mean(axis=2), np.uint8)
    plan = plan_mosaic(grey, LIBRARY, MosaicSettings(short_edge=30, card="white"))
    assert plan.floor_de00 < plan.likeness.de00_mean
    assert plan.floor_de00 > 5.0
    assert linear_from_srgb(grey).max() <= 1.0
