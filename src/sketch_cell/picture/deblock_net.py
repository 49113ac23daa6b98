"""The deblocking networks in torch: five convolutions, exactly 57,987 parameters per set of weights.

A model may hold several sets, one per strength of quantisation; the network for a picture is the
straight-line mixture of the two sets nearest to the picture's own table, and is again 57,987 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sketch_cell.picture.dct import MOST_CLIPPED, block_cosines, chroma_planes
from sketch_cell.picture.quality import BLOCK_PX
from sketch_cell.picture.weights import BETWEEN, border_px, in_rounds, margin_cells, mixed

PARAMETERS = 57_987


@dataclass(frozen=True)
class Layout:
    """Shape of a network: a pixel-unshuffle, then five valid convolutions.

    `phases` > 1 makes a layer's bias a table over the position inside the JPEG block, `phases` x `phases`
    cells of `unshuffle` pixels each; the picture's origin must then lie on a block corner.
    With `rounds` > 1 the three layers between are run so many times, with the same kernels but biases of each round's
    own, and what they find is added to the planes they were given (Tai, Yang, Liu, "Image super-resolution via deep
    recursive residual network", CVPR 2017): more depth and a wider field for as many parameters. Their biases are
    then no tables, and the last of them has as many planes as the first layer.
    Where it `holds`, the last layer has gains in place of biases, one for each coefficient of a block:
    see `picture.dct.held`.
    """

    name: str
    unshuffle: int
    kernels: tuple[int, ...]
    widths: tuple[int, ...]
    dilations: tuple[int, ...]
    phases: tuple[int, ...]
    rounds: int = 1
    holds: bool = False

    @property
    def planes(self) -> int:
        """Planes that enter the first and leave the last convolution."""
        return 3 * self.unshuffle**2

    @property
    def margin_px(self) -> int:
        """Pixels lost on each side of a picture, because the convolutions are valid ones."""
        return self.unshuffle * margin_cells(self.kernels, self.dilations, self.rounds)

    @property
    def border_px(self) -> int:
        """The margin in whole blocks."""
        return border_px(self.margin_px)

    def shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Shapes of the layers' kernels (out, in, k, k) and biases (out, phases, phases), one bias of a round after
        the other."""
        inputs, outputs = (self.planes, *self.widths), (*self.widths, self.planes)
        runs = (1, self.rounds, self.rounds, self.rounds, 1)
        kernels = [(o, i, k, k) for o, i, k in zip(outputs, inputs, self.kernels, strict=True)]
        biases = [(r * o, p, p) for r, o, p in zip(runs, outputs, self.phases, strict=True)]
        if self.holds:
            del biases[-1]
        return [*kernels], [*biases]


# The original system's layout, reconstructed: receptive field 17, the block and its eight neighbours.
REFERENCE = Layout("reference", 1, (3, 5, 5, 3, 5), (32, 32, 32, 16), (1, 1, 1, 1, 1), (1, 1, 1, 1, 1))
# A quarter of the work per pixel; receptive field 34, which spans the 16-pixel blocks of 4:2:0 chroma.
FAST = Layout("fast", 2, (3, 3, 3, 3, 3), (32, 47, 46, 40), (1, 2, 2, 2, 1), (4, 1, 1, 1, 1))
# As many parameters, run as 14 convolutions; receptive field 58.
FINE = Layout(
    "fine", 2, (3, 3, 3, 3, 3), (42, 45, 39, 42), (1, 1, 1, 1, 1), (4, 1, 1, 1, 1), rounds=4, holds=True
)
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
        gains = (3, BLOCK_PX, BLOCK_PX) if layout.holds else (0,)
        count = sum(math.prod(shape) for shape in (*kernels, *biases, gains))
        if count != PARAMETERS:
            raise ValueError(f"layout {layout.name} has {count} parameters, not {PARAMETERS}")
        self.layout, self.sets = layout, sets
        self.kernels = nn.ParameterList(torch.empty(sets, *shape) for shape in kernels)
        self.biases = nn.ParameterList(torch.zeros(sets, *shape) for shape in biases)
        self.gains = nn.Parameter(torch.ones(sets, *gains))
        for kernel in self.kernels:
            nn.init.normal_(kernel, std=(2.0 / kernel[0, 0].numel()) ** 0.5)
        if layout.rounds > 1:
            # What the rounds add must not blow up what they are given.
            self.kernels[-2].data /= layout.rounds
        # The last layer starts at nothing, so that training starts from the JPEG itself.
        nn.init.zeros_(self.kernels[-1])
        inputs = self.kernels[0][0, 0].numel()
        self.register_buffer("whiten", torch.eye(inputs))
        self.register_buffer("mean", torch.zeros(layout.planes))
        self.register_buffer("colour", torch.eye(layout.planes))

    def weights(self, position: float = 0.0) -> Weights:
        """(kernel, bias) of each convolution in turn, mixed from the sets around `position` (0 .. sets - 1), the
        first kernel for whitened inputs."""
        kernels, biases = ([mixed(part, position) for part in p] for p in (self.kernels, self.biases))
        kernels[0] = (kernels[0].flatten(1) @ self.whiten).view_as(kernels[0])
        return in_rounds(kernels, self._of_five(biases), self.layout.rounds)

    def _of_five(self, biases: list[Tensor]) -> list[Tensor]:
        """The biases of all five layers: zeros for the last one's, where it has gains instead."""
        return [*biases, biases[0].new_zeros(self.layout.planes, 1, 1)] if self.layout.holds else biases

    def forward(
        self,
        picture: Tensor,
        position: float = 0.0,
        luma_table: NDArray[np.int64] | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Repair `picture` (B, 3, H, W) [levels 0..255, RGB]; returns (B, 3, H - 2 b, W - 2 b), b = border_px.

        H and W are multiples of 8 and the picture's origin is a block corner. A layout that `holds` does so where the
        file's `luma_table` (8, 8) is given. Of grey pictures the second and third planes may be what is `known` of the
        original so far (B, 3, H, W): the picture itself, or what an earlier reading made of it.
        """
        seen = picture if known is None else torch.cat([picture[:, :1], known[:, 1:]], dim=1)
        cells = functional.pixel_unshuffle(seen, self.layout.unshuffle) - self.mean[:, None, None]
        # The whitened kernel takes small differences of large levels, for which bf16 is too coarse.
        with torch.autocast("cpu", enabled=False):
            (kernel, bias), *others = self.weights(position)
            first = convolved(cells, kernel, bias, self.layout.dilations[0])
        change = later_layers(first, others, self.layout.dilations, self.layout.rounds)
        with torch.autocast("cpu", enabled=False):
            change = torch.einsum("oi,bihw->bohw", self.colour, change.float())
        border = self.layout.border_px
        extra = border - self.layout.margin_px
        change = _inner(functional.pixel_shuffle(change, self.layout.unshuffle), extra)
        if known is not None:
            change = change.mean(dim=1, keepdim=True).expand_as(change)
        inner = _inner(picture, border)
        if self.layout.holds and luma_table is not None:
            change = held(change, inner, luma_table, mixed(self.gains, position))
        return inner + change

    def folded(self, number: int) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """Kernels and biases of the five layers of set `number` with both whitenings folded in: for raw levels."""
        kernels, biases = (
            [part[number].detach().double() for part in parts] for parts in (self.kernels, self.biases)
        )
        whiten, mean, colour = (part.double() for part in (self.whiten, self.mean, self.colour))
        kernels[0] = (kernels[0].flatten(1) @ whiten).view_as(kernels[0])
        biases[0] = biases[0] - torch.einsum("ojkl,j->o", kernels[0], mean)[:, None, None]
        kernels[-1] = torch.einsum("po,oikl->pikl", colour, kernels[-1])
        biases = self._of_five(biases)
        biases[-1] = torch.einsum("po,oyx->pyx", colour, biases[-1])
        return [k.float().numpy() for k in kernels], [b.float().numpy() for b in biases]

    def unfold(self, number: int, kernels: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]]) -> None:
        """Make set `number` what `folded` gave as `kernels` and `biases`, for the whitenings of this network."""
        ks, bs = ([torch.from_numpy(part).double() for part in parts] for parts in (kernels, biases))
        whiten, mean, colour = (part.double() for part in (self.whiten, self.mean, self.colour))
        bs[0] = bs[0] + torch.einsum("ojkl,j->o", ks[0], mean)[:, None, None]
        ks[0] = (ks[0].flatten(1) @ torch.linalg.inv(whiten)).view_as(ks[0])
        ks[-1] = torch.einsum("op,pikl->oikl", torch.linalg.inv(colour), ks[-1])
        bs[-1] = torch.einsum("op,pyx->oyx", torch.linalg.inv(colour), bs[-1])
        with torch.no_grad():
            for parts, values in ((self.kernels, ks), (self.biases, bs[: len(self.biases)])):
                for part, value in zip(parts, values, strict=True):
                    part[number].copy_(value)


def held(change: Tensor, jpeg: Tensor, luma_table: NDArray[np.int64], gains: Tensor) -> Tensor:
    """`picture.dct.held` of each of several pictures (B, 3, H, W), with a gradient."""
    cosines, to_planes, to_rgb = (torch.from_numpy(m) for m in (block_cosines(), *chroma_planes()))
    rows = _blocks(change)
    coefficients = torch.einsum("ij,pc,bncj->bnpi", cosines, to_planes, rows) * gains.flatten(1)
    half_step = torch.from_numpy(luma_table).flatten().float() / 2
    luma, chroma = coefficients.split([1, 2], dim=2)
    kept = torch.cat([half_step * torch.tanh(luma / half_step), chroma], dim=2)
    levels = _blocks(jpeg)
    is_clipped = ((levels == 0) | (levels == 255)).any(dim=2).sum(dim=2) > MOST_CLIPPED
    rows = torch.where(
        is_clipped[..., None, None], rows, torch.einsum("ij,cp,bnpi->bncj", cosines, to_rgb, kept)
    )
    return functional.fold(rows.flatten(2).mT, change.shape[-2:], BLOCK_PX, stride=BLOCK_PX)


def _blocks(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, blocks, 3, 64)."""
    return functional.unfold(pictures, BLOCK_PX, stride=BLOCK_PX).mT.unflatten(2, (3, -1))


def later_layers(planes: Tensor, weights: Weights, dilations: tuple[int, ...], rounds: int) -> Tensor:
    """The convolutions after the first, each behind a ReLU: (B, C, h, w) -> (B, planes, h - 2 c, w - 2 c).

    From two rounds on, a round adds to the planes it is given. `dilations` are those of all five layers.
    """
    for turn in range(rounds):
        found = planes
        for layer in BETWEEN:
            found = convolved(functional.relu(found), *weights[3 * turn + layer - 1], dilations[layer])
        planes = found if rounds == 1 else found + _inner(planes, (planes.shape[-1] - found.shape[-1]) // 2)
    return convolved(functional.relu(planes), *weights[-1], dilations[-1])


def _inner(planes: Tensor, border: int) -> Tensor:
    height, width = planes.shape[-2:]
    return planes[..., border : height - border, border : width - border]


def convolved(planes: Tensor, kernel: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """One valid convolution; a `bias` (C, p, p) with p > 1 repeats over the plane, or (C, h, w) is as large as it."""
    planes = planes.contiguous(memory_format=torch.channels_last)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    if bias.shape[-1] == 1:
        return functional.conv2d(planes, kernel, bias[:, 0, 0], dilation=dilation)
    planes = functional.conv2d(planes, kernel, dilation=dilation)
    table = repeated(bias, planes.shape[-2:])[None].to(planes.dtype)
    return planes + table.contiguous(memory_format=torch.channels_last)


def repeated(table: Tensor, size: torch.Size) -> Tensor:
    """A table (C, p, p) repeated over a plane: (C, *size)."""
    if table.shape[1:] == size:
        return table
    phases = table.shape[-1]
    rows, columns = -(-size[0] // phases), -(-size[1] // phases)
    return cast(Tensor, table.repeat(1, rows, columns))[:, : size[0], : size[1]]
