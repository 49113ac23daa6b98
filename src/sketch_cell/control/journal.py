"""What must survive a crash of a drawing that takes an hour: where it is, and what was learnt about the machine."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.files import whole_file

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Entry:
    """A drawing under way: which line, how far along it [m], and offset and backlash (x, y) [m] as estimated."""

    line: str
    along_m: float
    offset_m: tuple[float, float]
    backlash_m: tuple[float, float]


def line_digest(line_m: Array) -> str:
    """A name for a line (N, 2) [m] that changes when any point moves by a micrometre."""
    return hashlib.sha256(np.round(line_m * 1e6).astype("<i8").tobytes()).hexdigest()


def save(path: Path, entry: Entry) -> None:
    """Replace the journal at `path`; after a power cut it holds this entry or the one before, never a part."""
    with whole_file(path) as temporary, temporary.open("w") as file:
        json.dump(asdict(entry), file)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> Entry | None:
    """The entry at `path`, None where there is no file; raises `InputError` for a file that is no journal."""
    try:
        content = json.loads(path.read_text())
        entry = Entry(
            line=str(content["line"]),
            along_m=float(content["along_m"]),
            offset_m=_pair(content["offset_m"]),
            backlash_m=_pair(content["backlash_m"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not the journal of a drawing ({error}): delete it.") from error
    if not np.isfinite([entry.along_m, *entry.offset_m, *entry.backlash_m]).all():
        raise InputError(f"{path} is not the journal of a drawing (a number is missing): delete it.")
    return entry


def clear(path: Path) -> None:
    """Forget the drawing: it is finished, or another one begins."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be deleted ({error.strerror}): delete it by hand.") from error


def _pair(values: list[float]) -> tuple[float, float]:
    if len(values) != 2:
        raise ValueError(f"{values} is not a pair")
    return float(values[0]), float(values[1])
