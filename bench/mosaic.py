"""Mosaics against their peers: `python bench/mosaic.py [--images DIR] [--peer NAME=FOLDER] [--quick]`.

Writes doc/benchmarks/mosaic.md and pictures. The photos are scikit-image's astronaut, chelsea and coffee, or all in
DIR. A peer's boards are CSV files PHOTO_MODE.csv of colour indexes in the order of the default palette, rows of
sweets on a square lattice; they are scored as our own are, on black card.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import skimage.data

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from sketch_cell.files import write_whole  # noqa: E402
from sketch_cell.mosaic.appearance import board_photo, from_afar  # noqa: E402
from sketch_cell.mosaic.colour import srgb_from_linear  # noqa: E402
from sketch_cell.mosaic.default_library import default_library  # noqa: E402
from sketch_cell.mosaic.gamut_picture import gamut_png  # noqa: E402
from sketch_cell.mosaic.layout import fit_layout  # noqa: E402
from sketch_cell.mosaic.mosaic import Mosaic, plan_mosaic  # noqa: E402
from sketch_cell.mosaic.outputs import make_outputs  # noqa: E402
from sketch_cell.mosaic.settings import BillSettings, LayingSettings, MosaicSettings  # noqa: E402
from sketch_cell.picture.read import read_photo  # noqa: E402

REPORT = ROOT / "doc" / "benchmarks" / "mosaic.md"
LIBRARY = default_library()
SHORT_EDGE = 100
HEADING = "| | dE00 | p95 | sigma 2 | SSIM | graininess | floor | over stock | CPU s |\n" + "|---" * 9 + "|"
GOAL_HEADING = "| layout | sweets | CPU s | from, to |\n|---|---|---|---|"
GOAL_SWEETS, GOAL_RUNS = 17_000, 7  # issue 4: 1.0 s of CPU at most
SIZES = (42, 85, 170, 320, 816)

PEERS = (
    "lego-art-remix (commit 019cf59, its algo.js under Node 20, CIEDE2000) was given the photos at one pixel a sweet "
    "and our palette: as the light of a whole cell with its card, or as the sweets' plain colours. `plenty` has 25 % "
    "more than an equal stock, `exact` an exact equal stock."
)

# What issue 4 states of earlier work; not measured here.
STATED = """| stated in issue 4, mean of the same photos | lego-art-remix | first prototype | goal |
|---|---|---|---|
| square, black card: dE00 / SSIM | 5.56 / .911 | 3.72 / .911 | 3.4 / .92 |
| hex, black card | none | 3.42 / .920 | 3.2 / .925 |
| equal stock + 25 %, square, black | 14.1 | 6.07 | 5.5 |
| exact equal stock, square, black | 16.3 | 12.7 | 11.5 |"""


def photographs(folder: Path | None) -> dict[str, np.ndarray]:
    if folder is None:
        return {name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee")}
    suffixes = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
    return {
        p.stem: read_photo(p.read_bytes()) for p in sorted(folder.iterdir()) if p.suffix.lower() in suffixes
    }


def equal_stock(photo: np.ndarray, layout: str, plenty: float) -> np.ndarray:
    """The same count of each colour: the board's sweets, shared out, times `plenty`, rounded up."""
    sweets = fit_layout(layout, SHORT_EDGE, photo.shape[1] / photo.shape[0]).sweets
    if plenty == 1.0:
        # Exactly as many as the board needs: the remainder goes to the first colours.
        return sweets // len(LIBRARY) + (np.arange(len(LIBRARY)) < sweets % len(LIBRARY))
    return np.full(len(LIBRARY), int(np.ceil(plenty * sweets / len(LIBRARY))))


def scores(mosaic: Mosaic, stock: np.ndarray | None = None) -> list[float]:
    likeness = mosaic.likeness
    over = 0 if stock is None else int(np.maximum(0, mosaic.counts() - stock).sum())
    return [
        likeness.de00_mean,
        likeness.de00_p95,
        likeness.de00_mean_afar,
        likeness.ssim,
        likeness.graininess,
        mosaic.floor_de00,
        over,
        mosaic.cpu_s,
    ]


def line(title: str, values: list[list[float]]) -> str:
    mean = np.mean(values, axis=0)
    cells = [f"{v:.2f}" for v in mean[:3]] + [f"{mean[3]:.3f}", f"{mean[4]:.1f}", f"{mean[5]:.2f}"]
    text = f"| {title} | " + " | ".join(cells) + f" | {int(np.max(values, axis=0)[6])} | {mean[7]:.2f} |"
    print(text, flush=True)
    return text


