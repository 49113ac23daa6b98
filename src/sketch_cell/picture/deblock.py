"""Repair of JPEG damage: the right network for the file's quantisation table, run over overlapping tiles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.packages import is_installed
from sketch_cell.picture.dct import held
from sketch_cell.picture.jpeg import strength_of_quality, table_strength
from sketch_cell.picture.trace import traced_jpeg
from sketch_cell.picture.weights import (
    FINE_QUALITIES,
    NETWORKS,
    WITH_FEEDBACK,
    Floats,
    WeightSets,
    border_px,
    load_weights,
    padded,
)

Image = NDArray[np.uint8]
Network = Callable[[Image], Floats]
Hold = Callable[[Floats, Image], Floats]

RUNTIMES = ("auto", "torch", "onnxruntime", "int8")
MOST_TILE_PX = 512
# Tiles start on corners of 4:2:0 blocks and what surrounds them is whole 8 x 8 blocks, so that each sees the JPEG grid
# where the network expects it.
GRID_PX = 16
NETWORKS_KEPT = 12
# The flips and turns of a window that keep the grid: upside down (1), left for right (2), rows for columns (4).
MOST_LOOKS = 8
# Pixels that `fast` may work through while a person waits for one picture: about two seconds.
BUDGET_PX = 14_500_000
# Time of one look at a pixel, in that of `fast`.
COSTS = {"fast": 1.0, "fine": 4.0}
# A picture without any trace may never have been a JPEG, or one of quality 95: half the repair harms neither.
UNTRACED_SHARE = 0.5


class Deblocker:
    """Repairs pictures; holds the networks it has used lately.

    `runtime` is `torch`, `onnxruntime`, or `auto`: torch where it is installed, else onnxruntime; or `int8`:
    onnxruntime in whole numbers, twice as fast and 0.01 to 0.02 dB worse, for `fast` alone. `network` is
    `fast`, `fine` (four times the work for up to a tenth of a decibel more) or `auto`: `fine` for small pictures of
    the qualities that it is better at. It looks at each part of a picture `looks` (1..8) times, flipped and turned,
    and its answers are averaged (Timofte, Rothe, Van Gool, CVPR 2016); None stands for as many as a picture's size
    allows within two seconds.
    Raises `InputError` where the runtime is not installed.
    """

    def __init__(self, runtime: str = "auto", network: str = "fast", looks: int | None = 1) -> None:
        self.runtime = _installed_runtime(runtime)
        if network not in ("auto", *NETWORKS):
            raise InputError(
                f"The network {network} is not known. Choose one of auto, {', '.join(NETWORKS)}."
            )
        if runtime == "int8" and network == "fine":
            raise InputError(
                "The runtime int8 has no network fine. Choose the network fast or another runtime."
            )
        self.network = "fast" if runtime == "int8" else network
        self.looks = looks
        self._networks: OrderedDict[tuple[str, str, float], Network] = OrderedDict()

    def repair(
        self,
        image: Image,
        luma_table: NDArray[np.int64] | None = None,
        strength: float = 1.0,
        *,
        resaved: bool = True,
    ) -> Image:
        """A repaired copy of `image`, uint8 (H, W, 3) RGB or (H, W) grey, of any size.

        `luma_table` (8, 8) is the quantisation table of the JPEG that `image` was decoded from, whose grid starts
        at its first pixel. Without one, the table and grid are looked for in the pixels, and where they cannot be
        found the picture is repaired blindly and half way. A JPEG that was a coarser JPEG before, on whatever
        grid, is repaired as that one, unless `resaved` is false: a camera's JPEGs never are. `strength` 0..1
        blends from the JPEG to the repair.
        """
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise ValueError(f"image must be uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
        trace = traced_jpeg(image, luma_table) if resaved or luma_table is None else None
        if trace is None:
            share = 1.0 if luma_table is not None else UNTRACED_SHARE
            return self.repair_on_grid(image, luma_table, share * strength)
        if trace.is_turned:
            turned_back = self.repair_on_grid(
                image.swapaxes(0, 1), trace.luma_table, strength, trace.corner[::-1]
            )
            return np.ascontiguousarray(turned_back.swapaxes(0, 1))
        return self.repair_on_grid(image, trace.luma_table, strength, trace.corner)

    def repair_on_grid(
        self,
        image: Image,
        luma_table: NDArray[np.int64] | None,
        strength: float = 1.0,
        corner: tuple[int, int] = (0, 0),
    ) -> Image:
        """As `repair`, with the blind weights where `luma_table` is None, whatever the pixels betray.

        `corner` is the row and column at which a block of the JPEG's grid begins.
        """
        kind = "blind" if luma_table is None else "grey" if image.ndim == 2 else "colour"
        wanted = "fast" if self.network == "auto" and not fine_is_closer(kind, luma_table) else self.network
        layout, looks = effort(image.shape[0] * image.shape[1], wanted, self.looks, kind)
        sets = load_weights(kind, layout)
        position = 0.0 if luma_table is None else sets.position(table_strength(luma_table))
        network = self._network(kind, layout, sets, position)
        gains, hold = sets.gains_at(position), None
        if luma_table is not None and gains is not None:
            hold = partial(held, luma_table=luma_table, gains=gains)

        def read(known: Image, looks: int, strength: float) -> Image:
            repaired = np.empty_like(image)
            for rows, columns in tiles(image.shape[0], image.shape[1], MOST_TILE_PX, corner):
                tile = _repair_tile(image, known, rows, columns, network, sets.margin_px, looks, hold)
                # The first tiles may begin before the picture does.
                tile = tile[max(-rows.start, 0) :, max(-columns.start, 0) :]
                within = slice(max(rows.start, 0), rows.stop), slice(max(columns.start, 0), columns.stop)
                repaired[within] = tile if strength == 1.0 else blend(image[within], tile, strength)
            return repaired

        # Of the first reading one look will do: more of them leave the second where it is.
        known = read(image, 1, 1.0) if (layout, kind) in WITH_FEEDBACK else image
        return read(known, looks, strength)

    def _network(self, kind: str, layout: str, sets: WeightSets, position: float) -> Network:
        key = (kind, layout, position)
        if key not in self._networks:
            self._networks[key] = _built(self.runtime, layout, sets, position)
        self._networks.move_to_end(key)
        while len(self._networks) > NETWORKS_KEPT:
            self._networks.popitem(last=False)
        return self._networks[key]


def stream_runtime() -> str:
    """What `auto` is for a stream: `int8` where it can be and is quick, since frames come faster than a person sees."""
    if is_installed("onnxruntime"):
        from sketch_cell.picture.runtime_int8 import multiplies_bytes

        if multiplies_bytes():
            return "int8"
    return "auto"


def _installed_runtime(runtime: str) -> str:
    if runtime not in RUNTIMES:
        raise InputError(f"The runtime {runtime} is not known. Choose one of {', '.join(RUNTIMES)}.")
    packages = {"auto": ("torch", "onnxruntime"), "int8": ("onnxruntime",)}
    wanted = packages.get(runtime, (runtime,))
    for name in wanted:
        if is_installed(name):
            return "int8" if runtime == "int8" else name
    raise InputError(f"JPEG repair needs {' or '.join(wanted)}. Install it with: pip install onnxruntime.")


def _built(runtime: str, layout: str, sets: WeightSets, position: float) -> Network:
    arrays = padded(sets.at(position))
    if runtime == "torch":
        from sketch_cell.picture import runtime_torch

        return runtime_torch.network(sets, arrays)
    if runtime == "int8":
        from sketch_cell.picture import runtime_int8

        return runtime_int8.network(sets, arrays, sets.peaks_at(position))
    from sketch_cell.picture import runtime_onnx

    return runtime_onnx.network(sets, arrays, layout)


def fine_is_closer(kind: str, luma_table: NDArray[np.int64] | None) -> bool:
    """Whether `fine` comes closer than `fast` to the originals of JPEGs with this table."""
    if luma_table is None:
        return False
    strongest, mildest = (strength_of_quality(quality) for quality in FINE_QUALITIES[kind])
    return mildest <= table_strength(luma_table) <= strongest


def tiles(
    height: int, width: int, most_px: int, corner: tuple[int, int] = (0, 0)
) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles that cover a picture: evenly large, each starting on the grid.

    Where `corner`, a block's first row and column, is off the picture's own grid, the first tiles begin before it.
    """
    for rows in _spans(height, most_px, -(-corner[0] % GRID_PX)):
        for columns in _spans(width, most_px, -(-corner[1] % GRID_PX)):
            yield rows, columns


