"""JPEG repair against its peers: `python bench/deblock.py [--images DIR] [--count 20]`.

Writes doc/benchmarks/deblock.md. The pictures are BSDS500's validation photographs unless DIR is given (LIVE1
there gives the figures that publications use). Peers: a classical deblocking filter, OpenCV's non-local means,
jpegqs and ffmpeg's spp, the last two where they are installed. Network and looks (flips and turns) are what the
command takes for a picture of that size, but for the speeds and the rows that name them.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import skimage.data

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from sketch_cell.files import whole_file, write_whole  # noqa: E402
from sketch_cell.picture.classical import deblock_classically  # noqa: E402
from sketch_cell.picture.comparison import side_by_side  # noqa: E402
from sketch_cell.picture.deblock import MOST_LOOKS, RUNTIMES, UNTRACED_SHARE, Deblocker  # noqa: E402
from sketch_cell.picture.jpeg import STANDARD_LUMA, jpeg_facts, strength_of_quality  # noqa: E402
from sketch_cell.picture.quality import decibels, matlab_luma, mean_square_error, quality  # noqa: E402
from sketch_cell.picture.repair import repair_file_bytes  # noqa: E402
from sketch_cell.picture.train_data import smooth_crop, text_crop  # noqa: E402
from sketch_cell.picture.weights import NETWORKS  # noqa: E402

PHOTOS = ROOT.parent / "shared" / "data" / "bsds500" / "val"
REPORT = ROOT / "doc" / "benchmarks" / "deblock.md"
QUALITIES = (10, 20, 30, 40)
SPP_TRIALS = 2
Method = Callable[[bytes, np.ndarray], np.ndarray]


def encoded(picture: np.ndarray, jpeg_quality: int = -1, **options: object) -> bytes:
    """A baseline JPEG of Pillow (4:2:0 where there is colour)."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "JPEG", quality=jpeg_quality, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(data)))


