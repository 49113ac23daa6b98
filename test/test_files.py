"""Output files appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from sketch_cell.errors import InputError
from sketch_cell.files import whole_file, write_whole


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    write_whole(target, "old")
    with pytest.raises(RuntimeError), whole_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folders_on_the_way_are_made(tmp_path):
    write_whole(tmp_path / "x" / "y.bin", b"\x00\xff")
    assert (tmp_path / "x" / "y.bin").read_bytes() == b"\x00\xff"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/out\.txt cannot be written: .*Choose another folder"):
        write_whole(tmp_path / "file" / "out.txt", "")


def test_a_full_disk_is_said_in_words_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_whole(path, "old")
    with (
        pytest.raises(InputError, match=r"No space left on device.*Free some space"),
        whole_file(path) as temporary,
    ):
        temporary.write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["kept.txt"]
