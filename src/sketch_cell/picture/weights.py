"""The trained weights shipped with the package, the choice among them by a file's quantisation table, and how both
runtimes lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.quality import BLOCK_PX

FOLDER = Path(__file__).parent / "weights"
# For pictures without a table; for grey JPEGs, whose three planes are one; and for JPEGs in colour.
KINDS = ("blind", "grey", "colour")
NETWORKS = ("fast", "fine")
# JPEG qualities at which `fine` comes closer to the original than `fast`; its other sets are not trained enough yet.
FINE_QUALITIES = {"grey": (6, 90), "colour": (9, 75)}
# Weights that read a picture twice: a grey one needs but one of the three planes, so in the second reading the others
# hold what came of the first (as in Li et al., "Feedback network for image super-resolution", CVPR 2019).
WITH_FEEDBACK = {("fine", "grey")}
# The layers of five that may run in rounds.
BETWEEN = (1, 2, 3)
PEAKS = tuple(f"layer{n}_peak" for n in range(5))
# Positions are rounded to this share of the way from one set to the next: few networks, none far off.
POSITION_STEP = 0.125

Floats = NDArray[np.float32]
# An array of numpy or a tensor of torch.
Part = TypeVar("Part", bound=Any)


@dataclass(frozen=True, eq=False)
class WeightSets:
    """Sets of weights of one kind, sorted by falling strength of quantisation.

    `kernels` and `biases` of the five layers have the sets along their first axis and work on raw levels
    (whitening is folded in); the three layers between run `rounds` times, with one bias after the other. `strengths`
    (K,) is what each set was trained for; `gains` (K, 3, 8, 8) are those of `picture.dct.held`, where the last layer
    has such in place of biases (which are zeros then). `peaks` (K, C) of the five layers, where there are any, are the
    largest numbers that each channel gave on training pictures.
    """

    kernels: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    strengths: NDArray[np.float64]
    dilations: tuple[int, ...]
    unshuffle: int
    rounds: int = 1
    gains: Floats | None = None
    peaks: tuple[Floats, ...] = ()

    @property
    def margin_px(self) -> int:
        """Pixels the network needs around those it repairs."""
        sizes = tuple(kernel.shape[-1] for kernel in self.kernels)
        return self.unshuffle * margin_cells(sizes, self.dilations, self.rounds)

    def position(self, strength: float) -> float:
        """Where a table of this strength lies among the sets, 0 .. K - 1, in steps of `POSITION_STEP`."""
        place = float(np.interp(-strength, -self.strengths, np.arange(len(self.strengths))))
        return round(place / POSITION_STEP) * POSITION_STEP

    def at(self, position: float) -> list[Floats]:
        """The network at `position`, mixed from the two sets around it: kernel, bias, kernel, bias ... in the order in
        which the convolutions run."""
        kernels, biases = ([mixed(part, position) for part in parts] for parts in (self.kernels, self.biases))
        return [part for pair in in_rounds(kernels, biases, self.rounds) for part in pair]

    def peaks_at(self, position: float) -> list[Floats]:
        """The peaks (C,) of the five layers at `position`."""
        return [mixed(part, position) for part in self.peaks]

    def gains_at(self, position: float) -> Floats | None:
        """The gains (3, 8, 8) at `position`, where there are any."""
        return None if self.gains is None else mixed(self.gains, position)


def mixed(part: Part, position: float) -> Part:
    """What lies at `position` (0 .. K - 1) in a straight line between the two of K sets around it."""
    low = min(int(position), len(part) - 1)
    return cast(Part, part[low] + (position - low) * (part[min(low + 1, len(part) - 1)] - part[low]))


def in_rounds(kernels: Sequence[Part], biases: Sequence[Part], rounds: int) -> list[tuple[Part, Part]]:
    """(kernel, bias) of each of the 2 + 3 `rounds` convolutions that five layers run: the three between again and
    again, each time with the next part of their biases."""
    run = [(kernels[0], biases[0])]
    for turn in range(rounds):
        run += [(kernels[n], biases[n].reshape(rounds, -1, *biases[n].shape[1:])[turn]) for n in BETWEEN]
    return [*run, (kernels[-1], biases[-1])]


def margin_cells(sizes: tuple[int, ...], dilations: tuple[int, ...], rounds: int) -> int:
    """Cells that the convolutions together take from each side, being valid ones."""
    first, *between, last = (d * (size - 1) // 2 for size, d in zip(sizes, dilations, strict=True))
    return first + rounds * sum(between) + last


def border_px(margin_px: int) -> int:
    """The margin in whole blocks of a JPEG."""
    return -(-margin_px // BLOCK_PX) * BLOCK_PX


@cache
def load_weights(kind: str, layout: str = "fast") -> WeightSets:
    """The shipped sets of `kind` (one of `KINDS`)."""
    return read_weights(FOLDER / f"{layout}_{kind}.npz")


def read_weights(path: Path) -> WeightSets:
    """The sets in a file written by `write_weights`."""
    with np.load(path) as content:
        kernels, biases = (
            tuple(content[f"layer{n}_{part}"] for n in range(5)) for part in ("kernel", "bias")
        )
        dilations = tuple(int(d) for d in content["dilations"])
        unshuffle, rounds = int(content["unshuffle"]), int(content.get("rounds", 1))
        peaks = tuple(content[name] for name in PEAKS if name in content)
        return WeightSets(
            kernels, biases, content["strengths"], dilations, unshuffle, rounds, content.get("gains"), peaks
        )


def write_weights(path: Path, sets: WeightSets) -> None:
    """Write sets of weights as one compressed file."""
    content: dict[str, Any] = {f"layer{n}_kernel": kernel for n, kernel in enumerate(sets.kernels)}
    content |= {f"layer{n}_bias": bias for n, bias in enumerate(sets.biases)}
    content |= dict(zip(PEAKS, sets.peaks, strict=False))
    if sets.gains is not None:
        content["gains"] = sets.gains
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            strengths=sets.strengths,
            dilations=np.array(sets.dilations),
            unshuffle=np.array(sets.unshuffle),
            rounds=np.array(sets.rounds),
            **content,
        )


def padded(arrays: list[Floats], multiple: int = 16, *, last: bool = False) -> list[Floats]:
    """The same network with channels of zeros between its layers, and after the `last` one if asked, up to a multiple
    of a vector register's length.

    All runtimes multiply 48 channels faster than 46; the zeros change nothing in what comes out.
    """
    outputs = [-(-bias.shape[0] // multiple) * multiple for bias in arrays[1::2]]
    if not last:
        outputs[-1] = arrays[-1].shape[0]
    inputs = [arrays[0].shape[1], *outputs[:-1]]
    result = []
    for kernel, bias, into, out in zip(arrays[::2], arrays[1::2], inputs, outputs, strict=True):
        spare = out - kernel.shape[0]
        result.append(np.pad(kernel, ((0, spare), (0, into - kernel.shape[1]), (0, 0), (0, 0))))
        result.append(np.pad(bias, ((0, spare), (0, 0), (0, 0))))
    return result


def pixels_of_cells(kernel: Floats) -> Floats:
    """(W, 3 u^2, k, k) -> (W, 3, k u, k u): the cells of a kernel without dilation laid out as pixels."""
    out, planes, rows, columns = kernel.shape
    step = round((planes // 3) ** 0.5)
    split = kernel.reshape(out, 3, step, step, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    return split.reshape(out, 3, rows * step, columns * step)


def whole_tables(arrays: list[Floats], size: tuple[int, ...], sets: WeightSets) -> dict[int, Floats]:
    """Each bias table (C, p, p) of `arrays` over all that its convolution finds in a window of `size`: (1, C, rows,
    columns), by the convolution's number. Keep them: repeating a table takes as long as half a convolution."""
    rows, columns = (length // sets.unshuffle for length in size[:2])
    tables = {}
    for n, dilation in enumerate(dilations_run(sets)):
        kernel, table = arrays[2 * n], arrays[2 * n + 1]
        cut = dilation * (kernel.shape[-1] - 1)
        rows, columns = rows - cut, columns - cut
        if has_table(table):
            tiled = np.tile(table, (1, -(-rows // table.shape[-2]), -(-columns // table.shape[-1])))
            tables[n] = np.ascontiguousarray(tiled[None, :, :rows, :columns])
    return tables


def dilations_run(sets: WeightSets) -> list[int]:
    """The dilation of each convolution in turn."""
    first, *between, last = sets.dilations
    return [first, *between * sets.rounds, last]


def has_table(bias: Floats) -> bool:
    """Whether a bias (C, p, p) depends on the place inside the block."""
    return int(bias.shape[-1]) > 1
