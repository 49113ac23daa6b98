"""Train the deblocking network: `python -m sketch_cell.picture.train_deblock FOLDER` (resumable, seeded).

First one blind set of weights for any JPEG, then, from it, sets for several strengths of quantisation, for grey files
and for colour.
Needs torch, onnx, the BSDS500 photographs and Debian's wallpaper packages; two free cores take about five
hours at the default lengths, and bf16 hardware makes it two to three times faster.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sketch_cell.files import whole_file
from sketch_cell.picture.deblock_net import LAYOUTS, DeblockNet, Layout, planes_of
from sketch_cell.picture.jpeg import standard_luma_table, strength_of_quality
from sketch_cell.picture.quality import matlab_luma
from sketch_cell.picture.runtime_torch import has_bf16
from sketch_cell.picture.train_data import KINDS, Batch, Crops, Damage, check_sources, damaged, prepare
from sketch_cell.picture.train_export import export
from sketch_cell.picture.train_loss import BLOCKING_SHARES, relative_loss
from sketch_cell.picture.train_optimiser import Muon, rate_at
from sketch_cell.picture.train_stages import STAGES, Stage, draw_qualities, position_of
from sketch_cell.picture.weights import WITH_FEEDBACK, load_weights

MEASURED_BATCHES = 6
EMA_DECAY = 0.998
# Every so many steps of weights with feedback train the first reading, the others the second.
FIRST_READING_PERIOD = 4
CHECKPOINT_PERIOD_S = 60.0
VALIDATION_PERIOD_S = 900.0


class Batches(torch.utils.data.Dataset[Batch]):
    """Batch number `step` of a stage; the same for the same seed, whichever worker makes it."""

    def __init__(self, folder: Path, stage: Stage, seed: int) -> None:
        self.folder, self.stage, self.seed = folder, stage, seed
        self.crops: Crops | None = None

    def __getitem__(self, step: int) -> Batch:
        self.crops = self.crops or Crops(self.folder)
        number = [s.name for s in STAGES].index(self.stage.name)
        rng = np.random.default_rng((self.seed, number, step))
        return self.crops.batch(rng, draw_qualities(rng, self.stage), self.stage.damage)


@dataclass
class State:
    """All that a checkpoint holds about the stage that runs."""

    net: DeblockNet
    average: DeblockNet
    kernels: Muon
    biases: torch.optim.Optimizer
    step: int = 0
    elapsed_s: float = 0.0
    log: dict[str, float] = field(default_factory=dict)


def measure(crops: Crops, seed: int, net: DeblockNet) -> Tensor:
    """Set the whitening of `net` from the data; return the usual error (101,) [levels^2] at each quality."""
    rng = np.random.default_rng(seed)
    batches = [crops.batch(rng, rng.integers(5, 96, 32), Damage()) for _ in range(MEASURED_BATCHES)]
    jpeg = torch.cat([planes_of(b.jpeg) for b in batches])
    clean = torch.cat([planes_of(b.clean) for b in batches])
    quality = np.concatenate([b.quality for b in batches])
    cells, change = (functional.pixel_unshuffle(p, net.layout.unshuffle) for p in (jpeg, clean - jpeg))
    net.mean.copy_(cells.mean(dim=(0, 2, 3)))
    size = net.layout.kernels[0]
    windows = (
        functional.unfold(cells - net.mean[:, None, None], size, stride=3).permute(0, 2, 1).flatten(0, 1)
    )
    net.whiten.copy_(_root(windows.double(), -0.5, 3.0))
    net.colour.copy_(_root(change.permute(0, 2, 3, 1).flatten(0, 2).double(), 0.5, 0.05))
    error = (jpeg - clean).square().mean(dim=(1, 2, 3)).numpy()
    slope, offset = np.polyfit([strength_of_quality(int(q)) for q in quality], np.log(error + 0.1), 1)
    usual = [math.exp(offset + slope * strength_of_quality(q)) for q in range(1, 101)]
    return torch.tensor([usual[0], *usual], dtype=torch.float32)


def _root(rows: Tensor, power: float, floor: float) -> Tensor:
    """The symmetric `power` of the rows' covariance; `floor` [levels^2] keeps what is nearly constant quiet."""
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    return (vectors * (values + floor).pow(power)) @ vectors.T


