"""The network `fast` in onnxruntime in whole numbers of 8 bits, which most processors multiply two to four times as
fast as floats: for streams. Costs 0.01 to 0.02 dB.

Planes between layers are 0..255, a channel's `peak` being 255; a kernel's channel is -127..127, its own largest number
being 127 (Nagel et al., "A white paper on neural network quantization", 2021). Only the first layer, which takes small
differences of large levels, works in floats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.runtime_onnx import graph_with, named_only, picture_of_window, running
from sketch_cell.picture.weights import FOLDER, Floats, WeightSets, padded, pixels_of_cells

Window = NDArray[np.uint8]

PROCESSOR = Path("/proc/cpuinfo")
# Units, as Linux names them, that add up products of bytes in 32 bits.
BYTE_UNITS = {"avx512_vnni", "avx_vnni", "asimddp"}
# Other x86 processors add them up in 16 bits, which overflow unless the kernels are widened.
WIDENED = {"session.x64quantprecision": "1"}
GRAPH = "fast_int8.onnx"
HIGHEST = 255
# Of signed bytes; a change of nothing lies in the middle of the unsigned ones.
HIGHEST_SIGNED = 127
MIDDLE = 128
# Of channels that were hardly ever at work, and of those that are padding.
LEAST_PEAK = 1.0


def multiplies_bytes() -> bool:
    """Whether the processor multiplies bytes at a multiple of the pace of floats, as far as Linux tells."""
    return PROCESSOR.exists() and not BYTE_UNITS.isdisjoint(PROCESSOR.read_text().split())


def network(sets: WeightSets, arrays: list[Floats], peaks: list[Floats]) -> Callable[[Window], Floats]:
    """The network with these arrays and the peaks (C,) of its five layers as a function of one window (h, w, 3) -> its
    change (h - 2 m, w - 2 m, 3) [levels]."""
    arrays, step = in_steps(padded(arrays, last=True), peaks)
    settings = {} if multiplies_bytes() else WIDENED
    planes_of = running(FOLDER / GRAPH, graph_values(arrays), sets, arrays, settings)
    size = sets.unshuffle
    levels = ((np.arange(HIGHEST + 1) - MIDDLE) * step).astype(np.float32)

    def run(window: Window) -> Floats:
        planes = planes_of(window)[0, : 3 * size * size]
        rows, columns = planes.shape[1:]
        cells = planes.reshape(3, size, size, rows, columns).transpose(3, 1, 4, 2, 0)
        return np.asarray(cv2.LUT(cells.reshape(size * rows, size * columns, 3), levels))

    return run


def in_steps(arrays: list[Floats], peaks: list[Floats]) -> tuple[list[Floats], float]:
    """The same network with planes in steps instead of levels, a channel's peak being 255 of them, and the step
    [levels] of the change."""
    change = np.float32(max(peaks[-1].max(), LEAST_PEAK) / HIGHEST_SIGNED)
    steps: list[Floats] = []
    for peak, bias in zip(peaks[:-1], arrays[1:-1:2], strict=True):
        spare = np.full(len(bias) - len(peak), LEAST_PEAK, np.float32)
        steps.append(np.maximum(np.concatenate([peak, spare]), LEAST_PEAK) / np.float32(HIGHEST))
    outputs = [*steps, np.full(len(arrays[-1]), change)]
    inputs = [np.ones(arrays[0].shape[1], np.float32), *steps]
    scaled: list[Floats] = []
    for kernel, bias, into, out in zip(arrays[::2], arrays[1::2], inputs, outputs, strict=True):
        scaled += [kernel * into[:, None, None] / out[:, None, None, None], bias / out[:, None, None]]
    return scaled, float(change)


def graph_values(arrays: list[Floats]) -> dict[str, NDArray[Any]]:
    """The graph's initialisers, of a network `in_steps`: whole kernels and biases, and the worth of one in them."""
    values: dict[str, NDArray[Any]] = {"kernel0": np.ascontiguousarray(pixels_of_cells(arrays[0]))}
    for n, (kernel, bias) in enumerate(zip(arrays[2::2], arrays[3::2], strict=True), start=1):
        largest = np.abs(kernel).max(axis=(1, 2, 3))
        worth = np.where(largest > 0, largest / HIGHEST_SIGNED, 1).astype(np.float32)
        values[f"kernel{n}"] = np.rint(kernel / worth[:, None, None, None]).astype(np.int8)
        values[f"bias{n}"] = np.rint(bias[:, 0, 0] / worth).astype(np.int32)
        values[f"worth{n}"] = worth
    return values


def write_graph(path: Path, sets: WeightSets) -> None:
    """Write the graph for weights shaped as these, which it names but does not hold.

    Writing needs the package `onnx`; running it does not.
    """
    from onnx import helper, numpy_helper

    arrays = padded(sets.at(0.0), last=True)
    layers = range(1, len(arrays) // 2)
    nodes = [
        *picture_of_window(),
        helper.make_node("Conv", ["picture", "kernel0"], ["plain0"], strides=[sets.unshuffle] * 2),
        helper.make_node("Add", ["plain0", "table0"], ["sum0"]),
        # What is below nothing becomes nothing, here and after each layer between: the ReLU.
        helper.make_node("QuantizeLinear", ["sum0", "one", "nothing"], ["planes0"]),
    ]
    for n in layers:
        zero = "middle" if n == layers[-1] else "nothing"
        taken = [
            f"planes{n - 1}",
            "one",
            "nothing",
            f"kernel{n}",
            f"worth{n}",
            f"zero{n}",
            "one",
            zero,
            f"bias{n}",
        ]
        nodes.append(
            helper.make_node("QLinearConv", taken, [f"planes{n}"], dilations=[sets.dilations[n]] * 2)
        )
    constants = {
        "first": np.array([0]),
        "one": np.float32(1),
        "nothing": np.uint8(0),
        "middle": np.uint8(MIDDLE),
    }
    constants |= {f"zero{n}": np.zeros(len(arrays[2 * n]), np.int8) for n in layers}
    table = [1, len(arrays[1]), "rows0", "columns0"]
    graph_with(
        path,
        nodes,
        inputs={"window": (np.uint8, ["height", "width", 3]), "table0": (np.float32, table)},
        output=(f"planes{layers[-1]}", np.uint8, [1, len(arrays[-1]), "inner_rows", "inner_columns"]),
        initialisers=[numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
        + [named_only(name, value) for name, value in graph_values(arrays).items()],
    )