def planned(photo: np.ndarray, plenty: float | None = None, **chosen: object) -> list[float]:
    settings = MosaicSettings(short_edge=SHORT_EDGE, **chosen)
    stock = None if plenty is None else equal_stock(photo, settings.layout, plenty)
    return scores(plan_mosaic(photo, LIBRARY, settings, stock=stock), stock)


def method_rows(photos: dict[str, np.ndarray], quick: bool) -> list[str]:
    cases: list[tuple[str, dict]] = [
        ("**search, square, black**", {"card": "black"}),
        ("**search, hex, black**", {"card": "black", "layout": "hex"}),
        ("search, side, black", {"card": "black", "layout": "side"}),
        ("**search, square, black, equal stock + 25 %**", {"card": "black", "plenty": 1.25}),
        ("**search, square, black, exact equal stock**", {"card": "black", "plenty": 1.0}),
        ("diffusion, square, black", {"card": "black", "method": "diffusion"}),
        ("diffusion, hex, black", {"card": "black", "method": "diffusion", "layout": "hex"}),
        ("nearest, square, black", {"card": "black", "method": "nearest"}),
        ("chips (the notebook's), square, black", {"card": "black", "method": "chips"}),
        (
            "diffusion, square, black, equal stock + 25 %",
            {"card": "black", "method": "diffusion", "plenty": 1.25},
        ),
        (
            "diffusion, square, black, exact equal stock",
            {"card": "black", "method": "diffusion", "plenty": 1.0},
        ),
        ("search, square, white", {"card": "white"}),
        ("search, hex, white", {"card": "white", "layout": "hex"}),
    ]
    return [
        line(title, [planned(photo, **case) for photo in photos.values()])
        for title, case in cases[: 5 if quick else None]
    ]


def peer_rows(photos: dict[str, np.ndarray], name: str, folder: Path) -> list[str]:
    rows = []
    for mode in sorted({path.stem.split("_", 1)[1] for path in folder.glob("*_*.csv")}):
        values = []
        for stem, photo in photos.items():
            colour = np.loadtxt(folder / f"{stem}_{mode}.csv", delimiter=",", dtype=np.int32)
            ours = plan_mosaic(
                photo, LIBRARY, MosaicSettings(short_edge=SHORT_EDGE, method="nearest", card="black")
            )
            plenty = {"exact": 1.0, "plenty": 1.25}.get(mode.split("_")[0])
            stock = None if plenty is None else equal_stock(photo, "square", plenty)
            took = folder / f"{stem}_{mode}.seconds"
            cpu_s = float(took.read_text()) if took.exists() else float("nan")
            values.append(scores(replace(ours, colour=colour, cpu_s=cpu_s), stock))
        rows.append(line(f"{name}: {mode}", values))
    return rows


def growth_rows(photo: np.ndarray, largest: int) -> list[str]:
    """CPU of the search over boards that grow to a million sweets."""
    rows = []
    for edge in SIZES:
        settings = MosaicSettings(short_edge=edge, card="black")
        if fit_layout("square", edge, photo.shape[1] / photo.shape[0]).sweets > largest:
            break
        plan = plan_mosaic(photo, LIBRARY, settings)
        sweets = plan.layout.sweets
        text = f"| {sweets} | {plan.cpu_s:.2f} | {1e6 * plan.cpu_s / sweets:.1f} |"
        print(text, flush=True)
        rows.append(text)
    return rows


def goal_rows(photo: np.ndarray) -> list[str]:
    """Median CPU of several searches over the first boards of 17,000 sweets or more."""
    rows = []
    for layout in ("square", "hex"):
        aspect = photo.shape[1] / photo.shape[0]
        edge = next(e for e in range(80, 140) if fit_layout(layout, e, aspect).sweets >= GOAL_SWEETS)
        settings = MosaicSettings(short_edge=edge, card="black", layout=layout)
        plans = [plan_mosaic(photo, LIBRARY, settings) for _ in range(GOAL_RUNS)]
        times_s = sorted(plan.cpu_s for plan in plans)
        spread = f"{times_s[0]:.2f} to {times_s[-1]:.2f}"
        text = f"| {layout} | {plans[0].layout.sweets} | {np.median(times_s):.2f} | {spread} |"
        print(text, flush=True)
        rows.append(text)
    return rows


