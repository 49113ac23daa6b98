"""The tone chart planned, drawn darker than predicted, photographed, read, and used: the next drawing is lighter."""

from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from sketch_cell.commands.linify import linify
from sketch_cell.commands.tone import read_tone_file, tone
from sketch_cell.drawing.render import render_ink
from sketch_cell.drawing.tone import srgb_from_linear
from sketch_cell.errors import InputError

REAL_WIDTH_M = 0.0008  # the pen is wider than the planner believes
GREY = 0.75  # linear light of bare glass
INK = 0.06


def run(command, *arguments: object) -> None:
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def photograph(csv, path, line_width_m: float, uneven: float = 0.03) -> None:
    """What a camera sees of the drawn line: noise, light that is stronger on the right by twice `uneven`, sRGB."""
    xy = np.loadtxt(csv, delimiter=",", skiprows=1)
    ink = render_ink(xy, width_m=0.153, height_m=0.107, line_width_m=line_width_m, pixels_per_m=5000)
    light = (GREY + (INK - GREY) * ink) * np.linspace(1 - uneven, 1 + uneven, ink.shape[1])
    light += np.random.default_rng(0).normal(0, 0.01, ink.shape)
    PIL.Image.fromarray(np.uint8(255 * np.clip(srgb_from_linear(light.astype(np.float32)), 0, 1))).save(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tone")
    run(tone, "chart", folder / "chart.csv", "--gcode", folder / "chart.gcode")
    photograph(folder / "chart.csv", folder / "chart.png", REAL_WIDTH_M)
    run(tone, "read", folder / "chart.png", folder / "chart.csv", folder / "tone.csv")
    return folder


@pytest.mark.parametrize("uneven", [0.0, 0.1, 0.3])
def test_a_faithful_machine_reads_as_the_identity_under_any_lamp(files, tmp_path, uneven):
    photograph(files / "chart.csv", tmp_path / "true.png", 0.0006, uneven)
    run(tone, "read", tmp_path / "true.png", files / "chart.csv", tmp_path / "tone.csv")
    curve = read_tone_file(tmp_path / "tone.csv")
    assert np.abs(np.subtract(curve.predicted, curve.observed)).max() < 0.025


def test_a_wider_pen_is_found_and_drawn_against(files, tmp_path):
    curve = read_tone_file(files / "tone.csv")
    tones = np.array([0.3, 0.5, 0.7], np.float32)
    wider = np.array([0.39, 0.63, 0.83])  # of the same lines: about 4/3 less what overlaps
    assert curve.seen(tones) == pytest.approx(wider, abs=0.04)
    PIL.Image.fromarray(np.full((100, 150), 100, np.uint8)).save(tmp_path / "grey.png")
    ink = {}
    for name, extra in (("plain", ()), ("told", ("--tone", files / "tone.csv"))):
        out = tmp_path / f"{name}.csv"
        run(linify, tmp_path / "grey.png", "--csv", out, "--long-edge-mm", 100, "--cells", 40, *extra,
            "--report", tmp_path / "r.json")  # fmt: skip
        report = json.loads((tmp_path / "r.json").read_text())
        drawn = render_ink(np.loadtxt(out, delimiter=",", skiprows=1), width_m=report["width_m"],
                           height_m=report["height_m"], line_width_m=REAL_WIDTH_M, pixels_per_m=5000)  # fmt: skip
        ink[name] = drawn[40:-40, 40:-40].mean()
    wanted = 1 - 100 / 255
    assert abs(ink["told"] - wanted) < 0.03 < abs(ink["plain"] - wanted)


def test_a_curve_that_had_to_be_made_to_rise_can_be_read_back(files, tmp_path):
    """A shadow on middling fields lets the curve fall; the file must still be one that linify takes."""
    photograph(files / "chart.csv", tmp_path / "p.png", REAL_WIDTH_M)
    with PIL.Image.open(tmp_path / "p.png") as photo:
        bright = np.asarray(photo, float)
    spot = np.hypot(*np.mgrid[-1 : 1 : bright.shape[0] * 1j, -1 : 1 : bright.shape[1] * 1j]) < 0.5
    PIL.Image.fromarray(np.uint8(np.where(spot, bright * 0.6, bright))).save(tmp_path / "p.png")
    run(tone, "read", tmp_path / "p.png", files / "chart.csv", tmp_path / "tone.csv")
    assert np.all(np.diff(read_tone_file(tmp_path / "tone.csv").observed) > 0)


@pytest.mark.parametrize("turned", ["white", "negative", "text"])
def test_other_pictures_are_refused(files, tmp_path, turned):
    photo, csv = tmp_path / "p.png", files / "chart.csv"
    PIL.Image.fromarray(np.full((107, 153), 200, np.uint8)).save(photo)
    if turned == "negative":
        PIL.Image.fromarray(255 - np.asarray(PIL.Image.open(files / "chart.png"))).save(photo)
    if turned == "text":
        csv = tmp_path / "text.csv"
        csv.write_text("no numbers\nat all\n")
    with pytest.raises(InputError, match=r"table|darker"):
        run(tone, "read", photo, csv, tmp_path / "tone.csv")
    assert not (tmp_path / "tone.csv").exists()
