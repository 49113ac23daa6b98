"""From checkpoints to the weights that the package ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sketch_cell.picture.deblock_net import LAYOUTS, DeblockNet
from sketch_cell.picture.runtime_onnx import write_graph
from sketch_cell.picture.train_stages import KNOT_STRENGTHS
from sketch_cell.picture.weights import KINDS, WeightSets, write_weights


def export(folder: Path, target: Path) -> None:
    """Write what was trained so far as the package's weights; kinds not yet trained get the blind set."""
    for kind in KINDS:
        stage = kind if (folder / f"{kind}.pt").exists() else "blind"
        saved = torch.load(folder / f"{stage}.pt", weights_only=True)
        strengths = KNOT_STRENGTHS if stage != "blind" else (0.0,)
        net = DeblockNet(LAYOUTS[saved["layout"]], len(strengths))
        net.load_state_dict(saved["average"])
        kernels, biases = zip(*(net.folded(number) for number in range(net.sets)), strict=True)
        sets = WeightSets(
            tuple(np.stack(part) for part in zip(*kernels, strict=True)),
            tuple(np.stack(part) for part in zip(*biases, strict=True)),
            np.array(strengths),
            net.layout.dilations,
            net.layout.unshuffle,
            net.layout.rounds,
            net.gains.detach().numpy() if net.layout.holds else None,
        )
        write_weights(target / f"{net.layout.name}_{kind}.npz", sets)
        if kind == "blind":
            write_graph(target / f"{net.layout.name}.onnx", sets)
