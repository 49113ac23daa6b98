"""Kernels are compiled and kept wherever the package and its user live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sketch_cell import kernel_cache


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A temporary folder that is open; all others are closed (root, who may run this, could write anywhere)."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / ".cache"))
    monkeypatch.setattr(kernel_cache.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(tmp_path / "tmp") in str(path) and real(path, mode)
    )
    return tmp_path


def test_where_nothing_can_be_written_it_is_a_folder_of_the_users_own(closed):
    kernel_cache.let_numba_cache(closed / "package")
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.parent == closed / "tmp"
    assert folder.stat().st_mode & 0o777 == 0o700
    kernel_cache.let_numba_cache(closed / "package")
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == folder


def test_a_folder_that_somebody_else_has_made_is_not_used(closed, monkeypatch):
    """What lies in it is run."""
    other = closed / "elsewhere"
    other.mkdir()
    (closed / "tmp" / f"sketch_cell_kernels_{os.getuid()}").symlink_to(other)
    kernel_cache.let_numba_cache(closed / "package")
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.resolve() != other
    assert folder.parent == closed / "tmp"


def test_a_cache_that_can_be_written_is_left_to_numba(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    kernel_cache.let_numba_cache(tmp_path)
    assert "NUMBA_CACHE_DIR" not in os.environ