def train_stage(stage: Stage, folder: Path, options: argparse.Namespace) -> None:
    """Run one stage to its end, from its checkpoint where there is one."""
    state, usual = _start(stage, folder, options)
    limit_s = 60.0 * options.minutes.get(stage.name, math.inf)
    data = Batches(folder / "data", stage, options.seed)
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, sampler=range(state.step, stage.steps), num_workers=1, prefetch_factor=8
    )
    start_s, last_save_s, last_look_s = time.monotonic() - state.elapsed_s, 0.0, state.elapsed_s
    for batch in loader:
        progress = max(state.step / stage.steps, state.elapsed_s / limit_s)
        if progress >= 1:
            break
        loss = _step(state, batch, stage, usual, progress)
        state.elapsed_s = time.monotonic() - start_s
        state.log["loss"] = 0.99 * state.log.get("loss", loss) + 0.01 * loss
        if state.step % 200 == 0:
            print(
                f"{stage.name} step {state.step} {state.elapsed_s:.0f} s loss {state.log['loss']:.4f}",
                flush=True,
            )
        if state.elapsed_s - last_save_s > CHECKPOINT_PERIOD_S:
            _save(state, folder / f"{stage.name}.pt")
            last_save_s = state.elapsed_s
        if state.elapsed_s - last_look_s > VALIDATION_PERIOD_S:
            _report(stage, state, progress, options)
            last_look_s = state.elapsed_s
    _save(state, folder / f"{stage.name}.pt")
    _report(stage, state, 1.0, options)
    (folder / f"{stage.name}.done").touch()


def trains_in_bf16(layout: Layout) -> bool:
    """Whether bf16 gives this layout's gradients right on this processor."""
    # Without AMX, oneDNN's weight gradient of a dilated convolution is NaN unless its channels are a multiple of 16
    # (torch 2.13 on a processor with AVX512-BF16).
    return max(layout.dilations) == 1 or has_bf16(("amx_tile",))


def _step(state: State, batch: Batch, stage: Stage, usual: Tensor, progress: float) -> float:
    rate = rate_at(state.step, progress, stage.rate)
    for group in state.biases.param_groups:
        group["lr"] = rate
    jpeg, clean = planes_of(batch.jpeg), planes_of(batch.clean)
    border, quality = state.net.layout.border_px, int(batch.quality[0])
    table = standard_luma_table(quality) if stage.parent else None
    position = position_of(quality, state.net.sets)
    with torch.autocast("cpu", torch.bfloat16, enabled=trains_in_bf16(state.net.layout)):
        known = None
        if has_feedback(stage, state.net.layout):
            is_first = state.step % FIRST_READING_PERIOD == 0
            known = jpeg if is_first else first_reading(state.average, jpeg, position, table)
        repaired = state.net(jpeg, position, table, known)
    jpeg, clean = (part[..., border:-border, border:-border] for part in (jpeg, clean))
    usual, share = usual[torch.from_numpy(batch.quality)], BLOCKING_SHARES[state.net.layout.name]
    loss = relative_loss(repaired, jpeg, clean, usual, share)
    state.net.zero_grad(set_to_none=False)
    loss.backward()
    state.kernels.step(rate)
    state.biases.step()
    state.step += 1
    decay = min(EMA_DECAY, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), state.net.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
    return float(loss.detach())


def has_feedback(stage: Stage, layout: Layout) -> bool:
    """Whether this stage trains weights that read a picture twice."""
    return (layout.name, stage.name) in WITH_FEEDBACK


def first_reading(
    net: DeblockNet, jpeg: Tensor, position: float, luma_table: NDArray[np.int64] | None
) -> Tensor:
    """What `net` makes of grey pictures (B, 3, H, W), of the whole of them: mirrored beyond their edges."""
    around = functional.pad(jpeg, (net.layout.border_px,) * 4, mode="reflect")
    with torch.no_grad():
        return cast(Tensor, net(around, position, luma_table, around)).clamp(0, 255).round()


def _start(stage: Stage, folder: Path, options: argparse.Namespace) -> tuple[State, Tensor]:
    torch.manual_seed(options.seed)
    net = DeblockNet(LAYOUTS[options.layout], stage.sets)
    if options.shipped:
        usual = measure(Crops(folder / "data"), options.seed, net)
        shipped = load_weights(stage.name, options.layout)
        for number in range(stage.sets):
            net.unfold(number, [k[number] for k in shipped.kernels], [b[number] for b in shipped.biases])
        if shipped.gains is not None:
            net.gains.data.copy_(torch.from_numpy(shipped.gains))
    elif stage.parent:
        saved = torch.load(folder / f"{stage.parent}.pt", weights_only=True)
        values, usual = saved["average"], saved["usual"]
        for name, value in net.state_dict().items():
            value.copy_(values[name])
    else:
        usual = measure(Crops(folder / "data"), options.seed, net)
    biases = torch.optim.Adam([*net.biases, net.gains], lr=stage.rate, betas=(0.9, 0.99))
    state = State(net, copy.deepcopy(net), Muon(list(net.kernels)), biases)
    path = folder / f"{stage.name}.pt"
    if path.exists():
        saved = torch.load(path, weights_only=True)
        net.load_state_dict(saved["net"])
        state.average.load_state_dict(saved["average"])
        state.kernels.momenta = saved["momenta"]
        biases.load_state_dict(saved["biases"])
        state.step, state.elapsed_s, usual = saved["step"], saved["elapsed_s"], saved["usual"]
    state.net.register_buffer("usual", usual, persistent=False)
    return state, usual


