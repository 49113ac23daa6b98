"""The deblocking networks in torch: five convolutions, exactly 57,987 parameters per set of weights.

A model may hold several sets, one per strength of quantisation; the network for a picture is the
straight-line mixture of the two sets nearest to the picture's own table, and is again 57,987 numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sketch_cell.picture.shared_looks import LOOKS, shared

PARAMETERS = 57_987


@dataclass(frozen=True)
class Layout:
    """Shape of a network: a pixel-unshuffle, then five valid convolutions.

    `phases` > 1 makes a layer's bias a table over the position inside the JPEG block, `phases` x `phases`
    cells of `unshuffle` pixels each; the picture's origin must then lie on a block corner. 0 stands for no bias.
    With `looks` = 8 the layers between have `widths` planes in each of the eight looks (see `shared_looks.py`).
    """

    name: str
    unshuffle: int
    kernels: tuple[int, ...]
    widths: tuple[int, ...]
    dilations: tuple[int, ...]
    phases: tuple[int, ...]
    looks: int = 1

    @property
    def planes(self) -> int:
        """Planes that enter the first and leave the last convolution."""
        return 3 * self.unshuffle**2

    @property
    def margin_px(self) -> int:
        """Pixels lost on each side of a picture, because the convolutions are valid ones."""
        cells = sum(d * (k - 1) // 2 for k, d in zip(self.kernels, self.dilations, strict=True))
        return cells * self.unshuffle

    def shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """The layers' free numbers: kernels (out, in, k, k), from look to look (out, looks, in, k, k), and
        biases (out, phases, phases)."""
        inputs, outputs = (self.planes, *self.widths), (*self.widths, self.planes)
        kernels: list[tuple[int, ...]] = [
            (o, i, k, k) for o, i, k in zip(outputs, inputs, self.kernels, strict=True)
        ]
        if self.looks > 1:
            kernels[1:-1] = [(o, self.looks, *others) for o, *others in kernels[1:-1]]
        biases: list[tuple[int, ...]] = [(o, p, p) for o, p in zip(outputs, self.phases, strict=True) if p]
        return kernels, biases


# The original system's layout, reconstructed: receptive field 17, the block and its eight neighbours.
REFERENCE = Layout("reference", 1, (3, 5, 5, 3, 5), (32, 32, 32, 16), (1, 1, 1, 1, 1), (1, 1, 1, 1, 1))
# A quarter of the work per pixel; receptive field 34, which spans the 16-pixel blocks of 4:2:0 chroma.
FAST = Layout("fast", 2, (3, 3, 3, 3, 3), (32, 47, 46, 40), (1, 2, 2, 2, 1), (4, 1, 1, 1, 1))
# The same field and as many numbers, which eight looks share: eight times the work for a tenth of a decibel more.
FINE = Layout("fine", 2, (3, 3, 3, 3, 3), (14, 17, 15, 17), (1, 2, 2, 2, 1), (4, 4, 1, 4, 0), looks=LOOKS)
LAYOUTS = {layout.name: layout for layout in (FAST, FINE, REFERENCE)}

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
        kernels, biases = layout.shapes()
        count = sum(math.prod(shape) for shape in (*kernels, *biases))
        if count != PARAMETERS:
            raise ValueError(f"layout {layout.name} has {count} parameters, not {PARAMETERS}")
        self.layout, self.sets = layout, sets
        self.kernels = nn.ParameterList(torch.empty(sets, *shape) for shape in kernels)
        self.biases = nn.ParameterList(torch.zeros(sets, *shape) for shape in biases)
        for kernel in self.kernels:
            nn.init.normal_(kernel, std=(2.0 / kernel[0, 0].numel()) ** 0.5)
        # The last layer starts at nothing, so that training starts from the JPEG itself.
        nn.init.zeros_(self.kernels[-1])
        inputs = self.kernels[0][0, 0].numel()
        self.register_buffer("whiten", torch.eye(inputs))
        self.register_buffer("mean", torch.zeros(layout.planes))
        self.register_buffer("colour", torch.eye(layout.planes))
        if layout.looks > 1:
            # Which free number stands where in the plain convolutions.
            numbers = ([np.arange(math.prod(n)).reshape(n) for n in shapes] for shapes in (kernels, biases))
            places = shared(next(numbers), next(numbers), layout.dilations)
            self._places = [[torch.from_numpy(part.copy()) for part in parts] for parts in places]

    def weights(self, position: float = 0.0) -> Weights:
        """Five (kernel, bias) pairs mixed from the sets on both sides of `position` (0 .. sets - 1), the first
        kernel for whitened inputs."""
        low = min(int(position), max(self.sets - 2, 0))
        share = position - low
        high = min(low + 1, self.sets - 1)
        kernels, biases = (
            [torch.lerp(part[low], part[high], share) for part in parts]
            for parts in (self.kernels, self.biases)
        )
        kernels[0] = (kernels[0].flatten(1) @ self.whiten).view_as(kernels[0])
        return self._plain(kernels, biases)

    def _plain(self, kernels: list[Tensor], biases: list[Tensor]) -> Weights:
        """Kernels and biases of the plain convolutions that the free numbers stand for."""
        if self.layout.looks > 1:
            kernels, biases = (
                [part.flatten()[places] for part, places in zip(parts, all_places, strict=True)]
                for parts, all_places in zip((kernels, biases), self._places, strict=True)
            )
        none = torch.zeros(self.layout.planes, 1, 1)
        return list(zip(kernels, [*biases, none], strict=False))

    def forward(self, picture: Tensor, position: float = 0.0) -> Tensor:
        """Repair `picture` (B, 3, H, W) [levels 0..255, RGB]; returns (B, 3, H - 2 m, W - 2 m), m = margin_px.

        H and W are multiples of 8 and the picture's origin is a block corner.
        """
        cells = functional.pixel_unshuffle(picture, self.layout.unshuffle) - self.mean[:, None, None]
        # The whitened kernel takes small differences of large levels, for which bf16 is too coarse.
        with torch.autocast("cpu", enabled=False):
            (kernel, bias), *others = self.weights(position)
            first = functional.relu(convolved(cells, kernel, bias, self.layout.dilations[0]))
        change = later_layers(first, others, self.layout)
        with torch.autocast("cpu", enabled=False):
            change = torch.einsum("oi,bihw->bohw", self.colour, change.float())
        margin = self.layout.margin_px
        inner = picture[..., margin : picture.shape[-2] - margin, margin : picture.shape[-1] - margin]
        return inner + functional.pixel_shuffle(change, self.layout.unshuffle)

    def folded(self, number: int) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """Kernels and biases of set `number`, free numbers only, with both whitenings folded in: for raw levels."""
        kernels, biases = (
            [part[number].detach().double() for part in parts] for parts in (self.kernels, self.biases)
        )
        whiten, mean, colour = (part.double() for part in (self.whiten, self.mean, self.colour))
        kernels[0] = (kernels[0].flatten(1) @ whiten).view_as(kernels[0])
        biases[0] = biases[0] - torch.einsum("ojkl,j->o", kernels[0], mean)[:, None, None]
        kernels[-1] = torch.einsum("po,oikl->pikl", colour, kernels[-1])
        if len(biases) == len(kernels):
            biases[-1] = torch.einsum("po,oyx->pyx", colour, biases[-1])
        return [k.float().numpy() for k in kernels], [b.float().numpy() for b in biases]


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
    table = repeated(bias, planes.shape[-2:])[None].to(planes.dtype)
    return planes + table.contiguous(memory_format=torch.channels_last)


def repeated(table: Tensor, size: torch.Size) -> Tensor:
    """A table (C, p, p) repeated over a plane: (C, *size)."""
    phases = table.shape[-1]
    rows, columns = -(-size[0] // phases), -(-size[1] // phases)
    return cast(Tensor, table.repeat(1, rows, columns))[:, : size[0], : size[1]]
