"""The deblocking network in torch, in bf16 where the processor multiplies that fast."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sketch_cell.picture.deblock_net import later_layers, repeated
from sketch_cell.picture.weights import Floats, WeightSets

Window = NDArray[np.uint8]


def has_bf16(units: tuple[str, ...] = ("amx_tile", "avx512_bf16")) -> bool:
    """Whether the processor has any of these units, which multiply bf16."""
    # torch has no public question for this yet.
    return any(getattr(torch.cpu, f"_is_{unit}_supported", bool)() for unit in units)


def network(sets: WeightSets, arrays: list[Floats]) -> Callable[[Window], Window]:
    """The network with these arrays as a function of one window (h, w, 3) -> (h - 2 m, w - 2 m, 3) uint8."""
    margin = sets.margin_px
    kernels = [torch.from_numpy(a).contiguous(memory_format=torch.channels_last) for a in arrays[::2]]
    (kernel, bias), *later = zip(kernels, map(torch.from_numpy, arrays[1::2]), strict=True)
    # What a layer finds in cells of pixels, it finds as fast in the pixels, in steps of a cell.
    kernel = functional.pixel_shuffle(kernel, sets.unshuffle).contiguous(memory_format=torch.channels_last)
    in_bf16 = has_bf16()

    # Windows come in few sizes, one after the other, and repeating a table takes as long as half a layer.
    @functools.lru_cache(maxsize=4)
    def first_bias(height: int, width: int) -> Tensor:
        return repeated(bias, torch.Size((height, width)))[None].contiguous(memory_format=torch.channels_last)

    def run(window: Window) -> Window:
        with torch.inference_mode():
            # (h, w, 3) bytes are a channels-last picture already.
            picture = torch.from_numpy(window)[None].permute(0, 3, 1, 2)
            # The first layer takes small differences of large levels, for which bf16 is too coarse.
            planes = functional.conv2d(picture.float(), kernel, stride=sets.unshuffle)
            planes.add_(first_bias(*planes.shape[-2:]))
            with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
                planes = later_layers(planes, later, sets.dilations, sets.rounds)
            change = functional.pixel_shuffle(planes, sets.unshuffle).float()
            inner = picture[..., margin:-margin, margin:-margin]
            levels = change.add_(inner).round_().clamp_(0, 255).to(torch.uint8)
            return np.asarray(levels[0].permute(1, 2, 0).numpy(), np.uint8)

    return run
