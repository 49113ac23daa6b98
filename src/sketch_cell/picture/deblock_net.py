"""The deblocking network in torch: five convolutions, exactly 57,987 parameters per set of weights.

A model may hold several sets, one per strength of quantisation; the network for a picture is the
straight-line mixture of the two sets nearest to the picture's own table, and is again 57,987 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

PARAMETERS = 57_987


@dataclass(frozen=True)
class Layout:
    """Shape of a network: a pixel-unshuffle, then five valid convolutions.

    `phases` > 1 makes the first bias a table over the position inside the JPEG block, `phases` x `phases`
    cells of `unshuffle` pixels each; the picture's origin must then lie on a block corner.
    """

    name: str
    unshuffle: int
    kernels: tuple[int, ...]
    widths: tuple[int, ...]
    dilations: tuple[int, ...]
    phases: int

    @property
    def planes(self) -> int:
        """Planes that enter the first and leave the last convolution."""
        return 3 * self.unshuffle**2

    @property
    def margin_px(self) -> int:
        """Pixels lost on each side of a picture, because the convolutions are valid ones."""
        cells = sum(d * (k - 1) // 2 for k, d in zip(self.kernels, self.dilations, strict=True))
        return cells * self.unshuffle

    def shapes(self) -> list[tuple[tuple[int, int, int, int], tuple[int, int, int]]]:
        """Per layer the shapes of its kernel (out, in, k, k) and of its bias (out, phases, phases)."""
        inputs = (self.planes, *self.widths)
        outputs = (*self.widths, self.planes)
        phases = (self.phases, 1, 1, 1, 1)
        return [
            ((o, i, k, k), (o, p, p))
            for i, o, k, p in zip(inputs, outputs, self.kernels, phases, strict=True)
        ]


# The original system's layout, reconstructed: receptive field 17, the block and its eight neighbours.
REFERENCE = Layout("reference", 1, (3, 5, 5, 3, 5), (32, 32, 32, 16), (1, 1, 1, 1, 1), 1)
# A quarter of the work per pixel; receptive field 34, which spans the 16-pixel blocks of 4:2:0 chroma.
FAST = Layout("fast", 2, (3, 3, 3, 3, 3), (32, 47, 46, 40), (1, 2, 2, 2, 1), 4)
LAYOUTS = {layout.name: layout for layout in (FAST, REFERENCE)}

Weights = list[tuple[Tensor, Tensor]]


def planes_of(pictures: NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 levels."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()


class DeblockNet(nn.Module):
    """`sets` sets of weights of one layout, with the whitening of input and output beside them."""

    whiten: Tensor
    mean: Tensor
    colour: Tensor

    def __init__(self, layout: Layout = FAST, sets: int = 1) -> None:
        super().__init__()
        count = sum(int(np.prod(kernel)) + int(np.prod(bias)) for kernel, bias in layout.shapes())
        if count != PARAMETERS:
            raise ValueError(f"layout {layout.name} has {count} parameters, not {PARAMETERS}")
        self.layout, self.sets = layout, sets
        self.kernels = nn.ParameterList(torch.empty(sets, *kernel) for kernel, _ in layout.shapes())
        self.biases = nn.ParameterList(torch.zeros(sets, *bias) for _, bias in layout.shapes())
        for kernel in self.kernels:
            fan_in = kernel[0, 0].numel()
            nn.init.normal_(kernel, std=(2.0 / fan_in) ** 0.5)
        # The last layer starts at nothing, so that training starts from the JPEG itself.
        nn.init.zeros_(self.kernels[-1])
        inputs = self.kernels[0][0, 0].numel()
        self.register_buffer("whiten", torch.eye(inputs))
        self.register_buffer("mean", torch.zeros(layout.planes))
        self.register_buffer("colour", torch.eye(layout.planes))

    def weights(self, position: float = 0.0) -> Weights:
        """Five (kernel, bias) pairs mixed from the sets on both sides of `position` (0 .. sets - 1)."""
        low = min(int(position), max(self.sets - 2, 0))
        share = position - low
        high = min(low + 1, self.sets - 1)
        return [
            (torch.lerp(k[low], k[high], share), torch.lerp(b[low], b[high], share))
            for k, b in zip(self.kernels, self.biases, strict=True)
        ]

    def forward(self, picture: Tensor, position: float = 0.0) -> Tensor:
        """Repair `picture` (B, 3, H, W) [levels 0..255, RGB]; returns (B, 3, H - 2 m, W - 2 m), m = margin_px.

        H and W are multiples of 8 and the picture's origin is a block corner.
        """
        cells = functional.pixel_unshuffle(picture, self.layout.unshuffle) - self.mean[:, None, None]
        (kernel, bias), *others = self.weights(position)
        # The whitened kernel takes small differences of large levels, for which bf16 is too coarse.
        with torch.autocast("cpu", enabled=False):
            kernel = (kernel.flatten(1) @ self.whiten).view_as(kernel)
            first = functional.relu(convolved(cells, kernel, bias, self.layout.dilations[0]))
        change = later_layers(first, others, self.layout)
        with torch.autocast("cpu", enabled=False):
            change = torch.einsum("oi,bihw->bohw", self.colour, change.float())
        margin = self.layout.margin_px
        inner = picture[..., margin : picture.shape[-2] - margin, margin : picture.shape[-1] - margin]
        return inner + functional.pixel_shuffle(change, self.layout.unshuffle)

    def folded(self, number: int) -> list[NDArray[np.float32]]:
        """Set `number` with both whitenings folded in: kernel, bias, kernel, bias ... for raw levels."""
        pairs = [
            (k[number].detach().double(), b[number].detach().double())
            for k, b in zip(self.kernels, self.biases, strict=True)
        ]
        first, last = pairs[0], pairs[-1]
        kernel = (first[0].flatten(1) @ self.whiten.double()).view_as(first[0])
        bias = first[1] - torch.einsum("ojkl,j->o", kernel, self.mean.double())[:, None, None]
        pairs[0] = (kernel, bias)
        colour = self.colour.double()
        pairs[-1] = (
            torch.einsum("po,oikl->pikl", colour, last[0]),
            torch.einsum("po,oyx->pyx", colour, last[1]),
        )
        return [part.float().numpy() for pair in pairs for part in pair]


def later_layers(planes: Tensor, weights: Weights, layout: Layout) -> Tensor:
    """The convolutions after the first, with ReLU between them: (B, C, h, w) -> (B, planes, h - 2 c, w - 2 c)."""
    for number, ((kernel, bias), dilation) in enumerate(zip(weights, layout.dilations[1:], strict=True)):
        planes = convolved(planes, kernel, bias, dilation)
        if number < len(weights) - 1:
            planes = functional.relu(planes)
    return planes


def convolved(planes: Tensor, kernel: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """One valid convolution; a `bias` (C, p, p) with p > 1 repeats over the plane."""
    planes = planes.contiguous(memory_format=torch.channels_last)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    if bias.shape[-1] == 1:
        return functional.conv2d(planes, kernel, bias[:, 0, 0], dilation=dilation)
    planes = functional.conv2d(planes, kernel, dilation=dilation)
    return planes + repeated(bias, planes.shape[-2:])


def repeated(table: Tensor, size: torch.Size) -> Tensor:
    """A table (C, p, p) repeated over a plane: (C, *size)."""
    phases = table.shape[-1]
    rows, columns = -(-size[0] // phases), -(-size[1] // phases)
    return cast(Tensor, table.repeat(1, rows, columns))[:, : size[0], : size[1]]
