"""From checkpoints to the weights that the package ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sketch_cell.picture.deblock_net import LAYOUTS, DeblockNet, planes_of
from sketch_cell.picture.runtime_onnx import write_graph
from sketch_cell.picture.train_data import Crops, Damage
from sketch_cell.picture.train_stages import KNOT_QUALITIES, KNOT_STRENGTHS, STAGES
from sketch_cell.picture.weights import KINDS, WeightSets, write_weights

CALIBRATION_PATCHES = 32


def calibrate(net: DeblockNet, crops: Crops, damage: Damage, usual: Tensor, seed: int) -> list[float]:
    """Scale each set's last layer so that its changes are neither too bold nor too timid; return the factors.

    The factor is the least-squares one for the training's own loss, so no quality loses on average.
    """
    with torch.no_grad():
        rng = np.random.default_rng(seed)
        margin = net.layout.margin_px
        inner = (..., slice(margin, -margin), slice(margin, -margin))
        factors = []
        for number, quality in enumerate(KNOT_QUALITIES[: net.sets]):
            batch = crops.batch(rng, np.full(CALIBRATION_PATCHES, quality), damage)
            jpeg, clean = planes_of(batch.jpeg), planes_of(batch.clean)
            wanted = (clean - jpeg)[inner]
            change = net(jpeg, float(number)) - jpeg[inner]
            weight = 1 / (wanted.square().mean(dim=(1, 2, 3)) + 0.5 * usual[quality])
            match, power = ((change * part).mean(dim=(1, 2, 3)) for part in (wanted, change))
            factor = float(((weight * match).sum() / (weight * power).sum()).clamp(0, 1.2))
            net.kernels[-1][number] *= factor
            net.biases[-1][number] *= factor
            factors.append(factor)
        return factors


def export(folder: Path, target: Path, seed: int = 1) -> None:
    """Write what was trained so far as the package's weights; kinds not yet trained get the blind set."""
    for kind in KINDS:
        stage = kind if (folder / f"{kind}.pt").exists() else "blind"
        saved = torch.load(folder / f"{stage}.pt", weights_only=True)
        strengths = KNOT_STRENGTHS if stage != "blind" else (0.0,)
        net = DeblockNet(LAYOUTS[saved["layout"]], len(strengths))
        net.load_state_dict(saved["average"])
        if net.sets > 1:
            damage = next(s.damage for s in STAGES if s.name == stage)
            print("Calibrated:", calibrate(net, Crops(folder / "data"), damage, saved["usual"], seed))
        kernels, biases = zip(*(net.folded(number) for number in range(net.sets)), strict=True)
        sets = WeightSets(
            tuple(np.stack(part) for part in zip(*kernels, strict=True)),
            tuple(np.stack(part) for part in zip(*biases, strict=True)),
            np.array(strengths),
            net.layout.dilations,
            net.layout.unshuffle,
            net.layout.rounds,
        )
        write_weights(target / f"{net.layout.name}_{kind}.npz", sets)
        if kind == "blind":
            write_graph(target / f"{net.layout.name}.onnx", sets)
