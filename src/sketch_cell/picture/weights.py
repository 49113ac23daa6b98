"""The trained weights shipped with the package, and the choice among them by a file's quantisation table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.shared_looks import shared

FOLDER = Path(__file__).parent / "weights"
# For pictures without a table; for grey JPEGs, whose three planes are one; and for JPEGs in colour.
KINDS = ("blind", "grey", "colour")
# Those for which a network was trained that shares its weights among the eight looks.
FINE_KINDS = ("grey",)
# Positions are rounded to this share of the way from one set to the next: few networks, none far off.
POSITION_STEP = 0.125

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WeightSets:
    """Sets of weights of one kind, sorted by falling strength of quantisation.

    `kernels` and `biases` of the five layers have the sets along their first axis and work on raw levels
    (whitening is folded in); those of eight looks are as `shared_looks.shared` wants them. `strengths` (K,) is
    what each set was trained for.
    """

    kernels: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    strengths: NDArray[np.float64]
    dilations: tuple[int, ...]
    unshuffle: int

    @property
    def margin_px(self) -> int:
        """Pixels the network needs around those it repairs."""
        cells = sum(d * (k.shape[-1] - 1) // 2 for k, d in zip(self.kernels, self.dilations, strict=True))
        return self.unshuffle * int(cells)

    def position(self, strength: float) -> float:
        """Where a table of this strength lies among the sets, 0 .. K - 1, in steps of `POSITION_STEP`."""
        place = float(np.interp(-strength, -self.strengths, np.arange(len(self.strengths))))
        return round(place / POSITION_STEP) * POSITION_STEP

    def at(self, position: float) -> list[Floats]:
        """The network at `position`, mixed from the two sets around it: kernel, bias, kernel, bias ... of five plain
        convolutions, written out from 57,987 numbers."""
        low = min(int(position), len(self.strengths) - 1)
        high = min(low + 1, len(self.strengths) - 1)
        share = np.float32(position - low)
        kernels, biases = (
            [part[low] + share * (part[high] - part[low]) for part in parts]
            for parts in (self.kernels, self.biases)
        )
        if kernels[1].ndim > 4:
            kernels, biases = shared(kernels, biases, self.dilations)
            biases.append(np.zeros((len(kernels[-1]), 1, 1), np.float32))
        return [part for pair in zip(kernels, biases, strict=True) for part in pair]


@cache
def load_weights(kind: str, layout: str = "fast") -> WeightSets:
    """The shipped sets of `kind` (one of `KINDS`)."""
    return read_weights(FOLDER / f"{layout}_{kind}.npz")


def read_weights(path: Path) -> WeightSets:
    """The sets in a file written by `write_weights`."""
    with np.load(path) as content:
        kernels, biases = (
            tuple(content[f"layer{n}_{part}"] for n in range(5) if f"layer{n}_{part}" in content)
            for part in ("kernel", "bias")
        )
        dilations = tuple(int(d) for d in content["dilations"])
        return WeightSets(kernels, biases, content["strengths"], dilations, int(content["unshuffle"]))


def write_weights(path: Path, sets: WeightSets) -> None:
    """Write sets of weights as one compressed file."""
    content: dict[str, Any] = {f"layer{n}_kernel": kernel for n, kernel in enumerate(sets.kernels)}
    content |= {f"layer{n}_bias": bias for n, bias in enumerate(sets.biases)}
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            strengths=sets.strengths,
            dilations=np.array(sets.dilations),
            unshuffle=np.array(sets.unshuffle),
            **content,
        )


def padded(arrays: list[Floats], multiple: int = 16) -> list[Floats]:
    """The same network with channels of zeros between its layers, up to a multiple of a vector register's length.

    Both runtimes multiply 48 channels faster than 46; the zeros change nothing in what comes out.
    """
    widths = [-(-bias.shape[0] // multiple) * multiple for bias in arrays[1:-1:2]]
    inputs = [arrays[0].shape[1], *widths]
    outputs = [*widths, arrays[-1].shape[0]]
    result = []
    for kernel, bias, into, out in zip(arrays[::2], arrays[1::2], inputs, outputs, strict=True):
        spare = out - kernel.shape[0]
        result.append(np.pad(kernel, ((0, spare), (0, into - kernel.shape[1]), (0, 0), (0, 0))))
        result.append(np.pad(bias, ((0, spare), (0, 0), (0, 0))))
    return result
