"""Training data for the deblocking network: clean crops on disk, JPEG damage made on the fly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.files import whole_file
from sketch_cell.picture.quality import matlab_luma

Image = NDArray[np.uint8]

CROP_PX = 320
# Few large patches: what a network loses at the edges is work for nothing, of `fine`'s a fifth; over a third at 160.
PATCH_PX = 288
# Debian packages of freely licensed wallpapers install into these folders.
WALLPAPER_FOLDERS = (Path("/usr/share/backgrounds"), Path("/usr/share/wallpapers"))
LEAST_WALLPAPERS = 50
# Downscaling by at least two removes the pictures' own JPEG artefacts.
WALLPAPER_SCALES = (2.0, 3.0, 4.5, 6.5)
CROPS_PER_PICTURE_AND_SCALE = 24
# Debian's package fonts-dejavu-core.
FONTS = sorted(Path("/usr/share/fonts/truetype/dejavu").glob("*.ttf"))
# Coarser JPEGs show through a milder one that was made of them later.
MOST_RESAVED_QUALITY = 60
LETTERS = "abcdefghijklmnopqrstuvwxyzeeeaaaooottt ABCDEFGHIJKLMNOPQRSTUVWXYZ      0123456789.,;:-()/&%"
TEXT_CROPS, SMOOTH_CROPS = 400, 200
# How often each kind is drawn; BSDS photographs are the nearest to an ordinary photo of a person or place.
KINDS = {"photo": 0.66, "wallpaper": 0.26, "text": 0.05, "smooth": 0.03}
# Grey pictures whose levels are 16..235, as in video and in the field's comparisons: a sixth less contrast.
VIDEO_RANGE_SHARE = 0.5
SAMPLINGS = {
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}


@dataclass(frozen=True)
class Batch:
    """JPEG and clean patches (B, PATCH_PX, PATCH_PX, 3) uint8 RGB, and the quality of each (B,)."""

    jpeg: Image
    clean: Image
    quality: NDArray[np.int64]


@dataclass(frozen=True)
class Damage:
    """How often, of all pictures, a JPEG is grey, was another JPEG before, became a milder one afterwards, or
    has lost its grid's origin."""

    grey_share: float = 0.3
    double_share: float = 0.1
    resaved_share: float = 0.0
    off_grid_share: float = 0.0


def check_sources(photos: Path) -> None:
    """Raise `InputError` that says what is missing of the training pictures."""
    if not any((photos / "train").glob("*.jpg")) or not any((photos / "val").glob("*.jpg")):
        raise InputError(
            f"{photos} holds no BSDS500 photographs (train/*.jpg, val/*.jpg). Download them and name their folder "
            "with --photos."
        )
    if len(wallpapers()) < LEAST_WALLPAPERS or not FONTS:
        raise InputError(
            "The training pictures are missing. Install them with: apt install fonts-dejavu-core "
            "lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds plasma-workspace-wallpapers "
            "ukui-wallpapers gnome-backgrounds."
        )


def prepare(folder: Path, photos: Path, seed: int) -> None:
    """Write `folder`/<kind>.npy, uint8 (N, CROP_PX, CROP_PX, 3) RGB crops; `photos` holds the BSDS500 set."""
    rng = np.random.default_rng(seed)
    kinds = {
        "photo": photo_crops(photos / "train"),
        "wallpaper": wallpaper_crops(rng),
        "text": (text_crop(rng) for _ in range(TEXT_CROPS)),
        "smooth": (smooth_crop(rng) for _ in range(SMOOTH_CROPS)),
    }
    for kind, crops in kinds.items():
        with whole_file(folder / f"{kind}.npy") as path:
            np.save(path, np.stack(list(crops)))


def photo_crops(folder: Path) -> Iterator[Image]:
    """Overlapping crops that cover every photograph of a folder at its own size."""
    for path in sorted(folder.glob("*.jpg")):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        for top in _starts(picture.shape[0]):
            for left in _starts(picture.shape[1]):
                yield picture[top : top + CROP_PX, left : left + CROP_PX]


