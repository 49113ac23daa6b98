"""sketch_cell: a robot cell that turns a photo into something a machine makes."""

from pathlib import Path

from sketch_cell.kernel_cache import let_numba_cache

__version__ = "0.1.0"

let_numba_cache(Path(__file__).parent)
