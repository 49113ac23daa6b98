"""Where numba keeps what it has compiled; standard library only, for it runs before everything else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def let_numba_cache(package: Path) -> None:
    """Name a folder for numba where it can write neither beside the modules of `package` nor in the user's cache.

    It would refuse every kernel: in a container of root's run by another user, in a service without a home.
    """
    own = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - never raises
    if VARIABLE in os.environ or _can_write(package) or _can_write(own):
        return
    folder = Path(tempfile.gettempdir()) / f"sketch_cell_kernels_{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        is_own = folder.stat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        is_own = False
    # What lies there is run: a folder that somebody else has made first is none of ours.
    os.environ[VARIABLE] = str(folder) if is_own else tempfile.mkdtemp(prefix="sketch_cell_kernels_")


def _can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made itself."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