def _spans(length: int, most_px: int, first: int) -> list[slice]:
    count = -(-(length - first) // most_px)
    step = -(-(length - first) // (count * GRID_PX)) * GRID_PX
    return [slice(start, min(start + step, length)) for start in range(first, length, step)]


def effort(pixels: int, network: str, looks: int | None, kind: str) -> tuple[str, int]:
    """Network and looks for a picture of so many pixels: what `BUDGET_PX` allows in place of `auto` and None.

    Where weights of this `kind` read twice, the first reading is one look more.
    """
    if network == "auto":
        fitting = _fitting_looks(pixels, "fine", kind)
        network = "fine" if fitting >= (looks or 1) else "fast"
    return network, looks or min(max(_fitting_looks(pixels, network, kind), 1), MOST_LOOKS)


def _fitting_looks(pixels: int, network: str, kind: str) -> int:
    return int(BUDGET_PX / (pixels * COSTS[network])) - ((network, kind) in WITH_FEEDBACK)


def _repair_tile(
    image: Image,
    known: Image,
    rows: slice,
    columns: slice,
    network: Network,
    margin_px: int,
    looks: int,
    hold: Hold | None,
) -> Image:
    height, width = rows.stop - rows.start, columns.stop - columns.start
    border = border_px(margin_px)
    jpeg = window_of(image, rows, columns, border)
    window = jpeg
    if image.ndim == 2:
        beside = jpeg if known is image else window_of(known, rows, columns, border)
        window = np.dstack([jpeg, beside, beside])
    changes = [
        _within(
            turned(network(np.ascontiguousarray(turned(window, look))), look, back=True), border - margin_px
        )
        for look in range(looks)
    ]
    change = changes[0] if looks == 1 else np.asarray(np.mean(changes, axis=0, dtype=np.float32))
    jpeg = _within(jpeg, border)
    if image.ndim == 2:
        change = change.mean(axis=2)
    if hold is not None:
        change = hold(change, jpeg)
    return np.asarray(cv2.add(jpeg, change, dtype=cv2.CV_8U)[:height, :width], np.uint8)


def _within(picture: NDArray[Any], border: int) -> NDArray[Any]:
    return picture[border : len(picture) - border, border : picture.shape[1] - border]


def turned(window: NDArray[Any], look: int, *, back: bool = False) -> NDArray[Any]:
    """A view of `window` (h, w, 3), flipped and turned as number `look` 0..7 of the eight looks, or back from it."""
    window = window.transpose(1, 0, 2) if look & 4 and not back else window
    window = window[:: -1 if look & 1 else 1, :: -1 if look & 2 else 1]
    return window.transpose(1, 0, 2) if look & 4 and back else window


def window_of(image: Image, rows: slice, columns: slice, border: int) -> Image:
    """The tile with `border` pixels around it, mirrored beyond the picture, its sides multiples of the grid."""
    spans = []
    for part, length in ((rows, image.shape[0]), (columns, image.shape[1])):
        end = part.start + -(-(part.stop - part.start) // GRID_PX) * GRID_PX
        spans.append(_mirrored(np.arange(part.start - border, end + border), length))
    first, last = ([int(choice(span)) for span in spans] for choice in (np.min, np.max))
    window = image[first[0] : last[0] + 1, first[1] : last[1] + 1]
    # Picking rows, then columns, is four times as fast as both at once.
    for axis, span in enumerate(spans):
        if window.shape[axis] != len(span) or (np.diff(span) != 1).any():
            window = window.take(span - first[axis], axis)
    return np.ascontiguousarray(window)


def _mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Places folded back into 0 .. length - 1, the edge pixel repeated (`symmetric` of numpy's pad)."""
    folded = np.mod(places, 2 * length)
    return np.asarray(np.minimum(folded, 2 * length - 1 - folded))


def blend(before: Image, after: Image, strength: float) -> Image:
    """Levels between `before` (strength 0) and `after` (1)."""
    mixed = before + strength * (after.astype(np.float32) - before)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
