"""`sketch-cell repair IN OUT`: JPEG damage repaired in a file or in every picture of a folder."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from sketch_cell.commands.console import progress, say
from sketch_cell.commands.options import FloatRange
from sketch_cell.errors import InputError
from sketch_cell.files import check_outputs, whole_file, write_whole
from sketch_cell.packages import need
from sketch_cell.picture.comparison import GAP_PX
from sketch_cell.picture.deblock import MOST_LOOKS, RUNTIMES, Deblocker
from sketch_cell.picture.read import Photo, finished, open_photo, upright
from sketch_cell.picture.repair import HIGHEST_QUALITY, in_eight_bits, repaired, shows_no_jpeg
from sketch_cell.picture.weights import NETWORKS

Image = NDArray[np.uint8]

# Suffixes that are read from a folder, and the format of each suffix that is written.
READ_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".jp2", ".tif", ".tiff"}
)
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
# The quickest PNG level, as most of a large picture's time would go there; JPEG and WebP nearly free of new damage.
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95, "method": 2},
}
MOST_PX = {"JPEG": 65_500, "WEBP": 16_383}  # longest edge
FRAMES_PER_S = 30


@dataclass(frozen=True)
class Work:
    """What to do with every picture."""

    deblocker: Deblocker
    strength: float
    max_megapixels: float
    compare: Path | None = None
    side_by_side: Path | None = None
    zoom_video: Path | None = None


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--strength", type=FloatRange(0, 1), default=1.0, show_default=True, help="0 keeps the JPEG.")
@click.option("--format", "suffix", type=click.Choice(["png", "jpg", "webp"]), default="png", show_default=True,
              help="Format of what is written into a folder.")  # fmt: skip
@click.option(
    "--compare", type=click.Path(path_type=Path), help="Undamaged original: print the distance to it."
)
@click.option(
    "--side-by-side",
    type=click.Path(path_type=Path),
    help="Write JPEG and repair (and original) as one picture.",
)
@click.option(
    "--zoom-video", type=click.Path(path_type=Path), help="Write an MP4 that zooms into the comparison."
)
@click.option(
    "--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True,
    help="What runs the network: auto is torch where installed, else onnxruntime; int8 is quicker, for fast alone.",
)  # fmt: skip
@click.option(
    "--network", type=click.Choice(["auto", *NETWORKS]), default="auto", show_default=True,
    help="fine takes four times as long as fast; auto takes it for small JPEGs of qualities at which it comes closer.",
)  # fmt: skip
@click.option(
    "--looks", type=click.IntRange(1, MOST_LOOKS),
    help="Look so many times, flipped and turned: slower, closer to the original.  [default: what fits two seconds]",
)  # fmt: skip
@click.option(
    "--max-megapixels",
    type=FloatRange(min=0, min_open=True),
    default=150.0,
    show_default=True,
    help="Refuse larger pictures.",
)
def repair(
    source: Path, target: Path, suffix: str, runtime: str, network: str, looks: int | None, **options: object
) -> None:
    """Repair the JPEG damage in IN, a picture or a folder of them, and write OUT (PNG, JPEG or WebP).

    Example: sketch-cell repair holiday.jpg holiday.png --side-by-side compare.png
    """
    work = Work(Deblocker(runtime, network, looks), **options)  # type: ignore[arg-type]
    try:
        if source.is_dir():
            _repair_folder(source, target, f".{suffix}", work)
        else:
            _repair_file(source, target, work)
    except OSError as error:
        raise InputError(
            f"{error.filename or source} cannot be used: {error.strerror}. Choose another name, or ask its owner."
        ) from error


def _repair_folder(source: Path, target: Path, suffix: str, work: Work) -> None:
    if work.compare or work.side_by_side or work.zoom_video:
        raise InputError("--compare, --side-by-side and --zoom-video need one picture as IN, not a folder.")
    jobs = _folder_jobs(source, target, suffix)
    refused = []
    with progress(f"Repairing {source}", len(jobs)) as advance:
        for path, goal in jobs.items():
            try:
                _repair_file(path, goal, work)
            except InputError as error:
                say(str(error))
                refused.append(path.name)
            advance(1)
    if refused:
        raise InputError(
            f"{len(refused)} of {len(jobs)} pictures could not be repaired: {', '.join(refused)}."
        )


def _folder_jobs(source: Path, target: Path, suffix: str) -> dict[Path, Path]:
    """Which file becomes which, names kept but for the suffix."""
    paths = sorted(p for p in source.iterdir() if p.is_file() and p.suffix.lower() in READ_SUFFIXES)
    folders = sum(entry.is_dir() for entry in source.iterdir())
    if folders:
        say(
            f"{source} holds {folders} folder{'s' * (folders > 1)} that {'are' if folders > 1 else 'is'} left out."
        )
    if not paths:
        raise InputError(
            f"{source} holds no pictures. Choose a folder with JPEG, PNG, WebP, TIFF or BMP files."
        )
    if target.resolve() == source.resolve():
        raise InputError(
            f"{target} is the folder of the pictures to be repaired. Choose another one for OUT."
        )
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file, but IN is a folder. Name a folder for the repaired pictures.")
    jobs: dict[Path, Path] = {}
    for path in paths:
        goal = target / f"{path.stem}{suffix}"
        # Two files of one name: the second keeps its old suffix as part of its name.
        jobs[path] = goal if goal not in jobs.values() else target / f"{path.name}{suffix}"
    return jobs


def _repair_file(source: Path, target: Path, work: Work) -> None:
    _check_names(source, target, work)
    data = _bytes_of(source)
    photo = _opened(source, data, work)
    if photo.frames > 1:
        say(f"{source} holds {photo.frames} pictures: the first is repaired.")
    _check_sizes(photo, target, work)
    original = _original(work, photo) if work.compare else None
    quality = photo.jpeg.quality if photo.jpeg else 0
    if quality > HIGHEST_QUALITY:
        say(f"{source} is a JPEG of quality {quality}: it is left as it is.")
    elif work.strength and shows_no_jpeg(photo):
        say(f"{source} shows no trace of a JPEG: it is repaired half way. --strength 0 keeps it as it is.")
    result = repaired(photo, work.deblocker, work.strength)
    if quality > HIGHEST_QUALITY and _format_of(target) == "JPEG":
        write_whole(target, data)
    else:
        _save(result, target)
    _show(photo, result, original, work)


def _check_names(source: Path, target: Path, work: Work) -> None:
    """Refuse names of outputs that have no format or would overwrite another file of this work."""
    for picture in filter(None, (target, work.side_by_side)):
        _format_of(picture)
    if work.zoom_video:
        if work.zoom_video.suffix.lower() != ".mp4":
            raise InputError(f"{work.zoom_video} is not an MP4. End its name in .mp4.")
        need("av", "--zoom-video")
    check_outputs((target, work.side_by_side, work.zoom_video), (source, work.compare))


def _check_sizes(photo: Photo, target: Path, work: Work) -> None:
    """Refuse, before the work, pictures that are too large for the formats that they are to be written in."""
    height, width = upright(photo.pixels, photo.orientation).shape[:2]
    panels = 3 if work.compare else 2
    for path, edge in (
        (target, max(width, height)),
        (work.side_by_side, max(panels * (width + GAP_PX), height)),
    ):
        most = MOST_PX.get(_format_of(path)) if path is not None else None
        if most is not None and edge > most:
            raise InputError(
                f"{path} would be {edge} pixels long, but its format ends at {most}. Choose .png."
            )


def _format_of(target: Path) -> str:
    format_name = FORMATS.get(target.suffix.lower())
    if target.is_dir() or format_name is None:
        raise InputError(f"{target} names no picture format. End it in .png, .jpg or .webp.")
    return format_name


def _opened(path: Path, data: bytes, work: Work) -> Photo:
    try:
        return open_photo(data, work.max_megapixels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Name an existing picture.") from error


def _save(photo: Photo, target: Path) -> None:
    """Write upright pixels with their transparency and colour profile."""
    if photo.alpha is not None and _format_of(target) == "JPEG":
        # JPEG has no transparency: what shows through is white, as everywhere in this package.
        _write(PIL.Image.fromarray(in_eight_bits(finished(photo))), target)
        return
    image = PIL.Image.fromarray(upright(in_eight_bits(photo.pixels), photo.orientation))
    if photo.alpha is not None:
        image.putalpha(PIL.Image.fromarray(upright(photo.alpha, photo.orientation)))
    _write(image, target, icc_profile=photo.profile, **({"dpi": photo.dpi} if photo.dpi else {}))


def _write(image: PIL.Image.Image, target: Path, **kept: object) -> None:
    format_name, buffer = _format_of(target), io.BytesIO()
    try:
        image.save(buffer, format_name, **kept, **SAVE_OPTIONS[format_name])
    except (OSError, ValueError) as error:
        raise InputError(f"{target} cannot be written as {format_name}: {error}. Choose .png.") from error
    write_whole(target, buffer.getvalue())


def _show(photo: Photo, result: Photo, original: Image | None, work: Work) -> None:
    """Print and draw the comparisons that were asked for."""
    if not (work.compare or work.side_by_side or work.zoom_video):
        return
    before, after = in_eight_bits(finished(photo)), in_eight_bits(finished(result))
    if original is not None:
        _print_qualities({"JPEG": before, "repaired": after}, original)
    panels = {"original": original} if original is not None else {}
    panels["JPEG"] = before
    if work.side_by_side:
        from sketch_cell.picture.comparison import side_by_side

        _write(PIL.Image.fromarray(side_by_side({**panels, "repaired": after})), work.side_by_side)
    if work.zoom_video:
        if photo.jpeg is not None:
            from sketch_cell.picture.classical import deblock_classically

            table = photo.jpeg.luma_table
            filtered = replace(photo, pixels=deblock_classically(in_eight_bits(photo.pixels), table))
            panels["filter"] = in_eight_bits(finished(filtered))
        write_video(work.zoom_video, {**panels, "network": after})


def _original(work: Work, photo: Photo) -> Image:
    """The undamaged picture, upright, of the size of `photo` and in grey or colour as it."""
    assert work.compare is not None
    original = in_eight_bits(finished(_opened(work.compare, _bytes_of(work.compare), work)))
    height, width = upright(photo.pixels, photo.orientation).shape[:2]
    if original.shape[:2] != (height, width):
        raise InputError(
            f"{work.compare} is {original.shape[1]} x {original.shape[0]} pixels, but the repaired picture is "
            f"{width} x {height}. Compare with its own original."
        )
    if original.ndim == 3 and photo.pixels.ndim == 2:
        from sketch_cell.picture.quality import luma

        return luma(original)
    if original.ndim == 2 and photo.pixels.ndim == 3:
        return np.repeat(original[:, :, None], 3, axis=2)
    return original


def _print_qualities(pictures: dict[str, Image], original: Image) -> None:
    from sketch_cell.picture.quality import quality

    click.echo(f"{'':10}{'RMSE':>8}{'PSNR dB':>10}{'SSIM':>8}{'PSNR-B dB':>11}")
    for name, picture in pictures.items():
        q = quality(picture, original)
        click.echo(f"{name:10}{q.rmse:8.3f}{q.psnr_db:10.3f}{q.ssim:8.4f}{q.psnr_b_db:11.3f}")


def write_video(path: Path, panels: dict[str, Image]) -> None:
    """Write the zooming comparison as H.264 in an MP4; needs the package `av`."""
    import av

    from sketch_cell.picture.comparison import FRAMES, most_changed, zoom_frames

    centre = most_changed(panels["JPEG"], panels["network"])
    with (
        whole_file(path) as temporary,
        progress("Filming", FRAMES) as advance,
        av.open(str(temporary), "w") as film,
    ):
        stream = None
        for picture in zoom_frames(panels, centre, FRAMES):
            if stream is None:
                stream = film.add_stream(
                    "libx264", rate=FRAMES_PER_S, options={"crf": "18", "preset": "veryfast"}
                )
                stream.height, stream.width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
                stream.pix_fmt = "yuv420p"
            even = np.ascontiguousarray(picture[: stream.height, : stream.width])
            film.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            advance(1)
        if stream is not None:
            film.mux(stream.encode())