def pictures(photo: np.ndarray) -> None:
    """Photo, mosaic and mosaic from afar, side by side; the gamut on black and on white card."""
    plan = plan_mosaic(photo, LIBRARY, MosaicSettings(short_edge=SHORT_EDGE, layout="hex", card="black"))
    scale = 8
    mosaic = plan.picture(scale)
    shown = [board_photo(photo, plan.layout, scale), mosaic, from_afar(mosaic, scale)]
    picture = np.hstack([srgb_from_linear(part) for part in shown])
    small = cv2.resize(picture, None, fx=0.62, fy=0.62, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 72])
    write_whole(REPORT.parent / "mosaic_coffee.jpg", data.tobytes())
    for card in ("black", "white"):
        plan = plan_mosaic(photo, LIBRARY, MosaicSettings(short_edge=SHORT_EDGE, card=card))
        image = cv2.imdecode(np.frombuffer(gamut_png(plan), np.uint8), cv2.IMREAD_COLOR)
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
        write_whole(REPORT.parent / f"mosaic_gamut_{card}.jpg", data.tobytes())


def plan_size(photo: np.ndarray) -> str:
    """Size and time of all files for a board of 17,000 sweets."""
    settings = MosaicSettings(short_edge=100, layout="hex", card="black")
    plan = plan_mosaic(photo, LIBRARY, settings)
    begin_s = time.process_time()
    outputs = make_outputs(plan, settings, BillSettings(), LayingSettings())
    took_s = time.process_time() - begin_s
    size = len(outputs.files["plan.pdf"]) / 1e6
    return f"Build plan for {plan.layout.sweets} sweets: {size:.2f} MB of PDF; all files take {took_s:.1f} s of CPU."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of photos in place of scikit-image's three")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=FOLDER", help="another program's boards"
    )
    parser.add_argument("--quick", action="store_true", help="five rows and small boards; nothing is written")
    arguments = parser.parse_args()
    photos = photographs(arguments.images)
    first = photos.get("coffee", next(iter(photos.values())))
    print(HEADING)
    rows = method_rows(photos, arguments.quick)
    peers = []
    for peer in arguments.peer:
        name, _, folder = peer.partition("=")
        peers += peer_rows(photos, name, Path(folder))
    goal = goal_rows(first)
    growth = growth_rows(first, 10_000 if arguments.quick else 2_000_000)
    if arguments.quick:
        return
    size = plan_size(first)
    print(size)
    parts = [
        "# Mosaics",
        f"`python bench/mosaic.py`: mean of {', '.join(photos)}; 8 default colours, short edge {SHORT_EDGE}; "
        f"{platform.machine()}, one thread, the kernels' first compilation not counted. dE00: mean CIEDE2000 between "
        "photo and rendered mosaic after a Gaussian blur in linear light, sigma one pitch; p95 likewise; sigma 2: at "
        "two pitches. SSIM: of blurred L*, sampled once a pitch, window of seven pitches. Graininess: root mean square "
        "of the fine part of the S-CIELAB difference at 0.02 degrees a pitch. Floor: what no mosaic of these sweets on "
        "this card can get below. The worst photo counts for over stock.",
        "\n".join([HEADING, *rows]),
        "Other programs' boards, scored in the same way: [mosaic_peers.md](mosaic_peers.md).",
        STATED,
        f"## CPU\n\nSearch on black card, the median of {GOAL_RUNS} runs with `coffee`; goal 1.0 s.",
        "\n".join([GOAL_HEADING, *goal]),
        "## Growth\n\nSearch, square, black card, `coffee`.",
        "\n".join(["| sweets | CPU s | microseconds a sweet |\n|---|---|---|", *growth]),
        size,
        "![Photo, mosaic, and mosaic from across the room](mosaic_coffee.jpg)",
        "What sweets can reach on black card, and on white:",
        "![Gamut on black card](mosaic_gamut_black.jpg)",
        "![Gamut on white card](mosaic_gamut_white.jpg)",
    ]
    if arguments.images is None:
        pictures(first)
        write_whole(REPORT, "\n\n".join(parts) + "\n")
    if peers:
        # Apart, because those programs are rarely at hand when the rest is measured again.
        about = "# Peers of the mosaic\n\n`bench/mosaic.py --peer NAME=FOLDER`: square, black card; see mosaic.md."
        write_whole(
            REPORT.parent / "mosaic_peers.md",
            "\n\n".join([about, PEERS, "\n".join([HEADING, *peers])]) + "\n",
        )


if __name__ == "__main__":
    main()
