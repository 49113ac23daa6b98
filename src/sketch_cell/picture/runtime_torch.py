"""The deblocking network in torch, in bf16 where the processor multiplies that fast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sketch_cell.picture.deblock_net import convolved
from sketch_cell.picture.weights import Floats, WeightSets

Window = NDArray[np.uint8]


def has_fast_bf16() -> bool:
    """Whether the processor has matrix units for bf16 (AMX)."""
    # torch has no public question for this yet.
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(ask is not None and ask())


def network(sets: WeightSets, arrays: list[Floats]) -> Callable[[Window], Window]:
    """The network with these arrays as a function of one window (h, w, 3) -> (h - 2 m, w - 2 m, 3) uint8."""
    dtype = torch.bfloat16 if has_fast_bf16() else torch.float32
    margin = sets.margin_px
    # The first layer takes small differences of large levels, for which bf16 is too coarse.
    dtypes = (torch.float32, dtype, dtype, dtype, dtype)
    kernels = [
        torch.from_numpy(a).to(d).contiguous(memory_format=torch.channels_last)
        for a, d in zip(arrays[::2], dtypes, strict=True)
    ]
    biases = [torch.from_numpy(a).to(d) for a, d in zip(arrays[1::2], dtypes, strict=True)]

    def run(window: Window) -> Window:
        with torch.inference_mode():
            # (h, w, 3) bytes are a channels-last picture already.
            picture = torch.from_numpy(window)[None].permute(0, 3, 1, 2)
            planes = functional.pixel_unshuffle(picture, sets.unshuffle)
            for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
                planes = convolved(planes.to(dtypes[number]), kernel, bias, sets.dilations[number])
                if number < len(kernels) - 1:
                    planes.relu_()
            change = functional.pixel_shuffle(planes, sets.unshuffle).float()
            inner = picture[..., margin:-margin, margin:-margin]
            levels = change.add_(inner).round_().clamp_(0, 255).to(torch.uint8)
            return np.asarray(levels[0].permute(1, 2, 0).numpy(), np.uint8)

    return run
