"""Compiles every numba kernel of a cell once, so that the first drawing does not wait for the compiler.

Run as `python -m sketch_cell.warm_up`; numba keeps the result beside the modules.
"""

from __future__ import annotations

import numpy as np

from sketch_cell.control.deviation import deviation
from sketch_cell.drawing.plan import plan_line
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.twin.toy import Toy, ToySettings
from sketch_cell.vision.warm_up import warm_up


def main() -> None:
    """Call each kernel with small arrays of the shapes and types of real ones."""
    along_m = np.linspace(0.02, 0.08, 200)
    line_m = np.column_stack([along_m, 0.05 + 0.001 * np.sin(along_m * 3000)])
    Toy(ToySettings(), seed=1).move(line_m, 1e-3)
    deviation(line_m, line_m)
    plan_line(np.full((8, 8), 128, np.uint8), LineSettings(cells=8, iterations=1))
    warm_up()


if __name__ == "__main__":
    main()
