"""The deblocking network in torch, in bf16 where the processor multiplies that fast."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sketch_cell.picture.deblock_net import later_layers
from sketch_cell.picture.weights import Floats, WeightSets, pixels_of_cells, whole_tables

Window = NDArray[np.uint8]


def has_bf16(units: tuple[str, ...] = ("amx_tile", "avx512_bf16")) -> bool:
    """Whether the processor has any of these units, which multiply bf16."""
    # torch has no public question for this yet.
    return any(getattr(torch.cpu, f"_is_{unit}_supported", bool)() for unit in units)


def network(sets: WeightSets, arrays: list[Floats]) -> Callable[[Window], Floats]:
    """The network with these arrays as a function of one window (h, w, 3) -> its change (h - 2 m, w - 2 m, 3) [levels],
    not held yet."""
    kernels = [
        torch.from_numpy(part).contiguous(memory_format=torch.channels_last)
        for part in (pixels_of_cells(arrays[0]), *arrays[2::2])
    ]
    in_bf16 = has_bf16()

    @lru_cache(maxsize=1)
    def biases(size: tuple[int, ...]) -> list[Tensor]:
        parts = [torch.from_numpy(part) for part in arrays[1::2]]
        for n, table in whole_tables(arrays, size, sets).items():
            parts[n] = torch.from_numpy(table).contiguous(memory_format=torch.channels_last)[0]
        return parts

    def run(window: Window) -> Floats:
        first, *later = biases(window.shape)
        with torch.inference_mode():
            # (h, w, 3) bytes are a channels-last picture already.
            picture = torch.from_numpy(window)[None].permute(0, 3, 1, 2)
            # The first layer takes small differences of large levels, for which bf16 is too coarse.
            planes = functional.conv2d(picture.float(), kernels[0], stride=sets.unshuffle).add_(first)
            with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
                weights = list(zip(kernels[1:], later, strict=True))
                planes = later_layers(planes, weights, sets.dilations, sets.rounds)
            change = functional.pixel_shuffle(planes, sets.unshuffle).float()
            return np.asarray(change[0].permute(1, 2, 0).numpy())

    return run
