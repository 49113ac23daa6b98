"""From checkpoints to the weights that the package ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from sketch_cell.picture import runtime_int8, runtime_onnx
from sketch_cell.picture.deblock_net import LAYOUTS, DeblockNet, convolved, planes_of
from sketch_cell.picture.train_data import Crops
from sketch_cell.picture.train_stages import (
    BATCH,
    KNOT_QUALITIES,
    KNOT_STRENGTHS,
    STAGES,
    Stage,
    draw_qualities,
)
from sketch_cell.picture.weights import Floats, WeightSets, load_weights, write_weights

PEAK_BATCHES = 64


def export(folder: Path, target: Path, layout: str, *, shipped: bool = False) -> None:
    """Write what was trained so far, or what is shipped with new peaks, as the package's weights; kinds not yet
    trained get the blind set."""
    for stage in STAGES:
        sets = load_weights(stage.name, layout) if shipped else _trained(folder, stage)
        if sets.rounds == 1:
            sets = replace(sets, peaks=measured_peaks(sets, stage, Crops(folder / "data")))
        write_weights(target / f"{layout}_{stage.name}.npz", sets)
        if stage.name == "blind":
            runtime_onnx.write_graph(target / f"{layout}.onnx", sets)
            if sets.peaks:
                runtime_int8.write_graph(target / runtime_int8.GRAPH, sets)


def _trained(folder: Path, stage: Stage) -> WeightSets:
    path = folder / f"{stage.name}.pt"
    is_trained = path.exists()
    saved = torch.load(path if is_trained else folder / f"{stage.parent}.pt", weights_only=True)
    strengths = KNOT_STRENGTHS if is_trained and stage.parent else (0.0,)
    net = DeblockNet(LAYOUTS[saved["layout"]], len(strengths))
    net.load_state_dict(saved["average"])
    kernels, biases = zip(*(net.folded(number) for number in range(net.sets)), strict=True)
    return WeightSets(
        tuple(np.stack(part) for part in zip(*kernels, strict=True)),
        tuple(np.stack(part) for part in zip(*biases, strict=True)),
        np.array(strengths),
        net.layout.dilations,
        net.layout.unshuffle,
        net.layout.rounds,
        net.gains.detach().numpy() if net.layout.holds else None,
    )


def measured_peaks(sets: WeightSets, stage: Stage, crops: Crops) -> tuple[Floats, ...]:
    """The largest numbers (K, C) that the channels of the five layers, run once, give on training pictures."""
    peaks = [torch.zeros(bias.shape[:2]) for bias in sets.biases]
    for number in range(len(sets.strengths)):
        rng = np.random.default_rng(number)
        weights = [torch.from_numpy(part) for part in sets.at(number)]
        for _ in range(PEAK_BATCHES):
            qualities = (
                draw_qualities(rng, stage)
                if len(sets.strengths) == 1
                else np.full(BATCH, KNOT_QUALITIES[number])
            )
            planes = planes_of(crops.batch(rng, qualities, stage.damage).jpeg)
            planes = functional.pixel_unshuffle(planes, sets.unshuffle)
            for n, peak in enumerate(peaks):
                planes = convolved(planes, weights[2 * n], weights[2 * n + 1], sets.dilations[n])
                largest = (planes.relu() if n < 4 else planes.abs()).amax(dim=(0, 2, 3))
                peak[number] = torch.maximum(peak[number], largest)
                planes = planes.relu()
    return tuple(peak.numpy() for peak in peaks)
