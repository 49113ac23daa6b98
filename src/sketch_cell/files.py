"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sketch_cell.errors import InputError

# What a disk says that is full or failing, or takes no file of this name; anything else that a block raises is not
# about this file.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENAMETOOLONG, errno.EISDIR)


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None] = ()) -> None:
    """Refuse, before any work, outputs that could not be written, or would overwrite an input or one another.

    None stands for one that was not asked for. Raises `InputError` that names the first of them.
    """
    taken = {path.resolve(): "is read by this very command" for path in filter(None, inputs)}
    for path in filter(None, outputs):
        where = path.resolve()
        folder = next(parent for parent in where.parents if parent.exists())
        if path.is_dir():
            raise InputError(f"{path} is a folder, but a file is to be written. Name a file.")
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"{path} cannot be written into {folder}. Choose another folder.")
        if where in taken:
            raise InputError(f"{path} {taken[where]}. Choose another name.")
        taken[where] = "is the name of two outputs"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path (same folder, same suffix); it replaces `path` only if the block succeeds.

    Raises `InputError` where the folder cannot be made or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}. Choose another folder or free this one."
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise InputError(
            f"{path} cannot be written: {error.strerror}. Free some space, or choose another folder or name."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` (text as UTF-8), whole or not at all."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as temporary:
        temporary.write_bytes(data)
