"""Repair: it helps, tiles do not show, both runtimes agree, and any size and strength works."""

import importlib.util
import io
import tracemalloc

import cv2
import numpy as np
import PIL.Image
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from sketch_cell.errors import InputError
from sketch_cell.picture import deblock
from sketch_cell.picture.deblock import MOST_LOOKS, Deblocker, blend, effort, tiles, turned, window_of
from sketch_cell.picture.jpeg import STANDARD_LUMA, standard_luma_table, strength_of_quality
from sketch_cell.picture.quality import decibels, mean_square_error
from sketch_cell.picture.read import Photo
from sketch_cell.picture.repair import needs_repair
from sketch_cell.picture.weights import KINDS, NETWORKS, WITH_FEEDBACK, load_weights

RUNTIMES = [name for name in ("torch", "onnxruntime") if importlib.util.find_spec(name)]
ASTRONAUT = skimage.data.astronaut()[60:316, 100:372]


@pytest.fixture(
    scope="module", params=[*((r, n) for r in RUNTIMES for n in NETWORKS), ("int8", "fast")], ids="-".join
)
def deblocker(request):
    return Deblocker(*request.param)


def as_jpeg(pixels, quality):
    if pixels.ndim == 2:
        code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    code = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[:, :, ::-1])


def psnr(a, b):
    return decibels(mean_square_error(a, b))


@pytest.mark.parametrize("layout", NETWORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_shipped_set_has_57_987_parameters(kind, layout):
    sets = load_weights(kind, layout)
    numbers = (*sets.kernels, *sets.biases)
    if sets.gains is not None:
        # They take the place of the last layer's biases.
        assert not sets.biases[-1].any()
        numbers = (*numbers[:-1], sets.gains)
    assert {len(part) for part in numbers} == {len(sets.strengths)}
    assert sum(part[0].size for part in numbers) == 57_987
    assert (np.diff(sets.strengths) < 0).all()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.3])
@pytest.mark.parametrize("quality", [10, 40])
def test_a_photo_gains_where_steps_rise_otherwise_with_frequency(deblocker, power, quality):
    grey = cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2GRAY)
    steps = 16 * (STANDARD_LUMA / 16) ** power * 2 ** strength_of_quality(quality)
    table = np.clip(np.rint(steps), 1, 255).astype(np.int64)
    file = io.BytesIO()
    PIL.Image.fromarray(grey).save(file, "JPEG", qtables=[table.ravel().tolist()])
    jpeg = np.asarray(PIL.Image.open(file))
    assert psnr(deblocker.repair(jpeg, table), grey) > psnr(jpeg, grey) + 0.3


@pytest.mark.parametrize("quality", [10, 20, 40, 60, 80, 90, 95])
@pytest.mark.parametrize("is_grey", [False, True])
def test_a_photo_gains_at_every_quality(deblocker, quality, is_grey):
    original = cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2GRAY) if is_grey else ASTRONAUT
    jpeg = as_jpeg(original, quality)
    for table in (standard_luma_table(quality), None):
        repaired = deblocker.repair(jpeg, table)
        assert repaired.shape == jpeg.shape and repaired.dtype == np.uint8
        assert psnr(repaired, original) > psnr(jpeg, original)


def test_a_picture_without_its_file_is_repaired_as_with_it(deblocker):
    jpeg = as_jpeg(ASTRONAUT, 10)
    assert (deblocker.repair(jpeg) == deblocker.repair(jpeg, standard_luma_table(10))).all()


def test_a_cropped_jpeg_is_repaired_on_its_own_grid(deblocker):
    jpeg = as_jpeg(ASTRONAUT, 10)
    whole = deblocker.repair(jpeg)
    cropped = deblocker.repair(np.ascontiguousarray(jpeg[3:, 5:]))
    # Away from the new border the same pixels see the same neighbours.
    assert np.abs(cropped[40:, 40:].astype(int) - whole[43:, 45:]).max() <= 1


def test_a_jpeg_made_of_a_coarser_one_is_repaired_as_that_one(deblocker):
    cropped = np.ascontiguousarray(as_jpeg(ASTRONAUT, 10)[4:, 4:])
    resaved = as_jpeg(cropped, 50)
    by_its_own_table = deblocker.repair_on_grid(resaved, standard_luma_table(50))
    repaired = deblocker.repair(resaved, standard_luma_table(50))
    assert psnr(repaired, ASTRONAUT[4:, 4:]) > psnr(by_its_own_table, ASTRONAUT[4:, 4:]) + 0.2