def _starts(length: int) -> list[int]:
    count = -(-length // CROP_PX)
    return [round(start) for start in np.linspace(0, length - CROP_PX, count)]


def wallpaper_crops(rng: np.random.Generator) -> Iterator[Image]:
    """Crops of the installed wallpapers, downscaled by area."""
    for path in wallpapers():
        picture = cv2.imread(str(path))
        if picture is None:
            continue
        for scale in WALLPAPER_SCALES:
            size = (round(picture.shape[1] / scale), round(picture.shape[0] / scale))
            if min(size) < CROP_PX:
                continue
            small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
            fitting = (size[0] // CROP_PX) * (size[1] // CROP_PX)
            for _ in range(min(CROPS_PER_PICTURE_AND_SCALE, 2 * fitting)):
                yield _liveliest([_random_crop(small, rng) for _ in range(3)])


def _random_crop(picture: Image, rng: np.random.Generator) -> Image:
    top, left = (int(rng.integers(length - CROP_PX + 1)) for length in picture.shape[:2])
    return picture[top : top + CROP_PX, left : left + CROP_PX]


def _liveliest(crops: list[Image]) -> Image:
    # Wallpapers are mostly empty by design; photographs, which the network is for, are not.
    return max(crops, key=lambda crop: float(cv2.Laplacian(crop, cv2.CV_32F).std()))


def wallpapers() -> list[Path]:
    """One file per wallpaper: its largest version, no screenshots of it."""
    found: dict[Path, Path] = {}
    for folder in WALLPAPER_FOLDERS:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in {".jpg", ".png", ".webp"} or path.stem == "screenshot":
                continue
            own_folder = path.parent if path.parent.name.startswith("images") else path
            if own_folder not in found or path.stat().st_size > found[own_folder].stat().st_size:
                found[own_folder] = path
    return sorted(found.values())


def text_crop(rng: np.random.Generator) -> Image:
    """Text, line art and flat shapes, drawn at four times the size and reduced half of the time."""
    factor = int(rng.choice([1, 2, 4]))
    size = CROP_PX * factor
    back, ink = _two_colours(rng)
    canvas = np.full((size, size, 3), back, np.uint8)
    for _ in range(int(rng.integers(0, 6))):
        _draw_shape(canvas, rng, factor)
    row = 0
    while row < size:
        height = factor * float(rng.uniform(7, 34))
        row += round(height * 1.5)
        _draw_text(canvas, rng, row, height, ink, factor)
    return np.asarray(cv2.resize(canvas, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _two_colours(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if rng.random() < 0.4:
        pair = [(255, 255, 255), (0, 0, 0)]
        return (pair[0], pair[1]) if rng.random() < 0.7 else (pair[1], pair[0])
    colours = rng.integers(0, 256, (2, 3))
    return tuple(int(v) for v in colours[0]), tuple(int(v) for v in colours[1])


def _draw_shape(canvas: Image, rng: np.random.Generator, factor: int) -> None:
    points = [tuple(int(v) for v in rng.integers(0, canvas.shape[0], 2)) for _ in range(2)]
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    thickness = factor * int(rng.integers(1, 4))
    form = rng.integers(4)
    if form == 0:
        cv2.line(canvas, points[0], points[1], colour, thickness, cv2.LINE_AA)
    elif form == 1:
        cv2.circle(
            canvas, points[0], int(rng.integers(4, canvas.shape[0] // 3)), colour, thickness, cv2.LINE_AA
        )
    elif form == 2:
        cv2.rectangle(canvas, points[0], points[1], colour, -1)
    else:
        cv2.ellipse(
            canvas,
            points[0],
            (canvas.shape[0] // 4, canvas.shape[0] // 9),
            30,
            0,
            360,
            colour,
            -1,
            cv2.LINE_AA,
        )


def _draw_text(
    canvas: Image, rng: np.random.Generator, row: int, height: float, ink: tuple[int, ...], factor: int
) -> None:
    letters = "".join(str(c) for c in rng.choice(list(LETTERS), 40))
    left = -int(rng.integers(0, 40 * factor))
    picture = PIL.Image.fromarray(canvas)
    font = PIL.ImageFont.truetype(str(rng.choice([str(path) for path in FONTS])), max(6, round(height)))
    PIL.ImageDraw.Draw(picture).text((left, row - round(height)), letters, font=font, fill=ink)
    canvas[:] = np.asarray(picture)


def smooth_crop(rng: np.random.Generator) -> Image:
    """A sky: slow colour gradients, soft clouds, and the faint noise of a camera."""
    coarse = rng.normal(0, 1, (int(rng.integers(2, 5)),) * 2 + (3,)) * rng.uniform(2, 40)
    coarse = coarse * rng.uniform(0.1, 1, 3) + coarse.mean(axis=2, keepdims=True)
    sky = cv2.resize(coarse, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC) + rng.uniform(30, 225, 3)
    sky += rng.normal(0, rng.choice([0.3, 0.5, 1.0, 2.0]), sky.shape)
    return np.asarray(np.clip(np.rint(sky), 0, 255), np.uint8)


class Crops:
    """The prepared crops, memory-mapped, drawn from by kind."""

    def __init__(self, folder: Path) -> None:
        self.kinds = {kind: np.load(folder / f"{kind}.npy", mmap_mode="r") for kind in KINDS}

    def draw(self, rng: np.random.Generator) -> Image:
        """One crop, flipped and turned at random."""
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        crops = self.kinds[kind]
        crop = np.asarray(crops[int(rng.integers(len(crops)))])
        crop = np.rot90(crop, int(rng.integers(4)))
        return np.asarray(crop[:, ::-1] if rng.random() < 0.5 else crop, np.uint8)

    def batch(self, rng: np.random.Generator, quality: NDArray[np.int64], damage: Damage) -> Batch:
        """One patch per entry of `quality` (B,)."""
        pairs = [_pair(self.draw(rng), int(q), damage, rng) for q in quality]
        return Batch(np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]), quality)


def _pair(crop: Image, quality: int, damage: Damage, rng: np.random.Generator) -> tuple[Image, Image]:
    grey = bool(rng.random() < damage.grey_share)
    sampling = str(rng.choice(["420", "422", "444"], p=[0.62, 0.12, 0.26]))
    if grey:
        is_video = bool(rng.random() < VIDEO_RANGE_SHARE)
        luma = matlab_luma(crop) if is_video else cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
        crop = np.repeat(luma[:, :, None], 3, axis=2)
    top, left = (int(v) for v in rng.integers(0, CROP_PX - PATCH_PX - 16, 2))
    seen = crop
    if rng.random() < damage.double_share:
        # A first JPEG on another grid: cropping afterwards shifts it against the second one's blocks.
        seen = damaged(crop, int(rng.integers(5, 60)), sampling, grey)
    dy, dx = (int(v) for v in rng.integers(0, 16, 2))
    larger = PATCH_PX + 16
    if rng.random() < damage.off_grid_share:
        spoilt = damaged(seen[top : top + larger, left : left + larger], quality, sampling, grey)
        jpeg = spoilt[dy : dy + PATCH_PX, dx : dx + PATCH_PX]
        return jpeg, crop[top + dy : top + dy + PATCH_PX, left + dx : left + dx + PATCH_PX]
    if quality < MOST_RESAVED_QUALITY and rng.random() < damage.resaved_share:
        spoilt = damaged(seen[top : top + larger, left : left + larger], quality, sampling, grey)
        later = damaged(spoilt[dy:, dx:], int(rng.integers(quality + 20, 96)), sampling, grey)
        jpeg = later[16 - dy : 16 - dy + PATCH_PX, 16 - dx : 16 - dx + PATCH_PX]
        return jpeg, crop[top + 16 : top + larger, left + 16 : left + larger]
    jpeg = damaged(seen[top : top + PATCH_PX, left : left + PATCH_PX], quality, sampling, grey)
    return jpeg, crop[top : top + PATCH_PX, left : left + PATCH_PX]


def damaged(picture: Image, quality: int, sampling: str = "420", grey: bool = False) -> Image:
    """`picture` (H, W, 3) RGB after one JPEG encoding and decoding; a grey JPEG comes back as three planes."""
    setting = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if grey:
        code = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, 0]), setting)[1]
        return np.asarray(
            cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2RGB), np.uint8
        )
    setting += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]]
    code = cv2.imencode(".jpg", cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR), setting)[1]
    return np.asarray(cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)