def photographs(folder: Path, count: int) -> list[np.ndarray]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".png", ".bmp", ".tif"})
    chosen = paths[:: max(len(paths) // count, 1)][:count]
    return [np.asarray(PIL.Image.open(path).convert("RGB")) for path in chosen]


def classical(data: bytes, jpeg: np.ndarray) -> np.ndarray:
    return deblock_classically(jpeg, jpeg_facts(data).luma_table)


def non_local_means(data: bytes, jpeg: np.ndarray) -> np.ndarray:
    """OpenCV's denoiser, its strength matched to the table."""
    strength = float(jpeg_facts(data).luma_table[:2, :2].mean()) / 10
    if jpeg.ndim == 2:
        return cv2.fastNlMeansDenoising(jpeg, None, strength, 7, 15)
    return cv2.fastNlMeansDenoisingColored(jpeg, None, strength, strength, 7, 15)


def jpegqs(level: int) -> Method:
    def run(data: bytes, jpeg: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.jpg"), Path(folder, "out.jpg")
            source.write_bytes(data)
            subprocess.run(
                ["jpegqs", "-i0", "-t1", f"-q{level}", source, target], check=True, capture_output=True
            )
            return decoded(target.read_bytes()).reshape(jpeg.shape)

    return run


def spp(qp: int) -> Method:
    def run(data: bytes, jpeg: np.ndarray) -> np.ndarray:
        height, width = jpeg.shape[:2]
        # Only spp's edges of a multiple of 8 are treated, so the picture is mirrored up to one.
        padding = ((0, -height % 16), (0, -width % 16))
        whole = np.pad(jpeg, padding + ((0, 0),) * (jpeg.ndim - 2), mode="symmetric")
        kind = "gray" if jpeg.ndim == 2 else "rgb24"
        inner = "gray" if jpeg.ndim == 2 else "yuv444p"
        command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", kind]
        command += ["-s", f"{whole.shape[1]}x{whole.shape[0]}", "-i", "-"]
        command += ["-vf", f"format={inner},spp=quality=6:qp={qp},format={kind}", "-f", "rawvideo", "-"]
        result = subprocess.run(command, input=whole.tobytes(), check=True, capture_output=True)
        return np.frombuffer(result.stdout, np.uint8).reshape(whole.shape)[:height, :width]

    return run


def best_spp(pictures: list[np.ndarray], jpeg_quality: int) -> Method:
    """ffmpeg's spp at the quantiser that suits this quality best on the first few pictures."""
    jpegs = [encoded(p, jpeg_quality) for p in pictures[:SPP_TRIALS]]

    def gain(qp: int) -> float:
        run = spp(qp)
        return sum(psnr(run(d, decoded(d)), p) for d, p in zip(jpegs, pictures, strict=False))

    return spp(max((5, 8, 12, 17, 24, 34), key=gain))


def methods(pictures: list[np.ndarray], jpeg_quality: int, deblocker: Deblocker) -> dict[str, Method]:
    chosen: dict[str, Method] = {"JPEG": lambda _, jpeg: jpeg, "classical filter": classical}
    chosen["OpenCV non-local means"] = non_local_means
    if shutil.which("jpegqs"):
        chosen["jpegqs -q3"], chosen["jpegqs -q6"] = jpegqs(3), jpegqs(6)
    if shutil.which("ffmpeg"):
        chosen["ffmpeg spp"] = best_spp(pictures, jpeg_quality)
    chosen["sketch_cell, blind weights"] = lambda _, jpeg: deblocker.repair_on_grid(jpeg, None)
    chosen["sketch_cell, without a trace"] = partial(without_a_trace, deblocker)
    chosen["sketch_cell, from pixels alone"] = lambda _, jpeg: deblocker.repair(jpeg)
    for network in NETWORKS:
        once = Deblocker(deblocker.runtime, network, looks=1)
        chosen[f"sketch_cell, banded, {network}, one look"] = partial(banded, once)
    chosen["sketch_cell, banded, fast in int8, one look"] = partial(banded, Deblocker("int8"))
    chosen["sketch_cell, banded"] = partial(banded, deblocker)
    return chosen


def banded(deblocker: Deblocker, data: bytes, jpeg: np.ndarray) -> np.ndarray:
    return deblocker.repair(jpeg, jpeg_facts(data).luma_table)


def without_a_trace(deblocker: Deblocker, _: bytes, jpeg: np.ndarray) -> np.ndarray:
    """As the command repairs a picture that betrays no JPEG: blindly and half way."""
    return deblocker.repair_on_grid(jpeg, None, UNTRACED_SHARE)


def psnr(picture: np.ndarray, original: np.ndarray) -> float:
    return decibels(mean_square_error(picture, original))


def compare(pictures: list[np.ndarray], deblocker: Deblocker) -> dict[str, dict[int, np.ndarray]]:
    """Mean (PSNR, SSIM, PSNR-B) of each method at each quality."""
    table: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for jpeg_quality in QUALITIES:
        data = [encoded(p, jpeg_quality) for p in pictures]
        for name, run in methods(pictures, jpeg_quality, deblocker).items():
            found = [quality(run(d, decoded(d)), p) for d, p in zip(data, pictures, strict=True)]
            table[name][jpeg_quality] = np.mean([(q.psnr_db, q.ssim, q.psnr_b_db) for q in found], axis=0)
            print(f"q{jpeg_quality} {name:24} {table[name][jpeg_quality].round(4)}", flush=True)
    return table


def comparison_rows(table: dict[str, dict[int, np.ndarray]]) -> list[str]:
    rows = ["| | " + " | ".join(f"q{q}" for q in QUALITIES) + " |", "|---|" + "---|" * len(QUALITIES)]
    jpeg = table["JPEG"]
    for name, values in table.items():
        cells = []
        for q in QUALITIES:
            value, similarity, blocky = values[q]
            gain = "" if name == "JPEG" else f" ({value - jpeg[q][0]:+.2f})"
            cells.append(f"{value:.2f}{gain} / {similarity:.4f} / {blocky:.2f}")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def double_jpeg(greys: list[np.ndarray], deblocker: Deblocker) -> str:
    """Quality 10, then 50 on a grid shifted by 4 pixels."""
    before, after = [], []
    for grey in greys:
        first = decoded(encoded(grey, 10))[4:, 4:]
        data = encoded(np.ascontiguousarray(first), 50)
        original = grey[4:, 4:]
        before.append(psnr(decoded(data), original))
        after.append(psnr(repair_file_bytes(data, deblocker), original))
    return f"JPEG {np.mean(before):.2f} dB, repaired {np.mean(after):.2f} dB ({np.mean(after) - np.mean(before):+.2f})"


def other_tables(greys: list[np.ndarray], deblocker: Deblocker) -> list[str]:
    """PSNR and gains of grey JPEGs whose steps rise less, or more, with frequency than the standard's."""
    powers = {"flat": 0.0, "half as steep": 0.5, "standard": 1.0, "steeper": 1.3}
    qualities = (10, 20, 40, 75)
    rows = ["| | " + " | ".join(f"q{q}" for q in qualities) + " |", "|---|" + "---|" * len(qualities)]
    for name, power in powers.items():
        cells = []
        for q in qualities:
            steps = 16 * (STANDARD_LUMA / 16) ** power * 2 ** strength_of_quality(q)
            table = np.clip(np.rint(steps), 1, 255).astype(int)
            before, after = [], []
            for grey in greys:
                data = encoded(grey, qtables=[table.ravel().tolist()])
                before.append(psnr(decoded(data), grey))
                after.append(psnr(repair_file_bytes(data, deblocker), grey))
            cells.append(f"{np.mean(before):.2f} ({np.mean(after) - np.mean(before):+.2f})")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def every_quality(pictures: list[np.ndarray], deblocker: Deblocker) -> list[str]:
    """Gains of the banded and blind repair on photos, text with line art, and smooth gradients, qualities 5-100."""
    rng = np.random.default_rng(2026)
    kinds = {
        "photos": [p[:256, :256] for p in pictures[:12]],
        "photos, halved": [
            cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in pictures[:12]
        ],
        "text and line art": [text_crop(rng) for _ in range(12)],
        "smooth gradients": [smooth_crop(rng) for _ in range(12)],
    }
    qualities = (5, 10, 15, 25, 35, 50, 60, 70, 80, 90, 95, 97, 100)
    rows = [
        "| gain, dB | " + " | ".join(f"q{q}" for q in qualities) + " |",
        "|---|" + "---|" * len(qualities),
    ]
    for kind, originals in kinds.items():
        for is_blind in (False, True):
            cells = []
            for q in qualities:
                gains = []
                for original in originals:
                    data = encoded(np.ascontiguousarray(original), q)
                    jpeg = decoded(data)
                    repaired = (
                        without_a_trace(deblocker, data, jpeg)
                        if is_blind
                        else repair_file_bytes(data, deblocker)
                    )
                    gains.append(
                        psnr(repaired, original) - psnr(jpeg, original) if (jpeg != original).any() else 0.0
                    )
                cells.append(f"{np.mean(gains):+.2f}")
            rows.append(
                f"| {kind}, {'without a trace' if is_blind else 'banded'} | " + " | ".join(cells) + " |"
            )
    return rows


def speeds() -> list[str]:
    """Pace of `fast` on 12 megapixels and on a stream's frames, time of a whole file, and of a frame by `fine`."""
    rows = [
        "| runtime | fast, MP/s | 640x480 stream, frames/s | 12 MP file to PNG, s | 640x480 by fine, 1, 8 looks, s |",
        "|---|---|---|---|---|",
    ]
    photo = cv2.resize(skimage.data.astronaut(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    data = encoded(photo, 30)
    frame = np.ascontiguousarray(photo[:480, :640])
    table = jpeg_facts(data).luma_table
    for runtime in RUNTIMES[1:]:
        deblocker = Deblocker(runtime)
        deblocker.repair(frame, table)
        # A stream's frames are not searched for the traces of a JPEG before.
        frame_s = best_time(partial(deblocker.repair, frame, table, resaved=False), 8)
        large_s = best_time(partial(deblocker.repair, photo, table), 3)
        whole_s = best_time(partial(end_to_end, data, deblocker), 3)
        by_fine = "none"
        if runtime != "int8":
            fine = [Deblocker(runtime, "fine", looks).repair_on_grid for looks in (1, MOST_LOOKS)]
            by_fine = ", ".join(f"{best_time(partial(repair, frame, table), 4):.2f}" for repair in fine)
        rows.append(f"| {runtime} | {12 / large_s:.1f} | {1 / frame_s:.1f} | {whole_s:.2f} | {by_fine} |")
    return rows


def end_to_end(data: bytes, deblocker: Deblocker) -> None:
    PIL.Image.fromarray(repair_file_bytes(data, deblocker)).save(io.BytesIO(), "PNG", compress_level=1)


def best_time(run: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def added_memory_mib(megapixels: int = 100) -> float:
    """Peak memory that a repair adds to its input and output pictures (onnxruntime), from a process of its own."""
    script = (
        "import re, numpy as np\n"
        "from sketch_cell.picture.deblock import Deblocker\n"
        # Not getrusage's peak, which a child process inherits from its parent.
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024\n"
        "d = Deblocker('onnxruntime'); d.repair(np.zeros((16, 16, 3), np.uint8))\n"
        f"image = np.full(({megapixels * 100}, 10000, 3), 90, np.uint8); image[::9] = 40\n"
        "before = peak(); d.repair(image); print(peak() - before - image.nbytes / 2**20)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return float(
        subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        ).stdout
    )


def picture_of_a_cat(deblocker: Deblocker) -> None:
    """A detail of scikit-image's cat (CC0) at quality 10, three times enlarged."""
    whole = skimage.data.chelsea()
    data = encoded(whole, 10)
    jpeg = decoded(data)
    panels = {"original": whole, "JPEG, quality 10": jpeg, "classical filter": classical(data, jpeg)}
    panels["sketch_cell"] = repair_file_bytes(data, deblocker)
    enlarged = {
        name: cv2.resize(p[60:190, 100:230], None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
        for name, p in panels.items()
    }
    with whole_file(REPORT.with_name("deblock_cat.jpg")) as path:
        PIL.Image.fromarray(side_by_side(enlarged)).save(path, "JPEG", quality=88)


def draw_curve(log: Path) -> None:
    """The gains on validation photographs along a training log, as doc/benchmarks/deblock_curve.png.

    Stages that were begun again follow one after the other.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    reports = [line.split() for line in log.read_text().splitlines() if " grey10 " in line]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for axis, kind in zip(axes, ("grey", "colour"), strict=True):
        shown = [words for _, *words in reports if words[0] in ("blind", kind)]
        steps = np.array([int(words[words.index("step") + 1]) for words in shown])
        # A stage counts from nothing again.
        begun = np.concatenate([[0], np.where(np.diff(steps) < 0, steps[:-1], 0)])
        steps = steps + begun.cumsum()
        for q in QUALITIES:
            gains = [float(words[words.index(f"{kind}{q}") + 1]) for words in shown]
            axis.plot(steps / 1000, gains, ".-", label=f"quality {q}")
        axis.axvline(steps[[words[0] for words in shown].index(kind) - 1] / 1000, color="0.7", linewidth=0.8)
        axis.set(title=f"{kind} JPEG", xlabel=f"thousands of steps, blind and then {kind}")
    axes[0].set_ylabel("gain over the JPEG, dB")
    axes[0].legend()
    with whole_file(REPORT.with_name("deblock_curve.png")) as path:
        figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, default=PHOTOS)
    parser.add_argument(
        "--count", type=int, help="photographs to use; 20 of ours, all of --images by default"
    )
    parser.add_argument("--memory-megapixels", type=int, default=100)
    parser.add_argument("--curve", type=Path, help="only draw the training curve from this log")
    options = parser.parse_args()
    if options.curve:
        draw_curve(options.curve)
        return
    if not options.images.is_dir():
        parser.error(f"there is no folder {options.images}: name one with photos (--images DIR)")
    pictures = photographs(options.images, options.count or (20 if options.images == PHOTOS else 10**6))
    greys = [matlab_luma(p) for p in pictures]
    deblocker = Deblocker("auto", "auto", looks=None)
    lines = ["# JPEG repair", ""]
    lines += [f"{len(pictures)} pictures of `{options.images.name}`, runtime {deblocker.runtime}, "
              f"{os.cpu_count()} cores, {platform.machine()}. Made by `python bench/deblock.py`.", ""]  # fmt: skip
    lines += ["## Luma: MATLAB 16-235, grey JPEG, no border crop", "PSNR (gain) / SSIM / PSNR-B.", ""]
    lines += comparison_rows(compare(greys, deblocker))
    lines += ["", "## Colour: 4:2:0, PSNR over RGB", ""]
    lines += comparison_rows(compare(pictures, deblocker))
    lines += [
        "",
        "## Double JPEG: quality 10, then 50 on a grid shifted by 4",
        "",
        double_jpeg(greys, deblocker),
    ]
    lines += [
        "",
        "## Other encoders' tables",
        "",
        "Grey JPEGs: PSNR (gain). The standard's table, and such as are flatter or steeper.",
        "",
    ]
    lines += other_tables(greys, deblocker)
    lines += ["", "## Every quality (above 97 a file is left as it is)", ""]
    lines += [
        "BSDS500's photos are JPEGs of quality 95 themselves; halved, their own artefacts are gone.",
        "",
    ]
    lines += every_quality(pictures, deblocker)
    lines += ["", "## Speed and memory", "", *speeds()]
    added = added_memory_mib(options.memory_megapixels)
    lines += [
        "",
        f"Memory added to input and output at {options.memory_megapixels} megapixels: {added:.0f} MiB.",
    ]
    lines += ["", "![A cat's eye](deblock_cat.jpg)", ""]
    picture_of_a_cat(deblocker)
    write_whole(REPORT, "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