def test_tiles_do_not_show(deblocker, monkeypatch):
    jpeg = as_jpeg(ASTRONAUT, 10)
    whole = deblocker.repair(jpeg, standard_luma_table(10))
    monkeypatch.setattr(deblock, "MOST_TILE_PX", 64)
    tiled = deblocker.repair(jpeg, standard_luma_table(10))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_the_looks_are_eight_and_each_is_turned_back():
    window = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    seen = [turned(window, look) for look in range(MOST_LOOKS)]
    assert len({(picture.shape, picture.tobytes()) for picture in seen}) == MOST_LOOKS
    for look, picture in enumerate(seen):
        assert np.array_equal(turned(picture, look, back=True), window)


@pytest.mark.parametrize("is_grey", [False, True])
def test_eight_looks_see_no_direction(is_grey):
    jpeg = as_jpeg(ASTRONAUT[:, :, 1] if is_grey else ASTRONAUT, 10)
    deblocker = Deblocker("onnxruntime", "fine", looks=8)
    table = standard_luma_table(10)
    upright = np.atleast_3d(deblocker.repair_on_grid(jpeg, table))
    for look in range(1, MOST_LOOKS):
        other = np.ascontiguousarray(turned(np.atleast_3d(jpeg), look)).squeeze()
        is_on_its_side = bool(look & 4)
        repaired = np.atleast_3d(deblocker.repair_on_grid(other, table.T if is_on_its_side else table))
        apart = np.abs(turned(repaired, look, back=True).astype(int) - upright)
        # Sums taken in another order may round a level that lies in the middle the other way; and rows and columns,
        # whose steps differ in the standard's table, have gains of their own. Of grey, the first reading is one look.
        most, mean = (8, 0.4) if is_on_its_side else (1, 1e-3)
        if is_grey:
            most, mean = 8, 0.5 if is_on_its_side else 0.25
        assert apart.max() <= most and apart.mean() < mean


def test_more_looks_are_nearer_to_the_original():
    jpeg = as_jpeg(ASTRONAUT, 20)
    distances = [
        psnr(Deblocker("onnxruntime", *effort).repair(jpeg, standard_luma_table(20)), ASTRONAUT)
        for effort in (("fast", 1), ("fine", 1), ("fine", 2), ("fine", 8))
    ]
    assert (np.diff(distances) > 0.01).all()


@pytest.mark.parametrize("quality", [10, 40])
def test_a_second_reading_of_a_grey_picture_is_nearer_to_the_original(quality, monkeypatch):
    original = cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2GRAY)
    jpeg, table = as_jpeg(original, quality), standard_luma_table(quality)
    twice = Deblocker("onnxruntime", "fine").repair_on_grid(jpeg, table)
    monkeypatch.setattr(deblock, "WITH_FEEDBACK", set())
    once = Deblocker("onnxruntime", "fine").repair_on_grid(jpeg, table)
    assert psnr(twice, original) > psnr(once, original) + 0.005


@pytest.mark.parametrize("kind", KINDS)
@given(pixels=st.integers(1, 200_000_000), wanted=st.sampled_from([None, 1, 3, 8]))
def test_a_small_picture_gets_more_work_than_a_large_one(kind, pixels, wanted):
    network, looks = effort(pixels, "auto", wanted, kind)
    assert 1 <= looks <= MOST_LOOKS and wanted in (None, looks)
    cost = deblock.COSTS[network] * (looks + ((network, kind) in WITH_FEEDBACK)) * pixels
    assert cost <= deblock.BUDGET_PX or (network == "fast" and looks in (1, wanted))
    assert effort(2 * pixels, "auto", wanted, kind) <= (network, looks)
    assert effort(pixels, "fast", 5, kind) == ("fast", 5) and effort(pixels, "fine", None, kind)[0] == "fine"


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize(
    ("quality", "network"), [(5, "fast"), (20, "fine"), (60, "fine"), (93, "fast"), (None, "fast")]
)
def test_the_better_network_repairs(quality, network, is_grey):
    jpeg = as_jpeg(ASTRONAUT[:, :, 1] if is_grey else ASTRONAUT, quality or 30)
    table = None if quality is None else standard_luma_table(quality)
    chosen, named = (
        Deblocker("onnxruntime", name, 1).repair_on_grid(jpeg, table) for name in ("auto", network)
    )
    assert (chosen == named).all()


def test_runtimes_agree_within_one_level():
    if len(RUNTIMES) < 2:
        pytest.skip("needs both torch and onnxruntime")
    for quality in (5, 10, 30, 75, 95):
        for table in (standard_luma_table(quality), None):
            for original, network in ((ASTRONAUT, "fast"), (ASTRONAUT[:, :, 1], "fine")):
                jpeg = as_jpeg(original, quality)
                a, b = (Deblocker(r, network).repair_on_grid(jpeg, table).astype(int) for r in RUNTIMES)
                assert np.abs(a - b).max() <= 1