def _save(state: State, path: Path) -> None:
    content: dict[str, Any] = {
        "net": state.net.state_dict(),
        "average": state.average.state_dict(),
        "momenta": state.kernels.momenta,
        "biases": state.biases.state_dict(),
        "usual": state.net.get_buffer("usual"),
        "step": state.step,
        "elapsed_s": state.elapsed_s,
        "layout": state.net.layout.name,
    }
    with whole_file(path) as temporary:
        torch.save(content, temporary)


def _report(stage: Stage, state: State, progress: float, options: argparse.Namespace) -> None:
    paths = sorted((options.photos / "val").glob("*.jpg"))[:: 100 // 10]
    pictures = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    feedback = has_feedback(stage, state.net.layout)
    gains = {f"{kind}{q}": gain for kind, q, gain in validation_gains(state.average, pictures, feedback)}
    words = " ".join(f"{name} {gain:+.3f}" for name, gain in gains.items())
    loss = state.log.get("loss", math.nan)
    clock = time.strftime("%H:%M:%S", time.gmtime())
    print(f"{clock} {stage.name} {progress:.3f} step {state.step} loss {loss:.4f} {words}", flush=True)


def validation_gains(
    net: DeblockNet, pictures: list[NDArray[np.uint8]], feedback: bool
) -> Iterator[tuple[str, int, float]]:
    """Mean PSNR gain over the JPEG [dB] of grey and, unless there is `feedback`, of 4:2:0 colour files."""
    for kind in ("grey",) if feedback else ("grey", "colour"):
        for quality in (10, 20, 30, 40):
            gains = []
            for picture in pictures:
                clean = np.repeat(matlab_luma(picture)[:, :, None], 3, axis=2) if kind == "grey" else picture
                jpeg = damaged(clean, quality, grey=kind == "grey")
                repaired = repair_whole(net, jpeg, quality, feedback)
                errors = [np.square(p.astype(np.float64) - clean).mean() for p in (jpeg, repaired)]
                gains.append(10 * math.log10(errors[0] / errors[1]))
            yield kind, quality, float(np.mean(gains))


def repair_whole(net: DeblockNet, jpeg: NDArray[np.uint8], quality: int, feedback: bool) -> NDArray[np.uint8]:
    """Repair one picture (H, W, 3) in one piece, without tiles; for validation."""
    height, width = jpeg.shape[:2]
    table = standard_luma_table(quality) if net.sets > 1 else None
    pad = -(-net.layout.border_px // 16) * 16
    extra = pad - net.layout.border_px
    around = np.pad(jpeg, ((pad, pad + -height % 16), (pad, pad + -width % 16), (0, 0)), mode="symmetric")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        planes, position = planes_of(around[None]), position_of(quality, net.sets)
        known = first_reading(net, planes, position, table) if feedback else None
        planes = net(planes, position, table, known)[0]
    levels = planes[:, extra : extra + height, extra : extra + width].permute(1, 2, 0)
    return np.clip(np.rint(levels.numpy()), 0, 255).astype(np.uint8)


def _step_back() -> None:
    """Let everything else on this computer go first."""
    os.nice(19)
    # Linux weighs sessions against each other before it looks at the processes within.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("output/training"), help="checkpoints and prepared data"
    )
    parser.add_argument(
        "--photos", type=Path, default=Path("../shared/data/bsds500"), help="BSDS500: train/, val/"
    )
    parser.add_argument("--layout", choices=list(LAYOUTS), default="fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--minutes",
        type=lambda text: {k: float(v) for k, v in (pair.split("=") for pair in text.split(","))},
        default={},
        help="shorten stages to these wall times, such as blind=60,grey=60,colour=60",
    )
    parser.add_argument("--stage", choices=[s.name for s in STAGES], help="only this stage, after its parent")
    parser.add_argument("--shipped", action="store_true", help="start each stage from the shipped weights")
    parser.add_argument(
        "--export",
        type=Path,
        help="only write the weights trained so far (with --shipped: those, with peaks measured anew) into this folder",
    )
    options = parser.parse_args()
    if options.export:
        export(options.folder, options.export, options.layout, shipped=options.shipped)
        return
    _step_back()
    torch.set_num_threads(options.threads)
    # OpenCV's own threads do not survive the fork of a data worker.
    cv2.setNumThreads(0)
    if not all((options.folder / "data" / f"{kind}.npy").exists() for kind in KINDS):
        check_sources(options.photos)
        prepare(options.folder / "data", options.photos, options.seed)
    for stage in STAGES:
        if options.stage in (None, stage.name) and not (options.folder / f"{stage.name}.done").exists():
            train_stage(stage, options.folder, options)
    if options.stage:
        return
    target = options.folder / "weights"
    target.mkdir(exist_ok=True)
    export(options.folder, target, options.layout)
    print(f"The weights are in {target}; copy them to src/sketch_cell/picture/weights to ship them.")


if __name__ == "__main__":
    main()
