"""Small tables of numbers that one command writes and another reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sketch_cell.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_table(path: Path, header: str, maker: str) -> NDArray[np.float64]:
    """Two columns (N, 2) of a CSV file with this header; raises `InputError` that names the `maker` for any other."""
    import numpy as np

    try:
        with path.open(encoding="utf-8-sig") as lines:
            found = lines.readline().strip().replace(" ", "")
            table = np.loadtxt(lines, delimiter=",", ndmin=2)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its name.") from error
    except ValueError as error:
        raise InputError(f"{path} is not a table of numbers. Make one with {maker}.") from error
    if found != header or table.shape[1:] != (2,) or len(table) < 2 or not np.isfinite(table).all():
        raise InputError(f"{path} is not a table with the header {header}. Make one with {maker}.")
    return table
