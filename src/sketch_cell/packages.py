"""Packages that only some parts need: asked for before the work, not missed after it."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from sketch_cell.errors import InputError


def is_installed(module: str) -> bool:
    """Whether a module could be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def need(module: str, argument: str, package: str = "") -> None:
    """Raise `InputError` where what `argument` asks for lacks its module, which pip knows as `package`."""
    if not is_installed(module):
        package = package or module
        raise InputError(f"{argument} needs {package}: {pip_install(package)}, or leave {argument} out.")


def pip_install(package: str) -> str:
    """The command that installs a package and leaves NumPy as it is.

    A native ROS 2 is often compiled with NumPy 1, and then neither its cv_bridge nor numba beside it runs with 2.
    """
    try:
        is_old = importlib.metadata.version("numpy").startswith("1.")
    except importlib.metadata.PackageNotFoundError:
        is_old = False
    return f"pip install {package}" + (" 'numpy<2'" if is_old else "")
