"""The network in whole numbers: scaling changes nothing, rounding little, and streams get it where it is quick."""

import cv2
import numpy as np
import pytest
import skimage.data

from sketch_cell.errors import InputError
from sketch_cell.picture import deblock, runtime_int8
from sketch_cell.picture.deblock import Deblocker, stream_runtime
from sketch_cell.picture.jpeg import standard_luma_table
from sketch_cell.picture.quality import decibels, mean_square_error
from sketch_cell.picture.runtime_int8 import in_steps
from sketch_cell.picture.runtime_onnx import network as network_in_floats
from sketch_cell.picture.weights import KINDS, load_weights, padded

ASTRONAUT = skimage.data.astronaut()[60:316, 100:372]


def as_jpeg(pixels, quality):
    code = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[:, :, ::-1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_in_steps_is_the_same_network(kind):
    sets = load_weights(kind)
    position = min(len(sets.strengths) - 1, 1.5)
    arrays = padded(sets.at(position))
    scaled, step = in_steps(arrays, sets.peaks_at(position))
    jpeg = as_jpeg(ASTRONAUT, 12)[:64, :80]
    change = network_in_floats(sets, arrays)(jpeg)
    assert np.abs(network_in_floats(sets, scaled)(jpeg) * step - change).max() < 0.01
    assert np.abs(change).max() > 5


@pytest.mark.parametrize("quality", [10, 40, 80])
@pytest.mark.parametrize("is_grey", [False, True])
def test_whole_numbers_cost_hundredths_of_a_decibel(quality, is_grey):
    original = np.repeat(ASTRONAUT[:, :, 1:2], 3, axis=2) if is_grey else ASTRONAUT
    jpeg, original = (p[:, :, 1] if is_grey else p for p in (as_jpeg(original, quality), original))
    table = standard_luma_table(quality)
    whole, exact = (Deblocker(r).repair_on_grid(jpeg, table) for r in ("int8", "onnxruntime"))
    errors = [mean_square_error(picture, original) for picture in (jpeg, exact, whole)]
    before, by_floats, by_bytes = map(decibels, errors)
    assert by_floats - by_bytes < 0.05 < by_floats - before
    apart = np.abs(whole.astype(int) - exact)
    assert (apart > 1).mean() < 0.05 and apart.max() < 12


def test_whole_numbers_are_for_the_fast_network_alone():
    jpeg, table = as_jpeg(ASTRONAUT, 20), standard_luma_table(20)
    fast, auto = (Deblocker("int8", name, 1).repair_on_grid(jpeg, table) for name in ("fast", "auto"))
    assert (fast == auto).all()
    with pytest.raises(InputError, match="int8 has no network fine"):
        Deblocker("int8", "fine")


@pytest.mark.parametrize(
    ("flags", "is_installed", "wanted"),
    [
        ("flags : fpu avx2 avx512_vnni", True, "int8"),
        ("Features : fp asimd asimddp", True, "int8"),
        ("flags : fpu avx2", True, "auto"),
        (None, True, "auto"),
        ("flags : fpu avx_vnni", False, "auto"),
    ],
)
def test_streams_are_repaired_in_whole_numbers_where_that_is_quick(
    tmp_path, monkeypatch, flags, is_installed, wanted
):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(runtime_int8, "PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.setattr(deblock, "is_installed", lambda name: is_installed)
    assert stream_runtime() == wanted


def test_processors_that_add_up_in_sixteen_bits_are_no_less_exact(monkeypatch):
    jpeg, table = as_jpeg(ASTRONAUT, 10), standard_luma_table(10)
    quick = Deblocker("int8").repair_on_grid(jpeg, table)
    monkeypatch.setattr(runtime_int8, "multiplies_bytes", lambda: False)
    assert np.abs(Deblocker("int8").repair_on_grid(jpeg, table).astype(int) - quick).max() <= 1
