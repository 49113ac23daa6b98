"""`sketch-cell repair`: files, folders, formats, comparisons and refusals, through click itself."""

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import skimage.data
from click.testing import CliRunner

from sketch_cell.commands.repair import repair
from sketch_cell.errors import InputError
from sketch_cell.picture.comparison import LABEL_PX, zoom_frames
from sketch_cell.picture.quality import decibels, mean_square_error

ASTRONAUT = skimage.data.astronaut()[60:204, 150:310]


def run(*arguments):
    result = CliRunner().invoke(repair, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def write(path, pixels=ASTRONAUT, **options):
    format_name = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[path.suffix]
    if format_name == "JPEG":
        options = {"quality": 10, **options}
    PIL.Image.fromarray(pixels).save(path, format_name, **options)
    return path


def read(path):
    return np.asarray(PIL.Image.open(path))


def psnr(a, b):
    return decibels(mean_square_error(a, b))


def test_a_jpeg_becomes_a_better_png(tmp_path):
    source = write(tmp_path / "in.jpg")
    run(source, tmp_path / "new" / "out.png")
    assert psnr(read(tmp_path / "new" / "out.png"), ASTRONAUT) > psnr(read(source), ASTRONAUT)


def test_a_grey_jpeg_gives_a_grey_picture(tmp_path):
    run(write(tmp_path / "in.jpg", ASTRONAUT[:, :, 1]), tmp_path / "out.png")
    assert PIL.Image.open(tmp_path / "out.png").mode == "L"


def test_a_png_that_was_a_jpeg_is_repaired(tmp_path):
    jpeg = read(write(tmp_path / "in.jpg"))
    run(write(tmp_path / "in.png", jpeg), tmp_path / "out.png")
    assert psnr(read(tmp_path / "out.png"), ASTRONAUT) > psnr(jpeg, ASTRONAUT)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_each_format_is_written(tmp_path, suffix):
    run(write(tmp_path / "in.jpg"), tmp_path / f"out{suffix}")
    image = PIL.Image.open(tmp_path / f"out{suffix}")
    assert image.format == {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix]
    assert image.size == (160, 144)


def test_a_folder_keeps_its_names(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.jpg")
    write(folder / "b.png")
    write(folder / "a.webp")
    (folder / "notes.txt").write_text("no picture")
    run(folder, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.png", "b.png", "a.webp.png"}


def test_one_bad_file_does_not_stop_a_folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "good.jpg")
    (folder / "bad.jpg").write_text("this is text")
    with pytest.raises(InputError, match=r"1 of 2 .* bad\.jpg"):
        run(folder, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.png"]


def test_orientation_is_applied_and_not_repeated(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    run(write(tmp_path / "in.jpg", exif=exif), tmp_path / "out.jpg")
    image = PIL.Image.open(tmp_path / "out.jpg")
    assert image.size == (144, 160) and image.getexif().get(0x0112, 1) == 1
    assert psnr(np.asarray(image), np.rot90(ASTRONAUT, -1)) > 24


def test_alpha_and_profile_are_kept(tmp_path):
    alpha = np.zeros(ASTRONAUT.shape[:2], np.uint8)
    alpha[40:] = 200
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    source = write(tmp_path / "in.png", np.dstack([ASTRONAUT, alpha]), icc_profile=profile)
    run(source, tmp_path / "out.png")
    image = PIL.Image.open(tmp_path / "out.png")
    assert image.info["icc_profile"] == profile
    assert (np.asarray(image.getchannel("A")) == alpha).all()
    run(source, tmp_path / "out.jpg")
    assert (read(tmp_path / "out.jpg")[:32] > 250).all()


def test_a_fine_jpeg_is_left_as_it_is(tmp_path):
    source = write(tmp_path / "in.jpg", quality=98)
    run(source, tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes() == source.read_bytes()
    run(source, tmp_path / "out.png")
    assert (read(tmp_path / "out.png") == read(source)).all()


def test_a_picture_that_may_never_have_been_a_jpeg_is_said_to_be(tmp_path):
    jpeg = write(tmp_path / "in.jpg")
    output = run(write(tmp_path / "clean.png"), tmp_path / "out.png")
    assert "clean.png shows no trace of a JPEG: it is repaired half way" in " ".join(output.split())
    assert "trace" not in run(jpeg, tmp_path / "out.png")
    assert "trace" not in run(write(tmp_path / "was.png", read(jpeg)), tmp_path / "out.png")
    black = np.zeros((16, 16, 3), np.uint8)
    assert "trace" not in run(write(tmp_path / "black.png", black), tmp_path / "out.png")


def test_no_strength_keeps_the_jpeg(tmp_path):
    source = write(tmp_path / "in.jpg")
    run(source, tmp_path / "out.png", "--strength", 0)
    assert (read(tmp_path / "out.png") == read(source)).all()


def test_compare_prints_both_distances(tmp_path):
    original = write(tmp_path / "original.png")
    output = run(write(tmp_path / "in.jpg"), tmp_path / "out.png", "--compare", original)
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line.strip()}
    assert rows["RMSE"] == ["PSNR", "dB", "SSIM", "PSNR-B", "dB"]
    expected = psnr(read(tmp_path / "out.png"), ASTRONAUT)
    assert float(rows["repaired"][1]) == pytest.approx(expected, abs=1e-3)
    assert float(rows["repaired"][0]) < float(rows["JPEG"][0])


def test_comparing_with_another_size_is_refused(tmp_path):
    other = write(tmp_path / "other.png", ASTRONAUT[:-8])
    with pytest.raises(InputError, match="own original"):
        run(write(tmp_path / "in.jpg"), tmp_path / "out.png", "--compare", other)


def test_side_by_side_shows_every_picture(tmp_path):
    original = write(tmp_path / "original.png")
    run(
        write(tmp_path / "in.jpg"),
        tmp_path / "out.png",
        "--compare",
        original,
        "--side-by-side",
        tmp_path / "s.png",
    )
    assert read(tmp_path / "s.png").shape[1] > 3 * 160


def test_the_zoom_video_plays(tmp_path, monkeypatch):
    av = pytest.importorskip("av")
    monkeypatch.setattr("sketch_cell.picture.comparison.FRAMES", 9)
    original = write(tmp_path / "original.png")
    film = tmp_path / "zoom.mp4"
    run(write(tmp_path / "in.jpg"), tmp_path / "out.png", "--compare", original, "--zoom-video", film)
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 9 and frames[0].std() > 10
    assert np.abs(frames[0].astype(float) - frames[4]).mean() > 3


@pytest.mark.parametrize("make", ["missing", "text", "truncated", "tiny"])
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, make):
    source = tmp_path / "in.jpg"
    if make == "text":
        source.write_text("a text file called .jpg")
    elif make == "truncated":
        source.write_bytes(write(tmp_path / "whole.jpg").read_bytes()[:1500])
    elif make == "tiny":
        write(source, ASTRONAUT[:4, :4])
    with pytest.raises(InputError):
        run(source, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_overwriting_the_input_and_unknown_formats_are_refused(tmp_path):
    source = write(tmp_path / "in.jpg")
    for target in (source, tmp_path / "out.gif", tmp_path / "out"):
        with pytest.raises(InputError):
            run(source, target)
    assert read(source).shape == ASTRONAUT.shape


def test_a_folder_cannot_be_compared_or_be_empty(tmp_path):
    with pytest.raises(InputError, match="no pictures"):
        run(tmp_path, tmp_path / "out")
    write(tmp_path / "in.jpg")
    with pytest.raises(InputError, match="one picture"):
        run(tmp_path, tmp_path / "out", "--compare", tmp_path / "in.jpg")


def test_what_is_left_out_is_said(tmp_path):
    frames = [PIL.Image.fromarray(ASTRONAUT[:64, :64]) for _ in range(3)]
    (tmp_path / "in" / "more").mkdir(parents=True)
    frames[0].save(
        tmp_path / "in" / "film.gif", save_all=True, append_images=frames[1:], duration=40, optimize=False
    )
    frames[0].save(
        tmp_path / "in" / "film.webp", save_all=True, append_images=[PIL.Image.new("RGB", (64, 64))]
    )
    output = run(tmp_path / "in", tmp_path / "out")
    assert "film.webp holds 2 pictures: the first is repaired" in output
    assert "holds 1 folder that is left out" in output


def test_the_resolution_is_kept(tmp_path):
    source = write(tmp_path / "in.jpg", dpi=(300, 300))
    for name in ("out.png", "out.jpg"):
        run(source, tmp_path / name)
        assert PIL.Image.open(tmp_path / name).info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.webp", (), "out.webp would be 17000 pixels long"),
        ("out.png", ("--side-by-side", "s.jpg"), "s.jpg would be"),
    ],
)
def test_what_no_file_can_hold_is_refused_before_the_work(tmp_path, monkeypatch, target, options, words):
    monkeypatch.chdir(tmp_path)
    wide = 17_000 if target == "out.webp" else 33_000
    source = write(tmp_path / "in.jpg", np.full((8, wide), 128, np.uint8))
    with pytest.raises(InputError, match=words):
        run(source, target, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jpg"]


def test_no_output_overwrites_a_picture_of_the_work(tmp_path):
    source, original = write(tmp_path / "in.jpg"), write(tmp_path / "original.png")
    before = {path: path.read_bytes() for path in (source, original)}
    for outputs in (
        ["out.png", "--side-by-side", "in.jpg"],
        ["out.png", "--side-by-side", "out.png"],
        ["out.png", "--side-by-side", "original.png", "--compare", "original.png"],
        ["original.png", "--compare", "original.png"],
    ):
        arguments = [name if name.startswith("--") else tmp_path / name for name in outputs]
        with pytest.raises(InputError, match="another name"):
            run(source, *arguments)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_is_not_repaired_into_itself(tmp_path):
    write(tmp_path / "a.jpg")
    other = write(tmp_path / "a.png", ASTRONAUT[:32])
    with pytest.raises(InputError, match="OUT"):
        run(tmp_path, tmp_path / ".." / tmp_path.name)
    assert (read(other) == ASTRONAUT[:32]).all() and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "options", [["--compare", "missing.png"], ["--zoom-video", "z.avi"], ["--side-by-side", "s.gif"]]
)
def test_what_cannot_be_compared_is_refused_before_anything_is_written(tmp_path, options):
    source = write(tmp_path / "in.jpg")
    with pytest.raises(InputError):
        run(source, tmp_path / "out.png", options[0], tmp_path / options[1])
    assert list(tmp_path.iterdir()) == [source]


def test_a_fine_jpeg_is_compared_all_the_same(tmp_path):
    original = write(tmp_path / "original.png")
    shown = run(write(tmp_path / "in.jpg", quality=98), tmp_path / "out.jpg", "--compare", original)
    assert "left as it is" in shown and "PSNR" in shown


def test_a_grey_original_does_for_a_colour_jpeg(tmp_path):
    grey = ASTRONAUT[:, :, 1]
    original = write(tmp_path / "original.png", grey)
    jpeg = write(tmp_path / "in.jpg", np.repeat(grey[:, :, None], 3, axis=2))
    assert "PSNR" in run(jpeg, tmp_path / "out.png", "--compare", original)


def test_the_comparison_gets_no_blocks_of_its_own(tmp_path):
    source = write(tmp_path / "in.jpg")
    run(source, tmp_path / "out.png", "--side-by-side", tmp_path / "s.jpg")
    shown = read(tmp_path / "s.jpg")[-ASTRONAUT.shape[0] :, : ASTRONAUT.shape[1]]
    assert psnr(np.ascontiguousarray(shown), read(source)) > 40


@pytest.mark.parametrize("option", ["--strength", "--max-megapixels"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_numbers_without_a_meaning_are_refused(tmp_path, option, value):
    result = CliRunner().invoke(
        repair, [str(write(tmp_path / "in.jpg")), str(tmp_path / "o.png"), option, value]
    )
    assert result.exit_code == 2 and option in result.output
    assert not (tmp_path / "o.png").exists()


def test_names_too_long_for_the_disk_are_one_sentence(tmp_path):
    source = write(tmp_path / "in.jpg")
    run(source, tmp_path / ("o" * 250 + ".png"))
    with pytest.raises(InputError, match="too long"):
        run(source, tmp_path / ("o" * 300 + ".png"))


def test_brackets_in_a_name_are_no_markup(tmp_path):
    folder = tmp_path / "holiday [b] :cat:"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"no picture")
    result = CliRunner().invoke(repair, [str(folder), str(tmp_path / "out")])
    assert isinstance(result.exception, InputError)
    assert str(folder / "a.jpg") in result.output


def test_a_far_view_in_the_film_is_averaged():
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    frame = next(zoom_frames({"noise": noise}, (600, 800), 2))
    panel = frame[LABEL_PX + 10 : LABEL_PX + 350, 10:470]
    # Each pixel of the panel is the mean of eleven, or nearly so.
    assert panel.std() < 0.5 * noise.std()
    assert next(zoom_frames({"wide": noise[:16, :1].repeat(40_000, axis=1)}, (8, 20_000), 2)).any()
