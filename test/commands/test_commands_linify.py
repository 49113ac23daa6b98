"""`sketch-cell linify` as a user meets it: files out, folders out, one sentence for each mistake."""

from __future__ import annotations

import json

import click
import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from sketch_cell.commands.linify import linify
from sketch_cell.drawing.plan import PREVIEW_PX, plan_line
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.errors import InputError, SettingError

FAST = ["--cells", "10", "--iterations", "2"]


@pytest.fixture
def photo(tmp_path):
    ramp = np.uint8(np.add.outer(np.arange(40) * 3, np.arange(60) * 2))
    PIL.Image.fromarray(ramp).save(tmp_path / "ramp.png")
    return tmp_path / "ramp.png"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(linify, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_all_outputs_at_once(photo, tmp_path):
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "svg", "gcode", "preview", "video", "report")}
    out["video"], out["preview"] = tmp_path / "out.mp4", tmp_path / "out.png"
    run(photo, *FAST, "--long-edge-mm", 60, *(x for kind, path in out.items() for x in (f"--{kind}", path)))
    xy = np.loadtxt(out["csv"], delimiter=",", skiprows=1)
    assert (
        (xy >= 0).all() and (xy <= [0.06, 0.04]).all() and np.ptp(xy[:, 0]) == pytest.approx(0.06, abs=1e-5)
    )
    report = json.loads(out["report"].read_text())
    assert report["line_m"] == pytest.approx(np.linalg.norm(np.diff(xy, axis=0), axis=1).sum(), rel=1e-3)
    assert report["draw_time_s"] > report["line_m"] / report["feed_m_per_s"]
    assert PIL.Image.open(out["preview"]).size == (600, 400)
    av = pytest.importorskip("av")
    with av.open(str(out["video"])) as film:
        assert film.streams.video[0].width == 960
        assert sum(1 for _ in film.decode(video=0)) >= 300
    assert not list(tmp_path.glob(".out*"))


def test_take_ups_are_counted_in_the_draw_time(photo, tmp_path):
    def report(*extra: object) -> dict:
        run(photo, *FAST, "--report", tmp_path / "r.json", *extra)
        return json.loads((tmp_path / "r.json").read_text())

    plain, loose = report(), report("--backlash-y-mm", 2)
    each = 2 * (0.002 / 0.5) ** 0.5
    assert 0.3 * plain["reversals_y"] * each < loose["take_up_time_s"] < plain["reversals_y"] * each
    assert loose["draw_time_s"] == pytest.approx(plain["draw_time_s"] + loose["take_up_time_s"])


def test_a_named_glass_holds_the_drawing(photo, tmp_path):
    run(
        photo,
        *FAST,
        "--csv",
        tmp_path / "a.csv",
        "--glass-width-mm",
        153,
        "--glass-height-mm",
        107,
        "--margin-mm",
        5,
    )
    xy = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    assert (xy >= 0.005 - 1e-6).all() and (xy <= [0.148 + 1e-6, 0.102 + 1e-6]).all()


def test_a_folder_becomes_a_folder(photo, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(photo.read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    run(tmp_path / "in", *FAST, "--svg", tmp_path / "svg")
    assert sorted(p.name for p in (tmp_path / "svg").iterdir()) == ["a.svg", "b.svg"]


def test_one_bad_photo_does_not_stop_the_folder(photo, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.png").write_bytes(photo.read_bytes())
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"bad\.png"):
        run(tmp_path / "in", *FAST, "--svg", tmp_path / "svg")
    assert (tmp_path / "svg" / "good.svg").exists()


def test_the_search_is_shown(photo, tmp_path):
    run(photo, *FAST, "--method", "reference", "--spi", tmp_path / "spi.png", "--report", tmp_path / "r.json")
    assert (tmp_path / "spi.png").stat().st_size > 1000
    assert 0.2 <= json.loads((tmp_path / "r.json").read_text())["exponent"] <= 5


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--cells", "nan"], click.UsageError, "not a valid integer"),
        (["--cells", 0], click.UsageError, "0 is not in the range 1<=x<=1024"),
        (["--line-width-mm", 500], click.UsageError, "500.0 is not in the range 0.001<=x<=100"),
        (["--line-width-mm", "nan"], click.UsageError, "nan is not a finite number"),
        (["--line-width-mm", 50], SettingError, "--line-width-mm is 0.05 m, wider than a cell"),
        (["--glass-width-mm", 0, "--glass-height-mm", 100], click.UsageError, "0.0 is not in the range"),
        (["--video", "film.gif"], InputError, "MP4"),
        (["--preview", "drawing.jpg"], InputError, "PNG"),
        (["--csv", "."], InputError, "is a folder"),
        (["--glass-width-mm", 100], InputError, "go together"),
        (["--csv", "same.txt", "--svg", "./same.txt"], InputError, "two outputs"),
        (["--tone", "nowhere.csv"], InputError, "cannot be read"),
        (["--spi", "spi.png"], InputError, "--method reference"),
        (["--margin-mm", 20], InputError, "--margin-mm is the border on a glass"),
    ],
)
def test_mistakes_are_named(photo, arguments, error, words):
    with pytest.raises(error, match=words):
        linify.main([str(a) for a in (photo, *arguments)], standalone_mode=False)


def test_no_output_replaces_the_photo(photo):
    before = photo.read_bytes()
    with pytest.raises(InputError, match="read by this very command"):
        run(photo, *FAST, "--preview", photo)
    with pytest.raises(InputError, match="1 of 1"):
        run(photo.parent, *FAST, "--preview", photo.parent)
    assert photo.read_bytes() == before


def test_no_output_replaces_another_photo_of_the_folder(photo):
    """x.jpg and x.webp keep their suffixes, so that the preview of the one would be x.jpg.png."""
    folder = photo.parent
    for name in ("x.jpg", "x.webp", "x.jpg.png"):
        PIL.Image.open(photo).convert("RGB").save(folder / name)
    before = (folder / "x.jpg.png").read_bytes()
    with pytest.raises(InputError, match=r"x\.jpg"):
        run(folder, *FAST, "--preview", folder)
    assert (folder / "x.jpg.png").read_bytes() == before


def test_the_preview_of_a_huge_glass_fits_in_memory(photo):
    glass = LineSettings(cells=10, long_edge_m=9.0, line_width_m=0.05, glass_width_m=10.0, glass_height_m=8.0)
    with PIL.Image.open(photo) as picture:
        line = plan_line(np.asarray(picture), glass)
    preview = line.preview()
    assert preview.size <= PREVIEW_PX * 1.01
    assert preview.shape[1] / preview.shape[0] == pytest.approx(10 / 8, rel=1e-3)


def test_a_line_of_one_point_can_be_filmed(tmp_path):
    pytest.importorskip("av")
    PIL.Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")
    run(tmp_path / "white.png", "--method", "hilbert", "--long-edge-mm", 15, "--cells", 1, "--video",
        tmp_path / "film.mp4", "--csv", tmp_path / "line.csv")  # fmt: skip
    assert len((tmp_path / "line.csv").read_text().splitlines()) == 2
    assert (tmp_path / "film.mp4").stat().st_size > 0


def test_a_missing_photo_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        run(tmp_path / "nowhere.png")


def test_three_photos_of_like_names_give_three_files(photo):
    folder = photo.parent
    for name in ("a.jpg", "a.png", "a.jpg.png"):
        PIL.Image.open(photo).convert("RGB").save(folder / name)
    photo.unlink()
    run(folder, *FAST, "--csv", folder / "out")
    assert len(list((folder / "out").iterdir())) == 3
