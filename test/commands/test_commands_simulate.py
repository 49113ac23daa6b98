"""`sketch-cell simulate`: figures as promised, the same for the same seed, and clear words for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sketch_cell.commands.faults import Faults, read_faults
from sketch_cell.commands.likeness import likeness
from sketch_cell.commands.simulate import read_line, simulate
from sketch_cell.errors import InputError
from sketch_cell.machine.motion import MotionSettings

FIELDS = {
    "seed",
    "deviation_rms_mm",
    "deviation_p95_mm",
    "deviation_max_mm",
    "ssim",
    "draw_s",
    "planned_s",
    "jumps",
    "jumps_found",
}


def waves() -> np.ndarray:
    """Two short rows of waves near the home corner."""
    t = np.linspace(0, 6, 240, endpoint=False)
    row = np.column_stack([0.006 + 0.0024 * t, 0.012 + 0.0008 * np.sin(4 * np.pi * t)])
    back = row[::-1] + np.array([0.0, 0.0024])
    return np.concatenate([row, back])


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.csv"
    np.savetxt(path, waves(), delimiter=",", header="x_m,y_m", comments="")
    return path


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(simulate, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_camera_keeps_a_drawing_true_and_every_figure_is_there(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    result = CliRunner().invoke(simulate, [str(plan), "--json", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    (figures,) = json.loads(out.read_text())["runs"]
    assert set(figures) >= FIELDS
    assert figures["state"] == "done"
    assert figures["deviation_rms_mm"] < 0.12
    assert figures["draw_s"] > 0.9 * figures["planned_s"] > 5


def test_the_same_seed_gives_the_same_figures_and_open_is_far_worse(plan: Path) -> None:
    first, again = (run(str(plan), "--loop", "open", "--seeds", "2") for _ in range(2))
    assert first == again
    one, two = first["runs"]
    assert one["deviation_rms_mm"] != two["deviation_rms_mm"]
    feed_forward = run(str(plan), "--loop", "backlash")["runs"][0]
    assert one["deviation_rms_mm"] > 4 * feed_forward["deviation_rms_mm"]


def test_faults_from_a_file_are_used_and_ranges_drawn_per_seed(plan: Path, tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "toy:\n  backlash_x_m: 0.001\n  backlash_y_m: [0.0010, 0.0015]\ncamera:\n  noise_sigma: 8.0\n"
    )
    faults = read_faults(path)
    toys = [faults.cell(seed, "camera", MotionSettings()).toy for seed in range(5)]
    assert {toy.backlash_x_m for toy in toys} == {0.001}
    assert len({toy.backlash_y_m for toy in toys}) == 5
    assert all(0.0010 <= toy.backlash_y_m <= 0.0015 for toy in toys)
    assert faults.cell(0, "camera", MotionSettings()).camera.noise_sigma == 8.0
    figures = run(str(plan), "--loop", "open", "--faults", str(path))["runs"][0]
    assert figures["backlash_x_mm"] == 1.0


def test_only_the_loops_without_eyes_are_told_the_backlash() -> None:
    for loop, told in (("camera", False), ("open", False), ("backlash", True), ("homing", True)):
        cell = Faults().cell(3, loop, MotionSettings())
        assert (cell.estimator.backlash_y_m == cell.toy.backlash_y_m) is told


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("toys: {}", "toy and camera"),
        ("toy: {backlash_q_m: 1}", "backlash_q_m"),
        ("toy: {backlash_x_m: 7.0}", "backlash_x_m"),
        ("camera: [1, 2]", "camera"),
        ("toy: {a: ]", "not YAML"),
        ("toy: 5", "5"),
        ("toy: {soft_zone: [0.0, 2.0]}", "soft_zone is 2"),
        ("toy: {backlash_x_m: [one, two]}", "backlash_x_m"),
        ("toy: {backlash_x_m: [0.001, .inf]}", "backlash_x_m"),
        ("toy: {1: 2, a: 3}", "no setting 1"),
    ],
)
def test_bad_faults_are_refused_by_name(content: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=named):
        read_faults(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.csv", None),
        ("other.csv", "a,b\n1,2\n3,4\n"),
        ("text.csv", "x_m,y_m\nhello,world\n"),
        ("short.csv", "x_m,y_m\n0.01,0.01\n"),
        ("wide.csv", "x_m,y_m\n1,2,3\n4,5,6\n"),
        ("text.jpg", "no photo at all"),
        ("none.jpg", None),
    ],
)
def test_a_source_that_is_no_line_and_no_photo_is_named(
    name: str, content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=name.split(".")[0]):
        read_line(path, 20)


@pytest.mark.parametrize(
    ("corner", "fits"), [((0.153, 0.107), True), ((0.154, 0.05), False), ((0.05, -0.001), False)]
)
def test_a_line_that_leaves_the_toys_glass_is_refused(corner, fits, tmp_path, monkeypatch) -> None:
    path = tmp_path / "line.csv"
    path.write_text(f"x_m,y_m\n0.01,0.01\n{corner[0]},{corner[1]}\n")
    drawn = []
    monkeypatch.setattr("sketch_cell.commands.simulate.run_figures", lambda *given: drawn.append(given) or {})
    monkeypatch.setattr("sketch_cell.commands.simulate._sentence", lambda figures: "")
    arguments = [str(path), "--json", str(tmp_path / "figures.json")]
    if fits:
        simulate.main(arguments, standalone_mode=False)
    else:
        with pytest.raises(InputError, match=r"line\.csv goes .* --glass-width-mm 153 --glass-height-mm 107"):
            simulate.main(arguments, standalone_mode=False)
    assert len(drawn) == fits
    assert (tmp_path / "figures.json").exists() == fits


def test_likeness_is_one_for_the_line_itself_and_falls_with_the_shift() -> None:
    line = waves() + np.array([0.03, 0.03])
    same = likeness(line, line, 0.08, 0.08)
    near = likeness(line + np.array([0.0, 0.0004]), line, 0.08, 0.08)
    far = likeness(line + np.array([0.0, 0.004]), line, 0.08, 0.08)
    assert same == pytest.approx(1.0)
    assert same > near > far
