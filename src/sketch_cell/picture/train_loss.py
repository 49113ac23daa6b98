"""What the training of the deblocking network minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sketch_cell.picture.quality import BLOCK_PX, LUMA

# PSNR-B adds a third of the blocking effect to the squared error (for a side of 512 pixels). So much costs up to
# 0.1 dB of PSNR. Of `fine`, a ninth took all of the effect, a thirtieth nearly all; 0.015 leaves what its goal allows.
BLOCKING_SHARES = {"fast": 1 / 9, "reference": 1 / 9, "fine": 0.015}


def relative_loss(
    repaired: Tensor, jpeg: Tensor, clean: Tensor, usual: Tensor, blocking_share: float
) -> Tensor:
    """Squared error of each picture and a share of its blocking effect, relative to its JPEG's squared error.

    So each quality, and each picture, counts by its improvement in decibels; `usual` is (B,) [levels^2], what
    is usual at its quality, and damps pictures that lost next to nothing. Pictures start on a block corner.
    """
    before = (jpeg - clean).square().mean(dim=(1, 2, 3))
    after = (repaired - clean).square().mean(dim=(1, 2, 3)) + blocking_share * blocking_effect(repaired)
    return (after / (before + 0.5 * usual)).mean()


def blocking_effect(pictures: Tensor) -> Tensor:
    """`picture.quality.blocking_effect` of each of `pictures` (B, 3, H, W), with a gradient: (B,) [levels^2]."""
    luma = torch.einsum("c,bchw->bhw", torch.tensor(LUMA), pictures)
    excess = torch.zeros(len(luma))
    for planes in (luma, luma.mT):
        steps = planes.diff(dim=2).square().mean(dim=1)
        edge = torch.arange(1, planes.shape[2]) % BLOCK_PX == 0
        excess = excess + (steps[:, edge].mean(dim=1) - steps[:, ~edge].mean(dim=1)) / 2
    return functional.relu(excess)