@given(height=st.integers(1, 70), width=st.integers(1, 70), is_grey=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_size_is_repaired(height, width, is_grey, seed):
    shape = (height, width) if is_grey else (height, width, 3)
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    before = image.copy()
    assert Deblocker("onnxruntime").repair(image, standard_luma_table(30)).shape == shape
    assert (image == before).all()


def test_a_flat_picture_stays_flat(deblocker):
    for level in (0, 1, 128, 255):
        flat = np.full((40, 56, 3), level, np.uint8)
        assert np.abs(deblocker.repair(flat, standard_luma_table(10)).astype(int) - level).max() <= 1


def test_strength_blends(deblocker):
    jpeg = as_jpeg(ASTRONAUT, 10)
    table = standard_luma_table(10)
    full = deblocker.repair(jpeg, table)
    assert (deblocker.repair(jpeg, table, strength=0.0) == jpeg).all()
    half = deblocker.repair(jpeg, table, strength=0.5)
    assert np.abs(half - (jpeg.astype(float) + full) / 2).max() <= 0.5


def test_wrong_arrays_and_runtimes_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        Deblocker("onnxruntime").repair(np.zeros((9, 9), np.float32))
    with pytest.raises(InputError, match="runtime"):
        Deblocker("tensorflow")
    with pytest.raises(InputError, match="network"):
        Deblocker("onnxruntime", "finest")


def test_networks_are_kept_but_not_for_ever():
    deblocker = Deblocker("onnxruntime")
    image = np.zeros((16, 16, 3), np.uint8)
    for quality in range(5, 98, 4):
        deblocker.repair(image, standard_luma_table(quality))
    assert 1 <= len(deblocker._networks) <= deblock.NETWORKS_KEPT


def test_working_memory_does_not_grow_with_the_picture():
    deblocker = Deblocker("onnxruntime")
    image = np.zeros((1024, 1536, 3), np.uint8)
    deblocker.repair(image[:64, :64])
    tracemalloc.start()
    deblocker.repair(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result itself, and a few tiles.
    assert peak < image.nbytes + 40e6


@given(height=st.integers(1, 400), width=st.integers(1, 400), tile=st.sampled_from([16, 64, 128]))
def test_tiles_cover_every_pixel_once_and_start_on_the_grid(height, width, tile):
    seen = np.zeros((height, width), int)
    for rows, columns in tiles(height, width, tile):
        assert rows.start % 16 == columns.start % 16 == 0
        assert 0 < max(rows.stop - rows.start, columns.stop - columns.start) <= tile
        seen[rows, columns] += 1
    assert (seen == 1).all()


@given(height=st.integers(1, 90), width=st.integers(1, 90), border=st.sampled_from([16, 32]))
@settings(deadline=None)
def test_windows_mirror_beyond_the_picture(height, width, border):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for rows, columns in tiles(height, width, 64):
        window = window_of(image, rows, columns, border)
        after = [border + -(part.stop - part.start) % 16 for part in (rows, columns)]
        padded = np.pad(image, ((border, after[0]), (border, after[1]), (0, 0)), mode="symmetric")
        expected = padded[
            rows.start : rows.stop + border + after[0], columns.start : columns.stop + border + after[1]
        ]
        assert window.shape == expected.shape and (window == expected).all()


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_positions_among_the_sets_follow_the_strength(kind):
    sets = load_weights(kind)
    positions = [sets.position(strength_of_quality(q)) for q in range(3, 98)]
    assert (np.diff(positions) >= 0).all()
    assert positions[0] == 0 and positions[-1] == len(sets.strengths) - 1


def test_blending_rounds_to_whole_levels():
    a, b = np.array([[0, 255, 10]], np.uint8), np.array([[255, 0, 11]], np.uint8)
    assert blend(a, b, 1.0).tolist() == b.tolist() and blend(a, b, 0.0).tolist() == a.tolist()


def test_a_turned_jpeg_is_repaired_as_the_upright_one(deblocker):
    jpeg = as_jpeg(ASTRONAUT, 10)
    turned = deblocker.repair(np.ascontiguousarray(jpeg.swapaxes(0, 1)))
    assert (turned == deblocker.repair(jpeg).swapaxes(0, 1)).all()


def test_black_and_white_alone_was_never_a_jpeg():
    page = np.kron(np.eye(8, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))
    assert not needs_repair(Photo(page, None, None, 1, None))
    assert needs_repair(Photo(page // 2, None, None, 1, None))
